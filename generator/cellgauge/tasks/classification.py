"""Cell-type classification: simple classifiers on the frozen embedding, cross-validated."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import numpy as np
from joblib import Parallel, cpu_count, delayed
from numpy.typing import NDArray
from pydantic import JsonValue
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from cellgauge.tasks.contract import Cells, Fit, Params, UnscorableError, Weights, number
from cellgauge.tasks.folds import Fold, class_scores, fold_scores
from cellgauge.tasks.splits import Positions, need_donors, splits
from cellgauge.tasks.units import cell_units

FOREST = "random-forest"


def prepare(
    embedding: NDArray[np.float32], cells: Cells, params: Params, wanted: Collection[str]
) -> Callable[[int], Fit]:
    """Drop classes that are too small to split; each seed then shuffles its own folds.

    Logistic regression and k nearest neighbours see features scaled to unit variance, not centred;
    the forest sees them as they are. A score is the mean over folds. All classes are scored: one that is absent
    from a fold's training cells has recall 0 there, and one that is absent from its test cells has no part in that
    fold's mean over classes; both are listed.

    Parameters
    ----------
    params
        ``n_folds``, ``min_cells_per_class``, ``knn_neighbors``, ``n_trees``, ``max_iterations``.
    """
    labels, donors = cells.columns["label"], cells.columns.get("donor")
    names, counts = np.unique(labels, return_counts=True)
    least = max(number(params, "min_cells_per_class"), number(params, "n_folds"))
    kept = names[counts >= least]
    dropped = {str(name): int(count) for name, count in zip(names, counts, strict=True) if count < least}
    if len(kept) < 2:
        raise UnscorableError(
            f"{len(kept)} classes have {least} cells or more; at least two are needed (found: "
            + ", ".join(f"{name} {count}" for name, count in zip(names, counts, strict=True))
            + ")"
        )
    scored = np.flatnonzero(np.isin(labels, kept))
    features, codes = embedding[scored], np.searchsorted(kept, labels[scored])
    donors = None if donors is None else donors[scored]
    need_donors(donors)
    asked = {key.rsplit("@", 1)[1] for key in wanted}

    def fit(seed: int) -> Fit:
        folds = list(splits(codes, donors, number(params, "n_folds"), seed))
        views = out_of_fold(features, codes, len(kept), folds, asked, params, seed)
        fold_of = np.empty(len(codes), dtype=np.intp)
        absent: dict[str, JsonValue] = {}
        for position, (train, test) in enumerate(folds):
            fold_of[test] = position
            if gaps := _absent(kept, codes[train], codes[test]):
                absent[f"fold {position + 1}"] = gaps

        def scores(weights: Weights) -> dict[str, NDArray[np.float64]]:
            return {
                f"{metric}@{name}": values
                for name, parts in views.items()
                for metric, values in fold_scores(parts, weights).items()
            }

        details: dict[str, JsonValue] = {
            "classes": kept.tolist(),
            "dropped_classes": dict(dropped),
            "n_cells": len(scored),
            "folds": "cells" if donors is None else "donors",
            "n_folds": len(folds),
        }
        if absent:
            details["absent_classes"] = absent
        return Fit(
            **cell_units(cells.columns, ("label",), cells=scored, folds=fold_of),
            scores=scores,
            details=details,
            tables={f"confusion_{name}": confusion(parts, len(kept)) for name, parts in views.items()},
            by_name={f"by_class_{name}": by_class(kept, parts) for name, parts in views.items()},
            width=len(kept) ** 2,
        )

    return fit


def out_of_fold(
    features: NDArray[np.float32],
    codes: NDArray[np.intp],
    n_classes: int,
    folds: list[tuple[Positions, Positions]],
    views: Collection[str],
    params: Params,
    seed: int,
) -> dict[str, list[Fold]]:
    """Train each classifier on each fold's training cells and let it name the test cells.

    Folds of the first two run side by side, each on one thread: their numbers then do not depend on how many there
    are. They are given double precision, in which the path of logistic regression does not hang on the rounding of
    sums. A forest grows its trees side by side.

    Returns
    -------
    View → one entry for each fold.
    """
    exact = features.astype(np.float64)

    def simple(train: Positions, test: Positions) -> dict[str, Fold]:
        return {
            view: name_cells(view, exact, codes, n_classes, train, test, params, seed)
            for view in views
            if view != FOREST
        }

    # The limit is set here too, since that of OpenMP belongs to the thread, and that of BLAS to the process.
    with threadpool_limits(1):
        done = Parallel(n_jobs=cpu_count(), prefer="threads")(delayed(simple)(train, test) for train, test in folds)
    named = {view: [fold[view] for fold in done] for view in done[0]}
    if FOREST in views:
        named[FOREST] = [
            name_cells(FOREST, features, codes, n_classes, train, test, params, seed) for train, test in folds
        ]
    return named


def name_cells(
    view: str,
    features: NDArray[Any],
    codes: NDArray[np.intp],
    n_classes: int,
    train: Positions,
    test: Positions,
    params: Params,
    seed: int,
) -> Fold:
    """Train one classifier on some cells and let it name others.

    Where the training cells are of one class, that class is named.

    Parameters
    ----------
    view
        Which classifier.
    features
        (n_cells × n_dimensions), in double precision for all but the forest.
    """
    probability = np.zeros((len(test), n_classes))
    known = np.unique(codes[train])
    if len(known) == 1:
        probability[:, known] = 1
        return Fold.of(test, codes[test], probability)
    classifier = classifier_of(view, params, seed)
    with threadpool_limits(None if view == FOREST else 1):
        classifier.fit(features[train], codes[train])
        if view == FOREST:
            classifier.set_params(n_jobs=1)  # one thread adds up trees in one order
        probability[:, classifier.classes_] = classifier.predict_proba(features[test])
    return Fold.of(test, codes[test], probability)


def _absent(names: NDArray[np.str_], train: NDArray[np.intp], test: NDArray[np.intp]) -> dict[str, JsonValue]:
    """Return the classes that a fold's training or test cells lack."""
    every = np.arange(len(names))
    gaps = {"training": np.setdiff1d(every, train), "test": np.setdiff1d(every, test)}
    return {part: names[codes].tolist() for part, codes in gaps.items() if len(codes)}


def by_class(names: NDArray[np.str_], folds: list[Fold]) -> dict[str, dict[str, float]]:
    """Return each class's scores by its name, as a table of a result."""
    scores = class_scores(folds)
    return {
        str(name): {metric: float(values[code]) for metric, values in scores.items()} for code, name in enumerate(names)
    }


def confusion(folds: list[Fold], n_classes: int) -> NDArray[np.int64]:
    """Return how many cells of each class (rows) were taken for which class (columns), over all folds."""
    counts = np.zeros((n_classes, n_classes), dtype=np.int64)
    for fold in folds:
        np.add.at(counts, (fold.truth, fold.predicted), 1)
    return counts


def classifier_of(view: str, params: Params, seed: int) -> Any:
    """Return the untrained classifier of a view, seeded."""
    if view == FOREST:
        return RandomForestClassifier(n_estimators=number(params, "n_trees"), random_state=seed, n_jobs=cpu_count())
    if view == "knn":
        simple: Any = KNeighborsClassifier(n_neighbors=number(params, "knn_neighbors"))
    else:
        simple = LogisticRegression(max_iter=number(params, "max_iterations"), random_state=seed)
    return make_pipeline(StandardScaler(with_mean=False), simple)
