"""Resampling cells within strata, the same for every model of a dataset."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]


def generator(*parts: str | int) -> np.random.Generator:
    """Return a random generator that depends on ``parts`` alone.

    The parts are hashed (SHA-256), so that related parts give unrelated streams.
    """
    text = "\x1f".join(str(part) for part in parts)
    return np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest(), "big"))


def draw_seeds(n_seeds: int, n_replicates: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return which of the stored seeds each replicate uses, (n_replicates,).

    Every seed is used equally often (as far as the numbers divide), in random order: seed variance
    is then inside the interval without adding Monte Carlo noise of its own.
    """
    return rng.permutation(np.arange(n_replicates) % n_seeds)


def stratified_counts(strata: NDArray[Any], n_replicates: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Draw bootstrap resamples with replacement within each stratum.

    Each stratum keeps its size in every resample (Efron and Tibshirani 1993, section 6.2; Davison and
    Hinkley 1997, section 3.2).

    Parameters
    ----------
    strata
        (n_units,) any labels.
    n_replicates
        How many resamples.

    Returns
    -------
    (n_replicates, n_units) how often each unit was drawn.
    """
    counts = np.empty((n_replicates, len(strata)), dtype=np.float32)
    for stratum in np.unique(strata):
        members = np.flatnonzero(strata == stratum)
        share = np.full(len(members), 1 / len(members))
        counts[:, members] = rng.multinomial(len(members), share, size=n_replicates)
    return counts


def percentile_interval(replicates: Floats, level: float) -> tuple[float, float]:
    """Return the percentile interval of replicates.

    The (1-level)/2 and (1+level)/2 quantiles (Efron and Tibshirani 1993, chapter 13).
    """
    tail = (1 - level) / 2
    low, high = np.quantile(np.asarray(replicates, dtype=float), [tail, 1 - tail])
    return float(low), float(high)
