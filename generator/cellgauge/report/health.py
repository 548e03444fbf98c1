"""Does a metric still tell models apart in this release? Computed once for each task, dataset and score."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from cellgauge.cards import MetricCard, ScoreRef, TaskCard
from cellgauge.report import cells
from cellgauge.report.comparison import TaskComparison
from cellgauge.report.dataset_comparison import DatasetComparison, replicates_of
from cellgauge.report.forks import on_all_cores
from cellgauge.report.numbers import listing, number
from cellgauge.report.release import ReleaseView
from cellgauge.report.standing import scores_in_order
from cellgauge.report.tables import MISSING, Cell, Column, Row, Table
from cellgauge.results.schema import Result, Score
from cellgauge.stats.health import MetricHealth, metric_health
from cellgauge.stats.ranks import rank_jackknife, rank_replicates

_FEW = 100
"""Up to this many scores are computed in one process."""
_STRONG = 3
"""How many of the other metrics are named that a metric goes along with most."""


@dataclass(frozen=True)
class Health:
    """What one score shows about the models on one dataset."""

    task: TaskCard
    on: DatasetComparison
    ref: ScoreRef
    found: MetricHealth


def healths(view: ReleaseView, comparisons: Iterable[TaskComparison]) -> list[Health]:
    """Return the health of every score of the primary view, on every dataset with two ranked models or more."""
    places = [
        (comparison.task, one, ref)
        for comparison in comparisons
        for one in comparison.datasets
        for ref in scores_in_order(comparison.task)
    ]
    found = on_all_cores(lambda place: _health(view, *place), places, few=_FEW, at_once=_FEW // 4)
    return [Health(*place, health) for place, health in zip(places, found, strict=True) if health is not None]


def _health(view: ReleaseView, task: TaskCard, one: DatasetComparison, ref: ScoreRef) -> MetricHealth | None:
    metric = view.cards.metrics[ref.metric]
    sign = _sign(metric)
    paired = [
        (row.result, score)
        for row in one.ranked
        if (score := row.result.score(ref.key)) is not None and score.interval is not None and row.result.replicates
    ]
    streams = [result.replicates.stream for result, _ in paired if result.replicates]
    paired = [pair for pair, stream in zip(paired, streams, strict=True) if stream == streams[0]]
    if len(paired) < 2:
        return None
    results, scores = [result for result, _ in paired], [score for _, score in paired]
    replicates = np.array([replicates_of(view, result, score) for result, score in paired])
    intervals = [score.interval for score in scores if score.interval is not None]
    if intervals[0].n_groups is None:
        values = np.array([score.value for score in scores])
        ranking = rank_replicates(values, replicates, level=intervals[0].level, sign=sign)
    else:
        by_seed = np.array([score.by_seed for score in scores])
        left_out = replicates.reshape(len(scores), -1, by_seed.shape[1])
        ranking = rank_jackknife(by_seed, left_out, intervals[0].n_groups, level=intervals[0].level, sign=sign)
    others = {
        other.key: [_signed(view, result, other) for result in results]
        for other in scores_in_order(task)
        if other.key != ref.key
    }
    return metric_health(
        np.array([score.value for score in scores]),
        np.array([(each.low, each.high) for each in intervals]),
        ranking,
        best=metric.range.max if sign > 0 else metric.range.min,
        sign=sign,
        others=others,
    )


def _sign(metric: MetricCard) -> int:
    return 1 if metric.direction == "higher" else -1


def _signed(view: ReleaseView, result: Result, ref: ScoreRef) -> float | None:
    score: Score | None = result.score(ref.key)
    return None if score is None else _sign(view.cards.metrics[ref.metric]) * score.value


def health_table(view: ReleaseView, found: list[Health], id_: str, caption: str, *, of: str) -> Table | None:
    """Return one row for each task, dataset and score.

    Parameters
    ----------
    of
        ``task`` or ``metric``: what all rows share, so that it needs no column.
    """
    columns = (
        *((Column("score", "Score"),) if of == "task" else (Column("task", "Task"),)),
        Column("dataset", "Dataset"),
        Column(
            "told_apart",
            "Pairs told apart",
            ("", "pairs"),
            numeric=True,
            direction="higher",
            hover="Pairs of models, the baseline included, that are separated, Holm-adjusted over all pairs",
        ),
        Column(
            "at_best",
            "At the best value",
            numeric=True,
            direction="lower",
            hover="Share of models whose interval reaches the best value that the metric can have",
        ),
        Column(
            "near_first",
            "Near the first",
            numeric=True,
            direction="lower",
            hover="Share of the other models that are not separated from the first",
        ),
        Column("without_width", "Without width", numeric=True, hover="Models whose interval has no width"),
        Column("goes_with", "Goes along with", hover="Spearman's correlation over models; from four models on"),
    )
    rows = tuple(_row(view, one, of) for one in found)
    return Table(id_, caption, columns, rows) if rows else None


def _row(view: ReleaseView, one: Health, of: str) -> Row:
    metric, health = view.cards.metrics[one.ref.metric], one.found
    views = {each.id: each.name for each in one.task.views}
    name = metric.short_name + (f", {views[one.ref.view]}" if one.ref.view in views else "")
    known = [(key, value) for key, value in health.correlations if value is not None]
    known.sort(key=lambda pair: (-abs(pair[1]), pair[0]))
    said = [
        f"{view.cards.metrics[key.partition('@')[0]].short_name} {number(value, 2, signed=True)}"
        for key, value in known[:_STRONG]
    ]
    first = Cell(name, (one.ref.key,), href=f"metrics/{metric.id}/") if of == "task" else cells.task_cell(one.task)
    return Row(
        (
            first,
            cells.dataset_cell(one.on.dataset),
            Cell(f"{health.separated} of {health.pairs}", (health.separated, health.pairs)),
            _share(health.at_best),
            _share(health.near_first),
            Cell(str(health.without_width), (health.without_width,)),
            Cell(listing(said) or "–", ("; ".join(f"{key}: {value:.4g}" for key, value in known),)),
        )
    )


def _share(value: float | None) -> Cell:
    return MISSING if value is None else Cell(f"{value:.0%}".replace("%", " %"), (value,))
