"""Worse data on purpose: thinned counts and dropped genes."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest
from scipy import sparse

from cellgauge.cards.task import Stress
from cellgauge.data.stress import stressed, why_not

HALF = Stress(id="thinned-50", name="half of the counts", kind="thin-counts", keep=0.5)
GENES = Stress(id="genes-80", name="without a fifth of the genes", kind="drop-genes", keep=0.8)


def counts(values: str = "counts", *, as_sparse: bool = True) -> ad.AnnData:
    matrix = np.random.default_rng(0).poisson(3.0, (200, 50)).astype(np.float32)
    return ad.AnnData(sparse.csr_matrix(matrix) if as_sparse else matrix, uns={"values": values})


@pytest.mark.parametrize("as_sparse", [True, False])
def test_each_count_is_thinned_by_the_binomial(as_sparse: bool) -> None:
    before = counts(as_sparse=as_sparse)
    original = before.X.copy()
    after = stressed(before, HALF, np.random.default_rng(1))
    assert sparse.issparse(after.X) == as_sparse
    full, thin = (np.asarray(one.toarray() if as_sparse else one) for one in (original, after.X))
    assert (original != before.X).sum() == 0, "what is shown to others is not touched"
    assert (thin <= full).all()
    assert (thin == np.round(thin)).all()
    total = full.sum()
    assert abs(thin.sum() - total / 2) < 4 * np.sqrt(total / 4)
    ones = full == 1
    assert thin[ones].mean() == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(ones.sum()))
    sixes = full == 6  # the variance of six trials, not of one that is kept whole
    assert thin[sixes].var() == pytest.approx(1.5, rel=0.5)


def test_the_same_seed_takes_the_same_away() -> None:
    one, same, other = (stressed(counts(), HALF, np.random.default_rng(seed)).X.toarray() for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


def test_a_share_of_the_genes_stays_as_it_is() -> None:
    before = counts()
    after = stressed(before, GENES, np.random.default_rng(1))
    assert after.shape == (200, 40)
    kept = after.var_names
    np.testing.assert_array_equal(after.X.toarray(), before[:, kept].X.toarray())
    assert [one for one in before.var_names if one in set(kept)] == list(kept)
    assert after.uns["values"] == "counts"


def test_only_counts_can_be_thinned() -> None:
    assert why_not(HALF, "log-normalised") == "only counts can be thinned, and the dataset has log-normalised values"
    assert why_not(HALF, "counts") is None
    assert why_not(GENES, "continuous") is None
    with pytest.raises(ValueError, match="only counts can be thinned"):
        stressed(counts("scaled"), HALF, np.random.default_rng(1))
