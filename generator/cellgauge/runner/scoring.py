"""From what tasks give to what a result file holds: scores with intervals, under every condition."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cellgauge.cards.metric import MetricCard, Range
from cellgauge.cards.task import TaskCard
from cellgauge.results.schema import Interval, Score, Undefined
from cellgauge.stats.jackknife import FEWEST_GROUPS
from cellgauge.tasks.evaluate import Evaluation


@dataclass(frozen=True)
class Scored:
    """What an evaluation puts into its result file."""

    scores: list[Score]
    undefined: list[Undefined]
    replicates: NDArray[np.float32]
    """(n_scores × n_replicates)."""


def scored(
    metrics: Mapping[str, MetricCard],
    task: TaskCard,
    evaluation: Evaluation,
    stressed: Mapping[str, Evaluation | str],
) -> Scored:
    """Put together the scores of one model on one dataset.

    Parameters
    ----------
    metrics
        Cards by id.
    evaluation
        On the data as they are.
    stressed
        Condition → the primary score under it, or why there is none.
    """
    scores, undefined = _of(metrics, task, evaluation, None)
    replicates = [evaluation.replicates]
    for condition, found in stressed.items():
        named = {"metric": task.primary.metric, "view": task.primary.view, "condition": condition}
        if isinstance(found, str):
            undefined.append(Undefined(**named, reason=found))
            continue
        if found.stream != evaluation.stream:
            why = "other resamples were drawn than for the data as they are"
            undefined.append(Undefined(**named, reason=why))
            continue
        more, without = _of(metrics, task, found, condition)
        scores += more
        undefined += without
        replicates.append(found.replicates)
    return Scored(scores, undefined, np.concatenate(replicates))


def _of(
    metrics: Mapping[str, MetricCard], task: TaskCard, evaluation: Evaluation, condition: str | None
) -> tuple[list[Score], list[Undefined]]:
    scores, undefined = [], []
    for ref in task.scores:
        if ref.key in evaluation.undefined:
            why = evaluation.undefined[ref.key]
            undefined.append(Undefined(metric=ref.metric, view=ref.view, condition=condition, reason=why))
        if ref.key not in evaluation.keys:
            continue
        position, metric = evaluation.keys.index(ref.key), metrics[ref.metric]
        by_seed = evaluation.by_seed[position]
        value = float(by_seed.mean())
        scores.append(
            Score(
                metric=ref.metric,
                view=ref.view,
                condition=condition,
                version=metric.version,
                direction=metric.direction,
                value=value,
                by_seed=by_seed.tolist(),
                interval=_interval(task, metric.range, evaluation, position, value),
                why_no_interval=_why_none(evaluation, position),
                n_units=evaluation.n_units[position],
                unit=task.unit,
            )
        )
    return scores, undefined


def _interval(task: TaskCard, bounds: Range, evaluation: Evaluation, position: int, value: float) -> Interval | None:
    """Return the interval, cut to what the metric can be: its ends may lie beyond.

    An interval without width misses its own point by the rounding of the replicates; that is mended.
    """
    level = task.protocol.confidence
    found = evaluation.interval(position, level)
    if found is None:
        return None
    low, high = found
    low = low if bounds.min is None else max(low, bounds.min)
    high = high if bounds.max is None else min(high, bounds.max)
    rounding = 4 * float(np.finfo(np.float32).eps) * max(1.0, abs(value))
    if value - rounding <= low <= value + rounding:
        low = min(low, value)
    if value - rounding <= high <= value + rounding:
        high = max(high, value)
    n_groups = evaluation.n_groups[position] if evaluation.method == "jackknife" else None
    return Interval(low=low, high=high, level=level, method=_method(task, evaluation, position), n_groups=n_groups)


def _why_none(evaluation: Evaluation, position: int) -> str | None:
    n_groups, group = evaluation.n_groups[position], evaluation.group
    if evaluation.method == "bootstrap" or n_groups >= FEWEST_GROUPS:
        return None
    if n_groups == 0:
        return f"without one of the {group}s it has no value"
    return f"{n_groups} {group}s are too few for an interval; {FEWEST_GROUPS} are needed"


def _method(task: TaskCard, evaluation: Evaluation, position: int) -> str:
    seeds = len(task.protocol.seeds)
    if evaluation.method == "jackknife":
        n_groups = evaluation.n_groups[position]
        return (
            f"jackknife that leaves out one of {n_groups} {evaluation.group}s at a time, corrected for skewness, "
            f"t quantiles with "
            f"{n_groups - 1} degrees of freedom, and the variance between {seeds} seeds; "
            "conditional on the fitted model"
        )
    these = "; uncertainty for these donors only" if evaluation.these_donors else ""
    return (
        f"centred percentile bootstrap of {task.unit}s within {evaluation.within}, "
        f"{task.protocol.replicates:,} replicates over {seeds} seeds; conditional on the fitted model{these}"
    )
