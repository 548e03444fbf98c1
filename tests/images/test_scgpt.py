"""The adapter of scGPT, run as in a container but without one, on a tiny network with random weights.

The package is the real one. What random weights give says nothing about scGPT; no score is made of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pytest
from scipy import sparse

from cellgauge.models.contract import read_embedding, read_response

torch = pytest.importorskip("torch", reason="needs scgpt: make test-models")
pytest.importorskip("scgpt", reason="needs scgpt: make test-models")

Run = Callable[..., Any]
pytestmark = pytest.mark.slow  # each call imports torch anew

GENES = [f"GENE{n}" for n in range(40)]
WIDTH = 16
CONFIG = {
    "embsize": WIDTH,
    "nheads": 2,
    "d_hid": 24,
    "nlayers": 2,
    "n_layers_cls": 3,
    "dropout": 0.2,
    "pad_token": "<pad>",
    "pad_value": -2,
}


@pytest.fixture(scope="module")
def state() -> dict[str, Any]:
    """Random weights, under the names that the published ones have: those of flash attention."""
    from scgpt.model import TransformerModel
    from scgpt.tokenizer import GeneVocab

    torch.manual_seed(3)
    vocabulary = GeneVocab.from_dict(_vocabulary())
    network = TransformerModel(
        len(vocabulary), WIDTH, 2, 24, 2, nlayers_cls=3, n_cls=1, vocab=vocabulary, pad_value=-2, do_mvc=True
    )
    found = {name.replace("in_proj_", "Wqkv."): tensor for name, tensor in network.state_dict().items()}
    assert any("Wqkv.weight" in name for name in found)
    return found


@pytest.fixture
def cells() -> ad.AnnData:
    rng = np.random.default_rng(0)
    counts = rng.poisson(1.5, size=(9, 30)).astype(np.float32)
    counts[:, 0] += 1
    # Genes 20 to 29 are unknown to the model, genes 20 to 39 of the model are not in the file.
    names = [*GENES[:20], *(f"OTHER{n}" for n in range(10))]
    adata = ad.AnnData(sparse.csr_matrix(counts))
    adata.obs_names, adata.var_names = [f"cell{n}" for n in range(9)], names
    return adata


def test_each_cell_gets_a_vector_of_length_one(
    run: Run, tmp_path: Path, state: dict[str, Any], cells: ad.AnnData
) -> None:
    output = run(tmp_path, state, cells)
    found = read_embedding(output, 9)
    assert found.shape == (9, WIDTH)
    assert list(found.index) == list(cells.obs_names)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-5)
    assert np.unique(found.to_numpy().round(5), axis=0).shape[0] == 9
    response = read_response(output)
    assert response is not None
    assert response.versions["scgpt"] == "0.2.4"
    assert response.versions.keys() >= {"python", "torch", "torchtext", "numpy", "anndata"}
    assert response.genes is not None
    assert (response.genes.known, response.genes.found) == (40, 20)


def test_without_anything_to_draw_it_is_what_the_package_itself_gives(
    run: Run, tmp_path: Path, state: dict[str, Any], cells: ad.AnnData
) -> None:
    from scgpt.tasks import embed_data

    # Where all counts of a cell differ, every one has a bin of its own; and all 20 genes fit into the sequence.
    rng = np.random.default_rng(1)
    cells.X = sparse.csr_matrix(np.array([rng.permutation(30) + 1 for _ in range(9)], dtype=np.float32))
    output = run(tmp_path, state, cells)
    weights = tmp_path / "weights"
    torch.save(state, weights / "best_model.pt")
    cells.var["gene_name"] = cells.var_names
    expected = embed_data(cells, weights, gene_col="gene_name", device="cpu", use_fast_transformer=False)
    np.testing.assert_allclose(read_embedding(output, 9), expected.obsm["X_scGPT"], atol=1e-5)


def test_a_seed_decides_what_is_drawn(run: Run, tmp_path: Path, state: dict[str, Any], cells: ad.AnnData) -> None:
    given = [
        read_embedding(run(tmp_path / name, state, cells, seed=seed, max_length=6), 9).to_numpy()
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    ]
    np.testing.assert_array_equal(given[0], given[1])
    assert np.abs(given[0] - given[2]).max() > 1e-3


def test_neither_the_order_of_cells_nor_of_genes_matters(
    run: Run, tmp_path: Path, state: dict[str, Any], cells: ad.AnnData
) -> None:
    rng = np.random.default_rng(5)
    mixed = cells[rng.permutation(9)][:, rng.permutation(30)].copy()
    first = read_embedding(run(tmp_path / "a", state, cells, max_length=6, batch_size=4), 9)
    second = read_embedding(run(tmp_path / "b", state, mixed, max_length=6, batch_size=4), 9)
    assert list(second.index) == list(mixed.obs_names)
    np.testing.assert_allclose(second.loc[first.index], first, atol=1e-5)


def test_missing_weights_are_told_apart_from_a_failure(
    run: Run, tmp_path: Path, state: dict[str, Any], cells: ad.AnnData
) -> None:
    response = read_response(run(tmp_path, state, cells, without="best_model.pt", expect=66))
    assert response is not None
    assert response.reason == "best_model.pt is not among the weights"


def test_weights_of_another_shape_are_not_filled_up_at_random(
    run: Run, tmp_path: Path, state: dict[str, Any], cells: ad.AnnData
) -> None:
    fewer = {name: tensor for name, tensor in state.items() if not name.startswith("transformer_encoder.layers.1.")}
    response = read_response(run(tmp_path, fewer, cells, expect=66))
    assert response is not None
    assert "lacks transformer_encoder.layers.1" in (response.reason or "")


def test_cells_of_a_mouse_are_not_for_it(run: Run, tmp_path: Path, state: dict[str, Any], cells: ad.AnnData) -> None:
    response = read_response(run(tmp_path, state, cells, taxa=[10090], expect=64))
    assert response is not None
    assert "10090" in (response.reason or "")


def test_a_cell_without_known_genes_is_named_as_the_problem(
    run: Run, tmp_path: Path, state: dict[str, Any], cells: ad.AnnData
) -> None:
    counts = cells.X.toarray()
    counts[4, :20] = 0
    cells.X = sparse.csr_matrix(counts)
    response = read_response(run(tmp_path, state, cells, expect=65))
    assert response is not None
    assert response.reason == "1 of 9 cells express none of the genes that the model knows"


def _vocabulary() -> dict[str, int]:
    return {name: place for place, name in enumerate([*GENES, "<pad>", "<cls>", "<eoc>"])}


@pytest.fixture(scope="module")
def run(run_program: Callable[..., Any]) -> Run:
    """Runs the adapter on folders below a root, and returns that of the output."""

    def run(
        root: Path,
        state: dict[str, Any],
        cells: ad.AnnData,
        *,
        seed: int = 0,
        taxa: list[int] | None = None,
        without: str | None = None,
        expect: int = 0,
        **params: int,
    ) -> Path:
        (root / "weights").mkdir(parents=True)
        torch.save(state, root / "weights" / "best_model.pt")
        (root / "weights" / "args.json").write_text(json.dumps(CONFIG))
        (root / "weights" / "vocab.json").write_text(json.dumps(_vocabulary()))
        if without is not None:
            (root / "weights" / without).unlink()
        asked = {"params": {"variant": "human", **params}, "seed": seed, "taxa": taxa or [9606]}
        return run_program("scgpt", root, cells, expect=expect, **asked).output

    return run
