"""What may be wrong, doubtful or worth knowing in a release: one small check for each kind of finding."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

from cellgauge.cards import ScoreRef
from cellgauge.cards.silence import CheckId
from cellgauge.report import cells
from cellgauge.report.comparison import TaskComparison
from cellgauge.report.dataset_comparison import NO_SCORES, DatasetComparison, Row, replicates_of
from cellgauge.report.numbers import interval, listing, number, percent, plural, short_digest
from cellgauge.report.release import Place, ReleaseView, place_of
from cellgauge.results.protocol import differences
from cellgauge.results.schema import Result, Score
from cellgauge.stats.health import metric_health
from cellgauge.stats.skill import CannotDiscriminate, skill, skill_jackknife
from cellgauge.stats.values import rounding

Severity = Literal["serious", "doubtful", "note"]
"""Contradicts what must hold; may mislead a reader; is no fault, and good to know."""

SATURATED = 0.5
"""From this share of models at the best possible score on, a metric tells few of them apart."""
Comparisons = Mapping[str, TaskComparison]


@dataclass(frozen=True)
class Finding:
    """One thing found."""

    check: CheckId
    severity: Severity
    found: str
    expected: str
    href: str
    """The page where it can be looked at."""
    task: str | None = None
    dataset: str | None = None
    model: str | None = None
    metric: str | None = None
    reason: str | None = None
    """Why it is known and silenced."""


@dataclass(frozen=True)
class Checked:
    """What one check looked at, and what it found."""

    amount: str
    """How many of what: "144 orders of controls"."""
    findings: tuple[Finding, ...] = ()
    unchecked: str = ""
    """What it could not look at, and why."""


@dataclass(frozen=True)
class Check:
    """One kind of finding."""

    id: CheckId
    title: str
    run: Callable[[ReleaseView, Comparisons], Checked]


def _fresh(view: ReleaseView) -> Iterator[Result]:
    return (result for result in view.done if view.outdated(result) is None)


def _on_datasets(comparisons: Comparisons) -> Iterator[tuple[TaskComparison, DatasetComparison]]:
    return ((comparison, one) for comparison in comparisons.values() for one in comparison.datasets)


def _shown(score: Score) -> str:
    return number(score.value) + (f" {interval(score.interval.low, score.interval.high)}" if score.interval else "")


def _sign(direction: str) -> int:
    return 1 if direction == "higher" else -1


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
                            f"by {_score_name(view, comparison, ref)}, {_named(view, [id_])} is {end} with "
                            f"{_shown(scores[id_])}, before {_named(view, [first])} with {_shown(scores[first])}"
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
            said = f"by {_score_name(view, comparison, ref)}, {_named(view, ordered)} "
            said += (
                f"{'lies' if len(ordered) == 1 else 'lie'} beyond the best control: {_named(view, ordered[:1])} has "
            )
            said += f"{_shown(beyond[ordered[0]])}, {_named(view, [first])} {_shown(ceiling)}"
            expected = f"no model beyond {_named(view, [first])}, the best control by this metric"
            severity: Severity = "doubtful" if ref.key == comparison.task.primary.key else "note"
            findings.append(_of_scores("beaten-control", severity, said, expected, comparison, one, ref.metric))
    return Checked(plural(n_checked, "score") + " with such a control", tuple(findings))


def _are_apart(one: Score, other: Score) -> bool:
    if one.interval is None or other.interval is None:
        return False
    return one.interval.low > other.interval.high or other.interval.low > one.interval.high


def failed_runs(view: ReleaseView, comparisons: Comparisons) -> Checked:
    """Name every attempted evaluation that gave no scores."""
    findings = []
    for result in view.results.values():
        if result.status not in NO_SCORES:
            continue
        task, dataset, model = place_of(result)
        matters = model == comparisons[task].task.baseline or view.cards.models[model].is_control
        unequipped = result.status in ("needs_gpu", "weights_unavailable")
        findings.append(
            Finding(
                "failed-runs",
                "serious" if matters else "note" if unequipped else "doubtful",
                f"{cells.status_text(result.status)}: {result.reason}",
                "scores; other models cannot be read without these" if matters else "scores",
                cells.page_of(result),
                task,
                dataset,
                model,
            )
        )
    return Checked(plural(len(view.results), "evaluation"), tuple(findings))


def failed_gates(view: ReleaseView, comparisons: Comparisons) -> Checked:
    """Name every sanity check that a model failed, once for each dataset."""
    seen: dict[tuple[str, str, str], tuple[str, str]] = {}
    n_checked = set()
    for result in _fresh(view):
        names = cells.gate_names(view.cards.models[result.model.id])
        for gate in result.gates:
            key = (result.dataset.id, result.model.id, gate.name)
            n_checked.add(key)
            if gate.outcome == "failed":
                seen.setdefault(key, (f"{names[gate.name]}: {gate.evidence}", f"models/{key[1]}/"))
    findings = tuple(
        Finding("failed-gates", "doubtful", found, "passed, or not applicable", href, None, dataset, model)
        for (dataset, model, _), (found, href) in sorted(seen.items())
    )
    return Checked(f"{plural(len(n_checked), 'outcome')} of sanity checks", findings)


def not_run(view: ReleaseView, comparisons: Comparisons) -> Checked:
    """Count what was planned to run and never did, by model: what holds a run up is mostly a model."""
    planned: dict[str, int] = {}
    waiting: dict[str, list[str]] = {}
    missing = {(pair.task, pair.dataset, pair.model) for pair in view.missing()}
    for pair in view.pairs:
        if pair.status == "to_run":
            planned[pair.model] = planned.get(pair.model, 0) + 1
            if (pair.task, pair.dataset, pair.model) in missing:
                name = f"{view.cards.tasks[pair.task].name} on {view.cards.datasets[pair.dataset].name}"
                waiting.setdefault(pair.model, []).append(name)
    findings = tuple(
        Finding(
            "not-run",
            "doubtful",
            f"{len(names)} of {plural(planned[model], 'planned evaluation')} not run: {_some(names, 3)}",
            "a result, be it without scores",
            f"models/{model}/#missing",
            model=model,
        )
        for model, names in sorted(waiting.items())
    )
    return Checked(plural(sum(planned.values()), "evaluation") + " to run", findings)


def _some(names: Sequence[str], most: int = 6) -> str:
    return listing(list(names)) if len(names) <= most else f"{', '.join(names[:most])} and {len(names) - most} more"


def _named(view: ReleaseView, ids: Sequence[str]) -> str:
    return _some([view.cards.models[id_].name for id_ in ids])


def _score_name(view: ReleaseView, comparison: TaskComparison, ref: ScoreRef) -> str:
    views = {one.id: one.name for one in comparison.task.views}
    name = view.cards.metrics[ref.metric].short_name
    return f"{name} ({views[ref.view]})" if ref.view else name


def not_planned(view: ReleaseView, comparisons: Comparisons) -> Checked:
    """Name results that the plan does not have."""
    planned: set[Place] = {(pair.task, pair.dataset, pair.model) for pair in view.pairs}
    strange = [result for place, result in view.results.items() if planned and place not in planned]
    return Checked(
        plural(len(view.results), "result") if planned else "nothing: there is no plan",
        tuple(
            Finding("not-planned", "doubtful", "a result that the plan does not have", "every result is planned",
                    cells.page_of(result), *place_of(result))
            for result in strange
        ),
    )  # fmt: skip


def outdated(view: ReleaseView, comparisons: Comparisons) -> Checked:
    """Name every result that was computed with other cards than today's."""
    findings = tuple(
        Finding("outdated", "doubtful", mark, "computed with the cards as they are", cells.page_of(result),
                *place_of(result))
        for result in view.results.values()
        if (mark := view.outdated(result)) is not None
    )  # fmt: skip
    return Checked(plural(len(view.results), "result"), findings)


def unverified_data(view: ReleaseView, comparisons: Comparisons) -> Checked:
    """Name datasets that were scored without their bytes being verified."""
    by_dataset: dict[str, list[Result]] = {}
    for result in view.done:
        by_dataset.setdefault(result.dataset.id, []).append(result)
    findings = []
    for dataset, results in by_dataset.items():
        bare = sum(result.dataset.content is None for result in results)
        if bare:
            found = f"{bare} of {plural(len(results), 'result')} come from cells that could not be verified"
            expected = "the digest of the cells, as the card pins it"
            findings.append(
                Finding("unverified-data", "serious", found, expected, f"datasets/{dataset}/", None, dataset)
            )
    return Checked(plural(len(by_dataset), "dataset") + " with scores", tuple(findings))


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
            found = f"no interval for {_score_name(view, comparison, ref)} of {_named(view, list(bare))}: {why}"
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
            found = f"the interval for {name} of {_named(view, flat)} has no width, at {values}"
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
    """Name datasets on which half of the models reach the best value of the primary score."""
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
            said = (
                f"{percent(round(health.at_best, 3))} of {plural(health.n_models, 'model')} reach {best:g}, the best "
            )
            said += f"value of {comparison.score_name}"
            expected = f"fewer than {percent(SATURATED)}"
            findings.append(_of_scores("saturated", "doubtful", said, expected, comparison, one, metric.id))
    return Checked(plural(n_checked, "primary score") + " on a dataset", tuple(findings))


_NAMED = 6
"""Changes that a finding names one by one."""


def _first(changes: Sequence[str]) -> str:
    more = [f"and {len(changes) - _NAMED} more"] if len(changes) > _NAMED else []
    return "; ".join([*changes[:_NAMED], *more])


def changed_protocol(view: ReleaseView, _comparisons: Comparisons) -> Checked:
    """Name what was changed in the protocol of a task after results of it had been seen."""
    findings = []
    for before, after in pairwise(view.protocols):
        for task, n_seen in after.results.items():
            if task not in view.cards.tasks or not (found := differences(before.of_task(task), after.of_task(task))):
                continue
            said = f"on {after.at:%Y-%m-%d}, when {plural(n_seen, 'result')} had been seen, the protocol of "
            said += f"{view.cards.tasks[task].name} was changed: {_first(found)}"
            expected = "a protocol that is registered before its first result"
            findings.append(Finding("protocol", "doubtful", said, expected, f"tasks/{task}/", task))
    known = {one.digest for one in view.protocols}
    strange = [result for result in view.results.values() if result.protocol not in known]
    if view.protocols and strange:
        said = f"{len(strange):,} of {plural(len(view.results), 'result')} name no protocol that was registered"
        expected = "every result names the protocol under which it was computed"
        findings.append(Finding("protocol", "note", said, expected, "results/"))
    if not view.protocols:
        return Checked("no protocol", unchecked="this release registered none: it is older than such records")
    first, last = view.protocols[0], view.protocols[-1]
    seen = sum(first.results.values())
    when = f"registered on {first.at:%Y-%m-%d %H:%M UTC}, {f'after {seen}' if seen else 'before any'} results"
    since = f"last changed on {last.at:%Y-%m-%d %H:%M UTC}" if last is not first else "not changed since"
    return Checked(f"protocol {short_digest(last.digest)}, {when}, {since}", tuple(findings))


NOT_OF_REPORTED: dict[CheckId, str] = {
    "protocol": "the source's protocol was not registered here",
    "control-order": "cards of reported metrics do not say which control should be first",
    "beaten-control": "cards of reported metrics do not say which control should be first",
    "failed-gates": "sanity checks take the model itself, and others ran it",
    "unverified-data": "others used the cells, and their bytes were never here",
    "outdated": "a reported release has its own cards",
    "not-run": "nothing is run in a reported release",
    "not-planned": "nothing is planned in a reported release",
    "at-ceiling": "it takes intervals, and the source gives none",
    "saturated": "it takes intervals, and the source gives none",
    "zero-width": "it takes intervals, and the source gives none",
    "no-interval": "the source gives none, for any score",
}
"""Why a check does not apply to what others measured."""

CHECKS = (
    Check("protocol", "Protocols changed after results were seen", changed_protocol),
    Check("control-order", "Controls in the order that metric cards declare", control_order),
    Check("beaten-control", "Models beyond the best control", beaten_control),
    Check("failed-runs", "Evaluations that gave no scores", failed_runs),
    Check("failed-gates", "Sanity checks that models failed", failed_gates),
    Check("unverified-data", "Data whose bytes were not verified", unverified_data),
    Check("outdated", "Results of earlier cards", outdated),
    Check("not-run", "Planned and not run", not_run),
    Check("not-planned", "Results outside the plan", not_planned),
    Check("at-ceiling", "Baselines at the ceiling", at_ceiling),
    Check("saturated", "Saturated metrics", saturated),
    Check("zero-width", "Intervals without width", zero_width),
    Check("no-interval", "Scores without an interval", no_interval),
)
