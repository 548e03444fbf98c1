"""Datasets made by the recipes that their cards name, from original files whose names have no suffix."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from pathlib import Path

import anndata as ad
import numpy as np
import pytest

from cellgauge.cards.dataset import DatasetCard
from cellgauge.cards.function import load_function
from cellgauge.cards.read import read_card
from cellgauge.data.content import content_digest

CARDS = Path(__file__).resolve().parents[3] / "site_src" / "datasets"

Make = Callable[[str], ad.AnnData]


def card_of(dataset: str) -> DatasetCard:
    return read_card(CARDS / f"{dataset}.md", DatasetCard)


def digest_of(dataset: str, adata: ad.AnnData) -> str:
    """The digest of an AnnData's content under the matrix and the roles that the dataset's card names."""
    card = card_of(dataset)
    location = card.matrix.location
    matrix = adata.X if location == "X" else adata.layers[location.removeprefix("layers/")]
    roles = {role: adata.obs[column].astype(str).to_numpy(dtype=str) for role, column in card.columns.items()}
    return content_digest(matrix, adata.obs_names.astype(str), adata.var_names.astype(str), roles)


@pytest.fixture(scope="session")
def card() -> Callable[[str], DatasetCard]:
    return card_of


@pytest.fixture(scope="session")
def digest() -> Callable[[str, ad.AnnData], str]:
    return digest_of


@pytest.fixture(scope="session")
def originals(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of links to the original files, named by their sha256 and nothing else."""
    folder = tmp_path_factory.mktemp("originals")
    for path in sorted((shared_data / "raw").iterdir()):
        (folder / hashlib.sha256(path.read_bytes()).hexdigest()).symlink_to(path)
    return folder


@pytest.fixture(scope="session")
def files_of(originals: Path) -> Callable[[str], dict[str, Path]]:
    """The original files of a dataset by their names in its card, each found by its digest."""

    def find(dataset: str) -> dict[str, Path]:
        files = card_of(dataset).files
        return {name: originals / str(one.sha256).removeprefix("sha256:") for name, one in files.items()}

    return find


@pytest.fixture(scope="session")
def made(files_of: Callable[[str], dict[str, Path]]) -> Make:
    """What the recipe of a measured dataset returns; made once, not to be changed."""
    return functools.cache(lambda dataset: make(dataset, files_of(dataset)))


@pytest.fixture(scope="session")
def simulated() -> Make:
    """What a recipe without original files returns; made once, not to be changed."""
    return functools.cache(lambda dataset: make(dataset, {}))


def make(dataset: str, files: dict[str, Path]) -> ad.AnnData:
    source = card_of(dataset).source
    recipe = load_function(source.function, CARDS / f"{dataset}.md")
    return recipe(files, **source.params) if source.files else recipe(**source.params)


@pytest.fixture(scope="session")
def components() -> Callable[..., np.ndarray]:
    """Principal components of log counts per 10,000 of the most variable genes."""
    import scanpy as sc

    def compute(adata: ad.AnnData, n_top_genes: int = 2000) -> np.ndarray:
        cells = ad.AnnData(adata.X.copy())
        sc.pp.normalize_total(cells, target_sum=1e4)
        sc.pp.log1p(cells)
        if cells.n_vars > n_top_genes:
            sc.pp.highly_variable_genes(cells, n_top_genes=n_top_genes)
        sc.pp.pca(cells, n_comps=30, random_state=0)
        return cells.obsm["X_pca"]

    return compute
