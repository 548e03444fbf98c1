"""Stress conditions: models are shown worse data, and what fails there costs nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from cellgauge.results.schema import Result
from cellgauge.results.store import read_replicates, read_result, result_path
from cellgauge.runner.execute import execute
from cellgauge.runner.plan import Filters, pairs_to_run, save_plan
from cellgauge.runner.steps import Context
from cellgauge.runner.workers import LocalWorkers

MORE_FUNCTIONS = """
def all_genes(adata, *, seed):
    if adata.n_vars < 16:
        raise RuntimeError(f"needs 16 genes, found {adata.n_vars}")
    return good(adata, seed=seed)

def depth(adata, *, seed):
    totals = np.asarray(adata.X.sum(axis=1)).ravel()
    with open(os.environ["NOTE"], "a") as file:
        file.write(f"{seed} {adata.n_vars} {totals.sum():.0f}\\n")
    return good(adata, seed=seed)
"""
CONDITIONS = ["thinned-50", "thinned-10", "genes-80"]


def run(tiny, in_process, model: str, task: str = "embedding", *, restore: bool = True, ends: str = "done") -> Result:
    if restore:
        tiny.show_worse_data()
    tiny.dataset()
    functions = tiny.folder / "site_src/models/wrong.py"
    functions.write_text(functions.read_text() + MORE_FUNCTIONS)
    if model not in tiny.cards().models:
        tiny.model(model)
    cards = tiny.cards()
    filters = Filters([model], ["tiny"], [task])
    plan = save_plan(tiny.project, cards, "r", filters, rehearsal=True)
    pairs = pairs_to_run(tiny.project.release("r"), plan, filters)
    context = Context(tiny.project, cards, "r", False, tiny.cache)
    assert dict(execute(context, pairs, in_process(), lambda event: None)) == {ends: 1}
    return read_result(result_path(tiny.project.release("r"), task, "tiny", model))


def test_the_primary_score_is_repeated_under_each_condition(tiny, in_process) -> None:
    found = run(tiny, in_process, "good")
    keys = [score.key for score in found.scores if score.condition]
    assert keys == [f"silhouette-label~{condition}" for condition in CONDITIONS]
    plain, tenth = found.score("silhouette-label"), found.score("silhouette-label~thinned-10")
    assert tenth.value < plain.value, "a tenth of the counts says less about cell types"
    assert tenth.interval.low <= tenth.value <= tenth.interval.high
    rows = read_replicates(tiny.project.release("r"), found)
    assert len(rows) == len(found.scores)
    np.testing.assert_allclose(rows[found.scores.index(tenth)].mean(), tenth.value, atol=1e-5)


def test_models_are_shown_fewer_counts_or_genes_drawn_anew_for_each_seed(
    tiny, in_process, tmp_path, monkeypatch
) -> None:
    note = tmp_path / "note"
    monkeypatch.setenv("NOTE", str(note))
    run(tiny, in_process, "depth")
    shown = np.array([line.split() for line in note.read_text().splitlines()], dtype=int)
    shown = np.delete(shown, range(1, 5), axis=0)  # the sanity gates called it four times in between
    (plain,), half, tenth, genes = shown[:1], shown[1:6], shown[6:11], shown[11:]
    assert len(genes) == 5
    for part in (half, tenth, genes):
        np.testing.assert_array_equal(part[:, 0], [42, 43, 44, 45, 46])
        assert len(set(part[:, 2])) > 1
    assert (half[:, 1] == 16).all()
    assert np.abs(half[:, 2] / plain[2] - 0.5).max() < 0.05
    assert np.abs(tenth[:, 2] / plain[2] - 0.1).max() < 0.05
    assert (genes[:, 1] == 13).all()


def test_a_model_that_fails_on_worse_data_keeps_its_scores(tiny, in_process) -> None:
    found = run(tiny, in_process, "all-genes")
    assert found.score("silhouette-label~thinned-50") is not None
    assert found.score("silhouette-label~genes-80") is None
    why = found.why_undefined("silhouette-label~genes-80")
    assert why == "failed: RuntimeError while embedding: needs 16 genes, found 13"


@pytest.mark.slow
def test_controls_do_not_look_at_the_data_and_are_not_stressed(tiny, in_process) -> None:
    found = run(tiny, in_process, "oracle")
    assert not any(one.condition for one in [*found.scores, *found.undefined])


def test_what_failed_on_worse_data_is_tried_again_when_asked(tiny, in_process) -> None:
    run(tiny, in_process, "all-genes")
    cards = tiny.cards()
    filters = Filters(["all-genes"], ["tiny"], ["embedding"])
    plan = save_plan(tiny.project, cards, "r", filters, rehearsal=True)
    folder = tiny.project.release("r")
    assert pairs_to_run(folder, plan, filters) == []
    assert pairs_to_run(folder, plan, filters, retry=["timeout"]) == []
    assert len(pairs_to_run(folder, plan, filters, retry=["failed"])) == 1


def break_on_worse_data(tiny, with_what: str) -> None:
    """Make the task run into something where only one score is wanted, as it is for worse data."""
    tasks = tiny.folder / "site_src/tasks"
    (tasks / "fragile.py").write_text(
        "import os, signal\n\nfrom cellgauge.tasks import embedding\n\n\n"
        "def prepare(output, cells, params, wanted):\n"
        "    if len(wanted) == 1:\n"
        f"        {with_what}\n"
        "    return embedding.prepare(output, cells, params, wanted)\n"
    )
    tiny.show_worse_data()
    card = tasks / "embedding.md"
    card.write_text(card.read_text().replace("cellgauge.tasks.embedding:prepare", "fragile.py:prepare"))


def test_an_error_while_scoring_worse_data_keeps_the_scores(tiny, in_process) -> None:
    """A bug: it made the whole evaluation fail."""
    break_on_worse_data(tiny, 'raise RuntimeError("only one score")')
    found = run(tiny, in_process, "good", restore=False)
    assert found.score("silhouette-label") is not None
    assert found.why_undefined("silhouette-label~genes-80") == "failed: RuntimeError while scoring: only one score"


@pytest.mark.slow
def test_a_worker_that_is_lost_while_scoring_worse_data_leaves_the_scores(tiny) -> None:
    """A bug: running out of time or memory there gave the evaluation no scores at all."""
    break_on_worse_data(tiny, "os.kill(os.getpid(), signal.SIGKILL)")
    with LocalWorkers(1) as workers:
        found = run(tiny, lambda: workers, "good", restore=False)
    assert found.score("silhouette-label") is not None
    for condition in CONDITIONS:
        why = found.why_undefined(f"silhouette-label~{condition}")
        assert why is not None
        assert why.startswith("failed: the worker process was killed by signal 9")
        assert why.endswith("so that the data as they are were scored alone")


@pytest.mark.slow
def test_a_worker_that_is_lost_also_without_worse_data_is_not_tried_again(tiny) -> None:
    break_on_worse_data(tiny, "pass\n    os.kill(os.getpid(), signal.SIGKILL)")
    with LocalWorkers(1) as workers:
        run(tiny, lambda: workers, "good", restore=False, ends="failed")
