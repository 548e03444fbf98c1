"""The adapter of scGenePT, run as in a container but without one, beside a STAND-IN for the authors' code.

The authors' code is in no package registry. A fixture writes a module with the name, the functions and the signatures
that the adapter imports, whose predictions are known on paper: what is tested here is the adapter's own work, and not
scGenePT.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from cellgauge.models.contract import read_prediction, read_response
from cellgauge.models.prediction import accept_prediction

torch = pytest.importorskip("torch", reason="needs torch: make test-models")

Run = Callable[..., Any]
pytestmark = pytest.mark.slow  # each call imports torch anew

STAND_IN = '''
import json
import pickle

import numpy as np
import torch


def load_trained_scgenept_model(adata, model_type, models_dir, model_location, device, verbose=False):
    """Read the same files from the same places as the authors' function."""
    vocabulary = json.load(open(models_dir + "pretrained/scgpt/vocab.json"))
    texts = {
        "scgenept_go_c_gpt_concat": "GO_C_gene_embeddings-gpt3.5-ada-concat.pickle",
        "scgenept_ncbi+uniprot_gpt": "NCBI+UniProt_embeddings-gpt3.5-ada.pkl",
    }[model_type]
    pickle.load(open(models_dir + "gene_embeddings/" + texts, "rb"))
    state = torch.load(model_location, weights_only=True, map_location=device)
    genes = adata.var["gene_name"].tolist()
    return _Model(state["added"].item()), np.array([vocabulary.get(gene, vocabulary["<pad>"]) for gene in genes])


class _Model:
    def __init__(self, added):
        self.added = added

    def pred_perturb_from_ctrl(
        self,
        adata_ctrl,
        perturbation,
        gene_names,
        device,
        gene_ids=None,
        amp=True,
        pool_size=None,
        return_mean=True,
    ):
        """Draw controls as the authors do; add a number to the genes that are perturbed, and nothing to others."""
        assert len(gene_ids) == len(gene_names) == adata_ctrl.n_vars
        pool_size = len(adata_ctrl) if pool_size is None else pool_size
        drawn = np.array(adata_ctrl[np.random.randint(0, len(adata_ctrl), pool_size)].X.toarray())
        flags = np.zeros(len(gene_names))
        for gene in perturbation.split("+"):
            if gene != "ctrl":
                flags[gene_names.index(gene)] = 1
        given = [(row + self.added * flags)[None] for row in drawn]
        return np.mean(given, axis=0) if return_mean else np.array(given)
'''
GENES = ["TP53", "KLF1", "GATA1", "MYC", "NOT_IN_VOCABULARY"]
VOCABULARY = {"TP53": 0, "KLF1": 1, "GATA1": 2, "MYC": 3, "BRCA1": 4, "<pad>": 5, "<cls>": 6, "<eoc>": 7}
VARIANTS = {
    "scgenept_go_c_gpt_concat": ("scgenept_go_c", "GO_C_gene_embeddings-gpt3.5-ada-concat.pickle"),
    "scgenept_ncbi+uniprot_gpt": ("scgenept_ncbi-uniprot", "NCBI-UniProt_embeddings-gpt3.5-ada.pkl"),
}


@pytest.fixture
def screen() -> ad.AnnData:
    """Twelve control cells and two of a training perturbation, in the form of a training file."""
    rng = np.random.default_rng(0)
    cells = ad.AnnData(
        sparse.csr_matrix(rng.random((14, 5)).astype(np.float32)),
        obs=pd.DataFrame(
            {"perturbation": ["control", "MYC"] * 2 + ["control"] * 10}, index=[f"cell{n}" for n in range(14)]
        ),
        uns={
            "values": "log-normalised",
            "control": "control",
            "joined_by": "_",
            "predict": ["GATA1_KLF1", "KLF1", "SOX2", "TP53"],
            "validation": [],
        },
    )
    cells.var_names = GENES
    return cells


@pytest.mark.parametrize("variant", list(VARIANTS))
def test_each_perturbation_gets_a_profile_and_one_without_its_gene_none(
    run: Run, tmp_path: Path, screen: ad.AnnData, variant: str
) -> None:
    # Where all control cells are alike, it does not matter which are drawn.
    screen.X = sparse.csr_matrix(np.tile(np.array([1, 2, 0, 4, 5], dtype=np.float32), (14, 1)))
    screen.X[[1, 3]] *= 7
    output = run(tmp_path, screen, variant=variant)
    found = read_prediction(output, 4, 5)
    assert sorted(found.index) == ["GATA1_KLF1", "KLF1", "TP53"]
    assert list(found.columns) == GENES
    np.testing.assert_array_equal(found.loc["GATA1_KLF1"], [1, 5, 3, 4, 5])
    np.testing.assert_array_equal(found.loc["KLF1"], [1, 5, 0, 4, 5])
    np.testing.assert_array_equal(found.loc["TP53"], [4, 2, 0, 4, 5])
    accepted = accept_prediction(found, screen.uns["predict"], np.array(GENES))
    assert np.isnan(accepted).any(axis=1).tolist() == [False, False, True, False]
    response = read_response(output)
    assert response is not None
    assert response.genes is not None
    assert (response.genes.known, response.genes.found) == (5, 4)
    assert response.versions.keys() >= {"python", "torch", "scgpt", "cell-gears", "numpy", "anndata"}


def test_only_control_cells_are_drawn_and_as_many_as_the_card_says(
    run: Run, tmp_path: Path, screen: ad.AnnData
) -> None:
    found = read_prediction(run(tmp_path, screen, pool_size=1), 4, 5)
    control = screen.X.toarray()[screen.obs["perturbation"] == "control"]
    profile = found.loc["TP53"].to_numpy() - [3, 0, 0, 0, 0]
    assert np.abs(control - profile).max(axis=1).min() < 1e-5


def test_a_seed_decides_which_cells_are_drawn(run: Run, tmp_path: Path, screen: ad.AnnData) -> None:
    first, again, other = (
        read_prediction(run(tmp_path / name, screen, seed=seed), 4, 5) for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    pd.testing.assert_frame_equal(first, again)
    assert np.abs(first - other).to_numpy().max() > 1e-4


def test_neither_the_order_of_cells_nor_of_genes_nor_what_else_is_asked_matters(
    run: Run, tmp_path: Path, screen: ad.AnnData
) -> None:
    first = read_prediction(run(tmp_path / "a", screen), 4, 5)
    rng = np.random.default_rng(5)
    mixed = screen[rng.permutation(14)][:, rng.permutation(5)].copy()
    mixed.uns["predict"] = ["TP53"]
    second = read_prediction(run(tmp_path / "b", mixed), 1, 5)
    assert list(second.columns) == list(mixed.var_names)
    np.testing.assert_allclose(second.loc["TP53", GENES], first.loc["TP53", GENES], rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (
            "finetuned/scgenept_go_c/norman/best_model.pt",
            "expected one .pt file in finetuned/scgenept_go_c/norman, found 0",
        ),
        ("pretrained/scgpt/vocab.json", "pretrained/scgpt/vocab.json is not among the weights"),
        (
            "gene_embeddings/GO_C_gene_embeddings-gpt3.5-ada-concat.pickle",
            "gene_embeddings/GO_C_gene_embeddings-gpt3.5-ada-concat.pickle is not among the weights",
        ),
    ],
)
def test_missing_weights_are_told_apart_from_a_failure(
    run: Run, tmp_path: Path, screen: ad.AnnData, name: str, reason: str
) -> None:
    response = read_response(run(tmp_path, screen, without=name, expect=66))
    assert response is not None
    assert response.reason == reason


def test_cells_of_a_mouse_are_not_for_it(run: Run, tmp_path: Path, screen: ad.AnnData) -> None:
    response = read_response(run(tmp_path, screen, taxa=[10090], expect=64))
    assert response is not None
    assert "10090" in (response.reason or "")


def test_a_screen_of_other_genes_is_named_as_the_problem(run: Run, tmp_path: Path, screen: ad.AnnData) -> None:
    screen.uns["predict"] = ["SOX2", "SOX2_TP53"]
    response = read_response(run(tmp_path, screen, expect=65))
    assert response is not None
    assert response.reason == "none of the 2 perturbations has its genes among those of the cells"


@pytest.fixture(scope="module")
def run(run_program: Callable[..., Any]) -> Run:
    """Runs the adapter on folders below a root, and returns that of the output."""

    def run(
        root: Path,
        screen: ad.AnnData,
        *,
        variant: str = "scgenept_go_c_gpt_concat",
        seed: int = 0,
        taxa: list[int] | None = None,
        without: str | None = None,
        expect: int = 0,
        **params: Any,
    ) -> Path:
        folder, text = VARIANTS[variant]
        for name in (f"weights/finetuned/{folder}/norman", "weights/pretrained/scgpt", "code/utils"):
            (root / name).mkdir(parents=True)
        torch.save({"added": torch.tensor(3.0)}, root / "weights" / "finetuned" / folder / "norman" / "best_model.pt")
        (root / "weights" / "pretrained" / "scgpt" / "vocab.json").write_text(json.dumps(VOCABULARY))
        (root / "weights" / "gene_embeddings").mkdir()
        (root / "weights" / "gene_embeddings" / text).write_bytes(pickle.dumps({}))
        if without is not None:
            (root / "weights" / without).unlink()
        (root / "code" / "utils" / "data_loading.py").write_text(STAND_IN)
        return run_program(
            "scgenept",
            root,
            screen,
            params={"variant": variant, "dataset_name": "norman", **params},
            seed=seed,
            taxa=taxa or [9606],
            output="prediction",
            values="log-normalised",
            modules=root / "code",
            expect=expect,
        ).output

    return run
