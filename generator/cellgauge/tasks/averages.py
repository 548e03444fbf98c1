"""Averages of values that each cell has, for many weightings of the cells at once.

Checked against numpy, which averages one weighting at a time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from cellgauge.tasks.contract import Weights
from cellgauge.tasks.folds import mean_of_present

Values = NDArray[np.float64]


def weighted_mean(values: Values, weights: Weights) -> Values:
    """Return the mean over cells under each weighting, (n_replicates,); NaN where the weights leave no cell."""
    return np.asarray(mean_by_group(values, np.zeros(len(values), dtype=np.intp), weights)[0])


def mean_by_group(values: Values, groups: NDArray[np.intp], weights: Weights) -> Values:
    """Return the mean of each group under each weighting.

    Parameters
    ----------
    values
        (n_cells,); cells whose value is NaN take no part.
    groups
        (n_cells,) codes 0, 1, …
    weights
        (n_replicates × n_cells).

    Returns
    -------
    (n_groups × n_replicates); NaN where the weights leave no cell of a group.
    """
    taking_part = np.flatnonzero(np.isfinite(values))
    entries, shape = (groups[taking_part], taking_part), (int(groups.max()) + 1, len(values))
    transposed = weights.T.astype(np.float64)
    totals = sparse.csr_matrix((values[taking_part], entries), shape=shape) @ transposed
    present = sparse.csr_matrix((np.ones(len(taking_part)), entries), shape=shape) @ transposed
    return np.asarray(np.divide(totals, present, out=np.full(present.shape, np.nan), where=present > 0))


def mean_over_groups(values: Values, groups: NDArray[np.intp], weights: Weights) -> Values:
    """Return the mean over the groups' means, each counted once, (n_replicates,).

    A group of which the weights leave nothing has no part in it.
    """
    return mean_of_present(mean_by_group(values, groups, weights))


def weighted_median(values: NDArray[np.floating[Any]], weights: Weights) -> Values:
    """Return the median over cells under each weighting, (n_replicates,); NaN where the weights leave no cell.

    With whole weights it is the median of cells repeated as often: where half of the weight lies below a gap
    between two values, it is the middle of the gap.
    """
    order = np.argsort(values, kind="stable")
    ordered = np.append(values[order].astype(np.float64), np.nan)
    cumulated = np.cumsum(weights[:, order], axis=1, dtype=np.float64)
    half = cumulated[:, -1:] / 2
    # The first value with half of the weight at or below it, and the first with more than half.
    lower, upper = (cumulated < half).sum(axis=1), (cumulated <= half).sum(axis=1)
    return np.asarray((ordered[lower] + ordered[upper]) / 2)
