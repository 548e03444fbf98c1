"""What programs read of a release: the table as CSV and JSON, its schema, and the five lines that the page shows."""

from __future__ import annotations

import csv
import html
import io
import json
import re
import subprocess
import sys

import pytest

from cellgauge.cards import load_cards
from cellgauge.report.data_page import API
from cellgauge.report.stage import stage
from cellgauge.results.store import read_results
from cellgauge.results.table import COLUMNS

PBMC = "pbmc68k-reduced"
pytestmark = pytest.mark.site


def test_csv_json_and_result_files_say_the_same(built, site):
    project, _ = built
    rows = json.loads((site / API / "results.json").read_bytes())
    text = (site / API / "results.csv").read_text(encoding="utf-8")
    for row, said in zip(rows, csv.DictReader(io.StringIO(text)), strict=True):
        assert said == {name: "" if value is None else str(value) for name, value in row.items()}
    results = list(read_results(project.release("trial")))
    scores = [(one.result_id, score.value) for one in results for score in one.scores]
    assert [(row["result_id"], row["value"]) for row in rows if row["value"] is not None] == scores
    empties = {one.result_id for one in results if one.status != "done"}
    assert {row["result_id"] for row in rows if row["metric"] is None} == empties


def test_the_table_keeps_its_schema(site):
    jsonschema = pytest.importorskip("jsonschema", reason="needs jsonschema: make test installs it")
    schema = json.loads((site / API / "results.schema.json").read_bytes())
    jsonschema.Draft202012Validator.check_schema(schema)
    rows = json.loads((site / API / "results.json").read_bytes())
    jsonschema.validate(rows, schema)
    assert set(rows[0]) == set(COLUMNS)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate([{**rows[0], "value": "high"}], schema)


def test_what_a_release_is_can_be_read(built, site):
    about = json.loads((site / API / "release.json").read_bytes())
    results = list(read_results(built[0].release("trial")))
    assert (about["release"], about["kind"], about["rehearsal"]) == ("trial", "measured", True)
    assert sum(about["evaluations"].values()) == len(results)
    assert about["evaluations"]["done"] == sum(one.status == "done" for one in results)
    assert about["models"] == sorted({one.model.id for one in results})
    roles = [load_cards(built[0]).models[one].counts_as for one in about["models"]]
    assert about["roles"] == {role: roles.count(role) for role in sorted(set(roles))}
    assert {"model", "baseline", "control"} <= set(about["roles"])


def test_the_five_lines_of_the_page_run(built, site):
    pytest.importorskip("pandas", reason="needs pandas: pip install 'cellgauge[run]'")
    page = (site / "data/index.html").read_text(encoding="utf-8")
    code = html.unescape(re.search(r"<code>(import pandas.*?)</code>", page, re.DOTALL)[1])
    address = re.search(r'read_csv\("([^"]+)"\)', code)[1]
    assert address.endswith(f"/{API}results.csv")
    done = subprocess.run(
        [sys.executable, "-c", code.replace(address, str(site / API / "results.csv"))],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    assert "adjusted-rand-index" in done.stdout
    assert "pca" in done.stdout


def test_bug_the_example_left_out_tasks_whose_scores_all_have_a_view(release):
    """Classification vanished from the five lines, and simulated cells were averaged with measured ones."""
    pd = pytest.importorskip("pandas", reason="needs pandas: pip install 'cellgauge[run]'")
    for dataset, value in ((PBMC, 0.5), ("toy-blood", 0.9)):
        for model in ("pca", "svd", "random"):
            release.add("classification", dataset, model, value)
    page = next(page for page in stage(release.finish(), None).pages if page.path == "data/")
    code = html.unescape(re.search(r"<code>(import pandas.*?)</code>", page.fragment, re.DOTALL)[1])
    table = io.BytesIO(page.files[f"{API}results.csv"])
    known: dict[str, object] = {"table": table}
    exec(re.sub(r"\"https?://[^\"]+\"", "table", code), known)
    means = known["means"]
    assert isinstance(means, pd.DataFrame)
    assert means.loc["classification", "macro-f1", "logistic-regression"].round(3).to_dict() == {
        ("baseline", "pca"): 0.5, ("control", "random"): 0.5, ("model", "svd"): 0.5,
    }  # fmt: skip


def test_rows_say_where_cells_come_from_and_what_a_model_is(release):
    for dataset in (PBMC, "toy-blood"):
        release.add("clustering", dataset, "pca", 0.5)
        release.add("clustering", dataset, "random", 0.0)
    page = next(page for page in stage(release.finish(), None).pages if page.path == "data/")
    rows = json.loads(page.files[f"{API}results.json"])
    assert {(row["dataset"], row["evidence"]) for row in rows} == {(PBMC, "measured"), ("toy-blood", "simulated")}
    assert {(row["model"], row["role"]) for row in rows} == {("pca", "baseline"), ("random", "control")}


def test_without_results_there_is_no_table(project):
    page = next(page for page in stage(project, None).pages if page.path == "data/")
    assert "There are no results yet, and no table." in page.fragment
    assert set(page.files) == {f"{API}results.schema.json"}
