"""Where result files lie, and how they are written and read."""

from __future__ import annotations

import datetime as dt
import hashlib
import io
import json
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import BaseModel, ValidationError

from cellgauge.cards.canonical import digest
from cellgauge.cards.problems import UserError, did_you_mean
from cellgauge.cards.project import CARDS, IMPORT, MANIFEST
from cellgauge.cards.read import check, parse_yaml, read_text
from cellgauge.results.migrate import STEPS, migrated, plan_of
from cellgauge.results.release import Plan, Release
from cellgauge.results.schema import SCHEMA_VERSION, SEALING, Replicates, Result, check_id, result_id

_MAX_HEADER = 10_000
_TEMPORARY = re.compile(r"\..+\.[a-z0-9_]{8}(\.second)?\.tmp")


class BrokenResult(UserError):
    """A result file that cannot be trusted; the message names it and says what is wrong."""


def fault_of(error: ValidationError) -> str:
    """Return the first fault of a file as where it is and what is wrong: ``files.plan.json: Field required``."""
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "the file"
    return f"{where}: {first['msg']}"


def result_path(folder: Path, task: str, dataset: str, model: str) -> Path:
    """Return the path of one result in a release's folder."""
    return folder / task / dataset / f"{model}.json"


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that it is there whole or not at all, also after a kill or a power cut."""
    with written_beside(path, data) as temporary:
        temporary.replace(path)


@contextmanager
def written_beside(path: Path, data: bytes) -> Iterator[Path]:
    """Yield a file beside ``path`` that is whole and on the disk; what is still there afterwards is removed.

    Raises
    ------
    OSError
        Naming ``path``, when it cannot be written, as on a full disk.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _naming(path):
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    temporary = Path(name)
    try:
        with _naming(path), os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        error.filename = str(path)
        raise


def is_temporary(name: str) -> bool:
    """Whether ``written_beside`` gives files such a name: one that stays is what a killed writer has left."""
    return _TEMPORARY.fullmatch(name) is not None


def to_json(record: BaseModel, indent: int | None = 2) -> bytes:
    """Return a record as it stands in a file: sorted keys, two spaces or one line, no NaN, a newline at the end."""
    values = record.model_dump(mode="json", by_alias=True)
    return (json.dumps(values, sort_keys=True, indent=indent, ensure_ascii=False, allow_nan=False) + "\n").encode()


def seal(values: dict[str, Any]) -> Result:
    """Give a result its ``result_id`` and validate it.

    Parameters
    ----------
    values
        Every key of a result but ``result_id``, as Python or JSON values.
    """
    draft = Result.model_validate({**values, "result_id": digest(None)}, context=SEALING)
    plain = draft.model_dump(mode="json", by_alias=True)
    return Result.model_validate({**plain, "result_id": result_id(plain)})


def encode_replicates(replicates: NDArray[np.floating[Any]]) -> bytes:
    """Return a (scores × replicates) array as the bytes of an ``.npy`` file in float32."""
    if not np.isfinite(replicates).all():
        raise ValueError("replicates hold NaN or infinity")
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(replicates, dtype="<f4"), allow_pickle=False)
    return buffer.getvalue()


def describe_replicates(
    data: bytes,
    model: str,
    shape: tuple[int, int],
    stream: str,
    method: Literal["bootstrap", "jackknife"] = "bootstrap",
) -> Replicates:
    """Return the record of a replicates file with these bytes."""
    return Replicates(
        file=f"{model}.npy",
        sha256=hashlib.sha256(data).hexdigest(),
        n_scores=shape[0],
        n_replicates=shape[1],
        method=method,
        stream=stream,
    )


def write_result(folder: Path, result: Result, replicates: bytes | None) -> Path:
    """Write one result. The replicates go first, so that a result that is there is complete.

    The caller holds the lock on this result: what a killed writer has left of it is removed.
    """
    path = result_path(folder, result.task.id, result.dataset.id, result.model.id)
    for left in path.parent.glob(f".{result.model.id}.*.tmp"):
        left.unlink(missing_ok=True)
    if result.replicates is not None:
        if replicates is None or hashlib.sha256(replicates).hexdigest() != result.replicates.sha256:
            raise ValueError(f"{path}: the replicates are not those that the result describes")
        write_atomically(path.with_name(result.replicates.file), replicates)
    write_atomically(path, to_json(result))
    return path


def read_result(path: Path) -> Result:
    """Read and validate one result file.

    Raises
    ------
    BrokenResult
        When it is not a valid result, or lies where another one belongs.
    """
    try:
        data = path.read_bytes()
        result = _of_earlier_version(data) or Result.model_validate_json(data)
    except OSError as error:
        raise BrokenResult(f"{path}: cannot be read: {error.strerror}") from None
    except ValidationError as error:
        raise BrokenResult(f"{path}: {fault_of(error)}. {_remedy(path.parents[2])}") from None
    except ValueError as error:
        raise BrokenResult(f"{path}: {error}. {_remedy(path.parents[2])}") from None
    places = (result.task.id, result.dataset.id, result.model.id)
    if path.parts[-3:] != (places[0], places[1], f"{places[2]}.json"):
        raise BrokenResult(f"{path}: holds the result of {' × '.join(places)}, which belongs elsewhere")
    return result


def _remedy(folder: Path, otherwise: str = "Restore it, or delete the result and run again.") -> str:
    """Say how a broken file of a release is mended: one that is frozen, or was imported, is never computed again."""
    is_kept = (folder / MANIFEST).is_file() or (folder / IMPORT).is_file()
    return "Restore it from the repository." if is_kept else otherwise


_VERSION = re.compile(rb'"schema_version": (\d+)')


def _of_earlier_version(data: bytes) -> Result | None:
    """Return a result that was written in an earlier format, with the id that it had; None where it was not."""
    said = _VERSION.search(data)
    if said is None or int(said[1]) == SCHEMA_VERSION:
        return None
    values = json.loads(data)
    version = values.get("schema_version")
    if not isinstance(version, int) or version == SCHEMA_VERSION:
        return None
    if version not in STEPS:
        raise ValueError(
            f"schema_version: found {version}, but this cellgauge knows 1 to {SCHEMA_VERSION}; install a newer one"
        )
    check_id(values)
    return Result.model_validate(migrated(values), context=SEALING)


def result_files(folder: Path) -> list[Path]:
    """Return the paths of a release's results, in the order of task, dataset and model."""
    return sorted(path for path in folder.glob("*/*/*.json") if path.parent.parent.name != CARDS)


def read_results(folder: Path) -> Iterator[Result]:
    """Read every result of a release, in the order of task, dataset and model."""
    for path in result_files(folder):
        yield read_result(path)


def read_replicates(folder: Path, result: Result) -> NDArray[np.float32]:
    """Return the (scores × replicates) array of a result, after checking its digest.

    Raises
    ------
    BrokenResult
        When the file is missing or differs from what the result describes.
    """
    if result.replicates is None:
        raise ValueError(f"result {result.result_id} has no replicates")
    path = result_path(folder, result.task.id, result.dataset.id, result.model.id).with_name(result.replicates.file)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise BrokenResult(f"{path}: is missing. {_remedy(folder)}") from None
    found = hashlib.sha256(data).hexdigest()
    if found != result.replicates.sha256:
        raise BrokenResult(f"{path}: expected sha256 {result.replicates.sha256}, found {found}")
    try:
        return decode_replicates(data, (result.replicates.n_scores, result.replicates.n_replicates))
    except ValueError as error:
        raise BrokenResult(f"{path}: {error}") from None


def decode_replicates(data: bytes, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Return what ``encode_replicates`` wrote, without trusting the header: it can neither ask for memory nor unpickle.

    Raises
    ------
    ValueError
        When the bytes are not a finite float32 array of this shape in ``.npy`` format.
    """
    file = io.BytesIO(data)
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("expected version 1.0 of the .npy format")
    found, is_fortran, dtype = np.lib.format.read_array_header_1_0(file, max_header_size=_MAX_HEADER)
    if found != shape or is_fortran or dtype != np.dtype("<f4"):
        raise ValueError(f"expected {shape[0]} × {shape[1]} float32 in C order, found {found} {dtype}")
    values = data[file.tell() :]
    if len(values) != shape[0] * shape[1] * dtype.itemsize:
        raise ValueError(f"expected {shape[0] * shape[1] * dtype.itemsize} bytes of values, found {len(values)}")
    array = np.frombuffer(values, dtype=dtype).reshape(shape)
    if not np.isfinite(array).all():
        raise ValueError("holds NaN or infinity")
    return array


def write_plan(folder: Path, plan: Plan) -> None:
    """Write ``plan.json``; one that holds the same already, in the current format, is left alone."""
    path, data = folder / "plan.json", to_json(plan)
    if not path.is_file() or path.read_bytes() != data:
        write_atomically(path, data)


def read_plan(folder: Path) -> Plan:
    """Read ``plan.json``.

    Raises
    ------
    UserError
        When there is none, or it is not valid.
    """
    path = folder / "plan.json"
    if not path.is_file():
        raise UserError(
            f"{path}: there is no plan{_nearest(folder)}\nMake one with: cellgauge run --release {folder.name}"
        )
    try:
        return plan_of(path.read_bytes())
    except ValidationError as error:
        raise BrokenResult(f"{path}: {fault_of(error)}. {_remedy(folder, 'Delete it and plan again.')}") from None


def write_release(folder: Path, release: Release) -> None:
    """Write ``release.yaml``."""
    values = release.model_dump(mode="python")
    write_atomically(folder / "release.yaml", yaml.safe_dump(values, sort_keys=True, allow_unicode=True).encode())


def _nearest(folder: Path) -> str:
    """Return a hint at the release that may be meant, where there is none of this name."""
    if (folder / "release.yaml").is_file():
        return ""
    return did_you_mean(folder.name, (one.parent.name for one in folder.parent.glob("*/release.yaml")))


def read_release(folder: Path) -> Release:
    """Read ``release.yaml``.

    Raises
    ------
    UserError
        When there is none.
    CardProblems
        With file, line and key, when it is not valid.
    """
    path = folder / "release.yaml"
    if not path.is_file():
        raise UserError(
            f"{path}: no such release{_nearest(folder)}\n"
            f"A new one is begun with: cellgauge run --release {folder.name}"
        )
    values, lines = parse_yaml(read_text(path, str(path)), str(path))
    return check(Release, values, lines, str(path))


def list_releases(folder: Path) -> list[str]:
    """Return the names of the releases in a project's ``results`` folder, the one to show first last.

    Measured ones come after what others reported, those that are meant to be cited after rehearsals, and then the later
    date counts.
    """
    found = [(read_release(path.parent), path.parent.name) for path in sorted(folder.glob("*/release.yaml"))]

    def place(one: tuple[Release, str]) -> tuple[bool, bool, dt.date, str]:
        about, name = one
        return about.kind == "measured", not about.rehearsal, about.day, name

    return [name for _, name in sorted(found, key=place)]
