"""A file that lies beside its card is used where it lies, if it is the one that the card means."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from cellgauge.cards.dataset import SourceFile
from cellgauge.data.fetch import FetchError, fetch_file, find_file


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def test_the_file_beside_the_card_is_used_where_it_lies(tmp_path: Path, store, data) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "x.h5ad").write_bytes(data)
    file = SourceFile(path="sub/x.h5ad", sha256=digest(data), size=len(data))
    assert fetch_file(file, tmp_path, store) == tmp_path / "sub" / "x.h5ad" == find_file(file, tmp_path, store)
    assert not store.folder.exists()


@pytest.mark.parametrize(
    ("card", "said"),
    [
        ({"path": "x", "sha256": "sha256:" + "0" * 64}, "the card expects sha256:000"),
        ({"path": "x", "size": 3}, "the card expects 3 bytes, found 5"),
        ({"path": "y"}, "found nothing"),
        ({"path": "."}, "found a folder"),
    ],
)
def test_a_wrong_file_beside_the_card_is_refused(tmp_path: Path, store, card, said) -> None:
    (tmp_path / "x").write_bytes(b"12345")
    with pytest.raises(FetchError, match=said):
        fetch_file(SourceFile(**card), tmp_path, store)
