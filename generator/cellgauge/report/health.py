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
from cellgauge.report.score_names import name_of_score
from cellgauge.report.standing import scores_in_order
from cellgauge.report.tables import MISSING, Cell, Column, Row, Table, alphabetical
from cellgauge.results.schema import Result, Score, parts_of
from cellgauge.stats.health import MetricHealth, metric_health
from cellgauge.stats.ranks import rank_jackknife, rank_replicates

_FEW, _AT_ONCE = 100, 25
"""Up to so many scores are computed in one process, and of more so many at a time."""
_STRONG = 3
"""How many of the other metrics a task's page names that a metric goes along with most; the metric's page has all."""


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
    found = on_all_cores(lambda place: _health(view, *place), places, few=_FEW, at_once=_AT_ONCE)
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


_NUMBERS = (
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
"""What is said of a score, on one dataset or over several."""


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
        *_NUMBERS,
    )
    rows = tuple(_row(view, one, of) for one in found)
    table = Table(id_, caption, columns, rows)
    if of == "metric":
        kept = [column.key for column in columns if column.key != "goes_with"]
        table = table.part(id_, caption, columns=kept)
    return table if rows else None


def correlations(view: ReleaseView, found: list[Health]) -> Table | None:
    """Return how a metric orders models beside each other metric: a row for each task, dataset, score and other score.

    None where too few models have scores for any correlation.
    """
    columns = (
        Column("other", "Other metric", choices=True),
        Column("task", "Task", choices=True),
        Column("dataset", "Dataset", choices=True),
        Column("score", "Of the score", shown=len({one.ref.key for one in found}) > 1),
        Column("correlation", "Correlation", numeric=True, hover="Spearman's, over the models that have both scores"),
    )
    rows = [
        Row(
            (
                _name_of(view, one.task, key),
                cells.task_cell(one.task),
                cells.dataset_cell(one.on.dataset),
                _score_cell(view, one),
                Cell(number(value, 2, signed=True), (value,)),
            )
        )
        for one in found
        for key, value in one.found.correlations
        if value is not None
    ]
    rows.sort(key=lambda row: [alphabetical(cell.text) for cell in row.cells[:4]])
    caption = "Spearman's correlation with every other metric, over models and baseline; from four of them on"
    return Table("correlations", caption, columns, tuple(rows), sorted_by=("other", "ascending")) if rows else None


def over_places(full: Table) -> Table:
    """Return one row for each other metric and task: the median over datasets, the least and the most."""
    by_pair: dict[tuple[str, str], list[Row]] = {}
    for row in full.rows:
        by_pair.setdefault((row.cells[0].text, row.cells[1].text), []).append(row)
    columns = (
        *full.columns[:2],
        Column("places", "Datasets", numeric=True),
        Column("median", "Median", numeric=True, hover="Of Spearman's correlation over datasets"),
        Column("least", "Least", numeric=True),
        Column("most", "Most", numeric=True),
    )
    rows = []
    for some in by_pair.values():
        values = [float(raw) for row in some if isinstance(raw := row.cells[-1].raw[0], float)]
        ends = (float(np.median(values)), min(values), max(values))
        places = Cell(f"{len(values):,}", (len(values),))
        rows.append(Row((*some[0].cells[:2], places, *(Cell(number(x, 2, signed=True), (x,)) for x in ends))))
    return Table(full.id, full.caption, columns, tuple(rows), sorted_by=full.sorted_by)


def over_datasets(view: ReleaseView, found: list[Health], id_: str, caption: str) -> Table | None:
    """Return one row for each score, over all datasets of a task: what a task with many datasets shows.

    Pairs and models are counted over datasets, and shares are of all of these; a correlation is the median over the
    datasets that have one.
    """
    by_score: dict[str, list[Health]] = {}
    for one in found:
        by_score.setdefault(one.ref.key, []).append(one)
    rows = []
    for some in by_score.values():
        parts = [one.found for one in some]
        keys = dict.fromkeys(key for part in parts for key, _ in part.correlations)
        by_part = [dict(part.correlations) for part in parts]
        known = {key: [value for one in by_part if (value := one.get(key)) is not None] for key in keys}
        whole = MetricHealth(
            n_models=sum(part.n_models for part in parts),
            at_best=_mean_share([(part.at_best, part.n_models) for part in parts]),
            near_first=_mean_share([(part.near_first, part.n_models - 1) for part in parts]),
            separated=sum(part.separated for part in parts),
            pairs=sum(part.pairs for part in parts),
            without_width=sum(part.without_width for part in parts),
            correlations=tuple((key, float(np.median(values)) if values else None) for key, values in known.items()),
        )
        n = len(parts)
        rows.append(Row((_score_cell(view, some[0]), Cell(f"{n:,}", (n,)), *_numbers(view, whole))))
    columns = (Column("score", "Score"), Column("datasets", "Datasets", numeric=True), *_NUMBERS)
    return Table(id_, caption, columns, tuple(rows)) if rows else None


def _mean_share(shares: list[tuple[float | None, int]]) -> float | None:
    """Return the share of all models together, from shares and of how many models each is."""
    known = [(share, n) for share, n in shares if share is not None]
    return sum(share * n for share, n in known) / sum(n for _, n in known) if known else None


def _row(view: ReleaseView, one: Health, of: str) -> Row:
    first = _score_cell(view, one) if of == "task" else cells.task_cell(one.task)
    return Row((first, cells.dataset_cell(one.on.dataset), *_numbers(view, one.found)))


def _score_cell(view: ReleaseView, one: Health) -> Cell:
    return _name_of(view, one.task, one.ref.key)


def _name_of(view: ReleaseView, task: TaskCard, key: str) -> Cell:
    return Cell(name_of_score(view.cards, task, key), (key,), href=f"metrics/{parts_of(key)[0]}/")


def _numbers(view: ReleaseView, health: MetricHealth) -> tuple[Cell, ...]:
    known = [(key, value) for key, value in health.correlations if value is not None]
    known.sort(key=lambda pair: (-abs(pair[1]), pair[0]))
    said = [
        f"{view.cards.metrics[parts_of(key)[0]].short_name} {number(value, 2, signed=True)}"
        for key, value in known[:_STRONG]
    ]
    return (
        Cell(f"{health.separated:,} of {health.pairs:,}", (health.separated, health.pairs)),
        _share(health.at_best),
        _share(health.near_first),
        Cell(f"{health.without_width:,}", (health.without_width,)),
        Cell(listing(said) or "–", ("; ".join(f"{key}: {value:.4g}" for key, value in known),)),
    )


def _share(value: float | None) -> Cell:
    return MISSING if value is None else Cell(f"{value:.0%}".replace("%", " %"), (value,))
