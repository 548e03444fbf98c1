"""Each step weighs its parts equally, says how many are there, and only studies are counted as independent."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as reference

from cellgauge.stats.studies import Entry, aggregate, compare_over_studies, weights


def entry(study: str, dataset: str, family: str, metric: str, value: float | None) -> Entry:
    return Entry(study, dataset, family, metric, simulated=False, value=value)


def per_study(values: list[float | None]) -> list[Entry]:
    """One dataset, family and metric in each study."""
    return [entry(f"s{one}", f"d{one}", "f", "m", value) for one, value in enumerate(values)]


UNEVEN = [
    # Study a: dataset a1 with two metrics of one family and one of another, dataset a2 with one.
    entry("a", "a1", "agreement", "ari", 0.2),
    entry("a", "a1", "agreement", "nmi", 0.4),
    entry("a", "a1", "separation", "silhouette", 0.9),
    entry("a", "a2", "agreement", "ari", 0.0),
    # Study b: one number.
    entry("b", "b1", "agreement", "ari", 1.0),
]


def test_equal_weight_at_each_step_on_paper():
    """a1: (0.3 + 0.9) / 2 = 0.6; a: (0.6 + 0) / 2 = 0.3; task: (0.3 + 1) / 2 = 0.65. The plain mean would be 0.5."""
    found = aggregate(UNEVEN)
    assert found.value == pytest.approx(0.65)
    a, b = found.parts
    assert (a.name, b.name) == ("a", "b")
    assert (a.value, b.value) == pytest.approx((0.3, 1.0))
    assert [part.value for part in a.parts] == pytest.approx([0.6, 0.0])
    assert [part.value for part in a.parts[0].parts] == pytest.approx([0.3, 0.9])
    assert [metric.name for metric in a.parts[0].parts[0].parts] == ["ari", "nmi"]


def test_many_datasets_of_one_study_weigh_as_one():
    """26 tissues of one atlas and one other study: n is 2, and the mean is half each."""
    tissues = [entry("atlas", f"tissue-{one}", "f", "m", 0.9) for one in range(26)]
    found = aggregate([*tissues, entry("other", "d", "f", "m", 0.1)])
    assert (found.n, found.of) == (2, 2)
    assert found.value == pytest.approx(0.5)


def test_what_is_missing_is_counted_at_each_step():
    entries = [
        replace(UNEVEN[0], value=None),  # one of two metrics
        UNEVEN[1],
        replace(UNEVEN[2], value=None),  # the only metric of a family
        UNEVEN[3],
        replace(UNEVEN[4], value=None),  # the only number of a study
    ]
    found = aggregate(entries)
    a, b = found.parts
    a1, a2 = a.parts
    agreement, separation = a1.parts
    assert (found.n, found.of, found.value) == (1, 2, pytest.approx(0.2))
    assert (b.n, b.of, b.value) == (0, 1, None)
    assert (a.n, a.of, a1.n, a1.of, a2.n, a2.of) == (2, 2, 1, 2, 1, 1)
    assert (agreement.n, agreement.of, agreement.value) == (1, 2, 0.4)
    assert (separation.n, separation.of, separation.value) == (0, 1, None)


def test_nothing_is_imputed_where_nothing_is_there():
    found = aggregate([replace(one, value=None) for one in UNEVEN])
    assert (found.value, found.n, found.of) == (None, 0, 2)


@given(st.permutations(UNEVEN))
def test_the_order_of_entries_does_not_matter(entries):
    assert aggregate(entries).value == pytest.approx(0.65, abs=1e-15)


def test_the_same_by_plain_loops():
    rng = np.random.default_rng(1)
    values = rng.normal(size=(3, 2, 2, 3))
    entries = [
        entry(f"s{s}", f"s{s}d{d}", f"f{f}", f"f{f}m{m}", float(values[s, d, f, m]))
        for s, d, f, m in itertools.product(range(3), range(2), range(2), range(3))
        if (s, d, f, m) not in {(0, 0, 0, 0), (1, 1, 0, 2), (2, 0, 1, 1)}
    ]
    for place in ((0, 0, 0, 0), (1, 1, 0, 2), (2, 0, 1, 1)):
        values[place] = np.nan
    expected = np.nanmean(np.nanmean(np.nanmean(np.nanmean(values, axis=3), axis=2), axis=1))
    assert aggregate(entries).value == pytest.approx(expected)


# --- refused ---


def test_simulated_cells_never_enter():
    with pytest.raises(ValueError, match="b, b1, agreement, ari: simulated cells never enter a mean over studies"):
        aggregate([*UNEVEN[:4], replace(UNEVEN[4], simulated=True)])
    with pytest.raises(ValueError, match="simulated"):
        aggregate([*UNEVEN[:4], replace(UNEVEN[4], simulated=True, value=None)])
    with pytest.raises(ValueError, match="simulated"):
        compare_over_studies(UNEVEN, [replace(UNEVEN[0], simulated=True), *UNEVEN[1:]], level=0.95)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([replace(UNEVEN[0], value=math.nan)], "a, a1, agreement, ari: expected a finite number or none, found nan"),
        ([replace(UNEVEN[0], value=math.inf)], "found inf"),
        ([UNEVEN[0], UNEVEN[0]], "a, a1, agreement, ari: given twice"),
        ([UNEVEN[0], replace(UNEVEN[1], study="b")], "b, a1, agreement, nmi: the dataset is also in a"),
        ([], "at least one entry"),
    ],
)
def test_what_cannot_be_averaged(entries, message):
    with pytest.raises(ValueError, match=message):
        aggregate(entries)


# --- comparison ---


@given(st.integers(0, 1000), st.integers(6, 20))
def test_from_six_studies_on_it_is_the_paired_t_test(seed: int, n: int):
    ours, theirs = np.random.default_rng(seed).normal(size=(2, n))
    found = compare_over_studies(per_study(ours.tolist()), per_study(theirs.tolist()), level=0.95)
    expected = reference.ttest_rel(ours, theirs)
    interval = expected.confidence_interval(0.95)
    assert found.note is None
    assert found.difference.value == pytest.approx((ours - theirs).mean())
    assert (found.low, found.high, found.p) == pytest.approx((interval.low, interval.high, expected.pvalue))


def test_studies_of_many_datasets_count_once_in_the_interval():
    """Seven studies with one to three datasets: six degrees of freedom, not twelve."""
    rng = np.random.default_rng(2)
    values = [rng.normal(size=1 + study % 3) for study in range(7)]
    ours = [
        entry(f"s{study}", f"s{study}d{one}", "f", "m", float(value))
        for study, some in enumerate(values)
        for one, value in enumerate(some)
    ]
    found = compare_over_studies(ours, [replace(one, value=0.0) for one in ours], level=0.95)
    expected = reference.ttest_1samp([some.mean() for some in values], 0)
    interval = expected.confidence_interval(0.95)
    assert (found.low, found.high, found.p) == pytest.approx((interval.low, interval.high, expected.pvalue))


@pytest.mark.parametrize("n", [1, 2, 5])
def test_with_five_studies_or_fewer_the_order_is_descriptive(n: int):
    found = compare_over_studies(per_study([0.9] * n), per_study([0.1, 0.2, 0.3, 0.4, 0.5][:n]), level=0.95)
    assert found.difference.value is not None
    assert (found.low, found.high, found.p, found.note) == (None, None, None, "order is descriptive")


def test_datasets_of_one_study_are_points_and_never_an_interval():
    tissues = [entry("atlas", f"tissue-{one}", "f", "m", 0.1 * one) for one in range(26)]
    found = compare_over_studies(tissues, [replace(one, value=0.0) for one in tissues], level=0.95)
    assert (found.difference.n, found.low, found.note) == (1, None, "order is descriptive")
    assert len(found.difference.parts[0].parts) == 26


def test_only_what_both_have_is_compared():
    """Study 0 is missing in one model and study 1 in the other; the rest of seven is five, too few for an interval."""
    ours = [None, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
    theirs = [0.9, None, 0.5, 0.5, 0.5, 0.5, 0.5]
    found = compare_over_studies(per_study(ours), per_study(theirs), level=0.95)
    assert (found.difference.n, found.difference.of) == (5, 7)
    assert found.difference.value == pytest.approx(0.3)
    assert found.note == "order is descriptive"


def test_a_model_gains_nothing_by_missing_the_difficult_metric():
    """Both have 0.9 by one metric; only one was measured by the metric where both would be at 0.1."""
    honest = [entry("s", "d", "f", "easy", 0.9), entry("s", "d", "f", "hard", 0.1)]
    found = compare_over_studies([honest[0], replace(honest[1], value=None)], honest, level=0.95)
    assert found.difference.value == 0
    assert (found.difference.parts[0].parts[0].parts[0].n, found.difference.parts[0].parts[0].parts[0].of) == (1, 2)


def test_models_with_nothing_in_common():
    found = compare_over_studies(per_study([0.5, None]), per_study([None, 0.5]), level=0.95)
    assert (found.difference.value, found.difference.n, found.note) == (None, 0, "order is descriptive")


def test_models_that_were_planned_differently():
    with pytest.raises(ValueError, match="must be given without a value"):
        compare_over_studies(per_study([0.5, 0.6]), per_study([0.5]), level=0.95)


def test_studies_that_all_agree_exactly():
    """Six equal differences: p is that of the sign test, and a model against itself gives 1."""
    found = compare_over_studies(per_study([0.75] * 6), per_study([0.5] * 6), level=0.95)
    assert (found.low, found.high, found.p) == (0.25, 0.25, 2 / 64)
    same = per_study([0.1, 0.7, 0.3, 0.4, 0.5, 0.6])
    assert compare_over_studies(same, same, level=0.95).p == 1.0


@given(st.floats(-5, 5))
def test_adding_a_constant_to_both_changes_nothing(constant: float):
    ours, theirs = np.random.default_rng(3).normal(size=(2, 8))
    one = compare_over_studies(per_study(ours.tolist()), per_study(theirs.tolist()), level=0.95)
    other = compare_over_studies(
        per_study((ours + constant).tolist()), per_study((theirs + constant).tolist()), level=0.95
    )
    assert (other.low, other.high, other.p) == pytest.approx((one.low, one.high, one.p), abs=1e-9)


def test_weights_give_the_mean_where_nothing_is_missing():
    whole = [
        replace(one, value=value)
        for one, value in zip(UNEVEN, np.random.default_rng(5).normal(size=len(UNEVEN)), strict=True)
    ]
    assert weights(whole) @ [one.value for one in whole] == pytest.approx(aggregate(whole).value, abs=1e-14)
    assert weights(whole).sum() == pytest.approx(1)
