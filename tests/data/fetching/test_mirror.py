"""Files on this machine are found by their digest, whatever they are called, before any network is asked."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from cellgauge.data.fetch import FetchError


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "mirror"
    folder.mkdir()
    monkeypatch.setenv("CELLGAUGE_MIRROR", str(folder))
    return folder


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that are read for their digest, in order."""
    names, really = [], hashlib.file_digest

    def note(file, kind):
        names.append(Path(file.name).name)
        return really(file, kind)

    monkeypatch.setattr(hashlib, "file_digest", note)
    return names


def test_a_file_is_found_whatever_its_name_without_a_network(fetch, mirror, nowhere, data) -> None:
    deep = mirror / "a" / "b"
    deep.mkdir(parents=True)
    (deep / "renamed (1).bin").write_bytes(data)
    (mirror / "other.h5ad").write_bytes(data[1:])
    path = fetch(f"{nowhere}/x.h5ad", data)
    assert path == fetch.store.find(digest(data))
    assert path.read_bytes() == data
    assert fetch.left == [path]


def test_the_store_does_not_need_the_mirror_any_more(fetch, mirror, nowhere, data) -> None:
    (mirror / "x").write_bytes(data)
    path = fetch(f"{nowhere}/x", data)
    (mirror / "x").unlink()
    mirror.rmdir()
    assert fetch(f"{nowhere}/x", data) == path


def test_the_source_is_not_asked_for_what_the_mirror_has(fetch, mirror, server, data) -> None:
    (mirror / "x").write_bytes(data)
    fetch(server.serve(data), data)
    assert server.log == []


@pytest.mark.parametrize("name", ["data.h5ad", "the digest"])
def test_wrong_bytes_are_not_taken_for_their_name_or_size(fetch, mirror, server, data, name) -> None:
    name = digest(data).removeprefix("sha256:") if name == "the digest" else name
    (mirror / name).write_bytes(bytes(len(data)))
    assert fetch(server.serve(data), data, size=len(data)).read_bytes() == data
    assert len(server.log) == 1


def test_wrong_bytes_and_no_network_says_both(fetch, mirror, nowhere, data) -> None:
    (mirror / "x").write_bytes(bytes(len(data)))
    with pytest.raises(FetchError) as caught:
        fetch(f"{nowhere}/x", data)
    assert "Connection refused" in str(caught.value)
    assert f"Nor is a file with {digest(data)} in CELLGAUGE_MIRROR ({mirror})" in str(caught.value)
    assert fetch.left == []


def test_only_files_of_the_right_size_are_read_and_each_once(fetch, mirror, nowhere, hashed, data) -> None:
    (mirror / "long").write_bytes(data + b"+")
    (mirror / "same size").write_bytes(bytes(len(data)))
    for _ in range(3):
        with pytest.raises(FetchError):
            fetch(f"{nowhere}/x", data, size=len(data))
    assert hashed == ["same size"]


def test_a_file_that_changed_is_read_again(fetch, mirror, nowhere, hashed, data) -> None:
    (mirror / "x").write_bytes(bytes(len(data)))
    with pytest.raises(FetchError):
        fetch(f"{nowhere}/x", data)
    (mirror / "x").write_bytes(data)
    os.utime(mirror / "x", (1, 1))
    assert fetch(f"{nowhere}/x", data).read_bytes() == data
    assert hashed == ["x", "x"]


def test_a_file_that_changes_while_it_is_read_is_not_taken(fetch, mirror, server, data, monkeypatch) -> None:
    (mirror / "x").write_bytes(data)
    really = hashlib.file_digest

    def change_after(file, kind):
        found = really(file, kind)
        (mirror / "x").write_bytes(data[1:])
        return found

    monkeypatch.setattr(hashlib, "file_digest", change_after)
    assert fetch(server.serve(data), data).read_bytes() == data
    assert len(server.log) == 1


def test_likely_names_are_read_first(fetch, mirror, nowhere, hashed, data) -> None:
    for name in ("0", "a.h5ad", "zz"):
        (mirror / name).write_bytes(bytes(3))
    (mirror / digest(data)[7:]).write_bytes(data)
    fetch(f"{nowhere}/a.h5ad", data)
    fetch.store.remove(digest(data))
    (mirror / digest(data)[7:]).rename(mirror / "zzz.h5ad")
    fetch(f"{nowhere}/zzz.h5ad", data)
    assert hashed == [digest(data)[7:], "zzz.h5ad"]


def test_another_machines_store_is_a_mirror(fetch, nowhere, server, data, monkeypatch, tmp_path) -> None:
    fetch(server.serve(data), data)
    monkeypatch.setenv("CELLGAUGE_MIRROR", str(fetch.store.folder))
    fetch.store = type(fetch.store)(tmp_path / "second")
    assert fetch(f"{nowhere}/x", data).read_bytes() == data


def test_several_mirrors_are_searched(fetch, mirror, nowhere, data, monkeypatch, tmp_path) -> None:
    second = tmp_path / "second"
    second.mkdir()
    (second / "x").write_bytes(data)
    monkeypatch.setenv("CELLGAUGE_MIRROR", f"{mirror}{os.pathsep}{second}")
    assert fetch(f"{nowhere}/x", data).read_bytes() == data


def test_links_to_files_are_followed_and_links_to_nowhere_are_passed_over(
    fetch, mirror, nowhere, data, tmp_path
) -> None:
    (tmp_path / "elsewhere").write_bytes(data)
    (mirror / "a").symlink_to(tmp_path / "nothing")
    (mirror / "b").symlink_to(tmp_path / "elsewhere")
    (mirror / "loop").symlink_to(mirror)
    os.mkfifo(mirror / "0 pipe")
    path = fetch(f"{nowhere}/x", data)
    assert path.read_bytes() == data
    assert not path.is_symlink()


@pytest.mark.parametrize("instead", ["a file", "nothing"])
def test_a_mirror_that_is_not_a_folder_is_named(fetch, server, data, monkeypatch, tmp_path, instead) -> None:
    place = tmp_path / "place"
    if instead == "a file":
        place.write_bytes(b"")
    monkeypatch.setenv("CELLGAUGE_MIRROR", str(place))
    with pytest.raises(FetchError, match=f"CELLGAUGE_MIRROR: expected a folder at {place}, found {instead}"):
        fetch(server.serve(data), data)
    assert server.log == []


def test_an_unpinned_file_cannot_be_known_by_its_digest(fetch, mirror, server, data) -> None:
    (mirror / "data.h5ad").write_bytes(b"something else of that name")
    assert fetch(server.serve(data)).read_bytes() == data


def test_a_broken_download_is_finished_from_the_mirror(fetch, mirror, server, data) -> None:
    url = server.serve(data, cuts=[300_000] + [0] * 9)
    with pytest.raises(FetchError):
        fetch(url, data)
    (mirror / "x").write_bytes(data)
    path = fetch(url, data)
    assert fetch.left == [path]
