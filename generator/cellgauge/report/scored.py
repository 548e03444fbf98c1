"""How many cells of a dataset were scored, and how many of each type: counted in its results."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cellgauge.report.numbers import SCORE_DECIMALS, number
from cellgauge.report.release import ReleaseView
from cellgauge.report.tables import MISSING, Cell, Column, Row, Table, alphabetical
from cellgauge.results.schema import Result

Counts = dict[str, int | float]


@dataclass(frozen=True)
class Scored:
    """What was scored of a dataset."""

    cells: str
    """How many cells; by task where tasks differ, and empty where nothing was scored."""
    types: Table | None
    """Cells per type, where results carry them."""


def scored_cells(view: ReleaseView, results: Iterable[Result]) -> Scored:
    """Count what the results of one dataset have scored; outdated ones do not count."""
    amounts: dict[str, set[int]] = {}
    by_task: dict[str, Counts] = {}
    for result in results:
        if result.status != "done" or view.outdated(result) is not None:
            continue
        name = view.cards.tasks[result.task.id].name
        amounts.setdefault(name, set()).update(
            score.n_units for score in result.scores if score.unit == "cell" and score.n_units is not None
        )
        counts = result.details.get("label_counts")
        if isinstance(counts, dict) and counts and name not in by_task:
            by_task[name] = {label: n for label, n in counts.items() if isinstance(n, int | float)}
    texts = {name: " or ".join(f"{n:,}" for n in sorted(some)) for name, some in amounts.items() if some}
    if len(set(texts.values())) == 1:
        said = next(iter(texts.values()))
    else:
        said = "; ".join(f"{text} ({name})" for name, text in texts.items())
    return Scored(said, _types(by_task))


def _types(by_task: dict[str, Counts]) -> Table | None:
    if not by_task:
        return None
    first, *others = by_task.values()
    shown = {"Cells": first} if all(other == first for other in others) else by_task
    columns = (Column("type", "Type"), *(Column(name, name, numeric=True) for name in shown))
    labels = sorted({label for counts in shown.values() for label in counts}, key=alphabetical)
    rows = [Row((Cell(label), *(_amount(counts.get(label)) for counts in shown.values()))) for label in labels]
    return Table("cells-per-type", "Cells per type", columns, tuple(rows), sorted_by=("type", "ascending"))


def _amount(count: float | None) -> Cell:
    if count is None:
        return MISSING
    return Cell(number(count, 0 if count == int(count) else SCORE_DECIMALS), (count,))
