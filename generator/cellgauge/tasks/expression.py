"""How much of a space's variance the batches explain, and the space of expression to compare an embedding with."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cellgauge.data.dataset import Dataset
from cellgauge.models.linear import pca
from cellgauge.tasks.contract import Weights

Codes = NDArray[np.intp]
Values = NDArray[np.float64]

_kept: dict[tuple[str, str, int, int], NDArray[np.float32]] = {}
"""The components of the dataset used last: every model and every seed is compared with the same."""


def expression_components(dataset: Dataset, n_components: int, n_top_genes: int) -> NDArray[np.float32]:
    """Return principal components of a dataset's expression, (n_cells × n_components), as the baseline ``pca`` does.

    Log-normalised expression of the most variable genes is what scib compares with (Luecken et al. 2022). Over all
    genes, most of the variance would be noise of single genes, which no embedding keeps.
    """
    key = (dataset.digest, dataset.card.matrix.values, n_components, n_top_genes)
    if key not in _kept:
        components = pca(dataset.for_model([]), seed=0, n_components=n_components, n_top_genes=n_top_genes)
        _kept.clear()
        _kept[key] = components
    return _kept[key]


def explained_by_batch(space: NDArray[np.floating[Any]], batches: Codes, weights: Weights) -> Values:
    """Return the share of a space's variance that lies between batches, under each weighting.

    Principal component regression (Büttner et al. 2019) with all components: each component's R², weighted by its
    variance. Written out, that is the sum of squares between batches over the total sum of squares, which needs no
    components, for neither changes with a rotation.

    Parameters
    ----------
    space
        (n_cells × n_dimensions).
    batches
        (n_cells,) codes.
    weights
        (n_replicates × n_cells).

    Returns
    -------
    (n_replicates,); NaN where nothing varies.
    """
    # Centred first: sums of squares of numbers far from zero would lose their digits.
    centred = space.astype(np.float64) - space.mean(axis=0, dtype=np.float64)
    counts = weights.astype(np.float64)
    size = counts.sum(axis=1)
    overall = counts @ centred / size[:, None]
    between = -size * (overall**2).sum(axis=1)
    for batch in np.unique(batches):
        members = batches == batch
        in_batch = counts[:, members].sum(axis=1)
        sums = counts[:, members] @ centred[members]
        squares = (sums**2).sum(axis=1)
        between += np.divide(squares, in_batch, out=np.zeros(len(squares)), where=in_batch > 0)
    total = counts @ (centred**2).sum(axis=1) - size * (overall**2).sum(axis=1)
    rounding = size * (np.finfo(np.float32).eps * np.abs(space).max(initial=0)) ** 2
    return np.asarray(np.divide(between, total, out=np.full(len(total), np.nan), where=total > rounding))
