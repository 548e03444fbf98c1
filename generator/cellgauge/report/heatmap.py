"""Heatmaps: models by datasets, as a table whose cells are shaded around the baseline.

A table and no drawing: it is read aloud cell by cell, sorted like any other, and costs no time to draw.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from cellgauge.report.tables import Cell, Column, Row, Table

SHADES = 4
"""Steps of colour on each side of the baseline."""


def heatmap(
    id_: str,
    caption: str,
    corner: Column,
    rows: Sequence[tuple[Cell, str]],
    columns: Sequence[Column],
    cell: Callable[[str, str], Cell | None],
    *,
    most: float | None = None,
    blank: Mapping[tuple[str, str], Cell] | None = None,
    groups: Mapping[str, str] | None = None,
) -> Table:
    """Return a table whose numbers are shaded: blue where better than the baseline, orange where worse.

    Shown inside an element of the class ``cg-diverging``. A cell without a number is hatched and says why.

    Parameters
    ----------
    corner
        The column of names.
    rows
        The name of each row and the group it is in; the first raw value of the name is the row's key.
    columns
        One a dataset; its key is asked for.
    cell
        Takes a row's and a column's key and returns the cell. Its first raw value is shaded: skill or a difference to
        the baseline, positive where better. None where nothing is known of the pair.
    most
        What has the strongest shade; None for the greatest number shown.
    blank
        What stands where there is no number, by row and column, with the reason in ``hover`` or ``small``: "cannot
        discriminate here", "not run". Any other place gets a dash.
    groups
        What groups of rows are called.
    """
    keys = [str(name.raw[0] if name.raw else name.text) for name, _ in rows]
    found = {(row, column.key): cell(row, column.key) for row in keys for column in columns}
    numbers = [abs(value) for one in found.values() if one is not None and (value := _value(one)) is not None]
    top = most if most is not None else max(numbers, default=0.0)
    filled = [
        Row((name, *(_shaded(found[key, column.key], (blank or {}).get((key, column.key)), column, top)
                     for column in columns)), group=group)
        for key, (name, group) in zip(keys, rows, strict=True)
    ]  # fmt: skip
    return Table(id_, caption, (corner, *columns), tuple(filled), dict(groups or {}))


def shade(value: float, most: float) -> int:
    """Return the step of colour of a number: 0 at the baseline, up to ``SHADES`` above it, below it negative."""
    if most <= 0 or abs(value) / most < 0.5 / SHADES:
        return 0
    steps = min(SHADES, max(1, round(SHADES * abs(value) / most)))
    return steps if value > 0 else -steps


def _shaded(found: Cell | None, blank: Cell | None, column: Column, most: float) -> Cell:
    if found is not None and (value := _value(found)) is not None:
        return replace(found, shade=shade(value, most))
    return replace(blank or found or Cell("–"), raw=(None,) * len(column.fields), tone="void")


def _value(cell: Cell) -> float | None:
    value = cell.raw[0] if cell.raw else None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
