"""A folder that a site is published to, such as the working tree of a branch that a host serves."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from filelock import FileLock

from cellgauge.cards.problems import UserError
from cellgauge.publish.delivery import Delivery
from cellgauge.publish.destination import Stored
from cellgauge.results.store import is_temporary, write_atomically, written_beside

_LOCK = ".cellgauge-publish.lock"


class Folder:
    """Files appear whole or not at all; one that is there is never overwritten unless that is asked for."""

    def __init__(self, path: Path) -> None:
        self.name, self.folder = str(path), path
        self._began = 0.0
        """When, by the clock of the disk."""
        there = next(one for one in (path, *path.parents) if one.exists())
        if not there.is_dir():
            raise UserError(f"{there}: is a file; name a folder for the site")

    def probe(self) -> None:
        """See ``Destination``: whether a file can have a second name, which is how none is overwritten."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with written_beside(self.folder / "probe", b"") as new:
                self._began = new.stat().st_mtime
                os.link(new, other := new.with_suffix(".second.tmp"))
                other.unlink()
        except OSError as error:
            raise UserError(f"{self.name}: cannot be written to as it must be: {error.strerror}") from None

    def read(self, key: str) -> Stored | None:
        """See ``Destination``."""
        try:
            data = (self.folder / key).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return Stored(data, hashlib.sha256(data).hexdigest())

    def keys(self, prefix: str) -> list[str]:
        """See ``Destination``; a file in the place of a folder is one of them."""
        folder = self.folder / prefix
        found = [folder] if folder.is_file() else (path for path in folder.rglob("*") if not path.is_dir())
        return sorted(path.relative_to(self.folder).as_posix() for path in found if not is_temporary(path.name))

    def create(self, key: str, delivery: Delivery) -> bool:
        """See ``Destination``."""
        path = self.folder / key
        with written_beside(path, delivery.plain()) as new:
            try:
                os.link(new, path)
            except FileExistsError:
                return False
        return True

    def replace(self, key: str, delivery: Delivery, tag: str | None) -> bool:
        """See ``Destination``."""
        # It stays: whoever removes a lock may take it from others. The folder above need not be writable.
        with FileLock(self.folder / _LOCK):
            found = self.read(key)
            if (found and found.tag) != tag:
                return False
            self.put(key, delivery)
        return True

    def put(self, key: str, delivery: Delivery) -> None:
        """See ``Destination``."""
        write_atomically(self.folder / key, delivery.plain())

    def sweep(self, folders: Iterable[str]) -> None:
        """See ``Destination``: a file that is older than the probe is written by nobody any more."""
        below = (path for one in folders for path in (self.folder / one).rglob(".*.tmp"))
        for path in (*self.folder.glob(".*.tmp"), *below):
            with suppress(FileNotFoundError):  # another publisher who is at work has just finished it
                if is_temporary(path.name) and path.stat().st_mtime < self._began:
                    path.unlink()

    def differing(self, prefix: str, files: Mapping[str, Delivery], seen: Callable[[int], None]) -> dict[str, bool]:
        """See ``Destination``."""
        found = {}
        for key, delivery in files.items():
            there = self.read(key)
            if there is None or there.data != delivery.plain():
                found[key] = there is not None
            seen(1)
        return found
