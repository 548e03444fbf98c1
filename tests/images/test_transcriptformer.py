"""The TranscriptFormer container's program, run without a container on random weights of the same architecture."""

import json
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from cellgauge.models.contract import Response

torch = pytest.importorskip("torch", reason="needs transcriptformer: make test-models")
pytest.importorskip("transcriptformer", reason="needs transcriptformer: make test-models")

pytestmark = pytest.mark.slow  # each call imports torch anew

Call = Callable[..., Any]
VARIANT = "tf_sapiens"
HUMAN = [f"ENSG{number:011d}" for number in range(30)]
GORILLA = [f"ENSGGOG{number:011d}" for number in range(12)]
WIDTH = 32
CONFIG = {
    "model": {
        "model_config": {
            "log_counts_eps": 1e-6,
            "num_heads": 2,
            "num_layers": 2,
            "model_dim": 64,
            "embed_dim": WIDTH,
            "dropout": 0.1,
            "activation": "gelu",
            "attn_bias": False,
            "fw_bias": False,
            "mu_link_fn": "softmax",
            "softcap": 10,
            "seq_len": 127,
            "aux_len": 1,
            "block_len": 128,
            "use_aux": True,
            "gene_head_hidden_dim": 16,
        },
        "data_config": {
            "aux_vocab_path": "elsewhere",
            "pin_memory": False,
            "aux_cols": "assay",
            "gene_col_name": "other",
            "clip_counts": 10,
            "filter_to_vocabs": True,
            "filter_outliers": 0.0,
            "pad_zeros": True,
            "normalize_to_scale": 0,
            "n_data_workers": 2,
            "sort_genes": False,
            "randomize_genes": True,
            "min_expressed_genes": 0,
            "gene_pad_token": "[PAD]",
            "aux_pad_token": "unknown",
            "esm2_mappings": ["homo_sapiens_gene.h5"],
            "special_tokens": ["unknown", "[PAD]", "[START]", "[END]", "[RD]", "[CELL]", "[MASK]"],
            "esm2_mappings_path": "elsewhere",
        },
        "loss_config": {"gene_id_loss_weight": 1.0, "softplus_approx": True},
        "inference_config": {"batch_size": 4, "output_keys": ["embeddings"], "special_tokens": []},
    }
}


def write_vectors(path: Path, genes: list[str]) -> None:
    """Write what the authors' download script unpacks for a species: a vector for each gene."""
    path.parent.mkdir(parents=True, exist_ok=True)
    drawn = np.random.default_rng(len(genes))
    with h5py.File(path, "w") as file:
        file["keys"] = np.array(genes, dtype="S")
        for gene in genes:
            file[f"arrays/{gene}"] = drawn.normal(size=8).astype(np.float32)


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the authors' download script leaves it."""
    from omegaconf import OmegaConf
    from transcriptformer.model.model import Transcriptformer
    from transcriptformer.tokenizer.vocab import load_vocabs_and_embeddings

    folder = tmp_path_factory.mktemp("checkpoints")
    own = folder / VARIANT
    write_vectors(own / "vocabs" / "homo_sapiens_gene.h5", HUMAN)
    write_vectors(folder / "all_embeddings" / "gorilla_gorilla_gene.h5", GORILLA)
    write_vectors(folder / "all_embeddings" / "gallus_gallus_gene.h5", HUMAN[:3])
    (own / "vocabs" / "assay_vocab.json").write_text(json.dumps({"unknown": 0, "10x 3' v3": 1, "Smart-seq2": 2}))
    (own / "config.json").write_text(json.dumps(CONFIG))
    settings = OmegaConf.create(CONFIG)
    settings.model.data_config.aux_vocab_path = settings.model.data_config.esm2_mappings_path = str(own / "vocabs")
    settings.model.model_config.compile_block_mask = False
    (genes, aux), vectors = load_vocabs_and_embeddings(settings)
    torch.manual_seed(3)
    network = Transcriptformer(
        data_config=settings.model.data_config,
        model_config=settings.model.model_config,
        loss_config=settings.model.loss_config,
        inference_config=settings.model.inference_config,
        gene_vocab_dict=genes,
        aux_vocab_dict=aux,
        emb_matrix=vectors,
    )
    torch.save(network.state_dict(), own / "model_weights.pt")
    return folder


@pytest.fixture(scope="module")
def weights(checkpoints: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    for name in (VARIANT, "all_embeddings"):
        with tarfile.open(folder / f"{name}.tar.gz", "w:gz") as archive:
            archive.add(checkpoints / name, arcname=name)
    return folder


def cells_of(genes: list[str], **columns: list[str]) -> ad.AnnData:
    drawn = np.random.default_rng(0)
    # Some counts exceed 30, where the package cuts them off.
    counts = drawn.poisson(2, (7, len(genes))) * drawn.choice([1, 20], (7, len(genes)))
    return ad.AnnData(
        sparse.csr_matrix(counts, dtype=np.float32),
        obs=pd.DataFrame(columns, index=[f"cell{number}" for number in range(7)]),
        var=pd.DataFrame(index=genes),
    )


@pytest.fixture(scope="module")
def cells() -> ad.AnnData:
    """Seven cells with eighteen genes of the model, one under a version, another twice, and one unknown."""
    names = [*HUMAN[:17], f"{HUMAN[17]}.3", "ENSG77777777777", f"{HUMAN[2]}.1"]
    return cells_of(names, assay=["10x 3' v3", "Smart-seq2", "never seen", *["10x 3' v3"] * 4])


@pytest.fixture(scope="module")
def call(caller_of: Callable[..., Call]) -> Call:
    return caller_of("transcriptformer", params={"variant": VARIANT, "batch_size": 4}, features="Ensembl genes", seed=1)


@pytest.fixture(scope="module")
def first(
    call: Call, weights: Path, cells: ad.AnnData, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str | None, pd.DataFrame, Response]:
    return call(tmp_path_factory.mktemp("first"), weights, cells)


def by_the_command(checkpoints: Path, adata: ad.AnnData, folder: Path, *options: str) -> np.ndarray:
    """Return what the package's own command gives."""
    given = adata.copy()
    given.var["ensembl_id"] = given.var_names
    given.write_h5ad(folder / "given.h5ad")
    program = "from transcriptformer.cli import main; main()"
    asked = ["--checkpoint-path", checkpoints / VARIANT, "--data-file", "given.h5ad", "--output-path", "."]
    asked += ["--batch-size", "4", "--device", "cpu", "--precision", "32", "--disable-compile-block-mask"]
    subprocess.run(
        [sys.executable, "-c", program, "inference", *asked, *options], cwd=folder, check=True, capture_output=True
    )
    return ad.read_h5ad(folder / "embeddings.h5ad").obsm["embeddings"]


def test_gives_one_finite_row_of_the_networks_width_for_each_cell(first, cells: ad.AnnData) -> None:
    status, embedding, _ = first
    assert status is None
    assert embedding.shape == (7, WIDTH)
    assert list(embedding.index) == list(cells.obs_names)
    assert np.isfinite(embedding.to_numpy()).all()


def test_says_its_versions_and_counts_the_genes_it_knows(first) -> None:
    _, _, said = first
    assert {"python", "transcriptformer", "torch", "numpy"} <= set(said.versions)
    assert (said.genes.known, said.genes.found) == (30, 18)


def test_gives_what_the_packages_own_command_gives(first, checkpoints: Path, cells: ad.AnnData, tmp_path: Path) -> None:
    expected = by_the_command(checkpoints, cells, tmp_path, "--remove-duplicate-genes")
    np.testing.assert_allclose(first[1].to_numpy(), expected, atol=1e-6)


def test_takes_the_gene_vectors_of_a_species_that_it_was_not_trained_on(
    call: Call, weights: Path, checkpoints: Path, tmp_path: Path
) -> None:
    """Here without a column that names assays, which the command wants as "unknown"."""
    cells = cells_of([*GORILLA[:9], "ENSGGOG77777777777"])
    status, embedding, said = call(tmp_path / "run", weights, cells, taxa=[9593])
    assert status is None
    assert (said.genes.known, said.genes.found) == (12, 9)
    cells.obs["assay"] = "unknown"
    vectors = checkpoints / "all_embeddings" / "gorilla_gorilla_gene.h5"
    expected = by_the_command(checkpoints, cells, tmp_path, "--pretrained-embedding", str(vectors))
    np.testing.assert_allclose(embedding.to_numpy(), expected, atol=1e-6)


def test_the_same_seed_gives_the_same_numbers(
    call: Call, first, weights: Path, cells: ad.AnnData, tmp_path: Path
) -> None:
    _, again, _ = call(tmp_path, weights, cells)
    pd.testing.assert_frame_equal(first[1], again, check_exact=True)


def test_cells_in_another_order_get_the_same_embedding(
    call: Call, first, weights: Path, cells: ad.AnnData, tmp_path: Path
) -> None:
    shuffled = cells[[4, 0, 6, 2, 5, 1, 3]].copy()
    params = {"variant": VARIANT, "batch_size": 2}
    _, other, _ = call(tmp_path, weights, shuffled, params=params)
    assert list(other.index) == list(shuffled.obs_names)
    np.testing.assert_allclose(other.loc[first[1].index], first[1], atol=1e-5)


@pytest.mark.parametrize(("missing", "taxon"), [("tf_sapiens", 9606), ("all_embeddings", 9593)])
def test_says_which_file_of_weights_is_missing(
    call: Call, weights: Path, cells: ad.AnnData, tmp_path: Path, missing: str, taxon: int
) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    for path in weights.iterdir():
        if path.name != f"{missing}.tar.gz":
            (kept / path.name).symlink_to(path)
    status, _, said = call(tmp_path / "run", kept, cells, taxa=[taxon])
    assert status == "weights_unavailable"
    assert said.reason == f"{missing}.tar.gz is not among the weights"


@pytest.mark.parametrize(
    ("changes", "status", "reason"),
    [
        ({"taxa": [9606, 10090]}, "not_applicable", "takes cells of one species that it has gene vectors for, not of"),
        ({"taxa": [9258]}, "weights_unavailable", "all_embeddings.tar.gz holds no all_embeddings/ornithorhynchus_ana"),
        ({"taxa": [9593]}, "invalid_input", "the cells have none of the 12 genes that the model knows of their"),
        ({"values": "log-normalised"}, "invalid_input", "takes counts, not log-normalised values"),
    ],
)
def test_declines_what_it_was_not_made_for(
    call: Call, weights: Path, cells: ad.AnnData, tmp_path: Path, changes: dict[str, object], status: str, reason: str
) -> None:
    found, _, said = call(tmp_path, weights, cells, **changes)
    assert found == status
    assert said.reason.startswith(reason)
