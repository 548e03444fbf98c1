"""Embeddings that are told which cells belong together: batches, or species."""

from __future__ import annotations

from typing import Any

import anndata as ad
import numpy as np
from numpy.typing import NDArray

from cellgauge.models.linear import log_normalised, pca


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
