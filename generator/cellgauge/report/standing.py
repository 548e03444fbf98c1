"""How models stand on a task over its datasets: skill on each, its mean over studies, and what the order rests on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, NamedTuple, TypedDict

import numpy as np
from numpy.typing import NDArray

from cellgauge.cards import MetricCard, ModelCard, ScoreRef, TaskCard
from cellgauge.report.comparison import TaskComparison
from cellgauge.report.dataset_comparison import DatasetComparison, Row, replicates_of
from cellgauge.report.numbers import plural
from cellgauge.report.release import ReleaseView
from cellgauge.results.schema import Result, Score
from cellgauge.stats.ranks import RankRange, rank_studies
from cellgauge.stats.sensitivity import Sensitivity, leave_one_out
from cellgauge.stats.skill import CannotDiscriminate, Skill, skill, skill_jackknife, skill_value
from cellgauge.stats.studies import FEWEST_STUDIES, Entry, Mean, aggregate

MANY_DATASETS = 12
"""With more datasets a figure shows quartiles over them and not each one, and a table has one line a cell."""
FEWEST_MODELS_IN_ORDER = 3
"""With fewer models and baseline there is no order that could rest on anything."""


Coverage = Literal["all", "some", "none"]
"""On how many of the datasets that enter a mean a model has a skill."""

_COVERAGES: tuple[Coverage, ...] = ("all", "some", "none")


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
    coverage: Coverage = "all"
    ranks: RankRange | None = None
    """The ranks that its mean may have among the models on all datasets; None where there are too few studies."""


@dataclass(frozen=True)
class Standings:
    """All models of a task: those on all datasets, the best mean first, then those on some, then the rest.

    A mean over fewer datasets, which may be easier ones, has no place among means over all of them.
    """

    comparison: TaskComparison
    datasets: tuple[DatasetComparison, ...]
    """Those with scores: measured ones that count come first."""
    models: tuple[Standing, ...]
    ordered_by: str = ""
    """The scores by whose mean skill models are ordered where parts are left out, in words."""
    sensitivity: Sensitivity | None = field(default=None)
    """None where there are too few models, datasets or metrics for an order to rest on."""

    @property
    def has_many(self) -> bool:
        """Whether there are too many measured datasets to show each one in a figure."""
        return self.n_measured > MANY_DATASETS

    @property
    def has_scores(self) -> bool:
        """Whether a model has a value of the primary score anywhere; the baseline alone stands beside nobody."""
        others = [one for one in self.models if one.model.id != self.comparison.baseline.id]
        return any(row.score is not None for one in others for row in one.rows.values())

    @property
    def n_studies(self) -> int:
        """Independent studies that enter the mean of a model on all datasets."""
        return max((one.mean.n for one in self.models if one.mean is not None), default=0)

    @property
    def n_ranked(self) -> int:
        """Models whose mean has a range of ranks."""
        return sum(one.ranks is not None for one in self.models)

    @cached_property
    def compared(self) -> dict[str, list[tuple[DatasetComparison, Row]]]:
        """Each model's rows on measured datasets that have a difference to the baseline."""
        measured = self.comparison.measured
        return {
            one.model.id: [
                (on, row) for on in measured if (row := one.rows.get(on.dataset.id)) and row.difference is not None
            ]
            for one in self.models
        }

    @property
    def is_partial(self) -> bool:
        """Whether some models are on all datasets, and others are not."""
        return len({one.coverage for one in self.models}) > 1

    def how_ordered(self) -> list[str]:
        """Describe the order of the models, from the very values that it used."""
        lines = [
            f"The mean skill gives each independent study, {self.n_studies} here, the same weight, over datasets that "
            "count and on which the baseline leaves room. Models with a skill on all of these stand first, by their "
            "mean; those on some stand below, since a mean over fewer datasets, which may be easier ones, cannot be "
            "compared with theirs."
        ]
        return lines if self.n_studies else []

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
    found = _with_ranks(_with_coverage(found), task.protocol.confidence)
    found.sort(key=_place)
    order = _scores_of_order(view, task)
    family = f" of {_family_of(view, task, task.primary).lower()}" if task.guard else ""
    ordered_by = f"{plural(len(order), 'score')}{family}"
    return Standings(
        comparison, datasets, tuple(found), ordered_by, _sensitivity(view, comparison, measured, found, order)
    )


def _with_coverage(models: list[Standing]) -> list[Standing]:
    """Say of each model whether its mean is over all that any mean is over."""
    counted = {one.model.id: _counted_in(one.mean) for one in models}
    whole = set().union(*counted.values())

    def coverage(one: Standing) -> Coverage:
        return "none" if whole and not counted[one.model.id] else "all" if counted[one.model.id] == whole else "some"

    return [replace(one, coverage=coverage(one)) for one in models]


def _counted_in(mean: Mean | None) -> set[str]:
    """Return the datasets that enter a mean."""
    studies = mean.parts if mean else ()
    return {dataset.name for study in studies for dataset in study.parts if dataset.value is not None}


def _with_ranks(models: list[Standing], level: float) -> list[Standing]:
    """Give the models on all datasets the ranks that their means may have, where there are enough studies."""
    ranked = [one for one in models if one.coverage == "all" and one.mean is not None and one.mean.n >= FEWEST_STUDIES]
    if len(ranked) < 2:
        return models
    values = [[study.value for study in one.mean.parts if study.value is not None] for one in ranked if one.mean]
    ranges = rank_studies(np.array(values), level=level).ranges
    by_model = {one.model.id: range_ for one, range_ in zip(ranked, ranges, strict=True)}
    return [replace(one, ranks=by_model.get(one.model.id)) for one in models]


def _place(one: Standing) -> tuple[int, float, str]:
    place = _COVERAGES.index(one.coverage)
    if one.mean is not None and one.mean.value is not None:
        return (place, -one.mean.value, one.model.id)
    values = [made.value for made in one.skills.values() if isinstance(made, Skill)]
    return (place, -float(np.mean(values)) if values else np.inf, one.model.id)


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
    if paired.n_groups is None:
        return skill(paired.ours.value, paired.theirs.value, *paired.replicates, **paired.limits)
    return _skill_of_groups(paired, paired.n_groups)


def _value_in(
    view: ReleaseView, comparison: TaskComparison, one: DatasetComparison, result: Result, key: str, metric: MetricCard
) -> float | None:
    """Return the value of ``skill_in`` alone."""
    paired = _paired(view, comparison, one, result, key, metric)
    if paired is None:
        return None
    if paired.n_groups is None:
        return skill_value(paired.ours.value, paired.theirs.value, *paired.replicates, **paired.limits)
    made = _skill_of_groups(paired, paired.n_groups)
    return made.value if isinstance(made, Skill) else None


def _skill_of_groups(paired: _Paired, n_groups: int) -> Skill | CannotDiscriminate:
    n_seeds = len(paired.ours.by_seed)
    return skill_jackknife(
        np.array(paired.ours.by_seed),
        np.array(paired.theirs.by_seed),
        paired.replicates[0].reshape(-1, n_seeds),
        paired.replicates[1].reshape(-1, n_seeds),
        n_groups,
        **paired.limits,
    )


class _Limits(TypedDict):
    ceiling: float
    level: float
    sign: int


class _Paired(NamedTuple):
    """A score of a result and of the baseline, their replicates, and what their skill is measured by."""

    ours: Score
    theirs: Score
    replicates: tuple[NDArray[np.floating[Any]], NDArray[np.floating[Any]]]
    limits: _Limits
    n_groups: int | None
    """How many groups were left out in turn; None where cells or others were drawn."""


def _paired(
    view: ReleaseView, comparison: TaskComparison, one: DatasetComparison, result: Result, key: str, metric: MetricCard
) -> _Paired | None:
    """Return what skill is made of; None where something of it is missing."""
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
    limits = _Limits(ceiling=ceiling, level=ours.interval.level, sign=sign)
    return _Paired(ours, theirs, replicates, limits, ours.interval.n_groups)


def _sensitivity(
    view: ReleaseView,
    comparison: TaskComparison,
    measured: list[DatasetComparison],
    models: list[Standing],
    refs: list[ScoreRef],
) -> Sensitivity | None:
    """Order models by their mean skill in several scores, and again without each part of it."""
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


def _scores_of_order(view: ReleaseView, task: TaskCard) -> list[ScoreRef]:
    """Return the scores that models are ordered by.

    Where a task guards a second score, what it asks for is bought with something else: no mean is taken over both.
    """
    refs = scores_in_order(task)
    if task.guard is None:
        return refs
    families = {ref.key: _family_of(view, task, ref) for ref in refs}
    return [ref for ref in refs if families[ref.key] == families[task.primary.key]]


def scores_in_order(task: TaskCard) -> list[ScoreRef]:
    """Return the scores of the primary view: other views ask the same metrics once more."""
    return [ref for ref in task.scores if ref.view in (task.primary.view, None)]


def _family_of(view: ReleaseView, task: TaskCard, ref: ScoreRef) -> str:
    declared = next((family.name for family in task.families if ref.metric in family.metrics), None)
    return declared or view.cards.metrics[ref.metric].family


def _entry(one: DatasetComparison, family: str, metric: str, value: float | None) -> Entry:
    return Entry(one.dataset.study, one.dataset.id, family, metric, simulated=False, value=value)
