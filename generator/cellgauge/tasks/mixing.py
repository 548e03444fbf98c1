"""How well batches are mixed among a cell's nearest neighbours."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2, entropy
from sklearn.neighbors import NearestNeighbors

Codes = NDArray[np.intp]
Values = NDArray[np.float64]

_FEWEST, _MOST, _SHARE = 10, 70, 4
"""scib's rule for kBET: a quarter of the mean number of cells a batch, within these bounds."""
_CELLS_A_NEIGHBOUR = 3


def neighbourhood_size(sizes: NDArray[np.intp], most: int, fewest_cells: int) -> int:
    """Return how many cells a neighbourhood holds: half of the smallest group, at most ``most``.

    A small group is then not asked to have more neighbours than it has members.

    Parameters
    ----------
    sizes
        Numbers of cells with one label in one batch.
    fewest_cells
        Groups that are smaller do not decide: a stray cell would otherwise set the size for all others.

    Returns
    -------
    The size; 0 where every group is smaller.
    """
    deciding = sizes[sizes >= fewest_cells]
    return min(most, int(deciding.min()) // 2) if len(deciding) else 0


def batch_entropy(neighbours: NDArray[np.intp], batches: Codes, k: int) -> Values:
    """Return the entropy of the batches among each cell's ``k`` nearest cells, itself counted, from 0 to 1.

    It is divided by the logarithm of the number of batches, as cz-benchmarks does with k = 200.

    Parameters
    ----------
    neighbours
        (n_cells × at least k − 1) positions of the nearest other cells, nearest first.
    batches
        (n_cells,) codes 0, 1, …, at least two.
    """
    n_batches = int(batches.max()) + 1
    counts = _counts(batches[neighbours[:, : k - 1]], n_batches)
    counts[np.arange(len(batches)), batches] += 1
    return np.asarray(entropy(counts, axis=1, base=n_batches), dtype=np.float64)


def kbet_neighbours(batches: Codes) -> int:
    """Return how many cells kBET's neighbourhoods hold within a label, given the batches of its cells.

    The rule is scib's (Luecken et al. 2022).
    """
    a_batch = len(batches) / len(np.unique(batches))
    return min(_MOST, max(_FEWEST, int(a_batch / _SHARE)))


def kbet_accepted(embedding: NDArray[np.floating[Any]], labels: Codes, batches: Codes, alpha: float) -> Values:
    """Return 1 where a chi-squared test finds a neighbourhood's batches in proportion, and 0 where not.

    kBET (Büttner et al. 2019) within each label: are the batches among the cell's nearest cells of its label, itself
    counted, in the proportions of the whole label? Neighbours are exact and euclidean; scib takes diffusion distances.

    Parameters
    ----------
    alpha
        Level of the test.

    Returns
    -------
    (n_cells,); NaN for labels that only one batch has, and for those with fewer than three times as many cells as a
    neighbourhood holds, in which all neighbourhoods are nearly the same.
    """
    accepted = np.full(len(labels), np.nan)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        names, codes = np.unique(batches[members], return_inverse=True)
        k = kbet_neighbours(codes)
        if len(names) < 2 or len(members) < _CELLS_A_NEIGHBOUR * k:
            continue
        # Not by `nearest`, which would forget the search of the whole embedding for that of a part.
        search = NearestNeighbors(n_neighbors=k - 1, algorithm="brute").fit(embedding[members])
        neighbours = search.kneighbors(return_distance=False)
        counts = _counts(codes[neighbours], len(names))
        counts[np.arange(len(members)), codes] += 1
        expected = k * np.bincount(codes) / len(members)
        statistic = ((counts - expected) ** 2 / expected).sum(axis=1)
        accepted[members] = chi2.sf(statistic, len(names) - 1) >= alpha
    return accepted


def _counts(groups: NDArray[np.intp], n_groups: int) -> Values:
    """Return how often each group occurs in each row, (n_rows × n_groups)."""
    entries = (np.arange(len(groups))[:, None] * n_groups + groups).ravel()
    return np.bincount(entries, minlength=len(groups) * n_groups).reshape(len(groups), n_groups).astype(np.float64)
