"""Cells for the tests of tasks: published datasets, and a few simulated ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cellgauge.cards import DatasetCard
from cellgauge.cards.read import read_card
from cellgauge.data.dataset import Dataset, load_dataset
from cellgauge.data.store import FileStore

PROJECT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Dataset]:
    """Loads a dataset of the project by its id, one that needs no download."""

    def load(dataset: str) -> Dataset:
        path = f"site_src/datasets/{dataset}.md"
        card = read_card(PROJECT / path, DatasetCard, shown_as=path)
        return load_dataset(card, PROJECT, FileStore(tmp_path_factory.mktemp("store")))

    return load


@pytest.fixture(scope="session")
def downloaded(shared_data: Path, made: Callable[[str], Dataset]) -> Callable[[str], Dataset]:
    """Loads a dataset of the project by its id, its files taken from the reference data."""

    def load(dataset: str) -> Dataset:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("CELLGAUGE_MIRROR", str(shared_data / "raw"))
            return made(dataset)

    return load


@pytest.fixture(params=range(3))
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    return np.random.default_rng(request.param)


@pytest.fixture
def cells(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Three labels of 40 cells, two batches that are shifted by a little; embedding, labels, batches."""
    labels, batches = np.repeat(np.arange(3), 40), rng.permuted(np.tile([0, 1], (3, 20)), axis=1).ravel()
    embedding = rng.normal(size=(120, 6)) + 3 * np.eye(6)[labels] + 0.8 * np.eye(6)[3 + batches]
    return embedding.astype(np.float32), labels, batches
