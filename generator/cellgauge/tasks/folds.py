"""Scores of out-of-fold predictions, for many weightings of the cells at once.

Checked against scikit-learn, which scores one weighting at a time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cellgauge.tasks.agreement import contingency
from cellgauge.tasks.contract import Weights

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Fold:
    """What one fold's test cells are, and what a classifier that never saw them says."""

    cells: NDArray[np.intp]
    """(n,) positions of the test cells."""
    truth: NDArray[np.intp]
    """(n,) their class."""
    predicted: NDArray[np.intp]
    """(n,) the most probable class."""
    probability: NDArray[np.float64]
    """(n × n_classes)."""

    @classmethod
    def of(cls, cells: NDArray[np.intp], truth: NDArray[np.intp], probability: NDArray[np.float64]) -> Fold:
        """Make a fold from probabilities of classes 0, 1, …; the first of equal ones is predicted."""
        return cls(cells, truth, probability.argmax(axis=1), probability)


def fold_scores(folds: list[Fold], n_classes: int, weights: Weights) -> dict[str, Values]:
    """Score each fold under each weighting and average over folds.

    Parameters
    ----------
    weights
        (n_replicates × n_cells) over all cells of the task.

    Returns
    -------
    Metric → (n_replicates,).
    """
    every = [_score_fold(fold, n_classes, weights[:, fold.cells]) for fold in folds]
    return {metric: np.mean([one[metric] for one in every], axis=0) for metric in every[0]}


def _score_fold(fold: Fold, n_classes: int, weights: Weights) -> dict[str, Values]:
    confusion = _confusion(fold, n_classes, weights)
    hits = np.diagonal(confusion, axis1=1, axis2=2)
    truth, predicted = confusion.sum(axis=2), confusion.sum(axis=1)
    scored = np.unique(fold.truth)
    recall = _divide(hits, truth)[:, scored]
    precision = _divide(hits, predicted)[:, scored]
    return {
        "accuracy": hits.sum(axis=1) / truth.sum(axis=1),
        "macro-f1": _divide(2 * hits, truth + predicted)[:, scored].mean(axis=1),
        "macro-precision": precision.mean(axis=1),
        "macro-recall": recall.mean(axis=1),
        "macro-auroc": np.mean(
            [one_vs_rest_auroc(fold.truth == one, fold.probability[:, one], weights) for one in scored], axis=0
        ),
    }


def _confusion(fold: Fold, n_classes: int, weights: Weights) -> Values:
    """Return (n_replicates × truth × predicted) weighted numbers of cells."""
    full = np.zeros((len(weights), n_classes, n_classes))
    rows, columns = np.unique(fold.truth), np.unique(fold.predicted)
    full[:, rows[:, None], columns] = contingency(fold.truth, fold.predicted, weights).cells
    return full


def one_vs_rest_auroc(positive: NDArray[np.bool_], score: NDArray[np.float64], weights: Weights) -> Values:
    """Area under the ROC curve: the chance that a positive scores above a negative, ties counting half.

    Parameters
    ----------
    positive, score
        (n,) each.
    weights
        (n_replicates × n).

    Returns
    -------
    (n_replicates,).
    """
    order = np.argsort(score, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(score[order]) != 0])
    ordered, is_positive = weights[:, order].astype(np.float64), positive[order]
    positives = np.add.reduceat(ordered * is_positive, starts, axis=1)
    negatives = np.add.reduceat(ordered * ~is_positive, starts, axis=1)
    below = np.cumsum(negatives, axis=1) - negatives
    wins = (positives * (below + negatives / 2)).sum(axis=1)
    return np.asarray(wins / (positives.sum(axis=1) * negatives.sum(axis=1)))


def _divide(top: Values, bottom: Values) -> Values:
    """Return ``top / bottom``, and 0 where nothing was predicted or present."""
    return np.divide(top, bottom, out=np.zeros_like(top), where=bottom > 0)
