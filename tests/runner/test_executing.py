"""Each evaluation ends with scores or with a reason, and nothing is computed twice."""

from __future__ import annotations

import datetime as dt
import json
import platform
from pathlib import Path

import pytest

from cellgauge.results.protocol import read_protocols
from cellgauge.results.schema import Result
from cellgauge.results.store import read_release, read_replicates, read_result, result_path
from cellgauge.runner.execute import execute
from cellgauge.runner.failures import StepError
from cellgauge.runner.plan import Filters, make_plan, pairs_to_run, save_plan, stored_for
from cellgauge.runner.steps import Context, write_empty

FAST = ["embedding"]


def run(tiny, in_process, models, *, tasks=FAST, again=False, retry=()) -> dict[str, int]:
    cards = tiny.cards()
    filters = Filters(models, ["tiny"], tasks)
    plan = save_plan(tiny.project, cards, "r", filters, rehearsal=True)
    pairs = pairs_to_run(tiny.project.release("r"), plan, filters, again=again, retry=retry)
    return dict(execute(Context(tiny.project, cards, "r", again, tiny.cache), pairs, in_process(), lambda event: None))


def result(tiny, model: str, task: str = "embedding") -> Result:
    return read_result(result_path(tiny.project.release("r"), task, "tiny", model))


def test_a_good_model_gets_scores_replicates_and_provenance(tiny, in_process) -> None:
    tiny.dataset()
    tiny.model("good")
    assert run(tiny, in_process, ["good"]) == {"done": 1}
    found = result(tiny, "good")
    assert found.status == "done"
    named = [score.key for score in [*found.scores, *found.undefined] if score.condition is None]
    assert sorted(named) == sorted(ref.key for ref in tiny.cards().tasks["embedding"].scores)
    n_replicates = tiny.cards().tasks["embedding"].protocol.replicates
    assert read_replicates(tiny.project.release("r"), found).shape == (len(found.scores), n_replicates)
    assert found.resources.embedding_wall_s > 0
    assert found.environment.packages["scikit-learn"]
    for score in found.scores:
        assert score.interval.low <= score.value <= score.interval.high


def test_a_protocol_is_registered_before_the_first_result_and_named_by_each(tiny, in_process) -> None:
    tiny.dataset()
    tiny.model("good")
    run(tiny, in_process, ["good"])
    folder = tiny.project.release("r")
    (registered,) = read_protocols(folder)
    assert registered.results == {}
    assert result(tiny, "good").protocol == registered.digest == read_release(folder).protocol
    assert registered.at <= result(tiny, "good").started_at


def test_the_second_run_does_nothing(tiny, in_process) -> None:
    tiny.dataset()
    tiny.model("good")
    run(tiny, in_process, ["good"])
    assert run(tiny, in_process, ["good"]) == {}


def test_the_same_inputs_give_the_same_result_id(tiny, in_process) -> None:
    tiny.dataset()
    tiny.model("good")
    run(tiny, in_process, ["good"])
    first = result(tiny, "good")
    assert run(tiny, in_process, ["good"], again=True) == {"done": 1}
    second = result(tiny, "good")
    assert second.result_id == first.result_id
    assert second.finished_at > first.finished_at


@pytest.mark.slow
def test_an_embedding_is_made_once_for_all_tasks(tiny, in_process, tmp_path: Path, monkeypatch) -> None:
    note = tmp_path / "note"
    monkeypatch.setenv("NOTE", str(note))
    tiny.dataset()
    tiny.model("noted")
    run(tiny, in_process, ["noted"], tasks=["embedding", "classification"])
    calls_of_gates = 4  # as they are, in another order, again, and a few without the others
    assert note.read_text() == "called\n" * (1 + calls_of_gates)


@pytest.mark.parametrize(
    ("model", "status", "reason"),
    [
        ("short", "invalid_output", "expected 60 rows, one per cell, found 59"),
        ("nan", "invalid_output", "1 values are NaN or infinite, in 1 cells (first: c3)"),
        ("infinite", "invalid_output", "300 values are NaN or infinite, in 60 cells"),
        ("raises", "failed", "RuntimeError while embedding: the model is broken"),
        ("quits", "failed", "SystemExit while embedding: 3"),
        ("unpicklable", "failed", "Local while embedding"),
        ("no-memory", "out_of_memory", "memory ran out while embedding"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
def test_a_model_that_goes_wrong_gets_a_reason_and_the_others_run(tiny, in_process, model, status, reason) -> None:
    tiny.dataset()
    tiny.model("good")
    tiny.model(model)
    assert run(tiny, in_process, ["good", model]) == {"done": 1, status: 1}
    found = result(tiny, model)
    assert found.status == status
    assert reason in found.reason
    assert found.scores == []


def test_two_donors_are_no_error_but_do_not_fit_a_task_that_keeps_donors_apart(tiny, in_process) -> None:
    tiny.dataset(n_donors=2)
    tiny.model("good")
    assert run(tiny, in_process, ["good"], tasks=["classification", "embedding"]) == {"not_applicable": 1, "done": 1}
    found = result(tiny, "good", "classification")
    assert found.status == "not_applicable"
    assert found.reason == "donors are kept apart, which needs cells of 3 donors or more; 2 found"
    assert found.scores == []
    assert found.log is None


def test_three_donors_are_kept_apart(tiny, in_process) -> None:
    tiny.dataset(n_donors=3)
    tiny.model("good")
    assert run(tiny, in_process, ["good"], tasks=["classification"]) == {"done": 1}
    found = result(tiny, "good", "classification")
    assert (found.details["folds"], found.details["n_folds"]) == ("donors", 3)


def test_the_log_of_a_failure_is_kept(tiny, in_process) -> None:
    tiny.dataset()
    tiny.model("raises")
    run(tiny, in_process, ["raises"])
    log = result(tiny, "raises").log
    assert log.endswith("RuntimeError: the model is broken")
    assert str(Path.home()) not in log


@pytest.mark.parametrize(
    ("dataset", "reason"),
    [
        ({"label": "cell_type", "pin": False}, 'label column "cell_type" is not in obs (found: type)'),
        ({"labels": "a", "pin": False}, "holds one class (a)"),
        ({"pin": False}, "expected content sha256:000"),
    ],
)
def test_a_dataset_that_is_not_what_it_says_is_refused_before_compute(
    tiny, in_process, dataset, reason, tmp_path, monkeypatch
) -> None:
    monkeypatch.setenv("NOTE", str(tmp_path / "note"))
    tiny.dataset(**dataset)
    tiny.model("noted")
    assert run(tiny, in_process, ["noted"]) == {"invalid_input": 1}
    assert reason in result(tiny, "noted").reason
    assert not (tmp_path / "note").exists()


def test_a_task_without_meaning_on_the_data_leaves_the_other_tasks(tiny, in_process) -> None:
    tiny.dataset(labels="abcdef")
    tiny.model("good")
    card = tiny.folder / "site_src/tasks/classification.md"
    card.write_text(card.read_text().replace("min_cells_per_class: 10", "min_cells_per_class: 30"))
    assert run(tiny, in_process, ["good"], tasks=["classification", "embedding"]) == {"metric_undefined": 1, "done": 1}
    assert "0 classes have 30 cells or more" in result(tiny, "good", "classification").reason


def test_empties_are_tried_again_only_when_asked(tiny, in_process) -> None:
    tiny.dataset()
    tiny.model("raises")
    run(tiny, in_process, ["raises"])
    assert run(tiny, in_process, ["raises"]) == {}
    assert run(tiny, in_process, ["raises"], retry=("timeout",)) == {}
    assert run(tiny, in_process, ["raises"], retry=("failed",)) == {"failed": 1}


def test_a_new_version_of_a_model_is_run_again(tiny, in_process) -> None:
    tiny.dataset()
    tiny.model("good")
    run(tiny, in_process, ["good"])
    tiny.model("good", version=2)
    assert run(tiny, in_process, ["good"]) == {"done": 1}
    assert result(tiny, "good").model.version == 2


@pytest.mark.parametrize("damage", ["cut", "replicates gone", "another's"])
def test_a_damaged_result_is_computed_again(tiny, in_process, damage: str) -> None:
    tiny.dataset()
    tiny.model("good")
    tiny.model("raises")
    run(tiny, in_process, ["good", "raises"])
    path = result_path(tiny.project.release("r"), "embedding", "tiny", "good")
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-20])
    elif damage == "replicates gone":
        path.with_suffix(".npy").unlink()
    else:
        path.write_bytes(path.with_name("raises.json").read_bytes())
    assert run(tiny, in_process, ["good"]) == {"done": 1}
    pair = make_plan(tiny.project, tiny.cards(), "r", Filters(["good"], ["tiny"], FAST)).pairs[0]
    assert stored_for(tiny.project.release("r"), pair).state == "done"


@pytest.mark.slow
def test_removing_a_model_changes_no_other_score(tiny, in_process) -> None:
    tiny.dataset()
    tiny.model("good")
    run(tiny, in_process, ["good", "pca"])
    both = json.loads(result(tiny, "pca").model_dump_json())["scores"]
    (tiny.folder / "site_src/models/good.md").unlink()
    run(tiny, in_process, ["pca"], again=True)
    assert json.loads(result(tiny, "pca").model_dump_json())["scores"] == both


def test_bug_a_failure_overwrote_the_scores_of_another_run(tiny, in_process) -> None:
    tiny.dataset()
    tiny.model("good")
    run(tiny, in_process, ["good"])
    cards = tiny.cards()
    (pair,) = make_plan(tiny.project, cards, "r", Filters(["good"], ["tiny"], FAST)).pairs
    context = Context(tiny.project, cards, "r", False, tiny.cache)
    late = StepError("timeout", "stopped after its time limit of 1 s")
    assert write_empty(context, pair, late, dt.datetime.now(dt.UTC), checked=True) == "already done"
    assert result(tiny, "good").status == "done"


def test_bug_a_refused_dataset_was_recorded_as_verified(tiny, in_process) -> None:
    tiny.dataset(pin=False)
    tiny.model("good")
    run(tiny, in_process, ["good"])
    assert result(tiny, "good").dataset.content is None


def test_a_file_that_is_no_dataset_is_named(tiny, in_process) -> None:
    tiny.dataset()
    (tiny.folder / "site_src/datasets/tiny.h5ad").write_text("not HDF5")
    tiny.model("good")
    assert run(tiny, in_process, ["good"]) == {"invalid_input": 1}
    assert "tiny.h5ad: it cannot be read as .h5ad" in result(tiny, "good").reason


def test_no_path_of_this_machine_is_published(tiny, in_process) -> None:
    tiny.dataset()
    tiny.model("raises")
    run(tiny, in_process, ["raises"])
    log = result(tiny, "raises").log
    assert 'File "site_src/models/wrong.py"' in log
    assert str(tiny.folder) not in log


@pytest.mark.slow
def test_a_cached_embedding_says_what_it_was_made_with(tiny, in_process) -> None:
    tiny.dataset()
    tiny.model("good")
    run(tiny, in_process, ["good"])
    (entry,) = tiny.cache.glob("embeddings/*/*.json")
    entry.write_text(entry.read_text().replace(f'"python": "{platform.python_version()}"', '"python": "3.99.0"'))
    run(tiny, in_process, ["good"], tasks=["classification"])
    found = result(tiny, "good", "classification")
    assert [one.python for one in found.embedding_environments] == ["3.99.0"]
    assert found.environment.python == platform.python_version()


def test_scores_come_before_further_embeddings(tiny, in_process) -> None:
    """A run that is stopped has kept what it had embedded."""
    tiny.dataset()
    order = []
    for number in range(4):
        tiny.model(f"good-{number}", "good")
    cards = tiny.cards()
    filters = Filters([f"good-{number}" for number in range(4)], ["tiny"], FAST)
    pairs = save_plan(tiny.project, cards, "r", filters, rehearsal=True).pairs

    class Noting(in_process):
        def submit(self, function, *arguments):
            order.append(function.__name__)
            return super().submit(function, *arguments)

    execute(Context(tiny.project, cards, "r", False, tiny.cache), pairs, Noting(), lambda event: None)
    ahead = ["embed", "embed", "check_model", "check_model", "score", "score"]
    assert order == ["check_dataset", *ahead, *ahead]
