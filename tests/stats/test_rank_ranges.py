"""Pairs, rank ranges and bands follow from Holm's decisions, and intervals never contradict them."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as reference

from cellgauge.stats.jackknife import paired_jackknife
from cellgauge.stats.paired import holm, paired_difference, word
from cellgauge.stats.ranks import Ranking, RankRange, rank_jackknife, rank_replicates, rank_studies


def replicates_around(values: list[float], spread: float, n: int, seed: int = 1, common: float = 0.0) -> np.ndarray:
    """Return centred replicates of independent models; ``common`` moves all of them together."""
    rng = np.random.default_rng(seed)
    drawn = rng.normal(0, spread, (len(values), n)) + rng.normal(0, 1, n) * common
    return np.array(values)[:, None] + drawn - drawn.mean(axis=1, keepdims=True)


def rank(values: list[float], spread: float, n: int = 4000, sign: int = 1, level: float = 0.95, **kwargs) -> Ranking:
    return rank_replicates(np.array(values), replicates_around(values, spread, n, **kwargs), level=level, sign=sign)


def ranges(ranking: Ranking) -> list[tuple[int, int]]:
    return [(one.best, one.worst) for one in ranking.ranges]


# --- known on paper ---


@pytest.mark.parametrize("n_replicates", [3000, 200])  # counted, normal
def test_three_models_two_of_them_close(n_replicates: int):
    found = rank([0.50, 0.90, 0.501], 0.01, n_replicates)
    assert found.order == (1, 2, 0)
    assert [(pair.first, pair.second, pair.word) for pair in found.pairs] == [
        (0, 1, "worse"),
        (0, 2, "not separated"),
        (1, 2, "better"),
    ]
    assert ranges(found) == [(2, 3), (1, 1), (2, 3)]
    assert found.bands == ((1,), (2, 0))


def test_lower_is_better_turns_everything_round():
    found = rank([0.50, 0.90, 0.501], 0.01, sign=-1)
    assert found.order == (0, 2, 1)
    assert ranges(found) == [(1, 2), (3, 3), (1, 2)]
    assert found.pairs[0].difference.value == pytest.approx(0.4)
    assert found.pairs[0].word == "better"


def test_a_chain_of_neighbours_makes_overlapping_bands():
    """Neighbours are 2.2 SDs of a difference apart: not separated. Any two with one between them are."""
    step = 2.2 * math.sqrt(2)
    found = rank([0.0, step, 2 * step, 3 * step], 1.0, 5000)
    assert found.order == (3, 2, 1, 0)
    assert found.bands == ((3, 2), (2, 1), (1, 0))
    assert ranges(found) == [(3, 4), (2, 4), (1, 3), (1, 2)]


def test_two_models_that_are_not_separated_need_not_share_a_band():
    """The noisy first and last are not separated; the steady one between is separated from neither... but one."""
    values = np.array([1.0, 0.5, 0.0])
    rng = np.random.default_rng(3)
    drawn = rng.normal(0, 1, (3, 4000)) * np.array([[0.1], [0.01], [0.6]])
    found = rank_replicates(values, values[:, None] + drawn - drawn.mean(axis=1, keepdims=True), level=0.95, sign=1)
    assert not found.separated(0, 2)
    assert found.separated(0, 1)
    assert found.bands == ((0,), (1, 2))


def test_one_model():
    found = rank([0.7], 0.1, 100)
    assert (found.order, found.pairs, found.ranges, found.bands) == ((0,), (), (RankRange(1, 1),), ((0,),))


def test_two_models_are_the_paired_comparison():
    values, replicates = np.array([0.62, 0.60]), replicates_around([0.62, 0.60], 0.005, 999)
    (pair,) = rank_replicates(values, replicates, level=0.95, sign=1).pairs
    plain = paired_difference(0.62, 0.60, replicates[0], replicates[1], level=0.95, sign=1)
    assert pair.adjusted_p == pair.difference.p == plain.p
    assert pair.word == word(plain, plain.p, 0.95)
    assert (pair.difference.low, pair.difference.high) == pytest.approx((plain.low, plain.high), abs=1e-3)


def test_models_that_are_the_same():
    replicates = np.tile(replicates_around([0.5], 0.1, 2500), (3, 1))
    for n in (2500, 50):
        found = rank_replicates(np.full(3, 0.5), replicates[:, :n], level=0.95, sign=1)
        assert all(pair.adjusted_p == 1 and pair.difference.low == pair.difference.high == 0 for pair in found.pairs)
        assert ranges(found) == [(1, 3)] * 3
        assert found.bands == ((0, 1, 2),)
        assert found.order == (0, 1, 2)


def test_scores_that_resampling_cannot_move():
    """A perfect and a constant model never vary. They differ; two perfect ones with other rounding do not."""
    values = np.array([1.0, 0.4, 1.0 - 1e-16])
    replicates = np.tile(values[:, None], (1, 100)).astype(np.float32)
    found = rank_replicates(values, replicates, level=0.95, sign=1)
    assert found.p_values == "normal"
    assert found.separated(0, 1)
    assert not found.separated(0, 2)
    assert all(pair.adjusted_p > 0 for pair in found.pairs)


# --- which p-values ---


def test_p_values_are_counted_where_there_are_enough_replicates():
    for k, level, needed in ((2, 0.95, 400), (4, 0.95, 2400), (3, 0.9, 600), (8, 0.95, 11_200)):
        values = list(np.linspace(0, 1, k))
        assert rank(values, 0.1, needed, level=level).p_values == "counted"
        assert rank(values, 0.1, needed - 1, level=level).p_values == "normal"


def test_counted_p_values_are_those_of_the_paired_comparison():
    values = [0.1, 0.2, 0.25]
    replicates = replicates_around(values, 0.05, 1500)
    found = rank_replicates(np.array(values), replicates, level=0.95, sign=1)
    raw = [
        paired_difference(values[one], values[other], replicates[one], replicates[other], level=0.95, sign=1).p
        for one, other in itertools.combinations(range(3), 2)
    ]
    assert [pair.difference.p for pair in found.pairs] == raw
    assert [pair.adjusted_p for pair in found.pairs] == holm(raw)


def test_normal_p_values_and_intervals_are_those_of_the_normal_distribution():
    values = [0.1, 0.2, 0.25, 0.3]
    replicates = replicates_around(values, 0.05, 300)
    found = rank_replicates(np.array(values), replicates, level=0.9, sign=1)
    for pair in found.pairs:
        spread = np.std(replicates[pair.first] - replicates[pair.second], ddof=1)
        value = values[pair.first] - values[pair.second]
        assert pair.difference.p == pytest.approx(2 * reference.norm.sf(abs(value) / spread))
        half = reference.norm.ppf(1 - 0.1 / 6 / 2) * spread
        assert (pair.difference.low, pair.difference.high) == pytest.approx((value - half, value + half))
    assert [pair.adjusted_p for pair in found.pairs] == holm([pair.difference.p for pair in found.pairs])


def test_counted_intervals_are_the_order_statistics_of_bonferroni():
    """R = 2,999 and 3 pairs at 95 %: c = 3000 · 0.05 / 6 = 25, so the 25th smallest and the 25th largest."""
    replicates = replicates_around([0.0, 0.1, 0.3], 0.1, 2999)
    found = rank_replicates(np.array([0.0, 0.1, 0.3]), replicates, level=0.95, sign=1)
    for pair in found.pairs:
        ordered = np.sort(replicates[pair.first] - replicates[pair.second])
        assert (pair.difference.low, pair.difference.high) == (ordered[24], ordered[-25])


def test_counted_and_normal_agree_where_replicates_are_normal():
    values = [0.0, 0.25, 0.5, 0.6]
    replicates = replicates_around(values, 0.1, 20_000)
    counted = rank_replicates(np.array(values), replicates, level=0.95, sign=1)
    normal = rank_replicates(np.array(values), replicates[:, :2000], level=0.95, sign=1)
    assert (counted.p_values, normal.p_values) == ("counted", "normal")
    for one, other in zip(counted.pairs, normal.pairs, strict=True):
        assert one.difference.p == pytest.approx(other.difference.p, abs=0.02)
        assert (one.difference.low, one.difference.high) == pytest.approx(
            (other.difference.low, other.difference.high), abs=0.03
        )


# --- what always holds ---

WORLDS = st.tuples(
    st.lists(st.integers(-8, 8), min_size=1, max_size=6),  # coarse, so that ties occur
    st.floats(0.01, 3),
    st.sampled_from([60, 700, 3000]),
    st.integers(0, 1000),
    st.sampled_from([1, -1]),
    st.booleans(),
)


def world(drawn) -> tuple[np.ndarray, np.ndarray, int]:
    values, spread, n, seed, sign, skewed = drawn
    rng = np.random.default_rng(seed)
    noise = rng.exponential(spread, (len(values), n)) if skewed else rng.normal(0, spread, (len(values), n))
    return np.array(values, dtype=float), np.array(values)[:, None] + noise - noise.mean(axis=1, keepdims=True), sign


@given(WORLDS)
def test_a_range_holds_the_rank_of_the_score(drawn):
    """Also both ends of a tie: a model is only ever called better than one of a strictly lower score."""
    values, replicates, sign = world(drawn)
    found = rank_replicates(values, replicates, level=0.95, sign=sign)
    for given_, mine in zip(found.ranges, values, strict=True):
        assert given_.best <= 1 + np.sum(sign * values > sign * mine)
        assert given_.worst >= len(values) - np.sum(sign * values < sign * mine)


@given(WORLDS)
def test_an_interval_that_leaves_out_zero_belongs_to_a_separated_pair(drawn):
    values, replicates, sign = world(drawn)
    for pair in rank_replicates(values, replicates, level=0.95, sign=sign).pairs:
        found = pair.difference
        if min(found.value, found.low) > 0:
            assert pair.word == "better"
        if max(found.value, found.high) < 0:
            assert pair.word == "worse"


@given(WORLDS)
def test_counted_intervals_leave_out_zero_exactly_where_bonferroni_rejects(drawn):
    values, replicates, sign = world(drawn)
    found = rank_replicates(values, replicates, level=0.8, sign=sign)
    if found.p_values == "counted":
        for pair in found.pairs:
            outside = pair.difference.low > 0 or pair.difference.high < 0
            assert outside == (len(found.pairs) * pair.difference.p <= 1 - 0.8)


def test_holm_may_separate_more_than_its_intervals_show():
    """With p = 0.001, 0.001 and 0.03 Bonferroni stops at 0.0167; Holm's third threshold is 0.05."""
    n, values = 1999, np.array([0.0, 1.0, 10.0])
    rng = np.random.default_rng(1)
    close = np.sort(rng.normal(1.0, 0.46, n))
    replicates = np.array([np.zeros(n), close + 1 - close.mean(), np.full(n, 10.0)])
    found = rank_replicates(values, replicates, level=0.95, sign=1)
    pair = found.pairs[0]
    assert 0.05 / 3 < pair.difference.p <= 0.05
    assert pair.word == "worse"
    assert pair.difference.low < 0 < pair.difference.high


@given(WORLDS, st.floats(-100, 100))
def test_adding_a_constant_to_all_models_changes_nothing(drawn, constant: float):
    values, replicates, sign = world(drawn)
    one = rank_replicates(values, replicates, level=0.95, sign=sign)
    other = rank_replicates(values + constant, replicates + constant, level=0.95, sign=sign)
    assert [pair.word for pair in other.pairs] == [pair.word for pair in one.pairs]
    assert (other.ranges, other.bands, other.order) == (one.ranges, one.bands, one.order)
    for before, after in zip(one.pairs, other.pairs, strict=True):
        assert after.difference.value == pytest.approx(before.difference.value, abs=1e-9)
        assert after.difference.low == pytest.approx(before.difference.low, abs=1e-9)


@given(WORLDS, st.randoms())
def test_the_order_in_which_models_are_given_does_not_matter(drawn, random):
    values, replicates, sign = world(drawn)
    shuffled = list(range(len(values)))
    random.shuffle(shuffled)
    one = rank_replicates(values, replicates, level=0.95, sign=sign)
    other = rank_replicates(values[shuffled], replicates[shuffled], level=0.95, sign=sign)
    assert [one.ranges[place] for place in shuffled] == list(other.ranges)


@given(WORLDS)
def test_removing_a_model_never_changes_the_differences_of_others(drawn):
    """p-values stay too, as long as they are of the same kind; ranges may become longer or shorter."""
    values, replicates, sign = world(drawn)
    if len(values) < 2:
        return
    every = rank_replicates(values, replicates, level=0.95, sign=sign)
    fewer = rank_replicates(values[:-1], replicates[:-1], level=0.95, sign=sign)
    kept = [pair for pair in every.pairs if pair.second < len(values) - 1]
    for before, after in zip(kept, fewer.pairs, strict=True):
        assert after.difference.value == before.difference.value
        if every.p_values == fewer.p_values:
            assert after.difference.p == before.difference.p


@given(WORLDS)
def test_bands_are_the_longest_runs_without_a_separated_pair(drawn):
    """By the definition: all runs are tried."""
    values, replicates, sign = world(drawn)
    found = rank_replicates(values, replicates, level=0.95, sign=sign)
    k = len(values)
    runs = [
        found.order[start:end]
        for start in range(k)
        for end in range(start + 1, k + 1)
        if not any(found.separated(a, b) for a, b in itertools.combinations(found.order[start:end], 2))
    ]
    longest = [run for run in runs if not any(set(run) < set(other) for other in runs)]
    assert list(found.bands) == longest


# --- the jackknife ---


def test_jackknife_pairs_are_paired_jackknifes():
    rng = np.random.default_rng(4)
    by_seed = rng.normal([[0.5], [0.6], [0.9]], 0.01, (3, 4))
    left_out = by_seed[:, None, :] + rng.normal(0, 0.01, (3, 8, 1))
    found = rank_jackknife(by_seed, left_out, 8, level=0.95, sign=1)
    assert found.p_values == "t"
    assert found.order == (2, 1, 0)
    for pair in found.pairs:
        a, b = pair.first, pair.second
        plain = paired_jackknife(by_seed[a], by_seed[b], left_out[a], left_out[b], 8, level=0.95, sign=1)
        wide = paired_jackknife(by_seed[a], by_seed[b], left_out[a], left_out[b], 8, level=1 - 0.05 / 3, sign=1)
        assert pair.difference == wide
        assert pair.difference.p == plain.p
    assert [pair.adjusted_p for pair in found.pairs] == holm([pair.difference.p for pair in found.pairs])


def test_donors_that_all_agree_exactly_may_separate_nothing_among_many_pairs():
    """p of each pair is 2/64; adjusted for three pairs it is 6/64. The intervals have no width."""
    by_seed = np.array([[0.2], [0.4], [0.9]])
    found = rank_jackknife(by_seed, np.repeat(by_seed[:, None, :], 6, axis=1), 6, level=0.95, sign=1)
    assert {pair.adjusted_p for pair in found.pairs} == {6 / 64}
    assert all(pair.word == "not separated" and pair.difference.low == pair.difference.high for pair in found.pairs)
    assert found.ranges == (RankRange(1, 3),) * 3


def test_jackknife_of_one_model():
    found = rank_jackknife(np.ones((1, 1)), np.ones((1, 6, 1)), 6, level=0.95, sign=1)
    assert (ranges(found), found.bands) == ([(1, 1)], ((0,),))


# --- what is refused ---


@pytest.mark.parametrize(
    ("values", "replicates", "message"),
    [
        ([0.1, math.nan], np.zeros((2, 9)), "values: expected finite numbers"),
        ([0.1, 0.2], np.full((2, 9), np.nan), "replicates: expected finite numbers"),
        ([0.1, 0.2], np.zeros((3, 9)), "expected 2 models × at least 2 replicates"),
        ([0.1, 0.2], np.zeros((2, 1)), "expected 2 models × at least 2 replicates"),
        ([0.1, 0.2], np.zeros(9), "replicates: expected 2 dimensions"),
        ([], np.zeros((0, 9)), "values: expected 1 dimensions, none of them empty"),
    ],
)
def test_replicates_that_cannot_be_ranked(values, replicates, message):
    with pytest.raises(ValueError, match=message):
        rank_replicates(np.array(values), replicates, level=0.95, sign=1)


def test_left_out_scores_of_other_models():
    with pytest.raises(ValueError, match="expected 2 models, found 3"):
        rank_jackknife(np.zeros((2, 1)), np.zeros((3, 6, 1)), 6, level=0.95, sign=1)


def test_studies_are_compared_by_paired_t_tests_of_all_pairs():
    rng = np.random.default_rng(4)
    values = np.array([0.0, 0.1, 0.12, 0.5])[:, None] + rng.normal(0, 0.05, (4, 9)) + rng.normal(0, 1, 9)
    found = rank_studies(values, level=0.95)
    pairs = list(itertools.combinations(range(4), 2))
    p_values = [reference.ttest_rel(values[one], values[other]).pvalue for one, other in pairs]
    adjusted, largest = [0.0] * 6, 0.0
    for place, i in enumerate(np.argsort(p_values)):
        largest = max(largest, min(1.0, (6 - place) * p_values[i]))
        adjusted[i] = largest
    assert [pair.adjusted_p for pair in found.pairs] == pytest.approx(adjusted)
    better = np.zeros((4, 4), dtype=bool)
    for (one, other), p in zip(pairs, adjusted, strict=True):
        if p <= 0.05:
            first = values[one].mean() > values[other].mean()
            better[(one, other) if first else (other, one)] = True
    expected = [(1 + int(better[:, one].sum()), 4 - int(better[one].sum())) for one in range(4)]
    assert ranges(found) == expected
    assert 0 < better.sum() < 6, "some pairs are apart and some are not"
    simultaneous = reference.ttest_rel(values[0], values[3]).confidence_interval(1 - 0.05 / 6)
    difference = found.pairs[2].difference
    assert (difference.low, difference.high) == pytest.approx((simultaneous.low, simultaneous.high))


def test_few_studies_have_no_ranks():
    with pytest.raises(ValueError, match="6 studies or more"):
        rank_studies(np.ones((3, 5)), level=0.95)
