"""Metrics of conservation by their definition in plain loops, and on cases that can be worked out on paper."""

from __future__ import annotations

import numpy as np
import pytest

from cellgauge.tasks.conservation import connectivity_by_label, isolated_labels, pieces
from cellgauge.tasks.neighbours import nearest
from cellgauge.tasks.silhouettes import label_silhouettes


@pytest.fixture(params=range(3))
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    return np.random.default_rng(request.param)


@pytest.fixture
def embedding(rng: np.random.Generator) -> np.ndarray:
    return rng.normal(size=(90, 5)).astype(np.float32)


def once(n: int) -> np.ndarray:
    return np.ones((1, n), dtype=np.float32)


def reachable(start: int, edges: list[set[int]]) -> set[int]:
    seen, waiting = {start}, [start]
    while waiting:
        for end in edges[waiting.pop()] - seen:
            seen.add(end)
            waiting.append(end)
    return seen


def test_connectivity_by_walking_along_edges(embedding: np.ndarray, rng: np.random.Generator) -> None:
    labels = rng.integers(0, 3, 90)
    neighbours, _ = nearest(embedding, 4)
    edges = [{int(end) for end in row if labels[end] == labels[start]} for start, row in enumerate(neighbours)]
    reached = [reachable(start, edges) for start in range(90)]
    there_and_back = [sum(start in reached[end] for end in reached[start]) for start in range(90)]
    expected = [
        max(size for size, own in zip(there_and_back, labels, strict=True) if own == label) for label in range(3)
    ]
    found = connectivity_by_label(pieces(neighbours, labels), labels, once(90))[:, 0]
    np.testing.assert_allclose(found, np.array(expected) / np.bincount(labels))


def test_connectivity_of_two_islands_is_the_share_of_the_larger() -> None:
    line = np.r_[np.arange(6.0), 100.0, 101.0, np.arange(200.0, 204.0)][:, None]
    labels = np.repeat([0, 1], [8, 4])
    piece = pieces(nearest(line, 1)[0], labels)
    assert len(np.unique(piece)) >= 3
    two_ways = pieces(nearest(line, 2)[0], labels)
    np.testing.assert_allclose(connectivity_by_label(two_ways, labels, once(12))[:, 0], [6 / 8, 1])


def test_under_weights_the_heaviest_piece_counts_and_empty_labels_do_not() -> None:
    piece, labels = np.array([0, 0, 1, 1, 2]), np.array([0, 0, 0, 0, 1])
    weights = np.array([[1, 1, 1, 1, 1], [1, 1, 3, 3, 1], [1, 0, 0, 2, 0]], dtype=np.float32)
    np.testing.assert_allclose(connectivity_by_label(piece, labels, weights), [[0.5, 0.75, 2 / 3], [1, 1, np.nan]])


def test_isolated_labels_are_those_in_the_fewest_batches() -> None:
    labels = np.array([0, 0, 0, 1, 1, 2, 2, 3])
    batches = np.array([0, 1, 2, 0, 1, 2, 2, 1])
    assert isolated_labels(labels, batches).tolist() == [2, 3]
    everywhere = np.tile([0, 1], 4)
    assert isolated_labels(np.repeat([0, 1], 4), everywhere).tolist() == [0, 1]


def test_label_silhouettes_of_four_cells_on_a_line() -> None:
    """Labels at 0, 1 and at 4, 5. At 0: within 1, to the other 4.5; at 1: 1 and 3.5."""
    line = np.array([[0.0], [1.0], [4.0], [5.0]])
    outer, inner = (3.5 / 4.5 + 1) / 2, (2.5 / 3.5 + 1) / 2
    np.testing.assert_allclose(label_silhouettes(line, np.array([0, 0, 1, 1])), [outer, inner, inner, outer])
