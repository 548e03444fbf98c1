"""Nearest neighbours, exact."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors


def nearest(embedding: NDArray[np.floating[Any]], k: int) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Return each cell's ``k`` nearest other cells and their euclidean distances, both (n_cells × k).

    Exact (brute force), since the result of approximate search changes with its library's version.
    A cell is never its own neighbour, also where cells coincide.
    """
    distances, indices = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(embedding).kneighbors()
    return indices, distances.astype(np.float32)
