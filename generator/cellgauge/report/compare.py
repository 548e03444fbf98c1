"""The pages that compare two models: what they show of a pair, and the lists that lead to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from cellgauge.cards import ModelCard
from cellgauge.report import cells
from cellgauge.report.compare_table import Sides, pair_table, scale_of
from cellgauge.report.comparison import FEW_STUDIES
from cellgauge.report.dataset_comparison import DatasetComparison
from cellgauge.report.many import Work
from cellgauge.report.numbers import listing, number, plural
from cellgauge.report.page import Page
from cellgauge.report.pairs import KINDS, ModelPair
from cellgauge.report.render import Renderer
from cellgauge.report.tables import Badge, Cell, Column, Table, alphabetical
from cellgauge.report.tables import Row as TableRow

MOST_LISTED = 300
"""Up to this many pairs the first page lists them all; beyond, it lists the models, each with a page of its own."""

_SIMULATED = Badge("simulated data only", "simulated", "No comparison of measured data, and so none that is counted")
_SCORES = ("difference", "drawn", "verdict", "superiority", "first_score", "second_score")
_COST = ("first_seconds", "second_seconds", "seconds_ratio", "first_memory", "second_memory", "memory_ratio", "machine")


def compare_works(renderer: Renderer) -> list[Work]:
    """Return what draws the list of pairs, a list for each model, and a page for each pair."""
    pairs = list(renderer.pairs.values())
    by_model: dict[str, list[ModelPair]] = {}
    for pair in pairs:
        for model in (pair.first, pair.second):
            by_model.setdefault(model.id, []).append(pair)
    models, sides = renderer.view.cards.models, Sides()
    return [
        partial(_index, renderer, pairs, by_model),
        *(partial(_model_list, renderer, models[id_], some) for id_, some in sorted(by_model.items())),
        *(partial(_pair_page, renderer, sides, pair) for pair in pairs),
    ]


def _index(renderer: Renderer, pairs: list[ModelPair], by_model: dict[str, list[ModelPair]]) -> Page:
    intro = "Any two models side by side: the same cells, the same resamples, one row for each task and dataset."
    models = sorted((renderer.view.cards.models[id_] for id_ in by_model), key=lambda card: alphabetical(card.name))
    html = renderer.fragment(
        "compare_index.html",
        "compare/",
        title="Compare two models",
        intro=intro,
        pairs=pairs,
        models=_models_table(models, by_model),
        table=pairs_table("pairs", plural(len(pairs), "pair"), pairs) if 0 < len(pairs) <= MOST_LISTED else None,
        model=None,
    )
    return Page("compare/", "Compare two models", intro, html, boost=2)


def _model_list(renderer: Renderer, model: ModelCard, pairs: list[ModelPair]) -> Page:
    path, title = f"compare/{model.id}/", f"{model.name} against others"
    intro = f"{model.name} beside each model that has scores of a common task."
    table = pairs_table("pairs", f"{plural(len(pairs), 'pair')} with {model.name}", pairs, beside=model)
    html = renderer.fragment(
        "compare_index.html", path, title=title, intro=intro, pairs=pairs, models=None, table=table, model=model
    )
    return Page(path, title, intro, html, searchable=False)


def _models_table(models: list[ModelCard], by_model: dict[str, list[ModelPair]]) -> Table:
    columns = (Column("model", "Model"), Column("pairs", "Compared with", numeric=True))
    rows = [
        TableRow(
            (
                Cell(model.name, (model.id,), href=f"compare/{model.id}/"),
                Cell(plural(len(by_model[model.id]), "model"), (len(by_model[model.id]),)),
            )
        )
        for model in models
    ]
    return Table("models", plural(len(models), "model"), columns, tuple(rows))


def pairs_table(id_: str, caption: str, pairs: list[ModelPair], beside: ModelCard | None = None) -> Table:
    """Return a list of pairs with how often which of the two is better.

    Parameters
    ----------
    beside
        The model that all of them have in common: rows are named by the other one, and counted for this one.
    """
    columns = (
        Column("pair", "Other model" if beside else "Pair"),
        Column("comparisons", "Comparisons", numeric=True, hover="Of measured data: pairs of task and dataset"),
        Column("better", f"{beside.name} better" if beside else "First better", numeric=True),
        Column("worse", f"{beside.name} worse" if beside else "Second better", numeric=True),
        Column("apart", "Not separated", numeric=True),
        Column("other", "Slight or in doubt", numeric=True),
    )
    rows = []
    for pair in pairs:
        turned = beside is not None and beside.id == pair.second.id
        other = pair.first if turned else pair.second
        better, worse = pair.count("better"), pair.count("worse")
        apart, judged = pair.count("not separated"), len(pair.judged())
        rest = judged - better - worse - apart
        counts = (judged, *((worse, better) if turned else (better, worse)), apart, rest)
        name = other.name if beside else f"{pair.first.name} and {pair.second.name}"
        note = "" if pair.rows else "never scored on the same dataset"
        simulated = (_SIMULATED,) if pair.rows and all(row.kind == "simulated" for row in pair.rows) else ()
        rows.append(
            TableRow(
                (
                    Cell(name, (pair.path,), href=pair.path, small=note, badges=simulated),
                    *(Cell(f"{count:,}", (count,)) for count in counts),
                )
            )
        )
    return Table(id_, caption, columns, tuple(rows))


def _pair_page(renderer: Renderer, sides: Sides, pair: ModelPair) -> Page:
    verdict = pair.verdict()
    table, apart = pair_table(pair, sides), apart_table(pair)
    csv = f"{pair.path.rstrip('/')}.csv"
    title = f"{pair.first.name} and {pair.second.name}"
    html = renderer.fragment(
        "compare.html",
        pair.path,
        pair=pair,
        verdict=verdict,
        apart=apart,
        scores=_scores_part(pair, table),
        cost=_cost_part(pair, table),
        leakage=_leakage_part(table),
        shared=_shared_leakage(pair),
        how=how_compared(pair),
        csv=csv,
    )
    return Page(
        pair.path,
        title,
        verdict.sentence,
        html,
        files={csv: (table if pair.rows else apart).to_csv()},
        searchable=False,
    )


def apart_table(pair: ModelPair) -> Table:
    """Return where each of two models has scores, one row for each task of which they share no dataset."""
    columns = (Column("task", "Task"), Column("first", pair.first.name), Column("second", pair.second.name))
    rows = tuple(
        TableRow((cells.task_cell(one.comparison.task), _named(one.first), _named(one.second))) for one in pair.apart
    )
    return Table("apart", "Tasks in which both have scores, never on the same dataset", columns, rows)


def _named(some: Sequence[DatasetComparison]) -> Cell:
    return Cell(listing([one.dataset.name for one in some]), (", ".join(one.dataset.id for one in some),))


def _scores_part(pair: ModelPair, table: Table) -> Table:
    scale = number(scale_of(pair.rows), 2, signed=True)
    guarded = any(row.guarded is not None for row in pair.rows)
    caption = f"Scores and paired differences, {pair.first.name} minus {pair.second.name}; positive is better for "
    caption += f"{pair.first.name}. Dot: difference; bar: interval; the scale ends at ±{scale.lstrip('+')}."
    return table.part("scores", caption, columns=["task", *_SCORES, *(["guard"] if guarded else [])])


def _cost_part(pair: ModelPair, table: Table) -> Table:
    """Return what each model took to run, a row for each dataset where its tasks agree."""
    part = table.part("cost", "What each took to run", columns=["dataset", *_COST])
    tasks: dict[tuple[object, ...], list[str]] = {}
    rows: dict[tuple[object, ...], TableRow] = {}
    for one, row in zip(pair.rows, part.rows, strict=True):
        same = tuple((cell.text, cell.small) for cell in row.cells)
        tasks.setdefault(same, []).append(one.comparison.task.name)
        rows.setdefault(same, row)
    found = (
        replace(row, cells=(row.cells[0]._replace(small=listing(tasks[same])), *row.cells[1:]))
        for same, row in rows.items()
    )
    return replace(part, rows=tuple(found))


def _leakage_part(table: Table) -> Table:
    """Return what each model had seen of each dataset, said once where tasks agree."""
    part = table.part(
        "leakage",
        f"Seen in pretraining? {cells.NOT_AUDITED.capitalize()}",
        columns=["dataset", "first_leakage", "second_leakage"],
    )
    distinct = {tuple(cell.raw for cell in row.cells): row for row in part.rows}
    return replace(part, rows=tuple(distinct.values()))


def _shared_leakage(pair: ModelPair) -> str:
    """Say how many datasets either of the two had seen, or may have."""
    seen: dict[str, tuple[bool, bool]] = {}
    unknown = set()
    for row in pair.rows:
        classes = [one.result.leakage.leakage_class for one in (row.first, row.second)]
        seen[row.one.dataset.id] = (classes[0] in ("yellow", "red"), classes[1] in ("yellow", "red"))
        if "gray" in classes or None in classes:
            unknown.add(row.one.dataset.id)
    total = plural(len(seen), "dataset")
    both, either = sum(map(all, seen.values())), sum(map(any, seen.values()))
    if not either:
        said = f"Neither is known to have seen {'the one dataset' if len(seen) == 1 else f'any of {total}'} in training"
    else:
        said = f"Of {total}, {both} seen in training by both models and {either - both} by one of them alone"
    return f"{said}; for {len(unknown)} it is not known of at least one of them." if unknown else f"{said}."


def how_compared(pair: ModelPair) -> list[str]:
    """Describe the comparison, from the very values that it used."""
    first, second = pair.first.name, pair.second.name
    sizes = [(len(pair.judged(kind)), kind) for kind in KINDS if pair.judged(kind)]
    family = ", ".join(f"{size} {kind}" for size, kind in sizes) or "none"
    lines = [
        f"Each row is one task on one dataset, in the task's primary score. The difference is {first} minus {second} "
        "on the same resamples or with the same groups left out, signed so that positive is better; its interval is "
        "made as on the task's page.",
        "“Better” and “worse” need a p-value of at most 1 minus the level after Holm's adjustment over the rows of "
        "this page, measured, demonstration and simulated data each on their own (here: "
        f"{family}), and the whole interval on that side of zero.",
        "On a task's page a model is compared with the baseline, adjusted for all models of a dataset, and ranges of "
        "ranks are adjusted for all pairs: the same two models may be separated here and not there. This page answers "
        "a question about two models that were chosen beforehand. Whoever looks through many pairs for the largest "
        "difference will find some by chance; then the ranges of ranks are the answer.",
        f"P(better) is the probability of superiority: the share of paired resamples in which {first} is better, ties "
        "counted half; where groups were left out, the share of the t distribution around the difference that lies "
        "above zero. It says how sure these data are of the sign, and nothing about another dataset.",
    ]
    if any(row.comparison.task.guard for row in pair.rows):
        lines.append(
            "Where a task guards a second score, the one that gains must be shown to keep it within the margin of the "
            "task's card; otherwise its gain is “in doubt”, whichever of the two it is."
        )
    lines.append(
        f"Rows are counted and never averaged. Up to {FEW_STUDIES} independent studies, such counts are descriptive. "
        "Simulated data and demonstrations stand apart and are not counted."
    )
    return lines
