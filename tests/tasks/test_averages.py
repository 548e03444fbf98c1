"""Averages under weights are those of cells that are repeated, left out, or taken as they are."""

from __future__ import annotations

import numpy as np
import pytest

from cellgauge.tasks.averages import mean_by_group, mean_over_groups, weighted_mean, weighted_median


@pytest.fixture(params=range(4))
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    return np.random.default_rng(request.param)


def test_weights_of_one_change_nothing(rng: np.random.Generator) -> None:
    values, groups = rng.normal(size=31), rng.integers(0, 4, 31)
    once = np.ones((1, 31), dtype=np.float32)
    assert weighted_mean(values, once)[0] == pytest.approx(values.mean())
    assert weighted_median(values, once)[0] == np.median(values)
    by_group = [values[groups == group].mean() for group in range(4)]
    assert mean_by_group(values, groups, once)[:, 0] == pytest.approx(by_group)
    assert mean_over_groups(values, groups, once)[0] == pytest.approx(np.mean(by_group))


def test_whole_weights_are_repeated_cells(rng: np.random.Generator) -> None:
    values, groups = np.round(rng.normal(size=30), 1), np.arange(30) % 3
    weights = rng.integers(0, 4, (5, 30)).astype(np.float32)
    for row, mean, median, macro in zip(
        weights,
        weighted_mean(values, weights),
        weighted_median(values, weights),
        mean_over_groups(values, groups, weights),
        strict=True,
    ):
        repeat = np.repeat(np.arange(30), row.astype(int))
        assert mean == pytest.approx(values[repeat].mean())
        assert median == pytest.approx(np.median(values[repeat]))
        by_group = [values[repeat][groups[repeat] == group].mean() for group in range(3)]
        assert macro == pytest.approx(np.mean(by_group))


def test_every_cell_twice_is_every_cell_once(rng: np.random.Generator) -> None:
    values, groups = rng.normal(size=20), np.arange(20) % 3
    weights = np.ones((1, 20), dtype=np.float32) * np.array([[1], [2], [7]], dtype=np.float32)
    for average in (weighted_mean(values, weights), weighted_median(values, weights)):
        assert average == pytest.approx(average[0])
    assert mean_over_groups(values, groups, weights) == pytest.approx(mean_over_groups(values, groups, weights)[0])


def test_cells_of_weight_zero_are_not_there(rng: np.random.Generator) -> None:
    values, donors, groups = rng.normal(size=40), np.arange(40) % 4, rng.integers(0, 3, 40)
    kept = donors != 2
    weights = kept.astype(np.float32)[None]
    assert weighted_mean(values, weights)[0] == pytest.approx(values[kept].mean())
    assert weighted_median(values, weights)[0] == pytest.approx(np.median(values[kept]))
    by_group = [values[kept & (groups == group)].mean() for group in np.unique(groups[kept])]
    assert mean_over_groups(values, groups, weights)[0] == pytest.approx(np.mean(by_group))


def test_the_median_of_an_even_number_lies_between_the_middle_two() -> None:
    values = np.array([4.0, 1.0, 3.0, 10.0])
    weights = np.array([[1, 1, 1, 1], [2, 2, 0, 0], [0, 1, 0, 2], [0, 0, 5, 0]], dtype=np.float32)
    assert weighted_median(values, weights).tolist() == [3.5, 2.5, 10.0, 3.0]


def test_a_group_without_weight_has_no_part_in_the_mean_over_groups() -> None:
    values, groups = np.array([1.0, 3.0, 8.0]), np.array([0, 0, 1])
    weights = np.array([[1, 1, 1], [1, 1, 0], [0, 0, 1]], dtype=np.float32)
    assert mean_over_groups(values, groups, weights).tolist() == [5.0, 2.0, 8.0]
    assert np.isnan(mean_by_group(values, groups, weights)[1, 1])


def test_cells_without_a_value_take_no_part() -> None:
    values, groups = np.array([1.0, np.nan, np.nan, 4.0]), np.array([0, 0, 1, 2])
    once = np.ones((1, 4), dtype=np.float32)
    assert weighted_mean(values, once)[0] == 2.5
    np.testing.assert_array_equal(mean_by_group(values, groups, once)[:, 0], [1.0, np.nan, 4.0])
    assert mean_over_groups(values, groups, once)[0] == 2.5


def test_where_no_cell_is_left_there_is_no_average() -> None:
    values, nothing = np.arange(3.0), np.zeros((1, 3), dtype=np.float32)
    assert np.isnan(weighted_mean(values, nothing)[0])
    assert np.isnan(weighted_median(values, nothing)[0])
    assert np.isnan(mean_over_groups(values, np.array([0, 1, 1]), nothing)[0])
