"""Every metric of integration that scib-metrics has, on the same cells."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from cellgauge.tasks.averages import mean_over_groups
from cellgauge.tasks.conservation import connectivity_by_label, isolated_labels, pieces
from cellgauge.tasks.expression import explained_by_batch
from cellgauge.tasks.lisi import effective_number, neighbour_shares
from cellgauge.tasks.mixing import kbet_accepted
from cellgauge.tasks.neighbours import nearest
from cellgauge.tasks.silhouettes import batch_silhouettes, bras, label_silhouettes

pytestmark = pytest.mark.slow  # scib-metrics is compiled while it runs, anew for each shape of its input
N_CELLS = 120
ONCE = np.ones((1, N_CELLS), dtype=np.float32)


@pytest.fixture(scope="module")
def scib() -> Any:
    return pytest.importorskip("scib_metrics")


def with_itself(embedding: np.ndarray, k: int) -> Any:
    """The k nearest cells of each, itself first, as scib-metrics wants them."""
    from scib_metrics.nearest_neighbors import NeighborsResults

    distances, indices = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(embedding).kneighbors(embedding)
    return NeighborsResults(indices=indices, distances=distances)


def test_lisi_is_scib_metrics(cells: tuple[np.ndarray, np.ndarray, np.ndarray], scib: Any) -> None:
    embedding, labels, batches = cells
    neighbours, distances = nearest(embedding, 89)
    shares = neighbour_shares(distances, 30)
    theirs = with_itself(embedding, 90)
    for groups in (labels, batches):
        expected = scib.lisi_knn(theirs, groups.astype(str), perplexity=30)
        np.testing.assert_allclose(effective_number(shares, groups[neighbours]), expected, rtol=2e-4)


def test_kbet_is_scib_metrics_within_each_label(cells: tuple[np.ndarray, np.ndarray, np.ndarray], scib: Any) -> None:
    embedding, labels, batches = cells
    found = kbet_accepted(embedding, labels, batches, 0.05)
    for label in range(3):
        members = labels == label
        rate, _, p_values = scib.kbet(with_itself(embedding[members], 10), batches[members], alpha=0.05)
        np.testing.assert_array_equal(found[members], p_values >= 0.05)
        assert found[members].mean() == pytest.approx(float(rate))


def test_batch_silhouettes_are_scib_metrics(cells: tuple[np.ndarray, np.ndarray, np.ndarray], scib: Any) -> None:
    embedding, labels, batches = cells
    names = np.array(["x", "y", "z"])[labels], np.array(["p", "q"])[batches]
    for ours, theirs in ((batch_silhouettes, scib.silhouette_batch), (bras, scib.bras)):
        found = mean_over_groups(ours(embedding, labels, batches), labels, ONCE)
        assert found[0] == pytest.approx(theirs(embedding, *names), abs=1e-5)


def test_explained_variance_is_scib_metrics(cells: tuple[np.ndarray, np.ndarray, np.ndarray], scib: Any) -> None:
    embedding, _, batches = cells
    expected = scib.utils.principal_component_regression(embedding, batches.astype(str), categorical=True)
    assert explained_by_batch(embedding, batches, ONCE)[0] == pytest.approx(expected, abs=1e-5)


def test_connectivity_is_scib_metrics(cells: tuple[np.ndarray, np.ndarray, np.ndarray], scib: Any) -> None:
    embedding, labels, _ = cells
    spread = embedding[:, 3:]  # without the dimensions that hold the labels apart
    neighbours, _ = nearest(spread, 4)
    found = connectivity_by_label(pieces(neighbours, labels), labels, ONCE).mean()
    assert found == pytest.approx(scib.graph_connectivity(with_itself(spread, 5), labels))
    assert found < 1


def test_the_isolated_label_silhouette_is_scib_metrics(
    cells: tuple[np.ndarray, np.ndarray, np.ndarray], scib: Any
) -> None:
    embedding, labels, batches = cells
    of_few = np.where(labels == 2, 0, batches)
    isolated = np.isin(labels, isolated_labels(labels, of_few))
    values = np.where(isolated, label_silhouettes(embedding, labels), np.nan)
    expected = scib.isolated_labels(embedding, labels.astype(str), of_few.astype(str))
    assert mean_over_groups(values, labels, ONCE)[0] == pytest.approx(expected, abs=1e-5)
