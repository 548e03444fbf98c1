"""Tables: one object from which a page's HTML, CSV, JSON and figures are drawn.

What is shown, what is sorted by, what is downloaded and what is linked are kept apart, so that none
of them has to be parsed out of another.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

from cellgauge.report.numbers import same_anywhere
from cellgauge.results.table import csv_text

Raw = str | int | float | bool | None
"""A value as it is downloaded, with ten significant digits."""

Tone = Literal[
    "", "baseline", "control", "green", "yellow", "red", "gray", "better", "worse", "simulated", "plain", "failed"
]

Direction = Literal["higher", "lower"]
"""Of a score: which values are better."""

Side = Literal["", "above", "below"]
"""Of a shade that has two colours: above the baseline or below it, right or (below) wrong."""


@dataclass(frozen=True)
class Badge:
    """A short label beside a name."""

    text: str
    tone: Tone = "plain"
    hover: str = ""


@dataclass(frozen=True)
class Strip:
    """A dot with its interval on a scale that the whole column shares, as shares of its width from the left."""

    value: float
    low: float
    high: float
    beyond: int = 0
    """-1 or 1 where the dot lies beyond the scale, and stands at its left or right end."""
    lines: tuple[float, ...] = (0.5,)
    """Where lines stand, such as at no difference."""


class Cell(NamedTuple):
    """One cell. Made a million times for a large release, and a tuple is made several times as fast as a dataclass."""

    text: str
    """What is shown."""
    raw: tuple[Raw, ...] = ()
    """What is downloaded, one value per field of the column; the first one is sorted by. Empty: the text itself."""
    small: str = ""
    """Shown below, smaller: an interval under its value."""
    hover: str = ""
    href: str | None = None
    """An address relative to the site's root, or an absolute one."""
    badges: tuple[Badge, ...] = ()
    tone: Tone = ""
    shade: int = 0
    """How strongly the cell is shaded, for a number that is read as part of a picture."""
    side: Side = ""
    """Which of two colours the shade has."""
    band: tuple[int, int, int] | None = None
    """A range of ranks drawn beside the text: first, last, and how many ranks there are."""
    strip: Strip | None = None
    """Drawn in place of the text, which then says the same."""
    bar: float | None = None
    """Drawn beside the text: how much of the fullest cell of the column it is."""
    direction: Direction | None = None
    """Shown as an arrow behind the text: what is better in what it names."""

    @property
    def is_plain(self) -> bool:
        """Whether it shows its text and nothing else."""
        return self[2:] == _PLAIN

    @property
    def sorted_as(self) -> Raw:
        """What a column of numbers sorts it by; empty where there is no number."""
        found: Raw = same_anywhere(self.raw[0]) if self.raw and self.raw[0] is not None else ""
        return found


_PLAIN = Cell("")[2:]

MISSING = Cell("–", (None,))
"""A cell of a value that does not exist, such as the difference of the baseline to itself."""


@dataclass(frozen=True)
class Column:
    """One column, and how it is named in downloads."""

    key: str
    label: str
    fields: tuple[str, ...] = ("",)
    """Suffixes of its downloaded values: ``("", "low", "high")`` gives ``key``, ``key_low`` and ``key_high``. None for
    a column that only draws what another one holds."""
    numeric: bool = False
    direction: Direction | None = None
    hover: str = ""
    href: str | None = None
    shown: bool = True
    """False for a column that is only downloaded."""
    by_text: bool = False
    """Whether its numbers are sorted as they are shown: in a large table their exact values would weigh too much."""
    choices: bool = False
    """Whether its few different texts are offered as a choice of rows, above a long table."""

    @property
    def names(self) -> list[str]:
        """The names of its values in downloads."""
        return [f"{self.key}_{suffix}" if suffix else self.key for suffix in self.fields]


@dataclass(frozen=True)
class Row:
    """One row: a cell for each column, in their order."""

    cells: tuple[Cell, ...]
    group: str = ""
    """Rows of one group stand together under a line; sorting stays within it."""
    instead: str = ""
    """Shown across the row in place of every cell but the first: why there is nothing else."""
    model: str = ""
    """The id of the model whose scores it holds; two such rows of a table can be compared."""


@dataclass(frozen=True)
class Table:
    """A table with its caption."""

    id: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    groups: dict[str, str] = field(default_factory=dict)
    """What a group of rows is called, where that has to be said."""
    sorted_by: tuple[str, Literal["ascending", "descending"]] | None = None
    """The column by which the rows of each group stand in order; None where it is no column's order."""
    compare: bool = False
    """Whether there is a page for each pair of its models."""

    def part(
        self, id_: str, caption: str, *, rows: Callable[[Row], bool] | None = None, columns: Sequence[str] | None = None
    ) -> Table:
        """Return some of the rows and the columns named, in their order here."""
        places = [i for i, column in enumerate(self.columns) if columns is None or column.key in columns]
        return replace(
            self,
            id=id_,
            caption=caption,
            columns=tuple(self.columns[i] for i in places),
            sorted_by=self.sorted_by if any(self.columns[i].key == self.sorted_key for i in places) else None,
            rows=tuple(
                replace(row, cells=tuple(row.cells[i] for i in places))
                for row in self.rows
                if rows is None or rows(row)
            ),
        )

    @property
    def sorted_key(self) -> str | None:
        """The key of the column by which rows stand in order."""
        return self.sorted_by[0] if self.sorted_by else None

    @property
    def shown(self) -> list[tuple[int, Column]]:
        """The columns a page shows, with their places."""
        return [(i, column) for i, column in enumerate(self.columns) if column.shown]

    @property
    def bodies(self) -> list[tuple[str, list[Row]]]:
        """The rows by group, in the order in which groups first appear."""
        groups: dict[str, list[Row]] = {}
        for row in self.rows:
            groups.setdefault(row.group, []).append(row)
        return list(groups.items())

    def records(self) -> list[dict[str, Raw]]:
        """Return each row's downloaded values by name."""
        names = [name for column in self.columns for name in column.names]
        return [dict(zip(names, values, strict=True)) for values in self._downloaded()]

    def _downloaded(self) -> Iterator[list[Raw]]:
        """Yield the downloaded values of each row, in the order of the columns."""
        widths = [len(column.fields) for column in self.columns]
        for row in self.rows:
            cells = zip(row.cells, widths, strict=True)
            yield [same_anywhere(value) for cell, width in cells for value in _padded(cell, width)]

    def to_csv(self) -> bytes:
        """Return the table as CSV: values with ten significant digits, empty where there is none."""
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([name for column in self.columns for name in column.names])
        writer.writerows(map(_csv, self._downloaded()))
        return text.getvalue().encode()

    def to_json(self, about: dict[str, Any]) -> bytes:
        """Return the table as JSON, with what it is about before its rows."""
        document = {**about, "rows": self.records()}
        return (json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def alphabetical(text: str) -> list[str | int]:
    """Return what to sort names by: letters without case, and numbers by their size, as the page's script does."""
    return [int(part) if place % 2 else part for place, part in enumerate(re.split(r"([0-9]+)", text.casefold()))]


def _padded(cell: Cell, width: int) -> tuple[Raw, ...]:
    if not width:
        return ()
    values = cell.raw or (cell.text,)
    return values + (None,) * (width - len(values))


def _csv(values: list[Raw]) -> list[Raw]:
    """Return values for CSV: no text that a spreadsheet would run, and truth as JSON writes it."""
    return [
        value
        if isinstance(value, float) or value is None
        else csv_text(value)
        if isinstance(value, str)
        else str(value).lower()
        if isinstance(value, bool)
        else value
        for value in values
    ]
