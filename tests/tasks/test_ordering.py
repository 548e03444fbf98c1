"""Ordering in time: metrics against other implementations and cases known on paper."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import pdist
from scipy.stats import spearmanr
from sklearn.metrics import pairwise_distances, silhouette_samples

from cellgauge.tasks.contract import Cells, UnscorableError
from cellgauge.tasks.ordering import prepare
from cellgauge.tasks.weighted_ranks import spearman

KEYS = ["neighbourhood-alignment", "silhouette-time", "knn-time-correlation", "centroid-time-correlation"]


def once(n: int) -> np.ndarray:
    return np.ones((1, n), dtype=np.float32)


def scores(
    embedding: np.ndarray, times: np.ndarray, k: int, weights: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    cells = Cells({"time": times.astype(str)})
    fit = prepare(embedding.astype(np.float32), cells, {"n_neighbors": k}, KEYS)(42)
    return dict(fit.scores(once(len(times)) if weights is None else weights))


@pytest.fixture(params=range(3))
def some(request: pytest.FixtureRequest) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(request.param)
    times = rng.choice([0.5, 1.0, 2.0, 4.0, 8.5], 60)
    embedding = rng.normal(size=(60, 4))
    embedding[:, 0] += np.log(times)
    return embedding.astype(np.float32), times


def test_every_score_by_its_definition(some) -> None:
    embedding, times = some
    found = scores(embedding, times, 7)
    distances = pairwise_distances(embedding.astype(float))
    np.fill_diagonal(distances, np.inf)
    neighbours = np.argsort(distances, axis=1)[:, :7]
    apart = np.abs(times[:, None] - times)
    chance = apart[~np.eye(60, dtype=bool)].mean()
    gap = np.take_along_axis(apart, neighbours, axis=1).mean()
    assert found["neighbourhood-alignment"][0] == pytest.approx(1 - gap / chance)
    names, codes = np.unique(times, return_inverse=True)
    assert found["silhouette-time"][0] == pytest.approx((silhouette_samples(embedding, codes).mean() + 1) / 2)
    guess = times[neighbours].mean(axis=1)
    assert found["knn-time-correlation"][0] == pytest.approx(spearmanr(times, guess).statistic)
    centroids = np.array([embedding[codes == code].astype(float).mean(axis=0) for code in range(len(names))])
    expected = spearmanr(pdist(centroids), pdist(names[:, None])).statistic
    assert found["centroid-time-correlation"][0] == pytest.approx(expected)


def test_a_perfect_line_is_perfect_and_the_reverse_too() -> None:
    times = np.repeat(np.arange(10.0), 6)
    line = np.c_[times * 10, np.tile(np.arange(6), 10) * 0.001]
    for sign in (1, -1):
        found = scores(sign * line, times, 5)
        assert found["neighbourhood-alignment"][0] == 1
        assert found["knn-time-correlation"][0] == pytest.approx(1)
        assert found["centroid-time-correlation"][0] == pytest.approx(1)
        assert found["silhouette-time"][0] > 0.99


def test_random_neighbours_align_by_nothing_on_average() -> None:
    rng = np.random.default_rng(5)
    times = np.repeat([0.0, 1.0, 3.0, 10.0], 30)
    found = [scores(rng.normal(size=(120, 5)), times, 10)["neighbourhood-alignment"][0] for _ in range(40)]
    assert abs(np.mean(found)) < 3 * np.std(found) / np.sqrt(len(found))


def test_the_unit_of_time_changes_nothing(some) -> None:
    embedding, times = some
    one, other = scores(embedding, times, 7), scores(embedding, times * 24, 7)
    for key in KEYS:
        np.testing.assert_allclose(one[key], other[key])


def test_weights_are_cells_counted_again(some) -> None:
    """Rank correlations under weights are those of repeated cells; the other scores are weighted means."""
    embedding, times = some
    rng = np.random.default_rng(1)
    weights = rng.integers(0, 4, (5, 60)).astype(np.float32)
    found = spearman(times, embedding[:, 0], weights)
    for row, value in zip(weights.astype(int), found, strict=True):
        again = np.repeat(np.arange(60), row)
        assert value == pytest.approx(spearmanr(times[again], embedding[again, 0]).statistic)
    silhouette = (silhouette_samples(embedding, np.unique(times, return_inverse=True)[1]) + 1) / 2
    under = scores(embedding, times, 7, weights)["silhouette-time"]
    np.testing.assert_allclose(under, [np.average(silhouette, weights=row) for row in weights], rtol=1e-6)


def test_few_time_points_have_no_correlation_of_centroids() -> None:
    times = np.repeat([1.0, 2.0, 3.0], 20)
    cells = Cells({"time": times.astype(str)})
    fit = prepare(np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32), cells, {"n_neighbors": 5}, KEYS)(1)
    assert fit.undefined == {"centroid-time-correlation": "3 time points; at least 4 are needed"}


@pytest.mark.parametrize(
    ("times", "message"),
    [
        (["day 1"] * 30, 'times must be numbers, such as days; found "day 1"'),
        (["nan"] * 30, 'found "nan"'),
        (["3"] * 30, "1 different times among 30 cells"),
        ([str(i) for i in range(30)], "30 different times among 30 cells"),
    ],
)
def test_times_without_an_order_are_refused(times: list[str], message: str) -> None:
    with pytest.raises(UnscorableError, match=message):
        prepare(np.ones((30, 2), dtype=np.float32), Cells({"time": np.array(times)}), {"n_neighbors": 5}, KEYS)
