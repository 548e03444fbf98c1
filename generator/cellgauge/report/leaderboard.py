"""A task's table and figures, drawn from one comparison."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from cellgauge.cards import MetricCard, ScoreRef, TaskCard
from cellgauge.report import cells
from cellgauge.report.charts import GREY, Figure, Mark
from cellgauge.report.comparison import TaskComparison
from cellgauge.report.dataset_comparison import DatasetComparison, Row
from cellgauge.report.numbers import interval, listing, number
from cellgauge.report.release import ReleaseView
from cellgauge.report.tables import Cell, Column, Table
from cellgauge.report.tables import Row as TableRow
from cellgauge.results.schema import Result

_ABOUT = ("dataset", "evidence", "study", "role", "status", "reason", "outdated", "result_id")
_COST = ("seconds_per_embedding", "peak_memory_mb", "leakage")
GROUPS = {
    "control": "Controls: known outcomes, never ranked",
    "outdated": "Outdated: computed with earlier cards, never compared",
    "empty": "Without scores",
}


def leaderboard(view: ReleaseView, comparison: TaskComparison) -> Table:
    """Return one table with everything a task's results say, for all its datasets and views.

    Pages show parts of it; the downloads hold all of it.
    """
    task, baseline = comparison.task, comparison.baseline.name
    columns = (
        *(Column(key, key.replace("_", " "), shown=False) for key in _ABOUT),
        Column("model", "Model"),
        Column(
            "difference",
            f"vs {baseline}",
            ("", "low", "high", "adjusted_p"),
            numeric=True,
            direction="higher",
            hover=f"Difference to {baseline} in {comparison.score_name}, signed so that positive is better",
        ),
        Column("verdict", "Verdict", hover="Holm-adjusted over all models compared on this dataset"),
        *(_score_column(view, task, ref) for ref in task.scores),
        cells.WALL,
        cells.MEMORY,
        cells.LEAKAGE_COLUMN,
    )
    rows = [row for one in comparison.datasets for row in _rows(view, comparison, one)]
    return Table("leaderboard", f"{task.name}: all results", columns, tuple(rows), GROUPS)


def parts(view: ReleaseView, comparison: TaskComparison, table: Table, dataset: str) -> list[tuple[str, Table]]:
    """Return the tables of one dataset as pages show them: the primary view first, then each other view."""
    task, card = comparison.task, view.cards.datasets[dataset]
    primary = task.primary.view
    first = [ref.key for ref in task.scores if ref.view in (primary, None)]
    names = {one.id: one.name for one in task.views}
    title = f"{task.name} on {card.name}" + (f", {names[primary]}" if primary else "")
    out = [(names.get(primary or "", ""), _part(table, dataset, title, ["difference", "verdict", *first, *_COST]))]
    for one in task.views:
        keys = [ref.key for ref in task.scores if ref.view == one.id]
        if one.id != primary and keys:
            out.append(
                (one.name, _part(table, dataset, f"{task.name} on {card.name}, {one.name}", keys, suffix=one.id))
            )
    return out


def _part(table: Table, dataset: str, caption: str, keys: Sequence[str], suffix: str = "") -> Table:
    place = next(i for i, column in enumerate(table.columns) if column.key == "dataset")
    id_ = f"scores-{dataset}--{suffix}" if suffix else f"scores-{dataset}"
    return table.part(id_, caption, rows=lambda row: row.cells[place].raw == (dataset,), columns=["model", *keys])


def forest(
    comparison: TaskComparison, one: DatasetComparison, colours: dict[str, str], *, few: bool = False
) -> Figure | None:
    """Return the figure of differences to the baseline on one dataset; None when there is none to draw.

    Parameters
    ----------
    few
        Leave out controls and keep to six models, for a small figure among others.
    """
    rows = [row for row in one.rows if row.difference is not None and not (few and row.role == "control")]
    if few:
        rows = rows[:6]
    marks = tuple(_mark(row, colours, one.decimals) for row in rows)
    if not marks:
        return None
    baseline = comparison.baseline.name
    said = [f"{mark.label} {number(mark.value, one.decimals, signed=True)} ({mark.word})" for mark in marks]
    return Figure(
        marks=marks,
        axis=f"Difference to {baseline} ({comparison.score_name}): right is better",
        short_axis=f"Difference to {baseline}: right is better",
        description=f"Differences to {baseline} on {one.dataset.name}, {comparison.score_name}: {listing(said)}.",
        reference=0.0,
        bounds=_bounds_of_differences(comparison.metric),
    )


def _bounds_of_differences(metric: MetricCard) -> tuple[float | None, float | None]:
    """Return how far two scores can be apart at all."""
    if metric.range.min is None or metric.range.max is None:
        return (None, None)
    width = metric.range.max - metric.range.min
    return (-width, width)


def _mark(row: Row, colours: dict[str, str], decimals: int) -> Mark:
    assert row.difference is not None  # noqa: S101 (callers choose such rows)
    low, high = row.difference.low, row.difference.high
    control = row.role == "control"
    return Mark(
        label=row.model.name,
        value=row.difference.value,
        low=low,
        high=high,
        numbers=f"{number(row.difference.value, decimals, signed=True)} {interval(low, high, decimals, signed=True)}",
        word=row.word or ("control" if control else ""),
        colour=GREY if control else colours.get(row.model.id, GREY),
        below=control,
    )


def _score_column(view: ReleaseView, task: TaskCard, ref: ScoreRef) -> Column:
    metric = view.cards.metrics[ref.metric]
    return cells.header_of(ref.key, metric.short_name, metric.direction, metric.id)


def _rows(view: ReleaseView, comparison: TaskComparison, one: DatasetComparison) -> list[TableRow]:
    rows = []
    for row in (*one.rows, *one.outdated):
        group = "outdated" if row.outdated else "control" if row.role == "control" else "ranked"
        why = "" if row.role == "baseline" or row.outdated else row.note or ""
        name = cells.model_cell(row.model, href=cells.page_of(row.result), role=row.role)
        rows.append(
            TableRow(
                (
                    *_about(view, one, row.result, row.role),
                    replace(name, small=row.note or "") if row.outdated else name,
                    cells.difference_cell(row.difference, why=why, p=row.adjusted_p, decimals=one.decimals),
                    word_of(row),
                    *(cells.score_cell(row.result.score(ref.key)) for ref in comparison.task.scores),
                    *_cost(row.result),
                ),
                group=group,
            )
        )
    for result in one.empties:
        model = view.cards.models[result.model.id]
        role = "baseline" if model.id == comparison.baseline.id else model.role if model.is_control else "model"
        mark = cells.sentence(view.outdated(result))
        blank = [Cell("–", (None,) * len(column.fields)) for column in _middle(comparison)]
        rows.append(
            TableRow(
                (
                    *_about(view, one, result, role),
                    cells.model_cell(model, href=cells.page_of(result), role=role),
                    *blank,
                    *_cost(result),
                ),
                group="empty",
                instead=f"{cells.why_empty(result.status, result.reason)} {mark}".strip(),
            )
        )
    return rows


def _middle(comparison: TaskComparison) -> list[Column]:
    """The columns between the model and its cost, for a row without scores."""
    differences = [Column("difference", "", ("", "low", "high", "adjusted_p")), Column("verdict", "")]
    return [*differences, *(Column(ref.key, "", ("", "low", "high")) for ref in comparison.task.scores)]


def word_of(row: Row) -> Cell:
    """Return what a row's comparison shows; one that is outdated is not compared."""
    if row.outdated:
        return Cell("outdated", (None,), hover=row.note or "", tone="control")
    return cells.word_cell(row.word, row.role)


def _about(view: ReleaseView, one: DatasetComparison, result: Result, role: str) -> list[Cell]:
    values = (
        one.dataset.id,
        one.dataset.evidence,
        one.dataset.study,
        role,
        result.status,
        result.reason,
        view.outdated(result),
        result.result_id,
    )
    return [Cell(str(value or ""), (value,)) for value in values]


def _cost(result: Result) -> list[Cell]:
    return [cells.wall_cell(result.resources), cells.memory_cell(result.resources), cells.leakage_cell(result)]
