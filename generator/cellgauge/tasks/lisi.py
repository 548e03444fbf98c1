"""How many groups are effectively present in a cell's neighbourhood (Korsunsky et al. 2019).

The definition is that of scib-metrics, against which it is checked. It is computed here with numpy because scoring
needs no more than that, while scib-metrics brings its own compiler, which costs every worker seconds and memory.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
_TOLERANCE = 1e-5
_MOST_STEPS = 50


def neighbour_shares(distances: NDArray[np.floating[Any]], perplexity: float) -> Values:
    """Return how much each neighbour of a cell counts.

    The shares of a cell's neighbours fall off exponentially with distance, at the rate at which their entropy is
    that of ``perplexity`` equal neighbours: exp(−β·d), with β found by bisection for each cell. Where more than
    that many neighbours are equally near, they share alike.

    Parameters
    ----------
    distances
        (n_cells × k) of the neighbours, the cell itself not among them; k above ``perplexity``.

    Returns
    -------
    (n_cells × k), rows sum to 1.
    """
    beyond = (distances - distances.min(axis=1, keepdims=True)).astype(np.float64)
    rate = np.ones(len(beyond))
    least, greatest = np.zeros(len(beyond)), np.full(len(beyond), np.inf)
    for _ in range(_MOST_STEPS):
        excess = _entropy(beyond, rate) - np.log(perplexity)
        if (np.abs(excess) < _TOLERANCE).all():
            break
        too_flat = excess > 0
        least, greatest = np.where(too_flat, rate, least), np.where(too_flat, greatest, rate)
        tried = np.where(np.isinf(greatest), rate * 2, (least + greatest) / 2)
        rate = np.where(np.abs(excess) < _TOLERANCE, rate, tried)
    shares = np.exp(-beyond * rate[:, None])
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


def effective_number(shares: Values, groups: NDArray[np.intp]) -> Values:
    """Return the inverse Simpson index of the groups around each cell, (n_cells,), from 1 to the number of groups.

    Parameters
    ----------
    shares
        (n_cells × k) how much each neighbour counts.
    groups
        (n_cells × k) the neighbours' groups.
    """
    simpson = np.zeros(len(shares))
    for group in np.unique(groups):
        simpson += np.where(groups == group, shares, 0.0).sum(axis=1) ** 2
    return 1 / simpson


def _entropy(beyond: Values, rate: Values) -> Values:
    """Return the entropy of each cell's shares, in nats."""
    scaled = beyond * rate[:, None]
    unnormalised = np.exp(-scaled)
    total = unnormalised.sum(axis=1)
    return np.asarray(np.log(total) + (unnormalised * scaled).sum(axis=1) / total)
