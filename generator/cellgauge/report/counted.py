"""What was counted in a dataset, as tables: from the profile that the runner wrote, never from a card."""

from __future__ import annotations

import math
from dataclasses import dataclass

from cellgauge.cards import DatasetCard
from cellgauge.report.numbers import number, percent, plural
from cellgauge.report.tables import Cell, Column, Row, Table, alphabetical
from cellgauge.results.profile import Composition, DatasetProfile, Quartiles

SHADES = 8
"""Steps between an empty cell and the fullest one of a table."""
MOST_BARS = 100
"""Columns with more values, such as measured times, are counted only by pairs."""
_MOST_COLUMNS = 40

_WORDS = {"label": "type", "time": "time point"}


@dataclass(frozen=True)
class Fact:
    """One counted number."""

    name: str
    value: str
    note: str = ""


def facts(card: DatasetCard, profile: DatasetProfile) -> list[Fact]:
    """Return what a dataset's page says of it in numbers."""
    features = "genes" if "gene" in card.matrix.features else "features"
    unseen = profile.n_features - profile.n_features_seen
    found = [
        Fact("Cells", f"{profile.n_cells:,}"),
        Fact(
            features.capitalize(),
            f"{profile.n_features:,}",
            f"{unseen:,} of them not seen in any cell" if unseen else "each seen in at least one cell",
        ),
        Fact("Zeros", percent_of(profile.share_of_zeros), "of all values of the matrix"),
        Fact(f"{features.capitalize()} per cell", _typical(profile.detected), _spread(profile.detected)),
    ]
    if profile.whole_numbers:
        found.append(Fact("Counts per cell", _typical(profile.totals), _spread(profile.totals)))
    for role, many in profile.values.items():
        word = word_of(role)
        word = {"species": "species", "batch": "batches"}.get(word, f"{word}s")
        found.append(Fact(word.capitalize(), f"{many:,}"))
    if profile.split:
        parts = [f"{name or 'no part'} {plural(count, 'cell')}" for name, count in _in_order(profile.split)]
        found.append(Fact("Split", ", ".join(parts)))
    if profile.peak_memory_mb is not None:
        mib = number(max(1.0, profile.peak_memory_mb), 0)
        found.append(Fact("Memory to load and check", f"{mib} MiB", "measured peak, beyond what the libraries hold"))
    return found


def word_of(role: str) -> str:
    """Return what the values of a column are called on pages, by the role of the column."""
    return _WORDS.get(role, role)


def percent_of(share: float) -> str:
    """Return a share; one just below all or just above nothing does not become all or nothing."""
    if 0.9995 <= share < 1:
        return "more than 99.9 %"
    if 0 < share < 0.0005:
        return "less than 0.1 %"
    return percent(round(share, 3))


def compositions(card: DatasetCard, profile: DatasetProfile) -> list[Table]:
    """Return how many cells have each value of a column, with bars, and each pair of values of two, shaded."""
    found: dict[str, Table] = {}
    for one in profile.compositions:
        sums = {one.rows: (one.row_names, [sum(row) for row in one.cells])}
        if one.columns:
            sums[one.columns] = (one.column_names, [sum(column) for column in zip(*one.cells, strict=True)])
        for role, (names, counts) in sums.items():
            if role not in found and 1 < len(names) <= MOST_BARS:
                found[role] = _bars(card, role, names, counts)
    pairs = [_pairs(card, one) for one in profile.compositions if one.columns]
    return [*found.values(), *pairs]


def is_too_wide(table: Table) -> bool:
    """Whether a table has too many columns to be read: a page then leads to its file."""
    return len(table.columns) > _MOST_COLUMNS


def _bars(card: DatasetCard, role: str, names: list[str], counts: list[int]) -> Table:
    word = word_of(role)
    most, total = max(counts) or 1, sum(counts) or 1
    rows = (
        Row(
            (
                Cell(name),
                Cell(f"{count:,}", (count,)),
                Cell(_one_decimal(count / total), (count / total,), bar=count / most),
            )
        )
        for name, count in zip(names, counts, strict=True)
    )
    columns = (
        Column("value", word.capitalize()),
        Column("cells", "Cells", numeric=True),
        Column("share", "Share", numeric=True),
    )
    return Table(f"cells-per-{role}", f"Cells per {word} of {card.name}", columns, tuple(rows))


def _one_decimal(share: float) -> str:
    return "<0.1 %" if 0 < share < 0.0005 else f"{100 * share:.1f} %"


def _pairs(card: DatasetCard, counts: Composition) -> Table:
    row_word, by = word_of(counts.rows), word_of(counts.columns or "")
    names = counts.column_names
    order = sorted(range(len(names)), key=lambda place: alphabetical(names[place]))
    several = len(names) > 1
    columns = [Column("value", row_word.capitalize())]
    columns += [Column(f"{counts.columns}_{names[place]}", names[place], numeric=True) for place in order]
    columns += [Column("cells", "All", numeric=True)] if several else []
    most = max((count for row in counts.cells for count in row), default=0)
    rows = []
    for name, unsorted in zip(counts.row_names, counts.cells, strict=True):
        row = [unsorted[place] for place in order]
        line = [Cell(name)]
        line += [Cell(f"{count:,}" if count else "–", (count,), shade=_shade(count, most)) for count in row]
        line += [Cell(f"{sum(row):,}", (sum(row),))] if several else []
        rows.append(Row(tuple(line)))
    id_ = f"cells-per-{counts.rows}-and-{counts.columns}"
    return Table(id_, f"Cells per {row_word} and {by} of {card.name}", tuple(columns), tuple(rows))


def _shade(count: int, most: int) -> int:
    """Return a step between 0 and ``SHADES``: by the square root, so that rare types stay visible."""
    return math.ceil(SHADES * math.sqrt(count / most)) if most else 0


def _in_order(parts: dict[str, int]) -> list[tuple[str, int]]:
    order = ["train", "validation", "val", "test"]
    return sorted(parts.items(), key=lambda part: (order.index(part[0]) if part[0] in order else len(order), part[0]))


def _typical(found: Quartiles) -> str:
    return f"{_number(found.median)} in the median cell"


def _spread(found: Quartiles) -> str:
    low, high, least, most = map(_number, (found.lower, found.upper, found.least, found.most))
    return f"half of the cells {low} to {high}, all {least} to {most}"


def _number(value: float) -> str:
    return number(value, 0 if abs(value) >= 10 or value == int(value) else 2)
