"""Original files on disk, addressed by their sha256 and shared between releases."""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import platformdirs
from filelock import FileLock, Timeout

from cellgauge.cards.canonical import digest
from cellgauge.cards.problems import UserError
from cellgauge.results.store import write_atomically

_HEX = re.compile(r"[0-9a-f]{64}")


def cache_folder() -> Path:
    """Return the folder for what can be made again: ``$CELLGAUGE_CACHE``, or the user's cache."""
    chosen = os.environ.get("CELLGAUGE_CACHE")
    return Path(chosen).resolve() if chosen else platformdirs.user_cache_path("cellgauge")


def digest_of_file(path: Path) -> str:
    """Return ``sha256:<hex>`` of a file's bytes, read once for each state the file has in this process's life."""
    state = path.stat()
    return _digest(path, state.st_size, state.st_mtime_ns, state.st_ino)


@cache
def _digest(path: Path, _size: int, _mtime: int, _inode: int) -> str:
    return _sha256(path)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()


class DamagedFile(UserError):
    """A kept file whose bytes are no longer those that its name says."""


@dataclass(frozen=True)
class Partial:
    """A file that is not whole yet: its bytes so far, and beside them a note of what they are bytes of."""

    data: Path
    note: Path

    def read_note(self) -> dict[str, Any]:
        """Return what was noted; nothing, if there is no note that can be read."""
        return _read_json(self.note)

    def write_note(self, noted: dict[str, Any]) -> None:
        """Note what the bytes are of."""
        write_atomically(self.note, _to_json(noted))

    def remove(self) -> None:
        """Remove bytes and note."""
        self.data.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)


@dataclass(frozen=True)
class FileStore:
    """Files by digest, as ``folder/files/<ab>/<hex>``.

    A file gets that name only once it is whole, verified and on the disk, so that what has the name can
    be used by anybody without a lock, whatever was killed before.
    """

    folder: Path

    @property
    def files(self) -> Path:
        """Where files lie."""
        return self.folder / "files"

    def path(self, sha256: str) -> Path:
        """Return where the file with this ``sha256:<hex>`` lies, or will lie."""
        digits = sha256.removeprefix("sha256:")
        return self.files / digits[:2] / digits

    def digest_of(self, path: Path) -> str | None:
        """Return the digest that a path inside the store stands for; None for any other path."""
        named = f"sha256:{path.name}"
        return named if _HEX.fullmatch(path.name) and path == self.path(named) else None

    def find(self, sha256: str) -> Path | None:
        """Return the path of the file with this digest, if it is here."""
        path = self.path(sha256)
        return path if path.is_file() else None

    def place(self, temporary: Path, sha256: str) -> Path:
        """Give a verified file of ``partial/`` its final name, all at once, and make it read-only.

        Raises
        ------
        OSError
            When the disk does not take it; then there is no such name.
        """
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        path = self.path(sha256)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.replace(path)
        path.chmod(0o444)
        _flush_folder(path.parent)
        return path

    def verify(self, sha256: str) -> Path:
        """Read a kept file again and return its path.

        Raises
        ------
        DamagedFile
            When it is not here, or its bytes have another digest.
        """
        path = self.find(sha256)
        if path is None:
            raise DamagedFile(f"{self.path(sha256)}: expected a file with {sha256}, found none. Fetch it again.")
        found = _sha256(path)
        if found != sha256:
            raise DamagedFile(
                f"expected {sha256}, found {found} ({path.stat().st_size:,} bytes) at {path}. "
                "The file was changed or the disk damaged it; delete it and fetch it again."
            )
        return path

    def blobs(self) -> list[Path]:
        """Return all whole files, in the order of their digests."""
        return sorted(path for path in self.files.glob("??/*") if self.digest_of(path) and path.is_file())

    def remove(self, sha256: str) -> int:
        """Remove a file, if it is here; return how many bytes that frees."""
        path = self.find(sha256)
        if path is None:
            return 0
        size = path.stat().st_size
        path.unlink(missing_ok=True)
        return size

    def partial(self, url: str, sha256: str | None) -> Partial:
        """Return the place of what has arrived of a file; its name begins with that of the file's lock."""
        name = f"{_lock_name(url, sha256)}.{_hex_of([url, sha256])[:16]}"
        folder = self.files / "partial"
        return Partial(folder / f"{name}.part", folder / f"{name}.json")

    def partials(self) -> list[Path]:
        """Return the files that are not whole, and what killed processes left beside them."""
        left = [*self.files.glob("partial/*"), *self.files.glob("unpinned/.*.tmp")]
        return sorted(path for path in left if path.is_file())

    def remove_partials(self) -> int:
        """Remove what is not whole, but for files that are being fetched; return how many bytes that frees."""
        freed = 0
        for path in self.partials():
            name = path.name.lstrip(".").split(".")[0]
            try:
                with self._lock(name).acquire(blocking=False):
                    freed += path.stat().st_size
                    path.unlink()
            except (Timeout, FileNotFoundError):
                continue
        return freed

    def lock(self, url: str, sha256: str | None) -> FileLock:
        """Return the lock that one holds while obtaining a file: of the digest if it is known, else of the URL."""
        return self._lock(_lock_name(url, sha256))

    def remember(self, url: str, noted: dict[str, Any]) -> None:
        """Note what a URL without a digest gave: ``sha256``, ``size`` and ``etag``."""
        write_atomically(self._memory(url), _to_json({**noted, "url": url}))

    def remembered(self, url: str) -> dict[str, Any]:
        """Return what was noted of a URL; nothing, if it was never fetched."""
        noted = _read_json(self._memory(url))
        known = noted.get("url") == url and _HEX.fullmatch(str(noted.get("sha256")).removeprefix("sha256:"))
        return noted if known else {}

    def _memory(self, url: str) -> Path:
        return self.files / "unpinned" / f"{_hex_of(url)}.json"

    def _lock(self, name: str) -> FileLock:
        folder = self.files / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        return FileLock(folder / f"{name}.lock")


def _lock_name(url: str, sha256: str | None) -> str:
    return sha256.removeprefix("sha256:") if sha256 else _hex_of(url)


def _hex_of(value: Any) -> str:
    return digest(value).removeprefix("sha256:")


def _to_json(noted: dict[str, Any]) -> bytes:
    return (json.dumps(noted, indent=2, sort_keys=True) + "\n").encode()


def _read_json(path: Path) -> dict[str, Any]:
    try:
        noted = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return noted if isinstance(noted, dict) else {}


def _flush_folder(folder: Path) -> None:
    """Make a new name survive a power cut, where folders can be opened."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
