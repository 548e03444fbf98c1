"""Each sanity gate catches the model that is wrong in exactly its way, and lets honest models pass."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import anndata as ad
import numpy as np
import pytest
import scanpy as sc
from scipy import sparse
from sklearn.random_projection import GaussianRandomProjection

from cellgauge.cards import ModelCard
from cellgauge.models import linear
from cellgauge.models.cache import Cost, Genes
from cellgauge.models.embedding import InvalidOutputError
from cellgauge.results.schema import Environment, Gate
from cellgauge.runner.calling import Called
from cellgauge.runner.gating import GateCache, run_gates

COST = Cost(wall_s=0, cpu_s=0, peak_memory_mb=None, memory_method=None)
HERE = Environment(python="3", cellgauge="0", packages={}, platform="test", cpu="test")


@cache
def cells() -> ad.AnnData:
    """600 real blood cells, log-normalised."""
    adata = sc.datasets.pbmc68k_reduced().raw.to_adata()[:600]
    out = ad.AnnData(sparse.csr_matrix(adata.X), uns={"values": "log-normalised"})
    out.obs_names, out.var_names = adata.obs_names, adata.var_names
    return out


def dense(adata: ad.AnnData) -> np.ndarray:
    return adata.X.toarray()


def projected(adata: ad.AnnData, seed: int = 0) -> np.ndarray:
    """An embedding of each cell by itself, as of a pretrained model."""
    return GaussianRandomProjection(40, random_state=seed).fit(dense(adata)[:1]).transform(dense(adata))


def honest(adata: ad.AnnData, seed: int) -> np.ndarray:
    return projected(adata)


def dropout(adata: ad.AnnData, seed: int) -> np.ndarray:
    """Reads a random half of the genes of each cell: other numbers with another seed, the same cells nearby."""
    rng = np.random.default_rng(seed)
    kept = dense(adata) * (rng.random(adata.shape) < 0.8)
    return GaussianRandomProjection(40, random_state=0).fit(kept[:1]).transform(kept)


def sorted_by_length(adata: ad.AnnData, seed: int) -> np.ndarray:
    """Sorts cells by their number of genes to fill batches well, and never puts them back."""
    return projected(adata)[np.argsort((dense(adata) > 0).sum(axis=1), kind="stable")]


def normalised_over_the_batch(adata: ad.AnnData, seed: int) -> np.ndarray:
    found = projected(adata)
    return (found - found.mean(axis=0)) / found.std(axis=0)


def unseeded(adata: ad.AnnData, seed: int) -> np.ndarray:
    return dropout(adata, np.random.SeedSequence().entropy % 2**32)


def noise(adata: ad.AnnData, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(adata.n_obs, 30))


def noise_by_cell(adata: ad.AnnData, seed: int) -> np.ndarray:
    """Random numbers that stay with their cell: in order, deterministic, and knowing nothing."""
    return np.array([np.random.default_rng(abs(hash(name))).normal(size=30) for name in adata.obs_names])


def constant(adata: ad.AnnData, seed: int) -> np.ndarray:
    """What is left where no gene is known by its name."""
    return np.ones((adata.n_obs, 8))


def gates_of(
    function: Callable[..., Any], *, fit: str = "none", seeded: bool = False, genes: Genes | None = None, n: int = 600
) -> dict[str, Gate]:
    card = {
        "id": "m", "name": "M", "summary": "Made for a test.", "version": 1, "role": "model",
        "obtain": {"kind": "function", "function": "a.b:c"}, "output": "embedding", "fit": fit,
        "pretrained": False, "seeded": seeded, "input": {"values": ["log-normalised"]},
    }  # fmt: skip

    def call(part: ad.AnnData, seed: int) -> Called:
        return Called(function(part.copy(), seed=seed), COST, HERE, genes)

    found = run_gates(ModelCard.model_validate(card), cells()[:n].copy(), call, 42, "blood")
    return {gate.name: gate for gate in found}


def outcomes(found: dict[str, Gate]) -> dict[str, str]:
    return {name: gate.outcome for name, gate in found.items()}


ALL = {"order": "passed", "batch-size": "passed", "determinism": "passed", "not-a-control": "passed"}


@pytest.mark.parametrize(("function", "seeded"), [(honest, False), (dropout, True), (linear.raw_expression, False)])
def test_models_that_embed_each_cell_by_itself_pass(function: Callable[..., Any], seeded: bool) -> None:
    found = gates_of(function, seeded=seeded, genes=Genes(known=1000, found=700))
    assert outcomes(found) == {**ALL, "coverage": "passed"}, found


@pytest.mark.parametrize(
    ("function", "seeded"),
    [
        (lambda adata, seed: linear.pca(adata, seed=seed, n_components=50, n_top_genes=2000), False),
        (lambda adata, seed: linear.nmf(adata, seed=seed, n_components=20, max_iterations=400), True),
        (lambda adata, seed: linear.truncated_svd(adata, seed=seed, n_components=50), True),
    ],
    ids=["pca", "nmf", "svd"],
)
def test_honest_models_that_are_fitted_here_pass(function: Callable[..., Any], seeded: bool) -> None:
    found = gates_of(function, fit="dataset", seeded=seeded)
    assert outcomes(found) == {**ALL, "batch-size": "not applicable", "coverage": "not applicable"}, found
    assert "fitted to the cells" in found["batch-size"].evidence


def test_rows_sorted_by_length_and_not_put_back_are_caught() -> None:
    found = gates_of(sorted_by_length)
    assert found["order"].outcome == "failed"
    assert found["order"].measured["overlap"] < 0.1 < found["order"].measured["overlap_repeated"]
    assert outcomes(found)["determinism"] == "passed", "the same wrong order each time"


def test_normalising_over_the_batch_is_caught() -> None:
    found = gates_of(normalised_over_the_batch)
    assert outcomes(found) == {**ALL, "batch-size": "failed", "coverage": "not applicable"}, found


def test_a_model_that_ignores_its_seed_is_caught() -> None:
    found = gates_of(unseeded)
    assert found["determinism"].outcome == "failed"
    assert found["order"].outcome == "passed"


def test_the_wrong_names_of_genes_are_caught() -> None:
    found = gates_of(constant, genes=Genes(known=20_000, found=3))
    assert found["coverage"].outcome == "failed"
    assert "3 of the 20,000 genes" in found["coverage"].evidence
    assert found["not-a-control"].outcome == "failed"


@pytest.mark.parametrize("function", [noise, noise_by_cell])
def test_noise_is_caught(function: Callable[..., Any]) -> None:
    found = gates_of(function, seeded=function is noise)
    assert found["not-a-control"].outcome == "failed"
    assert found["determinism"].outcome == "passed"


def test_too_few_cells_are_said_to_be_too_few() -> None:
    found = gates_of(honest, n=40)
    assert found["order"].outcome == "not applicable"
    assert "40 cells are too few" in found["order"].evidence


def test_output_that_is_refused_is_refused_here_too() -> None:
    with pytest.raises(InvalidOutputError):
        gates_of(lambda adata, seed: projected(adata)[:-1])


def test_what_was_found_is_kept_whole_or_not_at_all(tmp_path) -> None:
    cache_, found = GateCache(tmp_path), list(gates_of(honest).values())
    key = "sha256:" + "ab" * 32
    assert cache_.read(key) is None
    cache_.write(key, found)
    assert cache_.read(key) == found
    (path,) = tmp_path.rglob("*.json")
    path.write_bytes(path.read_bytes()[:-5])
    assert cache_.read(key) is None
