"""Label transfer across species against scikit-learn, and on cases that can be worked out on paper."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn import metrics
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cellgauge.cards.function import load_function
from cellgauge.cards.read import read_card
from cellgauge.cards.task import TaskCard
from cellgauge.stats.jackknife import FEWEST_GROUPS
from cellgauge.tasks.contract import Cells, Columns, Fit, NotApplicableError
from cellgauge.tasks.evaluate import evaluate
from cellgauge.tasks.transfer import prepare

PATH = Path(__file__).parents[2] / "site_src" / "tasks" / "cross-species-transfer.md"
CARD = read_card(PATH, TaskCard)
PARAMS = {**CARD.protocol.params, "n_trees": 10}
EVERY = tuple(ref.key for ref in CARD.scores)


def made(seed: int = 0) -> tuple[np.ndarray, Columns]:
    """Types alpha and beta in man and mouse, gamma in man alone, delta in mouse alone; a shift between species."""
    rng = np.random.default_rng(seed)
    cells = [("man", "alpha", 40), ("man", "beta", 25), ("man", "gamma", 15)]
    cells += [("mouse", "alpha", 20), ("mouse", "beta", 30), ("mouse", "delta", 12), ("mouse", "gamma", 3)]
    species = np.repeat([one for one, _, _ in cells], [n for _, _, n in cells])
    labels = np.repeat([label for _, label, _ in cells], [n for _, _, n in cells])
    codes = np.unique(labels, return_inverse=True)[1]
    embedding = rng.normal(size=(len(labels), 5)) + 2 * np.eye(5)[codes] + (species == "man")[:, None]
    return embedding.astype(np.float32), {"label": labels, "species": species}


def fitted(embedding: np.ndarray, columns: Columns, wanted: tuple[str, ...] = EVERY, seed: int = 42) -> Fit:
    return prepare(embedding, Cells(columns), PARAMS, wanted)(seed)


def scores(fit: Fit, weights: np.ndarray | None = None) -> dict[str, float]:
    once = np.ones((1, len(fit.strata)), dtype=np.float32)
    return {key: float(values[0]) for key, values in fit.scores(once if weights is None else weights).items()}


def by_hand(embedding: np.ndarray, columns: Columns, first: str, kept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """True and predicted labels of the second species, from a logistic regression on the first."""
    train, test = kept & (columns["species"] == first), kept & (columns["species"] != first)
    model = make_pipeline(StandardScaler(with_mean=False), LogisticRegression(max_iter=1000))
    model.fit(embedding[train], columns["label"][train])
    return columns["label"][test], model.predict(embedding[test])


def test_scores_on_shared_types_are_scikit_learns() -> None:
    embedding, columns = made()
    shared = np.isin(columns["label"], ["alpha", "beta"])
    pairs = [by_hand(embedding, columns, first, shared) for first in ("man", "mouse")]
    found = scores(fitted(embedding, columns))
    assert found["macro-f1@logistic-regression"] == pytest.approx(
        np.mean([metrics.f1_score(*pair, average="macro") for pair in pairs])
    )
    assert found["accuracy@logistic-regression"] == pytest.approx(
        np.mean([metrics.accuracy_score(*pair) for pair in pairs])
    )


def test_scores_on_all_types_are_scikit_learns() -> None:
    embedding, columns = made()
    pairs = [by_hand(embedding, columns, first, np.ones(len(embedding), dtype=bool)) for first in ("man", "mouse")]
    found = scores(fitted(embedding, columns))
    expected = [
        metrics.f1_score(truth, said, labels=np.unique(truth), average="macro", zero_division=0)
        for truth, said in pairs
    ]
    assert found["macro-f1@all-types"] == pytest.approx(np.mean(expected))
    assert found["accuracy@all-types"] == pytest.approx(np.mean([metrics.accuracy_score(*pair) for pair in pairs]))


def test_a_type_that_was_never_learnt_has_recall_0() -> None:
    """Perfect embedding: from man to mouse, delta (12 of 65 cells) is missed; back, all of man's types are known."""
    _, columns = made()
    perfect = 10 * np.eye(4, dtype=np.float32)[np.unique(columns["label"], return_inverse=True)[1]]
    found = scores(fitted(perfect, columns))
    assert found["accuracy@logistic-regression"] == 1
    assert found["macro-f1@knn"] == 1
    assert found["accuracy@all-types"] == pytest.approx((53 / 65 + 1) / 2)


def test_types_that_trade_places_are_never_named() -> None:
    _, columns = made()
    shown = columns["label"].copy()
    mouse = columns["species"] == "mouse"
    shown[mouse] = [{"alpha": "beta", "beta": "alpha"}.get(name, name) for name in shown[mouse]]
    embedding = 10 * np.eye(4, dtype=np.float32)[np.unique(shown, return_inverse=True)[1]]
    found = scores(fitted(embedding, columns))
    assert found["macro-f1@logistic-regression"] == found["accuracy@logistic-regression"] == 0


def test_what_the_shared_types_leave_out_is_told() -> None:
    details = fitted(*made()).details
    assert details["shared_types"] == [{"species": "man and mouse", "types": ["alpha", "beta"]}]
    assert details["types_left_out"] == [
        {"species": "man and mouse", "type": "delta", "cells": "0 and 12"},
        {"species": "man and mouse", "type": "gamma", "cells": "15 and 3"},
    ]


def test_each_ordered_pair_has_its_own_scores_and_the_score_is_their_mean() -> None:
    fit = fitted(*made())
    one, other = fit.details["from man to mouse"], fit.details["from mouse to man"]
    assert set(one) == set(EVERY)
    for key, value in scores(fit).items():
        if key in one:
            assert value == pytest.approx((one[key] + other[key]) / 2), key


def test_pairs_without_two_shared_types_are_left_out_and_listed() -> None:
    embedding, columns = made()
    rng = np.random.default_rng(5)
    more = rng.normal(size=(24, 5)).astype(np.float32)
    fly = {"label": np.repeat(["alpha", "omega"], 12), "species": np.repeat("fly", 24)}
    of_three = {role: np.concatenate([columns[role], fly[role]]) for role in ("label", "species")}
    fit = fitted(np.vstack([embedding, more]), of_three)
    assert scores(fit) == pytest.approx(scores(fitted(embedding, columns)))
    assert fit.details["pairs_without_two_shared_types"] == [
        "fly to man",
        "fly to mouse",
        "man to fly",
        "mouse to fly",
    ]
    assert not fit.counted["macro-f1@all-types"][-24:].any()


def test_three_species_make_six_pairs() -> None:
    embedding, columns = made()
    third = np.flatnonzero(columns["species"] == "man")
    of_three = {
        "label": np.concatenate([columns["label"], columns["label"][third]]),
        "species": np.concatenate([columns["species"], np.repeat("rat", len(third))]),
    }
    details = fitted(np.vstack([embedding, embedding[third] + 0.1]), of_three).details
    assert sum(key.startswith("from ") for key in details) == 6
    assert details["shared_types"][1] == {"species": "man and rat", "types": ["alpha", "beta", "gamma"]}


def test_only_forests_depend_on_the_seed() -> None:
    embedding, columns = made()
    of_seed = prepare(embedding, Cells(columns), PARAMS, EVERY)
    one, other = scores(of_seed(42)), scores(of_seed(43))
    assert one == scores(of_seed(42))
    differing = {key.rsplit("@", 1)[1] for key in one if one[key] != other[key]}
    assert differing == {"random-forest"}


def test_cells_count_where_they_are_tested() -> None:
    embedding, columns = made()
    fit = fitted(embedding, columns)
    shared = np.isin(columns["label"], ["alpha", "beta"])
    np.testing.assert_array_equal(fit.counted["macro-f1@knn"], shared)
    assert fit.counted["accuracy@all-types"].all()
    assert fit.within == "species and label"


def test_without_a_donor_the_same_predictions_are_scored_on_the_others() -> None:
    embedding, columns = made()
    donors = np.char.add(columns["species"], (np.arange(len(embedding)) % 3).astype(str))
    fit = fitted(embedding, {**columns, "donor": donors})
    assert len(np.unique(fit.groups)) == 6
    kept = donors != "mouse1"
    shared = np.isin(columns["label"], ["alpha", "beta"])
    expected = []
    for first, second in (("man", "mouse"), ("mouse", "man")):
        truth, said = by_hand(embedding, columns, first, shared)
        stays = kept[shared & (columns["species"] == second)]
        expected.append(metrics.f1_score(truth[stays], said[stays], average="macro"))
    found = scores(fit, kept[None].astype(np.float32))
    assert found["macro-f1@logistic-regression"] == pytest.approx(np.mean(expected))


def test_a_species_is_never_left_out_with_its_only_donor() -> None:
    embedding, columns = made()
    of_man = np.char.add("man", (np.arange(len(embedding)) % 6).astype(str))
    donors = np.where(columns["species"] == "man", of_man, "mouse0")
    assert len(np.unique(donors)) >= FEWEST_GROUPS
    assert fitted(embedding, {**columns, "donor": donors}).groups is None


def test_names_never_change_a_score() -> None:
    embedding, columns = made()
    wanted = tuple(key for key in EVERY if not key.endswith("@random-forest"))
    other = {
        "label": np.array([{"alpha": "z", "beta": "b", "gamma": "y", "delta": "a"}[one] for one in columns["label"]]),
        "species": np.array([{"man": "2", "mouse": "1"}[one] for one in columns["species"]]),
    }
    assert scores(fitted(embedding, other, wanted)) == pytest.approx(scores(fitted(embedding, columns, wanted)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"species": "man"}, "label transfer needs two species or more; every cell is of man"),
        ({"label": "alpha"}, "no two species share two cell types with 10 cells or more in each"),
    ],
)
def test_what_cannot_be_transferred_is_not_applicable(change: dict[str, str], message: str) -> None:
    embedding, columns = made()
    same = {role: np.repeat(value, len(embedding)) for role, value in change.items()}
    with pytest.raises(NotApplicableError, match=message):
        fitted(embedding, {**columns, **same})


def test_the_card_and_its_implementation_fit_together() -> None:
    embedding, columns = made()
    card = CARD.model_copy(update={"protocol": CARD.protocol.model_copy(update={"params": PARAMS})})
    found = evaluate(
        card,
        load_function(str(CARD.implementation), PATH),
        dict.fromkeys(CARD.protocol.seeds, embedding),
        Cells(columns),
        "sha256:" + "5" * 64,
    )
    assert found.keys == EVERY
    assert np.isfinite(found.replicates).all()
    assert found.method == "bootstrap"
    assert set(found.n_units) == {115, 145}
