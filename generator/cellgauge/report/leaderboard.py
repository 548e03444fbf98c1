"""A task's table and figures, drawn from one comparison."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Literal

from cellgauge.cards import MetricCard, ScoreRef, TaskCard
from cellgauge.cards.task import Stress
from cellgauge.report import cells
from cellgauge.report.charts import GREY, Figure, Mark
from cellgauge.report.colours import in_one_chart
from cellgauge.report.comparison import TaskComparison
from cellgauge.report.dataset_comparison import BESIDE, DatasetComparison, Row, role_in
from cellgauge.report.numbers import interval, listing, number
from cellgauge.report.release import ReleaseView
from cellgauge.report.score_names import name_of_score
from cellgauge.report.tables import Cell, Column, Table
from cellgauge.report.tables import Row as TableRow
from cellgauge.results.schema import Result, score_key
from cellgauge.stats.ranks import RankRange

_ABOUT = ("dataset", "evidence", "study", "role", "status", "reason", "outdated", "result_id")
_COST = ("seconds_per_embedding", "peak_memory_mb", "gpu_memory_mb", "leakage")
GROUPS = {
    "repeat": "Repeats: models above, obtained in another way; neither ranked nor counted",
    "control": "Controls: known outcomes, never ranked",
    "outdated": "Outdated: computed with earlier cards, never compared",
    "empty": "Without scores",
}


def leaderboard(view: ReleaseView, comparison: TaskComparison) -> Table:
    """Return one table with everything a task's results say, for all its datasets and views.

    Pages show parts of it; the downloads hold all of it.
    """
    task, baseline, metric = comparison.task, comparison.baseline.name, comparison.metric.short_name
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
        Column("verdict", "Verdict", hover="Holm-adjusted over all models compared on this dataset", choices=True),
        Column(
            "ranks",
            "Ranks",
            ("first", "last"),
            numeric=True,
            direction="lower",
            hover="The ranks it may have among models and baseline: pairs that are not separated may change places",
        ),
        *(_difference_column(name, baseline, metric) for name in _views_of(task)),
        *(_score_column(view, task, ref) for ref in task.scores),
        *(_stress_column(view, task, stress) for stress in task.stress),
        cells.WALL,
        cells.MEMORY,
        cells.GPU,
        cells.LEAKAGE_COLUMN,
    )
    rows = [row for one in comparison.datasets for row in _rows(view, comparison, one)]
    # Within a dataset, which is what a page shows, the best stand first.
    order: Literal["ascending", "descending"] = "descending" if comparison.metric.direction == "higher" else "ascending"
    caption = f"{task.name}: all results"
    return Table("leaderboard", caption, columns, tuple(rows), GROUPS, (task.primary.key, order), compare=True)


def parts(view: ReleaseView, comparison: TaskComparison, table: Table, dataset: str) -> Iterator[tuple[str, Table]]:
    """Yield the tables of one dataset as pages show them: the primary view first, then each family or other view."""
    task, card = comparison.task, view.cards.datasets[dataset]
    primary = task.primary.view
    first = [ref.key for ref in task.scores if ref.view in (primary, None)]
    names = {one.id: one.name for one in task.views}
    title = f"{task.name} on {card.name}" + (f", {names[primary]}" if primary else "")
    if task.families:
        first = [task.primary.key, *([task.guard.key] if task.guard else [])]
    keys = ["difference", "verdict", "ranks", *first, *_COST]
    yield names.get(primary or "", ""), _part(table, dataset, title, keys)
    for family in task.families:
        keys = [ref.key for ref in task.scores if ref.metric in family.metrics]
        suffix = family.name.lower().replace(" ", "-")
        yield family.name, _part(table, dataset, f"{title}: {family.name.lower()}", keys, suffix=suffix)
    for one in [] if task.families else task.views:
        keys = [ref.key for ref in task.scores if ref.view == one.id]
        if one.id != primary and keys:
            compared = [f"difference@{one.id}"] if one.id in _views_of(task) else []
            caption = f"{task.name} on {card.name}, {one.name}"
            yield one.name, _part(table, dataset, caption, [*compared, *keys], suffix=one.id)
    stressed = [_stressed(task, stress) for stress in task.stress]
    if any(result.score(key) for result in view.select(task=task.id, dataset=dataset) for key in stressed):
        keys = [task.primary.key, *stressed]
        caption = f"{task.name} on {card.name}, when models are shown worse data"
        yield "Worse data", _part(table, dataset, caption, keys, suffix="stress", controls=False)


def _part(
    table: Table, dataset: str, caption: str, keys: Sequence[str], suffix: str = "", *, controls: bool = True
) -> Table:
    place = next(i for i, column in enumerate(table.columns) if column.key == "dataset")
    id_ = f"scores-{dataset}--{suffix}" if suffix else f"scores-{dataset}"

    def is_shown(row: TableRow) -> bool:
        # Why there is no score is said once, in the first table.
        return (
            row.cells[place].raw == (dataset,)
            and (controls or row.group not in BESIDE)
            and not (suffix and row.instead)
        )

    return table.part(id_, caption, rows=is_shown, columns=["model", *keys])


def forest(
    comparison: TaskComparison, one: DatasetComparison, colours: dict[str, str], *, few: bool = False
) -> Figure | None:
    """Return the figure of differences to the baseline on one dataset; None when there is none to draw.

    Parameters
    ----------
    few
        Leave out controls and keep to six models, for a small figure among others.
    """
    rows = [row for row in one.rows if row.difference is not None and not (few and row.role in BESIDE)]
    if few:
        rows = rows[:6]
    colours = in_one_chart(colours, [row.model.id for row in rows if row.role == "model"])
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
        bounds=bounds_of_differences(comparison.metric),
        id=f"differences-{one.dataset.id}",
        title=f"{comparison.task.name} on {one.dataset.name}: difference to {baseline}, {comparison.score_name}",
        names=Column("model", "Model"),
        values=Column("difference", f"vs {baseline}", ("", "low", "high"), numeric=True),
    )


def forest_key(comparison: TaskComparison, one: DatasetComparison, figure: Figure) -> str:
    """Return what each form in the figure of differences on one dataset is."""
    said = (
        f"Dot: difference to {comparison.baseline.name} on {one.dataset.name}. "
        f"Bar: {comparison.terms.level} interval. Line: no difference."
    )
    beside = {row.role: f"{row.role}s" for row in one.rows if row.role in BESIDE and row.difference is not None}
    if not beside:
        return said
    place = "Below the dashes" if any(not mark.below for mark in figure.marks) else "All of them"
    return f"{said} {place}: {listing(list(beside.values()))}, never ranked."


def bounds_of_differences(metric: MetricCard) -> tuple[float | None, float | None]:
    """Return how far two scores can be apart at all."""
    if metric.range.min is None or metric.range.max is None:
        return (None, None)
    width = metric.range.max - metric.range.min
    return (-width, width)


def _mark(row: Row, colours: dict[str, str], decimals: int) -> Mark:
    mark = mark_of(row, row.model.name, colours.get(row.model.id, GREY), decimals, id_=row.model.id)
    return replace(mark, word=row.word or row.role, colour=GREY, below=True) if row.role in BESIDE else mark


def mark_of(row: Row, label: str, colour: str, decimals: int, *, id_: str | tuple[str, ...] | None = None) -> Mark:
    """Return a row's difference to the baseline with its interval and verdict; the row has to have one."""
    assert row.difference is not None  # noqa: S101 (callers choose such rows)
    value, low, high = row.difference.value, row.difference.low, row.difference.high
    said = f"{number(value, decimals, signed=True)} {interval(low, high, decimals, signed=True)}"
    return Mark(label, value, low, high, said, word=row.word or "", colour=colour, id=id_)


def _stress_column(view: ReleaseView, task: TaskCard, stress: Stress) -> Column:
    metric = view.cards.metrics[task.primary.metric]
    return cells.header_of(_stressed(task, stress), f"{metric.short_name}, {stress.name}", metric.direction, metric.id)


def _score_column(view: ReleaseView, task: TaskCard, ref: ScoreRef) -> Column:
    metric = view.cards.metrics[ref.metric]
    # Tables of families hold several views; in the table of one view its name is the heading.
    name = name_of_score(view.cards, task, ref.key) if task.families else metric.short_name
    return cells.header_of(ref.key, name, metric.direction, metric.id)


def _rows(view: ReleaseView, comparison: TaskComparison, one: DatasetComparison) -> list[TableRow]:
    sign = 1 if comparison.metric.direction == "higher" else -1
    outdated = sorted(one.outdated, key=lambda row: -sign * row.score.value if row.score else math.inf)
    rows = []
    for row in (*one.rows, *outdated):
        group = "outdated" if row.outdated else row.role if row.role in BESIDE else "ranked"
        why = "" if row.role == "baseline" or row.outdated else row.note or ""
        name = cells.model_cell(row.model, href=cells.page_of(row.result), role=row.role, gates=row.result.gates)
        rows.append(
            TableRow(
                (
                    *_about(view, one, row.result, row.role),
                    name._replace(small=row.note or "") if row.outdated else name,
                    cells.difference_cell(row.difference, why=why, p=row.adjusted_p, decimals=one.decimals),
                    word_of(row),
                    ranks_of(row, one.n_ranks),
                    *(_difference_in(row, name, one.decimals) for name in _views_of(comparison.task)),
                    *(_score(row.result, ref.key) for ref in comparison.task.scores),
                    *(_score(row.result, _stressed(comparison.task, stress)) for stress in comparison.task.stress),
                    *_cost(row.result),
                ),
                group=group,
                model="" if row.outdated or row.role == "control" else row.model.id,
            )
        )
    for result in one.empties:
        model = view.cards.models[result.model.id]
        role = role_in(comparison.task, model)
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
    task = comparison.task
    keys = [*(ref.key for ref in task.scores), *(_stressed(task, stress) for stress in task.stress)]
    return [
        Column("difference", "", ("", "low", "high", "adjusted_p")),
        Column("verdict", ""),
        Column("ranks", "", ("first", "last")),
        *(Column(name, "", ("", "low", "high")) for name in _views_of(task)),
        *(Column(key, "", ("", "low", "high")) for key in keys),
    ]


def word_of(row: Row) -> Cell:
    """Return what a row's comparison shows; one that is outdated is not compared."""
    if row.outdated:
        return Cell("outdated", (None,), hover=row.note or "", tone="control")
    return cells.word_cell(row.word, row.role)


def ranks_of(row: Row, of: int | None = None) -> Cell:
    """Return the ranks that a model may have.

    Parameters
    ----------
    of
        How many ranks there are, for a band beside the numbers; None: numbers alone.
    """
    if row.ranks is None:
        why = "" if row.is_kept else "not ranked: what the task guards is not shown to be kept"
        return Cell("–", (None, None), hover=why)
    return ranks_cell(row.ranks, of)


def ranks_cell(ranks: RankRange, of: int | None) -> Cell:
    """Return a range of ranks, with a band beside it where there are ``of`` of them."""
    best, worst = ranks.best, ranks.worst
    band = None if of is None else (best, worst, of)
    return Cell(str(best) if best == worst else f"{best}–{worst}", (best, worst), band=band)


def _views_of(task: TaskCard) -> list[str]:
    """Return the views in which the primary metric is compared, besides that of the primary score."""
    primary = task.primary
    return [ref.view for ref in task.scores if ref.metric == primary.metric and ref.view and ref.view != primary.view]


def _difference_column(view: str, baseline: str, metric: str) -> Column:
    return Column(
        f"difference@{view}",
        f"{metric} vs {baseline}",
        ("", "low", "high"),
        numeric=True,
        direction="higher",
        hover=f"Difference to {baseline} in this view, positive where better; no verdict rests on it",
    )


def _difference_in(row: Row, view: str, decimals: int) -> Cell:
    cell = cells.difference_cell(row.in_views.get(view), decimals=decimals)
    return cell._replace(raw=cell.raw[:3])


def _score(result: Result, key: str) -> Cell:
    return cells.score_cell(result.score(key), why=result.why_undefined(key))


def _stressed(task: TaskCard, stress: Stress) -> str:
    return score_key(task.primary.metric, task.primary.view, stress.id)


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
    resources = result.resources
    costs = [cells.wall_cell(resources), cells.memory_cell(resources), cells.gpu_cell(result)]
    return [*costs, cells.leakage_cell(result)]
