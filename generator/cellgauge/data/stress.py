"""Worse data on purpose: what a model is shown under a stress condition."""

from __future__ import annotations

import anndata as ad
import numpy as np
from scipy import sparse

from cellgauge.cards.task import Stress

_COUNTS_EACH = 2**24


def why_not(stress: Stress, values: str) -> str | None:
    """Say why a condition cannot be made from values of this kind; None where it can."""
    if stress.kind == "thin-counts" and values != "counts":
        return f"only counts can be thinned, and the dataset has {values} values"
    return None


def stressed(adata: ad.AnnData, stress: Stress, rng: np.random.Generator) -> ad.AnnData:
    """Return cells as they would have been seen with fewer reads, or with fewer genes.

    thin-counts
        Each count x becomes a binomial variable of x trials with probability ``keep``: as if each molecule had been
        sequenced with that probability.
    drop-genes
        A random share ``keep`` of the genes stays, in their order, at least one; which, is the same for all cells.

    Parameters
    ----------
    adata
        (n_cells × n_genes); for thin-counts, ``X`` holds counts. It is not changed.

    Raises
    ------
    ValueError
        When counts are to be thinned that are none.
    """
    if stress.kind == "drop-genes":
        n_kept = max(1, round(stress.keep * adata.n_vars))
        kept = np.sort(rng.choice(adata.n_vars, size=n_kept, replace=False))
        return adata[:, kept].copy()
    if why := why_not(stress, adata.uns["values"]):
        raise ValueError(why)
    out = adata.copy()
    matrix = sparse.csr_matrix(out.X)
    whole = matrix.data.astype(np.int64)
    thinned = np.empty(len(whole), dtype=matrix.data.dtype)
    for start in range(0, len(whole), _COUNTS_EACH):
        chunk = slice(start, start + _COUNTS_EACH)
        thinned[chunk] = rng.binomial(whole[chunk], stress.keep)
    matrix.data = thinned
    matrix.eliminate_zeros()
    out.X = matrix if sparse.issparse(adata.X) else matrix.toarray()
    return out
