"""Embeddings that are told which cells belong together: batches, or species."""

from __future__ import annotations

from contextlib import redirect_stdout
from io import StringIO
from typing import Any

import anndata as ad
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from cellgauge.models.linear import log_normalised, pca, variable_genes

_NEIGHBOURS_OF_SCANORAMA = 20
"""What its authors chose."""


def harmony(adata: ad.AnnData, *, seed: int, by: str, n_components: int, n_top_genes: int) -> NDArray[np.float32]:
    """Principal components, moved so that batches overlap within soft clusters (Korsunsky et al. 2019).

    As in harmonypy, by the authors' group (doi:10.1038/s41592-019-0619-0), on one thread.

    Parameters
    ----------
    by
        Column of obs with the batches.

    Returns
    -------
    (n_cells × n_components).
    """
    import harmonypy

    components = pca(adata, seed=seed, n_components=n_components, n_top_genes=n_top_genes)
    obs = adata.obs[[by]].astype(str)
    found: Any = harmonypy.run_harmony(components, obs, by, random_state=seed, ncores=1, verbose=False)
    corrected = np.asarray(found.Z_corr, dtype=np.float32)
    return corrected if corrected.shape == components.shape else corrected.T


def scanorama(adata: ad.AnnData, *, seed: int, by: str, n_components: int, n_top_genes: int) -> NDArray[np.float32]:
    """Singular vectors of expression, moved towards mutual neighbours in other batches (Hie et al. 2019).

    As in the authors' package scanorama (doi:10.1038/s41587-019-0113-3), but for neighbours, which are exact: the
    approximate ones depend on how many processors there are.

    Parameters
    ----------
    by
        Column of obs with the batches.

    Returns
    -------
    (n_cells × n_components); fewer components where cells or genes are fewer.
    """
    from scanorama import integrate

    logged = log_normalised(adata)
    genes = sparse.csr_matrix(logged.X[:, variable_genes(logged, n_top_genes)], dtype=np.float64)
    batches = adata.obs[by].to_numpy(dtype=str)
    cells = sorted((np.flatnonzero(batches == one) for one in np.unique(batches)), key=len, reverse=True)
    # Each batch is compared with all before it and with all after it, where there have to be enough cells: with the
    # two largest at the ends there are, however small the others.
    cells = [*cells[:1], *cells[2:], *cells[1:2]]
    with redirect_stdout(StringIO()):  # it counts the genes aloud, whatever it is told
        parts, _ = integrate(
            [genes[rows] for rows in cells],
            [[str(gene) for gene in range(genes.shape[1])]] * len(cells),
            dimred=n_components,
            knn=min(_NEIGHBOURS_OF_SCANORAMA, len(cells[0]), len(cells[-1])),
            approx=False,
            verbose=False,
            seed=seed,
        )
    out = np.empty((adata.n_obs, parts[0].shape[1]), dtype=np.float32)
    for rows, part in zip(cells, parts, strict=True):
        out[rows] = part
    return out


def centred_pca(adata: ad.AnnData, *, seed: int, by: str, n_components: int, n_top_genes: int) -> NDArray[np.float32]:
    """Principal components of expression from which the mean of each batch was taken; the simplest of corrections.

    Each gene is also divided by its standard deviation within the batch, so that a batch in which it varies more does
    not weigh more. Where batches hold different cell types, the difference between these types is lost with them.

    Parameters
    ----------
    by
        Column of obs with the batches.

    Returns
    -------
    (n_cells × n_components).
    """
    logged = log_normalised(adata)
    matrix = logged.X
    centred = np.array(matrix.toarray() if hasattr(matrix, "toarray") else matrix, dtype=np.float64)
    batches = adata.obs[by].to_numpy(dtype=str)
    for batch in np.unique(batches):
        rows = batches == batch
        spread = centred[rows].std(axis=0)
        centred[rows] = (centred[rows] - centred[rows].mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    # No genes are left out by their variance: all of them vary alike now.
    shown = ad.AnnData(centred, uns={"values": "scaled"})
    return pca(shown, seed=seed, n_components=n_components, n_top_genes=n_top_genes)
