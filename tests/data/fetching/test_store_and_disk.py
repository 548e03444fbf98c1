"""What is in the store is whole; what the disk does not take is said, and leaves nothing half-written."""

from __future__ import annotations

import hashlib
import stat
from pathlib import Path

import pytest

from cellgauge.data.fetch import FetchError
from cellgauge.data.store import DamagedFile, FileStore


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def test_a_kept_file_cannot_be_written_to_by_accident(fetch, server, data) -> None:
    path = fetch(server.serve(data), data)
    assert stat.S_IMODE(path.stat().st_mode) == 0o444


def test_a_kept_file_that_was_changed_is_told_by_reading_it_again(fetch, server, data) -> None:
    path = fetch(server.serve(data), data)
    assert fetch.store.verify(digest(data)) == path
    path.chmod(0o644)
    path.write_bytes(data[1:])
    with pytest.raises(DamagedFile, match=rf"expected {digest(data)}, found {digest(data[1:])} \(700,000 bytes\)"):
        fetch.store.verify(digest(data))
    assert fetch.store.remove(digest(data)) == len(data) - 1
    with pytest.raises(DamagedFile, match="found none"):
        fetch.store.verify(digest(data))
    assert fetch.store.remove(digest(data)) == 0


def test_only_files_with_a_digest_for_a_name_count(store: FileStore) -> None:
    folder = store.files / "ab"
    folder.mkdir(parents=True)
    (folder / "README").write_text("not one")
    (folder / ("cd" + "0" * 62)).write_text("in the wrong folder")
    (folder / ("ab" + "0" * 62)).mkdir()
    (folder / ("ab" + "1" * 62)).write_text("one")
    assert store.blobs() == [folder / ("ab" + "1" * 62)]
    assert store.digest_of(folder / "README") is None


def test_a_store_that_nobody_used_is_empty(store: FileStore) -> None:
    assert (store.blobs(), store.partials(), store.remove_partials()) == ([], [], 0)
    assert store.find("sha256:" + "0" * 64) is None
    assert not store.folder.exists()


def test_a_full_disk_is_called_full(fetch, server, data) -> None:
    """Linux answers each write to /dev/full with ENOSPC, also for root."""
    url = server.serve(data)
    part = fetch.store.partial(url, digest(data)).data
    part.parent.mkdir(parents=True)
    part.symlink_to("/dev/full")
    with pytest.raises(FetchError, match=r"No space left on device. Make room, or set CELLGAUGE_CACHE") as caught:
        fetch(url, data)
    assert url in str(caught.value)
    assert fetch.store.blobs() == []


SMALL_FILES_ONLY = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))"
"""A limit on the size of files breaks a real write in the middle, also for root."""


def test_a_disk_that_takes_no_more_in_the_middle_is_said_and_gone_on_from(start, fetch, server, data) -> None:
    url = server.serve(data)
    process = start(url, data, SMALL_FILES_ONLY)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "cannot be kept at" in err
    assert "File too large" in err
    assert fetch.store.blobs() == []
    assert fetch(url, data).read_bytes() == data
    assert server.log[1].range is not None


def test_a_disk_that_takes_no_more_of_a_copy_keeps_nothing_of_it(
    start, store, server, data, monkeypatch, tmp_path
) -> None:
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror" / "x").write_bytes(data)
    monkeypatch.setenv("CELLGAUGE_MIRROR", str(tmp_path / "mirror"))
    process = start(server.serve(data), data, SMALL_FILES_ONLY)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "File too large" in err
    assert [*store.blobs(), *store.partials()] == []


def test_a_file_larger_than_the_disk_is_refused_before_it_comes(fetch, server) -> None:
    size = 1 << 60
    url = server.serve(b"x", headers={"Content-Length": str(size)})
    with pytest.raises(FetchError, match=rf"{size:,} bytes are still to come, but .* bytes free"):
        fetch(url, b"x")
    assert fetch.left == []


@pytest.mark.parametrize("where", ["a file", "/proc/no-such-place"])
def test_a_cache_that_cannot_be_a_folder_is_named(fetch, server, data, tmp_path, where) -> None:
    if where == "a file":
        where = str(tmp_path / "a file")
        Path(where).write_bytes(b"")
    fetch.store = FileStore(Path(where) / "cache")
    with pytest.raises(FetchError, match=rf"cannot be kept at {where}.*Set CELLGAUGE_CACHE"):
        fetch(server.serve(data), data)
    assert server.log == []
