"""Resamples keep their strata, depend on nothing but their seed, and spread as theory says they must."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as reference

from cellgauge.stats.resampling import (
    draw_seeds,
    generator,
    join_lone_units,
    percentile_interval,
    stratified_weights,
)


def test_the_same_seed_draws_the_same_and_another_does_not():
    strata = np.repeat([0, 1], 30)
    one, again, other = (stratified_weights(strata, 10, generator("x", seed)) for seed in (1, 1, 2))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


def test_a_stream_does_not_depend_on_the_process():
    code = "from cellgauge.stats.resampling import generator; print(generator('task', 42).integers(2**62))"
    elsewhere = [
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    ]
    assert {int(output) for output in elsewhere} == {int(generator("task", 42).integers(2**62))}


def test_related_parts_give_unrelated_streams():
    draws = {part: generator("x", part).standard_normal(2000) for part in (1, 2, 12)} | {
        "split": generator("x1", 2).standard_normal(2000)
    }
    correlations = np.corrcoef(list(draws.values())) - np.eye(4)
    assert np.abs(correlations).max() < 0.1


@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=40), st.integers(0, 99))
def test_weights_add_up_to_the_size_of_their_stratum(labels: list[str], seed: int):
    strata = np.array(labels)
    weights = stratified_weights(strata, 20, generator(seed))
    assert weights.dtype == np.float32
    assert weights.shape == (20, len(strata))
    assert (weights >= 0).all()
    for stratum in set(labels):
        n = labels.count(stratum)
        mine = weights[:, strata == stratum]
        assert mine.sum(axis=1) == pytest.approx(n, rel=1e-5)
        drawn = mine * (n - 1) / n
        assert n == 1 or drawn == pytest.approx(drawn.round(), abs=1e-5)


def test_a_stratum_of_two_is_one_unit_or_the_other():
    weights = stratified_weights(np.array(["a", "b", "b"]), 1000, generator(1))
    assert (weights[:, 0] == 1).all()
    assert set(map(tuple, weights[:, 1:].tolist())) == {(0, 2), (2, 0)}
    assert weights[:, 1].mean() == pytest.approx(1, abs=0.1)


def test_a_resampled_mean_spreads_as_theory_says_in_small_strata_too():
    """Sum of n_h · s_h² / n² with s² over n_h − 1, and covariances of weights are −1 / (n_h − 1)."""
    rng = np.random.default_rng(5)
    strata = np.repeat(np.arange(12), [2, 2, 2, 3, 3, 4, 2, 2, 5, 9, 2, 3])
    values = rng.normal(strata * 10.0, 1 + strata)
    means = stratified_weights(strata, 40_000, generator(7)) @ values / len(values)
    parts = [values[strata == stratum] for stratum in range(12)]
    unbiased = sum(len(part) * part.var(ddof=1) for part in parts) / len(values) ** 2
    assert means.mean() == pytest.approx(values.mean(), abs=4 * np.sqrt(unbiased / 40_000))
    assert means.var() == pytest.approx(unbiased, rel=0.04)
    assert unbiased > 1.2 * sum(len(part) * part.var() for part in parts) / len(values) ** 2  # all n drawn
    assert unbiased < values.var() / len(values) / 5  # drawn without strata


def test_lone_units_are_joined_within_their_coarser_stratum():
    coarser = np.array(list("aaaaabbbbccd"))
    strata = np.array(["1", "1", "2", "3", "4", "5", "5", "5", "6", "7", "7", "8"])
    joined = join_lone_units(strata, coarser)
    groups = {frozenset(np.flatnonzero(joined == code).tolist()) for code in joined}
    assert groups == {
        frozenset({0, 1}),
        frozenset({2, 3, 4}),  # three lone ones of a
        frozenset({5, 6, 7, 8}),  # the lone one of b joins its neighbour
        frozenset({9, 10}),  # nothing is alone
        frozenset({11}),  # alone in d: nothing to join
    }


def test_a_lone_unit_joins_the_smallest_neighbour():
    strata = np.array([0, 0, 0, 1, 1, 2, 3, 3])
    joined = join_lone_units(strata, np.array(list("xxxxxxyy")))
    assert np.flatnonzero(joined == joined[5]).tolist() == [3, 4, 5]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4)), min_size=1, max_size=30))
def test_joining_never_splits_and_never_crosses(units: list[tuple[int, int]]):
    coarser = np.array([one for one, _ in units])
    strata = np.array([one * 10 + other for one, other in units])
    joined = join_lone_units(strata, coarser)
    sizes = dict(zip(*np.unique(joined, return_counts=True), strict=True))
    for a in range(len(units)):
        assert len(set(joined[strata == strata[a]])) == 1
        assert len(set(coarser[joined == joined[a]])) == 1
        assert sizes[joined[a]] > 1 or np.sum(coarser == coarser[a]) == 1


def test_intervals_of_a_mean_cover_it_about_as_often_as_they_say():
    rng = np.random.default_rng(3)
    covered = 0
    for trial in range(400):
        values = rng.normal(size=60)
        low, high = percentile_interval(stratified_weights(np.zeros(60), 400, generator(trial)) @ values / 60, 0.9)
        covered += low <= 0 <= high
    assert reference.binomtest(covered, 400, 0.89).pvalue > 0.001  # a percentile interval of 60 is a bit short


def test_the_percentile_interval_is_the_quantiles():
    replicates = np.random.default_rng(1).gamma(2.0, size=501)
    for level in (0.5, 0.9, 0.95, 0.999):
        expected = reference.mstats.mquantiles(replicates, [(1 - level) / 2, (1 + level) / 2], alphap=1, betap=1)
        assert percentile_interval(replicates, level) == pytest.approx(tuple(expected))
    assert percentile_interval(np.arange(101), 0.9) == pytest.approx((5, 95))


def test_the_percentile_interval_agrees_with_another_bootstrap():
    """The other one draws all 80 instead of 79, which makes no difference here."""
    values = np.random.default_rng(2).exponential(size=80)
    means = stratified_weights(np.zeros(80), 20_000, generator(4)) @ values / 80
    other = reference.bootstrap((values,), np.mean, method="percentile", n_resamples=20_000, rng=9).confidence_interval
    assert percentile_interval(means, 0.95) == pytest.approx(tuple(other), abs=0.02)


@pytest.mark.parametrize(("n_seeds", "n_replicates"), [(1, 10), (5, 2000), (3, 100), (7, 5)])
def test_seeds_are_drawn_equally_often_in_random_order(n_seeds: int, n_replicates: int):
    drawn = draw_seeds(n_seeds, n_replicates, generator(1))
    counts = np.bincount(drawn, minlength=n_seeds)
    assert len(drawn) == n_replicates
    assert counts.max() - counts.min() <= 1
    assert n_replicates < 100 or n_seeds == 1 or not np.array_equal(drawn, np.arange(n_replicates) % n_seeds)
    assert np.array_equal(drawn, draw_seeds(n_seeds, n_replicates, generator(1)))
