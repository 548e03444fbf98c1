"""The program of the container with scVI models of the Census, run without a container on random weights."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from cellgauge.models.contract import Response

torch = pytest.importorskip("torch", reason="needs scvi-tools: make test-models")
scvi = pytest.importorskip("scvi", reason="needs scvi-tools: make test-models")

pytestmark = pytest.mark.slow  # each call imports torch anew

Call = Callable[..., Any]
GENES = [f"ENSG{number:011d}" for number in range(30)]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the Census' training script saves, without training: its arguments, its batches, few genes."""
    scvi.settings.seed = 3
    drawn = np.random.default_rng(3)
    trained_on = ad.AnnData(
        sparse.csr_matrix(drawn.poisson(2, (40, len(GENES))), dtype=np.float32),
        obs=pd.DataFrame({"batch": [f"dataset{number % 4}10x 3' v3celldonor" for number in range(40)]}).set_index(
            pd.Index([f"reference{number}" for number in range(40)])
        ),
        var=pd.DataFrame(index=GENES),
    )
    scvi.model.SCVI.setup_anndata(trained_on, batch_key="batch")
    model = scvi.model.SCVI(trained_on, n_layers=2, n_latent=50, gene_likelihood="nb", encode_covariates=False)
    model.is_trained = True
    for name, buffer in model.module.named_buffers():
        if "running" in name:
            buffer.uniform_(0.5, 1.5)
    folder = tmp_path_factory.mktemp("weights")
    model.save(str(folder), overwrite=True)
    return folder


@pytest.fixture(scope="module")
def cells() -> ad.AnnData:
    """Seven cells with eighteen genes of the model, one of them under a version, and two others."""
    names = [*GENES[:17], f"{GENES[17]}.12", "ENSG77777777777", f"{GENES[3]}.2"]
    return ad.AnnData(
        sparse.csr_matrix(np.random.default_rng(0).poisson(3, (7, 20)), dtype=np.float32),
        obs=pd.DataFrame(index=[f"cell{number}" for number in range(7)]),
        var=pd.DataFrame(index=names),
    )


@pytest.fixture(scope="module")
def call(caller_of: Callable[..., Call]) -> Call:
    return caller_of("scvi-census", params={"variant": "homo_sapiens"}, features="Ensembl genes", seed=1)


@pytest.fixture(scope="module")
def first(
    call: Call, weights: Path, cells: ad.AnnData, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str | None, pd.DataFrame, Response]:
    return call(tmp_path_factory.mktemp("first"), weights, cells)


def test_gives_fifty_finite_numbers_for_each_cell(first, cells: ad.AnnData) -> None:
    status, embedding, _ = first
    assert status is None
    assert embedding.shape == (7, 50)
    assert list(embedding.index) == list(cells.obs_names)
    assert np.isfinite(embedding.to_numpy()).all()


def test_says_its_versions_and_counts_the_genes_it_knows(first) -> None:
    _, _, said = first
    assert {"python", "scvi-tools", "torch", "numpy"} <= set(said.versions)
    assert (said.genes.known, said.genes.found) == (30, 18)


def test_is_the_mean_that_the_saved_encoder_gives(first, weights: Path, cells: ad.AnnData) -> None:
    """Computed anew from the saved tensors: two layers with their normalisation, then the mean, in numpy."""
    saved = torch.load(weights / "model.pt", map_location="cpu", weights_only=False)["model_state_dict"]
    tensor = {name: saved[name].double().numpy() for name in saved if name.startswith("z_encoder.")}
    counts = np.zeros((7, len(GENES)))
    counts[:, :18] = cells.X.toarray()[:, :18]
    layer = np.log1p(counts)
    for number in range(2):
        part = f"z_encoder.encoder.fc_layers.Layer {number}"
        layer = layer @ tensor[f"{part}.0.weight"].T + tensor[f"{part}.0.bias"]
        centred = layer - tensor[f"{part}.1.running_mean"]
        layer = centred / np.sqrt(tensor[f"{part}.1.running_var"] + 0.001)
        layer = np.maximum(layer * tensor[f"{part}.1.weight"] + tensor[f"{part}.1.bias"], 0)
    expected = layer @ tensor["z_encoder.mean_encoder.weight"].T + tensor["z_encoder.mean_encoder.bias"]
    np.testing.assert_allclose(first[1].to_numpy(), expected, atol=1e-4)


def test_the_same_seed_gives_the_same_numbers(
    call: Call, first, weights: Path, cells: ad.AnnData, tmp_path: Path
) -> None:
    _, again, _ = call(tmp_path, weights, cells)
    pd.testing.assert_frame_equal(first[1], again, check_exact=True)


def test_cells_in_another_order_and_of_other_batches_get_the_same_embedding(
    call: Call, first, weights: Path, cells: ad.AnnData, tmp_path: Path
) -> None:
    shuffled = cells[[4, 0, 6, 2, 5, 1, 3]].copy()
    shuffled.obs["batch"] = list("abababa")
    params = {"variant": "homo_sapiens", "batch_size": 2}
    _, other, _ = call(tmp_path, weights, shuffled, params=params)
    assert list(other.index) == list(shuffled.obs_names)
    np.testing.assert_allclose(other.loc[first[1].index], first[1], atol=1e-5)


def test_says_that_the_weights_are_missing(call: Call, cells: ad.AnnData, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    status, _, said = call(tmp_path / "run", tmp_path / "none", cells)
    assert status == "weights_unavailable"
    assert said.reason == "model.pt is not among the weights"


@pytest.mark.parametrize(
    ("changes", "status", "reason"),
    [
        ({"taxa": [10090]}, "not_applicable", "the model homo_sapiens does not know genes of taxon 10090"),
        ({"values": "scaled"}, "invalid_input", "takes counts of Ensembl genes, not scaled of Ensembl genes"),
    ],
)
def test_declines_what_it_was_not_made_for(
    call: Call, weights: Path, cells: ad.AnnData, tmp_path: Path, changes: dict[str, object], status: str, reason: str
) -> None:
    found, _, said = call(tmp_path, weights, cells, **changes)
    assert (found, said.reason) == (status, reason)


def test_declines_cells_without_any_gene_that_it_knows(
    call: Call, weights: Path, cells: ad.AnnData, tmp_path: Path
) -> None:
    status, _, said = call(tmp_path, weights, cells[:, ["ENSG77777777777"]].copy())
    assert (status, said.reason) == ("invalid_input", "the cells have none of the genes that the model knows")
    assert said.genes.found == 0
