"""A metric's health counts what its definition says, on models whose answer is known."""

import math

import numpy as np
import pytest
from scipy import stats as reference

from cellgauge.stats.health import MetricHealth, metric_health
from cellgauge.stats.ranks import rank_replicates


def health(values, spread=0.01, half=0.02, *, best=1.0, sign=1, others=None, intervals=None) -> MetricHealth:
    values = np.array(values, dtype=float)
    rng = np.random.default_rng(1)
    drawn = rng.normal(0, 1, (len(values), 5000)) * np.reshape(spread, (-1, 1))
    replicates = values[:, None] + drawn - drawn.mean(axis=1, keepdims=True)
    return metric_health(
        values,
        np.stack([values - half, values + half], axis=1) if intervals is None else np.array(intervals, dtype=float),
        rank_replicates(values, replicates, level=0.95, sign=sign),
        best=best,
        sign=sign,
        others=others or {},
    )


def test_a_metric_that_tells_all_apart():
    found = health([0.1, 0.4, 0.7])
    assert found == MetricHealth(3, 0.0, 0.0, 3, 3, 0, ())


def test_a_saturated_metric():
    """Three of four reach 1, and two of the three others are within noise of the first."""
    found = health([0.995, 0.99, 0.985, 0.5])
    assert found.at_best == 0.75
    assert found.near_first == pytest.approx(2 / 3)
    assert (found.separated, found.pairs) == (3, 6)


def test_lower_is_better():
    found = health([0.005, 0.01, 0.5], best=0.0, sign=-1)
    assert found.at_best == pytest.approx(2 / 3)
    assert found.near_first == 0.5


def test_a_metric_without_a_best():
    assert health([3.0, 9.0], best=None).at_best is None


def test_reaching_the_best_allows_for_32_bit_numbers():
    below = float(np.float32(1.0) - np.finfo(np.float32).eps)
    assert health([0.9, 0.5], intervals=[[0.8, below], [0.4, 0.6]]).at_best == 0.5


def test_intervals_without_width_are_counted():
    found = health([1.0, 0.5, 0.4], spread=[0, 0, 0.01], intervals=[[1, 1], [0.5, 0.5], [0.3, 0.5]])
    assert found.without_width == 2


def test_one_model():
    found = health([0.5])
    assert (found.near_first, found.separated, found.pairs, found.n_models) == (None, 0, 0, 1)


def test_correlations_are_spearmans_over_models_that_have_both():
    values = [0.1, 0.5, 0.3, 0.9, 0.7]
    found = health(
        values,
        others={
            "same": values,
            "reverse": [-one for one in values],
            "tied": [0.1, 0.2, 0.2, 0.9, 0.2],
            "part": [0.3, None, 0.1, 0.2, 0.4],
            "few": [0.3, None, None, 0.2, 0.4],
            "constant": [0.5] * 5,
        },
    )
    correlations = dict(found.correlations)
    assert correlations["same"] == pytest.approx(1)
    assert correlations["reverse"] == pytest.approx(-1)
    assert correlations["tied"] == pytest.approx(reference.spearmanr(values, [0.1, 0.2, 0.2, 0.9, 0.2]).statistic)
    assert correlations["part"] == pytest.approx(
        reference.spearmanr([0.1, 0.3, 0.9, 0.7], [0.3, 0.1, 0.2, 0.4]).statistic
    )
    assert correlations["few"] is None
    assert correlations["constant"] is None


def test_a_metric_of_which_lower_is_better_correlates_by_what_is_better():
    errors = [0.9, 0.5, 0.7, 0.1]
    found = health(errors, best=0.0, sign=-1, others={"score": [0.1, 0.5, 0.3, 0.9]})
    assert dict(found.correlations)["score"] == pytest.approx(1)


def test_what_does_not_fit():
    with pytest.raises(ValueError, match=r"expected 2 × \(low, high\)"):
        health([0.1, 0.2], intervals=[[0.0, 0.2]])
    with pytest.raises(ValueError, match=r"expected 2 × \(low, high\)"):
        health([0.1, 0.2], intervals=[[0.2, 0.0], [0.1, 0.3]])
    with pytest.raises(ValueError, match="intervals: expected finite numbers"):
        health([0.1, 0.2], intervals=[[0.0, math.nan], [0.1, 0.3]])
    with pytest.raises(ValueError, match="2 and 3 models cannot be correlated"):
        health([0.1, 0.2], others={"x": [0.1, 0.2, 0.3]})
    with pytest.raises(ValueError, match="others: expected finite numbers"):
        health([0.1, 0.2, 0.3, 0.4], others={"x": [0.1, 0.2, 0.3, math.nan]})
    ranking = rank_replicates(np.array([0.1]), np.zeros((1, 5)), level=0.95, sign=1)
    with pytest.raises(ValueError, match="ranking: expected 2 models, found 1"):
        metric_health(np.array([0.1, 0.2]), np.array([[0, 1], [0, 1]]), ranking, best=1, sign=1, others={})
