"""Label transfer across species: a classifier learns cell types in one and names the cells of another."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cache
from itertools import permutations

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from cellgauge.tasks.classification import FOREST, name_cells
from cellgauge.tasks.contract import Cells, Fit, NotApplicableError, Params, Weights, label_counts, number
from cellgauge.tasks.folds import Fold, fold_scores
from cellgauge.tasks.units import cell_units

_ALL_TYPES = "all-types"
_NATIVE = "logistic-regression"
"""The classifier of the view ``all-types``."""


@dataclass(frozen=True, eq=False)
class _Pair:
    """Two species: a classifier learns from cells of the first and names those of the second."""

    first: str
    second: str
    train: NDArray[np.intp]
    """Positions of all cells of the first."""
    test: NDArray[np.intp]
    """Positions of all cells of the second."""
    sizes: NDArray[np.intp]
    """(2 × n_types) numbers of cells of each type in the first and in the second."""
    shared: NDArray[np.intp]
    """Codes of the types with enough cells in both."""


def prepare(
    embedding: NDArray[np.float32], cells: Cells, params: Params, wanted: Collection[str]
) -> Callable[[int], Fit]:
    """Find the types that each two species share; each seed then grows forests of its own.

    For every ordered pair of species, the classifiers of the classification task learn from all cells of the first and
    name all cells of the second; a score is the mean over pairs. The view ``all-types`` is a logistic regression on
    every type. The other views keep to the types with enough cells in both. A type that only the second species has is
    never named, so that its recall is 0; one that only the first has can be named by mistake.

    Parameters
    ----------
    params
        ``min_cells_per_class``, ``knn_neighbors``, ``n_trees``, ``max_iterations``.

    Raises
    ------
    NotApplicableError
        With one species, or where no two species share two types.
    """
    names, codes = np.unique(cells.columns["label"], return_inverse=True)
    least = number(params, "min_cells_per_class")
    pairs = _pairs(cells.columns["species"], codes, least)
    usable = [pair for pair in pairs if len(pair.shared) >= 2]
    if not usable:
        raise NotApplicableError(f"no two species share two cell types with {least} cells or more in each")
    asked = sorted({_view(key) for key in wanted})
    exact = embedding.astype(np.float64)

    @cache
    def named(view: str, position: int, seed: int) -> Fold:
        """Train on one species of a pair, and let it name the cells of the other."""
        pair = usable[position]
        train, test = pair.train, pair.test
        if view != _ALL_TYPES:
            train, test = (part[np.isin(codes[part], pair.shared)] for part in (train, test))
        classifier = _NATIVE if view == _ALL_TYPES else view
        features = embedding if classifier == FOREST else exact
        return name_cells(classifier, features, codes, len(names), train, test, params, seed)

    def fit(seed: int) -> Fit:
        views = {
            view: [named(view, position, seed if view == FOREST else 0) for position in range(len(usable))]
            for view in asked
        }

        def scores(weights: Weights) -> dict[str, NDArray[np.float64]]:
            return {
                f"{metric}@{view}": values
                for view, parts in views.items()
                for metric, values in fold_scores(parts, weights).items()
            }

        return Fit(
            **cell_units(cells.columns, ("species", "label"), kept=("species",)),
            scores=scores,
            counted={key: _tested(views[_view(key)], len(codes)) for key in wanted},
            details={
                **label_counts(cells.columns["label"]),
                **_types(names, pairs, usable),
                **_scores_by_pair(usable, views, len(codes), wanted),
            },
            width=len(names) ** 2,
        )

    return fit


def _pairs(species: NDArray[np.str_], labels: NDArray[np.intp], least: int) -> list[_Pair]:
    members = {str(name): np.flatnonzero(species == name) for name in np.unique(species)}
    if len(members) < 2:
        raise NotApplicableError(f"label transfer needs two species or more; every cell is of {species[0]}")
    pairs = []
    for first, second in permutations(members, 2):
        train, test = members[first], members[second]
        sizes = np.stack([np.bincount(labels[part], minlength=labels.max() + 1) for part in (train, test)])
        pairs.append(_Pair(first, second, train, test, sizes, np.flatnonzero((sizes >= least).all(axis=0))))
    return pairs


def _view(key: str) -> str:
    return key.rsplit("@", 1)[1]


def _tested(folds: list[Fold], n_cells: int) -> NDArray[np.bool_]:
    tested = np.zeros(n_cells, dtype=bool)
    for fold in folds:
        tested[fold.cells] = True
    return tested


def _types(names: NDArray[np.str_], pairs: list[_Pair], usable: list[_Pair]) -> dict[str, JsonValue]:
    """Say which types each two species share, and what keeping to them leaves out."""
    once = [pair for pair in pairs if pair.first < pair.second]
    shared: list[JsonValue] = [
        {"species": f"{pair.first} and {pair.second}", "types": names[pair.shared].tolist()} for pair in once
    ]
    left_out: list[JsonValue] = [
        {"species": f"{pair.first} and {pair.second}", "type": str(names[code]), "cells": f"{one} and {other}"}
        for pair in once
        for code, (one, other) in enumerate(pair.sizes.T.tolist())
        if code not in pair.shared and one + other
    ]
    without = [f"{pair.first} to {pair.second}" for pair in pairs if pair not in usable]
    return {"shared_types": shared, "types_left_out": left_out, "pairs_without_two_shared_types": [*without]}


def _scores_by_pair(
    pairs: list[_Pair], views: dict[str, list[Fold]], n_cells: int, wanted: Collection[str]
) -> dict[str, JsonValue]:
    once = np.ones((1, n_cells), dtype=np.float32)
    out: dict[str, JsonValue] = {}
    for position, pair in enumerate(pairs):
        values: dict[str, JsonValue] = {}
        for view, folds in views.items():
            scores = fold_scores([folds[position]], once)
            values |= {f"{metric}@{view}": float(score[0]) for metric, score in scores.items()}
        out[f"from {pair.first} to {pair.second}"] = {key: values[key] for key in sorted(wanted)}
    return out
