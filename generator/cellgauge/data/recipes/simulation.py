"""What the simulations share: a generator whose stream does not depend on numpy's default, and counts with noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def generator(seed: int) -> np.random.Generator:
    """Return a generator of a named algorithm (PCG64), so that a change of numpy's default changes no dataset."""
    return np.random.Generator(np.random.PCG64(seed))


def shuffled(rng: np.random.Generator, size: int) -> NDArray[np.intp]:
    """Return the numbers below ``size`` in random order; of uniform numbers, whose stream is the stablest."""
    return np.argsort(rng.random(size), kind="stable")


def sparse_effects(
    rng: np.random.Generator, among: NDArray[np.intp], n_genes: int, n_affected: int, low: float, high: float
) -> NDArray[np.float64]:
    """Return effects on log expression, (n_genes,): zero but for ``n_affected`` genes drawn from ``among``.

    Their size is uniform between ``low`` and ``high``, up or down with equal chance.
    """
    effects = np.zeros(n_genes)
    affected = among[shuffled(rng, len(among))[:n_affected]]
    signs = np.where(rng.random(n_affected) < 0.5, -1.0, 1.0)
    effects[affected] = signs * rng.uniform(low, high, n_affected)
    return effects


def noisy_counts(rng: np.random.Generator, mean: NDArray[np.float64], dispersion: float) -> NDArray[np.float32]:
    """Draw negative binomial counts with variance mean + dispersion · mean².

    As Poisson counts whose rate is the mean times a gamma variable of mean 1 and variance ``dispersion``.

    Parameters
    ----------
    mean
        (n_cells × n_genes).
    """
    rate = mean * rng.gamma(1.0 / dispersion, dispersion, mean.shape)
    return rng.poisson(rate).astype(np.float32)
