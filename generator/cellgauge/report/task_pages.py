"""The pages of a task: one for all of it, and one for each dataset that it has been tried on."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from cellgauge.cards import TaskCard
from cellgauge.report.across import differences_figure, differences_key, losses_table, views_table
from cellgauge.report.charts import Figure
from cellgauge.report.cite import Cited, content_digest
from cellgauge.report.comparison import TaskComparison, Verdict
from cellgauge.report.dataset_comparison import DatasetComparison
from cellgauge.report.health import health_table, over_datasets
from cellgauge.report.leaderboard import forest, forest_key, leaderboard, parts
from cellgauge.report.many import Work
from cellgauge.report.missing import missing_pairs
from cellgauge.report.page import CARD_BOOST, Page
from cellgauge.report.ranked_words import how_ranked
from cellgauge.report.render import Renderer
from cellgauge.report.standing import standings
from cellgauge.report.standing_figure import figure_key, standings_figure
from cellgauge.report.standing_tables import about_ranks, is_light, sensitivity_table, standings_table
from cellgauge.report.tables import Table

MOST_INLINE = 4
"""Up to so many datasets have their figure and primary table on the task's page as well: a page has a size to keep."""


def task_works(renderer: Renderer, task: TaskCard) -> list[Work]:
    """Return what draws the pages of a task."""
    datasets = renderer.comparisons[task.id].datasets
    return [
        partial(task_page, renderer, task),
        *(partial(dataset_of_task_page, renderer, task, one) for one in datasets),
    ]


def task_page(renderer: Renderer, task: TaskCard) -> Page:
    """Draw a task: the verdict, the figure, the table, and how it came about."""
    view, comparison = renderer.view, renderer.comparisons[task.id]
    path = f"tasks/{task.id}/"
    table = leaderboard(view, comparison)
    inline = len(comparison.datasets) <= MOST_INLINE
    verdict = comparison.verdict()
    found = standings(view, comparison)
    standing = standings_table(view, found) if found.has_scores else None
    sections = [
        {
            "one": one,
            "path": path_on(task, one),
            "verdict": None if inline else replace(comparison, datasets=(one,)).verdict(),
            "figure": forest(comparison, one, renderer.colours) if inline else None,
            "table": next(parts(view, comparison, table, one.dataset.id))[1] if inline else None,
        }
        for one in comparison.datasets
    ]
    files = {}
    if table.rows:
        about = {
            "release": view.name,
            "task": task.id,
            "protocol_version": task.protocol.version,
            "primary": task.primary.key,
            "baseline": task.baseline,
            "verdict": verdict.text,
        }
        files = {f"tasks/{task.id}.csv": table.to_csv(), f"tasks/{task.id}.json": table.to_json(about)}
    more = {f"tasks/{task.id}-standing.csv": standing.to_csv()} if standing else {}
    differences = None if inline else differences_figure(found, renderer.colours)
    views, losses = (None, None) if inline else (views_table(found), losses_table(found))
    more |= {f"tasks/{task.id}-{one.id}.csv": one.to_csv() for one in (views, losses) if one}
    skills = standings_figure(found, renderer.colours)
    cited = renderer.cited(path, f"{task.name}: results", content_digest(task, view.select(task=task.id)))
    html = renderer.fragment(
        "task.html",
        path,
        task=task,
        comparison=comparison,
        verdict=verdict,
        sections=sections,
        forest_key=partial(forest_key, comparison),
        standing=standing,
        found=found,
        how_ranked=how_ranked(comparison),
        skills=skills,
        skills_key=figure_key(found, skills) if skills else "",
        about_ranks=about_ranks(found),
        is_light=is_light(found),
        differences=differences,
        differences_key=differences_key(found, differences) if differences else "",
        views=views,
        losses=losses,
        sensitivity=sensitivity_table(view, found),
        has_many=found.has_many,
        health=(over_datasets if found.has_many else partial(health_table, of="task"))(
            view,
            [one for one in renderer.healths if one.task.id == task.id],
            "health",
            f"How well the scores of {task.name} tell models apart",
        ),
        missing=missing_pairs(view, [pair for pair in view.missing() if pair.task == task.id], "task"),
        files=sorted(files),
        metrics=list(dict.fromkeys(ref.metric for ref in task.scores)),
        citation=cited,
    )
    return page_of_task(renderer, task, html, files, more, verdict, cited)


def page_of_task(
    renderer: Renderer,
    task: TaskCard,
    html: str,
    files: dict[str, bytes],
    more: dict[str, bytes],
    verdict: Verdict,
    cited: Cited | None,
) -> Page:
    """Return the page of a task.

    Parameters
    ----------
    files
        Its data, which search engines are told of.
    more
        Further files beside it.
    """
    return Page(
        f"tasks/{task.id}/",
        task.name,
        task.summary,
        html,
        boost=CARD_BOOST,
        files=files | more,
        search=f"{verdict.text} {task.question}",
        source=task.path,
        head=cited.head(task.summary, [f"{renderer.address.site}{file}" for file in sorted(files)]) if cited else "",
    )


def dataset_of_task_page(renderer: Renderer, task: TaskCard, one: DatasetComparison) -> Page:
    """Draw a task on one dataset: every score of every model."""
    comparison = replace(renderer.comparisons[task.id], datasets=(one,))
    table = leaderboard(renderer.view, comparison)
    tables = list(parts(renderer.view, comparison, table, one.dataset.id))
    figure = forest(comparison, one, renderer.colours)
    return page_on_dataset(renderer, "task_dataset.html", comparison, figure, tables, table)


def page_on_dataset(
    renderer: Renderer,
    template: str,
    comparison: TaskComparison,
    figure: Figure | None,
    tables: list[tuple[str, Table]],
    whole: Table,
    *,
    as_what: str = "",
) -> Page:
    """Return the page of a task on one dataset, the only one of the comparison.

    Parameters
    ----------
    whole
        All of it in one table, for the file beside the page.
    as_what
        The end of its title.
    """
    (one,), task, verdict = comparison.datasets, comparison.task, comparison.verdict()
    path = path_on(task, one)
    csv = f"{path.removesuffix('/')}.csv"
    html = renderer.fragment(
        template,
        path,
        task=task,
        dataset=one.dataset,
        comparison=comparison,
        one=one,
        verdict=verdict,
        figure=figure,
        forest_key=partial(forest_key, comparison),
        tables=tables,
        csv=csv,
    )
    title = f"{task.name} on {one.dataset.name}{as_what}"
    return Page(path, title, verdict.text, html, searchable=False, source=task.path, files={csv: whole.to_csv()})


def path_on(task: TaskCard, one: DatasetComparison) -> str:
    """Return the address of the page of a task on one dataset."""
    return f"tasks/{task.id}/{one.dataset.id}/"
