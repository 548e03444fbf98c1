"""Processes that fetch one file at one time, and processes that are killed while they do."""

from __future__ import annotations

import re
import signal
import time

import pytest

TIMEOUT = 60


def arrived(store) -> int:
    """Bytes of the one download that is under way."""
    return sum(path.stat().st_size for path in store.partials() if path.suffix == ".part")


def wait_for(n_bytes: int, store) -> None:
    until = time.monotonic() + TIMEOUT
    while arrived(store) < n_bytes:
        assert time.monotonic() < until, "the download does not go on"
        time.sleep(0.005)


def ends_well(process) -> str:
    out, err = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 0, err
    return out.strip()


@pytest.mark.parametrize(("n_processes", "pinned"), [(6, True), (2, False)])
def test_processes_at_one_time_cause_one_download(start, store, server, data, n_processes, pinned) -> None:
    url = server.serve(data, pause=0.02)
    processes = [start(url, data if pinned else None) for _ in range(n_processes)]
    paths = {ends_well(process) for process in processes}
    assert paths == {str(path) for path in store.blobs()}
    assert store.blobs()[0].read_bytes() == data
    assert len(server.log) == 1


def test_two_urls_of_one_digest_cause_one_download(start, store, server, data) -> None:
    urls = [server.serve(data, path, pause=0.02) for path in ("/a", "/b")]
    processes = [start(url, data) for url in urls]
    assert {ends_well(process) for process in processes} == {str(store.blobs()[0])}
    assert len(server.log) == 1


@pytest.mark.kill
def test_a_killed_download_is_gone_on_with_by_a_new_process(start, store, server, data) -> None:
    url = server.serve(data, before=lambda served: setattr(served, "pause", 0.0 if len(server.log) > 1 else 0.02))
    first = start(url, data)
    wait_for(200_000, store)
    first.send_signal(signal.SIGKILL)
    assert first.wait(TIMEOUT) == -signal.SIGKILL
    assert store.blobs() == []
    kept = arrived(store)
    assert 200_000 <= kept < len(data)
    ends_well(start(url, data))
    assert store.blobs()[0].read_bytes() == data
    assert [one.range for one in server.log] == [None, f"bytes={kept}-"]
    assert server.log[1].sent == len(data) - kept, "only the rest was sent"
    assert server.log[1].headers["if-range"] == '"v1"'
    assert store.partials() == []


@pytest.mark.kill
def test_a_killed_download_from_s3_is_gone_on_with_by_a_new_process(start, store, bucket, data) -> None:
    url = bucket.put("x", data, public=True)
    bucket.wire.pause = 0.05
    first = start(url, data)
    wait_for(200_000, store)
    first.send_signal(signal.SIGKILL)
    assert first.wait(TIMEOUT) == -signal.SIGKILL
    assert store.blobs() == []
    kept = arrived(store)
    bucket.wire.pause = 0.0
    ends_well(start(url, data))
    assert store.blobs()[0].read_bytes() == data
    assert len(bucket.wire.gets) == 2
    assert re.search(rf"\r\nrange: bytes={kept}-\r\n", bucket.wire.gets[1], re.IGNORECASE)
    assert re.search(r"\r\nif-match: ", bucket.wire.gets[1], re.IGNORECASE)


@pytest.mark.kill
def test_the_process_that_waited_for_a_killed_one_goes_on_with_its_bytes(start, store, server, data) -> None:
    url = server.serve(data, before=lambda served: setattr(served, "pause", 0.0 if len(server.log) > 1 else 0.02))
    first = start(url, data)
    wait_for(100_000, store)
    second = start(url, data)
    wait_for(300_000, store)
    first.kill()
    ends_well(second)
    assert store.blobs()[0].read_bytes() == data
    assert int(server.log[1].range[6:-1]) >= 300_000


KILLED_BEFORE = """
import os, signal
touched = 0
def count(event, args):
    global touched
    if event in ("open", "os.mkdir", "os.rename", "os.chmod", "os.remove") and str(store.folder) in str(args[:2]):
        touched += 1
        if touched == {nth}:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(count)
"""


@pytest.mark.kill
@pytest.mark.slow
@pytest.mark.parametrize("pinned", [True, False])
def test_killed_before_any_step_on_the_disk_nothing_half_written_has_a_name(
    start, fetch, store, server, data, pinned
) -> None:
    """The first run is killed before its first touch of the disk, the next before its second, until one ends."""
    data = data[:200_000]
    url = server.serve(data)
    asked = data if pinned else None
    for nth in range(1, 200):
        process = start(url, asked, KILLED_BEFORE.format(nth=nth))
        process.communicate(timeout=TIMEOUT)
        assert [path.read_bytes() for path in store.blobs()] in ([], [data])
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL
        assert fetch(url, asked).read_bytes() == data
        for path in [*store.blobs(), *store.files.glob("unpinned/*")]:
            path.unlink()
    assert nth > 10, "it was killed at many places before it came to its end"
    store.remove_partials()
    assert store.partials() == []


@pytest.mark.kill
def test_clearing_up_spares_what_is_being_fetched(start, store, server, data) -> None:
    url = server.serve(data, pause=0.02)
    process = start(url, data)
    wait_for(50_000, store)
    left_by_another = store.partial("http://example.org/x", None)
    left_by_another.data.write_bytes(b"123")
    assert store.remove_partials() == 3
    ends_well(process)
    assert store.blobs()[0].read_bytes() == data
    assert store.partials() == []
