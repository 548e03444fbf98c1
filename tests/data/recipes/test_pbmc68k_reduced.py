"""Counts are recovered from log-normalised values, and nothing is guessed."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy import sparse

from cellgauge.cards.problems import UserError
from cellgauge.data.recipes.pbmc68k_reduced import pbmc68k_reduced, recovered_counts


@pytest.fixture(scope="module")
def shipped():
    import scanpy as sc

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return sc.datasets.pbmc68k_reduced()


def test_cells_genes_and_labels_are_scanpys(simulated, shipped) -> None:
    adata = simulated("pbmc68k-reduced")
    assert list(adata.obs_names) == list(shipped.obs_names)
    assert list(adata.var_names) == list(shipped.raw.var_names)
    assert list(adata.obs["bulk_labels"]) == list(shipped.obs["bulk_labels"].astype(str))
    assert (adata.X != shipped.raw.X).nnz == 0


def test_totals_that_scanpy_kept_give_the_same_counts(simulated, shipped) -> None:
    expected = np.expm1(shipped.raw.X.toarray().astype(np.float64)) * shipped.obs["n_counts"].to_numpy()[:, None] / 1e4
    assert np.abs(expected - np.rint(expected)).max() < 0.1
    assert np.array_equal(simulated("pbmc68k-reduced").layers["counts"].toarray(), np.rint(expected))


def test_normalising_the_counts_gives_what_scanpy_ships(simulated, shipped) -> None:
    adata = simulated("pbmc68k-reduced")
    again = np.log1p(
        adata.layers["counts"].toarray().astype(np.float64) * 1e4 / adata.obs["total_counts"].to_numpy()[:, None]
    )
    assert np.abs(again - shipped.raw.X.toarray()).max() < 0.001


def test_counts_are_found_in_any_scale() -> None:
    rng = np.random.default_rng(0)
    counts = rng.poisson(1.5, (50, 200)).astype(np.float64)
    counts[7] = 0
    scale = rng.uniform(0.1, 20, (50, 1))
    found = recovered_counts(sparse.csr_matrix(np.log1p(counts * scale)))
    assert np.array_equal(found.toarray(), counts)


def test_values_that_are_no_logarithms_of_counts_are_refused() -> None:
    with pytest.raises(UserError, match=r"expected whole numbers to within 0\.15, found one that is 0\.[1-5]"):
        recovered_counts(sparse.csr_matrix(np.random.default_rng(0).random((5, 20))))


def test_a_changed_file_of_scanpy_is_refused(shipped, monkeypatch: pytest.MonkeyPatch) -> None:
    import scanpy as sc

    other = shipped.copy()
    del other.obs["n_counts"]
    monkeypatch.setattr(sc.datasets, "pbmc68k_reduced", lambda: other)
    with pytest.raises(UserError, match="scanpy's pbmc68k_reduced has changed: expected raw"):
        pbmc68k_reduced()
