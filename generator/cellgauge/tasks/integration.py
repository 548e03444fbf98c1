"""Integration of batches, or of species: are they mixed, and are the cell types still there?"""

from __future__ import annotations

from collections.abc import Callable, Collection

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from cellgauge.tasks import clustering
from cellgauge.tasks.conservation import isolated_labels
from cellgauge.tasks.contract import Cells, Fit, Params, UnscorableError, Weights, label_counts
from cellgauge.tasks.integration_scores import SCORES, Integration, Score, measure
from cellgauge.tasks.mixing import kbet_neighbours
from cellgauge.tasks.units import cell_units

_OF_CLUSTERS = ("adjusted-rand-index", "normalized-mutual-information")


def across_batches(
    embedding: NDArray[np.float32], cells: Cells, params: Params, wanted: Collection[str]
) -> Callable[[int], Fit]:
    """Measure the mixing of batches and the conservation of cell types; each seed finds clusters of its own.

    All else is measured once for each cell, and scores are averages of that. Batches are never resampled: intervals
    hold for these batches.

    Parameters
    ----------
    params
        ``max_neighbors`` and ``min_cells_per_group`` for the size of the entropy's neighbourhoods,
        ``compatibility_neighbors`` for its view ``k-200``, ``lisi_neighbors`` and ``graph_neighbors``, in each of which
        the cell itself is counted; those of ``clustering.prepare`` for Leiden; ``kbet_alpha``;
        ``expression_components`` and ``expression_genes``.

    Raises
    ------
    UnscorableError
        With one batch, with one cell type, or where no two cells have the same.
    """
    return _prepare(Integration(embedding, cells, "batch", params, frozenset(wanted)))


def across_species(
    embedding: NDArray[np.float32], cells: Cells, params: Params, wanted: Collection[str]
) -> Callable[[int], Fit]:
    """Measure what ``across_batches`` does, with species in place of batches."""
    return _prepare(Integration(embedding, cells, "species", params, frozenset(wanted)))


def _prepare(one: Integration) -> Callable[[int], Fit]:
    if len(one.batch_names) < 2:
        raise UnscorableError(f"every cell has the {one.role} {one.batch_names[0]}; at least two are needed")
    if len(one.label_names) < 2:
        raise UnscorableError(f"every cell has the label {one.label_names[0]}; at least two are needed")
    if len(one.label_names) == len(one.labels):
        raise UnscorableError(f"each of the {len(one.labels)} cells has a label of its own")
    found = {key: measure(key, one) for key in sorted(one.wanted & SCORES.keys())}
    measured = {key: score for key, score in found.items() if isinstance(score, Score)}
    undefined = {key: why for key, why in found.items() if isinstance(why, str)}
    units = cell_units(one.cells.columns, (one.role, "label"), kept=(one.role,), by_donor=False)
    details = _details(one, measured)
    clustered = _clustered(one)

    def fit(seed: int) -> Fit:
        clusters = clustered(seed) if clustered is not None else None

        def scores(weights: Weights) -> dict[str, NDArray[np.float64]]:
            agreement = {} if clusters is None else clusters.scores(weights)
            asked = {key: values for key, values in agreement.items() if key in one.wanted}
            return {**asked, **{key: score.under(weights) for key, score in measured.items()}}

        widths = [score.width for score in measured.values()]
        return Fit(
            **units,
            scores=scores,
            counted={key: score.counted for key, score in measured.items()},
            undefined=undefined,
            details={**details, **({} if clusters is None else clusters.details)},
            width=max([*widths, 1 if clusters is None else clusters.width]),
        )

    return fit


def _clustered(one: Integration) -> Callable[[int], Fit] | None:
    """Return the clustering task on the same embedding, if a score of it is asked for."""
    asked = {key for key in one.wanted if key.partition("@")[0] in _OF_CLUSTERS}
    if not asked:
        return None
    params = {**one.params, "n_neighbors": one.held["graph-connectivity"]}
    return clustering.prepare(one.embedding, one.cells, params, asked)


def _details(one: Integration, measured: dict[str, Score]) -> dict[str, JsonValue]:
    """Say which cells the scores rest on, and what they are for each label."""
    sizes = {
        str(label): {str(batch): int(size) for batch, size in zip(one.batch_names, row, strict=True)}
        for label, row in zip(one.label_names, one.sizes, strict=True)
    }
    details: dict[str, JsonValue] = {
        **label_counts(one.cells.columns["label"]),
        f"cells_by_label_and_{one.role}": {label: dict(row) for label, row in sizes.items()},
        f"labels_of_one_{one.role}": {
            label: next(batch for batch in row if row[batch])
            for label, row in sizes.items()
            if np.count_nonzero(list(row.values())) == 1
        },
    }
    if "batch-entropy" in measured:
        k = one.neighbourhood
        details["cells_in_an_entropy_neighbourhood"] = k
        details["groups_smaller_than_that"] = [
            {"label": label, one.role: batch, "cells": size}
            for label, row in sizes.items()
            for batch, size in row.items()
            if 0 < size < k
        ]
    if "kbet" in measured:
        details["cells_in_a_kbet_neighbourhood"] = {
            str(one.label_names[label]): kbet_neighbours(one.batches[one.labels == label])
            for label in np.unique(one.labels[measured["kbet"].counted])
        }
    if "isolated-label-silhouette" in measured:
        details["isolated_labels"] = one.label_names[isolated_labels(one.labels, one.batches)].tolist()
    for key, score in measured.items():
        values = {
            str(name): float(value)
            for name, value in zip(one.label_names, score.by_label, strict=True)
            if np.isfinite(value)
        }
        if values:
            details[f"{key.replace('-', '_')}_by_label"] = dict(values)
    return details
