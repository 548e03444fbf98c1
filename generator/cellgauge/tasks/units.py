"""What the uncertainty of a score is over: donors where there are enough of them, otherwise cells."""

from __future__ import annotations

from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from cellgauge.cards.base import Column
from cellgauge.stats.jackknife import FEWEST_GROUPS
from cellgauge.stats.resampling import join_lone_units
from cellgauge.tasks.contract import Columns

_FEWEST_IN_EACH = 3


class Units(TypedDict):
    """The part of a ``Fit`` that says what is resampled."""

    strata: NDArray[Any]
    within: str
    groups: NDArray[Any] | None
    these_donors: bool


def cell_units(
    columns: Columns,
    within: tuple[Column, ...],
    *,
    cells: NDArray[np.intp] | None = None,
    folds: NDArray[np.intp] | None = None,
    kept: tuple[Column, ...] = (),
    by_donor: bool = True,
) -> Units:
    """Say how cells are resampled.

    With six donors or more, one donor at a time is left out. With fewer, cells are drawn within strata, and donors
    are part of the stratum: a bootstrap of two to four donors would cover 51 to 79 % when it says 95 %. A cell that is
    alone in its stratum is then drawn together with such cells of the other donors, as it could not vary otherwise.

    Parameters
    ----------
    within
        Roles whose combinations are the strata.
    cells
        Positions of the cells that are scored; None: all.
    folds
        (n_scored,) the test fold of each scored cell, which is then part of the stratum.
    kept
        Roles each value of which needs three donors, such as the batches whose mixing is measured: with two, leaving
        out one is leaving out half of the batch. Where a value has fewer, cells are resampled.
    by_donor
        Whether donors are part of the stratum where they are too few to be left out.
    """
    scored = slice(None) if cells is None else cells
    parts: list[NDArray[Any]] = [columns[role][scored] for role in within]
    words: list[str] = list(within)
    if folds is not None:
        parts, words = [folds.astype(str), *parts], ["fold", *words]
    strata = _crossed(parts)
    donors = columns["donor"][scored] if "donor" in columns else None
    groups = None
    if donors is not None and len(np.unique(donors)) >= FEWEST_GROUPS:
        lonely = any(
            len(np.unique(donors[columns[role][scored] == value])) < _FEWEST_IN_EACH
            for role in kept
            for value in np.unique(columns[role][scored])
        )
        groups = None if lonely else donors
    if groups is None and donors is not None and by_donor:
        strata = join_lone_units(_crossed([strata, donors]), strata)
        words.append("donor")
    return {
        "strata": strata,
        "within": " and ".join(words),
        "groups": groups,
        "these_donors": donors is not None and groups is None,
    }


def _crossed(parts: list[NDArray[Any]]) -> NDArray[np.intp]:
    """Return a code for each combination of values, (n_cells,)."""
    codes = np.zeros(len(parts[0]), dtype=np.intp)
    for part in parts:
        names, here = np.unique(part, return_inverse=True)
        codes = np.unique(codes * len(names) + here, return_inverse=True)[1].astype(np.intp)
    return codes
