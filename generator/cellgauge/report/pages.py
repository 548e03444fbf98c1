"""Every page of a release."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from cellgauge.cards import Card, DatasetCard, Family, MetricCard, ModelCard, TaskCard
from cellgauge.report import cells, counted, lists, overviews
from cellgauge.report.changes_page import changes_page
from cellgauge.report.charts import Figure
from cellgauge.report.cite import Cited, content_digest
from cellgauge.report.compare import compare_works
from cellgauge.report.comparison import TaskComparison, kind_of
from cellgauge.report.confusion import confusion_of
from cellgauge.report.data_page import API, data_page
from cellgauge.report.dataset_comparison import DatasetComparison
from cellgauge.report.health import correlations, health_table, over_places
from cellgauge.report.kept import KeptPages
from cellgauge.report.leaderboard import forest
from cellgauge.report.many import Work
from cellgauge.report.missing import missing_pairs
from cellgauge.report.missing_page import missing_page
from cellgauge.report.numbers import plural, size_in_words
from cellgauge.report.overviews import scores_on
from cellgauge.report.page import CARD_BOOST, Page
from cellgauge.report.quality_page import quality_page
from cellgauge.report.render import Renderer
from cellgauge.report.repeats import once_more
from cellgauge.report.reported import reported_task_works
from cellgauge.report.result_pages import result_works
from cellgauge.report.scored import scored_cells
from cellgauge.report.tables import Table
from cellgauge.report.task_pages import task_works
from cellgauge.results.schema import Result
from cellgauge.results.store import to_json


def page_works(renderer: Renderer, home: tuple[dict[str, Any], str], kept: KeptPages | None = None) -> list[Work]:
    """Return what draws every page made from cards and results, in the order of the pages.

    Parameters
    ----------
    home
        The front matter and the Markdown of ``site_src/index.md``.
    kept
        Pages of results that were drawn before.
    """
    cards = renderer.view.cards
    works = reported_task_works if renderer.view.is_reported else task_works
    return [
        partial(home_page, renderer, *home),
        partial(index_pages, renderer),
        *(work for task in cards.tasks.values() for work in works(renderer, task)),
        *(partial(family_page, renderer, family) for family in cards.families.values()),
        *(partial(dataset_page, renderer, dataset) for dataset in cards.datasets.values()),
        *(partial(model_page, renderer, model) for model in cards.models.values()),
        *(partial(metric_page, renderer, metric) for metric in cards.metrics.values()),
        *result_works(renderer, kept),
        *compare_works(renderer),
        partial(data_page, renderer),
        partial(changes_page, renderer),
        partial(quality_page, renderer),
        partial(missing_page, renderer),
    ]


@dataclass(frozen=True)
class TaskTile:
    """A task as the home page and the list of tasks show it."""

    task: TaskCard
    verdict: Any
    figure: Any
    dataset: DatasetCard | None
    """The one that the figure shows."""
    more: int
    """Further datasets with results."""
    why: str
    """Why it shows this one; empty where there is no other."""


def _tiles(renderer: Renderer) -> list[TaskTile]:
    tiles = []
    quality = renderer.quality
    unfit = {(one.task, one.dataset) for one in quality.findings if one.check == "at-ceiling"}
    unfit |= {(one.task, one.dataset) for one in quality.beyond_controls}
    for comparison in renderer.comparisons.values():
        task = comparison.task
        drawn = [(one, figure) for one in comparison.datasets if (figure := _mini(renderer, comparison, one))]
        # Of several, the measured come first; the first is kept where all else is equal.
        best = max(drawn, key=lambda each: _worth_showing(each[0], unfit, task), default=None)
        on, figure = best or (None, None)
        tiles.append(
            TaskTile(
                task,
                comparison.verdict(),
                figure,
                on.dataset if on else None,
                max(0, len(drawn) - 1),
                _why_shown(comparison, on, unfit) if on and len(drawn) > 1 else "",
            )
        )
    # Tasks with something to show come first, and planned ones last.
    return sorted(tiles, key=lambda tile: (tile.figure is None, tile.task.is_planned, tile.task.id))


def _mini(renderer: Renderer, comparison: TaskComparison, one: DatasetComparison) -> Figure | None:
    if comparison.reported_by is not None:
        return scores_on(comparison, one, renderer.colours, few=True)
    return forest(comparison, one, renderer.colours, few=True)


def _worth_showing(
    one: DatasetComparison, unfit: set[tuple[str | None, str | None]], task: TaskCard
) -> tuple[int, ...]:
    """Return what the dataset of a small figure is chosen by: measured, fit to tell models apart, most models."""
    n_models = len(one.judged) or len(one.ranked)
    return (kind_of(one) == "measured", (task.id, one.dataset.id) not in unfit, n_models)


def _why_shown(comparison: TaskComparison, one: DatasetComparison, unfit: set[tuple[str | None, str | None]]) -> str:
    if comparison.reported_by is not None:
        return "Of all datasets, the one with the most models."
    fit = ""
    if (comparison.task.id, one.dataset.id) not in unfit:
        fit = f" on which {comparison.baseline.name} leaves room and no model is beyond the best control"
    return f"Of the {kind_of(one)} datasets{fit}, the one with the most models."


def home_page(renderer: Renderer, meta: dict[str, Any], body: str) -> Page:
    """Draw the home page: what is measured, and a verdict for each task."""
    title = str(meta.get("title", "Home"))
    description = str(meta.get("description", ""))
    if (reported := renderer.view.meta.reported if renderer.view.meta else None) is not None:
        title = "Single-cell models, as others report them"
        description = (
            f"What {reported.source} measured and published. None of it was measured here, and nothing is ranked."
        )
    tiles = _tiles(renderer)
    cited = renderer.cited("")
    html = renderer.fragment(
        "home.html",
        "",
        title=title,
        description=description,
        body=body,
        tiles=tiles,
        citation=cited,
    )
    words = " ".join(f"{tile.task.name}: {tile.verdict.sentence}" for tile in tiles)
    if cited is None:
        return Page("", title, description, html, search=words)
    table = [f"{renderer.address.site}{API}results.{kind}" for kind in ("csv", "json")]
    head = cited.head(description, table) + cited.scholar()
    return Page("", title, description, html, search=words, head=head, files={"CITATION.cff": cited.cff})


def index_pages(renderer: Renderer) -> Iterator[Page]:
    """Draw the lists of tasks, datasets, models, metrics and results."""
    view = renderer.view
    tiles = _tiles(renderer)
    intro = "Each task is a biological question with a fixed protocol, one primary score and one baseline."
    if view.is_reported:
        intro = "Each task is a question that others asked; what they report stands here, and nothing is ranked."
    yield Page("tasks/", "Tasks", intro, renderer.fragment("tasks.html", "tasks/", tiles=tiles, intro=intro), boost=2)
    shown = [
        ("datasets/", "Datasets", "The cells that models are evaluated on, and which column plays which role.",
         lists.datasets_and_families(view)),
        ("models/", "Models", "Models, the baselines they have to beat, and controls with a known outcome.",
         lists.models_table(view, renderer.comparisons)),
        ("metrics/", "Metrics", "What each number means, what it ranges over, and when it misleads.",
         lists.metrics_table(view)),
    ]  # fmt: skip
    for path, title, intro, table in shown:
        html = renderer.fragment("list.html", path, title=title, intro=intro, table=table)
        yield Page(path, title, intro, html, boost=2)
    yield from results_pages(renderer)


def results_pages(renderer: Renderer) -> Iterator[Page]:
    """Draw the list of what was evaluated, one for each task, and one for each task on each dataset."""
    view = renderer.view
    yield _results_page(renderer, "results/", list(view.results.values()), lists.results_table(view), boost=2)
    for task in view.cards.tasks.values():
        results = view.select(task=task.id)
        by_dataset: dict[str, list[Result]] = {}
        for result in results:
            by_dataset.setdefault(result.dataset.id, []).append(result)
        if results:
            path = f"results/{task.id}/"
            table = None if len(results) <= _LISTED else lists.results_table(view, task.id)
            yield _results_page(renderer, path, results, table, task=task)
        for dataset, some in by_dataset.items():
            on = view.cards.datasets[dataset]
            yield _results_page(renderer, f"results/{task.id}/{dataset}/", some, None, task=task, dataset=on)


_LISTED = 120
"""A task with more evaluations lists its datasets in their place: the page would weigh too much."""


def _results_page(
    renderer: Renderer,
    path: str,
    results: list[Result],
    shown: Table | None,
    *,
    task: TaskCard | None = None,
    dataset: DatasetCard | None = None,
    boost: float = 1.0,
) -> Page:
    """Draw a list of evaluations, or in its place a table that leads to such lists; all are in the CSV file."""
    what = "Every attempted evaluation"
    if dataset is not None and task is not None:
        title, said = f"Results of {task.name} on {dataset.name}", f"{what} of {task.name} on {dataset.name}."
    elif task is not None:
        title, said = f"Results of {task.name}", f"{what} of {task.name}."
    else:
        title, said = "Results", f"{what}: one model on one dataset for one task, with its provenance."
    same = [key for key, one in (("task", task), ("dataset", dataset)) if one is not None]
    everything = overviews.evaluations(
        renderer.view,
        renderer.comparisons,
        results,
        "results",
        plural(len(results), "evaluation"),
        without=same,
    )
    csv = f"{path.rstrip('/')}.csv" if task else "results/index.csv"
    html = renderer.fragment(
        "results.html",
        path,
        title=title,
        intro=said,
        table=shown or everything,
        results=results,
        csv=csv,
        task=task,
        dataset=dataset,
        compared=task is not None and dataset is not None and renderer.comparisons[task.id].on(dataset.id) is not None,
    )
    files = {csv: everything.to_csv()} if results else {}
    searchable = dataset is None
    return Page(
        path, title, said, html, boost=boost, files=files, source=task.path if task else "", searchable=searchable
    )


_DRAWN = 60
"""A dataset with more scored models, over all tasks, leads to the pages that draw each task on it."""


def dataset_page(renderer: Renderer, dataset: DatasetCard) -> Page:
    """Draw a dataset: its card, and how models score on it."""
    view, path = renderer.view, f"datasets/{dataset.id}/"
    compared = [(one, on) for one in renderer.comparisons.values() if (on := one.on(dataset.id)) is not None]
    are_few = sum(len(on.rows) for _, on in compared) <= _DRAWN
    figures = [(one.task, overviews.scores_on(one, on, renderer.colours)) for one, on in compared if are_few]
    verdicts = [(one.task, replace(one, datasets=(on,)).verdict()) for one, on in compared if not are_few]
    results = view.select(dataset=dataset.id)
    table = overviews.evaluations(
        view, renderer.comparisons, results, "evaluations", f"Evaluations on {dataset.name}", without=["dataset"]
    )
    profile = view.profiles.get(dataset.id)
    compositions = counted.compositions(dataset, profile) if profile else []
    maps = renderer.maps[dataset.id]
    matrices = _matrices(renderer, dataset)
    tables = [*compositions, *(one for _, one in matrices)]
    files = {f"{path}{one.id}.csv": one.to_csv() for one in tables} | maps.files
    cited = renderer.cited(path, f"{dataset.name}: results", content_digest(dataset, results))
    if profile is not None:
        files[f"{path}profile.json"] = to_json(profile)
    html = renderer.fragment(
        "dataset.html",
        path,
        card=dataset,
        family=view.cards.families.get(dataset.family or ""),
        badges=cells.dataset_badges(dataset),
        facts=counted.facts(dataset, profile) if profile else [],
        compositions=compositions,
        profile=profile,
        scored=scored_cells(view, results),
        maps=maps,
        matrices=[(task, one, f"{path}{one.id}.csv") for task, one in matrices],
        figures=[(task, figure) for task, figure in figures if figure is not None],
        verdicts=verdicts,
        siblings=[one for one in view.cards.datasets.values() if one.study == dataset.study and one is not dataset],
        table=table,
        size=size_in_words,
        citation=cited,
    )
    return _card_page(dataset, path, html, files=files, cited=cited)


def _matrices(renderer: Renderer, dataset: DatasetCard) -> list[tuple[TaskCard, Table]]:
    """Return the confusion matrices of a dataset: of the baseline and of the model that stands first, task by task."""
    found = []
    for comparison in renderer.comparisons.values():
        one = comparison.on(dataset.id)
        rows = [row for row in one.rows if row.score is not None and not row.outdated] if one else []
        baseline = [row for row in rows if row.role == "baseline"]
        for row in (*baseline, *[row for row in rows if row.role == "model"][:1]):
            task, id_ = comparison.task, f"confusion-{comparison.task.id}-{row.model.id}"
            if (matrix := confusion_of(task, row.result, id_, row.model.name)) is not None:
                found.append((task, matrix))
    return found


def family_page(renderer: Renderer, family: Family) -> Page:
    """Draw a family of datasets: what its members share, and the list of them."""
    path = f"datasets/{family.id}/"
    table = lists.datasets_table(renderer.view, list(family.members), f"Datasets of {family.name}")
    html = renderer.fragment("family.html", path, family=family, first=family.members[0], table=table)
    return Page(path, family.name, family.summary, html, boost=CARD_BOOST, search=family.id, source=family.path)


def model_page(renderer: Renderer, model: ModelCard) -> Page:
    """Draw a model: its card and its scorecard."""
    view, path = renderer.view, f"models/{model.id}/"
    results = view.select(model=model.id)
    table = overviews.evaluations(
        view, renderer.comparisons, results, "evaluations", f"Evaluations of {model.name}", without=["model"]
    )
    cited = renderer.cited(path, f"{model.name}: results", content_digest(model, results))
    figure = overviews.scorecard(renderer.comparisons, model, overviews.colour_of(renderer.colours, model))
    html = renderer.fragment(
        "model.html",
        path,
        card=model,
        badges=cells.model_cell(model, gates=view.gates_of(model.id)).badges,
        once_more=once_more(view, model),
        gates=overviews.gates_table(view, model.id),
        figure=figure,
        has_medians=figure is not None and any(overviews.MEDIAN_OF in mark.label for mark in figure.marks),
        baseline_of=[task for task in view.cards.tasks.values() if task.baseline == model.id],
        missing=missing_pairs(view, [pair for pair in view.missing() if pair.model == model.id], "model"),
        table=table,
        citation=cited,
    )
    return _card_page(model, path, html, cited=cited)


def metric_page(renderer: Renderer, metric: MetricCard) -> Page:
    """Draw a metric: its definition, when it misleads, and what controls measure by it."""
    path = f"metrics/{metric.id}/"
    tasks = [task for task in renderer.view.cards.tasks.values() if any(ref.metric == metric.id for ref in task.scores)]
    found = [one for one in renderer.healths if one.ref.metric == metric.id]
    beside = correlations(renderer.view, found)
    csv = f"{path}correlations.csv"
    html = renderer.fragment(
        "metric.html",
        path,
        card=metric,
        tasks=tasks,
        correlations=over_places(beside) if beside else None,
        csv=csv,
        health=health_table(
            renderer.view,
            found,
            "health",
            f"How well {metric.name} tells models apart in this release",
            of="metric",
        ),
        controls=overviews.controls_by(renderer.view, metric),
    )
    return _card_page(metric, path, html, extra=metric.short_name, files={csv: beside.to_csv()} if beside else {})


def _card_page(
    card: Card,
    path: str,
    html: str,
    extra: str = "",
    files: dict[str, bytes] | None = None,
    cited: Cited | None = None,
) -> Page:
    search = f"{card.id} {extra}".strip()
    head = cited.head(card.summary) if cited else ""
    return Page(
        path, card.name, card.summary, html, boost=CARD_BOOST, search=search, source=card.path, files=files or {},
        head=head,
    )  # fmt: skip
