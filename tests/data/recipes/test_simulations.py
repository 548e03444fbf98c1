"""What is known of the simulated sets is found in them."""

from __future__ import annotations

import importlib.resources
import itertools
import socket

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from cellgauge.cards.problems import UserError
from cellgauge.data.recipes.simulated_cross_species import simulated_cross_species
from cellgauge.data.recipes.simulated_ordering import simulated_ordering
from cellgauge.data.recipes.simulated_perturbation import perturbations, simulated_perturbation

CROSS, SCREEN, ORDER = "simulated-cross-species", "simulated-perturbation", "simulated-ordering"


def correlation(one, other) -> float:
    return float(np.corrcoef(one, other)[0, 1])


@pytest.mark.parametrize("simulate", [simulated_cross_species, simulated_perturbation])
def test_another_seed_gives_other_cells_of_the_same_design(simulate) -> None:
    one, other = simulate(seed=2), simulate(seed=3)
    assert (one.X != other.X).nnz > 1_000
    for column in one.obs:
        assert sorted(one.obs[column]) == sorted(other.obs[column])


# Two species.


@pytest.fixture(scope="module")
def pair(simulated) -> ad.AnnData:
    return simulated(CROSS)


def of(adata: ad.AnnData, species: str) -> np.ndarray:
    return (adata.obs["species"] == species).to_numpy()


def test_five_types_are_shared_and_each_species_has_one_of_its_own(pair) -> None:
    table = pd.crosstab(pair.obs["cell_type"], pair.obs["species"])
    assert table.sum().to_dict() == {"Homo sapiens": 600, "Mus musculus": 600}
    assert (table.loc[["type A", "type B", "type C", "type D", "type E"]] >= 60).all(axis=None)
    assert table.loc["type F"].tolist() == [60, 0]
    assert table.loc["type G"].tolist() == [0, 60]


def test_every_donor_has_every_type_of_its_species(pair) -> None:
    table = pd.crosstab(pair.obs["donor"], pair.obs["cell_type"])
    assert len(table) == 8
    assert ((table >= 10).sum(axis=1) == 6).all()


def test_the_difference_between_species_is_the_one_that_was_put_in(pair) -> None:
    share = pair.X.toarray() / np.asarray(pair.X.sum(axis=1)).reshape(-1, 1)
    shared = pair.obs["cell_type"].isin(["type A", "type B", "type C", "type D", "type E"]).to_numpy()
    human, mouse = (share[shared & of(pair, name)].mean(axis=0) for name in ("Homo sapiens", "Mus musculus"))
    common = (human > 2e-4) & (mouse > 2e-4)
    found, truth = np.log(mouse[common] / human[common]), pair.var["species_effect"].to_numpy()[common]
    assert common.sum() > 300
    assert correlation(found, truth) > 0.85
    assert abs(correlation(found, np.random.default_rng(0).permutation(truth))) < 0.2


def test_markers_are_where_they_were_put_in_each_species(pair) -> None:
    for species, key in (("Homo sapiens", "type_effect_human"), ("Mus musculus", "type_effect_mouse")):
        cells = pair[of(pair, species)]
        share = cells.X.toarray() / np.asarray(cells.X.sum(axis=1)).reshape(-1, 1)
        for name, truth in cells.varm[key].items():
            own = (cells.obs["cell_type"] == name).to_numpy()
            if not own.any():
                continue
            change = np.log((share[own].mean(axis=0) + 1e-5) / (share[~own].mean(axis=0) + 1e-5))
            assert change[truth > 0].mean() > change[truth == 0].mean() + 0.4


def test_types_are_recognised_across_species_unless_orthologs_are_mixed_up(pair, components) -> None:
    from sklearn.neighbors import KNeighborsClassifier

    def transfer(adata: ad.AnnData) -> float:
        embedding, types = components(adata), adata.obs["cell_type"].to_numpy(dtype=str)
        shared = ~np.isin(types, ["type F", "type G"])
        human, mouse = shared & of(adata, "Homo sapiens"), shared & of(adata, "Mus musculus")
        return KNeighborsClassifier(15).fit(embedding[human], types[human]).score(embedding[mouse], types[mouse])

    wrong = pair.copy()
    mouse = of(pair, "Mus musculus")
    order = np.random.default_rng(0).permutation(pair.n_vars)
    counts = pair.X.toarray()
    counts[mouse] = counts[mouse][:, order]
    wrong.X = counts
    assert 0.8 < transfer(pair) < 0.97
    assert transfer(wrong) < 0.5


def test_types_are_neither_trivial_nor_hopeless_within_a_species(pair, components) -> None:
    from sklearn.model_selection import cross_val_score
    from sklearn.neighbors import KNeighborsClassifier

    embedding, types = components(pair), pair.obs["cell_type"].to_numpy(dtype=str)
    for species in ("Homo sapiens", "Mus musculus"):
        cells = of(pair, species)
        accuracy = cross_val_score(KNeighborsClassifier(15), embedding[cells], types[cells], cv=5).mean()
        assert 0.9 < accuracy < 0.99


# A screen.


@pytest.fixture(scope="module")
def screen(simulated) -> ad.AnnData:
    return simulated(SCREEN)


@pytest.fixture(scope="module")
def cells_of(screen) -> dict[str, np.ndarray]:
    counts, names = screen.X.toarray(), screen.obs["perturbation"].to_numpy(dtype=str)
    return {name: counts[names == name] for name in np.unique(names)}


@pytest.fixture(scope="module")
def measured(cells_of) -> dict[str, np.ndarray]:
    """Logarithm of the ratio of mean counts of perturbed and control cells, by perturbation."""
    control = cells_of["control"].mean(axis=0)
    return {name: np.log((cells.mean(axis=0) + 0.01) / (control + 0.01)) for name, cells in cells_of.items()}


def test_the_screen_has_the_size_that_its_card_names(cells_of) -> None:
    assert len(cells_of["control"]) == 600
    assert {len(cells) for name, cells in cells_of.items() if name != "control"} == {70}
    assert [sum(name.count("+") == n for name in cells_of) - (n == 0) for n in (0, 1)] == [24, 40]


def test_the_split_tests_pairs_of_which_none_one_or_both_genes_were_seen(screen, card) -> None:
    names = set(screen.obs["perturbation"])
    test = set(card(SCREEN).split.test)
    assert (
        test
        == {one.name for one in perturbations() if one.test}
        == set(screen.uns["perturbations"].query("test").index)
    )
    training = names - test
    seen_genes = {gene for name in training for gene in name.split("+")} - {"control"}
    assert seen_genes <= training, "a gene of a training pair is also seen alone"
    seen = [sum(gene in training for gene in pair.split("+")) for pair in test if "+" in pair]
    assert [seen.count(number) for number in (2, 1, 0)] == [10, 12, 8]
    assert sum("+" not in name for name in test) == 8
    assert sum("+" in name for name in training) == 10


def test_batches_are_not_confounded_with_perturbations(screen) -> None:
    table = pd.crosstab(screen.obs["perturbation"], screen.obs["batch"])
    assert table.shape == (65, 4)
    assert (table.max(axis=1) - table.min(axis=1) <= 1).all()


def test_every_effect_is_found_in_the_counts(screen, measured) -> None:
    rng = np.random.default_rng(0)
    for name, truth in screen.varm["effect"].items():
        assert correlation(measured[name], truth) > 0.9
        assert abs(correlation(measured[name], rng.permutation(truth))) < 0.25


def test_more_cells_come_nearer_to_the_truth(screen, cells_of, measured) -> None:
    control = cells_of["control"].mean(axis=0)
    truth = screen.varm["effect"]
    few = {name: np.log((cells_of[name][:10].mean(axis=0) + 0.01) / (control + 0.01)) for name in truth}
    errors = {
        label: np.median([np.mean((estimate[name] - truth[name]) ** 2) for name in truth])
        for label, estimate in (("few", few), ("all", measured))
    }
    assert errors["all"] < 0.5 * errors["few"]


def test_interactions_are_those_that_were_put_in(screen, measured) -> None:
    kinds, slopes = screen.uns["perturbations"]["kind"], {}
    others = np.arange(screen.n_vars) >= 40
    for kind in ("additive", "synergy", "buffering"):
        pairs = [name for name in kinds.index[kinds == kind] if all(gene in measured for gene in name.split("+"))]
        assert len(pairs) >= 4
        sums = [sum(measured[gene] for gene in name.split("+"))[others] for name in pairs]
        slopes[kind] = np.median(
            [np.polyfit(one, measured[name][others], 1)[0] for one, name in zip(sums, pairs, strict=True)]
        )
    assert slopes["additive"] == pytest.approx(1.0, abs=0.15)
    assert slopes["synergy"] == pytest.approx(1.5, abs=0.2)
    assert slopes["buffering"] == pytest.approx(0.5, abs=0.1)


def test_pairs_are_sums_by_construction(screen) -> None:
    effects, kinds = screen.varm["effect"], screen.uns["perturbations"]["kind"]
    for name in kinds.index[kinds == "additive"]:
        if all(gene in effects for gene in name.split("+")):
            assert effects[name].to_numpy() == pytest.approx(sum(effects[gene].to_numpy() for gene in name.split("+")))


def test_a_switched_on_gene_rises(measured, screen) -> None:
    for name, change in measured.items():
        for gene in set(name.split("+")) - {"control"}:
            assert change[screen.var_names.get_loc(gene)] > 1.0


def test_genes_of_a_module_vary_together_in_control_cells(screen, cells_of) -> None:
    shares = cells_of["control"] / cells_of["control"].sum(axis=1, keepdims=True)
    together = np.corrcoef(np.log1p(1e4 * shares[:, :40]), rowvar=False)
    module = screen.var["module"].to_numpy()[:40]
    same = (module[:, None] == module) & ~np.eye(40, dtype=bool)
    assert together[same].mean() > together[module[:, None] != module].mean() + 0.02


def test_every_perturbation_has_twenty_responding_genes_in_half_of_its_cells(screen) -> None:
    import scanpy as sc

    half = ad.AnnData(screen.X[::2].copy(), obs=screen.obs[["perturbation"]].iloc[::2].astype("category"))
    sc.pp.normalize_total(half, target_sum=1e4)
    sc.pp.log1p(half)
    sc.tl.rank_genes_groups(half, "perturbation", reference="control", method="wilcoxon")
    adjusted = half.uns["rank_genes_groups"]["pvals_adj"]
    assert min((adjusted[name] < 0.05).sum() for name in adjusted.dtype.names) >= 20


def test_the_mean_of_the_training_perturbations_is_not_the_answer(measured) -> None:
    test = [one.name for one in perturbations() if one.test]
    training = np.mean([measured[one.name] for one in perturbations() if not one.test], axis=0)
    found = [correlation(training, measured[name]) for name in test]
    assert 0.4 < np.median(found) < 0.8


# An order.


def test_time_is_the_first_column_of_scanpys_file(simulated) -> None:
    adata = simulated(ORDER)
    text = (importlib.resources.files("scanpy.datasets") / "krumsiek11.txt").read_text()
    rows = [line.split() for line in text.splitlines() if not line.startswith("#")]
    assert list(adata.obs["time"]) == [int(row[0]) for row in rows]
    assert np.abs(adata.X - np.array([[float(value) for value in row[1:]] for row in rows])).max() < 1e-6


def test_runs_begin_alike_and_end_apart(simulated) -> None:
    adata = simulated(ORDER)
    first, last = (adata[adata.obs["time"] == time].X for time in (0, 159))
    assert np.ptp(first, axis=0).max() < 0.01
    assert min(np.abs(one - other).max() for one, other in itertools.combinations(last, 2)) > 0.5
    assert list(adata.obs["cell_type"][adata.obs["time"] == 159]) == ["Mo", "Ery", "Mk", "Neu"]
    assert set(adata.obs["cell_type"][adata.obs["time"] < 80]) == {"progenitor"}


def test_runs_part_within_the_first_fifty_steps(simulated) -> None:
    runs = simulated(ORDER).X.reshape(4, 160, 11)
    for one, other in itertools.combinations(runs, 2):
        assert np.abs(one[50:] - other[50:]).max(axis=1).min() > 0.15


def test_neighbours_in_a_branch_are_neighbours_in_time(simulated) -> None:
    adata = simulated(ORDER)
    for branch in ("Mo", "Ery", "Mk", "Neu"):
        cells = adata[adata.obs["branch"] == branch]
        time, apart = cells.obs["time"].to_numpy(), np.linalg.norm(cells.X[:, None] - cells.X[None], axis=2)
        np.fill_diagonal(apart, np.inf)
        assert np.median(np.abs(time[apart.argmin(axis=1)] - time)) <= 4
        changing = time < 60
        assert np.abs(time[apart.argmin(axis=1)] - time)[changing].max() <= 3


def test_it_asks_for_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a connection was asked for")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert simulated_ordering().shape == (640, 11)


def test_a_changed_file_of_scanpy_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    import scanpy as sc

    shipped = sc.datasets.krumsiek11()
    monkeypatch.setattr(sc.datasets, "krumsiek11", lambda: shipped[::-1].copy())
    with pytest.raises(UserError, match="krumsiek11 has changed: expected 4 runs of 160 steps"):
        simulated_ordering()
    monkeypatch.setattr(sc.datasets, "krumsiek11", lambda: shipped[np.roll(np.arange(640), 160)].copy())
    with pytest.raises(UserError, match="krumsiek11 has changed: expected Mo in row 80, found Neu"):
        simulated_ordering()
