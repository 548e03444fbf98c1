"""The adapter of UCE, run as in a container but without one, on a tiny network with random weights.

The package is the real one, and the files beside the weights have the format that it reads. What random weights give
says nothing about UCE; no score is made of it.
"""

from __future__ import annotations

import io
import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from cellgauge.models.contract import read_embedding, read_response

torch = pytest.importorskip("torch", reason="needs uce-model: make test-models")
pytest.importorskip("uce", reason="needs uce-model: make test-models")

Run = Callable[..., Any]
pytestmark = pytest.mark.slow  # each call imports torch anew

WEIGHTS = "4layer_model.torch"
GENES = {"human": [f"GENE{n}" for n in range(40)], "mouse": [f"Gene{n}" for n in range(10, 40)]}
FILES = {
    "human": "Homo_sapiens.GRCh38.gene_symbol_to_embedding_ESM2.pt",
    "mouse": "Mus_musculus.GRCm39.gene_symbol_to_embedding_ESM2.pt",
}
# Rows of the table of tokens: special ones, proteins, and from here on chromosomes. It is the package's number.
CHROMOSOMES_START = 143574


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of random weights with the files that the adapter reads."""
    from uce.model import TransformerModel

    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(3)
    network = TransformerModel(token_dim=6, d_model=20, nhead=20, d_hid=24, nlayers=2, output_dim=12)
    network.pe_embedding = torch.nn.Embedding(CHROMOSOMES_START + 8, 6)
    torch.save(network.state_dict(), folder / WEIGHTS)
    with tarfile.open(folder / "protein_embeddings.tar.gz", "w:gz") as archive:
        for species, genes in GENES.items():
            packed = io.BytesIO()
            torch.save({gene: torch.zeros(6) for gene in genes}, packed)
            member = tarfile.TarInfo(f"./protein_embeddings/{FILES[species]}")
            member.size = packed.tell()
            packed.seek(0)
            archive.addfile(member, packed)
    (folder / "species_offsets.pkl").write_bytes(pickle.dumps({"human": 4, "mouse": 44}))
    places = pd.concat(
        pd.DataFrame(
            {
                "species": species,
                # The last human gene has a protein's vector, but no place.
                "gene_symbol": [gene.upper() for gene in genes[: 39 if species == "human" else None]],
                "chromosome": ["ABCD"[n % 4] for n in range(39 if species == "human" else 30)],
                "start": np.arange(39 if species == "human" else 30)[::-1] * 100,
            }
        )
        for species, genes in GENES.items()
    )
    places.to_csv(folder / "species_chrom.csv", index=False)
    return folder


@pytest.fixture
def cells() -> ad.AnnData:
    """Seven cells, of which some express one gene; twenty genes are of the model and five are not."""
    rng = np.random.default_rng(0)
    counts = rng.poisson(1, size=(7, 25)).astype(np.float32)
    counts[:3, :20] = 0
    counts[range(3), [2, 3, 4]] = 5
    counts[:, 5] += 1
    adata = ad.AnnData(sparse.csr_matrix(counts))
    adata.obs_names = [f"cell{n}" for n in range(7)]
    adata.var_names = [*GENES["human"][15:35], *(f"OTHER{n}" for n in range(5))]
    return adata


def test_each_cell_gets_a_vector_also_one_that_the_authors_would_filter_out(
    run: Run, tmp_path: Path, trained: Path, cells: ad.AnnData
) -> None:
    output = run(tmp_path, trained, cells)
    found = read_embedding(output, 7)
    assert found.shape == (7, 12)
    assert list(found.index) == list(cells.obs_names)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-5)
    assert np.unique(found.to_numpy().round(5), axis=0).shape[0] == 7
    response = read_response(output)
    assert response is not None
    assert response.genes is not None
    assert (response.genes.known, response.genes.found) == (39, 20)
    assert response.versions["uce-model"] == "0.1.4"
    assert response.versions.keys() >= {"python", "torch", "numpy", "pandas", "anndata"}


def test_it_is_what_the_network_gives_for_the_sentence_of_a_cell(run: Run, tmp_path: Path, trained: Path) -> None:
    """With one gene there is nothing to draw: the whole sentence is known."""
    from uce.model import TransformerModel

    cells = ad.AnnData(sparse.csr_matrix(np.array([[0, 3], [2, 0]], dtype=np.float32)))
    cells.obs_names, cells.var_names = ["a", "b"], ["GENE7", "GENE16"]
    found = read_embedding(run(tmp_path, trained, cells), 2)
    network = TransformerModel(token_dim=6, d_model=20, nhead=20, d_hid=24, nlayers=2, output_dim=12)
    state = torch.load(trained / WEIGHTS, weights_only=True)
    network.pe_embedding = torch.nn.Embedding(*state["pe_embedding.weight"].shape)
    network.load_state_dict(state)
    network.eval()
    # Species come in alphabetical order, each with four chromosomes: GENE16 lies on the first of the human ones, GENE7
    # on the last. A cell is its token, the chromosome's, 1,024 times the gene, and the end of the chromosome.
    for cell, gene, chromosome in (("a", 16, 0), ("b", 7, 3)):
        sentence = torch.tensor([3, CHROMOSOMES_START + chromosome, *[4 + gene] * 1024, 2])[:, None]
        with torch.no_grad():
            vectors = torch.nn.functional.normalize(network.pe_embedding(sentence), dim=2)
            expected = network(vectors, mask=torch.ones(1, 1027))[1][0]
        np.testing.assert_allclose(found.loc[cell], expected, atol=1e-5)


def test_a_seed_decides_what_is_drawn(run: Run, tmp_path: Path, trained: Path, cells: ad.AnnData) -> None:
    first, again, other = (
        read_embedding(run(tmp_path / name, trained, cells, seed=seed), 7).to_numpy()
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-4


def test_neither_the_order_of_cells_nor_of_genes_nor_the_size_of_batches_matters(
    run: Run, tmp_path: Path, trained: Path, cells: ad.AnnData
) -> None:
    rng = np.random.default_rng(5)
    mixed = cells[rng.permutation(7)][:, rng.permutation(25)].copy()
    first = read_embedding(run(tmp_path / "a", trained, cells), 7)
    second = read_embedding(run(tmp_path / "b", trained, mixed, batch_size=1), 7)
    assert list(second.index) == list(mixed.obs_names)
    np.testing.assert_allclose(second.loc[first.index], first, atol=1e-5)


def test_genes_are_those_of_the_species_of_the_cells(
    run: Run, tmp_path: Path, trained: Path, cells: ad.AnnData
) -> None:
    cells.var_names = [name.capitalize() for name in cells.var_names]
    as_mouse = run(tmp_path / "mouse", trained, cells, taxa=[10090])
    as_human = run(tmp_path / "human", trained, cells, taxa=[9606])
    response = read_response(as_mouse)
    assert response is not None
    assert response.genes is not None
    assert (response.genes.known, response.genes.found) == (30, 20)
    assert np.abs(read_embedding(as_mouse, 7).to_numpy() - read_embedding(as_human, 7).to_numpy()).max() > 1e-4


@pytest.mark.parametrize("name", [WEIGHTS, "species_chrom.csv"])
def test_missing_weights_are_told_apart_from_a_failure(
    run: Run, tmp_path: Path, trained: Path, cells: ad.AnnData, name: str
) -> None:
    response = read_response(run(tmp_path, trained, cells, without=name, expect=66))
    assert response is not None
    assert response.reason == f"{name} is not among the weights"


@pytest.mark.parametrize("taxa", [[9031], [9606, 10090]])
def test_a_species_without_vectors_is_not_for_it(
    run: Run, tmp_path: Path, trained: Path, cells: ad.AnnData, taxa: list[int]
) -> None:
    response = read_response(run(tmp_path, trained, cells, taxa=taxa, expect=64))
    assert response is not None
    assert response.reason is not None
    assert response.reason.endswith(f"not of taxon {', '.join(map(str, taxa))}")


def test_a_cell_without_known_genes_is_named_as_the_problem(
    run: Run, tmp_path: Path, trained: Path, cells: ad.AnnData
) -> None:
    counts = cells.X.toarray()
    counts[4, :20] = 0
    cells.X = sparse.csr_matrix(counts)
    response = read_response(run(tmp_path, trained, cells, expect=65))
    assert response is not None
    assert response.reason == "1 of 7 cells express none of the genes that the model knows"


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
        expect: int = 0,
        **params: int,
    ) -> Path:
        (root / "weights").mkdir(parents=True)
        for path in trained.iterdir():
            if path.name != without:
                (root / "weights" / path.name).symlink_to(path)
        asked = {"params": {"variant": "4l", **params}, "seed": seed, "taxa": taxa or [9606]}
        return run_program("uce", root, cells, expect=expect, **asked).output

    return run
