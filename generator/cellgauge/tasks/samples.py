"""Sample-level prediction: what a sample is, read from the mean embedding of its cells."""

from __future__ import annotations

from collections.abc import Callable, Collection

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from cellgauge.cards.base import Column
from cellgauge.tasks.classification import confusion, name_cells
from cellgauge.tasks.contract import Cells, Columns, Fit, NotApplicableError, Params, UnscorableError, Weights, number
from cellgauge.tasks.folds import Fold, fold_scores
from cellgauge.tasks.splits import need_donors, splits

_FEWEST_DONORS_OF_A_CLASS = 2


def prepare(
    embedding: NDArray[np.float32], cells: Cells, params: Params, wanted: Collection[str]
) -> Callable[[int], Fit]:
    """Average the cells of each sample; each seed then deals donors to folds.

    The predictions of all folds are scored together, since a fold may hold a single sample.

    A class that only one donor has is dropped and reported: where that donor is tested, nothing could have been learnt
    about it. Intervals leave out one donor at a time; with fewer than six donors there is none.

    Parameters
    ----------
    params
        ``n_folds``, ``max_iterations``.
    """
    columns = cells.columns
    samples, of_cell, size = np.unique(columns["sample"], return_inverse=True, return_counts=True)
    first = np.array([np.flatnonzero(of_cell == code)[0] for code in range(len(samples))])
    labels, donors = columns["label"][first], columns["donor"][first]
    _need_one_each("label", columns, labels[of_cell])
    _need_one_each("donor", columns, donors[of_cell])
    need_donors(donors)
    means = np.zeros((len(samples), embedding.shape[1]))
    np.add.at(means, of_cell, embedding)
    means /= size[:, None]
    names = np.unique(labels)
    n_donors = {str(name): len(np.unique(donors[labels == name])) for name in names}
    kept = np.array([name for name in names if n_donors[str(name)] >= _FEWEST_DONORS_OF_A_CLASS], dtype=str)
    if len(kept) < 2:
        found = ", ".join(f"{name}: {count}" for name, count in n_donors.items())
        raise UnscorableError(f"at least two classes need samples of two donors or more (donors of each: {found})")
    scored = np.flatnonzero(np.isin(labels, kept))
    need_donors(donors[scored])
    features, codes = means[scored], np.searchsorted(kept, labels[scored])

    def fit(seed: int) -> Fit:
        probability = np.zeros((len(codes), len(kept)))
        for train, test in splits(codes, donors[scored], number(params, "n_folds"), seed):
            found = name_cells("logistic-regression", features, codes, len(kept), train, test, params, seed)
            probability[test] = found.probability
        pooled = [Fold.of(np.arange(len(codes)), codes, probability)]

        def scores(weights: Weights) -> dict[str, NDArray[np.float64]]:
            return fold_scores(pooled, weights)

        details: dict[str, JsonValue] = {
            "classes": kept.tolist(),
            "donors_of_each_class": dict(n_donors),
            "n_samples": len(scored),
            "n_donors": len(np.unique(donors[scored])),
            "cells_of_a_sample": {"least": int(size[scored].min()), "most": int(size[scored].max())},
        }
        return Fit(
            strata=codes,
            within="label",
            groups=donors[scored],
            only_groups=True,
            scores=scores,
            details=details,
            tables={"confusion": confusion(pooled, len(kept))},
            width=len(kept) ** 2,
        )

    return fit


def _need_one_each(role: Column, columns: Columns, of_sample: NDArray[np.str_]) -> None:
    """Refuse samples whose cells differ in what the sample is, or whose it is."""
    mixed = np.flatnonzero(columns[role] != of_sample)
    if len(mixed):
        raise NotApplicableError(f"a sample needs one {role}, and sample {columns['sample'][mixed[0]]} has several")
