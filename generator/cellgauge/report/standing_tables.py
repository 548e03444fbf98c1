"""How models stand on a task, as a table of skills, a figure, and what the order rests on."""

from __future__ import annotations

import math
from statistics import median, quantiles

from cellgauge.report import cells
from cellgauge.report.charts import Figure, Mark
from cellgauge.report.counted import SHADES
from cellgauge.report.dataset_comparison import DatasetComparison, Row
from cellgauge.report.leaderboard import ranks_of
from cellgauge.report.numbers import interval, listing, number, plural
from cellgauge.report.release import ReleaseView
from cellgauge.report.standing import Standing, Standings
from cellgauge.report.tables import MISSING, Badge, Cell, Column, Side, Table
from cellgauge.report.tables import Row as TableRow
from cellgauge.stats.sensitivity import Omission
from cellgauge.stats.skill import CannotDiscriminate, Skill

DECIMALS = 2
"""Of skills: they are read across a row, and their intervals are wider than that."""
_LEFTMOST = -1.0
"""A model that is worse than this becomes an arrow at the edge, so that the others stay apart."""


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
        Column("leakage", "Leakage", hover="Whether the model saw these data in training, over all datasets"),
    )
    rows = tuple(_row(view, found, one) for one in found.models)
    caption = f"Skill on {plural(len(found.datasets), 'dataset')}: 0 is {baseline}, 1 the best value possible"
    return Table("standing", caption, columns, rows, compare=True)


def _dataset_column(one: DatasetComparison) -> Column:
    card = one.dataset
    apart = "simulated" if card.evidence == "simulated" else "demonstration" if card.demonstration else ""
    return Column(
        f"skill:{card.id}",
        f"{card.name} ({apart})" if apart and apart not in card.name.lower() else card.name,
        ("", "low", "high", "rank_first", "rank_last"),
        numeric=True,
        direction="higher",
        hover="Skill, and with it the ranks that the model may have here"
        + ("; not counted in the mean" if apart else ""),
        href=f"datasets/{card.id}/",
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
    return TableRow(
        (
            cells.model_cell(one.model, role=role, gates=gates),
            _mean_cell(one, role),
            *(_skill_cell(view, each, one, role, is_terse=found.has_many) for each in found.datasets),
            Cell(f"{len(one.rows)} of {len(found.datasets)}", (len(one.rows), len(found.datasets))),
            Cell(number(median(once), DECIMALS), (median(once),)) if once else MISSING,
            Cell(number(max(peaks), 0), (max(peaks),)) if peaks else MISSING,
            _leakage(one.rows.values()),
        ),
        model=one.model.id,
    )


def _mean_cell(one: Standing, role: str) -> Cell:
    mean = one.mean
    if mean is None or mean.value is None:
        return Cell("–", (None, None), hover="No measured dataset counts here")
    if role == "baseline":
        return Cell(number(0, DECIMALS), (0.0, mean.n), hover="The baseline is where skill begins")
    studies = plural(mean.n, "study", "studies")
    small = studies if mean.n == mean.of else f"{mean.n} of {mean.of} studies"
    return Cell(number(mean.value, DECIMALS, signed=True), (mean.value, mean.n), small=small)


def _skill_cell(view: ReleaseView, on: DatasetComparison, one: Standing, role: str, *, is_terse: bool) -> Cell:
    row = one.rows.get(on.dataset.id)
    if row is None:
        return _why_none(view, on, one)
    ranks, said, href = ranks_of(row), _ranks(row), cells.page_of(row.result)
    small, more = ("", f", {said}" if said else "") if is_terse else (said, "")
    made = one.skills.get(on.dataset.id)
    if isinstance(made, CannotDiscriminate):
        why = f"Cannot discriminate here: the baseline, {number(made.baseline)}, is within noise of the ceiling"
        return Cell("no room", (None, None, None, *ranks.raw), small=small, hover=why + more, href=href, tone="control")
    if made is None:
        why = row.note or "no skill"
        return Cell("–", (None, None, None, *ranks.raw), small=small, hover=why + more, href=href)
    side: Side = "" if role == "baseline" else "above" if made.value > 0 else "below"
    is_plain = role == "baseline" or not round(made.value, DECIMALS)
    shade = 0 if is_plain else math.ceil(SHADES * math.sqrt(min(1.0, abs(made.value))))
    return Cell(
        number(made.value, DECIMALS, signed=role != "baseline"),
        (made.value, made.low, made.high, *ranks.raw),
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
    nothing = (None,) * 5
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


def standings_figure(found: Standings, colours: dict[str, str]) -> Figure | None:
    """Return the mean skill of each model with a dot for each dataset behind, between baseline and ceiling."""
    measured = {one.dataset.id for one in found.comparison.measured}
    counted = [one.dataset.id for one in found.datasets if one.dataset.id in measured]
    marks = []
    for one in found.models:
        if one.model.id == found.comparison.baseline.id or one.mean is None or one.mean.value is None:
            continue
        made = [one.skills.get(id_) for id_ in counted]
        points = [each if isinstance(each, Skill) else None for each in made]
        alone = next(each for each in points if each) if len(points) - points.count(None) == 1 else None
        said = number(one.mean.value, DECIMALS, signed=True)
        bar = (alone.low, alone.high) if alone else None
        if found.has_many:
            bar = None if alone else _quartiles([each.value for each in points if each])
        if bar:
            said += f" {interval(*bar, DECIMALS, signed=True)}"
        marks.append(
            Mark(
                id=one.model.id,
                label=one.model.name,
                value=one.mean.value,
                low=bar[0] if bar else None,
                high=bar[1] if bar else None,
                numbers=said,
                word="" if alone and bar else plural(one.mean.n, "study", "studies"),
                colour=colours.get(one.model.id, "var(--cg-ink)"),
                faint=() if bar or found.has_many else tuple(each.value if each else None for each in points),
            )
        )
    if not marks:
        return None
    baseline = found.comparison.baseline.name
    values = [x for mark in marks for x in mark.points]
    return Figure(
        marks=tuple(marks),
        axis=f"Skill: the line at 0 is {baseline} (baseline), the dashed one at 1 the best value possible (ceiling)",
        short_axis=f"Skill: 0 is {baseline}, 1 the ceiling",
        description=f"Mean skill on {found.comparison.task.name}: "
        + listing([f"{mark.label} {mark.numbers}" for mark in marks])
        + f". 0 is {baseline}, 1 the best value possible.",
        reference=0.0,
        dashed=1.0,
        domain=(max(_LEFTMOST, min([0.0, *values])) - 0.06, max([1.0, *(mark.value for mark in marks)]) + 0.04),
        id="skill",
        title=f"{found.comparison.task.name}: mean skill",
        names=Column("model", "Model"),
        values=Column(
            "skill",
            "Mean skill",
            ("", "first_quartile", "third_quartile") if found.has_many else ("", "low", "high"),
            numeric=True,
        ),
        faints=Column("skill", "Single datasets", tuple(counted)),
        reference_name=baseline,
        dashed_name="best possible",
    )


def _quartiles(values: list[float]) -> tuple[float, float]:
    first, _, third = quantiles(values, n=4, method="inclusive")
    return first, third


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
    if not omissions:
        return None
    names = {one.model.id: one.model.name for one in found.models}
    rows = tuple(_omission(view, found, one, names) for one in omissions)
    order = listing([names[one] for one in found.sensitivity.order.models])
    caption = f"Order by mean skill in all scores: {order}. What it is when something is left out"
    return Table("sensitivity", caption, columns, rows)


def _omission(view: ReleaseView, found: Standings, one: Omission, names: dict[str, str]) -> TableRow:
    assert one.order is not None  # noqa: S101 (callers choose such omissions)
    shown, href = one.name, None
    if one.kind == "dataset":
        shown, href = view.cards.datasets[one.name].name, f"datasets/{one.name}/"
    elif one.kind == "metric":
        metric = view.cards.metrics[one.name.partition("@")[0]]
        shown, href = metric.short_name, f"metrics/{metric.id}/"
    changed = (Badge("other leader", "plain", "Another model leads, alone or tied"),) if one.first_changes else ()
    return TableRow(
        (
            Cell(one.kind),
            Cell(shown, (one.name,), href=href),
            Cell("–" if one.tau is None else number(one.tau, DECIMALS), (one.tau,)),
            Cell(names[one.order.models[0]], (one.order.models[0],), badges=changed),
            Cell(listing([names[each] for each in one.moved]) or "none", (", ".join(one.moved),)),
        )
    )
