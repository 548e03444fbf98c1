"""What may be wrong or doubtful in the scores of a release: one small check for each kind of finding."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from cellgauge.cards import ScoreRef
from cellgauge.cards.silence import CheckId
from cellgauge.report import cells
from cellgauge.report.comparison import TaskComparison
from cellgauge.report.dataset_comparison import DatasetComparison, Row, replicates_of
from cellgauge.report.numbers import interval, listing, number, percent, plural
from cellgauge.report.quality_findings import Checked, Comparisons, Finding, Severity, in_words
from cellgauge.report.release import ReleaseView
from cellgauge.results.schema import Score
from cellgauge.stats.health import metric_health
from cellgauge.stats.skill import CannotDiscriminate, skill, skill_jackknife
from cellgauge.stats.values import rounding

SATURATED = 0.5
"""From this share of models at the best possible score on, a metric tells few of them apart."""


def _on_datasets(comparisons: Comparisons) -> Iterator[tuple[TaskComparison, DatasetComparison]]:
    return ((comparison, one) for comparison in comparisons.values() for one in comparison.datasets)


def _shown(score: Score) -> str:
    return number(score.value) + (f" {interval(score.interval.low, score.interval.high)}" if score.interval else "")


def _sign(direction: str) -> int:
    return 1 if direction == "higher" else -1


def _score_name(view: ReleaseView, comparison: TaskComparison, ref: ScoreRef) -> str:
    views = {one.id: one.name for one in comparison.task.views}
    name = view.cards.metrics[ref.metric].short_name
    return f"{name} ({views[ref.view]})" if ref.view else name


def control_order(view: ReleaseView, comparisons: Comparisons) -> Checked:
    """Compare the controls by each score: those that its metric card calls best and worst must be."""
    findings, n_checked, n_unchecked = [], 0, 0
    for comparison, one in _on_datasets(comparisons):
        rows = {row.model.id: row for row in one.controls if not row.outdated}
        for ref in comparison.task.scores:
            metric = view.cards.metrics[ref.metric]
            scores = {id_: score for id_, row in rows.items() if (score := row.result.score(ref.key)) is not None}
            for end, ids in (("best", metric.controls.best), ("worst", metric.controls.worst)):
                sign = _sign(metric.direction) * (1 if end == "best" else -1)
                wanted, others = set(scores) & set(ids), sorted(set(scores) - set(ids))
                if not ids:
                    continue
                if not wanted or len(scores) < 2:
                    n_unchecked += 1
                    continue
                n_checked += 1
                first = max(sorted(wanted), key=lambda id_: sign * scores[id_].value)
                negligible = rounding([score.value for score in scores.values()])
                for id_ in others:
                    if sign * (scores[id_].value - scores[first].value) <= negligible:
                        continue
                    apart = _are_apart(scores[id_], scores[first])
                    findings.append(
                        Finding(
                            "control-order",
                            "serious" if apart else "doubtful",
                            f"by {_score_name(view, comparison, ref)}, {in_words(view, [id_])} is {end} with "
                            f"{_shown(scores[id_])}, before {in_words(view, [first])} with {_shown(scores[first])}"
                            f"{'' if apart else '; the intervals overlap'}",
                            f"{end} is {' or '.join(view.cards.models[one].name for one in ids)}",
                            cells.page_of(rows[id_].result),
                            comparison.task.id,
                            one.dataset.id,
                            id_,
                            metric.id,
                        )
                    )
    unchecked = f"{n_unchecked:,} more: fewer than two controls have that score, or not the one expected there"
    return Checked(plural(n_checked, "end", "ends") + " of orders", tuple(findings), unchecked if n_unchecked else "")


def beaten_control(view: ReleaseView, comparisons: Comparisons) -> Checked:
    """Name scores by which a model lies beyond the best control, with intervals apart: what does the score reward?"""
    findings, n_checked = [], 0
    for comparison, one, ref, scores in _scored(comparisons):
        metric = view.cards.metrics[ref.metric]
        sign = _sign(metric.direction)
        controls = {row.model.id: row.result.score(ref.key) for row in one.controls if not row.outdated}
        best = [(id_, score) for id_, score in controls.items() if score is not None and id_ in metric.controls.best]
        if not best or not scores:
            continue
        n_checked += 1
        first, ceiling = max(best, key=lambda each: (sign * each[1].value, each[0]))
        beyond = {
            id_: score
            for id_, score in scores.items()
            if sign * (score.value - ceiling.value) > 0 and _are_apart(score, ceiling)
        }
        if beyond:
            ordered = sorted(beyond, key=lambda id_: (-sign * beyond[id_].value, id_))
            said = f"by {_score_name(view, comparison, ref)}, {in_words(view, ordered)} "
            said += (
                f"{'lies' if len(ordered) == 1 else 'lie'} beyond the best control: {in_words(view, ordered[:1])} has "
            )
            said += f"{_shown(beyond[ordered[0]])}, {in_words(view, [first])} {_shown(ceiling)}"
            expected = f"no model beyond {in_words(view, [first])}, the best control by this metric"
            severity: Severity = "doubtful" if ref.key == comparison.task.primary.key else "note"
            findings.append(_of_scores("beaten-control", severity, said, expected, comparison, one, ref.metric))
    return Checked(plural(n_checked, "score") + " with such a control", tuple(findings))


def _are_apart(one: Score, other: Score) -> bool:
    if one.interval is None or other.interval is None:
        return False
    return one.interval.low > other.interval.high or other.interval.low > one.interval.high


def _scored(
    comparisons: Comparisons,
) -> Iterator[tuple[TaskComparison, DatasetComparison, ScoreRef, dict[str, Score]]]:
    """Yield each score of each task and dataset, with the values of models and baseline."""
    for comparison, one in _on_datasets(comparisons):
        for ref in comparison.task.scores:
            found = {row.model.id: score for row in one.ranked if (score := row.result.score(ref.key)) is not None}
            yield comparison, one, ref, found


def no_interval(view: ReleaseView, comparisons: Comparisons) -> Checked:
    """Name scores without an interval, by task, dataset and metric."""
    findings, n_checked = [], 0
    for comparison, one, ref, scores in _scored(comparisons):
        n_checked += len(scores)
        bare = {id_: score for id_, score in scores.items() if score.interval is None}
        if bare:
            why = listing(sorted({score.why_no_interval or "no reason is given" for score in bare.values()}), "or")
            found = f"no interval for {_score_name(view, comparison, ref)} of {in_words(view, list(bare))}: {why}"
            findings.append(_of_scores("no-interval", "note", found, "an interval", comparison, one, ref.metric))
    return Checked(plural(n_checked, "score") + " of models", tuple(findings))


def zero_width(view: ReleaseView, comparisons: Comparisons) -> Checked:
    """Name scores whose interval has no width: nothing that was resampled changes them."""
    findings, n_checked = [], 0
    for comparison, one, ref, scores in _scored(comparisons):
        with_interval = {id_: score.interval for id_, score in scores.items() if score.interval is not None}
        n_checked += len(with_interval)
        flat = [id_ for id_, ends in with_interval.items() if ends.high - ends.low <= rounding([ends.low, ends.high])]
        if flat:
            values = listing(sorted({number(scores[id_].value) for id_ in flat}))
            name = _score_name(view, comparison, ref)
            found = f"the interval for {name} of {in_words(view, flat)} has no width, at {values}"
            expected = "a score that varies with the cells drawn"
            severity: Severity = "doubtful" if ref.key == comparison.task.primary.key else "note"
            findings.append(_of_scores("zero-width", severity, found, expected, comparison, one, ref.metric))
    return Checked(plural(n_checked, "interval") + " of models", tuple(findings))


def _of_scores(
    check: CheckId, severity: Severity, found: str, expected: str, comparison: TaskComparison, one: DatasetComparison,
    metric: str,
) -> Finding:  # fmt: skip
    href = f"tasks/{comparison.task.id}/"
    return Finding(check, severity, found, expected, href, comparison.task.id, one.dataset.id, None, metric)


def at_ceiling(view: ReleaseView, comparisons: Comparisons) -> Checked:
    """Name datasets on which the baseline is within noise of the metric's best: they cannot discriminate."""
    findings, n_checked = [], 0
    for comparison, one in _on_datasets(comparisons):
        row = one.row(comparison.task.baseline) if comparison.task.baseline else None
        metric = comparison.metric
        ceiling = metric.range.max if metric.direction == "higher" else metric.range.min
        if row is None or row.outdated or row.score is None or row.score.interval is None or ceiling is None:
            continue
        n_checked += 1
        found = _skill_of_itself(view, row, ceiling, _sign(metric.direction))
        if isinstance(found, CannotDiscriminate):
            said = f"{found.text}: the baseline, {row.model.name}, has {_shown(row.score)} in {comparison.score_name}, "
            said += f"within noise of the best, {ceiling:g}"
            expected = "room between baseline and best score"
            findings.append(_of_scores("at-ceiling", "doubtful", said, expected, comparison, one, metric.id))
    return Checked(plural(n_checked, "baseline score"), tuple(findings))


def _skill_of_itself(view: ReleaseView, row: Row, ceiling: float, sign: int) -> object:
    """Return the baseline's skill, which is 0, unless there is no room for any."""
    score = row.score
    assert score is not None and score.interval is not None  # noqa: PT018, S101 (callers choose such rows)
    values, level = replicates_of(view, row.result, score), score.interval.level
    if score.interval.n_groups is None:
        return skill(score.value, score.value, values, values, ceiling=ceiling, level=level, sign=sign)
    by_seed, left_out = np.array(score.by_seed), values.reshape(-1, len(score.by_seed))
    groups = score.interval.n_groups
    return skill_jackknife(by_seed, by_seed, left_out, left_out, groups, ceiling=ceiling, level=level, sign=sign)


def saturated(view: ReleaseView, comparisons: Comparisons) -> Checked:
    """Name datasets on which the intervals of half of the models reach the best value of the primary score."""
    findings, n_checked = [], 0
    for comparison, one in _on_datasets(comparisons):
        metric = comparison.metric
        best = metric.range.max if metric.direction == "higher" else metric.range.min
        scores = [row.score for row in one.rows if row.ranks is not None]
        ends = [(score.interval.low, score.interval.high) for score in scores if score and score.interval]
        if one.ranking is None or best is None or len(ends) < len(scores):
            continue
        n_checked += 1
        health = metric_health(
            np.array([score.value for score in scores if score]), np.array(ends), one.ranking,
            best=best, sign=_sign(metric.direction), others={},
        )  # fmt: skip
        if health.at_best is not None and health.at_best >= SATURATED:
            said = f"{percent(round(health.at_best, 3))} of {plural(health.n_models, 'model')} cannot be told from "
            said += f"{best:g}, the best value of {comparison.score_name}"
            expected = f"fewer than {percent(SATURATED)}"
            findings.append(_of_scores("saturated", "doubtful", said, expected, comparison, one, metric.id))
    return Checked(plural(n_checked, "primary score") + " on a dataset", tuple(findings))
