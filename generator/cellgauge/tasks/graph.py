"""The neighbour graph of an embedding, and its Leiden clusters: those of scanpy, without its start-up.

scanpy weighs edges with umap-learn, whose compiler takes longer to start than all else that clustering does. The
weights are computed here with numpy by the same formulas in the same precision; tests hold weights and clusters
against scanpy's.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import igraph
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

_TOLERANCE = 1e-5
_LEAST_SCALE = 1e-3
_STEPS = 64
"""Constants of umap-learn: how exactly a scale is found, its least value beside the mean distance, and the steps."""


def connectivities(neighbours: NDArray[np.intp], distances: NDArray[np.float32]) -> sparse.csr_matrix:
    """Return UMAP's edge weights (McInnes et al. 2018), (n_cells × n_cells), symmetric.

    The weight of the edge from a cell to a neighbour at distance d is ``exp(−(d − ρ)/σ)``. ρ is the distance to the
    nearest cell that does not coincide with it, and σ makes the weights add up to ``log2(k)``. Both directions are
    joined by ``a + b − ab``.

    Parameters
    ----------
    neighbours, distances
        (n_cells × (k − 1)) each, nearest first; the cell itself, not among them, is the first of its k neighbours.
    """
    n_cells, n_others = neighbours.shape
    nearest, scale = _nearest_and_scale(distances)
    beyond = distances - nearest[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        # exp in double precision and rounded once, which is what umap-learn's compiled exp gives
        weights = np.exp(-(beyond / scale[:, None]).astype(np.float64)).astype(np.float32)
    weights[(beyond <= 0) | (scale == 0)[:, None]] = 1
    ends = np.arange(0, n_cells * n_others + 1, n_others)
    directed = sparse.csr_matrix((weights.ravel(), neighbours.ravel(), ends), shape=(n_cells, n_cells))
    directed.eliminate_zeros()
    back = directed.T.tocsr()
    union = directed + back - directed.multiply(back)
    union.eliminate_zeros()
    return union.tocsr()


def _nearest_and_scale(distances: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return ρ and σ of each cell, (n_cells,) each; σ is found by bisection."""
    n_cells, n_others = distances.shape
    target = np.log2(n_others + 1.0)
    positive = np.where(distances > 0, distances, np.inf)
    nearest = np.where(np.isfinite(positive).any(axis=1), positive.min(axis=1), 0).astype(np.float32)
    beyond = np.ascontiguousarray((distances - nearest[:, None]).T, dtype=np.float64)
    scale = np.ones(n_cells, dtype=np.float32)
    low, high = np.zeros(n_cells, dtype=np.float32), np.full(n_cells, np.inf, dtype=np.float32)
    open_rows = np.arange(n_cells)
    for _ in range(_STEPS):
        at, here = scale[open_rows].astype(np.float64), beyond[:, open_rows]
        with np.errstate(divide="ignore", invalid="ignore"):
            total = np.where(here > 0, np.exp(-here / at), 1.0).sum(axis=0)
        still = np.abs(total - target) >= _TOLERANCE
        open_rows, at, total = open_rows[still], at[still], total[still]
        if not len(open_rows):
            break
        above = total > target
        high[open_rows[above]] = at[above]
        low[open_rows[~above]] = at[~above]
        middle = (low[open_rows] + high[open_rows]) / 2
        scale[open_rows] = np.where(np.isinf(high[open_rows]), at * 2, middle)
    own_mean = distances.sum(axis=1) / np.float32(n_others + 1)
    mean = distances.sum(dtype=np.float64) / (n_cells * (n_others + 1))
    least = np.where(nearest > 0, own_mean, mean)
    return nearest, np.maximum(scale, _LEAST_SCALE * least).astype(np.float32)


def as_graph(weights: sparse.csr_matrix) -> igraph.Graph:
    """Return the weights as an undirected graph, each edge from both of its ends, as scanpy hands it to igraph."""
    one, other = (ends.tolist() for ends in weights.nonzero())
    graph = igraph.Graph(n=weights.shape[0], edges=list(zip(one, other, strict=True)), directed=False)
    graph.es["weight"] = weights.data
    return graph


def leiden(graph: igraph.Graph, resolution: float, n_iterations: int, seed: int) -> NDArray[np.intp]:
    """Return Leiden clusters of modularity (Traag et al. 2019) by igraph, (n_cells,) codes.

    igraph draws its random numbers as scanpy has it draw them, so that a seed gives scanpy's clusters.
    """
    with _drawing_as_scanpy(seed):
        found = graph.community_leiden(
            objective_function="modularity", weights="weight", resolution=resolution, n_iterations=n_iterations
        )
    return np.array(found.membership, dtype=np.intp)


class _Draws:
    """numpy's generator in the form in which igraph asks for numbers."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.RandomState(seed)

    def getrandbits(self, k: int) -> int:
        return int(self._rng.tomaxint()) & ((1 << k) - 1)

    def randint(self, low: int, high: int) -> int:
        return int(self._rng.randint(low, high + 1))

    def random(self) -> float:
        return float(self._rng.random_sample())

    def gauss(self, mean: float, spread: float) -> float:
        return float(self._rng.normal(mean, spread))


@contextmanager
def _drawing_as_scanpy(seed: int) -> Iterator[None]:
    igraph.set_random_number_generator(_Draws(seed))
    try:
        yield
    finally:
        igraph.set_random_number_generator(random)
