"""The reference's numbers of mixing on scanpy's PBMC set (X_pca, bulk_labels, the cell cycle's phase as the batch)."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from cellgauge.data.contents import as_text
from cellgauge.tasks.contract import Cells
from cellgauge.tasks.integration import across_batches

PARAMS = {"max_neighbors": 50, "min_cells_per_group": 10, "compatibility_neighbors": 200, "lisi_neighbors": 90}
WANTED = ("silhouette-batch", "batch-entropy@k-200")


@pytest.fixture(scope="module")
def pbmc() -> Any:
    import scanpy as sc

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an old file format
        return sc.datasets.pbmc68k_reduced()


def found_with(adata: Any) -> dict[str, float]:
    columns = {"label": as_text(adata.obs["bulk_labels"]), "batch": as_text(adata.obs["phase"])}
    embedding = adata.obsm["X_pca"].astype(np.float32)
    fit = across_batches(embedding, Cells(columns), {**PARAMS, "graph_neighbors": 15}, WANTED)(42)
    return {key: float(value[0]) for key, value in fit.scores(np.ones((1, 700), dtype=np.float32)).items()}


def test_the_reference_numbers_are_met(pbmc: Any) -> None:
    found = found_with(pbmc)
    assert found["silhouette-batch"] == pytest.approx(0.898100, abs=5e-7)
    assert found["batch-entropy@k-200"] == pytest.approx(0.52397, abs=1e-4)


def test_bug_unused_categories_raised_the_batch_silhouette(pbmc: Any) -> None:
    """Given categoricals, scib-metrics says 0.938: where a type lacks a phase, the distances to it are NaN, and its
    cells are then taken to have silhouette 0."""
    assert pbmc.obs["phase"].dtype == "category"
    lacking = [name for name, some in pbmc.obs.groupby("bulk_labels", observed=True) if some["phase"].nunique() < 3]
    assert lacking, "otherwise there would be no unused category within a type"
    assert found_with(pbmc)["silhouette-batch"] == pytest.approx(0.898100, abs=5e-7)
    more = pbmc.copy()
    more.obs["phase"] = more.obs["phase"].cat.add_categories(["G0", "unknown"])
    assert found_with(more) == found_with(pbmc)
