"""The pages of results: one for each evaluation that was attempted."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from cellgauge.report import cells, overviews
from cellgauge.report.confusion import confusion_of, matrix_key
from cellgauge.report.details import read_details
from cellgauge.report.kept import KeptPages
from cellgauge.report.many import Work
from cellgauge.report.numbers import number
from cellgauge.report.page import Page
from cellgauge.report.release import place_of
from cellgauge.report.render import Renderer
from cellgauge.report.score_names import name_of_score
from cellgauge.report.scores_of_result import scores_table
from cellgauge.report.spread import distributions
from cellgauge.report.units import by_unit
from cellgauge.results.schema import Result

_RESULT_BOOST = 0.0005
"""Words in a title count a thousand times as much as those in a text: a result stands behind every card, still."""


def result_works(renderer: Renderer, kept: KeptPages | None) -> list[Work]:
    """Return what draws the page of each result.

    Parameters
    ----------
    kept
        Pages that were drawn before.
    """
    view, works, keys = renderer.view, list[Work](), set[str]()
    for result in view.results.values():
        work = partial(result_page, renderer, result)
        if kept is None:
            works.append(work)
            continue
        colour = overviews.colour_of(renderer.colours, view.cards.models[result.model.id])
        keys.add(key := kept.key(place_of(result), colour))
        works.append(partial(_kept_result_page, renderer, kept, key, result, work))
    if kept is not None:
        kept.forget_all_but(keys)
    return works


def _kept_result_page(renderer: Renderer, kept: KeptPages, key: str, result: Result, draw: Callable[[], Page]) -> Page:
    return kept.page(key, {_raw_of(result): renderer.view.raw(result)}, draw)


def _raw_of(result: Result) -> str:
    """Return the address of a result's file."""
    return f"{cells.page_of(result).rstrip('/')}.json"


def result_page(renderer: Renderer, result: Result) -> Page:
    """Draw one evaluation: its scores, or why there are none, and where every number comes from."""
    view, cards = renderer.view, renderer.view.cards
    task, dataset = cards.tasks[result.task.id], cards.datasets[result.dataset.id]
    model = cards.models[result.model.id]
    comparison = renderer.comparisons[task.id]
    one = comparison.on(dataset.id)
    row = one.row(model.id) if one else None
    path = cells.page_of(result)
    raw = _raw_of(result)
    views = {each.id: each.name for each in task.views}
    names = {score.key: name_of_score(cards, task, score.key) for score in (*result.scores, *result.undefined)}
    matrix = confusion_of(task, result, "confusion-matrix", model.name)
    shown = {key: value for key, value in result.details.items() if matrix is None or key != matrix_key(task)}
    colour = overviews.colour_of(renderer.colours, model)
    apart = number(row.apart, signed=True) if row and row.apart is not None else None
    difference = cells.difference_cell(row.difference, p=row.adjusted_p, decimals=one.decimals) if one and row else None
    model_badges = cells.model_cell(model, role=row.role if row else None, gates=result.gates).badges
    title = f"{model.name} on {dataset.name}: {task.name}{', as reported' if result.reported else ''}"
    cited = renderer.cited(path, title, result.result_id, "Result")
    html = renderer.fragment(
        "result.html",
        path,
        result=result,
        task=task,
        dataset=dataset,
        model=model,
        row=row,
        comparison=comparison,
        badges=(*cells.dataset_badges(dataset), *model_badges),
        scores=scores_table(view, task, result, names),
        spread=distributions(view, comparison, one, row, colour) if one and row else [],
        units=by_unit(comparison, row, colour) if row and row.score and not result.reported else None,
        names=names,
        details=read_details(shown, result.seeds, views),
        matrix=matrix,
        maps=renderer.maps[dataset.id].of(model.id),
        outdated=view.outdated(result),
        why_no_primary=next((one.reason for one in result.undefined if one.key == task.primary.key), None),
        withheld=place_of(result) in view.withheld,
        sentence=cells.sentence,
        raw=raw,
        number=number,
        score_cell=cells.score_cell,
        difference=difference,
        apart=apart,
        leakage=cells.leakage_cell(result),
        wall=cells.wall_cell(result.resources),
        memory=cells.memory_cell(result.resources),
        citation=cited,
    )
    said = cells.status_text(result.status) if result.status != "done" else "scores and provenance"
    description = f"{model.name}, {task.name}, {dataset.name}: {said}."
    files = {raw: view.raw(result)} | ({f"{path}{matrix.id}.csv": matrix.to_csv()} if matrix else {})
    head = cited.head(description, [f"{renderer.address.site}{raw}"]) if cited else ""
    return Page(path, title, description, html, boost=_RESULT_BOOST, files=files, head=head)
