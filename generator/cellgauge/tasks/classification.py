"""Cell-type classification: simple classifiers on the frozen embedding, cross-validated."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cellgauge.tasks.contract import Columns, Fit, Params, UnscorableError, Weights, number
from cellgauge.tasks.folds import Fold, fold_scores


def prepare(embedding: NDArray[np.float32], columns: Columns, params: Params) -> Callable[[int], Fit]:
    """Drop classes that are too small to split; each seed then shuffles its own folds.

    Logistic regression and k nearest neighbours see features scaled to unit variance, not centred;
    the forest sees them as they are. A score is the mean over folds.

    Parameters
    ----------
    params
        ``n_folds``, ``min_cells_per_class``, ``knn_neighbors``, ``n_trees``, ``max_iterations``.
    """
    labels = columns["label"]
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
    cells = np.flatnonzero(np.isin(labels, kept))
    features, codes = embedding[cells], np.searchsorted(kept, labels[cells])

    def fit(seed: int) -> Fit:
        folds = StratifiedKFold(number(params, "n_folds"), shuffle=True, random_state=seed)
        fold_of = np.empty(len(codes), dtype=np.intp)
        views: dict[str, list[Fold]] = {name: [] for name in _classifiers(params, seed)}
        for position, (train, test) in enumerate(folds.split(features, codes)):
            fold_of[test] = position
            for name, classifier in _classifiers(params, seed).items():
                classifier.fit(features[train], codes[train])
                views[name].append(Fold.of(test, codes[test], classifier.predict_proba(features[test])))

        def scores(weights: Weights) -> dict[str, NDArray[np.float64]]:
            return {
                f"{metric}@{name}": values
                for name, parts in views.items()
                for metric, values in fold_scores(parts, len(kept), weights).items()
            }

        details: dict[str, JsonValue] = {
            "classes": kept.tolist(),
            "dropped_classes": dict(dropped),
            "n_cells": len(cells),
        }
        return Fit(fold_of * len(kept) + codes, "fold and label", scores, details, width=len(kept) ** 2)

    return fit


def _classifiers(params: Params, seed: int) -> dict[str, Any]:
    """Return untrained classifiers by view."""
    return {
        "logistic-regression": make_pipeline(
            StandardScaler(with_mean=False),
            LogisticRegression(max_iter=number(params, "max_iterations"), random_state=seed),
        ),
        "knn": make_pipeline(
            StandardScaler(with_mean=False), KNeighborsClassifier(n_neighbors=number(params, "knn_neighbors"))
        ),
        "random-forest": RandomForestClassifier(n_estimators=number(params, "n_trees"), random_state=seed),
    }
