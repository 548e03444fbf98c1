"""Wherever connections break and whatever a server does about parts: the right bytes, or an error and no file."""

from __future__ import annotations

import dataclasses
import hashlib
import random
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cellgauge.cards.dataset import SourceFile
from cellgauge.data import http, s3
from cellgauge.data.fetch import FetchError, fetch_file
from cellgauge.data.store import FileStore

SIZE = 5_000
VERSIONS = [random.Random(seed).randbytes(SIZE) for seed in (1, 2)]

servers = st.fixed_dictionaries(
    {
        "etag": st.sampled_from(['"v1"', 'W/"v1"', None]),
        "ranges": st.booleans(),
        "conditions": st.booleans(),
        "length": st.sampled_from(["said", "chunked", "not said"]),
        "piece": st.integers(1, 2 * SIZE),
    }
)
cuts = st.lists(st.integers(0, SIZE), max_size=12)


@pytest.fixture(scope="module")
def impatient():
    from cellgauge.data.fetch import Patience

    return Patience(retries=2, retries_unreached=2, first_wait=0, longest_wait=0, connect=5, read=5)


@pytest.mark.parametrize("scheme", ["http", pytest.param("s3", marks=[pytest.mark.fuzz, pytest.mark.slow])])
@settings(max_examples=40)
@given(
    how=servers,
    cuts=cuts,
    chunk=st.integers(1, SIZE),
    pinned=st.booleans(),
    replaced_at=st.none() | st.integers(1, 6),
    new_etag=st.booleans(),
    runs=st.integers(1, 4),
)
def test_the_right_bytes_or_an_error(
    file_server, impatient, scheme, how, cuts, chunk, pinned, replaced_at, new_etag, runs
) -> None:
    """Several runs on one store, a source that may be replaced between or during them, parts of any size."""
    file_server.log.clear()

    def replace(served) -> None:
        if len(file_server.log) == replaced_at:
            served.data = VERSIONS[1]
            served.etag = '"v2"' if served.etag and new_etag else served.etag

    length = how["length"]
    sent = {"says_length": length == "said", "chunked": length == "chunked"}
    sent |= {name: how[name] for name in ("etag", "ranges", "conditions", "piece")}
    url = file_server.serve(VERSIONS[0], "/bucket/x", cuts=list(cuts), before=replace, **sent)
    honest = how["etag"] != '"v1"' or new_etag  # a strong ETag that stays while the bytes change is a lie
    mean = VERSIONS[0] if replaced_at is None else VERSIONS[1]
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(http, "CHUNK", chunk)
        patch.setattr(s3, "CHUNK", chunk)
        patch.setenv("AWS_ENDPOINT_URL", file_server.url)
        store = FileStore(Path(folder))
        file = SourceFile(
            url=url if scheme == "http" else "s3://bucket/x",
            sha256="sha256:" + hashlib.sha256(mean).hexdigest() if pinned else None,
        )
        for _ in range(runs):
            try:
                path = fetch_file(file, Path(folder), store, None, impatient)
            except FetchError:
                assert store.blobs() == []
                continue
            assert store.verify(store.digest_of(path)) == path
            if pinned:
                assert path.read_bytes() == mean
            elif honest:
                assert path.read_bytes() in VERSIONS
            assert store.partials() == []
            break


@settings(max_examples=20)
@given(cuts=cuts, chunk=st.integers(1, SIZE), piece=st.integers(1, SIZE))
def test_with_parts_and_patience_it_always_arrives(file_server, impatient, cuts, chunk, piece) -> None:
    url = file_server.serve(VERSIONS[0], cuts=list(cuts), piece=piece)
    file = SourceFile(url=url, sha256="sha256:" + hashlib.sha256(VERSIONS[0]).hexdigest())
    patience = dataclasses.replace(impatient, retries=len(cuts))
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(http, "CHUNK", chunk)
        path = fetch_file(file, Path(folder), FileStore(Path(folder)), None, patience)
        assert path.read_bytes() == VERSIONS[0]
