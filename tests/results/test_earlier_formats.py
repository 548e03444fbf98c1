"""Results of earlier formats load for ever; those in ``earlier/<version>/`` were written by the code of that time."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from cellgauge.results.migrate import STEPS
from cellgauge.results.schema import SCHEMA_VERSION, result_id
from cellgauge.results.store import BrokenResult, read_plan, read_replicates, read_result, read_results, write_plan

EARLIER = Path(__file__).parent / "earlier"


def test_every_earlier_version_has_a_fixture_and_a_step():
    assert sorted(STEPS) == list(range(1, SCHEMA_VERSION))
    assert sorted(int(path.name) for path in EARLIER.iterdir()) == sorted(STEPS)


@pytest.mark.parametrize("version", sorted(STEPS))
def test_a_result_of_an_earlier_version_loads_and_keeps_its_id(version: int):
    folder = EARLIER / str(version)
    timeout, done = read_results(folder)
    raw = json.loads((folder / "clustering/pbmc/pca.json").read_bytes())
    assert raw["schema_version"] == version
    assert done.schema_version == SCHEMA_VERSION
    assert done.result_id == raw["result_id"] == result_id(raw)
    assert (done.status, done.scores[0].value, done.scores[0].by_seed) == ("done", 0.5, [0.4, 0.6])
    assert done.replicates is not None
    assert done.replicates.method == "bootstrap"
    assert done.protocol is None
    assert read_replicates(folder, done).shape == (2, 100)
    assert (timeout.status, timeout.reason, timeout.scores) == ("timeout", "600 s", [])


def test_a_plan_of_the_first_version_loads_and_is_written_again_in_the_current_one(tmp_path: Path):
    raw = json.loads((EARLIER / "3/plan.json").read_bytes())
    plan = read_plan(EARLIER / "3")
    assert (raw["schema_version"], plan.schema_version, plan.release) == (1, 2, "2026.11")
    places = [(pair.task, pair.dataset, pair.model, pair.status, pair.reason) for pair in plan.pairs]
    assert places == [(one["task"], one["dataset"], one["model"], one["status"], one["reason"]) for one in raw["pairs"]]
    assert {one["key"]: one["status"] for one in raw["pairs"] if one["status"] == "to_run"} == {
        pair.key: pair.status for pair in plan.pairs if pair.key is not None
    }
    path = tmp_path / "plan.json"
    path.write_bytes((EARLIER / "3/plan.json").read_bytes())
    write_plan(tmp_path, plan)
    assert json.loads(path.read_bytes())["schema_version"] == 2
    assert read_plan(tmp_path) == plan
    written = path.stat().st_ino
    write_plan(tmp_path, plan)
    assert path.stat().st_ino == written, "left alone"


def test_a_plan_of_a_later_version_says_which_were_expected(tmp_path: Path):
    (tmp_path / "plan.json").write_text('{"schema_version": 99, "release": "r", "pairs": []}', "utf-8")
    with pytest.raises(BrokenResult, match=r"plan\.json: .*found using 'schema_version' does not match.*2, 1"):
        read_plan(tmp_path)


@pytest.mark.parametrize("version", sorted(STEPS))
def test_an_earlier_result_that_was_changed_is_refused(version: int, tmp_path: Path):
    shutil.copytree(EARLIER / str(version), tmp_path / "r")
    path = tmp_path / "r/clustering/pbmc/pca.json"
    path.write_text(path.read_text("utf-8").replace('"value": 0.5', '"value": 0.6'), "utf-8")
    with pytest.raises(BrokenResult, match=r"clustering/pbmc/pca\.json: result_id is .* but the contents give"):
        read_result(path)


def test_a_result_of_a_later_version_says_what_to_do(tmp_path: Path):
    path = tmp_path / "r/clustering/pbmc/pca.json"
    shutil.copytree(EARLIER / "2", tmp_path / "r")
    path.write_text(path.read_text("utf-8").replace('"schema_version": 2', '"schema_version": 99'), "utf-8")
    with pytest.raises(BrokenResult, match=r"found 99, but this cellgauge knows 1 to \d; install a newer one"):
        read_result(path)
