"""One study's cells out of a file of four, under names that mean one thing each."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from cellgauge.cards.problems import UserError
from cellgauge.data.recipes.norman_2019 import canonical, norman_2019_subset

NAME = "norman-2019-subset"


@pytest.fixture(scope="module")
def deltas(made) -> dict[str, np.ndarray]:
    """Difference of the mean profile from that of control cells, by perturbation."""
    adata = made(NAME)
    names = adata.obs["perturbation"].to_numpy(dtype=str)
    means = {name: np.asarray(adata.X[names == name].mean(axis=0)).ravel() for name in np.unique(names)}
    return {name: mean - means["control"] for name, mean in means.items() if name != "control"}


def test_the_screen_has_18_single_genes_15_pairs_and_a_control(made) -> None:
    sizes = made(NAME).obs["perturbation"].value_counts()
    pairs = [name for name in sizes.index if "+" in name]
    assert (len(sizes), len(pairs), sizes["control"]) == (34, 15, 100)
    assert sizes.max() == 100
    assert sizes.min() == 80
    assert all(name.split("+") == sorted(name.split("+")) for name in pairs)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("SET+KLF1", "KLF1+SET"),
        ("KLF1+control", "KLF1"),
        ("control+KLF1", "KLF1"),
        ("control", "control"),
        ("A+A", "A"),
    ],
)
def test_a_perturbation_has_one_name(name: str, expected: str) -> None:
    assert canonical(name) == expected


def test_the_card_counts_genes_and_cells_rightly(made) -> None:
    adata = made(NAME)
    detected = adata.X.toarray() > 0
    assert np.median(detected.sum(axis=1)) == 15
    assert (detected.mean(axis=0) >= 0.05).sum() == 56
    assert detected.any(axis=0).all()
    perturbed = {gene for name in adata.obs["perturbation"] for gene in name.split("+")} - {"control"}
    assert len(perturbed) == 31
    assert perturbed & set(adata.var_names) == {"TMSB4X"}


def test_the_split_is_the_one_that_the_card_describes(made, card) -> None:
    names = set(made(NAME).obs["perturbation"])
    test = set(card(NAME).split.test)
    pairs = {name for name in names if "+" in name}
    singles = names - pairs - {"control"}
    assert test <= names
    assert pairs <= test
    training = singles - test
    seen = [sum(gene in training for gene in pair.split("+")) for pair in pairs]
    assert [seen.count(number) for number in (2, 1, 0)] == [5, 3, 7]
    in_no_pair = sorted(singles - {gene for pair in pairs for gene in pair.split("+")})
    assert len(in_no_pair) == 11
    assert singles & test == set(in_no_pair[::2])


def test_every_perturbation_is_spread_over_all_gem_groups(made) -> None:
    obs = made(NAME).obs
    table = pd.crosstab(obs["perturbation"], obs["gem_group"])
    assert table.shape == (34, 8)
    assert table.to_numpy().min() >= 4


def test_values_are_those_in_the_file(files_of, made) -> None:
    adata = made(NAME)
    with h5py.File(files_of(NAME)["cells"]) as file:
        stored = file["X"]
        columns = {name.decode(): number for number, name in enumerate(file["var"][file["var"].attrs["_index"]])}
        cells = [name.decode() for name in file["obs"][file["obs"].attrs["_index"]]]
        for cell in (adata.obs_names[0], adata.obs_names[-1]):
            row = cells.index(cell)
            start, end = stored["indptr"][row : row + 2]
            dense = np.zeros(len(columns))
            dense[stored["indices"][start:end]] = stored["data"][start:end]
            kept = dense[[columns[gene] for gene in adata.var_names]]
            assert adata[cell].X.toarray().ravel() == pytest.approx(kept, rel=1e-6)
            assert kept.sum() == pytest.approx(dense.sum())


def test_each_value_stands_for_a_count(made) -> None:
    matrix = made(NAME).X.astype(np.float64)
    for row in range(0, matrix.shape[0], 50):
        values = np.expm1(matrix[row].data)
        ratios = values / values.min()
        assert np.abs(ratios - np.rint(ratios)).max() < 0.01


def test_added_single_effects_foretell_the_five_complete_pairs(deltas) -> None:
    complete = [pair for pair in deltas if "+" in pair and all(gene in deltas for gene in pair.split("+"))]
    found = [np.corrcoef(deltas[pair], sum(deltas[gene] for gene in pair.split("+")))[0, 1] for pair in complete]
    assert len(complete) == 5
    assert min(found) > 0.70
    assert max(found) < 0.99


def small(**obs: list[object]) -> ad.AnnData:
    columns = {
        "dataset": ["norman19", "norman19", "other"],
        "perturbation": ["control", "B+A", "x"],
        "ncounts": [1.0] * 3,
    }
    matrix = sparse.csr_matrix(np.array([[0.5, 0, 0], [0, 0, 1.5], [0, 2, 0]]))
    frame = pd.DataFrame({**columns, **obs}, index=["AC-1", "AG-2", "AT-1"])
    return ad.AnnData(matrix, obs=frame, var=pd.DataFrame(index=["z", "y", "x"]))


def refused(adata: ad.AnnData, folder: Path) -> str:
    adata.write_h5ad(folder / "file.h5ad")
    with pytest.raises(UserError) as raised:
        norman_2019_subset({"cells": folder / "file.h5ad"})
    return str(raised.value)


def test_cells_of_other_studies_and_genes_that_are_zero_are_dropped(tmp_path: Path) -> None:
    small().write_h5ad(tmp_path / "file.h5ad")
    path = (tmp_path / "file.h5ad").rename(tmp_path / "without-suffix")
    adata = norman_2019_subset({"cells": path})
    assert list(adata.var_names) == ["x", "z"]
    assert adata.X.toarray().tolist() == [[0, 0.5], [1.5, 0]]
    assert list(adata.obs["perturbation"]) == ["control", "A+B"]
    assert list(adata.obs["gem_group"]) == ["1", "2"]


def test_a_file_without_the_study_names_those_it_has(tmp_path: Path) -> None:
    found = refused(small(dataset=["a", "b", "a"]), tmp_path)
    assert found == 'cells: expected cells whose dataset is "norman19", found: a, b'


def test_missing_columns_are_named(tmp_path: Path) -> None:
    adata = small()
    del adata.obs["perturbation"]
    assert refused(adata, tmp_path) == "cells: obs: expected the columns perturbation, found: dataset, ncounts"


def test_negative_values_are_refused(tmp_path: Path) -> None:
    adata = small()
    adata.X = -adata.X
    assert "found numbers that are negative or not finite" in refused(adata, tmp_path)


def test_barcodes_without_a_gem_group_are_refused(tmp_path: Path) -> None:
    adata = small()
    adata.obs_names = ["AC", "AG-2", "AT-1"]
    assert 'expected barcodes that end in "-" and a number, found "AC"' in refused(adata, tmp_path)


def test_what_is_no_h5ad_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"text")
    with pytest.raises(UserError, match=r"^cells: expected an \.h5ad file, but it cannot be read: "):
        norman_2019_subset({"cells": tmp_path / "file"})
