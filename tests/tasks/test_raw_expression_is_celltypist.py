"""Logistic regression on raw expression names cells as CellTypist does when it is trained on the same cells.

CellTypist 1.7.1 asks scikit-learn for an option that left it with version 1.8, so that the tests want an environment of
their own, and are skipped in the one that `make` makes.
"""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

from cellgauge.cards.dataset import DatasetCard
from cellgauge.cards.read import read_card
from cellgauge.data.dataset import Dataset, load_dataset
from cellgauge.data.store import FileStore
from cellgauge.models.linear import log_normalised, raw_expression
from cellgauge.tasks.classification import name_cells
from cellgauge.tasks.folds import Fold, fold_scores
from cellgauge.tasks.splits import Positions, splits

celltypist = pytest.importorskip(
    "celltypist",
    reason="needs CellTypist in another environment: pip install '.[run,test]' celltypist 'scikit-learn<1.8'",
)
pytestmark = [pytest.mark.slow, pytest.mark.data]

CLONE = Path(__file__).parents[2]
PARAMS = {"max_iterations": 1000}
SCORES = ("macro-f1", "accuracy", "macro-auroc")


@pytest.fixture
def load(shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CELLGAUGE_MIRROR", str(shared_data / "raw"))

    def loaded(dataset: str) -> Dataset:
        return load_dataset(
            read_card(CLONE / f"site_src/datasets/{dataset}.md", DatasetCard), CLONE, FileStore(tmp_path)
        )

    return loaded


def named(dataset: Dataset, parts: list[tuple[Positions, Positions]]) -> tuple[list[Fold], list[Fold]]:
    """Let both learn from the first cells of each part, and name the second."""
    cells, features = log_normalised(dataset.for_model([])), raw_expression(dataset.for_model([]), seed=0)
    names, codes = np.unique(dataset.columns["label"], return_inverse=True)
    ours, theirs = [], []
    for train, test in parts:
        exact = features.astype(np.float64)
        ours.append(name_cells("logistic-regression", exact, codes, len(names), train, test, PARAMS, 42))
        model = celltypist.train(cells[train].copy(), labels=names[codes[train]])
        said = celltypist.annotate(cells[test].copy(), model=model).decision_matrix
        decision = np.full((len(test), len(names)), -np.inf)
        decision[:, np.searchsorted(names, said.columns.to_numpy(dtype=str))] = said.to_numpy()
        theirs.append(Fold.of(test, codes[test], decision))
    return ours, theirs


def compare(dataset: Dataset, parts: list[tuple[Positions, Positions]]) -> tuple[float, dict[str, float]]:
    """Return the share of cells that both name alike, and by how much CellTypist's scores are higher."""
    ours, theirs = named(dataset, parts)
    once = np.ones((1, dataset.n_cells), dtype=np.float32)
    first, second = fold_scores(ours, once), fold_scores(theirs, once)
    same = np.concatenate([a.predicted == b.predicted for a, b in zip(ours, theirs, strict=True)]).mean()
    return float(same), {score: float(second[score][0] - first[score][0]) for score in SCORES}


@pytest.mark.parametrize("dataset", ["sc-mixology", "baron-pancreas-human", "pbmc68k-reduced"])
def test_on_the_folds_of_classification_both_name_nearly_all_cells_alike(load, dataset: str) -> None:
    loaded = load(dataset)
    labels, counts = np.unique(loaded.columns["label"], return_counts=True)
    scored = np.flatnonzero(np.isin(loaded.columns["label"], labels[counts >= 10]))
    codes, donors = np.unique(loaded.columns["label"][scored], return_inverse=True)[1], loaded.columns.get("donor")
    folds = splits(codes, None if donors is None else donors[scored], 5, 42)
    same, differences = compare(loaded, [(scored[train], scored[test]) for train, test in folds])
    assert same > 0.96
    assert max(map(abs, differences.values())) < 0.015, differences


def test_a_reference_of_another_species_serves_both_alike(load) -> None:
    """Cells of the other species are far from those learnt from, so that more of them lie between two types."""
    loaded = load("baron-pancreas")
    species = loaded.columns["species"]
    pairs = permutations(np.unique(species).tolist(), 2)
    parts = [(np.flatnonzero(species == one), np.flatnonzero(species == other)) for one, other in pairs]
    same, differences = compare(loaded, parts)
    assert same > 0.85
    assert max(map(abs, differences.values())) < 0.03, differences
