"""Sample-level prediction: grouped by donor, right on data whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.model_selection import LeaveOneGroupOut
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cellgauge.cards.read import read_card
from cellgauge.cards.task import TaskCard
from cellgauge.tasks.contract import Cells, NotApplicableError, UnscorableError
from cellgauge.tasks.evaluate import evaluate
from cellgauge.tasks.samples import prepare

PARAMS = {"n_folds": 5, "max_iterations": 1000}
KEYS = ["macro-f1", "accuracy", "macro-recall", "macro-auroc"]


def study(n_donors: int, shift: float, seed: int = 0, donor_spread: float = 0.0) -> tuple[np.ndarray, Cells]:
    """Two samples a donor, 30 cells each; half of the donors are ill, and illness moves the first dimension."""
    rng = np.random.default_rng(seed)
    donor = np.repeat(np.arange(n_donors), 60)
    sample = np.repeat(np.arange(2 * n_donors), 30)
    ill = donor % 2
    cells = rng.normal(size=(len(donor), 6)) + donor_spread * rng.normal(size=(n_donors, 6))[donor]
    cells[:, 0] += shift * ill
    columns = {
        "label": np.where(ill, "ill", "well"),
        "donor": np.char.add("d", donor.astype(str)),
        "sample": np.char.add("s", sample.astype(str)),
    }
    return cells.astype(np.float32), Cells(columns)


def point(embedding: np.ndarray, cells: Cells, seed: int = 42) -> dict[str, float]:
    fit = prepare(embedding, cells, PARAMS, KEYS)(seed)
    found = fit.scores(np.ones((1, len(fit.strata)), dtype=np.float32))
    return {key: float(found[key][0]) for key in KEYS}


def test_a_clear_difference_is_found_and_none_is_not() -> None:
    assert point(*study(10, 3.0))["macro-f1"] == 1
    chance = np.mean([point(*study(10, 0.0, seed))["macro-auroc"] for seed in range(20)])
    assert 0.3 < chance < 0.7


def test_a_donor_is_never_on_both_sides() -> None:
    """Each donor has a position of its own and its two samples differ in nothing: with the donor in training both
    samples would be right; without, there is nothing to go by."""
    rng = np.random.default_rng(3)
    found = []
    for seed in range(15):
        embedding, cells = study(12, 0.0, seed, donor_spread=30.0)
        labels = rng.permutation(np.repeat(["ill", "well"], 6))
        columns = {**cells.columns, "label": labels[np.repeat(np.arange(12), 60)]}
        found.append(point(embedding, Cells(columns))["accuracy"])
    assert np.mean(found) < 0.7


def test_scores_are_those_of_scikit_learn() -> None:
    embedding, cells = study(5, 0.3, 4, donor_spread=0.5)
    means = np.array([embedding[cells.columns["sample"] == f"s{one}"].mean(axis=0) for one in range(10)])
    labels = np.array(["well", "well", "ill", "ill"] * 2 + ["well", "well"])
    donors = np.repeat(np.arange(5), 2)
    predicted = np.empty_like(labels)
    for train, test in LeaveOneGroupOut().split(means, labels, donors):
        model = make_pipeline(StandardScaler(with_mean=False), LogisticRegression(max_iter=1000, random_state=42)).fit(
            means[train], labels[train]
        )
        predicted[test] = model.predict(means[test])
    assert 0 < (predicted != labels).sum() < 10
    assert point(embedding, cells)["macro-f1"] == pytest.approx(f1_score(labels, predicted, average="macro"))


def test_the_interval_leaves_out_donors_from_six_on() -> None:
    task = read_card_of_the_task()
    for n_donors in (5, 8):
        embedding, cells = study(n_donors, 0.8, 1, donor_spread=0.5)
        found = evaluate(task, prepare, dict.fromkeys(task.protocol.seeds, embedding), cells, "sha256:" + "0" * 64)
        assert found.method == "jackknife"
        assert found.n_groups == (n_donors,) * len(found.keys)
        assert (found.interval(0, 0.95) is None) == (n_donors < 6)
        assert found.n_units == (2 * n_donors,) * len(found.keys)


def read_card_of_the_task() -> TaskCard:
    from pathlib import Path

    return read_card(Path(__file__).parents[2] / "site_src/tasks/sample-prediction.md", TaskCard)


def test_a_class_of_one_donor_is_dropped_and_reported() -> None:
    embedding, cells = study(8, 2.0)
    label = cells.columns["label"].astype("U8")
    label[cells.columns["donor"] == "d0"] = "rare"
    fit = prepare(embedding, Cells({**cells.columns, "label": label}), PARAMS, KEYS)(42)
    assert fit.details["donors_of_each_class"] == {"ill": 4, "rare": 1, "well": 3}
    assert fit.details["classes"] == ["ill", "well"]
    assert fit.details["n_samples"] == 14


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ("labels within a sample", NotApplicableError, "a sample needs one label, and sample s0 has several"),
        ("donors within a sample", NotApplicableError, "a sample needs one donor, and sample s0 has several"),
        ("two donors", NotApplicableError, "needs cells of 3 donors or more; 2 found"),
        ("one class", UnscorableError, r"at least two classes need samples of two donors or more .*ill: 1"),
    ],
)
def test_data_that_cannot_be_split_are_refused(change: str, error: type[Exception], message: str) -> None:
    embedding, cells = study(2 if change == "two donors" else 8, 1.0)
    columns = {role: values.astype("U8") for role, values in cells.columns.items()}
    if change == "labels within a sample":
        columns["label"][0] = "ill"
    if change == "donors within a sample":
        columns["donor"][0] = "d1"
    if change == "one class":
        columns["label"][columns["donor"] != "d1"] = "well"
    with pytest.raises(error, match=message):
        prepare(embedding, Cells(columns), PARAMS, KEYS)
