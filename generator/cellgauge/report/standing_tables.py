"""How models stand on a task, as a table of skills, and what the order rests on."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from statistics import median

from cellgauge.report import cells
from cellgauge.report.counted import SHADES
from cellgauge.report.dataset_comparison import DatasetComparison, Row
from cellgauge.report.leaderboard import ranks_cell, ranks_of
from cellgauge.report.numbers import interval, listing, number, plural
from cellgauge.report.release import ReleaseView
from cellgauge.report.standing import Standing, Standings
from cellgauge.report.tables import MISSING, Badge, Cell, Column, Side, Table
from cellgauge.report.tables import Row as TableRow
from cellgauge.results.schema import parts_of
from cellgauge.stats.sensitivity import Omission
from cellgauge.stats.skill import CannotDiscriminate
from cellgauge.stats.studies import FEWEST_STUDIES, Mean

DECIMALS = 2
"""Of skills: they are read across a row, and their intervals are wider than that."""
MOST_LINKED = 400
"""In a table of more skills than this, single ones have no link and no ranks: a page has a size to keep."""
_NAMED_MODELS = 6
"""More models than this become a number."""
GROUPS = {
    "some": "Not on all datasets that enter the mean: theirs is over fewer, and has no place in the order above",
    "none": "On none of the datasets that enter the mean",
}


def standings_table(view: ReleaseView, found: Standings) -> Table:
    """Return models × datasets with the skill on each, the mean over studies, coverage, cost and leakage."""
    baseline = found.comparison.baseline.name
    columns = (
        Column("model", "Model"),
        Column(
            "skill",
            "Mean skill",
            ("", "studies"),
            numeric=True,
            direction="higher",
            hover="Mean over measured datasets, studies with equal weight: 0 is the baseline, 1 the best possible",
        ),
        *([_RANKS] if found.n_ranked else []),
        *(_dataset_column(one) for one in found.datasets),
        Column(
            "coverage",
            "Coverage",
            ("", "planned"),
            numeric=True,
            direction="higher",
            hover="Datasets with scores, of those that any model of this task has scores on",
        ),
        Column(
            "seconds_per_embedding",
            "Time (s)",
            numeric=True,
            direction="lower",
            hover="Wall time of obtaining the outputs once, the median over datasets",
        ),
        Column(
            "peak_memory_mb",
            "Memory (MiB)",
            numeric=True,
            direction="lower",
            hover="Peak memory, the largest over datasets",
        ),
        replace(cells.GPU, hover="Peak memory on a GPU, the largest over datasets; none: it ran without one"),
        Column("leakage", "Leakage", hover="Whether the model saw these data in training, over all datasets"),
    )
    if is_light(found):
        columns = tuple(replace(column, by_text=True) for column in columns)
    rows = tuple(_row(view, found, one) for one in found.models)
    caption = f"Skill on {plural(len(found.datasets), 'dataset')}: 0 is {baseline}, 1 the best value possible"
    return Table("standing", caption, columns, rows, GROUPS if found.is_partial else {}, compare=True)


_RANKS = Column(
    "ranks",
    "Ranks of the mean",
    ("first", "last"),
    numeric=True,
    direction="lower",
    hover="The ranks that its mean may have among the models on all datasets, if other studies were asked",
)


def is_light(found: Standings) -> bool:
    """Whether there are too many skills for each to have a link and its ranks."""
    return len(found.models) * len(found.datasets) > MOST_LINKED


def _dataset_column(one: DatasetComparison) -> Column:
    card = one.dataset
    apart = "simulated" if card.evidence == "simulated" else "demonstration" if card.demonstration else ""
    return Column(
        f"skill:{card.id}",
        f"{card.name} ({apart})" if apart and apart not in card.name.lower() else card.name,
        ("", "low", "high", "rank_first", "rank_last", "score"),
        numeric=True,
        direction="higher",
        hover="Skill, and with it the score and the ranks that the model may have here"
        + ("; not counted in the mean" if apart else ""),
        href=f"tasks/{one.rows[0].result.task.id}/{card.id}/",
    )


def _row(view: ReleaseView, found: Standings, one: Standing) -> TableRow:
    role = "baseline" if one.model.id == found.comparison.baseline.id else "model"
    gates = [gate for row in one.rows.values() for gate in row.result.gates]
    once = [
        row.result.resources.embedding_wall_s / row.result.resources.n_embeddings
        for row in one.rows.values()
        if row.result.resources and row.result.resources.embedding_wall_s is not None
        and row.result.resources.n_embeddings
    ]  # fmt: skip
    peaks = [
        row.result.resources.peak_memory_mb
        for row in one.rows.values()
        if row.result.resources and row.result.resources.peak_memory_mb is not None
    ]
    skills = [_skill_cell(view, each, one, role, is_terse=found.has_many) for each in found.datasets]
    if is_light(found):
        skills = [cell._replace(href=None, hover="", small="") for cell in skills]
    return TableRow(
        (
            cells.model_cell(one.model, role=role, gates=gates, fit=not is_light(found)),
            _mean_cell(one, role),
            *([_ranks_of_mean(one, None if is_light(found) else found.n_ranked)] if found.n_ranked else []),
            *skills,
            Cell(f"{len(one.rows)} of {len(found.datasets)}", (len(one.rows), len(found.datasets))),
            Cell(number(median(once), DECIMALS), (median(once),)) if once else MISSING,
            Cell(number(max(peaks), 0), (max(peaks),)) if peaks else MISSING,
            cells.gpu_cell(*(row.result for row in one.rows.values())),
            _leakage(one.rows.values()),
        ),
        group=one.coverage if found.is_partial else "",
        model=one.model.id,
    )


def _ranks_of_mean(one: Standing, of: int | None) -> Cell:
    if one.ranks is None:
        return Cell("–", (None, None), hover="only models on all datasets that enter the mean are ranked")
    return ranks_cell(one.ranks, of)


def _mean_cell(one: Standing, role: str) -> Cell:
    mean = one.mean
    if mean is None or mean.value is None:
        return Cell("–", (None, None), hover="No measured dataset counts here")
    if role == "baseline":
        hover = "The baseline is where skill begins"
        return Cell(number(0, DECIMALS), (0.0, mean.n), small=studies_of(mean), hover=hover)
    return Cell(number(mean.value, DECIMALS, signed=True), (mean.value, mean.n), small=studies_of(mean))


def studies_of(mean: Mean) -> str:
    """Return over how many studies of how many a mean is."""
    return f"{mean.n} of {plural(mean.of, 'study', 'studies')}"


def _skill_cell(view: ReleaseView, on: DatasetComparison, one: Standing, role: str, *, is_terse: bool) -> Cell:
    row = one.rows.get(on.dataset.id)
    if row is None:
        return _why_none(view, on, one)
    ranks, href, score = ranks_of(row), cells.page_of(row.result), row.score.value if row.score else None
    said = ", ".join(filter(None, ["" if score is None else number(score), _ranks(row)]))
    small, more = ("", f"; score {said}" if said else "") if is_terse else (said, "")
    behind = (*ranks.raw, score)
    made = one.skills.get(on.dataset.id)
    if isinstance(made, CannotDiscriminate):
        why = f"Cannot discriminate here: the baseline, {number(made.baseline)}, is within noise of the ceiling"
        return Cell("no room", (None, None, None, *behind), small=small, hover=why + more, href=href, tone="control")
    if made is None:
        why = row.note or "no skill"
        return Cell("–", (None, None, None, *behind), small=small, hover=why + more, href=href)
    side: Side = "" if role == "baseline" else "above" if made.value > 0 else "below"
    is_plain = role == "baseline" or not round(made.value, DECIMALS)
    shade = 0 if is_plain else math.ceil(SHADES * math.sqrt(min(1.0, abs(made.value))))
    return Cell(
        number(made.value, DECIMALS, signed=role != "baseline"),
        (made.value, made.low, made.high, *behind),
        small=small,
        hover=f"Skill {number(made.value)} {interval(made.low, made.high)}{more}",
        href=href,
        shade=shade,
        side=side,
    )


def _ranks(row: Row) -> str:
    text = ranks_of(row).text
    return "" if text == "–" else f"rank {text}" if text.isdigit() else f"ranks {text}"


def _why_none(view: ReleaseView, on: DatasetComparison, one: Standing) -> Cell:
    result = next((each for each in on.empties if each.model.id == one.model.id), None)
    nothing = (None,) * 6
    if result is not None:
        why = cells.why_empty(result.status, result.reason)
        return Cell(cells.status_text(result.status), nothing, hover=why, href=cells.page_of(result), tone="control")
    if any(row.model.id == one.model.id for row in on.outdated):
        return Cell("outdated", nothing, hover="Computed with earlier cards, never compared", tone="control")
    pair = next(
        (
            each
            for each in view.missing()
            if (each.task, each.dataset, each.model) == (on.rows[0].result.task.id, on.dataset.id, one.model.id)
        ),
        None,
    )
    status = "not_run" if pair is None or pair.status == "to_run" else pair.status
    why = cells.why_empty(status, pair.reason if pair else None)
    return Cell(cells.status_text(status), nothing, hover=why, href="#missing" if pair else None, tone="control")


def _leakage(rows: object) -> Cell:
    found = sorted(
        {row.result.leakage.leakage_class for row in rows if row.result.leakage.leakage_class},  # type: ignore[attr-defined]
        key=["red", "gray", "yellow", "green"].index,
    )
    if not found:
        return MISSING
    shown = [f"{cells.LEAKAGE[kind][0]} {kind}" for kind in found]
    return Cell(", ".join(shown), (", ".join(found),), tone=found[0] if len(found) == 1 else "plain")


def about_ranks(found: Standings) -> str:
    """Return a sentence on the ranks of the mean: what they rest on, or why there are none."""
    if found.n_ranked:
        return (
            f"The ranks of the mean come from paired t intervals over {found.n_studies} independent studies, "
            "Holm-adjusted over all pairs of models: models whose ranks overlap may change places."
        )
    if not found.n_studies:
        return ""
    return (
        f"The mean has no range of ranks: that takes {FEWEST_STUDIES} independent studies, and here "
        f"{'is' if found.n_studies == 1 else 'are'} {found.n_studies}. Its order is descriptive."
    )


def sensitivity_table(view: ReleaseView, found: Standings) -> Table | None:
    """Return the order of models without each dataset, study and metric; None where nothing can be left out."""
    if found.sensitivity is None:
        return None
    columns = (
        Column("kind", "Left out"),
        Column("name", "Which"),
        Column("tau", "Kendall's τ", numeric=True, direction="higher", hover="With the full order; 1: the same order"),
        Column("first", "Then first"),
        Column("moved", "Models that change their place"),
    )
    omissions = [one for one in found.sensitivity.omissions if one.order is not None]
    kinds = Counter(one.kind for one in omissions)
    if found.has_many and kinds["study"] == kinds["dataset"]:  # then each study is one dataset, and said already
        omissions = [one for one in omissions if one.kind != "study"]
    if not omissions:
        return None
    names = {one.model.id: one.model.name for one in found.models}
    rows = tuple(_omission(view, found, one, names) for one in omissions)
    order = listing([names[one] for one in found.sensitivity.order.models])
    caption = f"Order by mean skill in {found.ordered_by}: {order}. What it is when something is left out"
    return Table("sensitivity", caption, columns, rows)


def _omission(view: ReleaseView, found: Standings, one: Omission, names: dict[str, str]) -> TableRow:
    assert one.order is not None  # noqa: S101 (callers choose such omissions)
    shown, href = one.name, None
    if one.kind == "dataset":
        shown, href = view.cards.datasets[one.name].name, f"datasets/{one.name}/"
    elif one.kind == "metric":
        metric = view.cards.metrics[parts_of(one.name)[0]]
        shown, href = metric.short_name, f"metrics/{metric.id}/"
    changed = (Badge("other leader", "plain", "Another model leads, alone or tied"),) if one.first_changes else ()
    return TableRow(
        (
            Cell(one.kind),
            Cell(shown, (one.name,), href=href),
            Cell("–" if one.tau is None else number(one.tau, DECIMALS), (one.tau,)),
            Cell(names[one.order.models[0]], (one.order.models[0],), badges=changed),
            Cell(_moved([names[each] for each in one.moved]), (", ".join(one.moved),)),
        )
    )


def _moved(names: list[str]) -> str:
    return plural(len(names), "model") if len(names) > _NAMED_MODELS else listing(names) or "none"
