"""Counts of the small blood set inside scanpy, recovered from its log-normalised values.

``scanpy.datasets.pbmc68k_reduced()`` holds, in ``raw``, x = log(1 + 10,000 · c / n), rounded to three decimals, for
counts c and each cell's total n over all genes. The smallest non-zero value of a cell is that of a single count, so
that c = (eˣ − 1) / min(eˣ − 1). The totals in ``obs["n_counts"]`` are not needed for that and give the same counts.
"""

from __future__ import annotations

import warnings

import anndata as ad
import numpy as np
import scanpy as sc
from scipy import sparse

from cellgauge.cards.problems import UserError

LARGEST_DEVIATION = 0.15
"""Of a recovered count from a whole number. Three decimals of a logarithm leave at most 0.12."""

_TEXT = ("bulk_labels", "phase", "louvain")


def pbmc68k_reduced() -> ad.AnnData:
    """Return scanpy's 700 blood cells with counts, in scanpy's order of cells and genes.

    Returns
    -------
    (700 × 765): ``layers["counts"]``, and in X the log-normalised values that scanpy ships. In obs: ``bulk_labels``,
    ``phase``, ``louvain``, and ``total_counts`` over all genes and not only over these 765.

    Raises
    ------
    UserError
        When scanpy's file has changed, so that there are no counts to be recovered.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scanpy ships the file in an old format
        shipped = sc.datasets.pbmc68k_reduced()
    if shipped.raw is None or not {*_TEXT, "n_counts"} <= set(shipped.obs):
        expected = ", ".join((*_TEXT, "n_counts"))
        raise UserError(f"scanpy's pbmc68k_reduced has changed: expected raw, and in obs {expected}")
    values = sparse.csr_matrix(shipped.raw.X, dtype=np.float64)
    obs = shipped.obs[list(_TEXT)].astype(str).astype(object)
    obs["total_counts"] = shipped.obs["n_counts"].to_numpy(dtype=np.float64)
    adata = ad.AnnData(values.astype(np.float32), obs=obs, var=shipped.raw.var[[]])
    adata.layers["counts"] = recovered_counts(values)
    return adata


def recovered_counts(log_normalised: sparse.csr_matrix) -> sparse.csr_matrix:
    """Return the counts behind values of the form log(1 + s·c), where the scale s differs from cell to cell.

    Parameters
    ----------
    log_normalised
        (n_cells × n_genes). Each cell has a gene with a single count; else its counts come out too small.

    Raises
    ------
    UserError
        When a count is not a whole number to within ``LARGEST_DEVIATION``.
    """
    matrix = sparse.csr_matrix(log_normalised, dtype=np.float64, copy=True)
    matrix.eliminate_zeros()
    sizes = np.diff(matrix.indptr)
    scaled = np.expm1(matrix.data)
    smallest = np.minimum.reduceat(scaled, matrix.indptr[:-1][sizes > 0])
    counts = scaled / np.repeat(smallest, sizes[sizes > 0])
    matrix.data = np.rint(counts)
    deviation = float(np.abs(counts - matrix.data).max(initial=0))
    if deviation > LARGEST_DEVIATION:
        raise UserError(f"expected whole numbers to within {LARGEST_DEVIATION}, found one that is {deviation:.2f} off")
    return matrix.astype(np.float32)
