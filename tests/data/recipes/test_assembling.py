"""Cells and genes come out in one order, whatever order they went in."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cellgauge.cards.problems import UserError
from cellgauge.data.recipes.assembling import assemble
from cellgauge.data.recipes.simulation import generator, noisy_counts, sparse_effects


def test_cells_and_features_are_sorted_with_everything_about_them() -> None:
    types = pd.Categorical(["t", "u", "t"], categories=["t", "u", "never used"])
    adata = assemble(
        np.array([[1, 2], [3, 4], [0, 6]]),
        ["b", "c", "B"],
        ["y", "x"],
        {"type": types, "n": [1, 2, 3]},
        {"v": ["Y", "X"]},
    )
    assert list(adata.obs_names) == ["B", "b", "c"]
    assert adata.X.toarray().tolist() == [[6, 0], [2, 1], [4, 3]]
    assert adata.X.nnz == 5
    assert list(adata.obs["type"]) == ["t", "t", "u"]
    assert list(adata.obs["n"]) == [3, 1, 2]
    assert list(adata.var["v"]) == ["X", "Y"]


@pytest.mark.parametrize(
    ("cells", "genes", "expected"),
    [
        (["a", "b", "c"], ["x", "y"], "the matrix is 2 × 2, but there are 3 cell ids and 2 feature ids"),
        (["a", "a"], ["x", "y"], "1 cell ids occur more than once, for example a"),
        (["a", "b"], ["x", "x"], "1 feature ids occur more than once, for example x"),
    ],
)
def test_ids_that_do_not_fit_are_refused(cells: list[str], genes: list[str], expected: str) -> None:
    with pytest.raises(UserError, match=expected):
        assemble(np.ones((2, 2)), cells, genes, {})


def test_simulated_counts_have_the_mean_and_variance_that_are_promised() -> None:
    counts = noisy_counts(generator(0), np.full((200, 500), 4.0), dispersion=0.5)
    assert counts.mean() == pytest.approx(4.0, rel=0.02)
    assert counts.var() == pytest.approx(4.0 + 0.5 * 16, rel=0.05)


def test_sparse_effects_are_as_many_and_as_large_as_asked_for() -> None:
    effects = sparse_effects(generator(0), np.arange(10, 100), 100, 40, 0.3, 0.8)
    affected = np.flatnonzero(effects)
    assert len(affected) == 40
    assert affected.min() >= 10
    assert np.abs(effects[affected]).min() >= 0.3
    assert np.abs(effects).max() <= 0.8
    assert 5 < (effects > 0).sum() < 35
