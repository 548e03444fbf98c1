"""A release as one long table, in files that other programs read."""

from __future__ import annotations

import io
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from cellgauge.cards.problems import UserError
from cellgauge.cards.project import Project, load_cards
from cellgauge.results.manifest import refuse_changed
from cellgauge.results.store import read_release, read_results, write_atomically
from cellgauge.results.table import COLUMNS, Row, table_csv, table_json, table_rows


def long_table(project: Project, release: str) -> list[Row]:
    """Return a release's scores, ordered by task, dataset, model and the task's order of scores.

    Raises
    ------
    UserError
        When there is no such release, it is frozen and has changed, or one of its files or of the cards is broken.
    """
    refuse_changed(project, release)
    folder = project.release(release)
    read_release(folder)
    return table_rows(read_results(folder), load_cards(project, release))


def _parquet(rows: list[Row]) -> bytes:
    try:
        arrow: Any = import_module("pyarrow")
        parquet: Any = import_module("pyarrow.parquet")
    except ModuleNotFoundError:
        raise UserError("Parquet needs pyarrow: pip install 'cellgauge[export]'") from None
    schema = arrow.schema([(name, getattr(arrow, column.type)()) for name, column in COLUMNS.items()])
    out = io.BytesIO()
    parquet.write_table(arrow.Table.from_pylist(rows, schema=schema), out, compression="zstd")
    return out.getvalue()


FORMATS: dict[str, Callable[[list[Row]], bytes]] = {"csv": table_csv, "json": table_json, "parquet": _parquet}


def export_table(project: Project, release: str, kind: str, out: Path) -> tuple[Path, int]:
    """Write a release's long table as ``<release>.<kind>`` into ``out``.

    Returns
    -------
    The file, and how many rows it has.
    """
    rows = long_table(project, release)
    path = out / f"{release}.{kind}"
    write_atomically(path, FORMATS[kind](rows))
    return path, len(rows)
