"""What a perturbation screen holds out, and what a model that predicts is shown of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from cellgauge.cards import DatasetCard
from cellgauge.cards.read import read_card
from cellgauge.data.contents import from_anndata
from cellgauge.data.dataset import Dataset, check, load_dataset
from cellgauge.data.screen import (
    Screen,
    ScreenError,
    design,
    mean_profiles,
    shared_effect,
    targets,
    training_file,
)
from cellgauge.data.store import FileStore

PROJECT = Path(__file__).parents[2]
SCREENED: dict[str, Any] = {
    "id": "screen",
    "evidence": "simulated",
    "known_answer": "Chance.",
    "modality": "Perturb-seq",
    "columns": {"perturbation": "perturbation"},
    "perturbations": {"control": "ctrl", "joined_by": "+"},
}
MakeScreen = Callable[..., Dataset]


@pytest.fixture
def screen(dataset_card: Callable[..., DatasetCard]) -> MakeScreen:
    """Makes a dataset with so many cells of each perturbation, and of random counts of six genes A to F."""

    def make(sizes: dict[str, int], *, part: dict[str, str] | None = None, **changes: Any) -> Dataset:
        rng = np.random.default_rng(0)
        names = np.repeat(list(sizes), list(sizes.values()))
        obs = pd.DataFrame({"perturbation": names}, index=[f"{name}-{n}" for n, name in enumerate(names)])
        if part is not None:
            obs["part"] = [part.get(name, "train") for name in names]
        counts = sparse.csr_matrix(1 + rng.poisson(3.0, (len(names), 6)).astype(np.float32))
        adata = ad.AnnData(counts, obs=obs, var=pd.DataFrame(index=list("ABCDEF")))
        card = dataset_card(**{**SCREENED, **changes})
        dataset, problems = check(card, from_anndata(adata, card.matrix))
        assert dataset is not None
        assert [problem for problem in problems if "found sha256" not in problem] == []
        return dataset

    return make


def holding_out(*names: str, **more: Any) -> dict[str, Any]:
    return {"by": "perturbation", "test": list(names), "reason": "A test.", **more}


SIZES = {"ctrl": 9, "A": 8, "B": 8, "C": 7, "D": 8, "A+B": 8, "A+C": 8, "B+C": 8, "E+F": 8, "A+E": 8, "D+E": 8}


# What is held out.


def test_a_gene_held_out_alone_takes_every_pair_that_contains_it_with_it(screen: MakeScreen) -> None:
    found = design(screen(SIZES, split=holding_out("C", "E+F")))
    assert found.held_out == ("C", "E+F")
    assert found.removed == ("A+C", "B+C")
    assert found.training == ("A", "A+B", "A+E", "B", "D", "D+E")


def test_a_pair_held_out_removes_nothing(screen: MakeScreen) -> None:
    found = design(screen(SIZES, split=holding_out("A+B")))
    assert found.removed == ()
    assert {"A", "B", "A+C"} <= set(found.training)


def test_pairs_are_told_apart_by_how_many_genes_were_seen_alone(screen: MakeScreen) -> None:
    sizes = {**SIZES, "A+B+D": 8}
    found = design(screen(sizes, split=holding_out("C", "A+B", "B+C", "A+E", "E+F", "A+B+D")))
    assert {name: found.kind(name) for name in found.held_out} == {
        "C": "unseen-single",
        "A+B": "pair-2",
        "B+C": "pair-1",
        "A+E": "pair-1",
        "E+F": "pair-0",
        "A+B+D": "larger",
    }


def test_a_gene_seen_only_together_with_others_was_not_seen_alone(screen: MakeScreen) -> None:
    found = design(screen(SIZES, split=holding_out("E+F")))
    assert "D+E" in found.training
    assert found.kind("E+F") == "pair-0"


def test_names_have_one_form_however_a_file_writes_them(screen: MakeScreen) -> None:
    sizes = {"ctrl": 8, "ctrl+A": 4, "A+ctrl": 4, "C+B": 4, "B+C": 4, "B+ctrl": 8}
    found = design(screen(sizes, split=holding_out("C+B")))
    assert found.training == ("A", "B")
    assert found.held_out == ("B+C",)
    assert (found.of_cell == "A").sum() == (found.of_cell == "B+C").sum() == 8


def test_what_is_spelt_in_two_ways_cannot_be_on_both_sides_of_the_split(screen: MakeScreen) -> None:
    found = design(screen({"ctrl": 8, "ctrl+A": 8, "A+ctrl": 8, "B+ctrl": 8}, split=holding_out("A+ctrl")))
    assert found.training == ("B",)
    assert len(found.halves(1)["A"].truth) == 8


def test_what_is_for_validation_is_shown_and_named(screen: MakeScreen) -> None:
    dataset = screen(SIZES, split=holding_out("C", validation=["B", "A+C"]))
    found = design(dataset)
    assert found.validation == ("B",)
    assert "B" in found.training
    assert "A+C" in found.removed
    assert training_file(dataset, 1).uns["validation"] == ["B"]


def test_a_split_column_says_the_same(screen: MakeScreen) -> None:
    part = {"C": "test", "E+F": "test", "B": "val", "ctrl": "test"}
    by_column = design(screen(SIZES, part=part, split={"column": "part", "reason": "A test."}))
    listed = design(screen(SIZES, split=holding_out("C", "E+F", validation=["B"])))
    for field in ("training", "validation", "held_out", "removed"):
        assert getattr(by_column, field) == getattr(listed, field), field


def test_too_few_cells_for_two_halves_are_left_out_and_still_unseen(screen: MakeScreen) -> None:
    found = design(screen({**SIZES, "C": 3}, split=holding_out("C", "A+B")))
    assert found.held_out == ("A+B",)
    assert found.too_few == {"C": 3}
    assert found.removed == ("A+C", "B+C")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"split": None}, "screen: expected a split by perturbation, found no split"),
        (
            {
                "columns": {"perturbation": "perturbation", "batch": "perturbation"},
                "split": {**holding_out("C"), "by": "batch"},
            },
            "screen: expected a split by perturbation, found a split by batch",
        ),
        ({"columns": {}, "perturbations": None, "split": None}, "screen: its card declares no perturbations"),
    ],
)
def test_a_dataset_that_holds_out_no_perturbations_is_refused(
    screen: MakeScreen, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(ScreenError, match=said):
        design(screen(SIZES, **changes))


@pytest.mark.parametrize(
    ("sizes", "part", "said"),
    [
        (SIZES, {"C": "holdout"}, "the split column holds holdout; expected train, val, validation, test"),
        ({**SIZES, "ctrl": 3}, {"C": "test"}, "two halves need 4 control cells; found 3"),
        ({"ctrl": 8, "A": 8, "A+B": 8}, {"A": "test"}, "its split leaves no perturbation to learn from"),
        ({"ctrl": 8, "A": 8, "B": 3}, {"B": "test"}, "no perturbation to predict that has 4 cells or more"),
    ],
)
def test_a_split_that_leaves_too_little_is_refused(
    screen: MakeScreen, sizes: dict[str, int], part: dict[str, str], said: str
) -> None:
    with pytest.raises(ScreenError, match=said):
        design(screen(sizes, part=part, split={"column": "part", "reason": "A test."}))


# Halves.


@pytest.fixture
def held(screen: MakeScreen) -> Screen:
    return design(screen(SIZES, split=holding_out("C", "E+F")))


def test_halves_are_disjoint_and_the_odd_cell_goes_to_the_truth(held: Screen) -> None:
    dealt = held.halves(5)
    assert set(dealt) == {"ctrl", "C", "E+F"}
    for name, halves in dealt.items():
        both = np.concatenate([halves.selection, halves.truth])
        assert sorted(both) == np.flatnonzero(held.of_cell == name).tolist()
    assert (len(dealt["ctrl"].selection), len(dealt["ctrl"].truth)) == (4, 5)
    assert (len(dealt["C"].selection), len(dealt["C"].truth)) == (3, 4)


def test_halves_follow_the_seed_and_nothing_else_that_is_held_out(screen: MakeScreen, held: Screen) -> None:
    again, other = held.halves(5), held.halves(6)
    assert all(np.array_equal(held.halves(5)[name].truth, again[name].truth) for name in again)
    assert not all(np.array_equal(again[name].truth, other[name].truth) for name in again)
    fewer = design(screen(SIZES, split=holding_out("C"))).halves(5)
    for name in fewer:
        np.testing.assert_array_equal(fewer[name].truth, again[name].truth)


def test_over_seeds_every_cell_serves_as_truth_about_as_often(held: Screen) -> None:
    times = np.zeros(len(held.of_cell))
    for seed in range(400):
        times[held.halves(seed)["E+F"].truth] += 1
    cells = times[held.of_cell == "E+F"] / 400
    assert cells.min() > 0.4
    assert cells.max() < 0.6


# The training file.


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    path = "site_src/datasets/simulated-perturbation.md"
    card = read_card(PROJECT / path, DatasetCard, shown_as=path)
    return load_dataset(card, PROJECT, FileStore(tmp_path_factory.mktemp("store")))


def rows_of(shown: ad.AnnData, dataset: Dataset) -> np.ndarray:
    """Which cells of a dataset are in a file, found by their counts alone."""
    place = {row.tobytes(): at for at, row in enumerate(dataset.matrix.toarray())}
    assert len(place) == dataset.n_cells, "two cells have the same counts"
    return np.array([place[row.tobytes()] for row in shown.X.toarray()])


def test_a_model_is_shown_the_training_cells_and_half_of_the_controls(simulated: Dataset) -> None:
    held = design(simulated)
    shown = training_file(simulated, 42)
    rows = rows_of(shown, simulated)
    expected = [np.isin(held.of_cell, held.training).nonzero()[0], held.halves(42)["control"].selection]
    assert sorted(rows) == sorted(np.concatenate(expected))
    hidden = np.concatenate([held.halves(42)["control"].truth, np.flatnonzero(np.isin(held.of_cell, held.held_out))])
    assert not set(rows) & set(hidden)
    np.testing.assert_array_equal(shown.obs["perturbation"], held.of_cell[rows])
    assert (len(held.training), len(held.held_out), shown.n_obs) == (26, 38, 26 * 70 + 300)


def test_nothing_that_is_hidden_moves_what_a_model_is_shown(simulated: Dataset) -> None:
    rows = rows_of(training_file(simulated, 42), simulated)
    matrix = simulated.matrix.toarray()
    matrix[np.setdiff1d(np.arange(simulated.n_cells), rows)] = 7
    changed = dataclasses.replace(simulated, matrix=sparse.csr_matrix(matrix))
    one, other = training_file(simulated, 42), training_file(changed, 42)
    np.testing.assert_array_equal(one.X.toarray(), other.X.toarray())
    pd.testing.assert_frame_equal(one.obs, other.obs)


def test_a_file_tells_what_to_predict_and_nothing_of_its_cells_but_the_perturbation(simulated: Dataset) -> None:
    shown = training_file(simulated, 42)
    assert list(shown.obs) == ["perturbation"]
    assert list(shown.var_names) == list(simulated.feature_ids)
    assert list(shown.obs_names) == [f"cell{number}" for number in range(1, shown.n_obs + 1)]
    assert shown.layers.keys() == shown.obsm.keys() == shown.varm.keys() == set()
    assert shown.raw is None
    assert shown.uns == {
        "values": "counts",
        "taxa": [9606],  # which the request to a container repeats
        "control": "control",
        "joined_by": "+",
        "predict": sorted(simulated.card.split.test),
        "validation": [],
    }


def test_the_order_of_a_file_follows_neither_the_dataset_nor_the_perturbation(simulated: Dataset) -> None:
    shown = training_file(simulated, 42)
    rows = rows_of(shown, simulated)
    position = np.arange(len(rows))
    codes = pd.factorize(shown.obs["perturbation"], sort=True)[0]
    for order in (rows, codes):
        assert abs(np.corrcoef(position, order)[0, 1]) < 0.1
    assert not np.array_equal(rows, rows_of(training_file(simulated, 43), simulated))


def test_a_file_can_be_written_and_read(simulated: Dataset, tmp_path: Path) -> None:
    training_file(simulated, 42).write_h5ad(tmp_path / "shown.h5ad")
    again = ad.read_h5ad(tmp_path / "shown.h5ad")
    assert list(again.uns["predict"]) == sorted(simulated.card.split.test)


def test_a_control_is_shown_the_truth_beside_the_rest(simulated: Dataset) -> None:
    held = design(simulated)
    shown = training_file(simulated, 42, with_held_out=True)
    rows, marked = rows_of(shown, simulated), shown.obs["held_out"].to_numpy()
    assert sorted(rows[~marked]) == sorted(rows_of(training_file(simulated, 42), simulated))
    truth = [halves.truth for halves in held.halves(42).values()]
    assert sorted(rows[marked]) == sorted(np.concatenate(truth))


# Arithmetic.


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix])
def test_profiles_are_means_over_cells(form: Any) -> None:
    values = np.random.default_rng(0).random((7, 3)).astype(np.float32)
    groups = [np.array([0, 2, 5]), np.array([1])]
    found = mean_profiles(form(values), groups)
    for row, group in zip(found, groups, strict=True):
        np.testing.assert_allclose(row, [np.mean([float(values[cell, gene]) for cell in group]) for gene in range(3)])


def test_means_are_added_up_in_double_precision() -> None:
    cells = np.full((200_000, 1), 0.1, dtype=np.float32)
    assert mean_profiles(cells, [np.arange(len(cells))])[0, 0] == pytest.approx(float(cells[0, 0]), rel=1e-12)


def test_targets_are_the_genes_that_a_name_names() -> None:
    found = targets(["A", "B+D", "X"], "+", np.array(["D", "C", "B", "A"]))
    np.testing.assert_array_equal(found, [[0, 0, 0, 1], [1, 0, 1, 0], [0, 0, 0, 0]])


def test_a_perturbation_has_no_part_in_the_shared_effect_on_its_own_target() -> None:
    effects = np.array([[9.0, 1.0, 5.0], [2.0, 3.0, 7.0]])
    targeted = np.array([[True, False, True], [False, False, True]])
    np.testing.assert_allclose(shared_effect(effects, targeted), [2, 2, 0])
