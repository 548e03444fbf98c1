"""A release that is deposited says what it is, in formats that other programs check and read."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.report.conftest import ReleaseBuilder, copy_project

from cellgauge.cards import Project, load_cards
from cellgauge.cli import main
from cellgauge.results.freeze import freeze
from cellgauge.results.manifest import read_index, read_manifest
from cellgauge.results.table import COLUMNS


@pytest.fixture
def project(tmp_path: Path, keep_light_models) -> Project:
    found = copy_project(tmp_path / "project")
    keep_light_models(found.source)
    release = ReleaseBuilder(found)
    release.register()
    for model in ("pca", "svd"):
        release.add("clustering", "pbmc68k-reduced", model, 0.5)
    release.add_empty("embedding", "pbmc68k-reduced", "pca", "timeout", 'a "quoted", reason')
    return release.finish()


def export(project: Project, kind: str, out: Path) -> tuple[int, str]:
    words = ["--project", str(project.source), "export", "trial", "--format", kind, "--out", str(out)]
    result = CliRunner().invoke(main, words)
    return result.exit_code, result.output


def test_croissant_is_valid_and_its_records_are_the_scores(project, tmp_path):
    mlc = pytest.importorskip("mlcroissant", reason="needs mlcroissant: pip install 'cellgauge[export]'")
    code, said = export(project, "croissant", tmp_path)
    assert code == 0, said
    path = tmp_path / "trial.croissant.json"
    dataset = mlc.Dataset(jsonld=str(path))
    assert not dataset.metadata.ctx.issues.errors
    assert export(project, "json", tmp_path)[0] == 0
    rows = json.loads((tmp_path / "trial.json").read_bytes())
    records = list(dataset.records("scores"))
    assert len(records) == len(rows) > 10
    for record, row in zip(records, rows, strict=True):
        for name in COLUMNS:
            value = record[f"scores/{name}"]
            value = value.decode() if isinstance(value, bytes) else value
            if row[name] is None:
                assert value is None or value != value, name
            else:
                # pandas, by which the records are read, rounds the last digit of a number.
                assert value == (pytest.approx(row[name], rel=1e-14) if COLUMNS[name].type == "float64" else row[name])
    described = json.loads(path.read_bytes())
    (table,) = described["distribution"]
    assert table["sha256"] == hashlib.sha256((tmp_path / "trial.csv").read_bytes()).hexdigest()
    assert "cellgauge-trial" in described["citeAs"]


def test_a_crate_holds_every_file_of_a_frozen_release_and_says_what_it_is(project, tmp_path):
    rocrate = pytest.importorskip("rocrate.rocrate", reason="needs rocrate: pip install 'cellgauge[export]'")
    code, said = export(project, "ro-crate", tmp_path)
    assert (code, said.strip()) == (1, "release trial is not frozen. Freeze it first: cellgauge freeze trial")
    freeze(project, load_cards(project), "trial", day=dt.date(2026, 11, 28), doi="10.5281/zenodo.1")
    code, said = export(project, "ro-crate", tmp_path)
    assert code == 0, said
    files = read_manifest(project.release("trial")).files
    with zipfile.ZipFile(tmp_path / "trial.ro-crate.zip") as archive:
        names = set(archive.namelist())
        wanted = {f"release/{name}" for name in files} | {"release/manifest.json", "results.csv", "CITATION.cff"}
        assert wanted <= names
        for name, one in files.items():
            assert hashlib.sha256(archive.read(f"release/{name}")).hexdigest() == one.sha256
        archive.extractall(tmp_path / "crate")
    crate = rocrate.ROCrate(str(tmp_path / "crate"))
    root = crate.root_dataset
    assert (root["name"], root["version"]) == ("cellgauge, release trial", "trial")
    assert root["identifier"] == ["https://doi.org/10.5281/zenodo.1", read_index(project).releases["trial"].manifest]
    assert str(root["datePublished"]).startswith("2026-11-28")
    described = {entity.id: entity.properties() for entity in crate.data_entities}
    assert {name for name in described if name.startswith("release/")} == {name for name in wanted if "/" in name}
    one = described["release/clustering/pbmc68k-reduced/pca.json"]
    assert one["sha256"] == files["clustering/pbmc68k-reduced/pca.json"].sha256
    assert one["encodingFormat"] == "application/json"


def test_a_frozen_release_that_was_changed_is_not_deposited(project, tmp_path):
    pytest.importorskip("rocrate", reason="needs rocrate: pip install 'cellgauge[export]'")
    freeze(project, load_cards(project), "trial", day=dt.date(2026, 11, 28))
    (project.release("trial") / "plan.json").write_text("{}", encoding="utf-8")
    code, said = export(project, "ro-crate", tmp_path)
    assert code == 1
    assert "results/trial/plan.json: found sha256:" in said
    assert not list(tmp_path.glob("*.zip"))
