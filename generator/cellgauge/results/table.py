"""Results as one long table: a row for each score, and a row for each attempt without scores."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from cellgauge.cards import Cards
from cellgauge.results.schema import Result, Score, Undefined

TABLE_VERSION = 1
Row = dict[str, Any]


@dataclass(frozen=True)
class Field:
    """A column of the table."""

    type: Literal["string", "int64", "float64"]
    description: str


COLUMNS: dict[str, Field] = {
    "release": Field("string", "The release"),
    "task": Field("string", "Id of the task"),
    "task_version": Field("int64", "Version of the task's protocol"),
    "dataset": Field("string", "Id of the dataset"),
    "dataset_content": Field("string", "Digest of the cells; empty where they could not be verified"),
    "evidence": Field("string", "Where its cells come from: measured or simulated"),
    "model": Field("string", "Id of the model"),
    "model_version": Field("int64", "Version of the model's card"),
    "role": Field("string", "model, baseline, control, or repeat: another model, obtained in another way"),
    "status": Field("string", "done, or why there is no score"),
    "reason": Field("string", "Why there is no score, in a sentence"),
    "metric": Field("string", "Id of the metric"),
    "metric_version": Field("int64", "Version of the metric's card"),
    "view": Field("string", "Which of several ways of looking, such as one classifier; empty where there is one"),
    "condition": Field("string", "Which worse data the model was shown; empty: the data as they are"),
    "direction": Field("string", "higher or lower: which is better"),
    "value": Field("float64", "The score, the mean over seeds"),
    "low": Field("float64", "Lower end of its interval"),
    "high": Field("float64", "Upper end of its interval"),
    "level": Field("float64", "Level of the interval, such as 0.95"),
    "n_units": Field("int64", "How many units were scored; empty where a source of reported results does not say"),
    "unit": Field("string", "What a unit is: cell, perturbation, sample or time point"),
    "n_seeds": Field("int64", "How many seeds it was computed with; 0: reported"),
    "leakage": Field("string", "green, yellow, red or gray: whether the model had seen the data; empty for controls"),
    "embedding_wall_s": Field("float64", "Wall time in seconds of obtaining all outputs"),
    "peak_memory_mb": Field("float64", "Peak memory in MiB"),
    "result_id": Field("string", "Digest of the result"),
    "kind": Field("string", "measured here, or reported: measured and published by others"),
    "source": Field("string", "Who measured what is reported; empty for what was measured here"),
}
"""A field that does not apply is null (in CSV: empty); so are evidence and role where their card is gone."""


def table_rows(results: Iterable[Result], cards: Cards) -> list[Row]:
    """Return the scores of results in their order, those of one in the task's order of scores."""
    return [row | _of_cards(row, cards) for result in results for row in _rows(result)]


def _of_cards(row: Row, cards: Cards) -> Row:
    dataset, model = cards.datasets.get(row["dataset"]), cards.models.get(row["model"])
    return {"evidence": dataset.evidence if dataset else None, "role": model.counts_as if model else None}


def table_csv(rows: Iterable[Row]) -> bytes:
    """Return the table as CSV with a header, its texts as in :func:`csv_text`."""
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, list(COLUMNS), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: csv_text(value) if isinstance(value, str) else value for name, value in row.items()})
    return out.getvalue().encode()


_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_text(text: str) -> str:
    """Return text for CSV: with an apostrophe before it where a spreadsheet would run it as a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def table_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of the list of rows."""
    names = {"string": "string", "int64": "integer", "float64": "number"}
    properties = {
        name: {"type": [names[one.type], "null"], "description": one.description} for name, one in COLUMNS.items()
    }
    row = {"type": "object", "properties": properties, "required": list(COLUMNS), "additionalProperties": False}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "array", "items": row}


def table_json(rows: Iterable[Row]) -> bytes:
    """Return the table as a JSON list, one row a line."""
    lines = ",\n".join(json.dumps(row, ensure_ascii=False, allow_nan=False) for row in rows)
    return f"[\n{lines}\n]\n".encode()


def _rows(result: Result) -> list[Row]:
    rows = [_row(result, score) for score in result.scores] + [_row(result, one) for one in result.undefined]
    return rows or [_row(result, None)]


def _row(result: Result, score: Score | Undefined | None) -> Row:
    resources = result.resources
    known: Row = {
        "release": result.release,
        "kind": "measured" if result.reported is None else "reported",
        "source": None if result.reported is None else result.reported.source,
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
