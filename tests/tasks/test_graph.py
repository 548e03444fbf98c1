"""The neighbour graph and its clusters are scanpy's, number by number."""

from __future__ import annotations

import warnings

import anndata as ad
import igraph
import numpy as np
import pytest
import scanpy as sc

from cellgauge.tasks.graph import as_graph, connectivities, leiden
from cellgauge.tasks.neighbours import nearest

K = 15


def cells(kind: str) -> np.ndarray:
    rng = np.random.default_rng(3)
    if kind == "blobs":
        return (rng.normal(size=(600, 20)) + 4 * rng.normal(size=(6, 20))[rng.integers(0, 6, 600)]).astype(np.float32)
    if kind == "copies":  # more copies than neighbours: distances of 0, whose scale is the least one
        return np.repeat(rng.normal(size=(30, 8)), 20, axis=0).astype(np.float32)
    if kind == "far":  # one cell far away from all others
        values = rng.normal(size=(200, 5)).astype(np.float32)
        values[0] += 1e4
        return values
    return rng.normal(size=(300, 50)).astype(np.float32)


def from_scanpy(embedding: np.ndarray) -> ad.AnnData:
    graph = ad.AnnData(embedding)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sc.pp.neighbors(graph, n_neighbors=K, use_rep="X", transformer="sklearn")
    return graph


@pytest.mark.parametrize("kind", ["blobs", "far", "noise"])
def test_weights_are_those_of_scanpy_and_umap(kind: str) -> None:
    embedding = cells(kind)
    expected = from_scanpy(embedding).obsp["connectivities"]
    found = connectivities(*nearest(embedding, K - 1))
    assert (found != found.T).nnz == 0
    assert (abs(found - expected)).max() < 2e-6
    assert found.nnz == pytest.approx(expected.nnz, rel=1e-3)


@pytest.mark.parametrize("kind", ["blobs", "noise"])
@pytest.mark.parametrize("seed", [0, 42])
@pytest.mark.parametrize("resolution", [0.4, 1.0, 1.8])
def test_clusters_are_those_of_scanpy_seed_by_seed(kind: str, seed: int, resolution: float) -> None:
    embedding = cells(kind)
    graph = from_scanpy(embedding)
    sc.tl.leiden(graph, resolution=resolution, n_iterations=2, flavor="igraph", directed=False, random_state=seed)
    expected = graph.obs["leiden"].to_numpy(dtype=int)
    found = leiden(as_graph(connectivities(*nearest(embedding, K - 1))), resolution, 2, seed)
    pairs = {(int(one), int(other)) for one, other in zip(expected, found, strict=True)}
    assert len(pairs) == len(set(expected)) == len(set(found)), "the same partition, whatever clusters are called"


def test_coinciding_cells_weigh_one() -> None:
    embedding = cells("copies")
    found = connectivities(*nearest(embedding, K - 1))
    assert np.isfinite(found.data).all()
    assert found.data.min() == found.data.max() == 1


def test_the_weights_of_a_cell_add_up_as_umap_defines() -> None:
    """Before both directions are joined, the weights of a cell's neighbours, itself not counted, make log2(k)."""
    embedding = cells("blobs")
    _, distances = nearest(embedding, K - 1)
    from cellgauge.tasks.graph import _nearest_and_scale

    rho, sigma = _nearest_and_scale(distances)
    weights = np.exp(-np.maximum(distances - rho[:, None], 0) / sigma[:, None])
    np.testing.assert_allclose(weights.sum(axis=1), np.log2(K), atol=1e-3)


def test_clusters_leave_the_random_numbers_of_others_alone() -> None:
    graph = as_graph(connectivities(*nearest(cells("blobs"), K - 1)))
    import random

    random.seed(5)
    first = igraph.Graph.Erdos_Renyi(30, 0.3).get_edgelist()
    random.seed(5)
    leiden(graph, 1.0, 2, 7)
    assert igraph.Graph.Erdos_Renyi(30, 0.3).get_edgelist() == first


def test_one_search_serves_several_tasks_and_never_another_embedding() -> None:
    one, other = cells("blobs"), cells("noise")
    indices, distances = nearest(one, 14)
    more, _ = nearest(one, 15)
    np.testing.assert_array_equal(more[:, :14], indices)
    assert nearest(other, 14)[0].shape == (300, 14)
    again, same = nearest(one, 14)
    np.testing.assert_array_equal(again, indices)
    np.testing.assert_array_equal(same, distances)
    wide, _ = nearest(one, 40)
    np.testing.assert_array_equal(wide[:, :14], indices)
