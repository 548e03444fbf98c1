"""Silhouettes of single cells: by cell type, and by batch within each type."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import pairwise_distances_chunked, silhouette_samples

Embedding = NDArray[np.floating[Any]]
Codes = NDArray[np.intp]
Values = NDArray[np.float64]


def label_silhouettes(embedding: Embedding, labels: Codes) -> Values:
    """Return each cell's silhouette by label (Rousseeuw 1987), euclidean, rescaled as (s + 1) / 2, (n_cells,).

    Parameters
    ----------
    labels
        (n_cells,) codes of at least two labels, and of fewer than there are cells.
    """
    return np.asarray((silhouette_samples(embedding, labels) + 1) / 2, dtype=np.float64)


def batch_silhouettes(embedding: Embedding, labels: Codes, batches: Codes) -> Values:
    """Return 1 − |s| for each cell, with s its silhouette by batch among the cells of its label (Luecken et al. 2022).

    Returns
    -------
    (n_cells,); NaN for labels that only one batch has, and for those of which every cell has a batch of its own.
    """
    values = np.full(len(labels), np.nan)
    for members in mixed_labels(labels, batches):
        values[members] = 1 - np.abs(silhouette_samples(embedding[members], batches[members]))
    return values


def bras(embedding: Embedding, labels: Codes, batches: Codes) -> Values:
    """Return the batch silhouette with cosine distances, to all other batches and not to the nearest alone.

    BRAS of Rautenstrauch and Ohler 2025 (doi:10.1038/s41587-025-02743-4), in the form "mean other".

    Returns
    -------
    (n_cells,); NaN as in ``batch_silhouettes``.
    """
    values = np.full(len(labels), np.nan)
    for members in mixed_labels(labels, batches):
        values[members] = 1 - np.abs(_against_all_others(embedding[members], batches[members]))
    return values


def mixed_labels(labels: Codes, batches: Codes) -> list[NDArray[np.intp]]:
    """Return the positions of the cells of each label that can be compared by batch.

    Left out are labels in one batch only, and those of which every cell has a batch of its own.
    """
    groups = (np.flatnonzero(labels == label) for label in np.unique(labels))
    return [members for members in groups if 1 < len(np.unique(batches[members])) < len(members)]


def _against_all_others(embedding: Embedding, batches: Codes) -> Values:
    """Return (b − a) / max(a, b): a within the cell's batch, b to all cells outside it; 0 for the only cell of one."""
    names, codes = np.unique(batches, return_inverse=True)
    sizes, members = np.bincount(codes), np.eye(len(names))[codes]

    def by_batch(distances: NDArray[np.floating[Any]], start: int) -> Values:
        return np.asarray(distances.astype(np.float64) @ members)

    sums = np.concatenate(list(pairwise_distances_chunked(embedding, metric="cosine", reduce_func=by_batch)))
    own = sums[np.arange(len(codes)), codes]
    alone = sizes[codes] == 1
    within = own / np.where(alone, 1, sizes[codes] - 1)
    outside = (sums.sum(axis=1) - own) / (len(codes) - sizes[codes])
    larger = np.maximum(within, outside)
    return np.asarray(np.divide(outside - within, larger, out=np.zeros(len(codes)), where=~alone & (larger > 0)))
