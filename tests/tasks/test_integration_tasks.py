"""Integration of batches and of species: what is scored, what is left out and why, and what never changes a score."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cellgauge.cards.function import load_function
from cellgauge.cards.read import read_card
from cellgauge.cards.task import TaskCard
from cellgauge.data.contents import as_text
from cellgauge.stats.jackknife import FEWEST_GROUPS
from cellgauge.tasks.contract import Cells, Columns, Fit, UnscorableError
from cellgauge.tasks.evaluate import evaluate
from cellgauge.tasks.integration import across_batches, across_species
from cellgauge.tasks.integration_scores import SCORES, Integration
from cellgauge.tasks.lisi import effective_number, neighbour_shares
from cellgauge.tasks.neighbours import nearest

TASKS = Path(__file__).parents[2] / "site_src" / "tasks"
CARD = read_card(TASKS / "batch-integration.md", TaskCard)
PARAMS = CARD.protocol.params
CONTENT = "sha256:" + "5" * 64
MIXING = ("batch-entropy", "batch-entropy@k-200", "silhouette-batch", "bras", "ilisi", "kbet")
AGREEMENT = ("adjusted-rand-index", "normalized-mutual-information")
EVERY = (*SCORES, *AGREEMENT)


def made(n_cells: int = 240, shift: float = 1.0, seed: int = 0) -> tuple[np.ndarray, Columns]:
    """Three types, of which one is in one batch only, two batches and eight donors, four in each batch."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(["beta", "alpha", "acinar"], n_cells // 3)
    batches = np.where(labels == "acinar", "second", np.tile(["first", "second"], n_cells // 2))
    donors = np.char.add(batches, rng.integers(0, 4, n_cells).astype(str))
    types = np.unique(labels, return_inverse=True)[1]
    embedding = rng.normal(size=(n_cells, 6)) + 4 * np.eye(6)[types] + shift * np.eye(6)[3 + (batches == "first")]
    return embedding.astype(np.float32), {"label": labels, "batch": batches, "donor": donors}


def scores(fit: Fit, weights: np.ndarray | None = None) -> dict[str, float]:
    once = np.ones((1, len(fit.strata)), dtype=np.float32)
    return {key: float(values[0]) for key, values in fit.scores(once if weights is None else weights).items()}


def fitted(embedding: np.ndarray, columns: Columns, wanted: tuple[str, ...] = EVERY) -> Fit:
    return across_batches(embedding, Cells(columns), PARAMS, wanted)(42)


@pytest.mark.parametrize("task", ["batch-integration", "cross-species-integration"])
def test_the_card_and_its_implementation_fit_together(task: str) -> None:
    card = read_card(TASKS / f"{task}.md", TaskCard)
    embedding, columns = made()
    columns = {**columns, "species": columns["batch"]}
    prepare = load_function(str(card.implementation), TASKS / f"{task}.md")
    found = evaluate(card, prepare, dict.fromkeys(card.protocol.seeds, embedding), Cells(columns), CONTENT)
    without_expression = {"pcr-batch"} & {ref.key for ref in card.scores}
    assert set(found.undefined) == without_expression
    assert set(found.keys) == {ref.key for ref in card.scores} - without_expression
    assert np.isfinite(found.by_seed).all()
    assert np.isfinite(found.replicates).all()
    assert found.method == "jackknife"
    taking_part = dict(zip(found.keys, found.n_groups, strict=True))
    assert taking_part.pop("isolated-label-silhouette") == 4, "only the donors of one batch have the isolated type"
    assert set(taking_part.values()) == {8}
    in_families = [metric for family in card.families for metric in family.metrics]
    assert sorted(in_families) == sorted({ref.metric for ref in card.scores}), "each metric is in one family"


def test_each_family_sees_its_own_half() -> None:
    """Taking the batches apart lowers every metric of mixing; taking the types together, every one of conservation."""
    mixed, columns = made(shift=0.0)
    apart, _ = made(shift=6.0)
    rng = np.random.default_rng(1)
    noise = rng.normal(size=mixed.shape).astype(np.float32)
    of_mixed, of_apart, of_noise = (scores(fitted(one, columns)) for one in (mixed, apart, noise))
    for key in MIXING:
        assert of_apart[key] < of_mixed[key] - 0.05, key
        assert of_apart[key] < of_noise[key] - 0.05, key
    for key in (*AGREEMENT, "silhouette-label", "clisi", "isolated-label-silhouette", "graph-connectivity"):
        assert of_noise[key] < of_mixed[key] - 0.02, key


def test_species_are_integrated_as_batches_are() -> None:
    embedding, columns = made()
    of_species = {"label": columns["label"], "species": columns["batch"], "donor": columns["donor"]}
    fit = across_species(embedding, Cells(of_species), PARAMS, EVERY)(42)
    assert scores(fit) == scores(fitted(embedding, columns))
    assert fit.within == "species and label"
    assert fit.details["labels_of_one_species"] == {"acinar": "second"}


def test_names_of_labels_and_batches_never_change_a_score() -> None:
    embedding, columns = made()
    other = {
        "label": np.array([{"alpha": "z", "beta": "m", "acinar": "a"}[name] for name in columns["label"]]),
        "batch": np.array([{"first": "2", "second": "1"}[name] for name in columns["batch"]]),
    }
    assert scores(fitted(embedding, other)) == pytest.approx(scores(fitted(embedding, columns)))


def test_the_order_of_cells_never_changes_a_measured_score() -> None:
    embedding, columns = made()
    order = np.random.default_rng(4).permutation(len(embedding))
    shuffled = {role: values[order] for role, values in columns.items()}
    wanted = tuple(SCORES)
    assert scores(fitted(embedding[order], shuffled, wanted)) == pytest.approx(
        scores(fitted(embedding, columns, wanted)), abs=1e-6
    )


def test_categories_that_no_cell_has_never_change_a_score() -> None:
    embedding, columns = made()
    of_categories = {
        role: as_text(pd.Series(pd.Categorical(columns[role], categories=["0", *np.unique(columns[role]), "zz"])))
        for role in ("label", "batch")
    }
    assert scores(fitted(embedding, of_categories)) == scores(fitted(embedding, columns))


def test_leaving_out_a_donor_averages_the_same_values_over_the_others() -> None:
    embedding, columns = made()
    one = Integration(embedding, Cells(columns), "batch", PARAMS, frozenset(EVERY))
    kept = columns["donor"] != "second2"
    found = scores(fitted(embedding, columns), kept[None].astype(np.float32))
    silhouette = one.label_silhouettes
    assert found["silhouette-label"] == pytest.approx(silhouette[kept].mean())
    assert found["isolated-label-silhouette"] == pytest.approx(silhouette[kept & (columns["label"] == "acinar")].mean())
    own = np.arange(len(kept))[:, None]
    around = np.hstack([own, nearest(embedding, one.neighbourhood - 1)[0]])
    share = (columns["batch"][around] == "first").mean(axis=1)
    entropy = -sum(np.where(p > 0, p * np.log2(np.where(p > 0, p, 1)), 0) for p in (share, 1 - share))
    assert found["batch-entropy"] == pytest.approx(entropy[kept].mean())


def test_a_batch_is_never_resampled_and_never_left_out() -> None:
    embedding, columns = made()
    fit = fitted(embedding, columns)
    assert fit.within == "batch and label"
    assert len(np.unique(fit.strata)) == 5
    assert len(np.unique(fit.groups)) == 8 >= FEWEST_GROUPS
    of_second = np.char.add("second", (np.arange(240) % 7).astype(str))
    lonely = {**columns, "donor": np.where(columns["batch"] == "first", "first0", of_second)}
    assert len(np.unique(lonely["donor"])) >= FEWEST_GROUPS
    assert fitted(embedding, lonely).groups is None, "with its only donor a batch would be left out"


def test_lisi_is_the_rescaled_median_over_90_cells_at_perplexity_30() -> None:
    embedding, columns = made()
    found = scores(fitted(embedding, columns, ("ilisi", "clisi")))
    neighbours, distances = nearest(embedding, 89)
    shares = neighbour_shares(distances, 30)
    batches, labels = (np.unique(columns[role], return_inverse=True)[1][neighbours] for role in ("batch", "label"))
    assert found["ilisi"] == pytest.approx(np.median(effective_number(shares, batches)) - 1)
    assert found["clisi"] == pytest.approx((3 - np.median(effective_number(shares, labels))) / 2)


def test_what_the_scores_rest_on_is_told() -> None:
    embedding, columns = made()
    stray = np.flatnonzero((columns["label"] == "beta") & (columns["batch"] == "first"))[:-3]
    columns["batch"][stray] = "second"
    details = fitted(embedding, columns).details
    assert details["cells_by_label_and_batch"]["beta"] == {"first": 3, "second": 77}
    assert details["labels_of_one_batch"] == {"acinar": "second"}
    assert details["isolated_labels"] == ["acinar"]
    assert details["cells_in_an_entropy_neighbourhood"] == 20
    assert details["groups_smaller_than_that"] == [{"label": "beta", "batch": "first", "cells": 3}]
    assert details["cells_in_a_kbet_neighbourhood"] == {"alpha": 10, "beta": 10}
    assert set(details["silhouette_batch_by_label"]) == {"alpha", "beta"}
    assert set(details["batch_entropy_by_label"]) == {"acinar", "alpha", "beta"}


def test_scores_count_the_cells_that_take_part() -> None:
    fit = fitted(*made())
    acinar = made()[1]["label"] == "acinar"
    np.testing.assert_array_equal(fit.counted["silhouette-batch"], ~acinar)
    np.testing.assert_array_equal(fit.counted["isolated-label-silhouette"], acinar)
    assert fit.counted["batch-entropy"].all()


@pytest.mark.parametrize(
    ("n_cells", "undefined"),
    [(201, set()), (198, {"batch-entropy@k-200"}), (90, {"batch-entropy@k-200", "ilisi", "clisi"})],
)
def test_neighbourhoods_of_all_cells_say_nothing(n_cells: int, undefined: set[str]) -> None:
    embedding, columns = made(240)
    few = np.linspace(0, 239, n_cells).astype(int)
    columns = {role: values[few] for role, values in columns.items()}
    fit = fitted(embedding[few], columns)
    assert set(fit.undefined) == {*undefined, "pcr-batch"}
    assert set(scores(fit)) == set(EVERY) - set(fit.undefined)
    if undefined:
        expected = f"neighbourhoods of 200 cells need more than 200 cells, found {n_cells}"
        assert fit.undefined["batch-entropy@k-200"] == expected


def test_types_that_never_share_a_batch_leave_mixing_within_types_undefined() -> None:
    embedding, columns = made()
    columns = {"label": columns["label"], "batch": np.where(columns["label"] == "beta", "first", "second")}
    fit = fitted(embedding, columns)
    for key in ("silhouette-batch", "bras"):
        assert fit.undefined[key] == "no cell type occurs in more than one batch"
    assert "kbet" in fit.undefined
    assert set(scores(fit)) >= {"batch-entropy", "ilisi", "silhouette-label"}


def test_groups_of_stray_cells_alone_leave_entropy_undefined() -> None:
    embedding, columns = made()
    few = np.concatenate([np.flatnonzero(columns["label"] == label)[:18] for label in ("beta", "alpha")])
    columns = {role: values[few] for role, values in columns.items()}
    assert "no cell type has 10 cells in one batch" in fitted(embedding[few], columns).undefined["batch-entropy"]


@pytest.mark.parametrize(
    ("role", "values", "message"),
    [
        ("batch", np.repeat("first", 240), "every cell has the batch first; at least two are needed"),
        ("label", np.repeat("beta", 240), "every cell has the label beta; at least two are needed"),
        ("label", np.arange(240).astype(str), "each of the 240 cells has a label of its own"),
    ],
)
def test_what_cannot_be_integrated_is_refused(role: str, values: np.ndarray, message: str) -> None:
    embedding, columns = made()
    with pytest.raises(UnscorableError, match=message):
        fitted(embedding, {**columns, role: values})


def test_what_is_not_asked_for_is_not_computed() -> None:
    embedding, columns = made()
    one = Integration(embedding, Cells(columns), "batch", PARAMS, frozenset({"batch-entropy"}))
    assert one.neighbours[0].shape[1] == one.neighbourhood - 1
    fit = fitted(embedding, columns, ("batch-entropy",))
    assert set(scores(fit)) == {"batch-entropy"}
    assert "n_clusters" not in fit.details
    everything = Integration(embedding, Cells(columns), "batch", PARAMS, frozenset(EVERY))
    assert everything.neighbours[0].shape[1] == 199, "one search for all"


def test_identical_embeddings_have_no_variance_to_explain() -> None:
    """Nothing crashes and nothing is made up where every cell is at the same place."""
    _, columns = made()
    found = scores(fitted(np.ones((240, 3), dtype=np.float32), columns))
    assert all(np.isfinite(value) for value in found.values())
    assert found["silhouette-label"] == 0.5
