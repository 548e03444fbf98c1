"""The page of a release's data: all scores as one table, what its columns hold, and how it is read."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from cellgauge.report.numbers import plural, size_in_words
from cellgauge.report.page import Page
from cellgauge.report.render import Renderer
from cellgauge.report.tables import Cell, Column, Row, Table
from cellgauge.report.trends import trends
from cellgauge.results.table import COLUMNS, TABLE_VERSION, table_csv, table_json, table_rows, table_schema

API = f"api/v{TABLE_VERSION}/"
_TOLD = {"release", "title", "kind", "rehearsal", "protocol", "corrects", "reported"}
_TYPES = {"string": "text", "int64": "whole number", "float64": "number"}


def data_page(renderer: Renderer) -> Page:
    """Draw what of a release programs read, with the files beside it."""
    view = renderer.view
    path, title = "data/", "Data"
    intro = "All scores of this release as one table, for programs."
    rows = table_rows(view.results.values(), view.cards)
    files = {f"{API}results.csv": table_csv(rows), f"{API}results.json": table_json(rows)} if rows else {}
    files[f"{API}results.schema.json"] = _json(table_schema())
    if view.meta is not None:
        files[f"{API}release.json"] = _json(_about(renderer, len(rows)))
    html = renderer.fragment(
        "data.html",
        path,
        title=title,
        intro=intro,
        rows=plural(len(rows), "row"),
        files=[(name, size_in_words(len(data)), _MEANING[name.rpartition("/")[2]]) for name, data in files.items()],
        table=f"{API}results.csv" if rows else None,
        address=f"{renderer.address.site}{API}results.csv",
        columns=_columns(),
    )
    return Page(path, title, intro, html, files=files, search=" ".join(COLUMNS))


_MEANING = {
    "results.csv": "a row for each score, for each that has no value, and for each attempt without scores",
    "results.json": "the same rows as a list",
    "results.schema.json": "what each row of the list holds, as JSON Schema",
    "release.json": "what the release is, how many evaluations ended how, and what each task shows in a few numbers",
}


def _about(renderer: Renderer, n_rows: int) -> dict[str, Any]:
    view, meta = renderer.view, renderer.view.meta
    assert meta is not None  # noqa: S101 (the caller looked)
    counts = Counter(result.status for result in view.results.values())
    models = {result.model.id for result in view.results.values()}
    return {
        **meta.model_dump(
            mode="json", include={"release", "title", "kind", "rehearsal", "protocol", "corrects", "reported"}
        ),
        "protocol_date": meta.protocol_date.isoformat() if meta.protocol_date else None,
        "data_date": view.data_date.isoformat() if view.data_date else None,
        "url": renderer.address.site or None,
        "table_version": TABLE_VERSION,
        "rows": n_rows,
        "evaluations": dict(sorted(counts.items())),
        "tasks": sorted({result.task.id for result in view.results.values()}),
        "datasets": sorted({result.dataset.id for result in view.results.values()}),
        "models": sorted(models),
        "roles": dict(sorted(Counter(view.cards.models[one].counts_as for one in models).items())),
        "trends": trends(renderer.comparisons.values()),
    }


def _columns() -> Table:
    columns = (Column("column", "Column"), Column("type", "Type"), Column("description", "What it holds"))
    rows = tuple(
        Row((Cell(name, (name,)), Cell(_TYPES[one.type], (one.type,)), Cell(one.description, (one.description,))))
        for name, one in COLUMNS.items()
    )
    return Table("columns", "Columns of the table", columns, rows)


def _json(document: dict[str, Any]) -> bytes:
    return (json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()
