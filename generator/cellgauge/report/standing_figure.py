"""How models stand on a task, as a figure of their mean skills."""

from __future__ import annotations

from statistics import quantiles

from cellgauge.report.charts import Figure, Mark
from cellgauge.report.colours import in_one_chart
from cellgauge.report.numbers import interval, listing, number
from cellgauge.report.standing import Standing, Standings
from cellgauge.report.standing_tables import DECIMALS, studies_of
from cellgauge.report.tables import Column
from cellgauge.stats.skill import Skill
from cellgauge.stats.studies import Mean

MOST_DRAWN = 16
"""Models that a figure shows; the table has them all."""
_LEFTMOST = -1.0
"""A model that is worse than this becomes an arrow at the edge, so that the others stay apart."""


def standings_figure(found: Standings, colours: dict[str, str]) -> Figure | None:
    """Return the mean skill of each model with a dot for each dataset behind, between baseline and ceiling.

    Models on some datasets stand below a line. With too many models, the first ones alone are drawn.
    """
    measured = {one.dataset.id for one in found.comparison.measured}
    counted = [one.dataset.id for one in found.datasets if one.dataset.id in measured]
    shown = _drawn(found)[:MOST_DRAWN]
    colours = in_one_chart(colours, [one.model.id for one, *_ in shown])
    marks = []
    for one, mean, value in shown:
        made = [one.skills.get(id_) for id_ in counted]
        points = [each if isinstance(each, Skill) else None for each in made]
        known = [each for each in points if each]
        if found.has_many:
            bar = _quartiles([each.value for each in known]) if len(known) > 1 else None
        else:
            bar = (known[0].low, known[0].high) if len(known) == 1 else None
        said = number(value, DECIMALS, signed=True)
        said += f" {interval(*bar, DECIMALS, signed=True)}" if bar else ""
        marks.append(
            Mark(
                id=one.model.id,
                label=one.model.name,
                value=value,
                low=bar[0] if bar else None,
                high=bar[1] if bar else None,
                numbers=said,
                word=studies_of(mean),
                colour=colours.get(one.model.id, "var(--cg-ink)"),
                below=one.coverage != "all",
                faint=() if found.has_many else tuple(each.value if each else None for each in points),
            )
        )
    if not marks:
        return None
    baseline = found.comparison.baseline.name
    values = [x for mark in marks for x in mark.points]
    partial = [mark.label for mark in marks if mark.below]
    fewer = f" {listing(partial)}: not on all datasets." if partial else ""
    return Figure(
        marks=tuple(marks),
        axis=f"Skill: the line at 0 is {baseline} (baseline), the dashed one at 1 the best value possible (ceiling)",
        short_axis=f"Skill: 0 is {baseline}, 1 the ceiling",
        description=f"Mean skill on {found.comparison.task.name}: "
        + listing([f"{mark.label} {mark.numbers}" for mark in marks])
        + f". 0 is {baseline}, 1 the best value possible.{fewer}",
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
        words=Column("studies", "Studies"),
        faints=Column("skill_on", "Single datasets", tuple(counted)),
        reference_name=baseline,
        dashed_name="best possible",
        below_name="not on all datasets",
    )


def figure_key(found: Standings, figure: Figure) -> str:
    """Return what each form in the figure of skills is."""
    parts = ["Large dot: mean skill"]
    if found.has_many:
        parts.append("bar: the middle half of the datasets")
    else:
        alone = any(mark.low is not None for mark in figure.marks)
        several = any(mark.low is None for mark in figure.marks)
        parts += ["faint dots: single datasets"] if several else []
        parts += [f"bar: the {found.comparison.terms.level} interval of a model that has a single one"] if alone else []
    said = "; ".join(parts) + ". On the right: the independent studies in the mean."
    if any(mark.below for mark in figure.marks):
        said += " Below the dashes: models that are not on all datasets; their mean is over fewer, and no place."
    n_models = len(_drawn(found))
    if n_models > len(figure.marks):
        said += f" Drawn are the first {len(figure.marks)} of {n_models} models; the table has them all."
    ceiling = found.comparison.metric.short_name
    said += f" Solid line: the baseline. Dashed: the best value that {ceiling} can have; data may keep it out of reach."
    return said


def _drawn(found: Standings) -> list[tuple[Standing, Mean, float]]:
    """Return the models that have a mean skill, without the baseline."""
    others = [one for one in found.models if one.model.id != found.comparison.baseline.id]
    return [(one, one.mean, one.mean.value) for one in others if one.mean is not None and one.mean.value is not None]


def _quartiles(values: list[float]) -> tuple[float, float]:
    first, _, third = quantiles(values, n=4, method="inclusive")
    return first, third
