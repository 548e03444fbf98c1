"""Resampling cells within strata, the same for every model of a dataset."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

_DRAWN_AT_ONCE = 2**18
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


def stratified_weights(strata: NDArray[Any], n_replicates: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Draw bootstrap resamples within each stratum whose spread is right in small strata too.

    From a stratum of n units n − 1 are drawn with replacement, and each counts n/(n−1) (Rao and Wu 1988). Drawing all
    n (Efron and Tibshirani 1993, section 6.2) gives a mean over the stratum only (n−1)/n of its variance: half of it
    with two units, which is what the rarest class may have in each of five test folds.

    Parameters
    ----------
    strata
        (n_units,) any labels. A stratum of one unit cannot vary: its variance is lost, whatever is drawn.
    n_replicates
        How many resamples.

    Returns
    -------
    (n_replicates, n_units) the weight of each unit; the weights of a stratum add up to its size.
    """
    weights = np.ones((n_replicates, len(strata)), dtype=np.float32)
    _, codes, sizes = np.unique(strata, return_inverse=True, return_counts=True)
    order = np.argsort(codes, kind="stable")
    for n, end in zip(sizes.tolist(), np.cumsum(sizes).tolist(), strict=True):
        if n == 1:
            continue
        members = order[end - n : end]
        at_once = max(1, _DRAWN_AT_ONCE // n)
        for start in range(0, n_replicates, at_once):
            rows = min(at_once, n_replicates - start)
            # Which unit, not how often each: several times faster than multinomial counts.
            drawn = rng.integers(0, n, size=(rows, n - 1), dtype=np.uint32).astype(np.intp)
            drawn += (np.arange(rows) * n)[:, None]
            counts = np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n)
            weights[start : start + rows, members] = counts * (n / (n - 1))
    return weights


def join_lone_units(strata: NDArray[Any], coarser: NDArray[Any]) -> NDArray[np.intp]:
    """Join units that are alone in their stratum with others of the same coarser stratum.

    A stratum of one unit never varies in any resample, and what it adds to the variance of a score is lost. Joined
    strata add a little too much instead, as far as their means differ (collapsed strata, Wolter 2007, section 2.5).
    Lone units of one coarser stratum become one stratum; a single one joins the smallest of its neighbours.

    Parameters
    ----------
    strata
        (n_units,) any labels, such as fold, type and donor of a cell.
    coarser
        (n_units,) any labels, such as its fold and type. Each stratum lies within one of them.

    Returns
    -------
    (n_units,) codes of strata. A unit that is alone in its coarser stratum stays alone.
    """
    _, codes, sizes = np.unique(strata, return_inverse=True, return_counts=True)
    joined = codes.astype(np.intp)
    for name in np.unique(coarser):
        members = codes[coarser == name]
        lone, others = members[sizes[members] == 1], members[sizes[members] > 1]
        target = others[np.argmin(sizes[others])] if len(lone) == 1 and len(others) else lone[:1]
        joined[np.isin(codes, lone)] = target
    return joined


def percentile_interval(replicates: Floats, level: float) -> tuple[float, float]:
    """Return the percentile interval of replicates.

    The (1-level)/2 and (1+level)/2 quantiles (Efron and Tibshirani 1993, chapter 13).
    """
    low, high = percentile_intervals(replicates, level)
    return float(low), float(high)


def percentile_intervals(replicates: Floats, level: float) -> Floats:
    """Return the `percentile_interval` of each row of (..., n_replicates): lower and upper ends, (2, ...)."""
    tail = (1 - level) / 2
    ends: Floats = np.quantile(np.asarray(replicates, dtype=float), [tail, 1 - tail], axis=-1)
    return ends
