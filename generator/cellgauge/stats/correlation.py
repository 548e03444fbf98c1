"""Correlation of orders, with ties."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cellgauge.stats.resampling import Floats
from cellgauge.stats.values import finite


def mid_ranks(values: Floats) -> NDArray[np.float64]:
    """Return ranks from 1 for the smallest value; equal values share the mean of their ranks (Kendall 1945)."""
    values = finite(values, "values", 1)
    below = (values[:, None] > values).sum(axis=1)
    equal = (values[:, None] == values).sum(axis=1)
    return np.asarray(below + (equal + 1) / 2)


def spearman(one: Floats, other: Floats) -> float | None:
    """Return Spearman's correlation, Pearson's of mid-ranks (Spearman 1904); None where all values of one are equal."""
    _check_lengths(one, other)
    x, y = mid_ranks(one), mid_ranks(other)
    x, y = x - x.mean(), y - y.mean()
    return _ratio(float(x @ y), float(x @ x), float(y @ y))


def kendall(one: Floats, other: Floats) -> float | None:
    """Return Kendall's τ_b, ``(concordant − discordant) / √(pairs untied in one · pairs untied in the other)``.

    Kendall (1945); None where all values of one are equal.
    """
    _check_lengths(one, other)
    x, y = finite(one, "one", 1), finite(other, "other", 1)
    signs, others = np.sign(x[:, None] - x), np.sign(y[:, None] - y)
    return _ratio(float(np.sum(signs * others)), float(np.sum(signs**2)), float(np.sum(others**2)))


def _check_lengths(one: Floats, other: Floats) -> None:
    if len(one) != len(other):
        raise ValueError(f"{len(one)} and {len(other)} values cannot be correlated")


def _ratio(top: float, square: float, other: float) -> float | None:
    return top / float(np.sqrt(square * other)) if square * other > 0 else None
