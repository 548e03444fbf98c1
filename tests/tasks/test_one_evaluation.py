"""Replicates: the same for every model, around the point value, from every seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cellgauge.cards import TaskCard
from cellgauge.cards.read import read_card
from cellgauge.tasks import evaluate as evaluation
from cellgauge.tasks import neighbours
from cellgauge.tasks.clustering import prepare as prepare_clustering
from cellgauge.tasks.contract import Cells, Fit

CARD = read_card(Path(__file__).parents[2] / "site_src/tasks/clustering.md", TaskCard)
LABELS = Cells({"label": np.repeat(["a", "b", "c"], 20)})
CONTENT = "sha256:" + "5" * 64


def prepare_noting(noted: list[tuple[int, np.ndarray]], prepared: list[int]):
    """A task that notes the weights it was given and scores how much of label a they hold."""

    def prepare(embedding, cells, params, wanted):
        prepared.append(id(embedding))

        def fit(seed: int) -> Fit:
            def scores(weights: np.ndarray) -> dict[str, np.ndarray]:
                noted.append((seed, weights.copy()))
                share = (weights * embedding[:, 0]).sum(axis=1) / weights.sum(axis=1)
                return {ref.key: share + seed for ref in CARD.scores}

            return Fit(cells.columns["label"], "label", scores, details={"seed": seed, "same": 1})

        return fit

    return prepare


def evaluate(embeddings: dict[int, np.ndarray]) -> tuple[evaluation.Evaluation, list, list]:
    noted, prepared = [], []
    found = evaluation.evaluate(CARD, prepare_noting(noted, prepared), embeddings, LABELS, CONTENT)
    return found, noted, prepared


def same_for_all(values: np.ndarray) -> dict[int, np.ndarray]:
    return dict.fromkeys(CARD.protocol.seeds, values)


def test_every_model_gets_the_same_resamples() -> None:
    rng = np.random.default_rng(0)
    (one, first, _), (two, second, _) = (evaluate(same_for_all(rng.normal(size=(60, 2)))) for _ in range(2))
    assert one.stream == two.stream
    for (seed_a, a), (seed_b, b) in zip(first, second, strict=True):
        assert seed_a == seed_b
        np.testing.assert_array_equal(a, b)


def test_models_that_need_more_room_get_the_same_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug: replicates are scored in parts of limited size, and how large these were decided what was drawn, so that a
    model with more clusters or dimensions than another could not be compared with it."""
    monkeypatch.setattr(evaluation, "_NUMBERS_AT_ONCE", 60 * 300)
    found = []
    for width in (1, 60 * 7, 60 * 10_000):

        def prepare(embedding, cells, params, wanted, width=width):
            def scores(weights: np.ndarray) -> dict[str, np.ndarray]:
                return {ref.key: (weights * embedding[:, 0]).sum(axis=1) for ref in CARD.scores}

            return lambda seed: Fit(cells.columns["label"], "label", scores, width=width)

        values = np.arange(60.0)[:, None]
        found.append(evaluation.evaluate(CARD, prepare, same_for_all(values), LABELS, CONTENT))
    for other in found[1:]:
        assert other.stream == found[0].stream
        np.testing.assert_allclose(other.replicates, found[0].replicates, rtol=1e-6)


def test_another_dataset_gets_others() -> None:
    values = np.random.default_rng(0).normal(size=(60, 2))
    noted, prepared = [], []
    other = evaluation.evaluate(CARD, prepare_noting(noted, prepared), same_for_all(values), LABELS, "sha256:else")
    assert other.stream != evaluate(same_for_all(values))[0].stream
    assert not np.array_equal(other.replicates, evaluate(same_for_all(values))[0].replicates)


def test_resamples_keep_the_size_of_each_label() -> None:
    _, noted, _ = evaluate(same_for_all(np.ones((60, 1))))
    for _, weights in noted:
        for label in "abc":
            np.testing.assert_allclose(weights[:, LABELS.columns["label"] == label].sum(axis=1), 20, rtol=1e-6)


def test_every_seed_is_drawn_equally_often_and_seed_variance_is_inside() -> None:
    found, _, _ = evaluate(same_for_all(np.zeros((60, 1))))
    seeds, counts = np.unique(found.replicates[0], return_counts=True)
    np.testing.assert_array_equal(seeds, CARD.protocol.seeds)
    np.testing.assert_array_equal(counts, CARD.protocol.replicates / len(seeds))


def test_what_needs_no_seed_is_done_once() -> None:
    values = np.ones((60, 1))
    assert len(evaluate(same_for_all(values))[2]) == 1
    assert len(evaluate({seed: values.copy() for seed in CARD.protocol.seeds})[2]) == len(CARD.protocol.seeds)


def test_details_are_said_once_where_seeds_agree() -> None:
    found, _, _ = evaluate(same_for_all(np.ones((60, 1))))
    assert found.details == {"same": 1, "by_seed": [{"seed": seed} for seed in CARD.protocol.seeds]}


def test_a_score_the_task_does_not_give_is_an_error() -> None:
    def prepare(embedding, cells, params, wanted):
        return lambda seed: Fit(cells.columns["label"], "label", lambda weights: {"other": weights.mean(axis=1)})

    with pytest.raises(ValueError, match=r"lists adjusted-rand-index, .* but its implementation gives other"):
        evaluation.evaluate(CARD, prepare, same_for_all(np.ones((60, 1))), LABELS, CONTENT)


def test_replicates_surround_the_point_value() -> None:
    rng = np.random.default_rng(3)
    cells = rng.normal(size=(60, 8)).astype(np.float32)
    found = evaluation.evaluate(CARD, prepare_clustering, same_for_all(cells), LABELS, CONTENT)
    low, high = np.quantile(found.replicates, [0.025, 0.975], axis=1)
    point = found.by_seed.mean(axis=1)
    assert (low <= point).all()
    assert (point <= high).all()
    np.testing.assert_allclose(found.replicates.mean(axis=1), point, atol=1e-5)


@pytest.mark.slow
def test_neighbours_are_exact_above_8192_cells() -> None:
    """scanpy turns to approximate search there, and with pynndescent 0.7 its release 1.11.5 raises."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 5, 10_000)
    cells = (rng.normal(size=(10_000, 10)) + 10 * np.eye(10)[labels]).astype(np.float32)
    params = {"n_neighbors": 15, "resolution": 1.0, "n_iterations": 2}
    import anndata as ad
    import scanpy as sc

    graph = ad.AnnData(cells)
    sc.pp.neighbors(graph, n_neighbors=15, use_rep="X", transformer="sklearn")
    found = graph.obsp["distances"][:200]
    indices, distances = neighbours.nearest(cells, 14)
    for row in range(200):
        stored = found[row]
        assert set(stored.indices[stored.data > 0]) == set(indices[row])
        np.testing.assert_allclose(np.sort(stored.data[stored.data > 0]), distances[row], rtol=1e-3)
    fit = prepare_clustering(cells, Cells({"label": labels.astype(str)}), params, ["homogeneity"])(1)
    assert fit.scores(np.ones((1, 10_000), dtype=np.float32))["homogeneity"][0] > 0.9
