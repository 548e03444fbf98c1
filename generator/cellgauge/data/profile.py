"""Counting a dataset: the numbers on its page."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from cellgauge.cards.base import Column
from cellgauge.cards.dataset import Split
from cellgauge.data.dataset import Dataset
from cellgauge.results.profile import Composition, DatasetProfile, Quartiles

_ROWS: tuple[Column, ...] = ("label", "perturbation")
_COLUMNS: tuple[Column, ...] = ("donor", "batch", "species", "sample", "time")


def count_dataset(
    dataset: Dataset, *, file_bytes: int | None, peak_memory_mb: float | None, memory_method: str | None
) -> DatasetProfile:
    """Count what a dataset's page shows.

    Parameters
    ----------
    file_bytes
        Size of the original files.
    peak_memory_mb
        What loading and checking needed, in MiB.
    memory_method
        How that was measured.
    """
    content, columns = dataset.content, dataset.columns
    n_features = len(dataset.feature_ids)
    parts = split_of(dataset.card.split, columns, dataset.split)
    by = dataset.card.split.by if dataset.card.split else None
    return DatasetProfile(
        dataset=dataset.card.id,
        card=dataset.card.digest,
        content=dataset.digest,
        n_cells=dataset.n_cells,
        n_features=n_features,
        n_features_seen=int(np.count_nonzero(content.cells_with)),
        n_stored=content.n_stored,
        share_of_zeros=1 - content.n_stored / max(1, dataset.n_cells * n_features),
        whole_numbers=content.whole_numbers,
        totals=_quartiles(content.totals),
        detected=_quartiles(content.detected.astype(float)),
        values={role: len(np.unique(values)) for role, values in columns.items()},
        compositions=_compositions(columns),
        split=None if parts is None else _counts(parts),
        split_values=None
        if parts is None or by is None
        else {part: len(np.unique(columns[by][parts == part])) for part in _counts(parts)},
        file_bytes=file_bytes,
        peak_memory_mb=peak_memory_mb,
        memory_method=memory_method,
        counted_at=dt.datetime.now(dt.UTC),
    )


def split_of(
    split: Split | None, columns: Mapping[Column, NDArray[np.str_]], column: NDArray[np.str_] | None
) -> NDArray[np.str_] | None:
    """Return each cell's part of the split: ``train``, ``validation``, ``test``, or what the file says.

    Parameters
    ----------
    columns
        Role → (n_cells,).
    column
        (n_cells,) the split column, where the card names one.
    """
    if split is None or split.by is None:
        return column
    values = columns[split.by]
    parts = np.where(np.isin(values, split.test), "test", "train")
    return np.where(np.isin(values, split.validation), "validation", parts)


def _quartiles(values: NDArray[np.float64]) -> Quartiles:
    found = np.quantile(values, [0, 0.25, 0.5, 0.75, 1]) if len(values) else np.zeros(5)
    least, lower, median, upper, most = (round(float(one), 6) for one in found)
    return Quartiles(least=least, lower=lower, median=median, upper=upper, most=most)


def _counts(values: NDArray[np.str_]) -> dict[str, int]:
    names, counts = np.unique(values, return_counts=True)
    return dict(zip(names.tolist(), counts.tolist(), strict=True))


def _compositions(columns: Mapping[Column, NDArray[np.str_]]) -> list[Composition]:
    """Cross what the cells are with where they come from; a column alone is counted alone."""
    what = [role for role in _ROWS if role in columns]
    where = [role for role in _COLUMNS if role in columns]
    if not what:
        return [_cross(role, None, columns) for role in where]
    return [_cross(row, column, columns) for row in what for column in _or_none(where)]


def _or_none(columns: list[Column]) -> list[Column | None]:
    return list(columns) or [None]


def _cross(row: Column, column: Column | None, columns: Mapping[Column, NDArray[np.str_]]) -> Composition:
    row_names, rows = np.unique(columns[row], return_inverse=True)
    others = columns[column] if column else np.full(len(rows), "cells")
    column_names, across = np.unique(others, return_inverse=True)
    cells = np.zeros((len(row_names), len(column_names)), dtype=int)
    np.add.at(cells, (rows, across), 1)
    return Composition(
        rows=row,
        columns=column,
        row_names=row_names.tolist(),
        column_names=column_names.tolist(),
        cells=cells.tolist(),
    )
