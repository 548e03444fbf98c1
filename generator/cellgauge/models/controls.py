"""Models whose outcome is known beforehand: they check the metrics, not biology."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
from numpy.typing import NDArray


def random_embedding(adata: ad.AnnData, *, seed: int, n_components: int) -> NDArray[np.float32]:
    """Standard normal numbers that know nothing of the cells, (n_cells × n_components)."""
    return np.random.default_rng(seed).standard_normal((adata.n_obs, n_components), dtype=np.float32)


def oracle(adata: ad.AnnData, *, seed: int, noise: float) -> pd.DataFrame:
    """One-hot labels plus Gaussian noise, (n_cells × n_labels), rows in random order.

    Without noise equal rows would tie and ties break by position; the random order of rows shows on
    every run that cell ids, not positions, carry the embedding.
    """
    return _coded(adata, "label", seed, noise)


def batch_coded(adata: ad.AnnData, *, seed: int, noise: float) -> pd.DataFrame:
    """One-hot batches plus Gaussian noise, (n_cells × n_batches), rows in random order: nothing mixes."""
    return _coded(adata, "batch", seed, noise)


def time_coded(adata: ad.AnnData, *, seed: int, noise: float) -> pd.DataFrame:
    """Sampling time scaled to 0–1 plus Gaussian noise, (n_cells × 1), rows in random order."""
    rng = np.random.default_rng(seed)
    times = adata.obs["time"].to_numpy(dtype=float)
    scaled = (times - times.min()) / np.ptp(times)
    values = (scaled + rng.normal(scale=noise, size=len(times))).astype(np.float32)
    order = rng.permutation(adata.n_obs)
    return pd.DataFrame(values[order, None], index=adata.obs_names[order])


def species_coded(adata: ad.AnnData, *, seed: int, noise: float) -> pd.DataFrame:
    """One-hot species plus Gaussian noise, (n_cells × n_species), rows in random order: no species meet."""
    return _coded(adata, "species", seed, noise)


def _coded(adata: ad.AnnData, column: str, seed: int, noise: float) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    codes, names = pd.factorize(adata.obs[column], sort=True)
    values = np.eye(len(names), dtype=np.float32)[codes]
    values += rng.normal(scale=noise, size=values.shape).astype(np.float32)
    order = rng.permutation(adata.n_obs)
    return pd.DataFrame(values[order], index=adata.obs_names[order])
