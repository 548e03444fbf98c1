"""Paired comparison gives the p-values, adjustments and words of its definition, whichever way round it is asked."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as reference

from cellgauge.stats.paired import Difference, holm, paired_difference, word
from cellgauge.stats.resampling import generator, stratified_weights

PROBABILITIES = st.lists(st.floats(0, 1), min_size=1, max_size=7)


def compare(differences: np.ndarray, value: float = 0.0, level: float = 0.95, sign: int = 1) -> Difference:
    return paired_difference(value, 0.0, differences, np.zeros(len(differences)), level=level, sign=sign)


@pytest.mark.parametrize(
    ("n_below", "n_zero", "n_above", "p"),
    [
        (0, 0, 99, 0.02),  # 2 · 1 / 100
        (99, 0, 0, 0.02),
        (4, 0, 95, 0.10),  # 2 · 5 / 100
        (4, 5, 90, 0.20),  # zeros count against both sides: 2 · 10 / 100
        (50, 0, 49, 1.0),
        (0, 99, 0, 1.0),
    ],
)
def test_p_values_counted_by_hand(n_below: int, n_zero: int, n_above: int, p: float):
    differences = np.repeat([-1.0, 0.0, 1.0], [n_below, n_zero, n_above])
    assert compare(differences).p == pytest.approx(p)


def test_the_difference_is_taken_replicate_by_replicate():
    """Two models that move together differ clearly, although their own intervals overlap widely."""
    rng = np.random.default_rng(1)
    common = rng.normal(0, 1, 999)
    paired = paired_difference(0.1, 0, common + 0.1 + rng.normal(0, 0.01, 999), common, level=0.95, sign=1)
    assert paired.p == pytest.approx(2 / 1000)
    assert (paired.low, paired.high) == pytest.approx((0.08, 0.12), abs=0.01)
    shuffled = paired_difference(0.1, 0, common + 0.1, rng.permutation(common), level=0.95, sign=1)
    assert shuffled.p > 0.5
    assert shuffled.low < -2


@given(st.lists(st.floats(-5, 5), min_size=5, max_size=60), st.floats(-1, 1))
def test_the_other_way_round_is_the_mirror_image(differences: list[float], value: float):
    one = paired_difference(value, 0.25, np.array(differences), np.zeros(len(differences)), level=0.9, sign=1)
    other = paired_difference(0.25, value, np.zeros(len(differences)), np.array(differences), level=0.9, sign=1)
    lower = paired_difference(value, 0.25, np.array(differences), np.zeros(len(differences)), level=0.9, sign=-1)
    assert other.p == one.p
    assert (other.value, other.low, other.high) == pytest.approx((-one.value, -one.high, -one.low))
    assert lower == other


def test_the_interval_is_that_of_the_differences():
    differences = np.random.default_rng(3).normal(1, 2, 1001)
    found = compare(differences, value=1.1, level=0.8)
    assert (found.value, found.low, found.high) == pytest.approx((1.1, *np.quantile(differences, [0.1, 0.9])))


def test_p_agrees_with_a_paired_t_test_where_that_is_right():
    rng = np.random.default_rng(11)
    for shift in (0.0, 0.1, 0.2, 0.3):
        differences = rng.normal(shift, 1, 200)
        replicates = stratified_weights(np.zeros(200), 20_000, generator(shift)) @ differences / 200
        assert compare(replicates).p == pytest.approx(reference.ttest_1samp(differences, 0).pvalue, abs=0.03)


def test_p_values_are_about_uniform_when_there_is_no_difference():
    rng = np.random.default_rng(12)
    p_values = []
    for trial in range(300):
        differences = rng.normal(size=100)
        p_values.append(compare(stratified_weights(np.zeros(100), 500, generator(trial)) @ differences / 100).p)
    assert reference.kstest(p_values, "uniform").pvalue > 0.001


def test_replicates_that_cannot_be_paired():
    with pytest.raises(ValueError, match="3 and 4 replicates cannot be paired"):
        paired_difference(0, 0, np.zeros(3), np.zeros(4), level=0.95, sign=1)


def test_holm_on_the_textbook_case():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.02]) == [0.02]
    assert holm([]) == []


def holm_by_closed_testing(p_values: list[float]) -> list[float]:
    """Holm's procedure is the closed test with Bonferroni on every intersection of hypotheses."""
    positions = range(len(p_values))
    subsets = [one for size in positions for one in itertools.combinations(positions, size + 1)]
    return [
        max(min(1.0, len(subset) * min(p_values[one] for one in subset)) for subset in subsets if position in subset)
        for position in positions
    ]


@given(PROBABILITIES)
def test_holm_is_the_closed_test_of_bonferroni(p_values: list[float]):
    assert holm(p_values) == pytest.approx(holm_by_closed_testing(p_values))


@given(PROBABILITIES, st.randoms())
def test_holm_does_not_depend_on_the_order(p_values: list[float], random):
    order = list(range(len(p_values)))
    random.shuffle(order)
    adjusted = holm(p_values)
    assert holm([p_values[one] for one in order]) == pytest.approx([adjusted[one] for one in order])


@given(PROBABILITIES)
def test_holm_is_between_no_correction_and_bonferroni(p_values: list[float]):
    for p, adjusted in zip(p_values, holm(p_values), strict=True):
        assert p <= adjusted <= min(1, len(p_values) * p) + 1e-12


def test_holm_keeps_the_share_of_false_words_below_what_it_promises():
    rng = np.random.default_rng(2)
    families = rng.uniform(size=(4000, 6))
    assert np.mean([min(holm(list(family))) <= 0.05 for family in families]) == pytest.approx(0.05, abs=0.012)
    assert np.mean(families.min(axis=1) <= 0.05) > 0.2  # without it, one family in four


@pytest.mark.parametrize(
    ("difference", "adjusted_p", "expected"),
    [
        (Difference(0.2, 0.1, 0.3, 0.01), 0.01, "better"),
        (Difference(-0.2, -0.3, -0.1, 0.01), 0.01, "worse"),
        (Difference(0.2, 0.1, 0.3, 0.01), 0.0501, "not separated"),
        (Difference(0.2, 0.1, 0.3, 0.01), 0.05, "better"),
        (Difference(0.0, 0.1, 0.3, 0.01), 0.01, "not separated"),
        (Difference(0.2, -0.3, -0.1, 0.01), 0.01, "not separated"),
    ],
)
def test_words(difference: Difference, adjusted_p: float, expected: str):
    assert word(difference, adjusted_p, 0.95) == expected


@given(st.lists(st.floats(-1, 1), min_size=20, max_size=80), st.sampled_from([0.8, 0.9, 0.95]))
def test_a_p_value_that_separates_has_its_interval_on_one_side(differences: list[float], level: float):
    found = compare(np.array(differences), value=float(np.mean(differences)), level=level)
    if found.p <= 1 - level:
        assert found.low > 0 or found.high < 0
