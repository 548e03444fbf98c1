"""Embedding quality: are cells of one type close to each other and far from other types?"""

from __future__ import annotations

from collections.abc import Callable, Collection

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from cellgauge.cards.base import Column
from cellgauge.tasks.averages import mean_by_group, mean_over_groups, weighted_mean
from cellgauge.tasks.conservation import isolated_labels
from cellgauge.tasks.contract import Cells, Fit, Params, UnscorableError, Weights, label_counts, need_cells, number
from cellgauge.tasks.folds import mean_of_present
from cellgauge.tasks.neighbours import nearest
from cellgauge.tasks.silhouettes import bras, label_silhouettes
from cellgauge.tasks.units import cell_units

_OF_BATCHES = ("isolated-label-silhouette", "bras")


def prepare(
    embedding: NDArray[np.float32], cells: Cells, params: Params, wanted: Collection[str]
) -> Callable[[int], Fit]:
    """Measure each cell once; scores are weighted means over cells. The seed is not used.

    Silhouettes (Rousseeuw 1987) are euclidean and rescaled as (s + 1) / 2. Where batches are known, the types that the
    fewest batches have are looked at alone, and BRAS (Rautenstrauch and Ohler 2025) says how far types are split by
    batch.

    Parameters
    ----------
    params
        ``n_neighbors`` for the purity of neighbourhoods.
    """
    labels = cells.columns["label"]
    need_cells(len(labels), number(params, "n_neighbors"))
    names, codes = np.unique(labels, return_inverse=True)
    if len(names) < 2:
        raise UnscorableError(f"every cell has the label {names[0]}; at least two are needed")
    if len(names) == len(labels):
        raise UnscorableError(f"each of the {len(labels)} cells has a label of its own")
    silhouette = label_silhouettes(embedding, codes)
    neighbours, _ = nearest(embedding, number(params, "n_neighbors"))
    purity = (codes[neighbours] == codes[:, None]).mean(axis=1)
    of_batches, undefined = _of_batches(embedding, silhouette, codes, cells.columns.get("batch"))

    def scores(weights: Weights) -> dict[str, NDArray[np.float64]]:
        by_label = mean_by_group(silhouette, codes, weights)
        return {
            "silhouette-label": weighted_mean(silhouette, weights),
            "silhouette-label-macro": mean_of_present(by_label),
            "silhouette-worst-label": np.fmin.reduce(by_label, axis=0),
            "knn-label-purity": weighted_mean(purity, weights),
            **{key: mean_over_groups(values, codes, weights) for key, values in of_batches.items()},
        }

    once = np.ones((1, len(labels)), dtype=np.float32)
    details = label_counts(labels)
    for key, values in {"silhouette": silhouette, **of_batches}.items():
        means = zip(names, mean_by_group(values, codes, once)[:, 0], strict=True)
        by_label: dict[str, JsonValue] = {str(name): float(mean) for name, mean in means if np.isfinite(mean)}
        details[f"{key.replace('-', '_')}_by_label"] = by_label
    batched: tuple[Column, ...] = ("batch",) if of_batches else ()
    fit = Fit(
        **cell_units(cells.columns, ("label", *batched), kept=batched),
        scores=scores,
        counted={key: np.isfinite(values) for key, values in of_batches.items()},
        undefined=undefined,
        details=details,
    )
    return lambda seed: fit


def _of_batches(
    embedding: NDArray[np.float32],
    silhouette: NDArray[np.float64],
    labels: NDArray[np.intp],
    batches: NDArray[np.str_] | None,
) -> tuple[dict[str, NDArray[np.float64]], dict[str, str]]:
    """Return what each cell has of the scores that need batches, (n_cells,) each, and why others have no value."""
    if batches is None:
        return {}, dict.fromkeys(_OF_BATCHES, "the dataset has no batches")
    names, codes = np.unique(batches, return_inverse=True)
    if len(names) < 2:
        return {}, dict.fromkeys(_OF_BATCHES, f"every cell has the batch {names[0]}")
    isolated = np.isin(labels, isolated_labels(labels, codes))
    values = {
        "isolated-label-silhouette": np.where(isolated, silhouette, np.nan),
        "bras": bras(embedding, labels, codes),
    }
    if np.isfinite(values["bras"]).any():
        return values, {}
    del values["bras"]
    return values, {"bras": "no cell type occurs in more than one batch"}
