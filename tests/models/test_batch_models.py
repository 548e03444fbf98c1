"""Models that are told the batches do what their cards say."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA
from sklearn.metrics import silhouette_score

from cellgauge.models.batches import centred_pca, harmony
from cellgauge.models.linear import pca

HOW = {"seed": 1, "by": "batch", "n_components": 10, "n_top_genes": 2000}


@pytest.fixture
def cells() -> ad.AnnData:
    """Three types in two batches; each batch changes every gene by a factor of its own."""
    rng = np.random.default_rng(0)
    types, batches = np.repeat([0, 1, 2], 60), np.tile([0, 1], 90)
    rates = np.exp(rng.normal(size=(3, 120)))[types] * np.exp(0.8 * rng.normal(size=(2, 120)))[batches]
    obs = pd.DataFrame({"batch": batches.astype(str), "type": types}, index=[f"c{n}" for n in range(180)])
    out = ad.AnnData(rng.poisson(rates).astype(np.float32), obs=obs, uns={"values": "counts"})
    out.var_names = [f"g{n}" for n in range(120)]
    return out


@pytest.mark.parametrize("model", [harmony, centred_pca])
def test_batches_come_together_and_types_stay_apart(cells: ad.AnnData, model) -> None:
    plain = pca(cells.copy(), seed=1, n_components=10, n_top_genes=2000)
    found = model(cells.copy(), **HOW)
    assert found.shape == plain.shape
    by_batch, by_type = ([silhouette_score(one, cells.obs[key]) for one in (plain, found)] for key in ("batch", "type"))
    assert by_batch[1] < by_batch[0] / 1.5
    assert by_type[1] > by_type[0]


@pytest.mark.parametrize("model", [harmony, centred_pca])
def test_the_same_seed_gives_the_same_embedding(cells: ad.AnnData, model) -> None:
    np.testing.assert_array_equal(model(cells.copy(), **HOW), model(cells.copy(), **HOW))


def test_one_batch_is_left_as_it_is_by_harmony(cells: ad.AnnData) -> None:
    cells.obs["batch"] = "only"
    plain = pca(cells.copy(), seed=1, n_components=10, n_top_genes=2000)
    np.testing.assert_allclose(harmony(cells, **HOW), plain, atol=1e-4)


def test_centring_is_that_of_each_batch_by_itself(cells: ad.AnnData) -> None:
    cells.uns["values"] = "scaled"
    parts = [cells.X[cells.obs["batch"] == one].astype(float) for one in ("0", "1")]
    centred = np.empty(cells.shape)
    for one, part in zip(("0", "1"), parts, strict=True):
        centred[cells.obs["batch"] == one] = (part - part.mean(axis=0)) / part.std(axis=0)
    expected = PCA(n_components=10, svd_solver="full").fit_transform(centred)
    found = centred_pca(cells, **HOW)
    np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=1e-3)


def test_a_gene_that_a_batch_does_not_express_stays_at_nothing(cells: ad.AnnData) -> None:
    cells.X[cells.obs["batch"] == "1", 0] = 0
    assert np.isfinite(centred_pca(cells, **HOW)).all()
