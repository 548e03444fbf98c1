"""The Geneformer container's program, run without a container on random weights of the same architecture."""

import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from cellgauge.models.contract import Response

torch = pytest.importorskip("torch", reason="needs torch and transformers: make test-models")
transformers = pytest.importorskip("transformers", reason="needs torch and transformers: make test-models")

pytestmark = pytest.mark.slow  # each call imports torch anew

Call = Callable[..., Any]
VARIANT = "gf-12L-95M-i4096"
GENES = [f"ENSG{number:011d}" for number in range(20)]
TOKENS = {"<pad>": 0, "<mask>": 1, "<cls>": 2, "<eos>": 3} | {gene: 4 + place for place, gene in enumerate(GENES)}
MEDIANS = {gene: 1 + place % 3 for place, gene in enumerate(GENES)}
# The authors' dictionary knows former ids and symbols besides.
CURRENT = {gene: gene for gene in GENES} | {"ENSG99999999999": GENES[2], "TP53": GENES[5], "ENSG88888888888": "ENSGX"}
POSITIONS = 12


@pytest.fixture(scope="module")
def network() -> object:
    torch.manual_seed(3)
    config = transformers.BertConfig(
        vocab_size=len(TOKENS),
        hidden_size=16,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=32,
        hidden_act="relu",
        max_position_embeddings=POSITIONS,
        initializer_range=0.5,
        pad_token_id=0,
    )
    return transformers.BertForMaskedLM(config).eval()


@pytest.fixture(scope="module")
def weights(network: object, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    network.save_pretrained(folder / VARIANT)
    (folder / "gene_dictionaries").mkdir()
    named = {"token_dictionary": TOKENS, "gene_median_dictionary": MEDIANS, "ensembl_mapping_dict": CURRENT}
    for name, dictionary in named.items():
        (folder / "gene_dictionaries" / f"{name}_gc95M.pkl").write_bytes(pickle.dumps(dictionary))
    return folder


def cells_of(counts: np.ndarray, genes: list[str]) -> ad.AnnData:
    ids = [f"cell{number}" for number in range(len(counts))]
    return ad.AnnData(
        sparse.csr_matrix(counts, dtype=np.float32), obs=pd.DataFrame(index=ids), var=pd.DataFrame(index=genes)
    )


@pytest.fixture(scope="module")
def cells() -> ad.AnnData:
    """Seven cells of ten genes that the model knows, one by its former id and one with a version, and one unknown."""
    counts = np.random.default_rng(0).poisson(2, (7, 12)) + np.eye(7, 12, dtype=int)
    return cells_of(counts, [*GENES[:9], f"{GENES[9]}.4", "ENSG99999999999", "ENSG77777777777"])


@pytest.fixture(scope="module")
def call(caller_of: Callable[..., Call]) -> Call:
    return caller_of("geneformer", params={"variant": VARIANT, "batch_size": 3}, features="Ensembl genes", seed=1)


@pytest.fixture(scope="module")
def first(
    call: Call, weights: Path, cells: ad.AnnData, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str | None, pd.DataFrame, Response]:
    return call(tmp_path_factory.mktemp("first"), weights, cells)


def test_gives_one_finite_row_of_the_networks_width_for_each_cell(first, cells: ad.AnnData) -> None:
    status, embedding, _ = first
    assert status is None
    assert embedding.shape == (7, 16)
    assert list(embedding.index) == list(cells.obs_names)
    assert np.isfinite(embedding.to_numpy()).all()


def test_says_its_versions_and_counts_the_genes_it_knows(first) -> None:
    _, _, said = first
    assert {"python", "torch", "transformers", "numpy"} <= set(said.versions)
    # The former id is a second name of a gene that is there already.
    assert (said.genes.known, said.genes.found) == (20, 10)


def test_is_the_mean_over_ranked_genes_of_the_last_layer_but_one(first, network, cells: ad.AnnData) -> None:
    """Computed anew for each cell: plain loops for the ranks, the whole network, no filling up."""
    _, embedding, _ = first
    names = [*GENES[:10], GENES[2], None]
    for row, counts in enumerate(cells.X.toarray()):
        scaled: dict[str, float] = {}
        for name, count in zip(names, counts, strict=True):
            if name is not None and count > 0:
                scaled[name] = scaled.get(name, 0.0) + float(count) / MEDIANS[name]
        ranked = sorted(scaled, key=lambda gene: (-scaled[gene], TOKENS[gene]))[: POSITIONS - 2]
        ids = torch.tensor([[2, *(TOKENS[gene] for gene in ranked), 3]])
        with torch.no_grad():
            layers = network(input_ids=ids, output_hidden_states=True).hidden_states
        expected = layers[2][0, 1:-1].mean(dim=0).numpy()
        np.testing.assert_allclose(embedding.to_numpy()[row], expected, atol=1e-5)


def test_reads_no_more_genes_than_it_has_positions_for(call: Call, weights: Path, network, tmp_path: Path) -> None:
    """Twenty genes whose order is known on paper: count and median grow alike, so that only the first ten differ."""
    order = list(range(19, -1, -1))
    counts = np.array([[(place + 1) * MEDIANS[gene] for place, gene in enumerate(GENES)]])
    status, embedding, _ = call(tmp_path, weights, cells_of(counts, GENES))
    assert status is None
    ids = torch.tensor([[2, *(4 + place for place in order[: POSITIONS - 2]), 3]])
    with torch.no_grad():
        layers = network(input_ids=ids, output_hidden_states=True).hidden_states
    np.testing.assert_allclose(embedding.to_numpy()[0], layers[2][0, 1:-1].mean(dim=0).numpy(), atol=1e-5)


def test_the_same_seed_gives_the_same_numbers(
    call: Call, first, weights: Path, cells: ad.AnnData, tmp_path: Path
) -> None:
    _, again, _ = call(tmp_path, weights, cells)
    pd.testing.assert_frame_equal(first[1], again, check_exact=True)


def test_cells_and_genes_in_another_order_get_the_same_embedding(
    call: Call, first, weights: Path, cells: ad.AnnData, tmp_path: Path
) -> None:
    shuffled = cells[[4, 0, 6, 2, 5, 1, 3]][:, cells.var_names[::-1]].copy()
    _, other, _ = call(tmp_path, weights, shuffled)
    assert list(other.index) == list(shuffled.obs_names)
    np.testing.assert_allclose(other.loc[first[1].index], first[1], atol=1e-5)


@pytest.mark.parametrize(
    "missing",
    [f"{VARIANT}/model.safetensors", "gene_dictionaries/ensembl_mapping_dict_gc95M.pkl"],
)
def test_says_which_file_of_weights_is_missing(
    call: Call, weights: Path, cells: ad.AnnData, tmp_path: Path, missing: str
) -> None:
    kept = shutil.copytree(weights, tmp_path / "kept")
    (kept / missing).unlink()
    status, _, said = call(tmp_path / "run", kept, cells)
    assert status == "weights_unavailable"
    assert said.reason == f"{missing} is not among the weights"


def test_does_not_run_on_weights_that_lack_a_layer(
    call: Call, weights: Path, network, cells: ad.AnnData, tmp_path: Path
) -> None:
    """The library would draw the layer at random, with a warning."""
    kept = shutil.copytree(weights, tmp_path / "kept")
    left = {name: value for name, value in network.state_dict().items() if ".layer.1." not in name}
    network.save_pretrained(kept / VARIANT, state_dict=left)
    status, _, said = call(tmp_path / "run", kept, cells)
    assert status == "weights_unavailable"
    assert f"{VARIANT}/model.safetensors lacks encoder.layer.1." in said.reason


@pytest.mark.parametrize(
    ("changes", "status", "reason"),
    [
        ({"taxa": [10090]}, "not_applicable", "knows human genes alone, not those of taxon 10090"),
        ({"values": "log-normalised"}, "invalid_input", "takes counts of Ensembl genes, not log-normalised"),
        ({"features": "gene symbols"}, "invalid_input", "takes counts of Ensembl genes, not counts of gene symbols"),
    ],
)
def test_declines_what_it_was_not_made_for(
    call: Call, weights: Path, cells: ad.AnnData, tmp_path: Path, changes: dict[str, object], status: str, reason: str
) -> None:
    found, _, said = call(tmp_path, weights, cells, **changes)
    assert found == status
    assert said.reason.startswith(reason)


def test_declines_cells_without_any_gene_that_it_knows(call: Call, weights: Path, tmp_path: Path) -> None:
    counts = np.array([[1, 0], [0, 3], [2, 2]])
    status, _, said = call(tmp_path, weights, cells_of(counts, [GENES[0], "ENSG77777777777"]))
    assert status == "invalid_input"
    assert said.reason == "1 of 3 cells express none of the genes that the model knows"
