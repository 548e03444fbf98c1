"""Agreement of two partitions, for many weightings of the cells at once.

Everything follows from the contingency table of the two partitions; a table per weighting is one
sparse product. Checked against scikit-learn, which scores one weighting at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Tables:
    """Contingency tables of two partitions, one for each weighting of the cells."""

    cells: Values
    """(n_replicates × n_classes × n_clusters) sums of weights."""
    squares: Values
    """The same shape: sums of squared weights."""

    def pairs(self, *summed: int) -> Values:
        """Count pairs of distinct cells in each entry, after summing over the given axes.

        ``((Σw)² − Σw²) / 2``: a cell that was drawn twice is no pair with itself. Counting such pairs
        would raise the agreement of any resample, and put a chance result above chance.
        """
        return np.asarray((self.cells.sum(axis=summed) ** 2 - self.squares.sum(axis=summed)) / 2)


def contingency(classes: NDArray[Any], clusters: NDArray[Any], weights: NDArray[np.floating[Any]]) -> Tables:
    """Count cells by class and cluster under each row of ``weights`` (n_replicates × n_cells)."""
    class_names, class_codes = np.unique(classes, return_inverse=True)
    cluster_names, cluster_codes = np.unique(clusters, return_inverse=True)
    shape = (len(weights), len(class_names), len(cluster_names))
    entry, position = class_codes * shape[2] + cluster_codes, np.arange(len(class_codes))
    ones = np.ones(len(entry), dtype=np.float32)
    membership = sparse.csr_matrix((ones, (entry, position)), shape=(shape[1] * shape[2], len(entry)))
    transposed = np.ascontiguousarray(weights.T, dtype=np.float32)
    cells, squares = (membership @ one for one in (transposed, transposed**2))
    return Tables(*(np.asarray(one.T, dtype=np.float64).reshape(shape) for one in (cells, squares)))


def adjusted_rand(tables: Tables) -> Values:
    """Adjusted Rand index of each table (Hubert and Arabie 1985); 1 where both partitions are trivial."""
    together = tables.pairs().sum(axis=(1, 2))
    in_classes = tables.pairs(2).sum(axis=1)
    in_clusters = tables.pairs(1).sum(axis=1)
    expected = in_classes * in_clusters / tables.pairs(1, 2)
    greatest = (in_classes + in_clusters) / 2
    return _ratio(together - expected, greatest - expected)


def information(tables: Tables) -> dict[str, Values]:
    """Homogeneity, completeness and their harmonic mean (Rosenberg and Hirschberg 2007).

    The harmonic mean equals mutual information normalised by the arithmetic mean of the entropies.
    """
    cells = tables.cells
    total = cells.sum(axis=(1, 2))
    h_class = _entropy(cells.sum(axis=2), total)
    h_cluster = _entropy(cells.sum(axis=1), total)
    h_both = _entropy(cells.reshape(len(cells), -1), total)
    mutual = np.maximum(h_class + h_cluster - h_both, 0)
    return {
        "normalized-mutual-information": _ratio(2 * mutual, h_class + h_cluster),
        "homogeneity": _ratio(mutual, h_class),
        "completeness": _ratio(mutual, h_cluster),
    }


def _entropy(counts: Values, total: Values) -> Values:
    shares = counts / total[:, None]
    logs = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
    return np.asarray(-(shares * logs).sum(axis=1))


def _ratio(top: Values, bottom: Values) -> Values:
    """Return ``top / bottom``, and 1 where ``bottom`` vanishes: two trivial partitions agree."""
    trivial = np.abs(bottom) < 1e-12
    return np.where(trivial, 1.0, top / np.where(trivial, 1.0, bottom))
