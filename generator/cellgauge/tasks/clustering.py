"""Cell clustering: Leiden clusters of the embedding against annotated cell types."""

from __future__ import annotations

from collections.abc import Callable

import anndata as ad
import numpy as np
import scanpy as sc
from numpy.typing import NDArray

from cellgauge.tasks.agreement import adjusted_rand, contingency, information
from cellgauge.tasks.contract import Columns, Fit, Params, Weights, label_counts, need_cells, number


def prepare(embedding: NDArray[np.float32], columns: Columns, params: Params) -> Callable[[int], Fit]:
    """Build the neighbour graph once; each seed then finds its own clusters.

    The graph is scanpy's: exact euclidean neighbours (a cell counts as its own first neighbour, as there)
    weighted by UMAP's connectivities. Clusters: Leiden (Traag et al. 2019) by igraph.

    Parameters
    ----------
    params
        ``n_neighbors``, ``resolution``, ``n_iterations``.
    """
    labels = columns["label"]
    need_cells(len(labels), number(params, "n_neighbors"))
    graph = ad.AnnData(embedding)
    # The transformer is named, since from 8,192 cells on scanpy would search approximately.
    sc.pp.neighbors(graph, n_neighbors=number(params, "n_neighbors"), use_rep="X", transformer="sklearn")

    def fit(seed: int) -> Fit:
        sc.tl.leiden(
            graph,
            resolution=float(params["resolution"]),
            n_iterations=number(params, "n_iterations"),
            flavor="igraph",
            directed=False,
            random_state=seed,
        )
        clusters = graph.obs["leiden"].to_numpy(dtype=str)

        def scores(weights: Weights) -> dict[str, NDArray[np.float64]]:
            tables = contingency(labels, clusters, weights)
            return {"adjusted-rand-index": adjusted_rand(tables), **information(tables)}

        n_clusters = len(np.unique(clusters))
        details = {**label_counts(labels), "n_clusters": n_clusters}
        return Fit(labels, "label", scores, details, width=n_clusters * len(np.unique(labels)))

    return fit
