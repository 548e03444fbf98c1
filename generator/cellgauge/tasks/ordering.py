"""Ordering in time: are cells near each other in the embedding near each other in time?"""

from __future__ import annotations

from collections.abc import Callable, Collection

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import silhouette_samples

from cellgauge.tasks.contract import Cells, Fit, Params, UnscorableError, Weights, need_cells, number
from cellgauge.tasks.neighbours import nearest
from cellgauge.tasks.units import cell_units
from cellgauge.tasks.weighted_ranks import correlation, midranks, spearman

_FEWEST_FOR_CENTROIDS = 4
_CENTROIDS = "centroid-time-correlation"


def prepare(
    embedding: NDArray[np.float32], cells: Cells, params: Params, wanted: Collection[str]
) -> Callable[[int], Fit]:
    """Measure each cell and each time point once. The seed is not used; the chance level is exact.

    Parameters
    ----------
    params
        ``n_neighbors``: how many other cells are a cell's neighbours.
    """
    times = as_numbers(cells.columns["time"])
    need_cells(len(times), number(params, "n_neighbors"))
    points, codes = np.unique(times, return_inverse=True)
    if not 2 <= len(points) < len(times):
        raise UnscorableError(f"{len(points)} different times among {len(times)} cells: there is no order to find")
    neighbours, _ = nearest(embedding, number(params, "n_neighbors"))
    gap = np.abs(times[neighbours] - times[:, None]).mean(axis=1)
    guess = times[neighbours].mean(axis=1)
    silhouette = (silhouette_samples(embedding, codes) + 1) / 2
    at_point = np.eye(len(points), dtype=np.float32)[codes]
    gaps = np.abs(points[:, None] - points)
    centred = (embedding - embedding.mean(axis=0)).astype(np.float64)
    members = [np.flatnonzero(codes == code) for code in range(len(points))]
    few = len(points) < _FEWEST_FOR_CENTROIDS

    def scores(weights: Weights) -> dict[str, NDArray[np.float64]]:
        weight = weights.astype(np.float64)
        total, at = weight.sum(axis=1), weight @ at_point
        pairs = total**2 - (weight**2).sum(axis=1)  # of distinct cells
        chance = np.einsum("ra,ab,rb->r", at, gaps, at, optimize=True) / pairs
        return {
            "neighbourhood-alignment": 1 - (weight @ gap) / total / chance,
            "silhouette-time": (weight @ silhouette) / total,
            "knn-time-correlation": spearman(times, guess, weights),
            _CENTROIDS: np.full(len(weights), np.nan) if few else _of_centroids(centred, members, weight, gaps),
        }

    fit = Fit(
        **cell_units(cells.columns, ("time",)),
        scores=scores,
        undefined={_CENTROIDS: f"{len(points)} time points; at least {_FEWEST_FOR_CENTROIDS} are needed"}
        if few
        else {},
        details={
            "n_time_points": len(points),
            "silhouette_by_time": {
                f"{point:g}": float(silhouette[codes == code].mean()) for code, point in enumerate(points)
            },
        },
        width=max(len(times), len(points) * (len(points) + embedding.shape[1])),
    )
    return lambda seed: fit


def as_numbers(values: NDArray[np.str_]) -> NDArray[np.float64]:
    """Return times as numbers.

    Raises
    ------
    UnscorableError
        Naming a value that is no number.
    """
    times = np.empty(len(values))
    for position, value in enumerate(values):
        try:
            times[position] = float(value)
        except ValueError:
            times[position] = np.nan
        if not np.isfinite(times[position]):
            raise UnscorableError(f'times must be numbers, such as days; found "{value}"')
    return times


def _of_centroids(
    centred: NDArray[np.float64],
    members: list[NDArray[np.intp]],
    weights: NDArray[np.float64],
    gaps: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the rank correlation, over pairs of time points, of distance in the embedding and in time.

    Parameters
    ----------
    centred
        (n_cells × n_dimensions) the embedding, moved to the origin so that squares keep their digits.
    members
        Positions of the cells of each time point.
    """
    n_points = len(members)
    sums = np.stack([weights[:, here] @ centred[here] for here in members], axis=1)
    with np.errstate(invalid="ignore"):
        centroids = sums / np.stack([weights[:, here].sum(axis=1) for here in members], axis=1)[:, :, None]
    lengths = (centroids**2).sum(axis=2)
    squared = lengths[:, :, None] + lengths[:, None, :] - 2 * centroids @ centroids.transpose(0, 2, 1)
    first, second = np.triu_indices(n_points, 1)
    out = np.full(len(weights), np.nan)
    for replicate, distances in enumerate(squared[:, first, second]):
        present = np.isfinite(distances)
        if np.count_nonzero(present) >= 2:
            apart = np.sqrt(np.maximum(distances[present], 0))
            ones = np.ones((1, len(apart)))
            ranks = midranks(apart, ones), midranks(gaps[first, second][present], ones)
            out[replicate] = correlation(*ranks, ones)[0]
    return out
