"""Obtaining an original file: from the store, from a local mirror, or from where the card says."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import Timeout

from cellgauge.cards.dataset import SourceFile
from cellgauge.data.download import download
from cellgauge.data.mirror import from_mirror, mirrors
from cellgauge.data.remote import FetchError, Patience, Progress, Remote, Report
from cellgauge.data.store import FileStore, digest_of_file

__all__ = ["FetchError", "Patience", "Progress", "Report", "fetch_file", "find_file"]


def fetch_file(
    file: SourceFile,
    card_folder: Path,
    store: FileStore,
    report: Report | None = None,
    patience: Patience | None = None,
) -> Path:
    """Return the path of a file's bytes, verified.

    In this order: the path beside the card, which is used where it lies; the store; the folders of
    ``CELLGAUGE_MIRROR`` (several are joined as in ``PATH``), where a file is known by its digest,
    whatever its name; the URL. What is in the store is never asked for again, so that a machine without network
    goes on working.

    Parameters
    ----------
    report
        Called with what is going on, several times a second during a download.
    patience
        Time-outs and retries of a download.

    Returns
    -------
    Path
        Read it, never write to it. For a file without sha256, ``store.digest_of(path)`` is the digest that was
        found, to be written into the card.

    Raises
    ------
    FetchError
        When the file cannot be had, is not the one that the card means, or cannot be kept.
    """
    tell = report or _silence
    if file.url is None:
        path = _beside_card(file, card_folder)
        tell(Progress(file.place, "done", path.stat().st_size, path.stat().st_size, sha256=file.sha256))
        return path
    with _disk_errors(file.url, store):
        path = _kept(file, file.url, store) or _obtain(file, file.url, store, tell, patience or Patience())
        size = path.stat().st_size
    tell(Progress(file.url, "done", size, size, sha256=store.digest_of(path)))
    return path


def find_file(file: SourceFile, card_folder: Path, store: FileStore) -> Path | None:
    """Return the path of a file that is on this machine already; nothing is read, and no mirror is searched."""
    if file.url is not None:
        return _kept(file, file.url, store)
    path = card_folder / file.place
    return path if path.is_file() else None


def _beside_card(file: SourceFile, card_folder: Path) -> Path:
    path = card_folder / file.place
    try:
        if not path.is_file():
            instead = "a folder" if path.is_dir() else "nothing"
            raise FetchError(f"{path}: the card expects a file there, found {instead}. Correct the path in the card.")
        size = path.stat().st_size
        if file.size not in (None, size):
            raise FetchError(f"{path}: the card expects {file.size:,} bytes, found {size:,}.")
        found = digest_of_file(path) if file.sha256 else None
    except OSError as error:
        raise FetchError(f"{path}: cannot be read: {error.strerror}") from None
    if found != file.sha256:
        raise FetchError(
            f"{path}: the card expects {file.sha256}, found {found} of {size:,} bytes. Restore the file; if it was "
            "changed on purpose, write the new digest into the card."
        )
    return path


def _kept(file: SourceFile, url: str, store: FileStore) -> Path | None:
    """Return the file if it is in the store; one without digest, if its URL was fetched before."""
    if file.sha256 is not None:
        return store.find(file.sha256)
    noted = store.remembered(url)
    if not noted or file.size not in (None, noted.get("size")):
        return None
    if file.etag and noted.get("etag") and file.etag.strip('"') != str(noted["etag"]).strip('"'):
        return None
    return store.find(noted["sha256"])


def _obtain(file: SourceFile, url: str, store: FileStore, tell: Report, patience: Patience) -> Path:
    with _alone(file, url, store, tell):
        # Another process may have fetched it while this one waited.
        if path := _kept(file, url, store):
            return path
        folders = mirrors() if file.sha256 else []
        for folder in folders:
            tell(Progress(url, "searching", note=f"for {file.sha256} in {folder}"))
            if path := from_mirror(file, url, folder, store, tell):
                return path
        try:
            return _from_source(file, url, store, tell, patience)
        except FetchError as error:
            if not folders:
                raise
            searched = ", ".join(map(str, folders))
            raise FetchError(f"{error} Nor is a file with {file.sha256} in CELLGAUGE_MIRROR ({searched}).") from None


@contextmanager
def _alone(file: SourceFile, url: str, store: FileStore, tell: Report) -> Iterator[None]:
    """Hold the file's lock."""
    try:
        lock = store.lock(url, file.sha256)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            tell(Progress(url, "waiting", note="another process is fetching this file"))
            lock.acquire()
    except NotImplementedError:
        raise FetchError(
            f"{store.files}: this file system has no locks. Set CELLGAUGE_CACHE to a folder on another one."
        ) from None
    try:
        yield
    finally:
        lock.release()


def _from_source(file: SourceFile, url: str, store: FileStore, tell: Report, patience: Patience) -> Path:
    partial = store.partial(url, file.sha256)
    received = download(file, _remote(url, patience), partial, tell, patience)
    path = store.place(partial.data, received.sha256)
    partial.remove()
    if file.sha256 is None:
        store.remember(url, {"sha256": received.sha256, "size": received.size, "etag": received.etag})
    return path


def _remote(url: str, patience: Patience) -> Remote:
    if url.startswith("s3://"):
        from cellgauge.data.s3 import S3Remote

        return S3Remote(url, patience)
    from cellgauge.data.http import HttpRemote

    return HttpRemote(url, patience)


@contextmanager
def _disk_errors(url: str, store: FileStore) -> Iterator[None]:
    """Say what the disk does not do. Errors of the network never come as ``OSError`` up to here."""
    try:
        yield
    except BrokenPipeError:  # of whoever is told the progress
        raise
    except OSError as error:
        full = error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))
        advice = "Make room, or set" if full else "Set"
        raise FetchError(
            f"{url}: cannot be kept at {error.filename or store.files}: {error.strerror or error}. "
            f"{advice} CELLGAUGE_CACHE to a folder that takes it."
        ) from None


def _silence(_: Progress) -> None:
    pass
