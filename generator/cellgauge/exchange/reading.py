"""Reading JSON that others wrote: every fault is noted with its file and key, and nothing is guessed."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Collection
from pathlib import Path
from typing import Any

from cellgauge.cards.problems import UserError, did_you_mean
from cellgauge.results.imported import SourceFile

MOST_BYTES = 200_000_000
"""A larger file is refused: published results are a few megabytes."""
_MOST_SHOWN = 60
_ABSENT = object()
_MOST_LISTED = 200


class ImportProblems(UserError):
    """Files that cannot be imported, with every fault found in them."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        more = [f"and {len(problems) - _MOST_LISTED} more"] if len(problems) > _MOST_LISTED else []
        many = f"{len(problems)} problem{'s' * (len(problems) != 1)}; nothing was imported."
        super().__init__("\n".join([*problems[:_MOST_LISTED], *more, many]))


class Faults:
    """Collects what is wrong, and goes on: a person mends everything at once."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def add(self, file: str, key: str, found: Any, expected: str) -> None:
        """Note that something else was found than expected."""
        where = f"{file}: {key}: " if key else f"{file}: "
        self.found.append(f"{where}found {shown(found)}, expected {expected}")

    def refuse(self) -> None:
        """Raise ``ImportProblems`` where anything was noted."""
        if self.found:
            raise ImportProblems(self.found)


def shown(value: Any) -> str:
    """Return a value as it stands in a message: short, and on one line."""
    if value is _ABSENT:
        return "nothing"
    text = json.dumps(value, ensure_ascii=True, default=str) if not isinstance(value, float) else repr(value)
    return text if len(text) <= _MOST_SHOWN else f"{text[: _MOST_SHOWN - 1]}…"


class Reader:
    """The values of one JSON file, asked for one by one by key."""

    def __init__(self, file: str, faults: Faults) -> None:
        self.file, self.faults = file, faults

    def fault(self, key: str, found: Any, expected: str) -> None:
        """Note a fault of this file."""
        self.faults.add(self.file, key, found, expected)

    def record(self, value: Any, key: str) -> dict[str, Any] | None:
        """Return an object; None, with a note, where it is none."""
        if isinstance(value, dict):
            return value
        self.fault(key, value, "an object")
        return None

    def items(self, value: Any, key: str, *, least: int = 0) -> list[Any]:
        """Return a list; an empty one, with a note, where it is none or too short."""
        if isinstance(value, list) and len(value) >= least:
            return value
        self.fault(key, value, "a list" if not least else f"a list of {least} or more")
        return []

    def text(self, record: dict[str, Any], name: str, key: str, *, may_lack: bool = False) -> str | None:
        """Return a text of an object; None, with a note, where it is missing or another thing."""
        value = record.get(name, _ABSENT)
        if may_lack and value in (None, _ABSENT):
            return None
        if isinstance(value, str) and value.strip():
            return value
        self.fault(f"{key}.{name}" if key else name, value, "text")
        return None

    def number(self, value: Any, key: str, low: float | None, high: float | None) -> float | None:
        """Return a finite number within bounds; None, with a note, where it is none."""
        if isinstance(value, int | float) and not isinstance(value, bool):
            try:
                number = float(value)
            except OverflowError:
                number = math.inf
            if math.isfinite(number) and (low is None or number >= low) and (high is None or number <= high):
                return number
        bounds = "" if low is None and high is None else f" from {_bound(low)} to {_bound(high)}"
        self.fault(key, value, f"a finite number{bounds}")
        return None

    def known(self, value: str | None, key: str, names: Collection[str], what: str) -> bool:
        """Whether a name is among those that are known; a note where it is not."""
        if value is None:
            return False
        if value not in names:
            self.fault(key, value, f"a {what} that is known here{did_you_mean(value, names)}")
        return value in names


def _bound(value: float | None) -> str:
    return "any" if value is None else f"{value:g}"


def read_json(path: Path, faults: Faults) -> tuple[Any, SourceFile | None]:
    """Return what a JSON file holds, and which bytes it was; None twice, with a note, where it cannot be read."""
    name = path.name
    try:
        if path.stat().st_size > MOST_BYTES:
            faults.add(name, "", f"{path.stat().st_size} bytes", f"at most {MOST_BYTES}")
            return None, None
        data = path.read_bytes()
    except OSError as error:
        faults.add(name, "", error.strerror, "a file that can be read")
        return None, None
    try:
        value = json.loads(
            data.decode("utf-8-sig"),
            parse_constant=lambda word: _Constant(word),
            object_pairs_hook=lambda pairs: _object(pairs, name, faults),
        )
    except UnicodeDecodeError as error:
        found = "a zip file" if data.startswith(b"PK") else error.reason
        faults.add(name, f"byte {error.start}", found, "JSON as UTF-8 text")
        return None, None
    except json.JSONDecodeError as error:
        faults.add(name, f"line {error.lineno}", error.msg if data.strip() else "an empty file", "valid JSON")
        return None, None
    except (RecursionError, ValueError) as error:
        faults.add(name, "", type(error).__name__, "JSON of a depth and with numbers that can be read")
        return None, None
    return value, SourceFile(name=name, sha256=hashlib.sha256(data).hexdigest(), bytes=len(data))


class _Constant(str):
    """``NaN`` or ``Infinity``, which are no JSON: a word, and so refused wherever a number is asked for."""


def _object(pairs: list[tuple[str, Any]], file: str, faults: Faults) -> dict[str, Any]:
    seen: dict[str, Any] = {}
    for key, value in pairs:
        if key in seen:
            faults.add(file, key, "the same key twice", "each key once in an object")
        seen[key] = value
    return seen
