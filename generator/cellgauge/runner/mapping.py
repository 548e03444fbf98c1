"""Drawing a map: a sample of cells, the same for every model of a dataset, and their places in the plane."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from cellgauge.cards.base import Column
from cellgauge.data.dataset import Dataset
from cellgauge.models.cache import EmbeddingCache
from cellgauge.results.maps import MOST_CELLS, SPAN, Codes, EmbeddingMap, write_map
from cellgauge.results.schema import DatasetSubject, Subject
from cellgauge.runner.environment import environment
from cellgauge.runner.failures import StepError, explained, without_local_paths
from cellgauge.runner.maps import Place, current_map, map_key
from cellgauge.runner.plan import SEED_OF_CHECKS, key_of_embedding, lock
from cellgauge.runner.steps import Context, embed, loaded_dataset
from cellgauge.stats.resampling import generator

LEAST_OF_A_TYPE = 20
"""Cells of each type that are drawn in any case, or all where there are fewer."""
_TYPES: tuple[Column, ...] = ("label", "perturbation")


@explained("drawing the map")
def draw_map(context: Context, dataset_id: str, model_id: str) -> str:
    """Lay out a model's embedding of a sample of cells and write the map; return "done" or "already done".

    The embedding is made again where the cache has it no more.
    """
    model, dataset = context.cards.models[model_id], context.cards.datasets[dataset_id]
    with _map_lock(context, (dataset_id, model_id)):
        found = current_map(context.project, context.cards, context.release, (dataset_id, model_id))
        if found is not None and found.status == "done" and not context.again:
            return "already done"
        key = key_of_embedding(context.project, context.cards, model, dataset, SEED_OF_CHECKS)
        cache = EmbeddingCache(context.cache)
        there = cache.read(key)
        if there is None:
            embed(replace(context, again=False), dataset_id, model_id, (SEED_OF_CHECKS,))
            there = cache.read(key)
        if there is None:
            raise StepError("failed", "the embedding vanished from the cache while the run went on; run again")
        write_map(context.folder, make_map(context, (dataset_id, model_id), there[0]))
        return "done"


def make_map(context: Context, place: Place, embedding: NDArray[np.float32]) -> EmbeddingMap:
    """Return the map of a model's embedding of a dataset, (n_cells × n_dimensions)."""
    from cellgauge.runner.layout import plane_layout  # here, since scikit-learn takes a second to import

    loaded = loaded_dataset(context.cards.datasets[place[0]], context)
    cells = sample_cells(loaded)
    placed = plane_layout(embedding[cells], generator(loaded.digest, "map", "layout"))
    x, y = on_whole_numbers(placed).T.tolist()
    columns = {}
    for role, values in loaded.columns.items():
        names, codes = np.unique(values[cells], return_inverse=True)
        columns[role] = Codes(names=names.tolist(), codes=codes.tolist())
    return EmbeddingMap(
        **_about(context, place, loaded.digest),
        status="done",
        reason=None,
        n_cells=loaded.n_cells,
        cells=cells.tolist(),
        x=x,
        y=y,
        columns=columns,
    )


def fail_map(context: Context, place: Place, failure: StepError) -> str:
    """Record why there is no map; return the status. One that another run has drawn meanwhile is kept."""
    with _map_lock(context, place):
        found = current_map(context.project, context.cards, context.release, place)
        if found is not None and found.status == "done" and not context.again:
            return "already done"
        empty = EmbeddingMap(
            **_about(context, place, None),
            status=failure.status,
            reason=without_local_paths(failure.reason, context.project.source),
            n_cells=None,
            cells=[],
            x=[],
            y=[],
            columns={},
        )
        write_map(context.folder, empty)
        return failure.status


def sample_cells(dataset: Dataset) -> NDArray[np.int64]:
    """Draw the cells of a dataset's maps, in ascending order: all of them where they are few enough.

    Otherwise some of each type, so that none is lost, and any of the others: the draw depends on the cells alone.
    """
    if dataset.n_cells <= MOST_CELLS:
        return np.arange(dataset.n_cells)
    order = generator(dataset.digest, "map", "cells").permutation(dataset.n_cells)
    types = next((dataset.columns[role] for role in _TYPES if role in dataset.columns), None)
    if types is None:
        return np.sort(order[:MOST_CELLS])
    _, codes, sizes = np.unique(types, return_inverse=True, return_counts=True)
    least = min(LEAST_OF_A_TYPE, MOST_CELLS // len(sizes))
    # Cells by their rank within their type: the first few of each come before all others, which keep their order.
    by_type = np.argsort(codes[order], kind="stable")
    ranks = np.empty(dataset.n_cells, dtype=np.intp)
    ranks[by_type] = np.arange(dataset.n_cells) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    first = order[np.argsort(ranks >= least, kind="stable")]
    drawn: NDArray[np.int64] = np.sort(first[:MOST_CELLS])
    return drawn


def on_whole_numbers(placed: NDArray[np.floating[Any]]) -> NDArray[np.int64]:
    """Return places as whole numbers from 0 to ``SPAN``, one scale for both axes and the shorter one in the middle."""
    exact = placed.astype(np.float64)
    low, high = exact.min(axis=0), exact.max(axis=0)
    widest = float((high - low).max()) or 1.0
    whole: NDArray[np.int64] = np.rint(SPAN * ((exact - (low + high) / 2) / widest + 0.5)).astype(np.int64)
    return whole


def _about(context: Context, place: Place, content: str | None) -> dict[str, Any]:
    """Return what a map says of where it comes from."""
    dataset, model = context.cards.datasets[place[0]], context.cards.models[place[1]]
    return {
        "key": map_key(context.project, context.cards, *place),
        "dataset": DatasetSubject(id=dataset.id, version=dataset.version, digest=dataset.digest, content=content),
        "model": Subject(id=model.id, version=model.version, digest=model.digest),
        "seed": SEED_OF_CHECKS,
        "environment": environment(),
    }


def _map_lock(context: Context, place: Place) -> FileLock:
    return lock(context.folder, f"map+{'+'.join(place)}")
