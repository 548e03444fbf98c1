"""The same seed gives the same scores, however often it is run and on however many threads."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from cellgauge.cards.read import read_card
from cellgauge.cards.task import TaskCard
from cellgauge.tasks import classification, clustering
from cellgauge.tasks.contract import Cells
from cellgauge.tasks.evaluate import Evaluation, evaluate
from cellgauge.tasks.splits import splits

TASKS = {"classification": classification, "clustering": clustering}
CONTENT = "sha256:" + "5" * 64
SEEDS = [42, 43]


def overlapping(n_cells: int = 240, n_dimensions: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Four types that overlap, so that clusters and forests of another seed are others."""
    rng = np.random.default_rng(8)
    codes = np.arange(n_cells) % 4
    cells = rng.normal(size=(n_cells, n_dimensions)) + 1.2 * np.eye(n_dimensions)[codes]
    return cells.astype(np.float32), codes


def card_of(task: str, **changes: Any) -> TaskCard:
    card = read_card(Path(__file__).parents[2] / f"site_src/tasks/{task}.md", TaskCard)
    params = {**card.protocol.params, **({"n_trees": 20} if task == "classification" else {})}
    changed = {"seeds": SEEDS, "replicates": 40, "params": params, **changes}
    return card.model_copy(update={"protocol": card.protocol.model_copy(update=changed)})


def run(task: str, **changes: Any) -> Evaluation:
    embedding, codes = overlapping()
    card = card_of(task, **changes)
    outputs = dict.fromkeys(card.protocol.seeds, embedding)
    return evaluate(card, TASKS[task].prepare, outputs, Cells({"label": np.array(list("abcd"))[codes]}), CONTENT)


@pytest.mark.parametrize("task", list(TASKS))
def test_two_runs_are_the_same_to_the_last_digit(task: str) -> None:
    np.random.seed(1)  # noqa: NPY002 (what a library might draw from where it is given no seed)
    first = run(task)
    np.random.seed(2)  # noqa: NPY002
    second = run(task)
    np.testing.assert_array_equal(first.by_seed, second.by_seed)
    np.testing.assert_array_equal(first.replicates, second.replicates)
    assert first.details == second.details
    assert first.stream == second.stream


@pytest.mark.parametrize("task", list(TASKS))
def test_the_score_of_a_seed_hangs_on_that_seed_alone(task: str) -> None:
    both, other_way, alone = run(task), run(task, seeds=SEEDS[::-1]), run(task, seeds=SEEDS[1:])
    np.testing.assert_array_equal(both.by_seed, other_way.by_seed[:, ::-1])
    np.testing.assert_array_equal(both.by_seed[:, 1:], alone.by_seed)
    assert (both.by_seed[:, 0] != both.by_seed[:, 1]).any(), "otherwise the seed would do nothing"


def on_threads(n: int, patch: pytest.MonkeyPatch, made: Callable[[], Any]) -> Any:
    """Call a function as on a machine with ``n`` processors, all of which the libraries would use."""
    asked = []
    patch.setattr(classification, "cpu_count", lambda: asked.append(n) or n)
    with threadpool_limits(n):
        found = made()
    assert asked, "the number of processors was asked for"
    return found


def test_classifiers_say_the_same_on_one_thread_and_on_four(monkeypatch: pytest.MonkeyPatch) -> None:
    """To the last digit of each probability, so that no tie can be broken in another way.

    The cells are as many as it takes for libraries to share out their sums among threads.
    """
    features, codes = overlapping(1000, 300)
    params = card_of("classification").protocol.params
    folds = list(splits(codes, None, 5, 42))
    views = ["logistic-regression", "knn", "random-forest"]
    made = partial(classification.out_of_fold, features, codes, 4, folds, views, params, 42)
    one, four = (on_threads(n, monkeypatch, made) for n in (1, 4))
    for view in views:
        for here, there in zip(one[view], four[view], strict=True):
            np.testing.assert_array_equal(here.cells, there.cells)
            np.testing.assert_array_equal(here.probability, there.probability, err_msg=view)


def test_scores_are_the_same_on_one_thread_and_on_four(monkeypatch: pytest.MonkeyPatch) -> None:
    one, four = (on_threads(n, monkeypatch, partial(run, "classification")) for n in (1, 4))
    np.testing.assert_array_equal(one.by_seed, four.by_seed)
    np.testing.assert_array_equal(one.replicates, four.replicates)
