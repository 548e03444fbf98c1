"""Donors never stand on both sides of a split, and carry the uncertainty where there are enough of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cellgauge.cards.read import read_card
from cellgauge.cards.task import TaskCard
from cellgauge.stats.jackknife import skewness_corrected_interval
from cellgauge.tasks import classification
from cellgauge.tasks.contract import Cells, NotApplicableError, UnscorableError
from cellgauge.tasks.evaluate import evaluate
from cellgauge.tasks.splits import splits
from cellgauge.tasks.units import cell_units

PARAMS = {"n_folds": 5, "min_cells_per_class": 10, "knn_neighbors": 5, "n_trees": 5, "max_iterations": 200}
CARD = read_card(Path(__file__).parents[2] / "site_src/tasks/classification.md", TaskCard)
LOGISTIC = [ref.key for ref in CARD.scores if ref.view == "logistic-regression"]


def cells_of(n_donors: int, n_each: int = 40, seed: int = 0) -> tuple[np.ndarray, Cells]:
    rng = np.random.default_rng(seed)
    label = np.tile(np.repeat(["a", "b", "c", "d"], n_each // 4), n_donors)
    donor = np.repeat([f"d{i:02d}" for i in range(n_donors)], n_each)
    centres = rng.normal(scale=2, size=(4, 6))
    values = centres[np.searchsorted(list("abcd"), label)] + rng.normal(size=(len(label), 6))
    return values.astype(np.float32), Cells({"label": label, "donor": donor})


@pytest.mark.parametrize("n_donors", [3, 4, 5, 6, 13])
def test_no_donor_is_on_both_sides_and_every_cell_is_tested_once(n_donors: int) -> None:
    _, cells = cells_of(n_donors)
    codes = np.unique(cells.columns["label"], return_inverse=True)[1]
    donors = cells.columns["donor"]
    tested = []
    for train, test in splits(codes, donors, 5, 42):
        assert not set(donors[train]) & set(donors[test])
        tested.append(test)
    assert len(tested) == min(5, n_donors)
    np.testing.assert_array_equal(np.sort(np.concatenate(tested)), np.arange(len(donors)))


def test_up_to_five_donors_each_is_a_fold_of_its_own() -> None:
    _, cells = cells_of(4)
    folds = list(splits(np.zeros(160, dtype=np.intp), cells.columns["donor"], 5, 1))
    assert sorted(set(cells.columns["donor"][test]).pop() for _, test in folds) == ["d00", "d01", "d02", "d03"]
    assert all(len(set(cells.columns["donor"][test])) == 1 for _, test in folds)


def test_two_donors_are_too_few() -> None:
    values, cells = cells_of(2)
    with pytest.raises(NotApplicableError, match="needs cells of 3 donors or more; 2 found"):
        classification.prepare(values, cells, PARAMS, LOGISTIC)


def test_an_empty_fold_is_refused_bug_of_grouped_folds(monkeypatch: pytest.MonkeyPatch) -> None:
    """scikit-learn's grouped folds can leave one empty, whose mean would be taken all the same."""
    from cellgauge.tasks import splits as module

    class Uneven:
        def __init__(self, *arguments: object, **options: object) -> None: ...

        def split(self, *arguments: object):
            yield np.arange(10), np.arange(0)

    monkeypatch.setattr(module, "StratifiedGroupKFold", Uneven)
    donors = np.array([f"d{i}" for i in range(8)]).repeat(5)
    with pytest.raises(UnscorableError, match="fold 1 of 5 has no test cells"):
        list(splits(np.zeros(40, dtype=np.intp), donors, 5, 1))


def test_scores_are_those_of_leaving_out_one_donor_at_a_time() -> None:
    values, cells = cells_of(4, seed=3)
    labels, donors = cells.columns["label"], cells.columns["donor"]
    accuracy, f1 = [], []
    for donor in np.unique(donors):
        test = donors == donor
        model = make_pipeline(StandardScaler(with_mean=False), LogisticRegression(max_iter=200, random_state=7))
        predicted = model.fit(values[~test], labels[~test]).predict(values[test])
        accuracy.append(accuracy_score(labels[test], predicted))
        f1.append(f1_score(labels[test], predicted, average="macro"))
    fit = classification.prepare(values, cells, PARAMS, LOGISTIC)(7)
    found = fit.scores(np.ones((1, len(labels)), dtype=np.float32))
    assert found["accuracy@logistic-regression"][0] == pytest.approx(np.mean(accuracy))
    assert found["macro-f1@logistic-regression"][0] == pytest.approx(np.mean(f1))


def test_a_class_that_training_lacks_has_recall_0_and_one_that_the_test_lacks_is_left_out() -> None:
    values, cells = cells_of(4, seed=1)
    label = cells.columns["label"].copy()
    only_first = (cells.columns["donor"] == "d00") & (label == "d")
    label[(label == "d") & ~only_first] = "a"  # now d is a class of the first donor alone
    fit = classification.prepare(values, Cells({**cells.columns, "label": label}), PARAMS, LOGISTIC)(7)
    assert fit.details["absent_classes"] == {
        "fold 1": {"training": ["d"]},
        "fold 2": {"test": ["d"]},
        "fold 3": {"test": ["d"]},
        "fold 4": {"test": ["d"]},
    }
    confusion = fit.tables["confusion_logistic-regression"]
    assert confusion[3].sum() == 10
    assert confusion[3, 3] == 0
    assert confusion.sum() == len(label)


def test_cells_are_drawn_within_donors_where_there_are_few() -> None:
    _, cells = cells_of(4)
    units = cell_units(cells.columns, ("label",))
    assert units["groups"] is None
    assert units["within"] == "label and donor"
    pairs = {(label, donor) for label, donor in zip(cells.columns["label"], cells.columns["donor"], strict=True)}
    assert len(np.unique(units["strata"])) == len(pairs) == 16


def test_donors_are_left_out_from_six_on_unless_a_batch_would_go_with_one() -> None:
    _, cells = cells_of(6)
    np.testing.assert_array_equal(cell_units(cells.columns, ("label",))["groups"], cells.columns["donor"])
    batch = np.where(cells.columns["donor"] == "d00", "first", "rest")
    with_batch = {**cells.columns, "batch": batch}
    assert cell_units(with_batch, ("batch", "label"), kept=("batch",), by_donor=False)["groups"] is None
    for n_first, left_out in ((2, False), (3, True)):
        first = np.isin(cells.columns["donor"], [f"d{i:02d}" for i in range(n_first)])
        columns = {**with_batch, "batch": np.where(first, "first", "rest")}
        units = cell_units(columns, ("batch", "label"), kept=("batch",), by_donor=False)
        assert (units["groups"] is not None) == left_out, f"{n_first} donors in one batch"


def test_the_interval_is_the_jackknife_over_donors() -> None:
    """Recomputed by hand: without a donor's test cells, the mean over folds of what is left."""
    values, cells = cells_of(7, seed=5)
    task = CARD.model_copy(update={"protocol": CARD.protocol.model_copy(update={"seeds": [3]})})
    wanted = ["accuracy@logistic-regression"]
    found = evaluate(task, classification.prepare, {3: values}, cells, "sha256:" + "1" * 64, wanted=wanted)
    assert (found.method, found.n_groups) == ("jackknife", (7,))
    labels, donors = cells.columns["label"], cells.columns["donor"]
    codes = np.unique(labels, return_inverse=True)[1]
    right, fold_of = np.empty(len(labels)), np.empty(len(labels), dtype=int)
    for fold, (train, test) in enumerate(splits(codes, donors, 5, 3)):
        model = make_pipeline(StandardScaler(with_mean=False), LogisticRegression(max_iter=1000, random_state=3))
        right[test] = model.fit(values[train], labels[train]).predict(values[test]) == labels[test]
        fold_of[test] = fold
    left_out = [
        np.mean(
            [
                right[(fold_of == fold) & (donors != one)].mean()
                for fold in range(5)
                if ((fold_of == fold) & (donors != one)).any()
            ]
        )
        for one in np.unique(donors)
    ]
    whole = np.mean([right[fold_of == fold].mean() for fold in range(5)])
    assert found.by_seed[0, 0] == pytest.approx(whole)
    np.testing.assert_allclose(found.replicates[0], left_out, atol=1e-6)
    expected = skewness_corrected_interval(np.array([whole]), np.array(left_out)[:, None], 7, 0.95)
    assert found.interval(0, 0.95) == pytest.approx(expected, abs=1e-5)


def test_donors_count_among_the_cells_that_are_scored() -> None:
    """A bug: a third donor with nothing but rare types was counted, and two were left to be kept apart."""
    values, cells = cells_of(3)
    label = cells.columns["label"].astype("U8")
    of_third = cells.columns["donor"] == "d02"
    label[of_third] = [f"rare{i % 8}" for i in range(of_third.sum())]
    with pytest.raises(NotApplicableError, match="2 found"):
        classification.prepare(values, Cells({**cells.columns, "label": label}), PARAMS, LOGISTIC)


def test_training_donors_of_one_type_name_that_type_bug_of_a_solver_that_needs_two() -> None:
    values, cells = cells_of(3)
    label = np.where(cells.columns["donor"] == "d00", cells.columns["label"], "a").astype(str)
    fit = classification.prepare(values, Cells({**cells.columns, "label": label}), PARAMS, LOGISTIC)(1)
    first = fit.tables["confusion_logistic-regression"]
    assert first[:, 0].sum() >= 40, "where d00 is tested, all that was learnt is a"
    assert np.isfinite(fit.scores(np.ones((1, 120), dtype=np.float32))["accuracy@logistic-regression"]).all()


def test_few_donors_are_strata_also_where_a_batch_has_too_few_of_them() -> None:
    """A bug: with six donors in all and two in one species, donors were neither left out nor kept in the strata."""
    _, cells = cells_of(6)
    species = np.where(np.isin(cells.columns["donor"], ["d00", "d01"]), "mouse", "human")
    units = cell_units({**cells.columns, "species": species}, ("species", "label"), kept=("species",))
    assert units["within"] == "species and label and donor"
    assert units["these_donors"]
    assert len(np.unique(units["strata"])) == 24
