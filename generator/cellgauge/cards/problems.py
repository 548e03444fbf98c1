"""What is wrong, said so that a person can mend it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


class UserError(Exception):
    """Something a person can mend. Printed as it is, without a traceback."""


@dataclass(frozen=True, order=True)
class Problem:
    """One fault in one file.

    ``str(problem)`` reads ``site_src/models/x.md:7: training_data.cells: expected an integer, found "many"``.
    """

    path: str
    line: int
    key: str
    message: str

    def __str__(self) -> str:
        key = f"{self.key}: " if self.key else ""
        return f"{self.path}:{self.line}: {key}{self.message}"


class CardProblems(UserError):
    """Cards that cannot be used, with every problem found in them."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = sorted(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))

    def __reduce__(self) -> tuple[type[CardProblems], tuple[list[Problem]]]:
        """Say how it is handed from process to process."""
        return type(self), (self.problems,)


_NAMED = 15


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``'; did you mean "x"?'`` for the nearest known word, or what is known when nothing is near."""
    names = sorted(known)
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if near:
        return f'; did you mean "{near[0]}"?'
    if len(names) > _NAMED:
        names = [*names[:_NAMED], f"and {len(names) - _NAMED} more"]
    return f"; known: {', '.join(names)}" if names else "; none is known"
