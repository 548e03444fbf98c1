"""Cell clustering: Leiden clusters of the embedding against annotated cell types."""

from __future__ import annotations

from collections.abc import Callable, Collection

import numpy as np
from numpy.typing import NDArray

from cellgauge.tasks.agreement import adjusted_rand, contingency, information
from cellgauge.tasks.contract import Cells, Fit, Params, Weights, label_counts, need_cells, number, real
from cellgauge.tasks.graph import as_graph, connectivities, leiden
from cellgauge.tasks.neighbours import nearest
from cellgauge.tasks.units import cell_units

_BEST = "best-resolution"


def prepare(
    embedding: NDArray[np.float32], cells: Cells, params: Params, wanted: Collection[str]
) -> Callable[[int], Fit]:
    """Build the neighbour graph once; each seed then finds its own clusters.

    The graph is scanpy's: exact euclidean neighbours (a cell counts as its own first neighbour, as there)
    weighted by UMAP's connectivities. Clusters: Leiden (Traag et al. 2019) by igraph.

    The view ``best-resolution`` clusters at several resolutions and keeps the clusters with the highest NMI, as
    scIB does (Luecken et al. 2022): it is shown the annotation, and asks what the embedding could give at best.

    Parameters
    ----------
    params
        ``n_neighbors``, ``resolution``, ``n_iterations``; ``least_resolution``, ``greatest_resolution`` and
        ``n_resolutions``, equally spaced, both ends included, for the view.
    """
    labels = cells.columns["label"]
    k = number(params, "n_neighbors")
    need_cells(len(labels), k)
    units = cell_units(cells.columns, ("label",))
    graph = as_graph(connectivities(*nearest(embedding, k - 1)))

    def clusters_at(resolution: float, seed: int) -> NDArray[np.intp]:
        return leiden(graph, resolution, number(params, "n_iterations"), seed)

    def fit(seed: int) -> Fit:
        found = {"": clusters_at(real(params, "resolution"), seed)}
        details = {**label_counts(labels), "n_clusters": len(np.unique(found[""]))}
        if any(key.endswith(f"@{_BEST}") for key in wanted):
            tried = np.linspace(
                real(params, "least_resolution"), real(params, "greatest_resolution"), number(params, "n_resolutions")
            )
            clustered = [(at, clusters_at(at, seed)) for at in tried.tolist()]
            best_at, found[f"@{_BEST}"] = max(clustered, key=lambda pair: _nmi(labels, pair[1]))
            n_best = len(np.unique(found[f"@{_BEST}"]))
            details |= {"best_resolution": round(best_at, 6), "n_clusters_at_best_resolution": n_best}

        def scores(weights: Weights) -> dict[str, NDArray[np.float64]]:
            out: dict[str, NDArray[np.float64]] = {}
            for view, clusters in found.items():
                tables = contingency(labels, clusters, weights)
                agreement = {"adjusted-rand-index": adjusted_rand(tables), **information(tables)}
                out |= {f"{metric}{view}": values for metric, values in agreement.items()}
            return out

        most = max(len(np.unique(clusters)) for clusters in found.values())
        return Fit(**units, scores=scores, details=details, width=most * len(np.unique(labels)))

    return fit


def _nmi(labels: NDArray[np.str_], clusters: NDArray[np.intp]) -> float:
    tables = contingency(labels, clusters, np.ones((1, len(labels)), dtype=np.float32))
    return float(information(tables)["normalized-mutual-information"][0])
