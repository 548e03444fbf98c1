"""A release as one long table: a row for each score, and a row for each attempt without scores."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from cellgauge.cards.problems import UserError
from cellgauge.results.schema import Result, Score, Undefined
from cellgauge.results.store import read_release, read_results, write_atomically

COLUMNS: dict[str, str] = {
    "release": "string",
    "task": "string",
    "task_version": "int64",
    "dataset": "string",
    "dataset_content": "string",
    "model": "string",
    "model_version": "int64",
    "status": "string",
    "reason": "string",
    "metric": "string",
    "metric_version": "int64",
    "view": "string",
    "condition": "string",
    "direction": "string",
    "value": "float64",
    "low": "float64",
    "high": "float64",
    "level": "float64",
    "n_units": "int64",
    "unit": "string",
    "n_seeds": "int64",
    "leakage": "string",
    "embedding_wall_s": "float64",
    "peak_memory_mb": "float64",
    "result_id": "string",
}
"""Column → type. A field that does not apply is null (in CSV: empty)."""

Row = dict[str, Any]


def long_table(folder: Path) -> list[Row]:
    """Return a release's scores, ordered by task, dataset, model and the task's order of scores.

    Raises
    ------
    UserError
        When there is no such release, or one of its files is broken.
    """
    read_release(folder)
    return [row for result in read_results(folder) for row in _rows(result)]


def _rows(result: Result) -> list[Row]:
    rows = [_row(result, score) for score in result.scores] + [_row(result, one) for one in result.undefined]
    return rows or [_row(result, None)]


def _row(result: Result, score: Score | Undefined | None) -> Row:
    resources = result.resources
    known: Row = {
        "release": result.release,
        "task": result.task.id,
        "task_version": result.task.version,
        "dataset": result.dataset.id,
        "dataset_content": result.dataset.content,
        "model": result.model.id,
        "model_version": result.model.version,
        "status": result.status,
        "reason": result.reason,
        "n_seeds": len(result.seeds),
        "leakage": result.leakage.leakage_class,
        "result_id": result.result_id,
    }
    if resources is not None:
        known |= {"embedding_wall_s": resources.embedding_wall_s, "peak_memory_mb": resources.peak_memory_mb}
    if score is not None:
        known |= {"metric": score.metric, "view": score.view, "condition": score.condition}
    if isinstance(score, Undefined):
        known |= {"status": "metric_undefined", "reason": score.reason}
    elif score is not None:
        if score.interval is not None:
            known |= {"low": score.interval.low, "high": score.interval.high, "level": score.interval.level}
        known |= {
            "metric_version": score.version,
            "direction": score.direction,
            "value": score.value,
            "n_units": score.n_units,
            "unit": score.unit,
        }
    return {column: known.get(column) for column in COLUMNS}


def _csv(rows: list[Row]) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, list(COLUMNS), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def _json(rows: list[Row]) -> bytes:
    return (json.dumps(rows, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _parquet(rows: list[Row]) -> bytes:
    try:
        arrow: Any = import_module("pyarrow")
        parquet: Any = import_module("pyarrow.parquet")
    except ModuleNotFoundError:
        raise UserError("Parquet needs pyarrow: pip install 'cellgauge[export]'") from None
    schema = arrow.schema([(column, getattr(arrow, kind)()) for column, kind in COLUMNS.items()])
    out = io.BytesIO()
    parquet.write_table(arrow.Table.from_pylist(rows, schema=schema), out, compression="zstd")
    return out.getvalue()


FORMATS: dict[str, Callable[[list[Row]], bytes]] = {"csv": _csv, "json": _json, "parquet": _parquet}


def export_table(folder: Path, kind: str, out: Path) -> tuple[Path, int]:
    """Write a release's long table as ``<release>.<kind>`` into ``out``.

    Returns
    -------
    The file, and how many rows it has.
    """
    rows = long_table(folder)
    path = out / f"{folder.name}.{kind}"
    write_atomically(path, FORMATS[kind](rows))
    return path, len(rows)
