"""Files of results are whole, lie where they belong, and are what they say, or reading them names the file."""

import datetime as dt
import hashlib
import io
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cellgauge.cards import CardProblems, UserError
from cellgauge.results.release import Pair, Plan, Release
from cellgauge.results.schema import Result
from cellgauge.results.store import (
    BrokenResult,
    encode_replicates,
    read_plan,
    read_release,
    read_replicates,
    read_result,
    read_results,
    seal,
    write_atomically,
    write_plan,
    write_release,
    write_result,
)

SHA = "sha256:" + "a" * 64


@pytest.fixture
def result(values: dict[str, Any]) -> Result:
    return seal(values)


def with_replicates(values: dict[str, Any], data: bytes) -> Result:
    """A result whose record of replicates agrees with bytes that are no array of its scores."""
    record = values["replicates"].model_copy(update={"sha256": hashlib.sha256(data).hexdigest()})
    return seal({**values, "replicates": record})


def test_what_is_written_is_read(tmp_path: Path, result: Result, replicates: bytes):
    path = write_result(tmp_path, result, replicates)
    assert path == tmp_path / "clustering" / "pbmc" / "pca.json"
    assert read_result(path) == result
    assert list(read_results(tmp_path)) == [result]
    assert np.array_equal(read_replicates(tmp_path, result), np.linspace(0, 1, 200, dtype="f4").reshape(2, 100))


def test_the_same_result_is_the_same_bytes(tmp_path: Path, result: Result, replicates: bytes):
    path = write_result(tmp_path, result, replicates)
    first = path.read_bytes()
    write_result(tmp_path, read_result(path), replicates)
    assert path.read_bytes() == first
    text = first.decode()
    keys = [line.split('"')[1] for line in text.splitlines() if line.startswith('  "')]
    assert keys == sorted(keys)
    assert text.endswith("}\n")
    assert '"finished_at": "2026-03-04T05:06:10Z"' in text


def test_an_empty_has_no_replicates_to_read(tmp_path: Path, empty_values: dict[str, Any]):
    empty = seal(empty_values)
    assert read_result(write_result(tmp_path, empty, None)) == empty
    with pytest.raises(ValueError, match="has no replicates"):
        read_replicates(tmp_path, empty)


def test_replicates_that_the_result_does_not_describe_are_not_written(
    tmp_path: Path, result: Result, replicates: bytes
):
    for wrong in (None, replicates + b"x"):
        with pytest.raises(ValueError, match="the replicates are not those that the result describes"):
            write_result(tmp_path, result, wrong)
    assert list(tmp_path.rglob("*.*")) == []


def test_a_result_in_the_place_of_another_is_refused(tmp_path: Path, result: Result, replicates: bytes):
    path = write_result(tmp_path, result, replicates)
    for place in ("clustering/pbmc/nmf.json", "clustering/baron/pca.json", "embedding/pbmc/pca.json"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_bytes(path.read_bytes())
        with pytest.raises(BrokenResult, match=f"{place}: holds the result of clustering × pbmc × pca"):
            read_result(tmp_path / place)


def test_a_file_cut_anywhere_is_refused(tmp_path: Path, result: Result, replicates: bytes):
    path = write_result(tmp_path, result, replicates)
    whole = path.read_bytes()
    for length in range(0, len(whole) - 1, 37):
        path.write_bytes(whole[:length])
        with pytest.raises(BrokenResult, match=r"pca\.json: .*delete the result and run again"):
            read_result(path)


def test_what_is_not_json_or_not_there_is_refused(tmp_path: Path):
    path = tmp_path / "a" / "b" / "c.json"
    with pytest.raises(BrokenResult, match="cannot be read: No such file"):
        read_result(path)
    path.parent.mkdir(parents=True)
    for data in (b"", b"null", b"[]", b"{}", b"\xff\xfe", b"[" * 100_000, b'{"schema_version": 1}'):
        path.write_bytes(data)
        with pytest.raises(BrokenResult):
            read_result(path)


def test_replicates_that_changed_or_are_gone(tmp_path: Path, result: Result, replicates: bytes):
    file = write_result(tmp_path, result, replicates).with_suffix(".npy")
    file.write_bytes(replicates[:-1] + b"\1")
    with pytest.raises(BrokenResult, match=r"pca\.npy: expected sha256 [0-9a-f]{64}, found [0-9a-f]{64}"):
        read_replicates(tmp_path, result)
    file.unlink()
    with pytest.raises(BrokenResult, match=r"pca\.npy: is missing"):
        read_replicates(tmp_path, result)


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


class Explosive:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.trace,)


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def npz(**arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def claiming(shape: tuple[int, ...]) -> bytes:
    """A header that claims a shape, and no values."""
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"shape": shape, "fortran_order": False, "descr": "<f4"})
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "magic|expected"),
        (b"\x93NUMPY", "expected|magic"),
        (npy(np.zeros((2, 99), "f4")), "expected 2 × 100 float32 in C order, found (2, 99) float32"),
        (npy(np.zeros((100, 2), "f4")), "found (100, 2) float32"),
        (npy(np.asfortranarray(np.zeros((2, 100), "f4"))), "expected 2 × 100 float32 in C order"),
        (npy(np.zeros((2, 100), "f8")), "found (2, 100) float64"),
        (npy(np.zeros((2, 100), ">f4")), "found (2, 100) >f4"),
        (npy(np.zeros((2, 100), "c8")), "complex64"),
        (npy(np.zeros((2, 100), "f4"))[:-4], "expected 800 bytes of values, found 796"),
        (npy(np.zeros((2, 100), "f4")) + b"more", "expected 800 bytes of values, found 804"),
        (npy(np.full((2, 100), np.nan, "f4")), "holds NaN or infinity"),
        (npy(np.full((2, 100), np.inf, "f4")), "holds NaN or infinity"),
        (claiming((2**40, 2**20)), "found (1099511627776, 1048576) float32"),
        (claiming((2, 100)), "expected 800 bytes of values, found 0"),
        (npz(a=np.zeros((2, 100), "f4")), "magic"),
        (b"\x93NUMPY\x01\x00\xff\xff" + b"{" * 65535, "Header"),
        (b"\x93NUMPY\x03\x00\x00\x00\x00\x00", "expected version 1.0 of the .npy format"),
    ],
)
def test_replicates_of_any_other_make_are_refused(tmp_path: Path, values: dict[str, Any], data: bytes, expected: str):
    result = with_replicates(values, data)
    write_result(tmp_path, result, data)
    with pytest.raises(BrokenResult) as raised:
        read_replicates(tmp_path, result)
    assert str(raised.value).startswith(str(tmp_path / "clustering" / "pbmc" / "pca.npy"))
    assert any(word in str(raised.value) for word in expected.split("|"))


def test_a_pickle_in_the_place_of_replicates_is_never_opened(tmp_path: Path, values: dict[str, Any]):
    bombs = [Explosive(tmp_path / "ran")] * 200
    for data in (pickle.dumps(bombs), npy(np.array(bombs, dtype=object).reshape(2, 100))):
        result = with_replicates(values, data)
        write_result(tmp_path, result, data)
        with pytest.raises(BrokenResult):
            read_replicates(tmp_path, result)
    assert not (tmp_path / "ran").exists()
    pickle.loads(pickle.dumps(bombs))
    assert (tmp_path / "ran").exists()  # the bomb was live


def test_replicates_with_nan_are_not_encoded():
    with pytest.raises(ValueError, match="NaN"):
        encode_replicates(np.array([[1.0, np.nan]]))


def test_writing_replaces_and_leaves_nothing_beside(tmp_path: Path):
    path = tmp_path / "deep" / "file.json"
    write_atomically(path, b"one")
    write_atomically(path, b"two")
    assert path.read_bytes() == b"two"
    assert names_in(path.parent) == ["file.json"]
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_write_that_fails_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "file.json"
    write_atomically(path, b"one")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, b"two")
    assert path.read_bytes() == b"one"
    assert names_in(tmp_path) == ["file.json"]


WRITER = """
import sys
from pathlib import Path
from cellgauge.results.store import write_atomically
path = Path(sys.argv[1])
print("ready", flush=True)
while True:
    for letter in (b"a", b"b"):
        write_atomically(path, letter * 3_000_000)
"""


@pytest.mark.kill
def test_a_kill_in_the_middle_leaves_the_old_file_or_the_new_one(tmp_path: Path):
    path = tmp_path / "x" / "y" / "file.json"
    interrupted = 0
    for round_ in range(12):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE)
        assert writer.stdout is not None
        writer.stdout.readline()
        while not path.exists():
            time.sleep(0.005)
        time.sleep(0.01 + 0.0037 * round_)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        data = path.read_bytes()
        assert data in (b"a" * 3_000_000, b"b" * 3_000_000)
        interrupted += len(names_in(path.parent)) > 1 + interrupted
    assert interrupted > 0  # some kills did come in the middle of a write
    assert [found.name for found in tmp_path.glob("*/*/*.json")] == ["file.json"]


def test_a_plan_is_written_and_read(tmp_path: Path):
    def never(model: str, reason: str) -> Pair:
        return Pair(task="clustering", dataset="pbmc", model=model, key=None, status="not_run", reason=reason)

    pairs = (
        never("nmf", "no digest"),
        Pair(task="clustering", dataset="pbmc", model="pca", key=SHA, status="to_run", reason=None),
        never("scvi", "no weights"),
        never("svd", "no digest"),
    )
    plan = Plan.of("demo", reversed(pairs))
    write_plan(tmp_path, plan)
    assert read_plan(tmp_path) == plan
    assert plan.pairs == pairs
    assert [one.models for one in plan.empties] == [["nmf", "svd"], ["scvi"]]
    assert (tmp_path / "plan.json").read_text("utf-8").count("no digest") == 1
    (tmp_path / "plan.json").write_bytes(b'{"schema_version": 1}')
    with pytest.raises(BrokenResult, match=r"plan\.json: .*Delete it and plan again"):
        read_plan(tmp_path)


def test_a_release_is_written_and_read(tmp_path: Path):
    release = Release(
        release="demo",
        title="Démonstration: 1",
        kind="measured",
        rehearsal=True,
        protocol=SHA,
        protocol_date=dt.date(2026, 3, 4),
    )
    write_release(tmp_path, release)
    assert read_release(tmp_path) == release


def test_what_is_not_there_is_answered_with_the_command_that_makes_it(tmp_path: Path):
    with pytest.raises(UserError, match=f"cellgauge run --release {tmp_path.name}"):
        read_plan(tmp_path)
    with pytest.raises(UserError, match=f"cellgauge run --release {tmp_path.name}"):
        read_release(tmp_path)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"release: demo\nrehersal: true\n", 'release.yaml:2: rehersal: is not a known key; did you mean "rehearsal"?'),
        (b"release: demo\nkind: guessed\n", "release.yaml:2: kind: expected one of 'measured' or 'reported', found"),
        (b"release: \xff", "release.yaml:1: not UTF-8 text"),
        (b"- demo", "release.yaml:1: expected keys and values, found a list"),
    ],
)
def test_a_release_that_is_not_valid_names_the_line(tmp_path: Path, data: bytes, expected: str):
    (tmp_path / "release.yaml").write_bytes(data)
    with pytest.raises(CardProblems) as raised:
        read_release(tmp_path)
    assert expected in str(raised.value)
