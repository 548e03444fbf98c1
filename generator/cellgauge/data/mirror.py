"""Files that somebody has put on this machine: known by their digests, whatever their names are."""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from cellgauge.cards.dataset import SourceFile
from cellgauge.data.download import need_space
from cellgauge.data.remote import SECONDS_BETWEEN_REPORTS, FetchError, Progress, Report
from cellgauge.data.store import FileStore, digest_of_file


def mirrors() -> list[Path]:
    """Return the folders of ``CELLGAUGE_MIRROR``; ``FetchError`` if one is not there."""
    named = os.environ.get("CELLGAUGE_MIRROR", "").split(os.pathsep)
    folders = [Path(name).expanduser() for name in named if name.strip()]
    for folder in folders:
        if not folder.is_dir():
            found = "a file" if folder.exists() else "nothing"
            raise FetchError(f"CELLGAUGE_MIRROR: expected a folder at {folder}, found {found}. Correct or unset it.")
    return folders


def from_mirror(file: SourceFile, url: str, folder: Path, store: FileStore, tell: Report) -> Path | None:
    """Copy the file with the right digest into the store, if the mirror has it."""
    digits = (file.sha256 or "").removeprefix("sha256:")
    basename = url.rsplit("/", 1)[-1]
    candidates = [path for path, size in _files_below(folder) if file.size in (None, size)]
    # Likely names first: with luck nothing else has to be read.
    candidates.sort(key=lambda path: (digits not in path.name, path.name != basename, path))
    for candidate in candidates:
        try:
            if digest_of_file(candidate) != file.sha256:
                continue
            source = candidate.open("rb")
        except OSError:  # of somebody else, or gone meanwhile
            continue
        with source:
            if path := _copy(source, file, url, store, tell):
                return path
    return None


def _files_below(folder: Path) -> Iterator[tuple[Path, int]]:
    """Yield path and size of each file; links to files are followed, links to folders are not."""
    for parent, _, names in os.walk(folder):
        for path in (Path(parent, name) for name in names):
            try:
                state = path.stat()
            except OSError:  # a link to nowhere
                continue
            if stat.S_ISREG(state.st_mode):
                yield path, state.st_size


def _copy(source: BinaryIO, file: SourceFile, url: str, store: FileStore, tell: Report) -> Path | None:
    """Copy into the store what has the right digest while it is copied; a mirror may be written to meanwhile."""
    partial = store.partial(url, file.sha256)
    partial.data.parent.mkdir(parents=True, exist_ok=True)
    total = os.fstat(source.fileno()).st_size
    need_space(partial.data.parent, total, url)
    partial.remove()
    seen, done, told = hashlib.sha256(), 0, time.monotonic()
    try:
        with partial.data.open("wb") as copy:
            while block := _read(source, url):
                copy.write(block)
                seen.update(block)
                done += len(block)
                if time.monotonic() - told >= SECONDS_BETWEEN_REPORTS:
                    told = time.monotonic()
                    tell(Progress(url, "copying", done, total, f"from {source.name}"))
        if f"sha256:{seen.hexdigest()}" == file.sha256:
            return store.place(partial.data, file.sha256)
    finally:
        partial.remove()
    return None


def _read(source: BinaryIO, url: str) -> bytes:
    try:
        return source.read(1 << 20)
    except OSError as error:
        raise FetchError(f"{url}: its copy {source.name} cannot be read: {error.strerror}") from None
