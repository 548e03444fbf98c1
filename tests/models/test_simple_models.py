"""The simple models do what their cards say."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from scipy import sparse

from cellgauge.models import controls, linear


@pytest.fixture
def counts() -> ad.AnnData:
    rng = np.random.default_rng(0)
    groups = np.repeat(["a", "b", "c"], 20)
    rate = (
        np.where((groups == "a")[:, None], np.linspace(0.2, 4, 40), np.linspace(4, 0.2, 40)) + (groups == "c")[:, None]
    )
    obs = pd.DataFrame({"label": groups, "batch": np.tile(["x", "y"], 30)}, index=[f"c{i}" for i in range(60)])
    adata = ad.AnnData(sparse.csr_matrix(rng.poisson(rate).astype(np.float32)), obs=obs, uns={"values": "counts"})
    adata.var_names = [f"g{i}" for i in range(40)]
    return adata


def test_counts_are_scaled_to_ten_thousand_and_logged(counts: ad.AnnData) -> None:
    raw = counts.X.toarray()
    expected = np.log1p(raw / raw.sum(axis=1, keepdims=True) * 1e4)
    np.testing.assert_allclose(linear.raw_expression(counts, seed=0), expected, rtol=1e-5)


def test_log_normalised_data_are_left_alone(counts: ad.AnnData) -> None:
    counts.uns["values"] = "log-normalised"
    np.testing.assert_array_equal(linear.raw_expression(counts, seed=0), counts.X.toarray())


def test_pca_agrees_with_a_plain_singular_value_decomposition(counts: ad.AnnData) -> None:
    found = linear.pca(counts, seed=0, n_components=5, n_top_genes=100)
    logged = linear.raw_expression(counts, seed=0).astype(np.float64)
    u, s, _ = np.linalg.svd(logged - logged.mean(axis=0), full_matrices=False)
    np.testing.assert_allclose(np.abs(found), np.abs((u * s)[:, :5]), atol=1e-4)


def test_pca_keeps_the_most_variable_genes(counts: ad.AnnData) -> None:
    ten = linear.pca(counts.copy(), seed=0, n_components=5, n_top_genes=10)
    chosen = counts.copy()
    sc.pp.normalize_total(chosen, target_sum=1e4)
    sc.pp.log1p(chosen)
    sc.pp.highly_variable_genes(chosen, n_top_genes=10, flavor="seurat")
    logged = chosen[:, chosen.var["highly_variable"]].X.toarray().astype(np.float64)
    u, s, _ = np.linalg.svd(logged - logged.mean(axis=0), full_matrices=False)
    np.testing.assert_allclose(np.abs(ten), np.abs((u * s)[:, :5]), atol=1e-4)


@pytest.mark.parametrize("values", ["scaled", "continuous"])
def test_values_that_are_no_counts_are_used_as_they_are(values: str) -> None:
    cells = ad.AnnData(np.random.default_rng(3).normal(-5, 2, (40, 30)).astype(np.float32), uns={"values": values})
    assert np.array_equal(linear.raw_expression(cells, seed=0), cells.X)
    found = linear.pca(cells, seed=0, n_components=5, n_top_genes=10)
    u, s, _ = np.linalg.svd(cells.X - cells.X.mean(axis=0), full_matrices=False)
    assert np.abs(np.abs(found) - np.abs(u[:, :5] * s[:5])).max() < 1e-3


def test_pca_ignores_the_seed(counts: ad.AnnData) -> None:
    one, two = (linear.pca(counts.copy(), seed=seed, n_components=5, n_top_genes=100) for seed in (1, 2))
    np.testing.assert_array_equal(one, two)


@pytest.mark.filterwarnings("ignore:Some cells have zero counts")
def test_fewer_genes_than_components_are_not_an_error(counts: ad.AnnData) -> None:
    assert linear.pca(counts[:, :4].copy(), seed=0, n_components=50, n_top_genes=100).shape == (60, 4)
    assert linear.truncated_svd(counts[:, :4].copy(), seed=0, n_components=50).shape == (60, 3)


def test_svd_spans_the_leading_singular_space(counts: ad.AnnData) -> None:
    found = linear.truncated_svd(counts, seed=1, n_components=3)
    _, s, _ = np.linalg.svd(linear.raw_expression(counts, seed=0).astype(np.float64), full_matrices=False)
    np.testing.assert_allclose(np.linalg.norm(found, axis=0), s[:3], rtol=0.01)


def test_nmf_is_not_negative_and_follows_its_seed(counts: ad.AnnData) -> None:
    one = linear.nmf(counts, seed=1, n_components=4, max_iterations=50)
    assert one.shape == (60, 4)
    assert one.min() >= 0
    np.testing.assert_array_equal(one, linear.nmf(counts, seed=1, n_components=4, max_iterations=50))
    assert not np.array_equal(one, linear.nmf(counts, seed=2, n_components=4, max_iterations=50))


def test_random_knows_nothing_but_its_seed(counts: ad.AnnData) -> None:
    one = controls.random_embedding(counts, seed=1, n_components=3)
    np.testing.assert_array_equal(one, controls.random_embedding(counts[::-1].copy(), seed=1, n_components=3))
    assert not np.array_equal(one, controls.random_embedding(counts, seed=2, n_components=3))


@pytest.mark.parametrize(("function", "column"), [(controls.oracle, "label"), (controls.batch_coded, "batch")])
def test_coded_controls_tell_their_column_and_shuffle_their_rows(counts: ad.AnnData, function, column: str) -> None:
    coded = function(counts, seed=1, noise=0.01)
    assert list(coded.index) != list(counts.obs_names)
    assert sorted(coded.index) == sorted(counts.obs_names)
    names = np.unique(counts.obs[column])
    told = names[coded.loc[counts.obs_names].to_numpy().argmax(axis=1)]
    np.testing.assert_array_equal(told, counts.obs[column])
