"""Scanorama does what its card says, and every cell gets its own row back."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import silhouette_score

from cellgauge.cards import ModelCard
from cellgauge.models.batches import scanorama
from cellgauge.models.cache import Cost
from cellgauge.models.linear import log_normalised, pca
from cellgauge.results.schema import Environment
from cellgauge.runner.calling import Called
from cellgauge.runner.gating import run_gates

package = pytest.importorskip("scanorama", reason="needs scanorama: make methods")

HOW = {"by": "batch", "n_components": 20, "n_top_genes": 2000}


@pytest.fixture
def cells() -> ad.AnnData:
    """Three types in two batches of unequal size, in no order; each batch changes every gene by its own factor."""
    rng = np.random.default_rng(0)
    types, batches = np.repeat([0, 1, 2], 80), (rng.random(240) < 0.4).astype(int)
    rates = np.exp(rng.normal(size=(3, 120)))[types] * np.exp(0.8 * rng.normal(size=(2, 120)))[batches]
    obs = pd.DataFrame({"batch": batches.astype(str), "type": types}, index=[f"c{n}" for n in range(240)])
    out = ad.AnnData(rng.poisson(rates).astype(np.float32), obs=obs, uns={"values": "counts"})
    out.var_names = [f"g{n}" for n in range(120)]
    return out


def test_batches_come_together_and_types_stay_apart(cells: ad.AnnData) -> None:
    plain, found = pca(cells.copy(), seed=1, n_components=20, n_top_genes=2000), scanorama(cells.copy(), seed=1, **HOW)
    assert found.shape == plain.shape
    of_batch, of_type = ([silhouette_score(one, cells.obs[key]) for one in (plain, found)] for key in ("batch", "type"))
    assert of_batch[1] < of_batch[0] / 3
    assert of_type[1] > of_type[0] / 2


def test_each_cell_gets_the_row_that_scanorama_gives_it_in_sorted_batches(cells: ad.AnnData, capsys) -> None:
    found = scanorama(cells.copy(), seed=1, **HOW)
    assert capsys.readouterr().out == "", "it says nothing"
    logged = log_normalised(cells)
    parts = [logged[cells.obs["batch"] == one].copy() for one in ("0", "1")]  # the larger one first
    assert len(parts[0]) > len(parts[1])
    package.integrate_scanpy(parts, dimred=20, approx=False, seed=1, verbose=False)
    by_hand = pd.concat(pd.DataFrame(one.obsm["X_scanorama"], index=one.obs_names) for one in parts)
    np.testing.assert_allclose(found, by_hand.loc[cells.obs_names], atol=1e-5)


def test_the_same_seed_gives_the_same_embedding(cells: ad.AnnData) -> None:
    np.testing.assert_array_equal(scanorama(cells.copy(), seed=1, **HOW), scanorama(cells.copy(), seed=1, **HOW))


@pytest.mark.parametrize("sizes", [(240,), (236, 3, 1), (1, 100, 1, 100, 38), (230, 5, 5), (3, 237)])
def test_batches_of_a_few_cells_are_no_obstacle(cells: ad.AnnData, sizes: tuple[int, ...]) -> None:
    cells.obs["batch"] = np.repeat([f"b{n}" for n in range(len(sizes))], sizes)
    found = scanorama(cells, seed=1, **HOW)
    assert found.shape == (240, 20)
    assert np.isfinite(found).all()


def test_each_cell_in_a_batch_of_its_own_is_no_obstacle(cells: ad.AnnData) -> None:
    few = cells[:30].copy()
    few.obs["batch"] = few.obs_names
    assert np.isfinite(scanorama(few, seed=1, **HOW)).all()


def test_one_batch_is_left_as_its_singular_vectors(cells: ad.AnnData) -> None:
    cells.obs["batch"] = "only"
    found = scanorama(cells.copy(), seed=1, **HOW).astype(float)
    logged = np.asarray(log_normalised(cells).X, dtype=float)
    rows = logged / np.linalg.norm(logged, axis=1, keepdims=True)
    singular = np.linalg.svd(rows - rows.mean(axis=0), compute_uv=False)
    # The first three tell types and batches apart; the solver draws at random and is less exact on noise.
    np.testing.assert_allclose(np.linalg.norm(found, axis=0)[:3], singular[:3], rtol=1e-3)


@pytest.mark.timeout(900)
def test_every_sanity_gate_is_passed(cells: ad.AnnData) -> None:
    card = {
        "id": "m", "name": "M", "summary": "Made for a test.", "version": 1, "role": "model",
        "obtain": {"kind": "function", "function": "a.b:c"}, "output": "embedding", "fit": "dataset",
        "pretrained": False, "seeded": True, "input": {"values": ["counts"], "given": ["batch"]},
    }  # fmt: skip
    nothing = Cost(wall_s=0, cpu_s=0, peak_memory_mb=None, memory_method=None)
    here = Environment(python="3", cellgauge="0", packages={}, platform="test", cpu="test")

    def call(part: ad.AnnData, seed: int) -> Called:
        return Called(scanorama(part.copy(), seed=seed, **HOW), nothing, here)

    gates = run_gates(ModelCard.model_validate(card), cells, call, 42, "made")
    outcomes = {gate.name: gate.outcome for gate in gates}
    assert "failed" not in outcomes.values(), gates
    assert [outcomes[one] for one in ("order", "determinism", "not-a-control")] == ["passed"] * 3
