"""Metrics of mixing by their definition in plain loops, and on cases that can be worked out on paper."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from scipy import optimize, stats
from sklearn.metrics import pairwise_distances

from cellgauge.tasks.expression import explained_by_batch
from cellgauge.tasks.lisi import effective_number, neighbour_shares
from cellgauge.tasks.mixing import batch_entropy, kbet_accepted, kbet_neighbours, neighbourhood_size
from cellgauge.tasks.neighbours import nearest
from cellgauge.tasks.silhouettes import batch_silhouettes, bras

N_CELLS = 120


def nearest_with_itself(embedding: np.ndarray, cell: int, k: int) -> np.ndarray:
    return np.argsort(np.linalg.norm(embedding - embedding[cell], axis=1))[:k]


def once(n: int) -> np.ndarray:
    return np.ones((1, n), dtype=np.float32)


# Entropy


def test_entropy_by_definition(cells: tuple[np.ndarray, np.ndarray, np.ndarray], rng: np.random.Generator) -> None:
    embedding, _, _ = cells
    batches, k = rng.integers(0, 3, N_CELLS), 12
    found = batch_entropy(nearest(embedding, 30)[0], batches, k)
    for i in range(N_CELLS):
        shares = [count / k for count in Counter(batches[nearest_with_itself(embedding, i, k)].tolist()).values()]
        assert found[i] == pytest.approx(-sum(share * math.log(share) for share in shares) / math.log(3))


def test_entropy_of_islands_is_0_and_of_mixed_pairs_1() -> None:
    line = np.arange(12.0)[:, None]
    islands = np.repeat([0, 1], 6)
    assert (batch_entropy(nearest(line + 100 * islands[:, None], 3)[0], islands, 4) == 0).all()
    pairs = np.repeat(np.arange(6.0), 2)[:, None] * 10 + np.tile([0.0, 1.0], 6)[:, None]
    np.testing.assert_allclose(batch_entropy(nearest(pairs, 3)[0], np.tile([0, 1], 6), 2), 1)


def test_the_cell_itself_counts_for_its_entropy() -> None:
    """One cell of batch 0 among three of batch 1: shares 1/4 and 3/4, so 0.811 bits."""
    line, batches = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([0, 1, 1, 1])
    expected = -(0.25 * math.log2(0.25) + 0.75 * math.log2(0.75))
    np.testing.assert_allclose(batch_entropy(nearest(line, 3)[0], batches, 4), expected)


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([[200, 150]], 50),
        ([[60, 30], [100, 100]], 15),
        ([[35, 13], [35, 35]], 6),
        ([[500, 9], [0, 80]], 40),
        ([[9, 3]], 0),
    ],
    ids=["at most 50", "half of the smallest", "rounded down", "stray cells do not decide", "only stray cells"],
)
def test_neighbourhoods_are_half_of_the_smallest_group(sizes: list[list[int]], expected: int) -> None:
    assert neighbourhood_size(np.array(sizes), most=50, fewest_cells=10) == expected


# LISI


def test_lisi_by_definition(cells: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    embedding, labels, _ = cells
    neighbours, distances = nearest(embedding, 89)
    found = effective_number(neighbour_shares(distances, 30), labels[neighbours])
    for i in range(0, N_CELLS, 7):
        others = nearest_with_itself(embedding, i, 90)[1:]
        apart = np.linalg.norm(embedding[others] - embedding[i], axis=1).astype(float)
        rate = optimize.brentq(lambda b, d=apart: stats.entropy(np.exp(-b * d)) - math.log(30), 1e-3, 100)
        shares = np.exp(-rate * apart) / np.exp(-rate * apart).sum()
        expected = 1 / sum(shares[labels[others] == label].sum() ** 2 for label in range(3))
        assert found[i] == pytest.approx(expected, abs=1e-4)


def test_shares_of_neighbours_have_the_perplexity_whatever_the_scale(rng: np.random.Generator) -> None:
    distances = np.sort(rng.gamma(2.0, size=(20, 89)), axis=1)
    for scale in (1e-4, 1.0, 1e5):
        shares = neighbour_shares(distances * scale, 30)
        np.testing.assert_allclose(shares.sum(axis=1), 1)
        np.testing.assert_allclose(stats.entropy(shares, axis=1), math.log(30), atol=1e-4)


def test_equally_far_neighbours_share_alike() -> None:
    """Half of each of two batches: two are effectively present; one batch alone: one."""
    shares = neighbour_shares(np.full((2, 60), 3.0), 20)
    np.testing.assert_allclose(shares, 1 / 60)
    groups = np.array([np.repeat([0, 1], 30), np.zeros(60, dtype=int)])
    np.testing.assert_allclose(effective_number(shares, groups), [2, 1])


def test_neighbours_at_no_distance_take_all_the_weight() -> None:
    """Forty copies of a cell are more than the perplexity of 30: no cell beyond them counts."""
    shares = neighbour_shares(np.repeat([[0.0, 1.0]], [40, 49], axis=1), 30)
    np.testing.assert_allclose(shares[0, :40], 1 / 40)
    assert shares[0, 40:].max() < 1e-12


# kBET


def test_kbet_is_the_chi_squared_test_of_scipy(cells: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    embedding, _, _ = cells
    batches = np.tile([0, 0, 0, 1, 2], 24)
    found = kbet_accepted(embedding, np.zeros(N_CELLS, dtype=int), batches, 0.1)
    for i in range(N_CELLS):
        observed = np.bincount(batches[nearest_with_itself(embedding, i, 10)], minlength=3)
        assert found[i] == (stats.chisquare(observed, [6, 2, 2]).pvalue >= 0.1)


def test_kbet_rejects_islands_and_accepts_alternating_cells() -> None:
    line, islands = np.arange(60.0)[:, None], np.repeat([0, 1], 30)
    assert kbet_accepted(line + 100 * islands[:, None], np.zeros(60, dtype=int), islands, 0.05).sum() == 0
    assert kbet_accepted(line, np.zeros(60, dtype=int), np.tile([0, 1], 30), 0.05).sum() == 60


def test_kbet_leaves_out_labels_that_say_nothing() -> None:
    """In one batch only, or with fewer cells than three neighbourhoods of ten."""
    labels = np.repeat([0, 1, 2], [40, 29, 30])
    batches = np.r_[np.zeros(40, dtype=int), np.arange(59) % 2]
    found = kbet_accepted(np.arange(99.0)[:, None], labels, batches, 0.05)
    assert np.isnan(found[:69]).all()
    assert np.isfinite(found[69:]).all()


@pytest.mark.parametrize(("sizes", "expected"), [((20, 20), 10), ((100, 60), 20), ((900, 100), 70)])
def test_kbet_neighbourhoods_are_a_quarter_of_a_batch_within_bounds(sizes: tuple[int, int], expected: int) -> None:
    assert kbet_neighbours(np.repeat([3, 5], sizes)) == expected


# Silhouettes


def test_batch_silhouettes_of_four_cells_on_a_line() -> None:
    """Batches at 0, 2 and at 1, 3. At 0: within 2, to the other (1 + 3) / 2, so s = 0. At 2: 2 and 1, so s = −1/2."""
    line, batches = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([0, 1, 0, 1])
    np.testing.assert_allclose(batch_silhouettes(line, np.zeros(4, dtype=int), batches), [1, 0.5, 0.5, 1])


def test_labels_of_one_batch_have_no_batch_silhouette() -> None:
    line = np.arange(9.0)[:, None]
    labels, batches = np.repeat([0, 1, 2], 3), np.array([0, 0, 0, 0, 1, 1, 0, 1, 2])
    for values in (batch_silhouettes(line, labels, batches), bras(line, labels, batches)):
        assert np.isnan(values[:3]).all(), "one batch"
        assert np.isfinite(values[3:6]).all()
        assert np.isnan(values[6:]).all(), "each cell a batch of its own"


def test_bras_by_definition(rng: np.random.Generator) -> None:
    embedding, batches = rng.normal(size=(30, 4)) + 1, np.r_[rng.integers(0, 3, 29), 3]
    distances = pairwise_distances(embedding, metric="cosine")
    found = bras(embedding, np.zeros(30, dtype=int), batches)
    for i in range(29):
        own = (batches == batches[i]) & (np.arange(30) != i)
        within, outside = distances[i, own].mean(), distances[i, batches != batches[i]].mean()
        assert found[i] == pytest.approx(1 - abs(outside - within) / max(within, outside))
    assert found[29] == 1, "the only cell of a batch has silhouette 0, as in scikit-learn"


def test_bras_of_orthogonal_batches_is_0_and_of_parallel_ones_1() -> None:
    batches, labels = np.repeat([0, 1], 5), np.zeros(10, dtype=int)
    lengths = np.arange(1.0, 11.0)[:, None]
    np.testing.assert_allclose(bras(lengths * np.eye(2)[batches], labels, batches), 0, atol=1e-12)
    np.testing.assert_allclose(bras(lengths * np.array([[3.0, 4.0]]), labels, batches), 1)


def test_bras_sees_the_gap_that_the_nearest_batch_hides(rng: np.random.Generator) -> None:
    """Two pairs of batches that overlap within the pair and are far from the other."""
    batches = np.repeat(np.arange(4), 25)
    embedding = rng.normal(size=(100, 2), scale=0.3) + 5 * np.eye(2)[batches // 2]
    labels = np.zeros(100, dtype=int)
    assert batch_silhouettes(embedding, labels, batches).mean() > 0.8
    assert bras(embedding, labels, batches).mean() < 0.3


# Principal component regression


def test_explained_variance_by_regression_on_each_component(rng: np.random.Generator) -> None:
    batches = rng.integers(0, 4, 50)
    space = rng.normal(size=(50, 7)) * np.arange(1, 8) + 50 + np.eye(7)[batches]
    weights = rng.integers(0, 3, 50)
    repeated, of = np.repeat(space, weights, axis=0), np.eye(4)[np.repeat(batches, weights)]
    centred = repeated - repeated.mean(axis=0)
    left, singular, _ = np.linalg.svd(centred, full_matrices=False)
    fitted = of @ np.linalg.lstsq(of, left * singular, rcond=None)[0]
    r_squared = (fitted**2).sum(axis=0) / singular**2
    expected = (singular**2 * r_squared).sum() / (singular**2).sum()
    assert explained_by_batch(space, batches, weights[None].astype(np.float32))[0] == pytest.approx(expected)


def test_the_batch_explains_all_of_itself_and_nothing_of_equal_means() -> None:
    batches = np.array([0, 0, 1, 1])
    assert explained_by_batch(np.eye(2)[batches], batches, once(4))[0] == pytest.approx(1)
    assert explained_by_batch(np.array([[-1.0], [1.0], [-2.0], [2.0]]), batches, once(4))[0] == pytest.approx(0)
    assert np.isnan(explained_by_batch(np.full((4, 3), 0.1, dtype=np.float32), batches, once(4))[0])
