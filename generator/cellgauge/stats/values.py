"""What may be computed with: finite numbers, and how far apart two that are equal may lie."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

ROUNDING = 4 * float(np.finfo(np.float32).eps)
"""Equal scores may lie this far apart, as a share of the largest of them.

Replicates are stored as 32-bit numbers. A spread below that is no spread, and dividing by it would make a p-value out
of rounding errors.
"""


def finite(values: ArrayLike, name: str, n_dimensions: int) -> NDArray[np.float64]:
    """Return ``values`` as an array of doubles.

    Raises
    ------
    ValueError
        For another number of dimensions, an empty array, NaN or infinity: each of them would pass through
        a mean or a quantile and come out as an answer.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != n_dimensions or not array.size:
        raise ValueError(f"{name}: expected {n_dimensions} dimensions, none of them empty, found shape {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name}: expected finite numbers, found NaN or infinity")
    return array


def rounding(*arrays: ArrayLike) -> float:
    """Return how far apart equal scores of this size may lie, see `ROUNDING`."""
    return ROUNDING * max(float(np.max(np.abs(np.asarray(array, dtype=np.float64)), initial=0.0)) for array in arrays)
