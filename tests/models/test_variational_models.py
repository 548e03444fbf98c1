"""scVI and its linear kind do what their cards say. Each is trained for real, on few cells."""

from __future__ import annotations

from collections.abc import Callable

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import silhouette_score
from sklearn.neighbors import KNeighborsClassifier

from cellgauge.cards import ModelCard
from cellgauge.models import variational
from cellgauge.models.cache import Cost
from cellgauge.models.linear import pca
from cellgauge.results.schema import Environment
from cellgauge.runner.calling import Called
from cellgauge.runner.gating import run_gates

torch = pytest.importorskip("torch", reason="needs torch: make methods")
scvi = pytest.importorskip("scvi", reason="needs scvi-tools: make methods")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

N = 143  # 0.9 of them are one more than a batch of training: a last batch of one cell cannot be normalised
HOW = {"n_latent": 10, "n_layers": 2, "gene_likelihood": "nb", "n_top_genes": 50}
LINEAR = {"n_latent": 4, "learning_rate": 0.005, "n_top_genes": 50}
Embeddings = dict[str, np.ndarray]


def made(n: int = N) -> ad.AnnData:
    """Two types in two batches; each batch changes every gene by a factor of its own."""
    rng = np.random.default_rng(0)
    types, batches = np.arange(n) // 2 % 2, np.arange(n) % 2
    rates = np.exp(rng.normal(size=(2, 60)))[types] * np.exp(0.8 * rng.normal(size=(2, 60)))[batches]
    obs = pd.DataFrame({"batch": batches.astype(str), "type": types}, index=[f"c{n}" for n in range(n)])
    out = ad.AnnData(rng.poisson(rates).astype(np.float32), obs=obs, uns={"values": "counts"})
    out.var_names = [f"g{n}" for n in range(60)]
    return out


@pytest.fixture(scope="module")
def found() -> Embeddings:
    """Every embedding that the tests look at: training is what takes time."""
    cells, turned = made(), np.random.default_rng(1).permutation(N)
    return {
        "batch": variational.scvi(cells.copy(), seed=1, by="batch", **HOW),
        "again": variational.scvi(cells.copy(), seed=1, by="batch", **HOW),
        "other seed": variational.scvi(cells.copy(), seed=2, by="batch", **HOW),
        "plain": variational.scvi(cells.copy(), seed=1, **HOW),
        "permuted": variational.scvi(cells[turned].copy(), seed=1, by="batch", **HOW)[np.argsort(turned)],
        "linear": variational.linear_scvi(cells.copy(), seed=1, **LINEAR),
        "linear again": variational.linear_scvi(cells.copy(), seed=1, **LINEAR),
        "pca": pca(cells.copy(), seed=1, n_components=10, n_top_genes=50),
    }


def test_the_batch_is_forgotten_by_whoever_is_told_of_it_and_types_stay_apart(found: Embeddings) -> None:
    obs = made().obs
    by = {
        key: {name: silhouette_score(found[name], obs[key]) for name in ("pca", "plain", "batch")}
        for key in ("batch", "type")
    }
    assert by["batch"]["pca"] > 0.15
    assert by["batch"]["plain"] > 0.15
    assert by["batch"]["batch"] < 0.05
    assert by["type"]["batch"] > by["type"]["pca"]


@pytest.mark.parametrize(("first", "second"), [("batch", "again"), ("linear", "linear again")])
def test_the_same_seed_gives_the_same_numbers(found: Embeddings, first: str, second: str) -> None:
    np.testing.assert_array_equal(found[first], found[second])


def test_another_seed_gives_others(found: Embeddings) -> None:
    assert np.abs(found["batch"] - found["other seed"]).max() > 0.1


def test_rows_follow_their_cells(found: Embeddings) -> None:
    """Training sees the cells in another order, so that numbers differ; types are as well told apart as before."""
    types = made().obs["type"].to_numpy()
    half = N // 2

    def accuracy(embedding: np.ndarray) -> float:
        return KNeighborsClassifier(5).fit(embedding[:half], types[:half]).score(embedding[half:], types[half:])

    assert accuracy(found["permuted"]) > 0.9
    assert accuracy(found["permuted"][np.random.default_rng(3).permutation(N)]) < 0.75
    assert not np.array_equal(found["permuted"], found["batch"])


def test_it_is_what_scvi_tools_does_when_called_by_hand(found: Embeddings) -> None:
    """On the same genes with the same seed; and its decoder is linear, as that of scVI is not."""
    import scanpy as sc

    cells = made()
    logged = cells.copy()
    sc.pp.normalize_total(logged, target_sum=1e4)
    sc.pp.log1p(logged)
    sc.pp.highly_variable_genes(logged, n_top_genes=50, flavor="seurat")
    fewer = ad.AnnData(cells[:, logged.var["highly_variable"]].X.copy())
    torch.set_num_threads(1)
    nonlinearity = {}
    for name, kind, how, lr in (
        ("linear", scvi.model.LinearSCVI, {"n_latent": 4}, 0.005),
        ("plain", scvi.model.SCVI, {"n_latent": 10, "n_layers": 2, "gene_likelihood": "nb"}, 0.001),
    ):
        scvi.settings.seed = 1
        kind.setup_anndata(fewer)
        model = kind(fewer, **how)
        model.train(accelerator="cpu", plan_kwargs={"lr": lr}, enable_progress_bar=False)
        np.testing.assert_allclose(model.get_latent_representation(), found[name], atol=1e-5)
        nonlinearity[name] = _nonlinearity(model, how["n_latent"])
    assert nonlinearity["linear"] < 1e-4
    assert nonlinearity["plain"] > 0.05


def _nonlinearity(model, n_latent: int) -> float:
    """How much expression decoded from a sum differs from the sum of what is decoded, on a logarithmic scale."""
    model.module.eval()
    ones = torch.as_tensor(np.random.default_rng(2).normal(size=(3, 10, n_latent)), dtype=torch.float32)
    ones[2] = ones[0] + ones[1]

    def decoded(latent):
        with torch.no_grad():
            none = torch.zeros(len(latent), 1)
            scale = model.module.decoder("gene", latent, none, none.long())[0]
        log = torch.log(scale)
        return log - log.mean(dim=1, keepdim=True)

    nothing = decoded(torch.zeros(10, n_latent))
    return float((decoded(ones[2]) + nothing - decoded(ones[0]) - decoded(ones[1])).abs().max())


@pytest.mark.parametrize(("function", "how"), [(variational.scvi, HOW), (variational.linear_scvi, LINEAR)])
def test_training_says_nothing_writes_nothing_and_changes_nothing(
    function: Callable[..., np.ndarray], how: dict, tmp_path, monkeypatch, capfd
) -> None:
    monkeypatch.chdir(tmp_path)
    scvi.settings.seed = 77
    torch.set_num_threads(2)
    cells = made(40)
    cells.X[3] = 0  # a cell with no counts at all
    before = cells.X.copy()
    embedding = function(cells, seed=1, **how)
    assert np.isfinite(embedding).all()
    assert embedding.shape == (40, how["n_latent"])
    assert capfd.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []
    assert (scvi.settings.seed, torch.get_num_threads()) == (77, 2)
    np.testing.assert_array_equal(cells.X, before)


@pytest.mark.parametrize(("function", "how"), [(variational.scvi, HOW), (variational.linear_scvi, LINEAR)])
def test_every_sanity_gate_is_passed(function: Callable[..., np.ndarray], how: dict) -> None:
    card = {
        "id": "m", "name": "M", "summary": "Made for a test.", "version": 1, "role": "model",
        "obtain": {"kind": "function", "function": "a.b:c"}, "output": "embedding", "fit": "dataset",
        "pretrained": False, "seeded": True, "input": {"values": ["counts"]},
    }  # fmt: skip
    nothing = Cost(wall_s=0, cpu_s=0, peak_memory_mb=None, memory_method=None)
    here = Environment(python="3", cellgauge="0", packages={}, platform="test", cpu="test")

    def call(part: ad.AnnData, seed: int) -> Called:
        return Called(function(part.copy(), seed=seed, **how), nothing, here)

    gates = run_gates(ModelCard.model_validate(card), made(), call, 42, "made")
    assert {gate.name: gate.outcome for gate in gates} == {
        "order": "passed",
        "batch-size": "not applicable",
        "determinism": "passed",
        "coverage": "not applicable",
        "not-a-control": "passed",
    }, gates
