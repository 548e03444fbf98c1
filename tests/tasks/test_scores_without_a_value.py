"""Scores that have no value say so, and take nothing else with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cellgauge.cards.read import read_card
from cellgauge.cards.task import TaskCard
from cellgauge.tasks.contract import Cells, Fit, UnscorableError
from cellgauge.tasks.evaluate import Evaluation, evaluate

CARD = read_card(Path(__file__).parents[2] / "site_src/tasks/clustering.md", TaskCard)
KEYS = [ref.key for ref in CARD.scores]
CELLS = Cells({"label": np.repeat(["a", "b"], 20)})


def run(**parts: object) -> Evaluation:
    def prepare(output, cells, params, wanted):
        defaults = {
            "strata": cells.columns["label"],
            "within": "label",
            "scores": lambda weights: {key: weights.mean(axis=1) for key in wanted},
        }
        return lambda seed: Fit(**{**defaults, **parts})

    outputs = dict.fromkeys(CARD.protocol.seeds, np.zeros((40, 1), dtype=np.float32))
    return evaluate(CARD, prepare, outputs, CELLS, "sha256:" + "2" * 64)


def test_one_undefined_score_leaves_the_others() -> None:
    found = run(undefined={KEYS[1]: "no batches"})
    assert found.undefined == {KEYS[1]: "no batches"}
    assert list(found.keys) == [key for key in KEYS if key != KEYS[1]]
    assert len(found.replicates) == len(KEYS) - 1


def test_a_score_that_is_nan_on_all_cells_is_undefined() -> None:
    def scores(weights: np.ndarray) -> dict[str, np.ndarray]:
        return {key: np.full(len(weights), np.nan if key == KEYS[2] else 1.0) for key in KEYS}

    assert list(run(scores=scores).undefined) == [KEYS[2]]


def test_all_scores_undefined_is_said_in_words_and_no_index_error() -> None:
    with pytest.raises(UnscorableError, match="it predicts 3 of 9"):
        run(undefined=dict.fromkeys(KEYS, "it predicts 3 of 9"))


def test_a_score_that_hangs_on_one_group_has_no_interval() -> None:
    """Without donor d0 it has no value, so that nothing can be said about other donors."""
    groups = np.repeat([f"d{i}" for i in range(8)], 5)

    def scores(weights: np.ndarray) -> dict[str, np.ndarray]:
        plain = weights.sum(axis=1).astype(float)
        hanging = np.where(weights[:, groups == "d0"].sum(axis=1) > 0, plain, np.nan)
        return {key: hanging if key == KEYS[0] else plain for key in KEYS}

    found = run(groups=groups, scores=scores)
    assert found.n_groups[0] == 0
    assert found.n_groups[1] == 8
    assert found.interval(0, 0.95) is None
    assert found.interval(1, 0.95) is not None
    assert np.isfinite(found.replicates).all()
