"""What a release is, ``release.yaml``, and what it plans to evaluate, ``plan.json``."""

from __future__ import annotations

import datetime as dt
import re
from collections import defaultdict
from collections.abc import Iterable
from functools import cached_property
from typing import Literal, Self

from pydantic import Field, model_validator

from cellgauge.cards.base import Digest, Id
from cellgauge.results.schema import Empty, Origin, Record

_NAME = r"[a-z0-9]+([.-][a-z0-9]+)*"
_LONGEST = 60
_RESERVED = ("api", "assets", "latest")
"""What lies, or may lie, beside the releases on a site; and so does ``latest-`` with the name of a series."""
_FILES = ("css", "gz", "html", "js", "json", "lock", "md", "svg", "txt", "xml", "yaml", "yml")
"""How files end that lie beside releases, on a site or in ``results/``."""


def fault_of_name(name: str) -> str | None:
    """Say what is expected of the name of a release that cannot be one; None for one that can."""
    if not re.fullmatch(_NAME, name):
        return 'expected lower-case words joined by "." or "-"'
    if len(name) > _LONGEST:
        return f"expected at most {_LONGEST} characters"
    if name in _RESERVED or name.startswith("latest-"):
        return "expected a name that nothing else has on a site of releases"
    if "." in name and name.rpartition(".")[2] in _FILES:
        return "expected a name that does not end like that of a file"
    return None


class Pair(Record):
    """One planned evaluation: to run, or an empty with its reason."""

    task: Id
    dataset: Id
    model: Id
    key: Digest | None = Field(description="Of the inputs of the evaluation; null: it is not to be run")
    status: Literal["to_run"] | Empty
    reason: str | None


class PlannedRun(Record):
    """An evaluation that is to be run."""

    task: Id
    dataset: Id
    model: Id
    key: Digest


class PlannedEmpties(Record):
    """Models that get no scores in one task on one dataset, all for the same reason."""

    task: Id
    dataset: Id
    status: Empty
    reason: str | None
    models: list[Id] = Field(min_length=1)


class Plan(Record):
    """Every pair of a release, decided before any compute: ``plan.json``.

    Most pairs of a release are empties that share their reason with others, which is why they are written together.
    """

    schema_version: Literal[2] = 2
    release: str
    to_run: list[PlannedRun]
    empties: list[PlannedEmpties]

    @classmethod
    def of(cls, release: str, pairs: Iterable[Pair]) -> Self:
        """Return the plan that consists of these pairs."""
        runs, empties = [], defaultdict(list)
        for pair in sorted(pairs, key=_place):
            if pair.status == "to_run":
                runs.append(PlannedRun.model_validate(pair.model_dump(include=set(PlannedRun.model_fields))))
            else:
                empties[pair.task, pair.dataset, pair.status, pair.reason].append(pair.model)
        return cls(
            release=release,
            to_run=runs,
            empties=[
                PlannedEmpties(task=task, dataset=dataset, status=status, reason=reason, models=models)
                for (task, dataset, status, reason), models in empties.items()
            ],
        )

    @cached_property
    def pairs(self) -> tuple[Pair, ...]:
        """Every pair, by task, dataset and model."""
        found = [Pair(**one.model_dump(), status="to_run", reason=None) for one in self.to_run]
        for one in self.empties:
            shared = one.model_dump(exclude={"models"})
            found += [Pair(**shared, model=model, key=None) for model in one.models]
        return tuple(sorted(found, key=_place))


def _place(pair: Pair) -> tuple[str, str, str]:
    return pair.task, pair.dataset, pair.model


def series_of(release: str, kind: Literal["measured", "reported"], *, rehearsal: bool) -> str:
    """Return which series a release belongs to; releases of one series follow one another.

    What others reported is a series for each source, which such a release is named by: ``vcp`` of ``vcp-0.54.1``. It is
    never one of what was measured, whatever its name: ``reported-release`` of ``release-2027``.
    """
    if kind == "reported":
        source = release.partition("-")[0]
        return f"reported-{source}" if source in ("release", "rehearsal") else source
    return "rehearsal" if rehearsal else "release"


class Correction(Record):
    """Which earlier release is corrected, and why."""

    release: str = Field(pattern=f"^{_NAME}$")
    reason: str = Field(min_length=1)


class Imported(Origin):
    """Where all results of a reported release come from."""

    retrieved: dt.date = Field(description="When its files were obtained")


class Release(Record):
    """What a release is: ``release.yaml``."""

    schema_version: Literal[1] = 1
    release: str = Field(pattern=f"^{_NAME}$")
    title: str
    kind: Literal["measured", "reported"]
    rehearsal: bool = Field(description="Not meant to be cited: a demonstration or a trial")
    protocol: Digest | None = Field(
        description="Of the protocol that holds, the last one in protocol.json; null: reported, and not registered here"
    )
    protocol_date: dt.date | None = Field(description="On which it was registered")
    corrects: Correction | None = None
    reported: Imported | None = Field(default=None, description="Who measured what is reported; null: measured here")

    @model_validator(mode="after")
    def _kind_is_true(self) -> Release:
        is_reported = self.kind == "reported"
        if is_reported != (self.reported is not None):
            raise ValueError("reported: needed with, and only with, kind reported")
        if is_reported != (self.protocol is None) or is_reported != (self.protocol_date is None):
            raise ValueError("protocol and protocol_date: needed with, and only with, kind measured")
        return self

    @property
    def series(self) -> str:
        """Which releases it follows on."""
        return series_of(self.release, self.kind, rehearsal=self.rehearsal)

    @property
    def day(self) -> dt.date:
        """The date by which releases are ordered: of its protocol, or of its import."""
        day = self.reported.retrieved if self.reported else self.protocol_date
        assert day is not None  # noqa: S101 (the validator looked)
        return day
