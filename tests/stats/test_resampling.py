"""Resamples keep their strata, depend on nothing but their seed, and spread as theory says they must."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as reference

from cellgauge.stats.resampling import draw_seeds, generator, percentile_interval, stratified_counts


@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=40), st.integers(0, 99))
def test_every_stratum_keeps_its_size_in_every_resample(labels: list[str], seed: int):
    strata = np.array(labels)
    counts = stratified_counts(strata, 20, generator(seed))
    assert counts.shape == (20, len(strata))
    assert (counts >= 0).all()
    assert np.array_equal(counts, counts.round())
    for stratum in set(labels):
        assert (counts[:, strata == stratum].sum(axis=1) == labels.count(stratum)).all()


def test_a_stratum_of_one_is_always_drawn_once():
    counts = stratified_counts(np.array(["a", "b", "b"]), 50, generator(1))
    assert (counts[:, 0] == 1).all()
    assert set(np.unique(counts[:, 1:])) == {0, 1, 2}


def test_the_same_seed_draws_the_same_and_another_does_not():
    strata = np.repeat([0, 1], 30)
    one, again, other = (stratified_counts(strata, 10, generator("x", seed)) for seed in (1, 1, 2))
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


def test_a_bootstrap_mean_spreads_as_it_should():
    """Within strata the variance of a resampled mean is known: sum of n_h · var_h / n²."""
    rng = np.random.default_rng(5)
    strata = np.repeat([0, 1, 2], [20, 50, 130])
    values = rng.normal(strata * 10.0, 1 + strata)
    means = stratified_counts(strata, 20_000, generator(7)) @ values / len(values)
    parts = [values[strata == stratum] for stratum in range(3)]
    expected = sum(len(part) * part.var() for part in parts) / len(values) ** 2
    assert means.mean() == pytest.approx(values.mean(), abs=4 * np.sqrt(expected / 20_000))
    assert means.var() == pytest.approx(expected, rel=0.05)
    assert means.var() < values.var() / len(values) / 5  # resampling without strata would show here


def test_intervals_of_a_mean_cover_it_about_as_often_as_they_say():
    rng = np.random.default_rng(3)
    covered = 0
    for trial in range(400):
        values = rng.normal(size=60)
        low, high = percentile_interval(stratified_counts(np.zeros(60), 400, generator(trial)) @ values / 60, 0.9)
        covered += low <= 0 <= high
    assert reference.binomtest(covered, 400, 0.885).pvalue > 0.001  # 0.885: a percentile interval of 60 is a bit short


def test_the_percentile_interval_is_the_quantiles():
    replicates = np.random.default_rng(1).gamma(2.0, size=501)
    for level in (0.5, 0.9, 0.95, 0.999):
        expected = reference.mstats.mquantiles(replicates, [(1 - level) / 2, (1 + level) / 2], alphap=1, betap=1)
        assert percentile_interval(replicates, level) == pytest.approx(tuple(expected))
    assert percentile_interval(np.arange(101), 0.9) == pytest.approx((5, 95))


def test_the_percentile_interval_agrees_with_another_bootstrap():
    values = np.random.default_rng(2).exponential(size=80)
    means = stratified_counts(np.zeros(80), 20_000, generator(4)) @ values / 80
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
