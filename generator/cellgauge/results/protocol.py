"""Pre-registration: what a release is going to measure, and how it will judge, written down before it has results.

``results/R/protocol.json`` holds every protocol that the release has had, in their order, with the time at which each
was registered and how many results were there by then. It only grows: what was changed after results were seen can be
told.
"""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field, JsonValue, ValidationError

from cellgauge.cards.base import Digest, Id
from cellgauge.cards.canonical import digest
from cellgauge.results.schema import Record, UtcTime, score_key
from cellgauge.results.store import BrokenResult, fault_of, result_files, to_json, write_atomically

PROTOCOL = "protocol.json"


class Protocol(Record):
    """One protocol, as it was registered."""

    digest: Digest = Field(description="Of the fields")
    at: UtcTime
    results: dict[Id, int] = Field(description="How many results of each task were there by then")
    tasks: dict[Id, dict[str, JsonValue]] = Field(
        description="What decides a score of a task, or what is said about it"
    )
    metrics: dict[Id, dict[str, JsonValue]]
    rule: dict[str, JsonValue] = Field(description="How models are compared and ranked")

    def of_task(self, task: str) -> dict[str, JsonValue]:
        """Return all that a task's scores follow from, its metrics among it; empty where it had none.

        The rule is not part of it: all tasks share it, and no score depends on it.
        """
        if task not in self.tasks:
            return {}
        refs = [self.tasks[task].get("primary"), *_listed(self.tasks[task].get("complementary"))]
        used = sorted({str(ref["metric"]) for ref in refs if isinstance(ref, dict)} & set(self.metrics))
        return {**self.tasks[task], "metrics": {one: self.metrics[one] for one in used}}

    def relevant_difference(self, task: str, score: str) -> float | None:
        """Return below which size a difference of a score is too small to matter; None where none was declared.

        A size is declared of a task's primary score only.
        """
        fields = self.tasks.get(task, {})
        primary, size = fields.get("primary"), fields.get("relevant_difference")
        if not isinstance(primary, dict) or not isinstance(size, int | float):
            return None
        view = primary.get("view")
        return size if score == score_key(str(primary.get("metric")), str(view) if view else None) else None


class Protocols(Record):
    """``protocol.json``."""

    schema_version: Literal[1] = 1
    registered: list[Protocol] = Field(min_length=1)


def protocol_digest(fields: Mapping[str, JsonValue]) -> str:
    """Return the digest of a protocol's fields: its ``tasks``, ``metrics`` and ``rule``."""
    return digest(dict(fields))


def register(folder: Path, fields: Mapping[str, JsonValue], now: dt.datetime) -> Protocol:
    """Write down a protocol that differs from the last one of a release; return the one that holds now.

    The caller holds the lock on the release's plan.

    Parameters
    ----------
    fields
        ``tasks``, ``metrics`` and ``rule``.
    """
    known = read_protocols(folder)
    if known and known[-1].digest == protocol_digest(fields):
        return known[-1]
    results = Counter(path.parent.parent.name for path in result_files(folder))
    one = Protocol.model_validate(
        {"digest": protocol_digest(fields), "at": now, "results": dict(sorted(results.items())), **fields}
    )
    write_atomically(folder / PROTOCOL, to_json(Protocols(registered=[*known, one])))
    return one


def read_protocols(folder: Path) -> list[Protocol]:
    """Return the protocols that a release has had, the one that holds now last; none where nothing was registered.

    Raises
    ------
    BrokenResult
        When the file is not valid, or a digest in it is not that of the fields beside it.
    """
    path = folder / PROTOCOL
    if not path.is_file():
        return []
    try:
        found = Protocols.model_validate_json(path.read_bytes()).registered
    except ValidationError as error:
        raise BrokenResult(f"{path}: {fault_of(error)}. Restore the file from the repository.") from None
    for place, one in enumerate(found):
        fields = one.model_dump(mode="json", include={"tasks", "metrics", "rule"})
        if (expected := protocol_digest(fields)) != one.digest:
            raise BrokenResult(
                f"{path}: registered.{place}.digest: found {one.digest}, but the fields beside it give {expected}. "
                "Restore the file from the repository."
            )
    return found


def differences(before: Mapping[str, JsonValue], after: Mapping[str, JsonValue]) -> list[str]:
    """Say what differs between two sets of fields, key by key: ``protocol.seeds: [42] → [42, 43]``."""
    return [f"{key}: {_short(old)} → {_short(new)}" for key, old, new in _pairs(dict(before), dict(after), "")]


_ABSENT = object()


def _pairs(before: object, after: object, key: str) -> Iterator[tuple[str, object, object]]:
    if isinstance(before, dict) and isinstance(after, dict):
        for name in sorted({*before, *after}):
            inner = f"{key}.{name}" if key else name
            yield from _pairs(before.get(name, _ABSENT), after.get(name, _ABSENT), inner)
    elif before != after:
        yield key, before, after


_LETTERS = 60


def _short(value: object) -> str:
    if value is _ABSENT:
        return "nothing"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LETTERS else f"{text[: _LETTERS - 2]} …"


def _listed(value: JsonValue) -> list[JsonValue]:
    return value if isinstance(value, list) else []
