"""``site_src/quality.yaml``: which findings of quality control are known, and why that is so.

A finding disappears from no page. One that is silenced is shown with its reason, apart from the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, get_args

from pydantic import Field, model_validator

from cellgauge.cards.base import Id, Part, Text, dotted
from cellgauge.cards.problems import CardProblems, Problem, did_you_mean
from cellgauge.cards.read import check, parse_yaml, read_text

CheckId = Literal[
    "protocol",
    "control-order",
    "beaten-control",
    "failed-runs",
    "failed-gates",
    "not-run",
    "not-planned",
    "outdated",
    "unverified-data",
    "no-interval",
    "zero-width",
    "at-ceiling",
    "saturated",
    "silences",
]
"""The checks of quality control; the module that draws the page has one function for each."""

CHECKS: tuple[CheckId, ...] = get_args(CheckId)
PLACES = ("task", "dataset", "model", "metric")


class Silence(Part):
    """Findings that are known: those of one check at the places named, and why."""

    check: CheckId
    task: Id | None = None
    dataset: Id | None = None
    model: Id | None = None
    metric: Id | None = None
    reason: Text = Field(description="Printed beside the finding")

    @model_validator(mode="after")
    def _is_about_something(self) -> Silence:
        if self.check == "silences":
            raise ValueError("an entry that silences nothing is removed, not silenced")
        if not any(getattr(self, place) for place in PLACES):
            raise ValueError("would silence a whole check; name a task, dataset, model or metric")
        return self


class Silences(Part):
    """The whole file."""

    silenced: list[Silence]


def read_silences(path: Path, shown: str, known: Mapping[str, Mapping[str, object]]) -> tuple[Silence, ...]:
    """Read the file; without one nothing is silenced.

    Parameters
    ----------
    shown
        The path to print in problems.
    known
        The cards of each kind by id: ``tasks``, ``datasets``, ``models``, ``metrics``.

    Raises
    ------
    CardProblems
        With file, line and key: also for a card that does not exist.
    """
    if not path.is_file():
        return ()
    values, lines = parse_yaml(read_text(path, shown), shown)
    found = check(Silences, values, lines, shown).silenced
    problems = [
        Problem(shown, lines[keys], dotted(keys), f'unknown {place} "{id_}"{did_you_mean(id_, known[f"{place}s"])}')
        for i, silence in enumerate(found)
        for place in PLACES
        if (id_ := getattr(silence, place)) is not None and id_ not in known[f"{place}s"]
        for keys in [("silenced", i, place)]
    ]
    if problems:
        raise CardProblems(problems)
    return tuple(found)
