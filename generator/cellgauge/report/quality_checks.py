"""What may be wrong, doubtful or worth knowing in a release: every check, and those that do not read scores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from cellgauge.cards.silence import CheckId
from cellgauge.report import cells
from cellgauge.report.dataset_comparison import NO_SCORES
from cellgauge.report.numbers import plural, short_digest
from cellgauge.report.quality_findings import Check, Checked, Comparisons, Finding, some_of
from cellgauge.report.quality_of_scores import (
    at_ceiling,
    beaten_control,
    control_order,
    no_interval,
    saturated,
    zero_width,
)
from cellgauge.report.release import Place, ReleaseView, place_of
from cellgauge.results.protocol import differences
from cellgauge.results.schema import Result


def _fresh(view: ReleaseView) -> Iterator[Result]:
    return (result for result in view.done if view.outdated(result) is None)


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
            f"{len(names)} of {plural(planned[model], 'planned evaluation')} not run: {some_of(names, 3)}",
            "a result, be it without scores",
            f"models/{model}/#missing",
            model=model,
        )
        for model, names in sorted(waiting.items())
    )
    return Checked(plural(sum(planned.values()), "evaluation") + " to run", findings)


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


_NAMED = 6
"""Changes that a finding names one by one."""


def _first(changes: Sequence[str]) -> str:
    more = [f"and {len(changes) - _NAMED} more"] if len(changes) > _NAMED else []
    return "; ".join([*changes[:_NAMED], *more])


def changed_protocol(view: ReleaseView, _comparisons: Comparisons) -> Checked:
    """Name what was changed after results had been seen: in the rule of comparing, and in the protocol of a task."""
    findings = []
    expected = "a protocol that is registered before its first result"
    for before, after in pairwise(view.protocols):
        on, all_seen = f"on {after.at:%Y-%m-%d}, when", plural(sum(after.results.values()), "result")
        if after.results and (found := differences(before.rule, after.rule)):
            said = f"{on} {all_seen} had been seen, the rule by which models are compared was changed: {_first(found)}"
            findings.append(Finding("protocol", "doubtful", said, expected, "method-changes/"))
        for task, n_seen in after.results.items():
            if task not in view.cards.tasks or not (found := differences(before.of_task(task), after.of_task(task))):
                continue
            said = f"{on} {plural(n_seen, 'result')} had been seen, the protocol of "
            said += f"{view.cards.tasks[task].name} was changed: {_first(found)}"
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
