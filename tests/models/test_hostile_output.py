"""Whatever a container writes is read, or refused in words: nothing crashes, waits, is unpickled or followed."""

from __future__ import annotations

import json
import os
import pickle
import re
import shutil
import socket
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cellgauge.models import contract
from cellgauge.models.contract import parse_prediction, read_embedding, read_prediction, read_response, reason_of
from cellgauge.models.embedding import InvalidOutputError, accept_embedding
from cellgauge.models.prediction import accept_prediction

CELLS = np.array(["c0", "c1", "c2", "c3"])
IDS = CELLS.tolist()
GOOD = np.arange(8, dtype=np.float32).reshape(4, 2)
PERTURBATIONS, GENES = ["p0", "p1", "p2"], ["g0", "g1", "g2", "g3", "g4"]
LINKED = ["absolute", "relative", "inside", "dangling", "circle", "folder"]
Spoil = Callable[[Path], Any]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Output that is in order: an embedding of four cells, a prediction of three by five, and a response."""
    made = tmp_path / "output"
    made.mkdir()
    np.save(made / "embedding.npy", GOOD)
    (made / "cell_ids.json").write_text(json.dumps(IDS))
    (made / "response.json").write_text('{"contract": 1, "versions": {"python": "3.11.1"}}')
    frame = ad.AnnData(
        np.arange(15, dtype=np.float32).reshape(3, 5),
        obs=pd.DataFrame(index=PERTURBATIONS),
        var=pd.DataFrame(index=GENES),
    )
    frame.write_h5ad(made / "prediction.h5ad")
    return made


def accepted(folder: Path) -> np.ndarray:
    """Read an embedding in the way of a run."""
    return accept_embedding(read_embedding(folder, len(CELLS)), CELLS)


def refusal(read: Callable[[], Any]) -> str:
    """Return the one sentence that refuses; it may not be long, nor hold anything that a terminal obeys."""
    tracemalloc.start()
    try:
        with pytest.raises(InvalidOutputError) as caught:
            read()
        assert tracemalloc.get_traced_memory()[1] < 20 * 2**20
    finally:
        tracemalloc.stop()
    said = str(caught.value)
    assert said.isprintable()
    assert len(said) < 1000
    return said


def npy(header: str, body: bytes = b"", version: tuple[int, int] = (1, 0)) -> bytes:
    """Make a file of the format from any header."""
    size = struct.pack("<H" if version == (1, 0) else "<I", len(header))
    return b"\x93NUMPY" + bytes(version) + size + header.encode("latin-1") + body


def described(shape: str, descr: str = "'<f4'") -> str:
    return f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n"


class Touch:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


# What is in order is read.


def test_output_that_is_in_order(folder: Path) -> None:
    np.testing.assert_array_equal(accepted(folder), GOOD)
    predicted = accept_prediction(read_prediction(folder, 3, 5), PERTURBATIONS, np.array(GENES))
    np.testing.assert_array_equal(predicted, np.arange(15).reshape(3, 5))
    response = read_response(folder)
    assert response is not None
    assert response.versions == {"python": "3.11.1"}


@pytest.mark.parametrize("kind", ["<f2", "<f4", "<f8", ">f4", ">f8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_floating_point_numbers_of_any_kind_and_order(folder: Path, kind: str, order: Any) -> None:
    np.save(folder / "embedding.npy", np.asarray(GOOD, dtype=kind, order=order))
    np.testing.assert_array_equal(accepted(folder), GOOD)


def test_rows_in_another_order_are_found_by_their_ids(folder: Path) -> None:
    np.save(folder / "embedding.npy", GOOD[::-1])
    (folder / "cell_ids.json").write_text(json.dumps(IDS[::-1]))
    np.testing.assert_array_equal(accepted(folder), GOOD)


def test_the_same_numbers_for_every_cell_are_no_matter_of_the_contract(folder: Path) -> None:
    """It is the sanity gates that find such a model."""
    np.save(folder / "embedding.npy", np.ones((4, 2)))
    np.testing.assert_array_equal(accepted(folder), np.ones((4, 2)))


# An embedding.

BAD_ARRAYS: dict[str, tuple[Any, str]] = {
    "NaN": (np.where(GOOD == 5, np.nan, GOOD), r"1 values are NaN or infinite, in 1 cells \(first: c2\)"),
    "infinity": (np.where(GOOD == 5, -np.inf, GOOD), r"1 values are NaN or infinite, in 1 cells \(first: c2\)"),
    "infinite as 32 bits": (GOOD.astype(float) * 1e300, "7 values are NaN or infinite"),
    "short": (GOOD[:3], "cell_ids.json: expected 3 ids, one for each row, found 4"),
    "long": (np.ones((5, 2)), "embedding.npy: expected 4 rows, one per cell, found 5"),
    "transposed": (GOOD.T, "cell_ids.json: expected 2 ids, one for each row, found 4"),
    "transposed and long": (np.ones((8, 4)), "embedding.npy: expected 4 rows, one per cell, found 8"),
    "one dimension": (GOOD[:, 0], r"embedding.npy: expected 2 dimensions \(cells × values\), found shape \(4,\)"),
    "three dimensions": (GOOD[None], r"embedding.npy: expected 2 dimensions .* found shape \(1, 4, 2\)"),
    "a number": (np.float32(1), r"embedding.npy: expected 2 dimensions .* found shape \(\)"),
    "no rows": (GOOD[:0], "cell_ids.json: expected 0 ids, one for each row, found 4"),
    "no values": (GOOD[:, :0], "embedding.npy: expected 1 to 1,048,576 values per cell, found 0"),
    "strings": (GOOD.astype(str), "embedding.npy: expected floating-point numbers, found dtype <U"),
    "complex": (GOOD.astype(complex), "embedding.npy: expected floating-point numbers, found dtype complex128"),
    "integers": (GOOD.astype(int), "embedding.npy: expected floating-point numbers, found dtype int64"),
    "truth values": (GOOD > 1, "embedding.npy: expected floating-point numbers, found dtype bool"),
    "dates": (GOOD.astype("M8[s]"), "embedding.npy: expected floating-point numbers, found dtype datetime64"),
    "records": (np.zeros((4, 2), dtype=[("\x1b[2J", "<f4")]), "embedding.npy: expected floating-point numbers, found"),
}


@pytest.mark.parametrize(("array", "said"), BAD_ARRAYS.values(), ids=BAD_ARRAYS)
@pytest.mark.filterwarnings("ignore:overflow")
def test_an_array_that_is_no_embedding(folder: Path, array: Any, said: str) -> None:
    np.save(folder / "embedding.npy", array)
    assert re.search(said, refusal(lambda: accepted(folder)))


BAD_HEADERS: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "expected a .npy file, found none: EOF"),
    "text": (b"cell,1,2\n", "expected a .npy file, found none: the magic string is not correct"),
    "a pickle": (pickle.dumps([1.0]), "expected a .npy file, found none"),
    "a zip": (b"PK\x03\x04" + bytes(100), "expected a .npy file, found none"),
    "no header": (b"\x93NUMPY\x01\x00", "expected a .npy file, found none: EOF"),
    "header cut": (npy(described("(4, 2)"))[:40], "expected a .npy file, found none: EOF"),
    "numbers cut": (npy(described("(4, 2)"), bytes(31)), "expected 32 bytes after its header, found 31"),
    "more follows": (npy(described("(4, 2)"), bytes(33)), "expected 32 bytes after its header, found 33"),
    "2^40 rows": (npy(described(f"({2**40}, 2)"), bytes(32)), "expected 4 rows, one per cell, found 1,099,511,627,776"),
    "2^40 columns": (npy(described(f"(4, {2**40})"), bytes(32)), "expected 1 to 1,048,576 values per cell, found 1,09"),
    "2^20 columns": (
        npy(described(f"(4, {2**20})"), bytes(32)),
        "expected 16,777,216 bytes after its header, found 32",
    ),
    "number without end": (npy(described(f"(0x{'f' * 9000}, 2)")), "expected a shape of sizes"),
    "digits without end": (npy(described(f"({'9' * 9000}, 2)")), "expected a .npy file, found none"),
    "negative": (npy(described("(-4, -2)"), bytes(32)), "expected a shape of sizes, found one that no array has"),
    "truth values": (npy(described("(True, 2)"), bytes(8)), "expected a shape of sizes, found one that no array has"),
    "fractions": (npy(described("(4.0, 2)"), bytes(32)), "expected a .npy file, found none: shape is not valid"),
    "many dimensions": (npy(described(f"({'1, ' * 3000})"), bytes(4)), "expected 2 dimensions"),
    "no dictionary": (npy("[]\n"), "expected a .npy file, found none: Header is not a dictionary"),
    "other keys": (npy("{'descr': '<f4'}\n"), "expected a .npy file, found none: Header does not contain the"),
    "code": (npy("__import__('os').abort()\n"), "expected a .npy file, found none: malformed node or string"),
    "brackets": (npy("(" * 9000), "expected a .npy file, found none"),
    "signs": (npy("-" * 9000 + "1"), "expected a .npy file, found none"),
    "long header": (
        npy(described("(4, 2)") + " " * 20_000, bytes(32)),
        "expected a .npy file, found none: Header info",
    ),
    "an object": (npy(described("(4, 2)", "'|O'"), bytes(32)), "expected floating-point numbers, found dtype object"),
    "an array in each place": (npy(described("(4, 2)", "('<f4', (2,))"), bytes(64)), "expected "),
    "a kind of huge size": (npy(described("(4, 2)", "'|V2000000000'"), bytes(32)), "expected floating-point numbers"),
    "no kind": (npy(described("(4, 2)", "'\x1b[31m'"), bytes(32)), "expected a .npy file, found none: descr is not"),
    "version 2": (npy(described("(4, 2)"), bytes(32), (2, 0)), "expected version 1.0 of the format, found 2.0"),
    "version 9": (npy(described("(4, 2)"), bytes(32), (9, 9)), "expected version 1.0 of the format, found 9.9"),
}


@pytest.mark.parametrize(("data", "said"), BAD_HEADERS.values(), ids=BAD_HEADERS)
def test_a_file_that_is_no_array(folder: Path, data: bytes, said: str) -> None:
    (folder / "embedding.npy").write_bytes(data)
    found = refusal(lambda: accepted(folder))
    assert found.startswith("embedding.npy: expected ")
    assert said in found


def test_nothing_is_unpickled(folder: Path, tmp_path: Path) -> None:
    mark = tmp_path / "unpickled"
    np.save(folder / "embedding.npy", np.array([[Touch(mark)] * 2] * 4, dtype=object), allow_pickle=True)
    said = refusal(lambda: accepted(folder))
    assert said == "embedding.npy: expected floating-point numbers, found dtype object"
    assert not mark.exists()
    np.load(folder / "embedding.npy", allow_pickle=True)
    assert mark.exists(), "the file does nothing, and proves nothing"


# Files.

FILES = {
    "embedding.npy": accepted,
    "cell_ids.json": accepted,
    "response.json": read_response,
    "prediction.h5ad": lambda folder: read_prediction(folder, 3, 5),
}
each_file = pytest.mark.parametrize("name", FILES)


@each_file
def test_a_file_that_is_not_there(folder: Path, name: str) -> None:
    (folder / name).unlink()
    if name == "response.json":
        assert read_response(folder) is None
        return
    said = refusal(lambda: FILES[name](folder))
    assert said.startswith(f"wrote no {name} (found in /output: ")
    assert "response.json" in said


def test_an_empty_folder(tmp_path: Path) -> None:
    said = refusal(lambda: accepted(tmp_path))
    assert said == "wrote no embedding.npy (found in /output: nothing)"


def test_many_files_beside_it(folder: Path) -> None:
    (folder / "embedding.npy").unlink()
    for number in range(400):
        (folder / f"\x1b[31m{number}").touch()
    said = refusal(lambda: accepted(folder))
    assert said.startswith(r"wrote no embedding.npy (found in /output: '\x1b[31m0', ")
    assert said.count("\\x1b") == 10


@each_file
@pytest.mark.parametrize("kind", LINKED)
def test_links_are_not_followed(folder: Path, tmp_path: Path, name: str, kind: str) -> None:
    """What each link leads to would be accepted."""
    path = folder / name
    if kind == "inside":
        path.rename(folder / "there")
    elif kind in ("absolute", "relative"):
        shutil.move(path, tmp_path / "there")
    else:
        path.unlink()
    targets = {
        "absolute": str(tmp_path / "there"),
        "relative": "../there",
        "inside": "there",
        "dangling": "nowhere",
        "circle": name,
        "folder": ".",
    }
    path.symlink_to(targets[kind])
    assert refusal(lambda: FILES[name](folder)) == f"{name}: expected a plain file, found a link"


def make_socket(path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(path.parent)  # its address may not be as long as a path may
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)


@each_file
@pytest.mark.parametrize(("kind", "make"), [("folder", Path.mkdir), ("pipe", os.mkfifo), ("socket", make_socket)])
def test_what_is_no_file_is_not_opened(folder: Path, name: str, kind: str, make: Spoil) -> None:
    (folder / name).unlink()
    make(folder / name)
    assert refusal(lambda: FILES[name](folder)) == f"{name}: expected a plain file, found a {kind}"


@each_file
def test_a_file_larger_than_it_can_be_is_not_read(folder: Path, name: str) -> None:
    """It is sparse, and would fill the memory all the same."""
    with (folder / name).open("r+b") as file:
        file.truncate(2**42)
    said = refusal(lambda: FILES[name](folder))
    assert re.fullmatch(rf"{name}: expected at most [\d,]+ bytes, found 4,398,046,511,104", said)


# Cell ids.

BAD_IDS: dict[str, tuple[bytes, str]] = {
    "too few": (json.dumps(IDS[:3]).encode(), "cell_ids.json: expected 4 ids, one for each row, found 3"),
    "too many": (json.dumps([*IDS, "c4"]).encode(), "cell_ids.json: expected 4 ids, one for each row, found 5"),
    "twice": (b'["c0", "c1", "c1", "c3"]', r"1 cell ids occur more than once \(for example c1\)"),
    "unknown": (
        b'["c0", "c1", "c2", "x"]',
        r"1 cells are missing \(for example c3\) and 1 are unknown \(for example x",
    ),
    "numbers": (b"[0, 1, 2, 3]", "cell_ids.json: expected a list of strings, found a int in it"),
    "null": (b'["c0", "c1", "c2", null]', "cell_ids.json: expected a list of strings, found a NoneType in it"),
    "lists": (b'[["c0"], ["c1"], ["c2"], ["c3"]]', "cell_ids.json: expected a list of strings, found a list in it"),
    "not a number": (b"[NaN, Infinity, -Infinity, 1e999]", "cell_ids.json: expected a list of strings, found a float"),
    "a dictionary": (b'{"c0": 0}', "cell_ids.json: expected a list of strings, found a dict"),
    "a string": (b'"c0c1c2c3"', "cell_ids.json: expected a list of strings, found a str"),
    "nothing": (b"", "cell_ids.json: expected JSON, found none: Expecting value"),
    "cut": (b'["c0", "c1"', "cell_ids.json: expected JSON, found none: Expecting ',' delimiter"),
    "lines": (b"c0\nc1\nc2\nc3\n", "cell_ids.json: expected JSON, found none: Expecting value"),
    "not UTF-8": (b'["c0", "c1", "c2", "c\xff"]', "cell_ids.json: expected JSON, found none: 'utf-8' codec"),
    "UTF-16": (json.dumps(IDS).encode("utf-16"), "cell_ids.json: expected JSON, found none"),
    "deep lists": (b"[" * 500_000, "cell_ids.json: expected JSON, found none: maximum recursion depth"),
    "deep and closed": (b"[" * 500_000 + b"]" * 500_000, "cell_ids.json: expected JSON, found none: maximum recursion"),
    "deep dictionaries": (b'{"a":' * 200_000, "cell_ids.json: expected JSON, found none: maximum recursion"),
    "many digits": (b"[" + b"9" * 100_000 + b"]", "cell_ids.json: expected JSON, found none: Exceeds the limit"),
    "escape sequences": (b'["\\u001b[2J", "c1", "c2", "c3"]', r"printable characters, found \\x1b\[2J"),
    "half characters": (b'["\\ud800", "c1", "c2", "c3"]', r"expected names of printable characters, found \\ud800"),
    "a long one": (json.dumps(["x" * 10**6]).encode(), "expected at most 400 characters in a name, found 1,000,000 in"),
}


@pytest.mark.parametrize(("data", "said"), BAD_IDS.values(), ids=BAD_IDS)
def test_ids_that_are_not_those_of_the_cells(folder: Path, data: bytes, said: str) -> None:
    (folder / "cell_ids.json").write_bytes(data)
    assert re.search(said, refusal(lambda: accepted(folder)))


# A response.

BAD_RESPONSES = {
    "empty": ("{}", "contract: Field required"),
    "a list": ("[]", "the file: Input should be a valid dictionary"),
    "nothing": ("null", "the file: Input should be a valid dictionary"),
    "contract 2": ('{"contract": 2}', "contract: Input should be 1"),
    "contract as text": ('{"contract": "1"}', "contract: Input should be 1"),
    "unknown key": ('{"contract": 1, "score": 1.0}', "score: Extra inputs are not permitted"),
    "hostile key": ('{"contract": 1, "\\u001b[2J": 1}', r"\x1b[2J: Extra inputs are not permitted"),
    "long key": (json.dumps({"contract": 1, "k" * 10**5: 1}), "kkk…: Extra inputs are not permitted"),
    "versions as text": ('{"contract": 1, "versions": "3"}', "versions: Input should be a valid dictionary"),
    "version as number": ('{"contract": 1, "versions": {"torch": 2.4}}', "versions.torch: Input should be a valid str"),
    "version that obeys": ('{"contract": 1, "versions": {"a": "\\u001b[2J"}}', "versions.a: String should match"),
    "long version": (json.dumps({"contract": 1, "versions": {"a": "1" * 101}}), "versions.a: String should match"),
    "many versions": (
        json.dumps({"contract": 1, "versions": {str(n): "1" for n in range(300)}}),
        "versions: Dictionary should have at most 200 items",
    ),
    "no genes known": ('{"contract": 1, "genes": {"known": 0, "found": 0}}', "genes.known: Input should be greater"),
    "fewer than no genes": ('{"contract": 1, "genes": {"known": 1, "found": -1}}', "genes.found: Input should be gr"),
    "genes without end": ('{"contract": 1, "genes": {"known": Infinity, "found": 1}}', "genes.known: Input should be"),
    "a reason that is none": ('{"contract": 1, "reason": ["a"]}', "reason: Input should be a valid string"),
    "not JSON": ("contract: 1", "expected JSON, found none: Expecting value"),
    "deep": ("[" * 10**6, "expected JSON, found none: maximum recursion depth"),
    "large": (" " * (2**20 + 1), "expected at most 1,048,576 bytes, found 1,048,577"),
}


@pytest.mark.parametrize(("text", "said"), BAD_RESPONSES.values(), ids=BAD_RESPONSES)
def test_a_response_that_is_none(folder: Path, text: str, said: str) -> None:
    (folder / "response.json").write_text(text)
    found = refusal(lambda: read_response(folder))
    assert found.startswith("response.json: ")
    assert said in found


def test_a_reason_is_fit_to_be_shown_and_stored(folder: Path) -> None:
    said = {"contract": 1, "reason": f"\x1b[2Jone\nand \ud800 {'x' * 1000}"}
    (folder / "response.json").write_text(json.dumps(said))
    assert reason_of(read_response(folder), "") == f"[2Jone and {'x' * 389}…"


def test_without_a_reason_the_last_line_is_one(folder: Path) -> None:
    assert reason_of(read_response(folder), "one\ntwo") == "two"
    assert reason_of(None, "") == "it printed nothing"


# A prediction.


def remake(name: str, **how: Any) -> Callable[[h5py.File], Any]:
    """Make a dataset anew, in another way."""

    def spoil(file: h5py.File) -> None:
        del file[name]
        file.create_dataset(name, **how)

    return spoil


def link(name: str, to: Any) -> Callable[[h5py.File], Any]:
    def spoil(file: h5py.File) -> None:
        del file[name]
        file[name] = to

    return spoil


def in_another_file(file: h5py.File) -> None:
    """Keep the numbers of X as bytes of a file beside it."""
    other = Path(file.filename).with_name("numbers")
    np.ones(15, dtype=np.float32).tofile(other)
    remake("X", shape=(3, 5), dtype="f4", external=[(str(other), 0, 60)])(file)


def virtual(file: h5py.File) -> None:
    """Let X be a view of another file."""
    other = Path(file.filename).with_name("other.h5")
    with h5py.File(other, "w") as made:
        made["X"] = np.ones((3, 5), dtype=np.float32)
    layout = h5py.VirtualLayout((3, 5), dtype="f4")
    layout[...] = h5py.VirtualSource(str(other), "X", (3, 5))
    del file["X"]
    file.create_virtual_dataset("X", layout)


def index_elsewhere(name: str) -> Callable[[h5py.File], Any]:
    return lambda file: file["obs"].attrs.__setitem__("_index", name)


BAD_PREDICTIONS: dict[str, tuple[Callable[[h5py.File], Any], str]] = {
    "no X": (lambda file: file.pop("X"), "expected X as a plain member, found a link or nothing"),
    "soft link": (
        lambda file: (file.move("X", "Y"), file.__setitem__("X", h5py.SoftLink("/Y"))),
        "expected X as a plain mem",
    ),
    "external link": (link("X", h5py.ExternalLink("other.h5", "/X")), "expected X as a plain member, found a link or"),
    "external group": (link("obs", h5py.ExternalLink("other.h5", "/obs")), "expected obs as a plain member, found a"),
    "linked names": (
        link("var/_index", h5py.SoftLink("/obs/_index")),
        "expected _index as a plain member, found a link",
    ),
    "external storage": (in_another_file, "expected X in the file itself, found other files' data"),
    "virtual": (virtual, "expected X in the file itself, found other files' data"),
    "X as a group": (lambda file: (file.pop("X"), file.create_group("X")), "expected X to be a dataset, found a group"),
    "obs as a dataset": (
        lambda file: (file.pop("obs"), file.__setitem__("obs", [1])),
        "expected obs to be a group, fou",
    ),
    "transposed": (remake("X", data=np.ones((5, 3), "f4")), "at most 3 rows and 5 columns, found shape (5, 3)"),
    "too many rows": (remake("X", data=np.ones((4, 5), "f4")), "at most 3 rows and 5 columns, found shape (4, 5)"),
    "too few rows": (remake("X", data=np.ones((2, 5), "f4")), "expected 2 names in obs, found shape (3,)"),
    "too few genes": (remake("X", data=np.ones((3, 4), "f4")), "at most 3 rows and 5 columns, found shape (3, 4)"),
    "one dimension": (remake("X", data=np.ones(15, "f4")), "at most 3 rows and 5 columns, found shape (15,)"),
    "empty": (remake("X", data=h5py.Empty("f4")), "at most 3 rows and 5 columns, found shape None"),
    "2^40 rows": (remake("X", shape=(2**40, 5), dtype="f4", chunks=(64, 5)), "found shape (1099511627776, 5)"),
    "integers": (remake("X", data=np.ones((3, 5), int)), "expected X of floating-point numbers, found int64"),
    "complex": (remake("X", data=np.ones((3, 5), complex)), "expected X of floating-point numbers, found complex128"),
    "strings": (remake("X", data=np.full((3, 5), b"1")), "expected X of floating-point numbers, found |S1"),
    "references": (
        remake("X", shape=(3, 5), dtype=h5py.ref_dtype),
        "expected X of floating-point numbers, found object",
    ),
    "lists": (
        remake("X", shape=(3, 5), dtype=h5py.vlen_dtype("f4")),
        "expected X of floating-point numbers, found obj",
    ),
    "compressed": (
        remake("X", data=np.ones((3, 5), "f4"), compression="gzip"),
        "expected X without compression, found",
    ),
    "too few names": (remake("obs/_index", data=["p0"]), "expected 3 names in obs, found shape (1,)"),
    "names as numbers": (remake("obs/_index", data=np.arange(3)), "expected strings as names in obs, found int64"),
    "long fixed names": (
        remake("var/_index", shape=(5,), dtype="S300000000", chunks=(1,)),
        "expected strings as names",
    ),
    "long names": (
        remake("obs/_index", data=["x" * 10**6] * 3),
        "at most 400 characters in a name, found 1,000,000 in",
    ),
    "names that obey": (remake("obs/_index", data=["\x1b[2J"] * 3), r"names of printable characters, found \x1b[2J"),
    "names not UTF-8": (remake("obs/_index", data=np.array([b"\xff"] * 3)), "codec can't decode byte 0xff"),
    "index of another place": (index_elsewhere("../X"), "expected ../X as a plain member, found a link or nothing"),
    "index of the whole": (index_elsewhere("/X"), "expected /X as a plain member, found a link or nothing"),
    "index that is not there": (index_elsewhere("\x1b[2J"), r"expected \x1b[2J as a plain member, found a link or"),
    "index that is itself": (index_elsewhere("."), "cannot be read as .h5ad: "),
    "index without a name": (index_elsewhere(""), "expected "),
    "index that is a number": (
        lambda file: file["obs"].attrs.__setitem__("_index", 1),
        "expected the name of an index in obs, found 1",
    ),
}


@pytest.mark.parametrize(("spoil", "said"), BAD_PREDICTIONS.values(), ids=BAD_PREDICTIONS)
def test_a_prediction_that_is_not_what_the_contract_says(
    folder: Path, spoil: Callable[[h5py.File], Any], said: str
) -> None:
    with h5py.File(folder / "prediction.h5ad", "r+") as file:
        spoil(file)
    found = refusal(lambda: parse_prediction(folder, 3, 5))
    assert found.startswith("prediction.h5ad: ")
    assert said in found


def test_names_that_all_stand_for_one_long_text_are_not_read_at_once(folder: Path) -> None:
    with h5py.File(folder / "prediction.h5ad", "r+") as file:
        remake("X", data=np.ones((3, 50), "f4"))(file)
        remake("var/_index", data=["x" * 10**6] * 50)(file)
    assert "at most 400 characters in a name, found 1,000,000" in refusal(lambda: parse_prediction(folder, 3, 50))


BROKEN: dict[str, Spoil] = {
    "nothing": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("g0,g1\n1,2\n"),
    "an array": lambda path: np.save(path.with_suffix(".npy"), GOOD) or path.with_suffix(".npy").replace(path),
    "cut in the middle": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "cut at the end": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "only the beginning": lambda path: path.write_bytes(path.read_bytes()[:8]),
    "zeros": lambda path: path.write_bytes(path.read_bytes()[:512] + bytes(path.stat().st_size - 512)),
}


@pytest.mark.parametrize("spoil", BROKEN.values(), ids=BROKEN)
def test_a_prediction_that_is_no_file_of_the_format(folder: Path, spoil: Spoil) -> None:
    spoil(folder / "prediction.h5ad")
    assert refusal(lambda: parse_prediction(folder, 3, 5)).startswith("prediction.h5ad: cannot be read as .h5ad: ")


def test_the_words_of_the_process_that_reads_a_prediction_are_handed_on(folder: Path) -> None:
    said = refusal(lambda: read_prediction(folder, 3, 4))
    assert said == "prediction.h5ad: expected X with at most 3 rows and 4 columns, found shape (3, 5)"


def spoil_heap(path: Path) -> None:
    """Say that the free space of each heap of names is one byte, as does who looks for it round and round."""
    data = bytearray(path.read_bytes())
    for found in re.finditer(b"GCOL", bytes(data)):
        place, (size,) = found.start() + 16, struct.unpack_from("<Q", data, found.start() + 8)
        while place < found.start() + size:
            index, _, _, length = struct.unpack_from("<HHIQ", data, place)
            if index == 0:
                struct.pack_into("<Q", data, place + 8, 1)
                break
            place += 16 + -(-length // 8) * 8
    path.write_bytes(data)


@pytest.mark.slow
def test_a_prediction_that_keeps_its_reader_busy_for_ever(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spoil_heap(folder / "prediction.h5ad")
    monkeypatch.setattr(contract, "_READING_S", 15)
    said = refusal(lambda: read_prediction(folder, 3, 5))
    assert said == "prediction.h5ad: expected .h5ad, found a file that cannot be read within 15 s"


# Anything at all.

ONE_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
literals = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.tuples(inner, inner) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)
headers = st.fixed_dictionaries(
    {
        "descr": st.sampled_from(["<f4", ">f8", "|O", "<f2", "f", "<c8", "S0", "<M8[s]", "<f16"]) | literals,
        "fortran_order": st.booleans() | literals,
        "shape": st.tuples(st.integers(-2, 6), st.integers(-2, 6)) | literals,
    }
)


def read_or_refuse(read: Callable[[], Any]) -> Any:
    try:
        return read()
    except InvalidOutputError as error:
        assert str(error).isprintable()
        assert len(str(error)) < 1000
        return None


@pytest.mark.fuzz
@settings(ONE_FOLDER, max_examples=500)
@given(data=st.binary(max_size=300) | st.binary(max_size=200).map(lambda rest: b"\x93NUMPY\x01\x00" + rest))
def test_any_bytes_are_an_embedding_or_refused(folder: Path, data: bytes) -> None:
    (folder / "embedding.npy").write_bytes(data)
    read_or_refuse(lambda: accepted(folder))


@pytest.mark.fuzz
@settings(ONE_FOLDER, max_examples=500)
@given(header=headers | literals, body=st.binary(max_size=64))
def test_any_header_is_that_of_an_embedding_or_refused(folder: Path, header: object, body: bytes) -> None:
    text = f"{header!r}\n".encode("utf-8", "surrogatepass").decode("latin-1")
    (folder / "embedding.npy").write_bytes(npy(text, body))
    found = read_or_refuse(lambda: accepted(folder))
    assert found is None or found.shape[0] == 4


@pytest.mark.fuzz
@settings(ONE_FOLDER, max_examples=300)
@given(
    data=st.binary(max_size=100)
    | st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["contract", "versions", "genes", "x"]), inner),
    ).map(lambda value: json.dumps(value).encode())
)
def test_any_bytes_are_ids_and_a_response_or_refused(folder: Path, data: bytes) -> None:
    for name in ("cell_ids.json", "response.json"):
        (folder / name).write_bytes(data)
    read_or_refuse(lambda: accepted(folder))
    read_or_refuse(lambda: read_response(folder))


@pytest.mark.fuzz
@pytest.mark.slow
@settings(ONE_FOLDER, max_examples=10)
@given(changes=st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 255)), min_size=1, max_size=4))
def test_a_prediction_with_wrong_bytes_is_read_or_refused(folder: Path, changes: list[tuple[int, int]]) -> None:
    good = (folder / "prediction.h5ad").read_bytes()
    data = bytearray(good)
    for place, value in changes:
        data[place] = value
    (folder / "prediction.h5ad").write_bytes(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(contract, "_READING_S", 15)
        try:
            found = read_or_refuse(lambda: read_prediction(folder, 3, 5))
        finally:
            (folder / "prediction.h5ad").write_bytes(good)
    assert found is None or found.shape[1] == 5
