"""What a task is given, and what it must return."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from cellgauge.cards.base import Column, Scalar
from cellgauge.cards.problems import UserError
from cellgauge.data.dataset import Dataset

Columns = Mapping[Column, NDArray[np.str_]]
Params = Mapping[str, Scalar]
Weights = NDArray[np.float32]
"""(n_replicates × n_units): how often each unit counts. All ones gives the point value."""
ScoresOf = Callable[[Weights], Mapping[str, NDArray[np.float64]]]


@dataclass(frozen=True)
class Cells:
    """What a task knows of the cells that it scores."""

    columns: Columns
    """Role → (n_cells,)."""
    dataset: Dataset | None = None
    """Where expression is at hand; only tasks that need it look."""


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
    """Weights → score key (``metric`` or ``metric@view``) → (n_replicates,). A score that a resample leaves
    without a value, as its only donor with some label is left out, is NaN there."""
    groups: NDArray[Any] | None = None
    """(n_units,) what is independent of what: donors, perturbations. With enough of them the interval leaves out
    one at a time; None: units are resampled within strata."""
    these_donors: bool = False
    """Whether donors are known and the interval does not speak about others."""
    group: str = "donor"
    """What a group is."""
    only_groups: bool = False
    """Whether units are never resampled: too few groups for an interval leave the scores without one."""
    counted: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)
    """Score key → (n_units,) which units take part in it; scores that are not named count all."""
    undefined: Mapping[str, str] = field(default_factory=dict)
    """Score key → why it has no value here."""
    details: dict[str, JsonValue] = field(default_factory=dict)
    tables: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)
    """Counts that are summed over seeds and become a detail, such as a confusion matrix."""
    by_name: Mapping[str, Mapping[str, Mapping[str, float]]] = field(default_factory=dict)
    """Tables of numbers, name → row → column → value, that are averaged over seeds and become a detail."""
    width: int = 1
    """How many numbers scoring holds for each replicate, where that may be more than there are units."""


Prepare = Callable[[NDArray[np.float32], Cells, Params, Collection[str]], Callable[[int], Fit]]
"""``prepare(output, cells, params, wanted)``: what does not depend on the seed. The function that it returns
is called once per seed. ``wanted`` are the keys of the scores that are asked for; what only others need may be
left out."""


class UnscorableError(UserError):
    """A dataset on which the task has no meaning, such as one with a single class large enough to score."""


class NotApplicableError(UnscorableError):
    """A dataset that the task's rules exclude, such as one with too few donors to keep them apart."""


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


def real(params: Params, name: str) -> float:
    """Return a numeric parameter of the protocol.

    Raises
    ------
    UserError
        When the card lacks it or gives something else.
    """
    value = params.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise UserError(f"protocol.params.{name}: expected a number, found {value!r}")
    return float(value)
