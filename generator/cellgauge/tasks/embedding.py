"""Embedding quality: are cells of one type close to each other and far from other types?"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue
from sklearn.metrics import silhouette_samples

from cellgauge.tasks.contract import Columns, Fit, Params, UnscorableError, Weights, label_counts, need_cells, number
from cellgauge.tasks.neighbours import nearest


def prepare(embedding: NDArray[np.float32], columns: Columns, params: Params) -> Callable[[int], Fit]:
    """Measure each cell once; scores are weighted means over cells. The seed is not used.

    Silhouettes (Rousseeuw 1987) are euclidean and rescaled as (s + 1) / 2.

    Parameters
    ----------
    params
        ``n_neighbors`` for the purity of neighbourhoods.
    """
    labels = columns["label"]
    need_cells(len(labels), number(params, "n_neighbors"))
    names, codes = np.unique(labels, return_inverse=True)
    if len(names) == len(labels):
        raise UnscorableError(f"each of the {len(labels)} cells has a label of its own")
    silhouette = (silhouette_samples(embedding, codes) + 1) / 2
    neighbours, _ = nearest(embedding, number(params, "n_neighbors"))
    purity = (codes[neighbours] == codes[:, None]).mean(axis=1)
    members = np.eye(len(names))[codes]

    def scores(weights: Weights) -> dict[str, NDArray[np.float64]]:
        total = weights.sum(axis=1)
        by_label = ((weights * silhouette) @ members) / (weights @ members)
        return {
            "silhouette-label": (weights @ silhouette) / total,
            "silhouette-label-macro": by_label.mean(axis=1),
            "silhouette-worst-label": by_label.min(axis=1),
            "knn-label-purity": (weights @ purity) / total,
        }

    by_label = (silhouette @ members) / members.sum(axis=0)
    values: dict[str, JsonValue] = {str(name): float(value) for name, value in zip(names, by_label, strict=True)}
    fit = Fit(
        strata=labels, within="label", scores=scores, details={**label_counts(labels), "silhouette_by_label": values}
    )
    return lambda seed: fit
