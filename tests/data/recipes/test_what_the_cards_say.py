"""The recipes give what the cards say, every time and on every machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import anndata as ad
import numpy as np
import pytest
from scipy import sparse

from cellgauge.cards.dataset import size_class

FROM_FILES = {
    "sc-mixology": (499, 15_073),
    "baron-pancreas-human": (175, 12_474),
    "baron-pancreas-mouse": (153, 12_474),
    "baron-pancreas": (328, 11_389),
    "norman-2019-subset": (3_375, 250),
}
WITHOUT_FILES = {
    "pbmc68k-reduced": (700, 765),
    "simulated-cross-species": (1_200, 1_000),
    "simulated-perturbation": (5_080, 400),
    "simulated-ordering": (640, 11),
}
ALL = {**FROM_FILES, **WITHOUT_FILES}


@pytest.fixture
def dataset(request: pytest.FixtureRequest) -> tuple[str, ad.AnnData]:
    """A dataset by name; what needs the original files asks for them."""
    name = request.param
    return name, request.getfixturevalue("made" if name in FROM_FILES else "simulated")(name)


every = pytest.mark.parametrize("dataset", ALL, indirect=True, ids=str)


@every
def test_the_content_is_the_one_that_the_card_pins(dataset, card, digest) -> None:
    name, adata = dataset
    assert digest(name, adata) == card(name).digest_of_content


@every
def test_shape_and_size_class_are_as_described(dataset, card) -> None:
    name, adata = dataset
    assert adata.shape == ALL[name]
    assert card(name).feasibility.size == size_class(adata.n_obs)


@every
def test_matrices_are_float32_and_text_is_plain(dataset) -> None:
    name, adata = dataset
    for matrix in (adata.X, *adata.layers.values()):
        assert matrix.dtype == np.float32
        if name != "simulated-ordering":
            assert isinstance(matrix, sparse.csr_matrix)
            assert matrix.has_sorted_indices
            assert matrix.nnz == np.count_nonzero(matrix.data)
    for column in adata.obs:
        assert adata.obs[column].dtype != "category"
        assert not adata.obs[column].isna().any()


@every
def test_ids_are_unique_and_mostly_sorted(dataset) -> None:
    name, adata = dataset
    assert adata.obs_names.is_unique
    assert adata.var_names.is_unique
    if name not in ("pbmc68k-reduced", "simulated-ordering"):  # these keep the order of scanpy
        assert list(adata.obs_names) == sorted(adata.obs_names)
        assert list(adata.var_names) == sorted(adata.var_names)


@every
def test_it_can_be_kept_as_a_file(dataset, card, digest, tmp_path: Path) -> None:
    name, adata = dataset
    adata.copy().write_h5ad(tmp_path / "kept.h5ad")
    assert digest(name, ad.read_h5ad(tmp_path / "kept.h5ad")) == card(name).digest_of_content


@every
def test_columns_that_the_card_warns_of_are_there(dataset, card) -> None:
    name, adata = dataset
    said = card(name)
    assert set(said.not_used) <= set(adata.obs)
    assert not set(said.not_used) & set(said.columns.values())


@every
def test_a_donor_does_not_determine_the_label(dataset) -> None:
    _, adata = dataset
    if "donor" in adata.obs:
        assert (adata.obs.groupby("donor")["cell_type"].nunique() >= 4).all()


IN_ANOTHER_PROCESS = """
import json, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import conftest
files = json.loads(sys.argv[2])
print(json.dumps({name: conftest.digest_of(name, conftest.make(name, {key: Path(path) for key, path in these.items()}))
                  for name, these in files.items()}))
"""


@pytest.mark.slow
@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_other_processes_make_the_same(files_of, card, hash_seed: str) -> None:
    files = {name: {key: str(path) for key, path in files_of(name).items()} for name in ALL}
    done = subprocess.run(
        [sys.executable, "-c", IN_ANOTHER_PROCESS, str(Path(__file__).parent), json.dumps(files)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
    )
    assert json.loads(done.stdout.splitlines()[-1]) == {name: card(name).digest_of_content for name in ALL}
