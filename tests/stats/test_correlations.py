"""Rank correlations agree with scipy, with ties and without."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as reference

from cellgauge.stats.correlation import kendall, mid_ranks, spearman

# Few values, so that ties are common.
TWO_LISTS = st.integers(2, 12).flatmap(
    lambda n: st.tuples(*[st.lists(st.integers(0, 5), min_size=n, max_size=n) for _ in range(2)])
)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=12))
def test_mid_ranks(values: list[int]):
    assert mid_ranks(np.array(values)).tolist() == reference.rankdata(values).tolist()


@given(TWO_LISTS)
def test_correlations_agree_with_scipy(lists):
    one, other = (np.array(values, dtype=float) for values in lists)
    if len(set(one)) == 1 or len(set(other)) == 1:
        assert kendall(one, other) is None
        assert spearman(one, other) is None
    else:
        assert kendall(one, other) == pytest.approx(reference.kendalltau(one, other).statistic)
        assert spearman(one, other) == pytest.approx(reference.spearmanr(one, other).statistic)


def test_on_paper():
    one, other = np.array([1.0, 2, 3, 4]), np.array([1.0, 2, 4, 3])
    assert kendall(one, other) == pytest.approx(4 / 6)  # five pairs agree, one does not
    assert spearman(one, other) == pytest.approx(1 - 6 * 2 / (4 * 15))
    assert kendall(one, -one) == spearman(one, -one) == pytest.approx(-1)
    assert kendall(np.array([1.0]), np.array([1.0])) is None


@pytest.mark.parametrize("correlation", [kendall, spearman])
def test_what_cannot_be_correlated(correlation):
    with pytest.raises(ValueError, match="2 and 3 values cannot be correlated"):
        correlation(np.zeros(2), np.zeros(3))
    with pytest.raises(ValueError, match="expected finite numbers"):
        correlation(np.array([1.0, np.nan]), np.array([1.0, 2.0]))
