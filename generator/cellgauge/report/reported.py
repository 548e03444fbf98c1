"""The pages of a task that others measured: their scores side by side, with no rank and no verdict.

The source gives single values. Whether two of them differ by more than chance cannot be told, so that nothing here is
called better: rows stand in the order of their values, and say so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from cellgauge.cards import DatasetCard, ModelCard, TaskCard
from cellgauge.report import cells, overviews
from cellgauge.report.cite import content_digest
from cellgauge.report.comparison import TaskComparison
from cellgauge.report.dataset_comparison import DatasetComparison, Row
from cellgauge.report.many import Work
from cellgauge.report.missing import missing_pairs
from cellgauge.report.numbers import number
from cellgauge.report.page import Page
from cellgauge.report.release import ReleaseView
from cellgauge.report.render import Renderer
from cellgauge.report.tables import Cell, Column, Table, alphabetical
from cellgauge.report.tables import Row as TableRow
from cellgauge.report.task_pages import page_of_task, page_on_dataset
from cellgauge.results.schema import Result, parts_of

_ABOUT = ("kind", "source", "dataset", "study", "role", "status", "reason", "result_id")
_GROUPS = {
    "control": "The source's controls: known outcomes, never ranked",
    "empty": "Without scores",
}
_MOST_IN_ROWS = 12
"""A matrix with more datasets than models has datasets as rows, and else models, up to so many columns."""


def reported_task_works(renderer: Renderer, task: TaskCard) -> list[Work]:
    """Return what draws the pages of a task that others measured."""
    datasets = renderer.comparisons[task.id].datasets
    return [
        partial(reported_task_page, renderer, task),
        *(partial(reported_on_dataset_page, renderer, task, one) for one in datasets),
    ]


def reported_task_page(renderer: Renderer, task: TaskCard) -> Page:
    """Draw a task: what is reported on which dataset, and how to read it."""
    view, comparison = renderer.view, renderer.comparisons[task.id]
    path, verdict = f"tasks/{task.id}/", comparison.verdict()
    everything = scores_table(view, comparison, comparison.datasets)
    matrix = matrix_table(view, comparison) if len(comparison.datasets) > 1 else None
    files = {}
    if everything.rows:
        about = {"release": view.name, "task": task.id, "kind": "reported", "source": comparison.reported_by}
        about |= {"primary": task.primary.key, "baseline": task.baseline, "verdict": verdict.text}
        files = {f"tasks/{task.id}.csv": everything.to_csv(), f"tasks/{task.id}.json": everything.to_json(about)}
    more = {f"tasks/{task.id}-datasets.csv": matrix.to_csv()} if matrix else {}
    alone = comparison.datasets[0] if len(comparison.datasets) == 1 else None
    cited = renderer.cited(path, f"{task.name}: results", content_digest(task, view.select(task=task.id)))
    html = renderer.fragment(
        "reported_task.html",
        path,
        task=task,
        comparison=comparison,
        verdict=verdict,
        matrix=matrix,
        matrix_csv=next(iter(more), None),
        figure=overviews.scores_on(comparison, alone, renderer.colours) if alone else None,
        tables=list(parts(view, comparison, alone)) if alone else [],
        missing=missing_pairs(view, [pair for pair in view.missing() if pair.task == task.id], "task"),
        files=sorted(files),
        metrics=list(dict.fromkeys(ref.metric for ref in task.scores)),
        citation=cited,
    )
    return page_of_task(renderer, task, html, files, more, verdict, cited)


def reported_on_dataset_page(renderer: Renderer, task: TaskCard, one: DatasetComparison) -> Page:
    """Draw a task on one dataset: every score that is reported."""
    comparison = replace(renderer.comparisons[task.id], datasets=(one,))
    figure = overviews.scores_on(comparison, one, renderer.colours)
    tables = list(parts(renderer.view, comparison, one))
    whole = scores_table(renderer.view, comparison, (one,))
    return page_on_dataset(
        renderer, "reported_task_dataset.html", comparison, figure, tables, whole, as_what=", as reported"
    )


def parts(view: ReleaseView, comparison: TaskComparison, one: DatasetComparison) -> Iterator[tuple[str, Table]]:
    """Yield the tables of one dataset as pages show them: the primary view first, then each other one."""
    task = comparison.task
    whole = scores_table(view, comparison, (one,))
    names = {each.id: each.name for each in task.views}
    primary = task.primary.view
    first = [ref.key for ref in task.scores if ref.view in (primary, None)]
    apart = ["difference"] if comparison.reference else []
    cost = ["seconds_per_embedding", "peak_memory_mb"] if _has_cost(one) else []
    leakage = ["leakage"] if any(row.result.leakage.leakage_class not in (None, "gray") for row in one.rows) else []
    by = f", reported by {comparison.reported_by}"
    title = f"{task.name} on {one.dataset.name}"
    keys = ["model", first[0], *apart, *first[1:], *cost, *leakage]
    yield names.get(primary or "", ""), whole.part(f"scores-{one.dataset.id}", title + by, columns=keys)
    for each in task.views:
        keys = [ref.key for ref in task.scores if ref.view == each.id]
        if each.id != primary and keys:
            id_ = f"scores-{one.dataset.id}--{each.id}"
            caption = f"{title}, {each.name}{by}"
            yield each.name, whole.part(id_, caption, rows=lambda row: not row.instead, columns=["model", *keys])


def _has_cost(one: DatasetComparison) -> bool:
    return any(row.result.resources is not None for row in one.rows)


def scores_table(view: ReleaseView, comparison: TaskComparison, datasets: tuple[DatasetComparison, ...]) -> Table:
    """Return every reported score of a task on datasets; pages show parts of it, and downloads hold all of it."""
    task = comparison.task
    reference = comparison.reference
    columns = (
        *(Column(key, key.replace("_", " "), shown=False) for key in _ABOUT),
        Column("model", "Model"),
        _score_column(view, task.primary.key),
        Column(
            "difference",
            f"vs {reference.name}" if reference else "vs baseline",
            numeric=True,
            hover="Difference of two reported values, signed so that positive is better; without uncertainty nothing "
            "follows from it",
        ),
        *(_score_column(view, ref.key) for ref in task.complementary),
        replace(cells.WALL, label="Time (s)", hover="As the source reports it, on a machine that it does not name"),
        replace(cells.MEMORY, hover="As the source reports it"),
        cells.LEAKAGE_COLUMN,
    )
    rows = [row for one in datasets for row in _rows(view, comparison, one, columns)]
    order = "descending" if comparison.metric.direction == "higher" else "ascending"
    caption = f"{task.name}: all scores that {comparison.reported_by} reports"
    return Table("reported", caption, columns, tuple(rows), _GROUPS, (task.primary.key, order))  # type: ignore[arg-type]


def _score_column(view: ReleaseView, key: str) -> Column:
    metric = view.cards.metrics[parts_of(key)[0]]
    column = cells.header_of(key, metric.short_name, metric.direction, metric.id)
    better = "higher" if metric.direction == "higher" else "lower"
    return replace(column, fields=("",), hover=f"{better} is better; reported as a single value, without an interval")


def _rows(
    view: ReleaseView, comparison: TaskComparison, one: DatasetComparison, columns: tuple[Column, ...]
) -> Iterator[TableRow]:
    task = comparison.task
    for row in one.rows:
        result = row.result
        yield TableRow(
            (
                *_about(view, one, row.role, result.status, result.reason, result.result_id),
                cells.model_cell(row.model, href=cells.page_of(result), role=row.role, fit=False),
                _score(result, task.primary.key),
                _difference(row),
                *(_score(result, ref.key) for ref in task.complementary),
                cells.wall_cell(result.resources),
                cells.memory_cell(result.resources),
                cells.leakage_cell(result),
            ),
            group="control" if row.role == "control" else "ranked",
        )
    blank = [Cell("–", (None,) * len(column.fields)) for column in columns[len(_ABOUT) + 1 :]]
    for result in one.empties:
        model = view.cards.models[result.model.id]
        yield TableRow(
            (
                *_about(view, one, model.role, result.status, result.reason, result.result_id),
                cells.model_cell(model, href=cells.page_of(result), fit=False),
                *blank,
            ),
            group="empty",
            instead=cells.why_empty(result.status, result.reason),
        )
    for pair in view.missing():
        if (pair.task, pair.dataset) == (task.id, one.dataset.id):
            model = view.cards.models[pair.model]
            yield TableRow(
                (
                    *_about(view, one, model.role, pair.status, pair.reason, None),
                    cells.model_cell(model, fit=False),
                    *blank,
                ),
                group="empty",
                instead=cells.why_empty(pair.status, pair.reason),
            )


def _score(result: Result, key: str) -> Cell:
    return cells.reported_cell(result.score(key), result.why_undefined(key))


def _about(
    view: ReleaseView, one: DatasetComparison, role: str, status: str, reason: str | None, result_id: str | None
) -> list[Cell]:
    source = view.meta.reported.source if view.meta and view.meta.reported else None
    values = ("reported", source, one.dataset.id, one.dataset.study, role, status, reason, result_id)
    return [Cell(str(value or ""), (value,)) for value in values]


def _difference(row: Row) -> Cell:
    if row.apart is None:
        return Cell("–", (None,), hover="This is the baseline" if row.role == "baseline" else "")
    return Cell(number(row.apart, signed=True), (row.apart,), small="no interval")


def matrix_table(view: ReleaseView, comparison: TaskComparison) -> Table:
    """Return models × datasets with the primary score; an empty cell says why it is empty."""
    datasets = [one.dataset for one in comparison.datasets]
    places = {(row.model.id, one.dataset.id): row for one in comparison.datasets for row in one.rows}
    why = {
        (result.model.id, one.dataset.id): cells.status_text(result.status)
        for one in comparison.datasets
        for result in one.empties
    }
    ids = {model for model, _ in [*places, *why]}
    covered = Counter(model for model, _ in places)
    # Within a role those with the most scores come first, so that a wide table begins with what it has.
    models = sorted(
        (view.cards.models[id_] for id_ in ids),
        key=lambda model: (_role(model), -covered[model.id], alphabetical(model.name)),
    )

    def cell(model: ModelCard, dataset: DatasetCard) -> Cell:
        row = places.get((model.id, dataset.id))
        if row is None or row.score is None:
            said = why.get((model.id, dataset.id), "not reported") if row is None else "undefined"
            return Cell(said, (None,), tone="control")
        return Cell(number(row.score.value), (row.score.value,), href=cells.page_of(row.result))

    def coverage(model: ModelCard) -> Cell:
        return Cell(f"{covered[model.id]} of {len(datasets)}", (covered[model.id],))

    caption = f"{comparison.score_name} by dataset, reported by {comparison.reported_by}"
    if len(datasets) > min(len(models), _MOST_IN_ROWS):
        columns = [Column("dataset", "Dataset")]
        columns += [Column(one.id, one.name, numeric=True, href=f"models/{one.id}/") for one in models]
        rows = [
            TableRow(
                (
                    Cell(one.name, (one.id,), href=f"tasks/{comparison.task.id}/{one.id}/"),
                    *(cell(model, one) for model in models),
                )
            )
            for one in datasets
        ]
        first = (Cell("Datasets with a reported score", ("",)), *map(coverage, models))
        return Table("matrix", caption, tuple(columns), (*rows, TableRow(first, group="all")), {"all": ""})
    columns = [Column("model", "Model"), Column("coverage", "Datasets", numeric=True)]
    columns += [
        Column(one.id, one.name, numeric=True, href=f"tasks/{comparison.task.id}/{one.id}/") for one in datasets
    ]
    rows = [
        TableRow(
            (
                cells.model_cell(model, fit=False),
                coverage(model),
                *(cell(model, dataset) for dataset in datasets),
            ),
            group="control" if model.is_control else "",
        )
        for model in models
    ]
    return Table("matrix", caption, tuple(columns), tuple(rows), _GROUPS)


def _role(model: ModelCard) -> int:
    return ["baseline", "model", "control"].index(model.role)
