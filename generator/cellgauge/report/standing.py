"""How models stand on a task over its datasets: skill on each, its mean over studies, and what the order rests on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from cellgauge.cards import MetricCard, ModelCard, ScoreRef, TaskCard
from cellgauge.report.comparison import TaskComparison
from cellgauge.report.dataset_comparison import DatasetComparison, Row, replicates_of
from cellgauge.report.release import ReleaseView
from cellgauge.results.schema import Result, Score
from cellgauge.stats.sensitivity import Sensitivity, leave_one_out
from cellgauge.stats.skill import CannotDiscriminate, Skill, skill, skill_jackknife, skill_value
from cellgauge.stats.studies import Entry, Mean, aggregate

MANY_DATASETS = 12
"""With more datasets a figure shows quartiles over them and not each one, and a table has one line a cell."""
FEWEST_MODELS_IN_ORDER = 3
"""With fewer models and baseline there is no order that could rest on anything."""


@dataclass(frozen=True)
class Standing:
    """One model, or the baseline, over the datasets of a task."""

    model: ModelCard
    rows: Mapping[str, Row]
    """Dataset → its row; datasets without a comparable score are not in it."""
    skills: Mapping[str, Skill | CannotDiscriminate]
    """Dataset → skill in the primary score; 0 for the baseline, and no entry where it cannot be computed."""
    mean: Mean | None
    """Of the skill over measured datasets, studies with equal weight; None where no such dataset is."""


@dataclass(frozen=True)
class Standings:
    """All models of a task, the best mean first."""

    comparison: TaskComparison
    datasets: tuple[DatasetComparison, ...]
    """Those with scores: measured ones that count come first."""
    models: tuple[Standing, ...]
    sensitivity: Sensitivity | None = field(default=None)
    """None where there are too few models, datasets or metrics for an order to rest on."""

    @property
    def has_many(self) -> bool:
        """Whether there are too many measured datasets to show each one in a figure."""
        return self.n_measured > MANY_DATASETS

    @property
    def n_measured(self) -> int:
        """Datasets that enter the mean."""
        return len(self.comparison.measured)


def standings(view: ReleaseView, comparison: TaskComparison) -> Standings:
    """Put the models of a task beside each other.

    Skill is ``(score − baseline) / (ceiling − baseline)`` in the primary score, never clipped, with the metric's
    theoretical best as the ceiling. The mean takes measured datasets alone, with equal weight for each study.
    """
    task, metric = comparison.task, comparison.metric
    datasets = tuple(one for one in comparison.datasets if one.ranked)
    measured = [one for one in comparison.measured if one.ranked]
    models = {row.model.id: row.model for one in datasets for row in one.ranked}
    found = []
    for model in models.values():
        rows = {one.dataset.id: row for one in datasets for row in one.ranked if row.model.id == model.id}
        skills = {
            one.dataset.id: made
            for one in datasets
            if one.dataset.id in rows
            and (made := skill_in(view, comparison, one, rows[one.dataset.id].result, task.primary.key, metric))
        }
        values = {id_: made.value for id_, made in skills.items() if isinstance(made, Skill)}
        entries = [_entry(one, "primary", task.primary.key, values.get(one.dataset.id)) for one in measured]
        found.append(Standing(model, rows, skills, aggregate(entries) if entries else None))
    found.sort(key=_place)
    return Standings(comparison, datasets, tuple(found), _sensitivity(view, comparison, measured, found))


def _place(one: Standing) -> tuple[float, float, str]:
    if one.mean is not None and one.mean.value is not None:
        return (0, -one.mean.value, one.model.id)
    values = [made.value for made in one.skills.values() if isinstance(made, Skill)]
    return (1, -float(np.mean(values)) if values else np.inf, one.model.id)


def skill_in(
    view: ReleaseView, comparison: TaskComparison, one: DatasetComparison, result: Result, key: str, metric: MetricCard
) -> Skill | CannotDiscriminate | None:
    """Return a result's skill in one of its scores.

    None where the metric has no theoretical best, or where either score, its interval or the baseline's is missing.
    The baseline stands at 0, unless it is within noise of the ceiling.
    """
    paired = _paired(view, comparison, one, result, key, metric)
    if paired is None:
        return None
    ours, theirs, replicates, limits = paired
    if ours.interval is None or ours.interval.n_groups is None:
        return skill(ours.value, theirs.value, *replicates, **limits)
    n_seeds = len(ours.by_seed)
    return skill_jackknife(
        np.array(ours.by_seed),
        np.array(theirs.by_seed),
        replicates[0].reshape(-1, n_seeds),
        replicates[1].reshape(-1, n_seeds),
        ours.interval.n_groups,
        **limits,
    )


def _value_in(
    view: ReleaseView, comparison: TaskComparison, one: DatasetComparison, result: Result, key: str, metric: MetricCard
) -> float | None:
    """Return the value of ``skill_in`` alone."""
    paired = _paired(view, comparison, one, result, key, metric)
    if paired is not None and paired[0].interval is not None and paired[0].interval.n_groups is None:
        ours, theirs, replicates, limits = paired
        return skill_value(ours.value, theirs.value, *replicates, **limits)
    made = skill_in(view, comparison, one, result, key, metric)
    return made.value if isinstance(made, Skill) else None


class _Limits(TypedDict):
    ceiling: float
    level: float
    sign: int


_Replicates = tuple[NDArray[np.floating[Any]], NDArray[np.floating[Any]]]


def _paired(
    view: ReleaseView, comparison: TaskComparison, one: DatasetComparison, result: Result, key: str, metric: MetricCard
) -> tuple[Score, Score, _Replicates, _Limits] | None:
    """Return a score of a result and of the baseline, their replicates, and what their skill is measured by."""
    base = one.row(comparison.baseline.id)
    ceiling = metric.range.max if metric.direction == "higher" else metric.range.min
    if ceiling is None or base is None or base.outdated:
        return None
    ours, theirs = result.score(key), base.result.score(key)
    if ours is None or theirs is None or ours.interval is None or theirs.interval is None:
        return None
    if result.replicates is None or base.result.replicates is None:
        return None
    if result.replicates.stream != base.result.replicates.stream:
        return None
    replicates = replicates_of(view, result, ours), replicates_of(view, base.result, theirs)
    sign = 1 if metric.direction == "higher" else -1
    return ours, theirs, replicates, _Limits(ceiling=ceiling, level=ours.interval.level, sign=sign)


def _sensitivity(
    view: ReleaseView, comparison: TaskComparison, measured: list[DatasetComparison], models: list[Standing]
) -> Sensitivity | None:
    """Order models by their mean skill in all scores of the primary view, and again without each part of it."""
    refs = scores_in_order(comparison.task)
    complete = [one for one in models if all(each.dataset.id in one.rows for each in measured)]
    if not measured or len(complete) < FEWEST_MODELS_IN_ORDER:
        return None
    entries = {
        one.model.id: [
            _entry(
                each,
                _family_of(view, comparison.task, ref),
                ref.key,
                _value_in(
                    view, comparison, each, one.rows[each.dataset.id].result, ref.key, view.cards.metrics[ref.metric]
                ),
            )
            for each in measured
            for ref in refs
        ]
        for one in complete
    }
    shared = [all(one.value is not None for one in places) for places in zip(*entries.values(), strict=True)]
    return leave_one_out(entries) if sum(shared) > 1 else None


def scores_in_order(task: TaskCard) -> list[ScoreRef]:
    """Return the scores of the primary view: other views ask the same metrics once more."""
    return [ref for ref in task.scores if ref.view in (task.primary.view, None)]


def _family_of(view: ReleaseView, task: TaskCard, ref: ScoreRef) -> str:
    declared = next((family.name for family in task.families if ref.metric in family.metrics), None)
    return declared or view.cards.metrics[ref.metric].family


def _entry(one: DatasetComparison, family: str, metric: str, value: float | None) -> Entry:
    return Entry(one.dataset.study, one.dataset.id, family, metric, simulated=False, value=value)
