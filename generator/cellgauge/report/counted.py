"""What was counted in a dataset, as tables: from the profile that the runner wrote, never from a card."""

from __future__ import annotations

import math
from dataclasses import dataclass

from cellgauge.cards import DatasetCard
from cellgauge.report.numbers import number, percent, plural
from cellgauge.report.tables import Cell, Column, Row, Table
from cellgauge.results.profile import Composition, DatasetProfile, Quartiles

SHADES = 8
"""Steps between an empty cell and the fullest one of a table."""

_WORDS = {"label": "type", "perturbation": "perturbation", "time": "time point"}


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
        word = _WORDS.get(role, role)
        word = {"species": "species", "batch": "batches"}.get(word, f"{word}s")
        found.append(Fact(word.capitalize(), f"{many:,}"))
    if profile.split:
        parts = [f"{name or 'no part'} {plural(count, 'cell')}" for name, count in _in_order(profile.split)]
        found.append(Fact("Split", ", ".join(parts)))
    if profile.peak_memory_mb is not None:
        mib = number(max(1.0, profile.peak_memory_mb), 0)
        found.append(Fact("Memory to load and check", f"{mib} MiB", "measured peak, beyond what the libraries hold"))
    return found


def percent_of(share: float) -> str:
    """Return a share; one just below all or just above nothing does not become all or nothing."""
    if 0.9995 <= share < 1:
        return "more than 99.9 %"
    if 0 < share < 0.0005:
        return "less than 0.1 %"
    return percent(round(share, 3))


def compositions(card: DatasetCard, profile: DatasetProfile) -> list[Table]:
    """Return a shaded table for each pair of columns: how many cells have each pair of their values."""
    return [_table(card, one) for one in profile.compositions]


def _table(card: DatasetCard, counts: Composition) -> Table:
    row_word = _WORDS.get(counts.rows, counts.rows)
    by = f" and {_WORDS.get(counts.columns, counts.columns)}" if counts.columns else ""
    several = len(counts.column_names) > 1
    columns = [Column("value", row_word.capitalize())]
    if counts.columns:
        columns += [Column(f"{counts.columns}_{name}", name, numeric=True) for name in counts.column_names]
    if several or not counts.columns:
        columns.append(Column("cells", "All" if several else "Cells", numeric=True))
    most = max((count for row in counts.cells for count in row), default=0)
    rows = []
    for name, row in zip(counts.row_names, counts.cells, strict=True):
        line = [Cell(name)]
        if counts.columns:
            line += [Cell(f"{count:,}" if count else "–", (count,), shade=_shade(count, most)) for count in row]
        if several or not counts.columns:
            shade = 0 if counts.columns else _shade(sum(row), most)
            line.append(Cell(f"{sum(row):,}", (sum(row),), shade=shade))
        rows.append(Row(tuple(line)))
    id_ = f"cells-per-{counts.rows}" + (f"-and-{counts.columns}" if counts.columns else "")
    return Table(id_, f"Cells per {row_word}{by} of {card.name}", tuple(columns), tuple(rows))


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
