"""Does the order of models rest on one dataset, one study or one metric?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cellgauge.stats.correlation import kendall, mid_ranks
from cellgauge.stats.resampling import Floats
from cellgauge.stats.studies import Entry, aggregate, weights

Kind = Literal["dataset", "study", "metric"]

_KINDS: tuple[Kind, ...] = ("dataset", "study", "metric")
_DECIMALS = 12
"""Means that agree to so many decimals are tied; beyond are errors of summation."""


@dataclass(frozen=True)
class Order:
    """Models from best to worst, with their means."""

    models: tuple[str, ...]
    """Ties in the order given."""
    values: tuple[float, ...]
    """In the same order."""


@dataclass(frozen=True)
class Omission:
    """What the order is without one dataset, study or metric."""

    kind: Kind
    name: str
    order: Order | None
    """None where nothing is left."""
    tau: float | None
    """Kendall's τ_b with the full order; None where either is all ties, or nothing is left."""
    moved: tuple[str, ...]
    """Models whose rank is another one (tied models share the mean of their ranks)."""
    first_changes: bool
    """Whether other models lead, alone or tied."""


@dataclass(frozen=True)
class Sensitivity:
    """The full order and all omissions."""

    order: Order
    n: int
    """Entries that all models have: only these are used."""
    of: int
    """Entries that were planned."""
    omissions: tuple[Omission, ...]


def leave_one_out(models: Mapping[str, Sequence[Entry]]) -> Sensitivity:
    """Order models by their mean, and again without each dataset, each study and each metric.

    Means are those of `cellgauge.stats.studies.aggregate`, over the entries that all models have: with different
    entries they could not be compared. Leaving out the only metric of a family leaves out the family, and the other
    families gain its weight.

    Parameters
    ----------
    models
        All entries that were planned, the same for each model.

    Raises
    ------
    ValueError
        As `aggregate`; without models, where they were not planned alike, or where they have no entry in common.
    """
    if not models:
        raise ValueError("expected at least one model")
    for entries in models.values():
        aggregate(entries)  # refuses what may not be averaged, also among the entries that are dropped below
    tables = {model: {entry.place: entry for entry in entries} for model, entries in models.items()}
    places = list(next(iter(tables.values())))
    if any(table.keys() != set(places) for table in tables.values()):
        raise ValueError("the models have different entries; one that is missing must be given without a value")
    shared = [place for place in places if all(table[place].value is not None for table in tables.values())]
    if not shared:
        raise ValueError("the models have no entry in common")
    entries = [next(iter(tables.values()))[place] for place in shared]
    scores = np.array([[table[place].value for place in shared] for table in tables.values()], dtype=float)
    full = _means(entries, scores)
    omissions = [
        _omit(list(tables), entries, scores, full, kind, name)
        for kind in _KINDS
        for name in dict.fromkeys(getattr(entry, kind) for entry in entries)
    ]
    return Sensitivity(_order(list(tables), full), len(shared), len(places), tuple(omissions))


def _omit(
    models: list[str], entries: list[Entry], scores: Floats, full: NDArray[np.float64], kind: Kind, name: str
) -> Omission:
    kept = [place for place, entry in enumerate(entries) if getattr(entry, kind) != name]
    if not kept:
        return Omission(kind, name, None, None, (), first_changes=False)
    values = _means([entries[place] for place in kept], scores[:, kept])
    changed = mid_ranks(values) != mid_ranks(full)
    return Omission(
        kind,
        name,
        _order(models, values),
        kendall(full, values),
        tuple(model for model, has in zip(models, changed, strict=True) if has),
        first_changes=bool(np.any((values == values.max()) != (full == full.max()))),
    )


def _means(entries: list[Entry], scores: Floats) -> NDArray[np.float64]:
    """Return the mean of each model over entries that all have, from (n_models, n_entries) scores."""
    return np.round(scores @ weights(entries), _DECIMALS)


def _order(names: list[str], values: NDArray[np.float64]) -> Order:
    best_first = np.argsort(-values, kind="stable").tolist()
    return Order(tuple(names[one] for one in best_first), tuple(float(values[one]) for one in best_first))
