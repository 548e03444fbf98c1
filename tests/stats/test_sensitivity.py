"""Each omission says what the order would be without it, over what all models have."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as reference

from cellgauge.stats.sensitivity import leave_one_out
from cellgauge.stats.studies import Entry, aggregate

PLACES = [
    ("a", "a1", "f", "m1"),
    ("a", "a1", "g", "m2"),
    ("a", "a2", "f", "m1"),
    ("a", "a2", "g", "m2"),
    ("b", "b1", "f", "m1"),
    ("b", "b1", "g", "m2"),
]


def entries(*values: float | None) -> list[Entry]:
    return [Entry(*place, simulated=False, value=value) for place, value in zip(PLACES, values, strict=True)]


MODELS = {
    "steady": entries(0.5, 0.5, 0.5, 0.5, 0.5, 0.5),
    "one-study": entries(0.2, 0.2, 0.2, 0.2, 1.0, 1.0),  # 0.6 in all, by study b
    "last": entries(0.1, 0.1, 0.1, 0.1, 0.1, 0.1),
}


def test_on_paper():
    found = leave_one_out(MODELS)
    assert found.order.models == ("one-study", "steady", "last")
    assert found.order.values == pytest.approx((0.6, 0.5, 0.1))
    assert (found.n, found.of) == (6, 6)
    by_name = {(one.kind, one.name): one for one in found.omissions}
    assert list(by_name) == [
        *(("dataset", name) for name in ("a1", "a2", "b1")),
        *(("study", name) for name in ("a", "b")),
        *(("metric", name) for name in ("m1", "m2")),
    ]
    without = by_name["study", "b"]
    assert without.order is not None
    assert without.order.models == ("steady", "one-study", "last")
    assert without.order.values == pytest.approx((0.5, 0.2, 0.1))
    assert without.tau == pytest.approx(1 / 3)  # two pairs of three agree
    assert without.moved == ("steady", "one-study")
    assert without.first_changes
    for key in (("study", "a"), ("dataset", "a1"), ("dataset", "a2"), ("metric", "m1"), ("metric", "m2")):
        assert (by_name[key].tau, by_name[key].moved, by_name[key].first_changes) == (pytest.approx(1), (), False)
    assert by_name["dataset", "b1"] == replace(without, kind="dataset", name="b1")


def test_leaving_out_the_only_study_leaves_nothing():
    one_study = {
        "x": [Entry("s", "d1", "f", "m", False, 0.1), Entry("s", "d2", "f", "m", False, 0.2)],
        "y": [Entry("s", "d1", "f", "m", False, 0.3), Entry("s", "d2", "f", "m", False, 0.1)],
    }
    by_kind = {one.kind: one for one in leave_one_out(one_study).omissions}
    for kind in ("study", "metric"):
        one = by_kind[kind]
        assert (one.order, one.tau, one.moved, one.first_changes) == (None, None, (), False)
    assert by_kind["dataset"].order is not None


def test_only_entries_that_all_models_have_are_used():
    """ "last" lacks study b: without it "steady" leads, and study b is not among the omissions."""
    found = leave_one_out(MODELS | {"last": entries(0.1, 0.1, 0.1, 0.1, None, None)})
    assert (found.n, found.of) == (4, 6)
    assert found.order.models == ("steady", "one-study", "last")
    assert {one.name for one in found.omissions if one.kind == "study"} == {"a"}


def test_ties_are_ties_whatever_the_order_of_summation():
    """0.1 + 0.2 and 0.15 + 0.15 differ in the last digit of a double."""
    found = leave_one_out(
        {"x": entries(0.1, 0.2, 0.1, 0.2, 0.1, 0.2), "y": entries(*[0.15] * 6), "z": entries(*[0.0] * 6)}
    )
    by_name = {(one.kind, one.name): one for one in found.omissions}
    assert by_name["dataset", "a1"].moved == ()
    assert not by_name["study", "a"].first_changes
    assert by_name["metric", "m1"].moved == ("x", "y")  # x then leads with 0.2
    assert by_name["metric", "m1"].first_changes
    assert by_name["metric", "m1"].tau == pytest.approx(reference.kendalltau([2, 2, 1], [3, 2, 1]).statistic)


def test_one_model_has_no_correlation():
    found = leave_one_out({"only": MODELS["steady"]})
    assert found.order.models == ("only",)
    assert all(one.tau is None and one.moved == () and not one.first_changes for one in found.omissions)


@given(st.lists(st.lists(st.floats(-1, 1), min_size=6, max_size=6), min_size=2, max_size=5))
def test_against_aggregating_by_hand(values: list[list[float]]):
    models = {f"model-{one}": entries(*some) for one, some in enumerate(values)}
    found = leave_one_out(models)
    full = [round(aggregate(some).value or 0.0, 12) for some in models.values()]
    for omission in found.omissions:
        rest = [[one for one in some if getattr(one, omission.kind) != omission.name] for some in models.values()]
        means = [round(aggregate(some).value or 0.0, 12) for some in rest]
        assert omission.order is not None
        assert dict(zip(omission.order.models, omission.order.values, strict=True)) == dict(
            zip(models, means, strict=True)
        )
        assert list(omission.order.values) == sorted(means, reverse=True)
        before, after = reference.rankdata(full), reference.rankdata(means)
        assert set(omission.moved) == {name for name, a, b in zip(models, before, after, strict=True) if a != b}
        if len(set(full)) > 1 and len(set(means)) > 1:
            assert omission.tau == pytest.approx(reference.kendalltau(full, means).statistic)
        else:
            assert omission.tau is None


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ({}, "at least one model"),
        ({"x": entries(*[0.1] * 6), "y": entries(*[0.1] * 6)[:3]}, "must be given without a value"),
        ({"x": entries(0.1, *[None] * 5), "y": entries(None, *[0.1] * 5)}, "no entry in common"),
        ({"x": [replace(one, simulated=True) for one in entries(*[0.1] * 6)]}, "simulated"),
    ],
)
def test_what_cannot_be_ordered(models, message):
    with pytest.raises(ValueError, match=message):
        leave_one_out(models)
