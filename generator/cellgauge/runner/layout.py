"""Two dimensions for an embedding by t-SNE (van der Maaten and Hinton 2008), for pictures alone: no score uses them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

PERPLEXITY = 30.0
"""How many neighbours a cell minds, about; less where there are few cells."""
MOST_DIMENSIONS = 50
"""Embeddings of more dimensions are reduced to as many principal components first."""


def plane_layout(embedding: NDArray[np.floating[Any]], rng: np.random.Generator) -> NDArray[np.float64]:
    """Place cells in the plane so that neighbours in an embedding are neighbours there.

    scikit-learn's Barnes-Hut t-SNE, started from the first two principal components, which keeps more of the coarse
    arrangement than a random start (Kobak and Linderman 2021), on one thread: the same generator gives the same places.

    Parameters
    ----------
    embedding
        (n_cells × n_dimensions), finite.

    Returns
    -------
    (n_cells × 2)
    """
    n_cells = len(embedding)
    largest = float(np.abs(embedding).max(initial=0)) or 1.0
    scaled = np.asarray(embedding, dtype=np.float64) / largest  # so that no square overflows
    if n_cells < 3 or not np.ptp(scaled, axis=0).any():
        # Nothing to arrange: in a row, or all in one place.
        return np.stack([np.linalg.norm(scaled - scaled[:1], axis=1), np.zeros(n_cells)], axis=1)
    seed = int(rng.integers(2**31))
    wide = np.pad(scaled, ((0, 0), (0, max(0, 2 - scaled.shape[1]))))
    with threadpool_limits(1):
        if wide.shape[1] > MOST_DIMENSIONS:
            wide = PCA(min(MOST_DIMENSIONS, n_cells), random_state=seed).fit_transform(wide)
        perplexity = min(PERPLEXITY, (n_cells - 1) / 3)
        placed = TSNE(init="pca", perplexity=perplexity, random_state=seed, n_jobs=1).fit_transform(wide)
    return np.asarray(placed, dtype=np.float64)
