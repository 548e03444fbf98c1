"""Student's t distribution agrees with its closed forms, with printed tables and with scipy, far into its tails."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate
from scipy import stats as reference

from cellgauge.stats.student import t_cdf, t_interval, t_p_value, t_quantile

DEGREES = [1, 2, 3, 4, 5, 6, 7, 9, 10, 15, 30, 31, 99, 100, 251, 500]


@pytest.mark.parametrize("df", DEGREES)
def test_tail_probabilities_agree_with_scipy(df: int):
    for t in (-400.0, -30.0, -9.5, -5.0, -3.3, -2.0, -1.0, -0.3, -1e-3, 0.0, 1e-3, 0.3, 1.0, 2.0, 3.3, 9.5):
        assert t_cdf(t, df) == pytest.approx(reference.t.cdf(t, df), rel=1e-11, abs=1e-305)


@pytest.mark.parametrize("df", DEGREES)
def test_quantiles_agree_with_scipy(df: int):
    for p in (1e-12, 1e-9, 1e-6, 1e-3, 0.01, 0.025, 0.05, 0.2, 0.4, 0.6, 0.9, 0.975, 0.9999):
        assert t_quantile(p, df) == pytest.approx(reference.t.ppf(p, df), rel=1e-10)


def test_every_whole_number_of_degrees_up_to_500():
    degrees = np.arange(1, 501)
    for p in (1e-12, 0.025):
        assert [t_quantile(p, int(df)) for df in degrees] == pytest.approx(reference.t.ppf(p, degrees), rel=1e-10)


def test_one_and_two_degrees_have_closed_forms():
    for t in (0.1, 1.0, 3.7, 250.0, 1e9):
        assert t_cdf(-t, 1) == pytest.approx(math.atan(1 / t) / math.pi, rel=1e-13)  # Cauchy
        assert t_cdf(-t, 2) == pytest.approx(1 / ((2 + t * t) * (1 + t / math.sqrt(2 + t * t))), rel=1e-13)


def test_quantiles_that_tables_print():
    printed = {1: 12.706, 5: 2.571, 7: 2.365, 11: 2.201, 19: 2.093, 30: 2.042, 120: 1.980}
    assert {df: round(t_quantile(0.975, df), 3) for df in printed} == printed


def test_the_density_integrates_to_it():
    def density(t: float, df: int) -> float:
        norm = math.gamma((df + 1) / 2) / math.gamma(df / 2) / math.sqrt(df * math.pi)
        return norm * (1 + t * t / df) ** (-(df + 1) / 2)

    for df in (3, 8, 41):
        between, _ = integrate.quad(density, -1.5, 2.25, args=(df,), epsabs=1e-13)
        assert t_cdf(2.25, df) - t_cdf(-1.5, df) == pytest.approx(between, abs=1e-12)


@given(st.floats(1e-13, 1 - 1e-13), st.integers(1, 400))
def test_quantile_and_probability_undo_each_other(p: float, df: int):
    assert t_cdf(t_quantile(p, df), df) == pytest.approx(p, rel=1e-11)
    assert t_quantile(1 - p, df) == pytest.approx(-t_quantile(p, df), rel=1e-2, abs=1e-12)  # 1 - p loses digits


@given(st.floats(-50, 50), st.floats(-50, 50), st.integers(1, 60))
def test_probabilities_grow_with_t(one: float, other: float, df: int):
    low, high = sorted([one, other])
    assert 0 <= t_cdf(low, df) <= t_cdf(high, df) * (1 + 1e-13) <= 1 + 1e-13


def test_the_ends():
    assert (t_cdf(-math.inf, 4), t_cdf(0, 4), t_cdf(math.inf, 4)) == (0, 0.5, 1)
    assert t_quantile(0.5, 4) == 0
    assert t_cdf(-1e200, 1) == pytest.approx(1e-200 / math.pi)
    assert t_cdf(-1e200, 5) == 0  # less than a double holds
    assert t_quantile(5e-324, 1) < -1e300


@pytest.mark.parametrize("df", [0, -1, 1.5])
def test_degrees_that_are_none(df: float):
    with pytest.raises(ValueError, match="whole number of at least 1"):
        t_cdf(1.0, df)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="whole number of at least 1"):
        t_quantile(0.9, df)  # type: ignore[arg-type]


@pytest.mark.parametrize("p", [0.0, 1.0, -0.1, 1.1, math.nan])
def test_probabilities_without_a_quantile(p: float):
    with pytest.raises(ValueError, match="between 0 and 1"):
        t_quantile(p, 3)


def test_not_a_number_is_refused():
    with pytest.raises(ValueError, match="found NaN"):
        t_cdf(math.nan, 3)


def test_interval_and_p_value_say_the_same():
    """p is at most α exactly where the interval at 1 − α leaves out 0."""
    for value in (-3.0, -0.4, 0.0, 0.1, 0.9, 2.8):
        p = t_p_value(value, 0.35, 7, 0.0)
        assert p == pytest.approx(2 * reference.t.sf(abs(value) / 0.35, 7))
        low, high = t_interval(value, 0.35, 7, 0.95)
        assert (low > 0 or high < 0) == (p <= 0.05)


def test_p_without_spread_is_that_of_the_sign_test():
    """Six units with the very same difference agree on its sign, which has probability 2 · (1/2)^6."""
    assert t_p_value(0.3, 0.0, 5, 1e-9) == pytest.approx(reference.binomtest(6, 6, 0.5).pvalue)
    assert t_p_value(0.0, 0.0, 5, 1e-9) == 1.0
    assert t_p_value(1e-10, 1e-12, 5, 1e-9) == 1.0  # both are rounding
    assert 0 < t_p_value(1e9, 1e-3, 100, 1e-9) < 1e-300  # and p is never 0
