"""A folder with a card and its data, where a contributor tries what a dataset card says."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from cellgauge.cards import DatasetCard
from cellgauge.data.dataset import Dataset, load_dataset
from cellgauge.data.obtain import InvalidDatasetError
from cellgauge.data.store import FileStore


@dataclass
class Trial:
    """Writes data beside a card that is never written, and loads them as a run would."""

    folder: Path
    store: FileStore
    make_card: Callable[..., DatasetCard]

    def cells(self, n_cells: int = 12, n_genes: int = 5) -> ad.AnnData:
        """Counts in CSR; column ``type`` with three classes and an unused category."""
        rng = np.random.default_rng(1)
        types = pd.Categorical((["a", "b", "c"] * n_cells)[:n_cells], categories=["a", "b", "c", "never used"])
        return ad.AnnData(
            sparse.csr_matrix(rng.poisson(1.0, (n_cells, n_genes)).astype(np.float32)),
            obs=pd.DataFrame({"type": types}, index=[f"cell{i}" for i in range(n_cells)]),
            var=pd.DataFrame(index=[f"gene{i}" for i in range(n_genes)]),
        )

    def card(self, *, matrix: dict[str, Any] | None = None, **changes: Any) -> DatasetCard:
        """Return a card; ``matrix`` changes single keys, everything else whole fields."""
        usual = {"location": "X", "values": "counts", "features": "gene symbols"}
        return self.make_card(matrix={**usual, **(matrix or {})}, **changes)

    @property
    def file(self) -> Path:
        return self.folder / "tiny.h5ad"

    def write(self, adata: ad.AnnData, **how: Any) -> Path:
        """Write the card's file anew; what reads the old one goes on reading the old one."""
        new = self.folder / "new.h5ad"
        adata.write_h5ad(new, **how)
        return new.replace(self.file)

    def refusal(self, **changes: Any) -> list[str]:
        """Return what keeps the data from being used."""
        with pytest.raises(InvalidDatasetError) as caught:
            load_dataset(self.card(**changes), self.folder, self.store)
        return caught.value.problems

    def problems(self, adata: ad.AnnData, **changes: Any) -> list[str]:
        self.write(adata)
        return self.refusal(**changes)

    def found(self, **changes: Any) -> str:
        """Return the digest that the refusal of a card without the right one names."""
        (only,) = self.refusal(**{"digest_of_content": "sha256:" + "0" * 64, **changes})
        return re.findall(r"sha256:\w+", only)[1]

    def pinned(self, **changes: Any) -> DatasetCard:
        """Return the card with the digest that was found, as a contributor would write it."""
        return self.card(**{**changes, "digest_of_content": self.found(**changes)})

    def open(self, **changes: Any) -> Dataset:
        """Load what was written."""
        return load_dataset(self.pinned(**changes), self.folder, self.store)

    def load(self, adata: ad.AnnData, **changes: Any) -> Dataset:
        self.write(adata)
        return self.open(**changes)


@pytest.fixture
def trial(tmp_path: Path, dataset_card: Callable[..., DatasetCard]) -> Trial:
    return Trial(tmp_path, FileStore(tmp_path / "cache"), dataset_card)
