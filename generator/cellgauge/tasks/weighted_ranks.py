"""Rank correlation for many weightings of the units at once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cellgauge.tasks.contract import Weights

Values = NDArray[np.float64]


def spearman(one: NDArray[Any], other: NDArray[Any], weights: Weights) -> Values:
    """Return Spearman's rank correlation under each weighting: what unit i, repeated w_i times, would give.

    Tied values take the middle of their ranks (Spearman 1904).

    Parameters
    ----------
    one, other
        (n_units,) each.
    weights
        (n_replicates × n_units).

    Returns
    -------
    (n_replicates,); NaN where all values of either are equal.
    """
    weight = weights.astype(np.float64)
    return correlation(midranks(one, weight), midranks(other, weight), weight)


def midranks(values: NDArray[Any], weights: Values) -> Values:
    """Return each unit's middle rank under each weighting, (n_replicates × n_units)."""
    names, codes = np.unique(values, return_inverse=True)
    total = np.zeros((len(weights), len(names)))
    order = np.argsort(codes, kind="stable")
    starts = np.searchsorted(codes[order], np.arange(len(names)))
    total = np.add.reduceat(weights[:, order], starts, axis=1)
    middle = np.cumsum(total, axis=1) - (total - 1) / 2
    return np.asarray(middle[:, codes])


def correlation(one: Values, other: Values, weights: Values) -> Values:
    """Return Pearson's correlation of each row of ``one`` with that of ``other`` under that row of ``weights``."""
    total = weights.sum(axis=1, keepdims=True)
    deviations = [values - (weights * values).sum(axis=1, keepdims=True) / total for values in (one, other)]
    a, b = deviations
    product = np.sqrt((weights * a * a).sum(axis=1) * (weights * b * b).sum(axis=1))
    # A spread that is only rounding is none.
    least = 1e-12 * total[:, 0] * np.maximum(1.0, np.abs(one).max(axis=1) * np.abs(other).max(axis=1))
    together = (weights * a * b).sum(axis=1)
    return np.asarray(np.divide(together, product, out=np.full(len(together), np.nan), where=product > least))
