"""The adapter of AIDO.Cell, run as in a container but without one, on a tiny network with random weights.

The package and its list of genes are the real ones. What random weights give says nothing about AIDO.Cell; no score is
made of it.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from cellgauge.models.contract import read_embedding, read_response

torch = pytest.importorskip("torch", reason="needs modelgenerator: make test-models")
pytest.importorskip("modelgenerator", reason="needs modelgenerator: make test-models")

IMAGES = Path(__file__).resolve().parents[2] / "generator" / "images"
Run = Callable[..., Any]
FOLDER = "AIDO.Cell-3M"
pytestmark = pytest.mark.slow  # each call imports torch anew


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of random weights with the files that the published one has."""
    from modelgenerator.huggingface_models.cellfoundation.configuration_cellfoundation import CellFoundationConfig
    from modelgenerator.huggingface_models.cellfoundation.modeling_cellfoundation import CellFoundationModel

    torch.manual_seed(3)
    config = CellFoundationConfig(
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=12,
        max_position_embeddings=19264,
        bin_num=5,
        initializer_range=0.5,
        _use_flash_attention_2=True,
    )
    folder = tmp_path_factory.mktemp("weights") / FOLDER
    CellFoundationModel(config).save_pretrained(folder)
    assert {path.name for path in folder.iterdir()} == {"config.json", "model.safetensors"}
    return folder.parent


@pytest.fixture(scope="module")
def adapter() -> ModuleType:
    """The adapter as a module."""
    sys.path.insert(0, str(IMAGES))
    spec = importlib.util.spec_from_file_location("aido_cell_model", IMAGES / "aido-cell" / "model.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(IMAGES))
    return module


@pytest.fixture
def cells(adapter: ModuleType) -> ad.AnnData:
    """Three cells with 30 genes of the list, last ones first, and two that the model does not know."""
    counts = np.random.default_rng(0).poisson(2, size=(3, 32)).astype(np.float32)
    counts[:, 0] += 1
    adata = ad.AnnData(sparse.csr_matrix(counts))
    adata.obs_names = ["a", "b", "c"]
    adata.var_names = [*adapter._gene_list()[::-600][:30], "OTHER1", "OTHER2"]
    assert adata.var_names[:30].isin(adapter._gene_list()).all()
    return adata


def test_it_is_the_mean_over_the_genes_that_the_cells_have(
    run: Run, tmp_path: Path, trained: Path, cells: ad.AnnData, adapter: ModuleType
) -> None:
    from modelgenerator.huggingface_models.cellfoundation import modeling_cellfoundation as package

    output = run(tmp_path, trained, cells)
    found = read_embedding(output, 3)
    assert found.shape == (3, 8)
    assert list(found.index) == ["a", "b", "c"]
    response = read_response(output)
    assert response is not None
    assert response.genes is not None
    assert (response.genes.known, response.genes.found) == (19264, 30)
    assert response.versions["modelgenerator"] == "0.1.3.post0"
    assert response.versions.keys() >= {"python", "torch", "transformers", "numpy", "anndata"}

    # The same again for one cell: counts put into a table by name, and attention by its formula.
    genes = list(adapter._gene_list())
    given = pd.Series(cells.X.toarray()[1, :30], index=cells.var_names[:30])
    table = torch.tensor(given.reindex(genes, fill_value=0).to_numpy())
    values = torch.cat([torch.log1p(table * 10_000 / table.sum()), torch.tensor([5.0, 5.0])])[None]
    package.flash_attn_varlen_func = _attention_by_its_formula
    network = package.CellFoundationModel.from_pretrained(trained / FOLDER).eval()
    with torch.no_grad():
        states = network(input_ids=values, attention_mask=torch.ones(1, 1)).last_hidden_state[0]
    places = [genes.index(name) for name in cells.var_names[:30]]
    np.testing.assert_allclose(found.loc["b"], states[places].mean(dim=0), atol=1e-4)


def test_positions_of_one_cell_attend_to_each_other_and_to_no_other_cell(adapter: ModuleType) -> None:
    torch.manual_seed(0)
    query, key, value = torch.randn(3, 4 * 7, 2, 5)
    ends = torch.arange(5) * 7
    arguments = (query, key, value, ends, ends, 7, 7, 0.0)
    found = adapter._attention(*arguments, softmax_scale=0.3, causal=False)
    expected = _attention_by_its_formula(*arguments, softmax_scale=0.3, causal=False)
    torch.testing.assert_close(found, expected)


def test_the_order_of_cells_and_genes_does_not_matter_and_a_seed_has_nothing_to_decide(
    run: Run, tmp_path: Path, trained: Path, cells: ad.AnnData
) -> None:
    mixed = cells[[2, 0, 1]][:, np.random.default_rng(1).permutation(32)].copy()
    first = read_embedding(run(tmp_path / "a", trained, cells, seed=1, batch_size=2), 3)
    second = read_embedding(run(tmp_path / "b", trained, mixed, seed=2, batch_size=2), 3)
    assert list(second.index) == ["c", "a", "b"]
    np.testing.assert_allclose(second.loc[first.index], first, atol=1e-5)
    again = read_embedding(run(tmp_path / "c", trained, cells, seed=1, batch_size=2), 3)
    np.testing.assert_array_equal(again, first)


def test_missing_weights_are_told_apart_from_a_failure(
    run: Run, tmp_path: Path, trained: Path, cells: ad.AnnData
) -> None:
    response = read_response(run(tmp_path, trained, cells, without="model.safetensors", expect=66))
    assert response is not None
    assert response.reason == f"{FOLDER}/model.safetensors is not among the weights"


def test_weights_that_lack_a_part_are_not_filled_up_at_random(
    run: Run, tmp_path: Path, trained: Path, cells: ad.AnnData
) -> None:
    response = read_response(run(tmp_path, trained, cells, lack="gene_embedding.linear2.weight", expect=66))
    assert response is not None
    assert response.reason == f"the weights of {FOLDER} lack gene_embedding.linear2.weight"


def test_cells_of_a_mouse_are_not_for_it(run: Run, tmp_path: Path, trained: Path, cells: ad.AnnData) -> None:
    response = read_response(run(tmp_path, trained, cells, taxa=[10090], expect=64))
    assert response is not None
    assert "10090" in (response.reason or "")


def test_a_cell_without_known_genes_is_named_as_the_problem(
    run: Run, tmp_path: Path, trained: Path, cells: ad.AnnData
) -> None:
    counts = cells.X.toarray()
    counts[1, :30] = 0
    cells.X = sparse.csr_matrix(counts)
    response = read_response(run(tmp_path, trained, cells, expect=65))
    assert response is not None
    assert response.reason == "1 of 3 cells express none of the genes that the model knows"


def _attention_by_its_formula(
    query: Any, key: Any, value: Any, ends: Any, *_: Any, softmax_scale: float, causal: bool
) -> Any:
    """Attend within each stretch between two ends."""
    assert not causal
    parts = []
    for start, stop in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True):
        heads = []
        for head in range(query.shape[1]):
            scores = query[start:stop, head] @ key[start:stop, head].T * softmax_scale
            heads.append(scores.softmax(dim=1) @ value[start:stop, head])
        parts.append(torch.stack(heads, dim=1))
    return torch.cat(parts)


@pytest.fixture(scope="module")
def run(run_program: Callable[..., Any]) -> Run:
    """Runs the adapter on folders below a root, and returns that of the output."""

    def run(
        root: Path,
        trained: Path,
        cells: ad.AnnData,
        *,
        seed: int = 0,
        taxa: list[int] | None = None,
        without: str | None = None,
        lack: str | None = None,
        expect: int = 0,
        **params: int,
    ) -> Path:
        from safetensors.torch import load_file, save_file

        (root / "weights" / FOLDER).mkdir(parents=True)
        for path in (trained / FOLDER).iterdir():
            target = root / "weights" / FOLDER / path.name
            if path.name == without:
                continue
            target.write_bytes(path.read_bytes())
            if lack is not None and path.suffix == ".safetensors":
                kept = {name: tensor for name, tensor in load_file(path).items() if name != lack}
                assert len(kept) == len(load_file(path)) - 1
                save_file(kept, target, metadata={"format": "pt"})
        asked = {"params": {"variant": "aido_cell_3m", **params}, "seed": seed, "taxa": taxa or [9606], "threads": 2}
        return run_program("aido-cell", root, cells, expect=expect, **asked).output

    return run
