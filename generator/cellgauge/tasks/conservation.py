"""What an integration should leave as it was: types in one piece, and types that few batches have."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from cellgauge.tasks.contract import Weights

Codes = NDArray[np.intp]
Values = NDArray[np.float64]


def pieces(neighbours: NDArray[np.intp], labels: Codes) -> Codes:
    """Return the piece of the neighbour graph that each cell lies in, (n_cells,) codes.

    The graph is directed, from each cell to its nearest others, without edges between labels. In a piece, every cell
    can be reached from every other.

    Parameters
    ----------
    neighbours
        (n_cells × k) positions.
    """
    n_cells, k = neighbours.shape
    ends = neighbours.ravel()
    starts = np.repeat(np.arange(n_cells), k)
    inside = labels[starts] == labels[ends]
    graph = sparse.csr_matrix((np.ones(inside.sum()), (starts[inside], ends[inside])), shape=(n_cells, n_cells))
    return np.asarray(connected_components(graph, connection="strong")[1], dtype=np.intp)


def connectivity_by_label(piece: Codes, labels: Codes, weights: Weights) -> Values:
    """Return the share of each label's cells that its largest piece holds (graph connectivity; Luecken et al. 2022).

    Under weights the largest piece is the one with the greatest weight, so that the order of cells, which
    decides between equal pieces, makes no difference.

    Parameters
    ----------
    piece
        (n_cells,) codes 0, 1, …; a piece has cells of one label.
    labels
        (n_cells,) codes 0, 1, …
    weights
        (n_replicates × n_cells).

    Returns
    -------
    (n_labels × n_replicates); NaN where the weights leave no cell of a label.
    """
    n_pieces = int(piece.max()) + 1
    names, by_label = np.unique(labels * n_pieces + piece, return_inverse=True)
    membership = sparse.csr_matrix((np.ones(len(labels)), (by_label, np.arange(len(labels)))))
    sizes = membership @ weights.T.astype(np.float64)
    starts = np.flatnonzero(np.r_[True, np.diff(names // n_pieces) != 0])
    total = np.add.reduceat(sizes, starts, axis=0)
    largest = np.maximum.reduceat(sizes, starts, axis=0)
    return np.asarray(np.divide(largest, total, out=np.full(total.shape, np.nan), where=total > 0))


def isolated_labels(labels: Codes, batches: NDArray[Any]) -> Codes:
    """Return the codes of the labels that occur in the smallest number of batches (Luecken et al. 2022)."""
    names = np.unique(labels)
    n_batches = np.array([len(np.unique(batches[labels == label])) for label in names])
    return np.asarray(names[n_batches == n_batches.min()])
