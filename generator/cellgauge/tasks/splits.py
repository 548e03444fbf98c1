"""Which cells are tested together: folds that keep donors apart where donors are known."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import LeaveOneGroupOut, StratifiedGroupKFold, StratifiedKFold

from cellgauge.tasks.contract import NotApplicableError, UnscorableError

Positions = NDArray[np.intp]
FEWEST_DONORS = 3


def need_donors(donors: NDArray[np.str_] | None) -> None:
    """Refuse donors that are too few to be kept apart: one would be tested by what was learnt from a single other.

    Raises
    ------
    NotApplicableError
    """
    if donors is not None and (found := len(np.unique(donors))) < FEWEST_DONORS:
        raise NotApplicableError(
            f"donors are kept apart, which needs cells of {FEWEST_DONORS} donors or more; {found} found"
        )


def splits(
    labels: NDArray[np.intp], donors: NDArray[np.str_] | None, n_folds: int, seed: int
) -> Iterator[tuple[Positions, Positions]]:
    """Yield the training and the test units of each fold; every unit is tested once.

    Without donors, folds are stratified by label and shuffled by the seed. With fewer donors than folds, each
    donor is a fold of its own, whatever the seed; with more, whole donors are dealt to folds so that labels are
    spread as evenly as that allows (scikit-learn's ``StratifiedGroupKFold``), in fewer folds where no label has as
    many units.

    Parameters
    ----------
    labels
        (n_units,) codes.
    donors
        (n_units,) or None.

    Raises
    ------
    UnscorableError
        When a fold would be empty.
    """
    nothing = np.zeros(len(labels))
    if donors is None:
        folds = StratifiedKFold(n_folds, shuffle=True, random_state=seed).split(nothing, labels)
    elif len(np.unique(donors)) <= n_folds:
        folds = LeaveOneGroupOut().split(nothing, labels, donors)
    else:
        # Samples can be so few that no label has one for each fold.
        n_folds = min(n_folds, int(np.bincount(labels).max()))
        grouped = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
        folds = grouped.split(nothing, labels, donors)
    for position, (train, test) in enumerate(folds):
        if not len(train) or not len(test):
            empty = "training" if not len(train) else "test"
            raise UnscorableError(f"fold {position + 1} of {n_folds} has no {empty} cells: donors are too unequal")
        yield train, test
