"""Skill: each model placed between the baseline, at 0, and the best that is possible, at 1."""

from __future__ import annotations

from cellgauge.report.charts import Figure, Mark
from cellgauge.report.tables import Column

SKILL = Column("skill", "Skill", ("", "low", "high"), numeric=True, direction="higher")


def skill_figure(
    marks: tuple[Mark, ...],
    *,
    id_: str,
    title: str,
    description: str,
    baseline: str,
    ceiling: str = "best possible",
    names: Column = Column("model", "Model"),
) -> Figure:
    """Return a dot and an interval of skill per model, with a solid line at the baseline and a dashed one at the ceiling.

    Skill is never clipped: what is worse than the baseline lies left of its line.

    Parameters
    ----------
    baseline, ceiling
        What is written on the two lines.
    """
    least = min((x for mark in marks if not mark.below for x in mark.points), default=0.0)
    low, high = min(-0.05, max(least, -1.5) - 0.05), 1.05
    return Figure(
        marks=marks,
        axis=f"Skill: 0 is {baseline}, 1 the {ceiling}; right is better",
        short_axis=f"Skill: 0 is {baseline}; right is better",
        description=description,
        reference=0.0,
        dashed=1.0,
        domain=(low, high),
        bounds=(None, 1.0),
        id=id_,
        title=title,
        names=names,
        values=SKILL,
        reference_name=baseline,
        dashed_name=ceiling,
    )
