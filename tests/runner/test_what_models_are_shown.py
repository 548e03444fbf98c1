"""What a model is called with: species on their own or together, training cells, and nothing it should not see."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from cellgauge.cards.dataset import DatasetCard
from cellgauge.cards.model import ModelCard
from cellgauge.cards.read import read_card
from cellgauge.data.content import read_content
from cellgauge.data.dataset import Dataset
from cellgauge.models.embedding import InvalidOutputError
from cellgauge.runner.shown import accept, shown_to

CLONE = Path(__file__).parents[2]
PCA = read_card(CLONE / "site_src/models/pca.md", ModelCard)
ELSEWHERE = PCA.model_copy(update={"id": "elsewhere", "pretrained": True, "fit": "none"})
PAIR = read_card(CLONE / "site_src/datasets/baron-pancreas.md", DatasetCard)


def dataset(card: DatasetCard, ids: list[str], genes: list[str], species: list[str] | None = None) -> Dataset:
    matrix = np.random.default_rng(len(ids)).poisson(2.0, (len(ids), len(genes))).astype(np.float32)
    columns = {"label": np.array(["a"] * len(ids))} | ({"species": np.array(species)} if species else {})
    cell_ids, gene_ids = np.array(ids), np.array(genes)
    content = read_content(matrix, cell_ids, gene_ids, columns)
    return Dataset(card, matrix, cell_ids, gene_ids, columns, None, content)


HUMAN = dataset(PAIR, ["h2", "h0", "h1", "h9"], ["INS", "GCG", "ONLYHUMAN"])
MOUSE = dataset(PAIR, ["m0", "m1"], ["Ins1", "Gcg"])
BOTH = dataset(PAIR, ["m1", "h0", "h1", "m0", "h2"], ["INS", "GCG"], ["mouse", "human", "human", "mouse", "human"])
PARTS = {"baron-pancreas-human": HUMAN, "baron-pancreas-mouse": MOUSE}


def test_a_model_trained_elsewhere_gets_each_species_with_its_own_genes() -> None:
    shown = shown_to(ELSEWHERE, BOTH, 42, None, PARTS.__getitem__)
    assert [list(part.var_names) for part in shown] == [["INS", "GCG", "ONLYHUMAN"], ["Ins1", "Gcg"]]
    assert [list(part.obs_names) for part in shown] == [["h2", "h0", "h1"], ["m0", "m1"]], "h9 is not in the pair"
    assert all(part.obs.shape[1] == 0 for part in shown), "no label, no species"


def test_its_outputs_are_put_into_the_order_of_the_joined_cells() -> None:
    shown = shown_to(ELSEWHERE, BOTH, 42, None, PARTS.__getitem__)
    value = {"h0": 0.0, "h1": 1.0, "h2": 2.0, "m0": 10.0, "m1": 11.0}
    outputs = [np.array([[value[cell]] for cell in part.obs_names]) for part in shown]
    assert accept(ELSEWHERE, BOTH, shown, outputs)[:, 0].tolist() == [11.0, 0.0, 1.0, 10.0, 2.0]


def test_species_of_one_file_are_shown_one_by_one() -> None:
    alone = PAIR.model_copy(update={"joins": []})
    one_file = dataset(alone, list(BOTH.cell_ids), ["INS", "GCG"], BOTH.columns["species"].tolist())
    shown = shown_to(ELSEWHERE, one_file, 42, None, PARTS.__getitem__)
    assert [list(part.obs_names) for part in shown] == [["h0", "h1", "h2"], ["m1", "m0"]]


def test_a_model_fitted_here_gets_all_cells_on_shared_genes() -> None:
    (shown,) = shown_to(PCA, BOTH, 42, None, PARTS.__getitem__)
    assert list(shown.obs_names) == list(BOTH.cell_ids)
    assert list(shown.var_names) == ["INS", "GCG"]


@pytest.mark.parametrize(
    ("fit", "pretrained", "n_calls"),
    [("none", True, 2), ("reference", False, 2), ("reference", True, 2), ("dataset", True, 1), ("none", False, 1)],
)
def test_what_is_fitted_on_these_cells_is_fitted_on_all_of_them(fit: str, pretrained: bool, n_calls: int) -> None:
    """A bug: whether it was pretrained decided, so that a model tuned here had axes of its own for each species."""
    model = PCA.model_copy(update={"fit": fit, "pretrained": pretrained})
    assert len(shown_to(model, BOTH, 42, None, PARTS.__getitem__)) == n_calls


def test_spaces_of_different_sizes_are_refused() -> None:
    shown = shown_to(ELSEWHERE, BOTH, 42, None, PARTS.__getitem__)
    with pytest.raises(InvalidOutputError, match=r"spaces of different sizes \(2 and 3 dimensions\)"):
        accept(ELSEWHERE, BOTH, shown, [np.ones((3, 3)), np.ones((2, 2))])


def test_a_joined_dataset_with_cells_of_its_own_is_refused() -> None:
    strange = dataset(PAIR, ["h0", "h1", "h2", "m0", "x1"], ["INS"], ["human"] * 3 + ["mouse"] * 2)
    shown = shown_to(ELSEWHERE, strange, 42, None, PARTS.__getitem__)
    with pytest.raises(InvalidOutputError, match="the cells of the joined datasets are not the cells of this one"):
        accept(ELSEWHERE, strange, shown, [np.ones((3, 2)), np.ones((1, 2))])


def test_ids_in_another_order_are_put_right_within_a_species() -> None:
    shown = shown_to(ELSEWHERE, BOTH, 42, None, PARTS.__getitem__)
    frames = [pd.DataFrame(np.arange(part.n_obs)[:, None], index=part.obs_names)[::-1] for part in shown]
    plain = [np.arange(part.n_obs)[:, None] for part in shown]
    np.testing.assert_array_equal(accept(ELSEWHERE, BOTH, shown, frames), accept(ELSEWHERE, BOTH, shown, plain))


@pytest.mark.data
@pytest.mark.slow
def test_the_cells_of_the_baron_pair_are_those_of_its_parts(shared_data: Path, tmp_path: Path, monkeypatch) -> None:
    from cellgauge.data.dataset import load_dataset
    from cellgauge.data.store import FileStore

    monkeypatch.setenv("CELLGAUGE_MIRROR", str(shared_data / "raw"))
    store = FileStore(tmp_path)
    cards = {one: read_card(CLONE / f"site_src/datasets/{one}.md", DatasetCard) for one in [PAIR.id, *PAIR.joins]}
    loaded = {one: load_dataset(card, CLONE, store) for one, card in cards.items()}
    shown = shown_to(ELSEWHERE, loaded[PAIR.id], 42, None, loaded.__getitem__)
    assert [part.n_obs for part in shown] == [
        np.sum(loaded[PAIR.id].columns["species"] == one) for one in species_of(loaded, PAIR)
    ]
    outputs = [np.zeros((part.n_obs, 3)) for part in shown]
    assert accept(ELSEWHERE, loaded[PAIR.id], shown, outputs).shape == (328, 3)
    assert isinstance(shown[0], ad.AnnData)


def species_of(loaded: dict[str, Dataset], pair: DatasetCard) -> list[str]:
    both = loaded[pair.id]
    of_cell = dict(zip(both.cell_ids, both.columns["species"], strict=True))
    return [next(of_cell[one] for one in loaded[part].cell_ids if one in of_cell) for part in pair.joins]
