"""What the checks of a release found, and which of it is known and silenced."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from cellgauge.cards.silence import PLACES, Silence
from cellgauge.report.numbers import plural
from cellgauge.report.quality_checks import CHECKS, NOT_OF_REPORTED
from cellgauge.report.quality_findings import Check, Checked, Comparisons, Finding, Severity
from cellgauge.report.release import ReleaseView


@dataclass(frozen=True)
class Quality:
    """Everything that the checks found in a release."""

    checked: tuple[tuple[Check, Checked], ...] = ()
    findings: tuple[Finding, ...] = field(default=())
    """All of them, the silenced ones with their reason."""

    @property
    def open(self) -> list[Finding]:
        """What is not silenced."""
        return [one for one in self.findings if one.reason is None]

    @property
    def beyond_controls(self) -> list[Finding]:
        """Where models have a better primary score than the best control, also where that is known and silenced."""
        return [one for one in self.findings if one.check == "beaten-control" and one.severity == "doubtful"]

    def count(self, *severities: Severity) -> int:
        """Return how many open findings are that severe."""
        return sum(one.severity in severities for one in self.open)

    @property
    def summary(self) -> str:
        """How many findings there are, in a few words."""
        findings, notes = self.count("serious", "doubtful"), self.count("note")
        said = plural(findings, "finding") if findings else "no findings"
        return f"{said}, {plural(notes, 'note')}" if notes else said


def inspect(view: ReleaseView, comparisons: Comparisons) -> Quality:
    """Run every check, and give findings that are silenced their reason.

    A silence that silences nothing is itself a finding, where the release has results of what it speaks of: what it
    spoke of is gone, or was never there.
    """
    if view.name is None:
        return Quality()
    if view.is_reported:
        return _of_reported(view, comparisons)
    checked = [(check, check.run(view, comparisons)) for check in CHECKS]
    silences, used, findings = view.cards.silences, set[Silence](), []
    for finding in (finding for _, one in checked for finding in one.findings):
        known = next((silence for silence in silences if _is_about(silence, finding)), None)
        if known is not None:
            used.add(known)
        findings.append(replace(finding, reason=known.reason) if known else finding)
    idle = tuple(_idle(silence) for silence in silences if silence not in used and _has_results(view, silence))
    last = Check("silences", "Silences", _checked_already)
    checked.append((last, Checked(plural(len(silences), "silence"), idle)))
    return Quality(tuple(checked), (*findings, *idle))


def _of_reported(view: ReleaseView, comparisons: Comparisons) -> Quality:
    """Run the checks that what others measured can be asked; of each other one, say why it does not apply."""
    checked = [
        (check, Checked("nothing", unchecked=f"does not apply: {why}") if why else check.run(view, comparisons))
        for check in CHECKS
        for why in [NOT_OF_REPORTED.get(check.id)]
    ]
    findings = tuple(replace(finding, severity="note") for _, one in checked for finding in one.findings)
    return Quality(tuple(checked), findings)


def _checked_already(_view: ReleaseView, _comparisons: Comparisons) -> Checked:
    return Checked("")


def _is_about(silence: Silence, finding: Finding) -> bool:
    named = [place for place in PLACES if getattr(silence, place) is not None]
    return silence.check == finding.check and all(getattr(silence, one) == getattr(finding, one) for one in named)


def _has_results(view: ReleaseView, silence: Silence) -> bool:
    return bool(view.select(task=silence.task, dataset=silence.dataset, model=silence.model))


def _idle(silence: Silence) -> Finding:
    places = ", ".join(f"{place} {getattr(silence, place)}" for place in PLACES if getattr(silence, place))
    return Finding(
        "silences",
        "doubtful",
        f"the entry of {silence.check} for {places} in site_src/quality.yaml silences nothing",
        "each entry silences a finding; remove it",
        "quality/",
        **{place: getattr(silence, place) for place in PLACES},
    )
