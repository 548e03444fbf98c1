"""Everything that is said of a pair of models, as one table."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from cellgauge.report import cells
from cellgauge.report.dataset_comparison import Row
from cellgauge.report.numbers import SCORE_DECIMALS
from cellgauge.report.pairs import KINDS, ModelPair, PairRow
from cellgauge.report.release import Place, place_of
from cellgauge.report.tables import MISSING, Cell, Column, Strip, Table
from cellgauge.report.tables import Row as TableRow
from cellgauge.results.schema import Environment, Result
from cellgauge.stats.paired import Difference

_GROUPS = {
    "demonstration": "Demonstrations: never counted",
    "simulated": "Simulated: never counted with measured data",
}
_LEAST_MIB = 10
"""Of less memory than this there is no ratio: what a model needs drowns in what the process needs anyway."""


class Side(NamedTuple):
    """What is said of one result by itself."""

    score: Cell
    seconds: Cell
    memory: Cell
    machine: str | None
    leakage: Cell


class Sides:
    """What is said of results by themselves, kept: each stands on the pages of all pairs of its model."""

    def __init__(self) -> None:
        self._known: dict[Place, Side] = {}

    def of(self, row: Row) -> Side:
        """Return what was said of a row before, or say it."""
        result, place = row.result, place_of(row.result)
        if place not in self._known:
            wall = cells.wall_cell(result.resources)
            self._known[place] = Side(
                cells.score_cell(row.score, href=cells.page_of(result), why=row.note),
                Cell(wall.text, wall.raw[:1], hover=wall.hover),
                cells.memory_cell(result.resources),
                _machine(result),
                cells.leakage_cell(result),
            )
        return self._known[place]


def pair_table(pair: ModelPair, sides: Sides) -> Table:
    """Return everything that is said of a pair as one table; the page shows parts of it, and its CSV is all of it."""
    first, second = pair.first.name, pair.second.name
    about = ("first", "second", "kind", "study", "metric", "first_result", "second_result")
    columns = (
        *(Column(key, key.replace("_", " "), shown=False) for key in about),
        Column("task", "Task, dataset and score"),
        Column("dataset", "Dataset"),
        Column("difference", "Difference", ("", "low", "high", "adjusted_p"), numeric=True,
               hover=f"{first} minus {second}, signed so that positive is better for {first}"),
        Column("drawn", "worse ← 0 → better", (), numeric=True,
               hover=f"The difference and its interval: right of the line, {first} is better"),
        Column("verdict", f"{first} is", hover="Holm-adjusted over the comparisons of this page"),
        Column("superiority", "P(better)", numeric=True,
               hover=f"Probability of superiority: how sure these data are that {first} is better"),
        Column("first_score", first, ("", "low", "high"), numeric=True),
        Column("second_score", second, ("", "low", "high"), numeric=True),
        Column("guard", "Guard", ("", "low", "high"), numeric=True,
               hover="Difference in the score that must not get worse, with the same sign"),
        Column("first_seconds", f"{first}: s", numeric=True, direction="lower"),
        Column("second_seconds", f"{second}: s", numeric=True, direction="lower"),
        Column("seconds_ratio", "Ratio of times", numeric=True, hover=f"{first} divided by {second}"),
        Column("first_memory", f"{first}: MiB", numeric=True, direction="lower"),
        Column("second_memory", f"{second}: MiB", numeric=True, direction="lower"),
        Column("memory_ratio", "Ratio of memory", numeric=True, hover=f"{first} divided by {second}"),
        Column("machine", "Measured on", ("", "second")),
        Column("first_leakage", first, ("", "evidence")),
        Column("second_leakage", second, ("", "evidence")),
    )  # fmt: skip
    decimals = max((row.one.decimals for row in pair.rows), default=SCORE_DECIMALS)
    scale = scale_of(pair.rows)
    rows = tuple(_table_row(sides, pair, row, decimals, scale) for row in pair.rows)
    return Table("pair", f"{first} and {second}", columns, rows, _GROUPS)


def _table_row(sides: Sides, pair: ModelPair, row: PairRow, decimals: int, scale: float) -> TableRow:
    task, dataset, metric = row.comparison.task, row.one.dataset, row.comparison.metric
    first, second = sides.of(row.first), sides.of(row.second)
    arrow = "↑" if metric.direction == "higher" else "↓"
    guard = cells.difference_cell(row.guarded, decimals=decimals)
    about = (
        pair.first.id, pair.second.id, row.kind, dataset.study, task.primary.key, row.first.result.result_id,
        row.second.result.result_id,
    )  # fmt: skip
    return TableRow(
        (
            *(Cell(text, (text,)) for text in about),
            Cell(
                task.name,
                (task.id,),
                small=f"{dataset.name}; {metric.short_name} {arrow}",
                href=f"tasks/{task.id}/",
                badges=cells.dataset_badges(dataset),
            ),
            cells.dataset_cell(dataset),
            cells.difference_cell(row.difference, why=row.note, p=row.adjusted_p, decimals=decimals),
            _drawn(pair, row.difference, scale),
            cells.word_cell(row.word, "model"),
            _superiority(row),
            first.score,
            second.score,
            Cell(guard.text, guard.raw[:3], small=guard.small, hover=_guard_of(row)),
            *_cost(first, second),
            first.leakage,
            second.leakage,
        ),
        group="" if row.kind == "measured" else row.kind,
    )


def _guard_of(row: PairRow) -> str:
    task, guard = row.comparison.task.guard, row.comparison.guard
    if task is None or guard is None:
        return "this task guards no second score"
    return f"{guard.name}; may be worse by less than {task.margin:g}"


def scale_of(rows: Iterable[PairRow]) -> float:
    """Return where the drawn scale ends on both sides: as far as the rows that count need."""
    found = {kind: [row.difference for row in rows if row.kind == kind and row.difference] for kind in KINDS}
    chosen = next((some for some in found.values() if some), [])
    return max((abs(x) for one in chosen for x in (one.value, one.low, one.high)), default=0.0) or 1.0


def _drawn(pair: ModelPair, difference: Difference | None, scale: float) -> Cell:
    if difference is None:
        return MISSING
    value, low, high = (0.5 + x / scale / 2 for x in (difference.value, difference.low, difference.high))
    beyond = -1 if value < 0 else 1 if value > 1 else 0
    towards = pair.first if difference.value > 0 else pair.second
    said = f"towards {towards.name}" if difference.value else "no difference"
    return Cell(said, (difference.value,), strip=Strip(value, low, high, beyond))


def _superiority(row: PairRow) -> Cell:
    """Return the probability of superiority; what no resample contradicts is still not certain."""
    if row.superiority is None:
        return MISSING
    share = row.superiority
    text = "> 99.9 %" if share > 0.9995 else "< 0.1 %" if share < 0.0005 else f"{100 * share:.1f} %"
    return Cell(text, (share,))


def _cost(first: Side, second: Side) -> list[Cell]:
    machines = first.machine, second.machine
    same = machines[0] == machines[1] and machines[0] is not None
    if same or not any(machines):
        said = Cell(machines[0] or "not recorded", machines)
    else:
        said = Cell(f"{machines[0] or 'not recorded'}; {machines[1] or 'not recorded'}", machines)
    times, memories = (first.seconds, second.seconds), (first.memory, second.memory)
    return [*times, _ratio(times, same), *memories, _ratio(memories, same, _LEAST_MIB), said]


def _ratio(costs: tuple[Cell, Cell], same_machine: bool, least: float = 0.0) -> Cell:
    """Return the first cost divided by the second; costs on different machines, or below the least, have no ratio."""
    ours, theirs = (cost.raw[0] for cost in costs)
    if not isinstance(ours, int | float) or not isinstance(theirs, int | float) or theirs == 0:
        return Cell("–", (None,), hover="not measured for both")
    if not same_machine:
        return Cell("–", (None,), small="other machine", hover="measured on different machines, or not known on which")
    if min(ours, theirs) < least:
        return Cell("–", (None,), small="too small to compare", hover=f"below {least:g}")
    ratio = ours / theirs
    decimals = 0 if ratio >= 10 else 2 if ratio >= 0.1 or ratio == 0 else 1 - math.floor(math.log10(ratio))
    return Cell(f"{ratio:,.{decimals}f} ×", (ratio,))


def _machine(result: Result) -> str | None:
    """Return what the model's outputs were obtained on; None where that was not recorded, or is several machines."""
    made: list[Environment] = result.embedding_environments or ([result.environment] if result.environment else [])
    machines = {f"{one.cpu}, {one.gpu}" if one.gpu else one.cpu for one in made}
    return machines.pop() if len(machines) == 1 else None
