"""Variational autoencoders of counts, trained on the very cells that are embedded (scvi-tools)."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import anndata as ad
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from cellgauge.models.linear import log_normalised, variable_genes


def scvi(
    adata: ad.AnnData,
    *,
    seed: int,
    n_latent: int,
    n_layers: int,
    gene_likelihood: str,
    n_top_genes: int,
    by: str | None = None,
) -> NDArray[np.float32]:
    """Means of the latent variables of scVI (Lopez et al. 2018, doi:10.1038/s41592-018-0229-2).

    Parameters
    ----------
    adata
        With counts in ``X``.
    n_layers
        Hidden layers of the encoder, and of the decoder.
    gene_likelihood
        Distribution of counts: "nb" or "zinb".
    by
        Column of obs with the batches that encoder and decoder are told; None: they are told nothing.

    Returns
    -------
    (n_cells × n_latent).
    """
    from scvi.model import SCVI

    cells = _counts(adata, by, n_top_genes)
    with _seeded_and_quiet(seed):
        SCVI.setup_anndata(cells, batch_key=by)
        model = SCVI(cells, n_latent=n_latent, n_layers=n_layers, gene_likelihood=gene_likelihood)
        return _means_of_trained(model)


def linear_scvi(
    adata: ad.AnnData, *, seed: int, n_latent: int, learning_rate: float, n_top_genes: int, by: str | None = None
) -> NDArray[np.float32]:
    """Means of the latent variables of scVI with a linear decoder (Svensson et al. 2020).

    That is LDVAE (doi:10.1093/bioinformatics/btaa169): each latent variable stands for one weight per gene.

    Parameters
    ----------
    adata
        With counts in ``X``.
    by
        Column of obs with the batches that the decoder is told; None: it is told nothing.

    Returns
    -------
    (n_cells × n_latent).
    """
    from scvi.model import LinearSCVI

    cells = _counts(adata, by, n_top_genes)
    with _seeded_and_quiet(seed):
        LinearSCVI.setup_anndata(cells, batch_key=by)
        return _means_of_trained(LinearSCVI(cells, n_latent=n_latent), lr=learning_rate)


def _counts(adata: ad.AnnData, by: str | None, n_top_genes: int) -> ad.AnnData:
    """Return the counts of the genes that PCA would choose, and nothing else but the batches."""
    chosen = variable_genes(log_normalised(adata), n_top_genes)
    obs = adata.obs[[] if by is None else [by]].astype(str)
    return ad.AnnData(sparse.csr_matrix(adata.X[:, chosen], dtype=np.float32), obs=obs, var=adata.var.loc[chosen, []])


def _means_of_trained(model: Any, **plan: float) -> NDArray[np.float32]:
    """Train for as many epochs as scvi-tools thinks right for so many cells, and return the latent means.

    On a GPU where torch finds one, and on 0.9 of the cells, as is usual there: the others are embedded alone.
    """
    import torch

    device = "gpu" if torch.cuda.is_available() else "cpu"
    model.train(accelerator=device, devices=1, plan_kwargs=plan, enable_progress_bar=False)
    return np.asarray(model.get_latent_representation(), dtype=np.float32)


@contextmanager
def _seeded_and_quiet(seed: int) -> Iterator[None]:
    """Draw everything from a seed, and say nothing about it; settings of other models are left as they were.

    One thread, since sums over several depend on how many there are, and training makes much of a last digit.
    """
    import torch
    from scvi import settings

    threads, disabled, seed_before = torch.get_num_threads(), logging.root.manager.disable, settings.seed
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about workers of data loaders, and how often progress is logged
            settings.seed = seed
            yield
    finally:
        settings.seed = seed_before
        torch.set_num_threads(threads)
        logging.disable(disabled)
