"""Simple embeddings of expression: what a cell model has to beat."""

from __future__ import annotations

import warnings
from typing import Any

import anndata as ad
import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.decomposition import NMF, PCA, TruncatedSVD
from sklearn.exceptions import ConvergenceWarning


def log_normalised(adata: ad.AnnData) -> ad.AnnData:
    """Return the cells scaled to 10,000 counts each and log(1 + x) transformed; values that are no counts stay.

    Parameters
    ----------
    adata
        With ``uns["values"]`` saying what ``X`` holds, such as "counts".
    """
    if adata.uns["values"] != "counts":
        return adata
    import scanpy as sc  # here, since it takes seconds and who scores an embedding alone does without

    scaled = adata.copy()
    sc.pp.normalize_total(scaled, target_sum=1e4)
    sc.pp.log1p(scaled)
    return scaled


def variable_genes(adata: ad.AnnData, n_top_genes: int) -> NDArray[np.bool_]:
    """Say which genes vary most (scanpy, flavor "seurat"), (n_genes); all when there are no more than asked for.

    That choice is defined for expression; scaled and continuous values are used as a whole.

    Parameters
    ----------
    adata
        What ``log_normalised`` returns.
    """
    if adata.n_vars <= n_top_genes or adata.uns["values"] in ("scaled", "continuous"):
        return np.ones(adata.n_vars, dtype=bool)
    import scanpy as sc

    found = sc.pp.highly_variable_genes(adata, n_top_genes=n_top_genes, flavor="seurat", inplace=False)
    return np.asarray(found["highly_variable"], dtype=bool)


def _dense(matrix: Any) -> NDArray[np.float32]:
    return np.asarray(matrix.toarray() if sparse.issparse(matrix) else matrix, dtype=np.float32)


def pca(adata: ad.AnnData, *, seed: int, n_components: int, n_top_genes: int) -> NDArray[np.float32]:
    """Principal components of log-normalised highly variable genes.

    Solved exactly, so that the seed makes no difference: from the covariance matrix where cells are more than genes.

    Returns
    -------
    (n_cells × n_components); fewer components where cells or genes are fewer.
    """
    logged = log_normalised(adata)
    genes = logged.X[:, variable_genes(logged, n_top_genes)]
    components = min(n_components, genes.shape[0] - 1, genes.shape[1])
    exact = "covariance_eigh" if genes.shape[0] > genes.shape[1] else "full"
    solver = PCA(n_components=components, svd_solver=exact, random_state=seed)
    return np.asarray(solver.fit_transform(_dense(genes).astype(np.float64)), dtype=np.float32)


def raw_expression(adata: ad.AnnData, *, seed: int) -> NDArray[np.float32]:
    """Log-normalised expression of every gene, (n_cells × n_genes): no model at all. The seed is not used."""
    return _dense(log_normalised(adata).X)


def truncated_svd(adata: ad.AnnData, *, seed: int, n_components: int) -> NDArray[np.float32]:
    """Leading singular vectors of uncentred log-normalised expression, (n_cells × n_components).

    Randomised solver of Halko et al. 2011 (doi:10.1137/090771806), as in scikit-learn.
    """
    matrix = log_normalised(adata).X
    solver = TruncatedSVD(n_components=min(n_components, matrix.shape[1] - 1), random_state=seed)
    return np.asarray(solver.fit_transform(matrix), dtype=np.float32)


def nmf(adata: ad.AnnData, *, seed: int, n_components: int, max_iterations: int) -> NDArray[np.float32]:
    """Weights of non-negative factors of log-normalised expression, (n_cells × n_components).

    Coordinate descent from a seeded random start (scikit-learn), stopped after ``max_iterations``.
    """
    matrix = log_normalised(adata).X
    solver = NMF(n_components=n_components, init="random", random_state=seed, max_iter=max_iterations)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the card says that iterations are limited
        return np.asarray(solver.fit_transform(matrix), dtype=np.float32)
