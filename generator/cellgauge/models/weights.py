"""Weights of container models: fetched apart from running, kept by digest, handed over as one folder."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

from cellgauge.cards.canonical import digest
from cellgauge.cards.model import ContainerModel, ModelCard, WeightsFile
from cellgauge.cards.problems import UserError
from cellgauge.data.fetch import FetchError, Report, fetch_file, find_file
from cellgauge.data.store import FileStore, digest_of_file


class WeightsMissing(UserError):
    """Weights that a model needs are not on this machine, or nobody knows which are meant."""


def fetch_weights(
    card: ModelCard, card_folder: Path, store: FileStore, report: Report | None = None
) -> dict[str, Path]:
    """Fetch the weights that a card names, and return their paths by name.

    Raises
    ------
    FetchError
        When one cannot be had, or is not the one that the card means.
    """
    assert isinstance(card.obtain, ContainerModel)  # noqa: S101 (callers ask for containers)
    found = {one.name: fetch_file(one, card_folder, store, report) for one in card.obtain.weights}
    for one in card.obtain.weights:
        with found[one.name].open("rb") as file:
            if file.read(512).lstrip().lower().startswith((b"<!doctype html", b"<html")):
                raise FetchError(
                    f"{one.place}: expected the file {one.name}, found a web page; find the file's address"
                )
    return found


def weights_folder(card: ModelCard, card_folder: Path, store: FileStore) -> Path | None:
    """Return a folder with the weights of a model under their own names; None for a model without.

    Files of the store get a second name where the file system allows that; those beside the card are copied, since
    they may be changed.

    Raises
    ------
    WeightsMissing
        When the card names no digest for one, it has not been fetched, or is not the one that the card means.
    """
    assert isinstance(card.obtain, ContainerModel)  # noqa: S101
    files = card.obtain.weights
    if not files:
        return None
    if unpinned := card.obtain.unpinned_weights:
        raise WeightsMissing(f"nobody has opened {', '.join(unpinned)} with cellgauge yet: the card names no sha256")
    found = {one.name: find_file(one, card_folder, store) for one in files}
    if missing := [name for name, path in found.items() if path is None]:
        raise WeightsMissing(f"{', '.join(missing)} is not on this machine: cellgauge model fetch {card.id}")
    folder = store.folder / "weights" / _name(files)
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=folder.parent))
        try:
            for one in files:
                path, target = found[one.name], partial / one.name
                assert path is not None  # noqa: S101 (none is missing)
                target.parent.mkdir(parents=True, exist_ok=True)
                _put(path, target, store)
                if store.digest_of(path) is None and digest_of_file(target) != one.sha256:
                    raise WeightsMissing(f"{path}: the card expects {one.sha256}, found {digest_of_file(target)}")
            for made in (partial, *(each for each in partial.rglob("*") if each.is_dir())):
                made.chmod(0o755)  # whatever the umask is, since the container is another user
            with contextlib.suppress(OSError):  # another worker was faster
                partial.rename(folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return folder


def _name(files: list[WeightsFile]) -> str:
    return digest({one.name: one.sha256 for one in files}).removeprefix("sha256:")


def _put(path: Path, target: Path, store: FileStore) -> None:
    if store.digest_of(path) is not None:
        with contextlib.suppress(OSError):  # another file system
            os.link(path, target)
            return
    shutil.copyfile(path, target)
    target.chmod(0o444)
