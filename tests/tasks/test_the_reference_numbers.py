"""The reference's numbers on scanpy's PBMC set (X_pca, bulk_labels, seed 42), to six digits."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from cellgauge.tasks import classification, clustering, embedding
from cellgauge.tasks.contract import Cells, Fit

PARAMS = {
    clustering: {"n_neighbors": 15, "resolution": 1.0, "n_iterations": 2},
    embedding: {"n_neighbors": 15},
    classification: {
        "n_folds": 5,
        "min_cells_per_class": 10,
        "knn_neighbors": 5,
        "n_trees": 100,
        "max_iterations": 1000,
    },
}
EXPECTED = {
    clustering: {"adjusted-rand-index": 0.428315, "normalized-mutual-information": 0.644046},
    embedding: {"silhouette-label": 0.550262},
    classification: {
        "accuracy@logistic-regression": 0.764415,
        "macro-f1@logistic-regression": 0.668067,
        "macro-auroc@logistic-regression": 0.957215,
        "accuracy@knn": 0.674872,
        "macro-f1@knn": 0.532327,
        "macro-auroc@knn": 0.851992,
        "accuracy@random-forest": 0.829434,
        "macro-f1@random-forest": 0.728875,
        "macro-auroc@random-forest": 0.972076,
    },
}


@pytest.fixture(scope="module")
def pbmc() -> tuple[np.ndarray, Cells]:
    import scanpy as sc

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an old file format
        adata = sc.datasets.pbmc68k_reduced()
    return adata.obsm["X_pca"].astype(np.float32), Cells({"label": adata.obs["bulk_labels"].to_numpy(dtype=str)})


def point_values(fit: Fit) -> dict[str, float]:
    scores = fit.scores(np.ones((1, len(fit.strata)), dtype=np.float32))
    return {key: float(value[0]) for key, value in scores.items()}


@pytest.mark.parametrize("task", list(PARAMS), ids=lambda task: task.__name__.rsplit(".", 1)[1])
def test_the_reference_numbers_are_met(task, pbmc: tuple[np.ndarray, Cells]) -> None:
    found = point_values(task.prepare(*pbmc, PARAMS[task], EXPECTED[task])(42))
    assert {key: found[key] for key in EXPECTED[task]} == pytest.approx(EXPECTED[task], abs=5e-7)


def test_the_class_that_is_too_small_is_reported(pbmc: tuple[np.ndarray, Cells]) -> None:
    fit = classification.prepare(*pbmc, PARAMS[classification], ["macro-f1@knn"])(42)
    assert fit.details["dropped_classes"] == {"CD4+/CD45RA+/CD25- Naive T": 8}
    assert fit.details["n_cells"] == len(fit.strata) == 692


def test_the_number_of_clusters_is_reported(pbmc: tuple[np.ndarray, Cells]) -> None:
    assert clustering.prepare(*pbmc, PARAMS[clustering], EXPECTED[clustering])(42).details["n_clusters"] == 9
