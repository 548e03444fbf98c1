"""What a function makes is kept once it was checked, made again when anything behind it changes, and never half."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anndata as ad
import h5py
import numpy as np
import pytest
from scipy import sparse

from cellgauge.cards import DatasetCard
from cellgauge.data.dataset import Dataset, load_dataset
from cellgauge.data.fetch import FetchError
from cellgauge.data.inventory import built_files, unwanted
from cellgauge.data.obtain import InvalidDatasetError, built_path, fetch_files

RECIPE = '''
"""Makes a small dataset, and notes each call."""
import time
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse


def _note():
    with Path(__file__).with_name("calls").open("a") as file:
        file.write("called\\n")


def make(n_cells=12, n_genes=5, seed=1, wait=False):
    _note()
    while wait and not Path(__file__).with_name("go").exists():
        time.sleep(0.01)
    rng = np.random.default_rng(seed)
    return ad.AnnData(
        sparse.csr_matrix(rng.poisson(1.0, (n_cells, n_genes)).astype(np.float32)),
        obs=pd.DataFrame({"type": (["a", "b", "c"] * n_cells)[:n_cells]}, index=[f"cell{i}" for i in range(n_cells)]),
        var=pd.DataFrame(index=[f"gene{i}" for i in range(n_genes)]),
    )


def other(**params):
    return make(**params)


def from_files(files, *, scale=1):
    _note()
    table = pd.read_csv(files["counts"], index_col=0)
    types = pd.read_csv(files["types"], index_col=0)
    return ad.AnnData(table.to_numpy(dtype=np.float32) * scale, obs=types, var=pd.DataFrame(index=table.columns))


def table():
    return make().to_df()


def nothing():
    make()


def with_object():
    made = make()
    made.uns["made by"] = make
    return made


def with_mixed_column():
    made = make()
    made.obs["note"] = [1, "one"] * 6
    return made


def with_dates():
    made = make()
    made.obs["day"] = pd.Timestamp("2024-12-03")
    return made


def with_number_for_a_name():
    made = make()
    made.uns[7] = "seven"
    return made


def with_words_that_are_no_text():
    made = make()
    made.obs["word"] = "\\ud800"
    return made


def as_view():
    made = make(n_cells=24)
    return made[:12]


def with_every_kind_of_column():
    made = make()
    made.obs["flag"] = [True, False] * 6
    made.obs["number"] = range(12)
    made.obs["share"] = [0.1, 1.0, 1e-7] * 4
    made.obs["code"] = pd.Categorical([3, 1, 2] * 4)
    made.obs["count"] = pd.array([1, 2, 3] * 4, dtype="Int64")
    return made
'''


@dataclass
class Recipes:
    """A folder with recipes beside a card, and how often they were called."""

    trial: Any
    digests: dict[tuple[str, str], str] = field(default_factory=dict)

    def card(self, function: str = "make", *, params: dict[str, Any] | None = None, **changes: Any) -> DatasetCard:
        """Return a card that is pinned to what its function makes, found out without counting the call."""
        source = {"kind": "function", "function": f"recipe.py:{function}", "params": params or {}}
        changes = {"source": source, **changes}
        if "digest_of_content" in changes:
            return self.trial.card(**changes)
        key = (function, str((params, changes)))
        if key not in self.digests:
            before = self.calls
            self.digests[key] = self.trial.found(**changes)
            (self.trial.folder / "calls").write_text("called\n" * before)
        return self.trial.card(**changes, digest_of_content=self.digests[key])

    def load(self, card: DatasetCard) -> Dataset:
        return load_dataset(card, self.trial.folder, self.trial.store)

    @property
    def calls(self) -> int:
        noted = self.trial.folder / "calls"
        return len(noted.read_text().splitlines()) if noted.exists() else 0

    @property
    def kept(self) -> list[Path]:
        return built_files(self.trial.store)

    def path(self, card: DatasetCard) -> Path:
        path = built_path(card, self.trial.folder / card.path, self.trial.store)
        assert path is not None
        return path


@pytest.fixture
def recipes(trial) -> Recipes:
    (trial.folder / "recipe.py").write_text(RECIPE)
    return Recipes(trial)


# Kept


def test_what_a_function_makes_is_made_once(recipes: Recipes) -> None:
    card = recipes.card()
    made = recipes.load(card)
    again = recipes.load(card)
    assert recipes.calls == 1
    assert recipes.kept == [recipes.path(card)]
    assert made.digest == again.digest == card.digest_of_content
    assert (made.for_model([]).X != again.for_model([]).X).nnz == 0
    assert again.columns["label"].tolist() == made.columns["label"].tolist()


def test_what_was_kept_is_read_from_disk_by_rows(recipes: Recipes) -> None:
    card = recipes.card()
    assert sparse.issparse(recipes.load(card).matrix)
    assert not sparse.issparse(recipes.load(card).matrix)


def test_what_was_kept_can_be_read_by_anybody(recipes: Recipes) -> None:
    card = recipes.card()
    recipes.load(card)
    assert recipes.path(card).stat().st_mode & 0o444 == 0o444
    assert (ad.read_h5ad(recipes.path(card)).obs["type"] == ["a", "b", "c"] * 4).all()


def test_the_kept_file_holds_columns_of_every_kind_as_they_were_checked(recipes: Recipes) -> None:
    columns = {"label": "flag", "batch": "number", "time": "share", "sample": "code", "species": "count"}
    card = recipes.card("with_every_kind_of_column", columns=columns)
    made, again = recipes.load(card), recipes.load(card)
    assert recipes.calls == 1
    assert {role: made.columns[role].tolist() for role in columns} == {
        role: again.columns[role].tolist() for role in columns
    }


def test_a_view_is_kept_too(recipes: Recipes) -> None:
    card = recipes.card("as_view")
    recipes.load(card)
    before = recipes.calls
    recipes.load(card)
    assert recipes.calls == before
    assert recipes.kept == [recipes.path(card)]


def test_prose_in_the_card_does_not_make_it_anew(recipes: Recipes) -> None:
    recipes.load(recipes.card())
    recipes.load(recipes.card().model_copy(update={"summary": "Other words.", "body": "More."}))
    assert recipes.calls == 1


# Made again


def test_a_change_of_the_code_beside_the_card_makes_it_anew(recipes: Recipes) -> None:
    card = recipes.card()
    recipes.load(card)
    before = recipes.path(card)
    recipe = recipes.trial.folder / "recipe.py"
    recipe.write_text(recipe.read_text() + "\n# changed\n")
    recipes.load(card)
    assert recipes.calls == 2
    assert recipes.path(card) != before
    assert unwanted([card], recipes.trial.folder, recipes.trial.store) == [before]


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 2},
        {"params": {"seed": 1}},
        {"params": {"seed": 2}},
        {"function": "other"},
        {"columns": {"label": "type", "sample": "type"}},
    ],
)
def test_a_change_of_what_is_made_makes_it_anew(recipes: Recipes, changes: dict[str, Any]) -> None:
    one, other = recipes.card(), recipes.card(**changes)
    recipes.load(one)
    recipes.load(other)
    assert recipes.calls == 2
    recipes.load(one)
    recipes.load(other)
    assert recipes.calls == 2
    assert len(recipes.kept) == 2


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def _text(path: Path) -> None:
    path.write_text("not an .h5ad file")


def _bits(path: Path) -> None:
    with h5py.File(path) as file:
        chunk = file["X/data"].id.get_chunk_info(0)
    data = bytearray(path.read_bytes())
    data[chunk.byte_offset + 4 : chunk.byte_offset + 24] = b"\xff" * 20
    path.write_bytes(data)


def _indices(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file["X/indptr"][5] = 10_000


def _without_matrix(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        del file["X"]


def _without_labels(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        del file["obs/type"]
        file["obs"].attrs["column-order"] = np.array([], dtype="S1")


def _one_value(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file["X/data"][7] += 1


def _one_label(path: Path) -> None:
    adata = ad.read_h5ad(path)
    adata.obs["type"] = ["b", *adata.obs["type"].astype(str)[1:]]
    adata.write_h5ad(path)


def _other_order(path: Path) -> None:
    ad.read_h5ad(path)[::-1].copy().write_h5ad(path)


DAMAGES = [
    _empty,
    _truncate,
    _text,
    _bits,
    _indices,
    _without_matrix,
    _without_labels,
    _one_value,
    _one_label,
    _other_order,
]


@pytest.mark.parametrize("damage", DAMAGES, ids=[one.__name__.strip("_").replace("_", " ") for one in DAMAGES])
def test_a_kept_file_that_is_not_what_was_checked_is_made_again(
    recipes: Recipes, damage: Callable[[Path], None]
) -> None:
    card = recipes.card()
    right = recipes.load(card).for_model(["label"])
    damage(recipes.path(card))
    mended = recipes.load(card)
    assert recipes.calls == 2
    assert mended.digest == card.digest_of_content
    again = recipes.load(card).for_model(["label"])
    assert recipes.calls == 2
    assert (again.X != right.X).nnz == 0
    assert again.obs.equals(right.obs)
    assert recipes.kept == [recipes.path(card)]


# Not kept


def test_wrong_content_is_not_kept(recipes: Recipes) -> None:
    card = recipes.card(digest_of_content="sha256:" + "0" * 64)
    for _ in range(2):
        with pytest.raises(InvalidDatasetError, match="expected content"):
            recipes.load(card)
    assert recipes.calls == 2
    assert recipes.kept == []


def test_content_that_fails_a_check_is_not_kept(recipes: Recipes) -> None:
    card = recipes.card(
        columns={"label": "cell_type"}, digest_of_content="sha256:" + "0" * 64, params={"n_genes": 7, "seed": 3}
    )
    with pytest.raises(InvalidDatasetError, match='label column "cell_type" is not in obs'):
        recipes.load(card)
    assert recipes.kept == []


def test_a_kept_file_goes_when_what_is_made_is_no_longer_what_the_card_says(recipes: Recipes) -> None:
    """Here the check that fails is not part of the name of the kept file."""
    recipes.load(recipes.card())
    refused = recipes.card(digest_of_content=recipes.card().digest_of_content, feasibility={"size": "huge"})
    with pytest.raises(InvalidDatasetError, match="feasibility"):
        recipes.load(refused)
    assert recipes.kept == []


def test_nothing_is_kept_for_a_card_that_is_not_pinned(recipes: Recipes) -> None:
    card = recipes.card(digest_of_content=None)
    with pytest.raises(InvalidDatasetError, match="names no digest_of_content, found sha256:"):
        recipes.load(card)
    assert recipes.kept == []
    assert built_path(card, recipes.trial.folder / card.path, recipes.trial.store) is None


def test_nothing_is_kept_for_a_file(trial) -> None:
    dataset = trial.load(trial.cells())
    assert built_path(dataset.card, trial.folder / "tiny.md", trial.store) is None
    assert built_files(trial.store) == []


@pytest.mark.parametrize(("function", "found"), [("table", "DataFrame"), ("nothing", "NoneType")])
def test_a_function_must_return_an_anndata(recipes: Recipes, function: str, found: str) -> None:
    card = recipes.card(function, digest_of_content="sha256:" + "0" * 64)
    with pytest.raises(InvalidDatasetError) as caught:
        recipes.load(card)
    assert caught.value.problems == [f"recipe.py:{function} must return an AnnData, it returned a {found}"]
    assert recipes.kept == []


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "function",
    ["with_object", "with_mixed_column", "with_dates", "with_number_for_a_name", "with_words_that_are_no_text"],
)
def test_what_h5ad_cannot_hold_is_made_each_time(recipes: Recipes, function: str) -> None:
    card = recipes.card(function)
    digests = {recipes.load(card).digest for _ in range(2)}
    assert digests == {card.digest_of_content}
    assert recipes.calls == 2
    assert recipes.kept == []


def test_a_dataset_loads_also_where_nothing_can_be_kept(recipes: Recipes) -> None:
    card = recipes.card()
    recipes.trial.store.folder.mkdir(exist_ok=True)
    (recipes.trial.store.folder / "built").write_text("in the way")
    assert recipes.load(card).digest == card.digest_of_content


# Recipes with original files


def _originals(recipes: Recipes) -> dict[str, dict[str, Any]]:
    counts = "cell,g1,g2\nc1,1,0\nc2,0,3\nc3,2,2\n"
    types = "cell,type\nc1,a\nc2,b\nc3,a\n"
    files = {}
    for name, text in {"counts": counts, "types": types}.items():
        (recipes.trial.folder / f"{name}.csv").write_text(text)
        sha256 = "sha256:" + hashlib.sha256(text.encode()).hexdigest()
        files[name] = {"path": f"{name}.csv", "sha256": sha256, "size": len(text)}
    return files


def _recipe_card(recipes: Recipes, files: dict[str, dict[str, Any]], **params: Any) -> DatasetCard:
    source = {"kind": "function", "function": "recipe.py:from_files", "params": params, "files": files}
    return recipes.card("from_files", source=source)


def test_a_recipe_gets_its_files_by_name_besides_its_params(recipes: Recipes) -> None:
    files = _originals(recipes)
    card = _recipe_card(recipes, files, scale=2)
    dataset = recipes.load(card)
    assert dataset.cell_ids.tolist() == ["c1", "c2", "c3"]
    assert dataset.for_model([]).X.tolist() == [[2, 0], [0, 6], [4, 4]]
    found = fetch_files(card, recipes.trial.folder / card.path, recipes.trial.store)
    assert found == {name: recipes.trial.folder / f"{name}.csv" for name in files}


def test_what_was_made_needs_its_original_files_no_more(recipes: Recipes) -> None:
    card = _recipe_card(recipes, _originals(recipes))
    recipes.load(card)
    for name in card.files:
        (recipes.trial.folder / f"{name}.csv").unlink()
    assert recipes.load(card).n_cells == 3
    assert recipes.calls == 1
    _truncate(recipes.path(card))
    with pytest.raises(FetchError, match=r"counts\.csv: the card expects a file there, found nothing"):
        recipes.load(card)


def test_an_original_file_that_changed_is_not_given_to_the_recipe(recipes: Recipes) -> None:
    card = _recipe_card(recipes, _originals(recipes))
    (recipes.trial.folder / "types.csv").write_text("cell,type\nc1,a\nc2,b\nc3,b\n")
    with pytest.raises(FetchError, match=r"types\.csv: the card expects sha256:\w+, found sha256:"):
        recipes.load(card)
    assert recipes.calls == 0


def test_a_new_digest_of_an_original_file_makes_it_anew(recipes: Recipes) -> None:
    files = _originals(recipes)
    recipes.load(_recipe_card(recipes, files))
    spelled = "cell,type\nc1,a\nc2,b\nc3,a\n\n"
    (recipes.trial.folder / "types.csv").write_text(spelled)
    files["types"].update(sha256="sha256:" + hashlib.sha256(spelled.encode()).hexdigest(), size=len(spelled))
    recipes.load(_recipe_card(recipes, files))
    assert recipes.calls == 2


def test_a_file_at_a_url_comes_from_a_mirror_by_its_digest(recipes: Recipes, monkeypatch: pytest.MonkeyPatch) -> None:
    files = _originals(recipes)
    mirror = recipes.trial.folder / "mirror"
    mirror.mkdir()
    (recipes.trial.folder / "counts.csv").rename(mirror / "some name")
    files["counts"]["url"] = "https://unreachable.invalid/counts.csv"
    del files["counts"]["path"]
    monkeypatch.setenv("CELLGAUGE_MIRROR", str(mirror))
    card = _recipe_card(recipes, files)
    assert recipes.load(card).n_cells == 3
    found = fetch_files(card, recipes.trial.folder / card.path, recipes.trial.store)
    assert recipes.trial.store.digest_of(found["counts"]) == files["counts"]["sha256"]


# Several processes, and processes that die

CHILD = """
import sys
from pathlib import Path
from cellgauge.cards import DatasetCard
from cellgauge.data.dataset import load_dataset
from cellgauge.data.store import FileStore

card = DatasetCard.model_validate_json(sys.stdin.read())
print(load_dataset(card, Path(sys.argv[1]), FileStore(Path(sys.argv[2]))).digest)
"""


def _child(recipes: Recipes, card: DatasetCard) -> subprocess.Popen[str]:
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, recipes.trial.folder, recipes.trial.store.folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdin is not None
    child.stdin.write(card.model_dump_json())
    child.stdin.close()
    child.stdin = None
    return child


def _until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not happened():
        assert time.monotonic() < deadline, "it did not happen within two minutes"
        time.sleep(0.002)


@pytest.mark.slow
def test_two_processes_that_make_it_at_once_leave_one_whole_file(recipes: Recipes) -> None:
    go = recipes.trial.folder / "go"
    go.touch()
    card = recipes.card(params={"wait": True})
    go.unlink()
    children = [_child(recipes, card) for _ in range(2)]
    _until(lambda: recipes.calls == 2)
    assert recipes.kept == []
    go.touch()
    for child in children:
        out, error = child.communicate(timeout=120)
        assert (child.returncode, out.strip()) == (0, card.digest_of_content), error
    assert recipes.kept == [recipes.path(card)]
    assert recipes.load(card).digest == card.digest_of_content
    assert recipes.calls == 2


@pytest.mark.kill
@pytest.mark.slow
def test_a_process_killed_while_writing_leaves_nothing_under_the_final_name(recipes: Recipes) -> None:
    card = recipes.card(params={"n_cells": 6_000, "n_genes": 2_000})
    child = _child(recipes, card)
    _until(lambda: any(path.stat().st_size > 100_000 for path in recipes.kept))
    os.kill(child.pid, signal.SIGKILL)
    child.communicate(timeout=60)
    assert child.returncode == -signal.SIGKILL
    (half,) = recipes.kept
    assert half != recipes.path(card)
    assert unwanted([card], recipes.trial.folder, recipes.trial.store) == [half]
    assert recipes.load(card).digest == card.digest_of_content
    assert recipes.calls == 2
    recipes.load(card)
    assert recipes.calls == 2
    assert set(recipes.kept) == {half, recipes.path(card)}


def test_a_half_written_file_that_is_cleared_away_does_no_harm(
    recipes: Recipes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``data clean`` in another terminal removes it while it is being written."""
    card = recipes.card()
    write = ad.AnnData.write_h5ad

    def write_and_lose(adata: ad.AnnData, path: Path, **how: Any) -> None:
        write(adata, path, **how)
        for half in unwanted([card], recipes.trial.folder, recipes.trial.store):
            half.unlink()

    monkeypatch.setattr(ad.AnnData, "write_h5ad", write_and_lose)
    assert recipes.load(card).digest == card.digest_of_content
    assert recipes.kept == []
