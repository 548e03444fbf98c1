"""What of each dataset is on this machine, and which kept files no card asks for."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from cellgauge.cards.dataset import SourceFile
from cellgauge.data.dataset import load_dataset
from cellgauge.data.inventory import Holding, built_files, holding, total_size, unwanted
from cellgauge.data.obtain import built_path
from cellgauge.data.store import FileStore
from cellgauge.results.store import write_atomically

FUNCTION = {"kind": "function", "function": "scanpy.datasets:pbmc68k_reduced"}
UNSEEN = "sha256:" + "9" * 64


def sha256(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def keep(store: FileStore, data: bytes, sha: str | None = None) -> Path:
    """Put bytes into the store as a download would."""
    sha = sha or sha256(data)
    temporary = store.files / "partial" / "arriving"
    write_atomically(temporary, data)
    return store.place(temporary, sha)


def held(trial, **changes: Any) -> Holding:
    return holding(trial.card(**changes), trial.folder, trial.store)


def make_built(trial, **changes: Any) -> Path:
    card = trial.card(**changes)
    path = built_path(card, trial.folder / card.path, trial.store)
    assert path is not None
    write_atomically(path, b"made")
    return path


def at_url(data: bytes, **more: Any) -> dict[str, Any]:
    return {"url": f"https://example.org/{len(data)}.tsv", "sha256": sha256(data), **more}


# One dataset


def test_a_file_beside_the_card(trial) -> None:
    absent = held(trial)
    assert (absent.state, absent.loadable, absent.h5ad, absent.built) == ("to fetch", False, None, None)
    trial.file.touch()
    here = held(trial)
    assert (here.state, here.loadable, here.h5ad) == ("here", True, trial.file)
    assert here.files == {"data": trial.file}


def test_a_file_at_a_url(trial) -> None:
    source = {"kind": "file", **at_url(b"cells", size=5)}
    absent = held(trial, source=source)
    assert (absent.state, absent.loadable, absent.wanted_bytes) == ("to fetch", False, 5)
    path = keep(trial.store, b"cells")
    here = held(trial, source=source)
    assert (here.state, here.loadable, here.wanted_bytes, here.h5ad) == ("here", True, 0, path)


def test_a_card_that_is_not_pinned_says_so_even_when_its_file_is_here(trial) -> None:
    trial.file.touch()
    here = held(trial, digest_of_content=None)
    assert (here.state, here.loadable) == ("not pinned", True)


def test_a_file_without_digest_is_here_once_its_url_was_fetched(trial) -> None:
    source = {"kind": "file", "url": "s3://bucket/cells.h5ad"}
    assert not held(trial, source=source, digest_of_content=None).loadable
    path = keep(trial.store, b"cells")
    trial.store.remember("s3://bucket/cells.h5ad", {"sha256": sha256(b"cells"), "size": 5, "etag": '"x"'})
    here = held(trial, source=source, digest_of_content=None)
    assert (here.state, here.loadable, here.files["data"]) == ("not pinned", True, path)


def test_a_function_without_files_is_to_be_made(trial) -> None:
    absent = held(trial, source=FUNCTION)
    assert (absent.state, absent.loadable, absent.h5ad, absent.files) == ("to make", True, None, {})
    assert absent.wanted_bytes == 0
    path = make_built(trial, source=FUNCTION)
    here = held(trial, source=FUNCTION)
    assert (here.state, here.loadable, here.h5ad, here.built) == ("here", True, path, path)


def test_a_recipe_needs_all_its_files_until_it_was_made(trial) -> None:
    one, other = at_url(b"one", size=3), at_url(b"other!", size=6)
    source = {**FUNCTION, "files": {"one": one, "other": other}}
    assert (held(trial, source=source).state, held(trial, source=source).wanted_bytes) == ("to fetch", 9)
    keep(trial.store, b"other!")
    half = held(trial, source=source)
    assert (half.state, half.loadable, half.wanted_bytes) == ("to fetch", False, 3)
    keep(trial.store, b"one")
    assert (held(trial, source=source).state, held(trial, source=source).loadable) == ("to make", True)
    make_built(trial, source=source)
    assert held(trial, source=source).state == "here"
    trial.store.remove(sha256(b"one"))
    without = held(trial, source=source)
    assert (without.state, without.loadable, without.files["one"]) == ("here", True, None)


def test_how_much_is_to_fetch_is_unknown_where_one_size_is(trial) -> None:
    source = {**FUNCTION, "files": {"one": at_url(b"one", size=3), "other": at_url(b"other!")}}
    assert held(trial, source=source).wanted_bytes is None
    keep(trial.store, b"other!")
    assert held(trial, source=source).wanted_bytes == 3


def test_what_was_made_for_another_version_is_not_here(trial) -> None:
    make_built(trial, source=FUNCTION)
    assert held(trial, source=FUNCTION, version=2).state == "to make"


def test_asking_what_is_here_leaves_nothing_behind(trial) -> None:
    held(trial, source=FUNCTION)
    held(trial, source={"kind": "file", **at_url(b"x")})
    unwanted([trial.card(source=FUNCTION)], trial.folder, trial.store)
    assert list(trial.folder.iterdir()) == []


# All of them


def test_what_no_card_asks_for_is_unwanted(trial) -> None:
    source = {**FUNCTION, "files": {"one": at_url(b"one")}}
    cards = [
        trial.card(source=source),
        trial.card(id="file", source={"kind": "file", **at_url(b"whole")}),
        trial.card(id="url", digest_of_content=None, source={"kind": "file", "url": "s3://bucket/unpinned"}),
        trial.card(id="beside"),
    ]
    trial.file.touch()
    wanted = [keep(trial.store, data) for data in (b"one", b"whole", b"unpinned")]
    trial.store.remember("s3://bucket/unpinned", {"sha256": sha256(b"unpinned"), "size": 8, "etag": None})
    wanted.append(make_built(trial, source=source))
    old = keep(trial.store, b"of a card that is gone")
    older = make_built(trial, source=source, version=7)
    half = older.with_name(f".{older.stem}-x1y2z3.h5ad")
    half.touch()
    broken_off = trial.store.partial("https://example.org/x", UNSEEN).data
    write_atomically(broken_off, b"a part")
    assert unwanted(cards, trial.folder, trial.store) == sorted([old, older, half, broken_off])
    assert unwanted([], trial.folder, trial.store) == sorted([*wanted, old, older, half, broken_off])
    assert trial.file not in unwanted([], trial.folder, trial.store)


def test_a_file_that_two_cards_ask_for_is_wanted_until_neither_does(trial) -> None:
    source = {"kind": "file", **at_url(b"shared")}
    path = keep(trial.store, b"shared")
    one, other = trial.card(id="one", source=source), trial.card(id="other", source=source)
    assert unwanted([one], trial.folder, trial.store) == unwanted([other], trial.folder, trial.store) == []
    assert unwanted([], trial.folder, trial.store) == [path]


def test_what_was_kept_goes_with_its_recipe(trial) -> None:
    recipe = trial.folder / "recipe.py"
    recipe.write_text("def make(): ...\n")
    source = {"kind": "function", "function": "recipe.py:make"}
    card = trial.card(source=source)
    path = make_built(trial, source=source)
    assert unwanted([card], trial.folder, trial.store) == []
    recipe.write_text("def make(): return 1\n")
    assert unwanted([card], trial.folder, trial.store) == [path]


def test_an_empty_store_holds_nothing(trial) -> None:
    assert built_files(trial.store) == unwanted([trial.card()], trial.folder, trial.store) == []


def test_locks_and_notes_are_not_counted_as_files(trial) -> None:
    trial.file.touch()
    with trial.store.lock("https://example.org/x", None):
        pass
    trial.store.remember("https://example.org/x", {"sha256": UNSEEN, "size": 1, "etag": None})
    assert unwanted([], trial.folder, trial.store) == []


def test_all_that_is_unwanted_can_be_removed_and_the_rest_still_loads(trial) -> None:
    (trial.folder / "recipe.py").write_text(
        "import anndata as ad, numpy as np, pandas as pd\n"
        "def make():\n"
        "    return ad.AnnData(np.eye(3, dtype='f4'), obs=pd.DataFrame({'type': list('aba')}, index=list('xyz')))\n"
    )
    source = {"kind": "function", "function": "recipe.py:make"}
    card = trial.pinned(source=source)
    load_dataset(card, trial.folder, trial.store)
    load_dataset(trial.pinned(source=source, version=2), trial.folder, trial.store)
    (old,) = unwanted([card], trial.folder, trial.store)
    old.unlink()
    (trial.folder / "recipe.py").rename(trial.folder / "gone.py")
    (kept,) = built_files(trial.store)
    (trial.folder / "gone.py").rename(trial.folder / "recipe.py")
    assert holding(card, trial.folder, trial.store).built == kept
    assert load_dataset(card, trial.folder, trial.store).n_cells == 3


@pytest.mark.parametrize(("sizes", "expected"), [([], 0), ([3], 3), ([3, 0, 4], 7), ([3, None], None), ([None], None)])
def test_the_size_of_several_files(sizes: list[int | None], expected: int | None) -> None:
    assert total_size(SourceFile(path="x", size=size) for size in sizes) == expected
