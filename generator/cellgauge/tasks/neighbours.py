"""Nearest neighbours, exact."""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors

Neighbours = tuple[NDArray[np.intp], NDArray[np.float32]]

_AT_LEAST = 15
"""How many are found in any case: what tasks commonly ask for, so that one search serves several."""
_last: tuple[weakref.ref[Any], int, Neighbours] | None = None
"""The embedding that was searched last, for how many neighbours, and what was found."""


def nearest(embedding: NDArray[np.floating[Any]], k: int) -> Neighbours:
    """Return each cell's ``k`` nearest other cells and their euclidean distances, both (n_cells × k).

    Exact (brute force), since the result of approximate search changes with its library's version.
    A cell is never its own neighbour, also where cells coincide. The search of the embedding that was asked about last
    is remembered; an embedding must not be changed in place between calls.
    """
    global _last
    if _last is None or _last[0]() is not embedding or _last[1] < k:
        searched = min(max(k, _AT_LEAST), len(embedding) - 1)
        distances, indices = NearestNeighbors(n_neighbors=searched, algorithm="brute").fit(embedding).kneighbors()
        _last = (weakref.ref(embedding), searched, (indices, distances.astype(np.float32)))
    indices, distances = _last[2]
    return indices[:, :k], distances[:, :k]
