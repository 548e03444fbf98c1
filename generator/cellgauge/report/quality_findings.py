"""What a check of quality control returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from cellgauge.cards.silence import CheckId
from cellgauge.report.comparison import TaskComparison
from cellgauge.report.numbers import listing
from cellgauge.report.release import ReleaseView

Severity = Literal["serious", "doubtful", "note"]
"""Contradicts what must hold; may mislead a reader; is no fault, and good to know."""

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


def some_of(names: Sequence[str], most: int = 6) -> str:
    """Return names as a list, of many the first few."""
    return listing(list(names)) if len(names) <= most else listing([*names[:most], f"{len(names) - most} more"])


def in_words(view: ReleaseView, ids: Sequence[str]) -> str:
    """Return the names of models as a list, of many the first few."""
    return some_of([view.cards.models[id_].name for id_ in ids])
