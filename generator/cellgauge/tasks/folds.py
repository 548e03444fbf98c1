"""Scores of out-of-fold predictions, for many weightings of the cells at once.

Every sum over cells that a score needs is an entry of one sparse product for each fold. Checked against
scikit-learn, which scores one weighting at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from cellgauge.tasks.contract import Weights

Values = NDArray[np.float64]
Positions = NDArray[np.intp]

_AT_ONCE = 256
"""Replicates that are scored together: few enough to stay in the processor's cache."""


@dataclass(frozen=True)
class Fold:
    """What one fold's test cells are, and what a classifier that never saw them says."""

    cells: Positions
    """(n,) positions of the test cells."""
    truth: Positions
    """(n,) their class."""
    predicted: Positions
    """(n,) the most probable class."""
    probability: NDArray[np.float64]
    """(n × n_classes)."""

    @classmethod
    def of(cls, cells: Positions, truth: Positions, probability: NDArray[np.float64]) -> Fold:
        """Make a fold from probabilities of classes 0, 1, …; the first of equal ones is predicted."""
        return cls(cells, truth, probability.argmax(axis=1), probability)

    @cached_property
    def sums(self) -> _Sums:
        """Which cells are added up for the scores; the same for every weighting."""
        n_classes, every = self.probability.shape[1], np.arange(len(self.truth))
        right = self.truth == self.predicted
        cells, rows = [every, every[right], every], [self.truth, n_classes + self.truth[right]]
        rows.append(2 * n_classes + self.predicted)
        at, runs = 3 * n_classes, {}
        for one in np.unique(self.truth).tolist():
            found, run, n_levels = _runs(self.truth == one, self.probability[:, one])
            cells.append(found)
            rows.append(at + run)
            runs[one] = (at, n_levels)
            at += 3 * n_levels
        entries = np.concatenate(rows), np.concatenate(cells)
        ones = np.ones(len(entries[0]), dtype=np.float32)
        return _Sums(sparse.csr_matrix((ones, entries), shape=(at, len(every))), n_classes, runs)


@dataclass(frozen=True)
class _Sums:
    """Rows of cells to be added up: by class, right by class, by predicted class, then runs for each class's AUROC."""

    matrix: sparse.csr_matrix
    n_classes: int
    runs: dict[int, tuple[int, int]]
    """Class → its first row, and the number of levels; each level has three rows."""


def fold_scores(folds: list[Fold], weights: Weights) -> dict[str, Values]:
    """Score each fold under each weighting and average over folds.

    A class without cells in a fold has no part in that fold's means over classes, and a fold without cells none
    in the mean over folds: the weights of a donor that is left out are 0.

    Parameters
    ----------
    weights
        (n_replicates × n_cells) over all cells of the task.

    Returns
    -------
    Metric → (n_replicates,).
    """
    scored: dict[str, list[Values]] = {}
    for start in range(0, len(weights), _AT_ONCE):
        part = weights[start : start + _AT_ONCE]
        every = [_score_fold(fold.sums, part[:, fold.cells]) for fold in folds]
        for metric in every[0]:
            scored.setdefault(metric, []).append(mean_of_present(np.array([one[metric] for one in every])))
    return {metric: np.concatenate(values) for metric, values in scored.items()}


def class_scores(folds: list[Fold]) -> dict[str, Values]:
    """Score each class by itself, as the mean over the folds whose test cells hold it.

    Returns
    -------
    ``f1``, ``precision``, ``recall`` and ``auroc`` (the class against all others) → (n_classes,).
    """
    every = [_by_class(fold.sums, np.ones((1, len(fold.cells)), dtype=np.float32))[1] for fold in folds]
    return {metric: mean_of_present(np.array([one[metric][:, 0] for one in every])) for metric in every[0]}


def _score_fold(sums: _Sums, weights: Weights) -> dict[str, Values]:
    """Return each metric of one fold, (n_replicates,)."""
    accuracy, by_class = _by_class(sums, weights)
    return {
        "accuracy": accuracy,
        **{f"macro-{metric}": mean_of_present(values) for metric, values in by_class.items()},
    }


def _by_class(sums: _Sums, weights: Weights) -> tuple[Values, dict[str, Values]]:
    """Return the accuracy in one fold, (n_replicates,), and metric → (n_classes × n_replicates), NaN where absent."""
    added = sums.matrix @ np.ascontiguousarray(weights.T)
    n = sums.n_classes
    truth, hits, predicted = (added[at : at + n].astype(np.float64) for at in (0, n, 2 * n))
    total = truth.sum(axis=0)
    present = np.where(truth > 0, 1.0, np.nan)
    auroc = np.full(truth.shape, np.nan)
    for one, (at, levels) in sums.runs.items():
        auroc[one] = _auroc(added[at : at + 3 * levels], truth[one], total - truth[one])
    return _divide(hits.sum(axis=0), total, nothing=np.nan), {
        "f1": _divide(2 * hits, truth + predicted) * present,
        "precision": _divide(hits, predicted) * present,
        "recall": _divide(hits, truth) * present,
        "auroc": auroc,
    }


def mean_of_present(values: Values) -> Values:
    """Return the mean over the first axis of what is not NaN; NaN where all is."""
    present = np.isfinite(values)
    return _divide(np.where(present, values, 0.0).sum(axis=0), present.sum(axis=0), nothing=np.nan)


def _runs(positive: NDArray[np.bool_], score: NDArray[np.float64]) -> tuple[Positions, Positions, int]:
    """Return cells by falling score, cut into the runs that an area under the ROC curve is a sum over.

    The area is the chance that a positive scores above a negative, ties counting half.

    Each level of the score at which there are positives has three runs: the negatives between the level above and
    this one, the negatives at this one, and its positives. Negatives below the last such level lose to every positive,
    and are in no run.

    Returns
    -------
    Positions of the cells in runs, the run of each, and the number of levels.
    """
    order = np.argsort(-score, kind="stable")
    ordered, is_positive = score[order], positive[order]
    level = np.cumsum(np.r_[False, np.diff(ordered) != 0])
    marked = np.zeros(level[-1] + 1, dtype=bool)
    marked[level[is_positive]] = True
    above = np.cumsum(marked)[level]
    run = np.where(marked[level], 3 * (above - 1) + 1 + is_positive, 3 * above)
    n_levels = int(np.count_nonzero(marked))
    kept = run < 3 * n_levels
    return order[kept], run[kept], n_levels


def _auroc(runs: NDArray[np.float32], positives: Values, negatives: Values) -> Values:
    """Return the area under the ROC curve from the weights of its runs, (3 · n_levels × n_replicates).

    It is NaN where there are no positives or no negatives.
    """
    between, tied, won = (runs[kind::3].astype(np.float64) for kind in range(3))
    above = np.cumsum(between + tied, axis=0) - tied / 2
    pairs = positives * negatives
    return _divide(pairs - (won * above).sum(axis=0), pairs, nothing=np.nan)


def _divide(top: Values, bottom: NDArray[Any], *, nothing: float = 0.0) -> Values:
    """Return ``top / bottom``, and ``nothing`` where there is nothing to divide by."""
    return np.asarray(np.divide(top, bottom, out=np.full(top.shape, nothing), where=bottom > 0))
