"""Silhouettes and neighbourhoods of an embedding, by cell type, and where batches are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cellgauge.cards.read import read_card
from cellgauge.cards.task import TaskCard
from cellgauge.tasks.contract import Cells, Columns, Fit, UnscorableError
from cellgauge.tasks.embedding import prepare
from cellgauge.tasks.evaluate import evaluate

CARD = read_card(Path(__file__).parents[2] / "site_src" / "tasks" / "embedding.md", TaskCard)
PARAMS = CARD.protocol.params
EVERY = tuple(ref.key for ref in CARD.scores)
OF_BATCHES = {"isolated-label-silhouette", "bras"}
LINE = np.array([[0.0], [1.0], [4.0], [5.0]], dtype=np.float32)


def made() -> tuple[np.ndarray, Columns]:
    rng = np.random.default_rng(0)
    labels = np.repeat(["alpha", "beta", "delta"], 30)
    batches = np.where(labels == "delta", "first", np.tile(["first", "second"], 45))
    codes = np.unique(labels, return_inverse=True)[1]
    return (rng.normal(size=(90, 4)) + 2 * np.eye(4)[codes]).astype(np.float32), {"label": labels, "batch": batches}


def scores(fit: Fit, weights: np.ndarray | None = None) -> dict[str, float]:
    once = np.ones((1, len(fit.strata)), dtype=np.float32)
    return {key: float(values[0]) for key, values in fit.scores(once if weights is None else weights).items()}


def fitted(embedding: np.ndarray, columns: Columns, **params: int) -> Fit:
    return prepare(embedding, Cells(columns), {**PARAMS, **params}, EVERY)(42)


def test_four_cells_on_a_line() -> None:
    """At 0 and 5: own type at 1, the other at 4.5; at 1 and 4: 1 and 3.5. Every nearest neighbour is of the type."""
    found = scores(fitted(LINE, {"label": np.array(["a", "a", "b", "b"])}, n_neighbors=1))
    expected = ((3.5 / 4.5 + 1) / 2 + (2.5 / 3.5 + 1) / 2) / 2
    for key in ("silhouette-label", "silhouette-label-macro", "silhouette-worst-label"):
        assert found[key] == pytest.approx(expected)
    assert found["knn-label-purity"] == 1


def test_every_type_has_a_silhouette_of_its_own() -> None:
    embedding, columns = made()
    fit = fitted(embedding, columns)
    by_label = fit.details["silhouette_by_label"]
    found = scores(fit)
    assert list(by_label) == ["alpha", "beta", "delta"]
    assert found["silhouette-label-macro"] == pytest.approx(np.mean(list(by_label.values())))
    assert found["silhouette-worst-label"] == pytest.approx(min(by_label.values()))


def test_isolated_types_are_those_of_the_fewest_batches() -> None:
    fit = fitted(*made())
    assert fit.details["isolated_label_silhouette_by_label"].keys() == {"delta"}
    assert scores(fit)["isolated-label-silhouette"] == pytest.approx(fit.details["silhouette_by_label"]["delta"])
    assert fit.counted["isolated-label-silhouette"].sum() == 30
    assert fit.counted["bras"].sum() == 60


def test_bras_falls_when_types_are_split_by_batch() -> None:
    embedding, columns = made()
    split = embedding + 8 * (columns["batch"] == "second")[:, None] * np.array([0, 0, 0, 1], dtype=np.float32)
    assert scores(fitted(split, columns))["bras"] < scores(fitted(embedding, columns))["bras"] - 0.3


@pytest.mark.parametrize(
    ("batches", "undefined", "why"),
    [
        (None, OF_BATCHES, "the dataset has no batches"),
        (np.repeat("first", 90), OF_BATCHES, "every cell has the batch first"),
        (np.repeat(["x", "y", "z"], 30), {"bras"}, "no cell type occurs in more than one batch"),
    ],
)
def test_scores_that_need_batches_say_why_they_are_missing(
    batches: np.ndarray | None, undefined: set[str], why: str
) -> None:
    embedding, columns = made()
    columns = {"label": columns["label"], **({} if batches is None else {"batch": batches})}
    fit = fitted(embedding, columns)
    assert fit.undefined == dict.fromkeys(undefined, why)
    assert set(scores(fit)) == set(EVERY) - undefined


def test_a_type_that_the_weights_leave_empty_has_no_part() -> None:
    embedding, columns = made()
    fit = fitted(embedding, columns)
    by_label = fit.details["silhouette_by_label"]
    kept = (columns["label"] != "delta").astype(np.float32)[None]
    found = scores(fit, kept)
    assert found["silhouette-label-macro"] == pytest.approx((by_label["alpha"] + by_label["beta"]) / 2)
    assert found["silhouette-worst-label"] == pytest.approx(min(by_label["alpha"], by_label["beta"]))
    assert np.isnan(found["isolated-label-silhouette"])


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.repeat("alpha", 90), "every cell has the label alpha; at least two are needed"),
        (np.arange(90).astype(str), "each of the 90 cells has a label of its own"),
    ],
)
def test_labels_that_separate_nothing_are_refused(labels: np.ndarray, message: str) -> None:
    with pytest.raises(UnscorableError, match=message):
        fitted(made()[0], {"label": labels})


@pytest.mark.parametrize("with_batches", [True, False])
def test_the_card_and_its_implementation_fit_together(with_batches: bool) -> None:
    embedding, columns = made()
    columns = columns if with_batches else {"label": columns["label"]}
    found = evaluate(CARD, prepare, dict.fromkeys(CARD.protocol.seeds, embedding), Cells(columns), "sha256:" + "5" * 64)
    assert set(EVERY) - set(found.keys) == (set() if with_batches else OF_BATCHES)
    assert np.isfinite(found.replicates).all()


def test_batches_are_neither_resampled_nor_left_out() -> None:
    """A bug: BRAS and the silhouette of isolated types were resampled across batches."""
    labels, batches = np.repeat(["a", "b"], 12), np.tile(["x", "y"], 12)
    embedding = np.random.default_rng(0).normal(size=(24, 3)).astype(np.float32)
    columns: Columns = {"label": labels, "batch": batches}
    fit = prepare(embedding, Cells(columns), {"n_neighbors": 3}, [])(0)
    assert len(np.unique(fit.strata)) == 4
    assert fit.within == "label and batch"
    with_donors: Columns = {**columns, "donor": np.where(batches == "x", "only", np.arange(24).astype(str))}
    assert prepare(embedding, Cells(with_donors), {"n_neighbors": 3}, [])(0).groups is None, "x has one donor"
