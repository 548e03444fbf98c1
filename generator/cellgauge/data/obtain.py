"""Obtaining a dataset: its original files, what a recipe makes of them, and where both are kept."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import anndata as ad
from scipy import sparse

from cellgauge.cards.canonical import digest
from cellgauge.cards.dataset import DatasetCard, FileSource, FunctionSource, ReportedSource
from cellgauge.cards.function import code_digest, load_function
from cellgauge.cards.problems import UserError
from cellgauge.data.contents import Contents, from_anndata, open_h5ad
from cellgauge.data.download import need_space
from cellgauge.data.fetch import Report, fetch_file
from cellgauge.data.store import FileStore


class InvalidDatasetError(UserError):
    """A dataset that is not what its card says, with every problem found."""

    def __init__(self, dataset: str, problems: list[str]) -> None:
        super().__init__(dataset, problems)  # what it needs to be made again in another process
        self.dataset, self.problems = dataset, problems

    def __str__(self) -> str:
        return f"dataset {self.dataset}: " + "; ".join(self.problems)


@dataclass(frozen=True)
class Obtained:
    """What a source gave."""

    contents: Contents
    made: ad.AnnData | None = None
    """What a function has just made, and nobody has checked yet."""
    built_before: bool = False
    """Whether this is what a function made earlier, kept as a file."""


def fetch_files(card: DatasetCard, card_path: Path, store: FileStore, report: Report | None = None) -> dict[str, Path]:
    """Bring all original files of a dataset onto this machine; return each by its name in the card.

    Raises
    ------
    FetchError
        When one cannot be had, or is not what the card says.
    """
    return {name: fetch_file(one, card_path.parent, store, report) for name, one in card.files.items()}


def obtain(card: DatasetCard, card_path: Path, store: FileStore) -> Obtained:
    """Return what a card's source holds, unchecked. Files that are not here yet are fetched.

    Raises
    ------
    FetchError
        When a file cannot be had, or is not what the card says.
    InvalidDatasetError
        When it cannot be read, or a function returns no AnnData.
    """
    if isinstance(card.source, ReportedSource):
        raise InvalidDatasetError(
            card.id, ["others used these cells and reported scores; nothing can be obtained here"]
        )
    if isinstance(card.source, FileSource):
        path = fetch_files(card, card_path, store)["data"]
        return Obtained(_opened(card, path, card.source.place))
    kept = built_path(card, card_path, store)
    if kept is not None and kept.is_file():
        with suppress(UserError):
            return Obtained(open_h5ad(kept, card.matrix), built_before=True)
    function = load_function(card.source.function, card_path)
    files = fetch_files(card, card_path, store)
    made = function(files, **card.source.params) if card.source.files else function(**card.source.params)
    if not isinstance(made, ad.AnnData):
        found = type(made).__name__
        raise InvalidDatasetError(card.id, [f"{card.source.function} must return an AnnData, it returned a {found}"])
    return Obtained(from_anndata(made, card.matrix), made=made)


def built_path(card: DatasetCard, card_path: Path, store: FileStore) -> Path | None:
    """Return where the AnnData that a function makes is kept; ``None`` for other sources and unpinned cards.

    The name follows from all that decides what is made, so that a changed recipe makes it anew.
    """
    source = card.source
    if not isinstance(source, FunctionSource) or not card.pinned:
        return None
    key = digest(
        {
            "source": source.model_dump(mode="json", include={"function", "params"}),
            "files": {name: one.sha256 for name, one in source.files.items()},
            "code": code_digest(source.function, card_path),
            "version": card.version,
            "content": card.digest_of_content,
        }
    )
    return store.folder / "built" / f"{card.id}-{key.removeprefix('sha256:')[:16]}.h5ad"


def keep_built(card: DatasetCard, card_path: Path, store: FileStore, made: ad.AnnData) -> None:
    """Keep what a function made, once it has been checked: whole, or not at all."""
    path = built_path(card, card_path, store)
    if path is None:
        return
    # A function may return what .h5ad cannot hold, for which anndata raises whatever it likes; then it is made anew
    # each time. A disk without room is refused before: HDF5 may take the process down with it.
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        need_space(path.parent, _most_bytes(made), f"dataset {card.id}")
    with suppress(Exception):
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=".h5ad")
        os.close(handle)
        temporary = Path(name)
        try:
            made.write_h5ad(temporary, compression="gzip")
            temporary.chmod(0o644)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def _most_bytes(made: ad.AnnData) -> int:
    """Return more than an AnnData's file will need: its matrices uncompressed, and room for the rest."""
    matrices = [one for one in (made.X, *made.layers.values()) if one is not None]
    numbers = sum(int(one.nnz * 16 if sparse.issparse(one) else one.nbytes) for one in matrices)
    return numbers + int(made.n_obs) * 200 + 2**20


def discard_built(card: DatasetCard, card_path: Path, store: FileStore) -> None:
    """Forget what was kept."""
    path = built_path(card, card_path, store)
    if path is not None:
        path.unlink(missing_ok=True)


def _opened(card: DatasetCard, path: Path, place: str) -> Contents:
    try:
        return open_h5ad(path, card.matrix)
    except UserError as error:
        raise InvalidDatasetError(card.id, [f"{place}: {error}"]) from None
