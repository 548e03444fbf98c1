"""Leaving out one group at a time gives the classic interval where there is one, and says what it cannot say."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as reference

from cellgauge.stats.jackknife import (
    jackknife_interval,
    left_out_weights,
    paired_jackknife,
    skewness_corrected_interval,
)

SCORES = st.lists(st.floats(-3, 3), min_size=3, max_size=12)


def means_left_out(values: np.ndarray) -> np.ndarray:
    """Return (n, 1) means without each value, by deleting it."""
    return np.array([[np.delete(values, one).mean()] for one in range(len(values))])


def interval_of_mean(values: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    return jackknife_interval(np.array([values.mean()]), means_left_out(values), len(values), level)


def test_weights_leave_out_one_group_each_in_the_order_of_names():
    weights = left_out_weights(np.array(["d2", "d10", "d2", "d1"]))
    assert weights.dtype == np.float32
    assert weights.tolist() == [[1, 1, 1, 0], [1, 0, 1, 1], [0, 1, 0, 1]]  # d1, d10, d2


def test_groups_may_be_numbers():
    assert left_out_weights(np.array([7, 3, 7])).tolist() == [[1, 0, 1], [0, 1, 0]]


def test_a_single_group_cannot_be_left_out():
    with pytest.raises(ValueError, match="at least two groups, found 1"):
        left_out_weights(np.array(["a", "a"]))


@given(SCORES, st.sampled_from([0.8, 0.95, 0.99]))
def test_the_jackknife_of_a_mean_is_the_t_interval(values: list[float], level: float):
    sample = np.array(values)
    half = reference.t.ppf((1 + level) / 2, len(sample) - 1) * sample.std(ddof=1) / math.sqrt(len(sample))
    expected = (sample.mean() - half, sample.mean() + half)
    assert interval_of_mean(sample, level) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_weights_and_interval_together_give_the_t_interval_of_group_means():
    rng = np.random.default_rng(1)
    cells, donors = rng.normal(size=80), np.repeat(["a", "b", "c", "d", "e", "f", "g", "h"], 10)
    weights = left_out_weights(donors)
    left_out = (weights @ cells / weights.sum(axis=1))[:, None]
    by_donor = np.array([cells[donors == one].mean() for one in "abcdefgh"])
    expected = reference.t.interval(0.95, 7, by_donor.mean(), reference.sem(by_donor))
    assert jackknife_interval(np.array([cells.mean()]), left_out, 8, 0.95) == pytest.approx(expected, rel=1e-6)


def test_on_paper():
    """θ = 3, θ_(i) = 2, 3, 4: v = 2/3 · (1 + 0 + 1) = 4/3, t_{2, 0.975} = 4.302653."""
    low, high = jackknife_interval(np.array([3.0]), np.array([[2.0], [3.0], [4.0]]), 3, 0.95)
    half = 4.302652729911275 * math.sqrt(4 / 3)
    assert (low, high) == pytest.approx((3 - half, 3 + half))


def test_squares_are_taken_around_the_full_score():
    """For a score that is not linear the mean of the θ_(i) lies elsewhere; using θ never makes the interval shorter."""
    sample = np.random.default_rng(2).exponential(size=9)
    theta = np.array([np.log(sample.mean())])
    left_out = np.log(means_left_out(sample))
    low, high = jackknife_interval(theta, left_out, 9, 0.95)
    around_their_mean = math.sqrt(8 / 9 * np.sum((left_out - left_out.mean()) ** 2))
    around_theta = math.sqrt(8 / 9 * np.sum((left_out - theta) ** 2))
    assert high - low == pytest.approx(2 * reference.t.ppf(0.975, 8) * around_theta)
    assert around_theta > around_their_mean


def test_the_spread_between_seeds_is_added():
    """Same change whichever group is left out, so that v is that of one seed plus the sample variance 0.01."""
    by_seed = np.array([0.5, 0.6, 0.7])
    left_out = by_seed + np.array([[-0.02], [0.0], [0.02], [0.01], [-0.01], [0.0]])
    one = jackknife_interval(np.array([0.6]), left_out[:, [1]], 6, 0.95)
    three = jackknife_interval(by_seed, left_out, 6, 0.95)
    t = reference.t.ppf(0.975, 5)
    assert ((three[1] - 0.6) / t) ** 2 - ((one[1] - 0.6) / t) ** 2 == pytest.approx(0.01)
    assert sum(three) / 2 == pytest.approx(0.6)


def test_groups_that_take_no_part_change_nothing_but_their_number():
    """They leave the score as it is; n counts only the others."""
    sample = np.random.default_rng(3).normal(size=7)
    theta, left_out = np.array([sample.mean()]), means_left_out(sample)
    more = np.vstack([left_out, [theta, theta, theta]])
    assert jackknife_interval(theta, more, 7, 0.9) == pytest.approx(jackknife_interval(theta, left_out, 7, 0.9))
    assert np.diff(jackknife_interval(theta, more, 10, 0.9)) != pytest.approx(
        np.diff(jackknife_interval(theta, left_out, 7, 0.9))
    )


def test_without_any_spread_the_interval_is_the_score():
    assert jackknife_interval(np.array([1.0, 1.0]), np.ones((6, 2)), 6, 0.95) == (1.0, 1.0)
    assert skewness_corrected_interval(np.array([1.0, 1.0]), np.ones((6, 2)), 6, 0.95) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("by_seed", "left_out", "n_groups", "message"),
    [
        ([0.5], [[0.4], [math.nan]], 2, "left_out: expected finite numbers"),
        ([math.inf], [[0.4], [0.5]], 2, "by_seed: expected finite numbers"),
        ([0.5, 0.5], [[0.4], [0.5]], 2, "left_out: expected 2 seeds, found 1"),
        ([0.5], [[0.4], [0.5]], 3, "n_groups: expected 2 to 2, found 3"),
        ([0.5], [[0.4], [0.5]], 1, "n_groups: expected 2 to 2, found 1"),
        ([0.5], [0.4, 0.5], 2, "left_out: expected 2 dimensions"),
        ([], [[], []], 2, "by_seed: expected 1 dimensions, none of them empty"),
    ],
)
def test_what_cannot_be_an_interval(by_seed, left_out, n_groups, message):
    with pytest.raises(ValueError, match=message):
        jackknife_interval(np.array(by_seed), np.array(left_out), n_groups, 0.95)


# --- differences ---


def paired(ours, theirs, *, level=0.95, sign=1, n=None):
    ours, theirs = np.asarray(ours, dtype=float), np.asarray(theirs, dtype=float)
    return paired_jackknife(
        np.array([ours.mean()]),
        np.array([theirs.mean()]),
        means_left_out(ours),
        means_left_out(theirs),
        n or len(ours),
        level=level,
        sign=sign,
    )


@given(st.integers(0, 10_000), st.integers(3, 15))
def test_differences_of_means_are_the_paired_t_test(seed: int, n: int):
    rng = np.random.default_rng(seed)
    common = rng.normal(0, 3, n)
    ours, theirs = common + rng.normal(0.2, 0.3, n), common + rng.normal(0, 0.3, n)
    expected = reference.ttest_rel(ours, theirs)
    interval = expected.confidence_interval(0.9)
    found = paired(ours, theirs, level=0.9)
    assert found.p == pytest.approx(expected.pvalue, rel=1e-6)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), rel=1e-6, abs=1e-9)


def test_the_other_way_round_is_the_mirror_image():
    ours, theirs = np.random.default_rng(5).normal(size=(2, 8))
    one, other, lower = paired(ours, theirs), paired(theirs, ours), paired(ours, theirs, sign=-1)
    assert other.p == pytest.approx(one.p)
    assert (other.value, other.low, other.high) == pytest.approx((-one.value, -one.high, -one.low))
    assert (lower.value, lower.low, lower.high, lower.p) == pytest.approx((other.value, other.low, other.high, other.p))


def test_seeds_are_paired():
    """What a seed does to both models cancels; what it does to one of them counts."""
    rng = np.random.default_rng(6)
    effect = np.array([-0.1, 0.0, 0.3, 0.1])
    groups = rng.normal(0, 0.01, (6, 1))
    ours, ours_left_out = 0.7 + effect, 0.7 + effect + groups
    with_it = paired_jackknife(ours, 0.6 + effect, ours_left_out, np.tile(0.6 + effect, (6, 1)), 6, level=0.95, sign=1)
    without = paired_jackknife(ours, np.full(4, 0.6), ours_left_out, np.full((6, 4), 0.6), 6, level=0.95, sign=1)
    t = reference.t.ppf(0.975, 5)
    between_groups = 5 / 6 * np.sum(groups**2)
    assert (with_it.high - with_it.value) / t == pytest.approx(math.sqrt(between_groups))
    assert (without.high - without.value) / t == pytest.approx(math.sqrt(between_groups + effect.var(ddof=1)))


def test_a_model_against_itself():
    scores = np.random.default_rng(7).normal(size=8)
    found = paired(scores, scores)
    assert (found.value, found.low, found.high, found.p) == (0, 0, 0, 1)


def test_all_donors_right_against_all_donors_wrong():
    """Six agree on the sign. That is p = 2/64, not a certainty."""
    found = paired(np.ones(6), np.zeros(6))
    assert (found.value, found.low, found.high, found.p) == (1, 1, 1, 2 / 64)


def test_a_spread_of_rounding_errors_is_no_spread():
    """Left-out scores come back from 32-bit files; their rounding must not be divided by."""
    ours, theirs = np.full(6, 0.9), np.full(6, 0.3)
    stored = means_left_out(ours).astype(np.float32), means_left_out(theirs).astype(np.float32)
    found = paired_jackknife(np.array([0.9]), np.array([0.3]), *stored, 6, level=0.95, sign=1)
    assert found.low != found.high
    assert found.p == 2 / 64


def test_groups_that_do_not_fit():
    with pytest.raises(ValueError, match=r"shapes \(3, 1\) and \(4, 1\) cannot be paired"):
        paired_jackknife(np.zeros(1), np.zeros(1), np.zeros((3, 1)), np.zeros((4, 1)), 3, level=0.95, sign=1)


@given(SCORES, st.floats(0.01, 100), st.floats(-5, 5))
def test_scale_and_shift_change_the_interval_alike(values: list[float], scale: float, shift: float):
    sample = np.array(values)
    low, high = interval_of_mean(sample)
    moved = interval_of_mean(sample * scale + shift)
    assert moved == pytest.approx((low * scale + shift, high * scale + shift), rel=1e-6, abs=1e-6)


# --- skewness ---


def skewed(values: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    return skewness_corrected_interval(np.array([values.mean()]), means_left_out(values), len(values), level)


def test_the_correction_inverts_halls_transformation():
    """With g(T) = T + aT² + a²T³/3 + a/2, g at the ends of the interval is minus and plus the t quantile."""
    sample = np.tanh(np.random.default_rng(8).normal(1, 0.6, 11))
    low, high = skewed(sample)
    error = reference.sem(sample)
    a = reference.skew(sample) / (3 * math.sqrt(11))
    for bound, expected in ((low, 1), (high, -1)):
        t = (sample.mean() - bound) / error
        assert t + a * t**2 + a**2 * t**3 / 3 + a / 2 == pytest.approx(expected * reference.t.ppf(0.975, 10))


def test_symmetric_groups_need_no_correction():
    sample = np.array([-2.0, -1, -0.5, 0.5, 1, 2])
    assert skewed(sample) == pytest.approx(interval_of_mean(sample))


def test_the_longer_arm_points_to_the_outlier():
    sample = np.array([0.9, 0.88, 0.91, 0.87, 0.9, 0.2])
    low, high = skewed(sample)
    assert sample.mean() - low > 2 * (high - sample.mean())
    mirrored = skewed(-sample)
    assert mirrored == pytest.approx((-high, -low))


def test_a_little_skewness_is_a_little_correction():
    """Where the formula switches to its limit, nothing jumps."""
    lengths = []
    for step in (0.0, 1e-7, 1e-6, 2e-6, 1e-5, 1e-4):
        low, high = skewed(np.array([-1.0 - step, -0.5, 0.5, 1.0]))
        lengths.append(high - low)
    assert max(abs(b - a) for a, b in itertools.pairwise(lengths)) < 1e-3
