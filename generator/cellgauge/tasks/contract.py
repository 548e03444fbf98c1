"""What a task is given, and what it must return."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from cellgauge.cards.base import Column, Scalar
from cellgauge.cards.problems import UserError

Columns = Mapping[Column, NDArray[np.str_]]
Params = Mapping[str, Scalar]
Weights = NDArray[np.float32]
"""(n_replicates × n_units): how often each unit counts. All ones gives the point value."""
ScoresOf = Callable[[Weights], Mapping[str, NDArray[np.float64]]]


@dataclass(frozen=True)
class Fit:
    """What one seed gave: fitted once, scored under any weights.

    Scoring never fits again: clusters, neighbours and out-of-fold predictions are reused, so intervals
    are conditional on the fitted model. Point values and replicates come from the same function.
    """

    strata: NDArray[Any]
    """(n_units,) resampling keeps the number of units of each stratum."""
    within: str
    """What a stratum is, in the words of the page: "label", "fold and label"."""
    scores: ScoresOf
    """Weights → score key (``metric`` or ``metric@view``) → (n_replicates,)."""
    details: dict[str, JsonValue] = field(default_factory=dict)
    width: int = 1
    """How many numbers scoring holds for each replicate, where that may be more than there are units."""


def label_counts(labels: NDArray[np.str_]) -> dict[str, JsonValue]:
    """Return how many cells each label has, as a detail of a result."""
    names, counts = np.unique(labels, return_counts=True)
    return {"label_counts": {str(name): int(count) for name, count in zip(names, counts, strict=True)}}


def need_cells(n_cells: int, n_neighbors: int) -> None:
    """Refuse data with too few cells for a neighbourhood: it would silently be made smaller.

    Raises
    ------
    UnscorableError
    """
    if n_cells <= n_neighbors:
        raise UnscorableError(f"{n_neighbors} neighbours need more than {n_neighbors} cells, found {n_cells}")


Prepare = Callable[[NDArray[np.float32], Columns, Params], Callable[[int], Fit]]


class UnscorableError(UserError):
    """A dataset on which the task has no meaning, such as one with a single class large enough to score."""


def number(params: Params, name: str) -> int:
    """Return a whole-number parameter of the protocol.

    Raises
    ------
    UserError
        When the card lacks it or gives something else.
    """
    value = params.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise UserError(f"protocol.params.{name}: expected an integer, found {value!r}")
    return value
