"""Skill is 0 at the baseline and 1 at the ceiling, goes beyond both, and is no number where there is no room."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats as reference

from cellgauge.stats.jackknife import jackknife_interval
from cellgauge.stats.resampling import percentile_interval
from cellgauge.stats.skill import CannotDiscriminate, Skill, skill, skill_jackknife, skill_value


def around(value: float, spread: float, n: int = 2000, seed: int = 1) -> np.ndarray:
    drawn = np.random.default_rng(seed).normal(0, spread, n)
    return value + drawn - drawn.mean()


def place(score: float, baseline: float, *, ceiling: float = 1.0, sign: int = 1, spread: float = 0.01):
    return skill(
        score, baseline, around(score, spread), around(baseline, spread, seed=2), ceiling=ceiling, level=0.95, sign=sign
    )


@pytest.mark.parametrize(
    ("score", "baseline", "ceiling", "sign", "expected"),
    [
        (0.6, 0.6, 1, 1, 0.0),
        (1.0, 0.6, 1, 1, 1.0),
        (0.8, 0.6, 1, 1, 0.5),
        (0.2, 0.6, 1, 1, -1.0),  # far below the baseline: not clipped
        (0.3, 0.6, 0, -1, 0.5),  # lower is better, best is 0
        (0.9, 0.6, 0, -1, -0.5),
        (-0.2, -0.6, 0, 1, 2 / 3),
        (1.02, 0.6, 1, 1, 1.05),  # an estimate may be past the ceiling: not clipped either
    ],
)
def test_on_paper(score, baseline, ceiling, sign, expected):
    found = place(score, baseline, ceiling=ceiling, sign=sign)
    assert isinstance(found, Skill)
    assert found.value == pytest.approx(expected, abs=1e-12)
    assert found.low < expected < found.high


def test_the_baseline_has_skill_zero_without_doubt():
    replicates = around(0.6, 0.05)
    assert skill(0.6, 0.6, replicates, replicates, ceiling=1, level=0.95, sign=1) == Skill(0, 0, 0)


def test_the_interval_is_that_of_the_ratio_replicate_by_replicate():
    ours, theirs = around(0.8, 0.03), around(0.6, 0.03, seed=2)
    found = skill(0.8, 0.6, ours, theirs, ceiling=1, level=0.9, sign=1)
    assert isinstance(found, Skill)
    assert (found.low, found.high) == pytest.approx(np.quantile((ours - theirs) / (1 - theirs), [0.05, 0.95]))


def test_what_both_share_cancels():
    """A resample of difficult cells lowers both; pairing leaves it out of the interval."""
    common = around(0, 0.05)
    paired = skill(0.8, 0.6, 0.8 + common, 0.6 + common, ceiling=1, level=0.95, sign=1)
    alone = skill(0.8, 0.6, 0.8 + common, 0.6 + common[::-1], ceiling=1, level=0.95, sign=1)
    assert isinstance(paired, Skill)
    assert isinstance(alone, Skill)
    assert paired.high - paired.low < 0.7 * (alone.high - alone.low)


@given(st.floats(0.0, 0.95), st.floats(0.0, 0.7), st.floats(0.1, 10), st.floats(-5, 5))
def test_units_and_direction_do_not_matter(score: float, baseline: float, scale: float, shift: float):
    ours, theirs = around(score, 0.02, 200), around(baseline, 0.02, 200, seed=2)
    found = skill(score, baseline, ours, theirs, ceiling=1, level=0.95, sign=1)
    flipped = skill(
        shift - scale * score,
        shift - scale * baseline,
        shift - scale * ours,
        shift - scale * theirs,
        ceiling=shift - scale,
        level=0.95,
        sign=-1,
    )
    assert isinstance(found, Skill)
    assert isinstance(flipped, Skill)
    assert (flipped.value, flipped.low, flipped.high) == pytest.approx(
        (found.value, found.low, found.high), rel=1e-6, abs=1e-6
    )


# --- no room ---


@pytest.mark.parametrize(
    ("baseline", "ceiling", "sign"),
    [(0.99, 1.0, 1), (1.0, 1.0, 1), (0.01, 0.0, -1), (1.01, 1.0, 1)],
)
def test_a_baseline_within_noise_of_the_ceiling_gives_no_number(baseline, ceiling, sign):
    found = place(0.5, baseline, ceiling=ceiling, sign=sign)
    assert isinstance(found, CannotDiscriminate)
    assert found.text == "cannot discriminate here"
    assert found.low < baseline < found.high
    assert not any(hasattr(found, name) for name in ("value", "skill"))


def test_the_limit_is_the_baselines_own_interval():
    replicates = around(0.9, 0.05)
    _, high = percentile_interval(replicates, 0.95)
    for ceiling, kind in ((high + 1e-9, Skill), (high, CannotDiscriminate)):
        assert isinstance(skill(0.95, 0.9, replicates, replicates, ceiling=ceiling, level=0.95, sign=1), kind)


def test_a_few_replicates_past_the_ceiling_count_as_infinitely_far():
    """One in a hundred reaches the ceiling: the ends of the interval, at one in forty, stay numbers."""
    theirs = np.concatenate([around(0.8, 0.01, 990), np.full(10, 1.0)])
    for score, far in ((0.9, "high"), (0.5, "low")):
        ours = around(score, 0.01, 1000, seed=3)
        found = skill(score, 0.8, ours, theirs, ceiling=1, level=0.95, sign=1)
        assert isinstance(found, Skill)
        rest = (ours[:990] - theirs[:990]) / (1 - theirs[:990])
        # All ten stand at one end, as in the middle of the others they would not move both quantiles this way.
        share = {"high": [25, 975], "low": [15, 965]}[far]
        expected = np.quantile(rest, np.array(share) / 990)
        assert (found.low, found.high) == pytest.approx(expected, abs=0.02)


def test_an_interval_that_would_be_infinite_is_no_number():
    """The baseline's interval ends below the ceiling, but its replicates beyond it lie on both sides of the model's."""
    theirs = np.concatenate([np.full(974, 0.5), np.full(26, 2.0)])
    assert percentile_interval(theirs, 0.95)[1] > 1  # this one is caught by the baseline's interval
    theirs = np.concatenate([np.full(975, 0.5), np.full(25, 2.0)])
    assert percentile_interval(theirs, 0.95)[1] < 1
    found = skill(3.0, 0.5, np.full(1000, 3.0), theirs, ceiling=1.0, level=0.95, sign=1)
    assert isinstance(found, CannotDiscriminate)


# --- jackknife ---


def test_the_jackknife_of_skill_is_the_linearised_ratio():
    """Against the jackknife of the ratio itself, which it approaches as donors agree."""
    rng = np.random.default_rng(5)
    ours, theirs = rng.normal(0.8, 0.02, 12), rng.normal(0.5, 0.02, 12)
    left = np.array([np.delete(ours, one).mean() for one in range(12)])[:, None]
    left_theirs = np.array([np.delete(theirs, one).mean() for one in range(12)])[:, None]
    args = (np.array([ours.mean()]), np.array([theirs.mean()]), left, left_theirs, 12)
    found = skill_jackknife(*args, ceiling=1.0, level=0.95, sign=1)
    assert isinstance(found, Skill)
    ratio = (args[0] - args[1]) / (1 - args[1])
    expected = jackknife_interval(ratio, (left - left_theirs) / (1 - left_theirs), 12, 0.95)
    assert found.value == pytest.approx(ratio[0])
    assert (found.low, found.high) == pytest.approx(expected, abs=2e-3)
    # On paper: the t interval of the linear combination of each donor's two scores.
    combined = (ours - (1 - found.value) * theirs - found.value) / (1 - theirs.mean())
    half = reference.t.ppf(0.975, 11) * reference.sem(combined)
    assert found.high - found.value == pytest.approx(half)
    assert found.value - found.low == pytest.approx(half)


def test_the_jackknife_turns_with_the_direction():
    rng = np.random.default_rng(6)
    by_seed, base = np.array([0.3, 0.32]), np.array([0.6, 0.61])
    left, left_base = by_seed + rng.normal(0, 0.01, (8, 1)), base + rng.normal(0, 0.01, (8, 1))
    lower = skill_jackknife(by_seed, base, left, left_base, 8, ceiling=0.0, level=0.95, sign=-1)
    higher = skill_jackknife(-by_seed, -base, -left, -left_base, 8, ceiling=0.0, level=0.95, sign=1)
    assert isinstance(lower, Skill)
    assert lower.value == pytest.approx((0.605 - 0.31) / 0.605)
    assert lower == higher


def test_the_jackknife_near_the_ceiling_gives_no_number():
    base = np.array([0.99])
    left = base + np.linspace(-0.01, 0.01, 8)[:, None]
    found = skill_jackknife(base, base, left, left, 8, ceiling=1.0, level=0.95, sign=1)
    assert isinstance(found, CannotDiscriminate)


# --- refused ---


@pytest.mark.parametrize("ceiling", [math.inf, math.nan])
def test_a_metric_without_a_best_has_no_skill(ceiling):
    with pytest.raises(ValueError, match="ceiling: expected a finite number"):
        place(0.5, 0.4, ceiling=ceiling)
    with pytest.raises(ValueError, match="ceiling: expected a finite number"):
        skill_jackknife(*[np.ones(1)] * 2, *[np.ones((6, 1))] * 2, 6, ceiling=ceiling, level=0.95, sign=1)


def test_replicates_that_do_not_fit():
    with pytest.raises(ValueError, match="3 and 4 replicates cannot be paired"):
        skill(0.5, 0.4, np.zeros(3), np.zeros(4), ceiling=1, level=0.95, sign=1)
    with pytest.raises(ValueError, match="baseline_replicates: expected finite numbers"):
        skill(0.5, 0.4, np.zeros(3), np.array([0, 1, np.nan]), ceiling=1, level=0.95, sign=1)
    with pytest.raises(ValueError, match="score: expected a finite number"):
        skill(math.nan, 0.4, np.zeros(3), np.zeros(3), ceiling=1, level=0.95, sign=1)


@given(st.integers(0, 500))
def test_intervals_hold_their_value(seed: int):
    rng = np.random.default_rng(seed)
    score, baseline = rng.uniform(0, 0.9, 2)
    found = skill(
        score,
        baseline,
        around(score, 0.03, seed=seed),
        around(baseline, 0.03, seed=seed + 1),
        ceiling=1,
        level=0.95,
        sign=1,
    )
    assume(isinstance(found, Skill))
    assert found.low <= found.value <= found.high


@given(
    st.floats(-1, 1),
    st.floats(0.5, 1.0),
    st.sampled_from([0.0005, 0.02, 0.2]),
    st.integers(0, 20),
    st.sampled_from([1, -1]),
)
def test_the_value_alone_is_the_value_with_its_interval(score, baseline, spread, seed, sign):
    replicates = around(sign * score, spread, 200, seed), around(sign * baseline, spread, 200, seed + 1)
    asked = {"ceiling": sign * 1.0, "level": 0.95, "sign": sign}
    made = skill(sign * score, sign * baseline, *replicates, **asked)
    value = skill_value(sign * score, sign * baseline, *replicates, **asked)
    assert value == (made.value if isinstance(made, Skill) else None)
