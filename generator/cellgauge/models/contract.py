"""Version 1 of the contract with containers: which files go in, which come out, and how they are read.

Whatever a container wrote is read as if it wished us harm: no links are followed, nothing is unpickled, sizes are known
before anything is allocated.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import anndata as ad
import h5py
import numpy as np
import pandas as pd
from numpy.lib import format as npy
from numpy.typing import NDArray
from pydantic import Field, StringConstraints, ValidationError
from scipy import sparse

from cellgauge.cards.base import Part, Scalar
from cellgauge.models.cache import Genes
from cellgauge.models.embedding import InvalidOutputError

VERSION = 1
CELLS, REQUEST = "cells.h5ad", "request.json"
EMBEDDING, CELL_IDS, PREDICTION, RESPONSE = "embedding.npy", "cell_ids.json", "prediction.h5ad", "response.json"

MEANINGS = {
    64: "not_applicable",
    65: "invalid_input",
    66: "weights_unavailable",
    67: "needs_gpu",
    68: "out_of_memory",
}
"""Exit code → the status of the evaluations that waited. 0 is success, and every other code a failure."""

_MOST_RESPONSE = 2**20
_MOST_AROUND = 64 * 2**20
"""Bytes of a prediction beside its numbers."""
_MOST_MEMORY = 16 * 2**30
_READING_S = 300
_REFUSED = 3
_MOST_IDS = 256 * 2**20
_MOST_DIMENSIONS = 2**20
_MOST_VERSIONS = 200
_REASON_LENGTH = 400
_ID_LENGTH = 400
_SHOWN_LENGTH = 200
_UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""What a terminal would obey, and what no file can hold."""


class Request(Part):
    """``/input/request.json``."""

    contract: Literal[1] = 1
    output: Literal["embedding", "prediction"]
    seed: int
    params: dict[str, Scalar]
    values: str = Field(description="What the matrix of cells.h5ad holds: counts, log-normalised, scaled, continuous")
    features: str = Field(description="What var_names are: gene symbols, Ensembl genes, …")
    taxa: list[int] = Field(description="NCBI taxa of the cells")
    n_cells: int
    n_genes: int
    threads: int
    gpu: bool


Word = Annotated[str, StringConstraints(pattern=r"^[ -~]{1,100}$")]
"""Short, and harmless to print."""


class Response(Part):
    """``/output/response.json``."""

    contract: Literal[1]
    versions: dict[Word, Word] = Field(
        default={}, max_length=_MOST_VERSIONS, description="Of what decides the output: package → version"
    )
    genes: Genes | None = None
    reason: str | None = Field(default=None, description="Why there is no output, beside an exit code")


def write_input(folder: Path, adata: ad.AnnData, request: Request) -> None:
    """Write what a container is given into an empty folder, readable for anybody."""
    shown = adata.copy()
    if sparse.issparse(shown.X):
        shown.X = sparse.csr_matrix(shown.X)
    shown.write_h5ad(folder / CELLS)
    (folder / REQUEST).write_text(request.model_dump_json(indent=1) + "\n", encoding="utf-8")
    for path in folder.iterdir():
        path.chmod(0o444)


def read_response(folder: Path) -> Response | None:
    """Return what a container says about its run; None when it says nothing.

    Raises
    ------
    InvalidOutputError
    """
    if not os.path.lexists(folder / RESPONSE):
        return None
    said = _read_json(folder, RESPONSE, _MOST_RESPONSE)
    try:
        return Response.model_validate(said)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(_shown, first["loc"])) or "the file"
        raise InvalidOutputError(f"{RESPONSE}: {where}: {first['msg']}") from None


def read_embedding(folder: Path, n_cells: int) -> pd.DataFrame:
    """Return what a container wrote as an embedding, with its cell ids as the index.

    Parameters
    ----------
    n_cells
        How many cells it was given: more rows than that are not read.

    Returns
    -------
    (n_cells × n_dimensions) real numbers, of which nothing is known yet.

    Raises
    ------
    InvalidOutputError
        When a file is missing, no plain file, or not what its header says.
    """
    values = _read_array(folder, EMBEDDING, n_cells)
    ids = _read_json(folder, CELL_IDS, min(_MOST_IDS, _MOST_RESPONSE + 2 * _ID_LENGTH * n_cells))
    if not isinstance(ids, list):
        raise InvalidOutputError(f"{CELL_IDS}: expected a list of strings, found a {type(ids).__name__}")
    for one in ids:
        _need_id(CELL_IDS, one)
    if len(ids) != len(values):
        raise InvalidOutputError(f"{CELL_IDS}: expected {len(values):,} ids, one for each row, found {len(ids):,}")
    return pd.DataFrame(values, index=ids)


def read_prediction(folder: Path, n_perturbations: int, n_genes: int) -> pd.DataFrame:
    """Return what a container wrote as a prediction: rows are perturbations, columns genes.

    A process of its own reads it: a few wrong bytes make the library for HDF5 crash, go round in circles, or ask for
    more memory than there is.

    Raises
    ------
    InvalidOutputError
    """
    _open(folder, PREDICTION, 8 * n_perturbations * n_genes + _MOST_AROUND).close()
    command = [sys.executable, "-m", __name__, str(folder), str(n_perturbations), str(n_genes)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_READING_S, check=False)  # noqa: S603
    except subprocess.TimeoutExpired:
        raise InvalidOutputError(
            f"{PREDICTION}: expected .h5ad, found a file that cannot be read within {_READING_S} s"
        ) from None
    if done.returncode == _REFUSED:
        raise InvalidOutputError(done.stdout.decode())
    if done.returncode != 0:
        raise InvalidOutputError(f"{PREDICTION}: expected .h5ad, found a file that ends whoever reads it")
    with np.load(io.BytesIO(done.stdout), allow_pickle=False) as held:
        return pd.DataFrame(held["values"], index=held["obs"].tolist(), columns=held["var"].tolist())


def parse_prediction(folder: Path, n_perturbations: int, n_genes: int) -> dict[str, NDArray[Any]]:
    """Read a prediction in this very process; the result has ``values``, and the names ``obs`` and ``var``.

    Raises
    ------
    InvalidOutputError
    """
    with _open(folder, PREDICTION, 8 * n_perturbations * n_genes + _MOST_AROUND) as raw:
        try:
            with h5py.File(raw, "r") as file:
                matrix = _plain_dataset(file, "X")
                if matrix.ndim != 2 or matrix.shape[0] > n_perturbations or matrix.shape[1] != n_genes:
                    raise InvalidOutputError(
                        f"{PREDICTION}: expected X with at most {n_perturbations:,} rows and {n_genes:,} columns, "
                        f"found shape {matrix.shape}"
                    )
                if matrix.dtype.kind != "f" or matrix.dtype.itemsize > 8:
                    raise InvalidOutputError(
                        f"{PREDICTION}: expected X of floating-point numbers, found {_shown(matrix.dtype)}"
                    )
                names = {
                    part: np.array(_names(file, part, length), dtype=str)
                    for part, length in zip(("obs", "var"), matrix.shape, strict=True)
                }
                return {"values": matrix[()], **names}
        except InvalidOutputError:
            raise
        except Exception as error:  # whatever a broken file makes of h5py
            said = _shown(" ".join(str(error).split()))
            raise InvalidOutputError(f"{PREDICTION}: cannot be read as .h5ad: {said}") from None


def reason_of(response: Response | None, log: str) -> str:
    """Return why a container gave no output, in its own words: what it wrote down, or the last line it printed."""
    said = (response.reason if response else None) or next(reversed(log.splitlines()), "") or "it printed nothing"
    said = " ".join(_UNFIT.sub(" ", said).split())
    return said if len(said) <= _REASON_LENGTH else f"{said[:_REASON_LENGTH]}…"


def _names(file: h5py.File, part: str, length: int) -> list[str]:
    frame = _member(file, part, h5py.Group)
    key = frame.attrs.get("_index", "_index")
    if not isinstance(key, str):
        raise InvalidOutputError(f"{PREDICTION}: expected the name of an index in {part}, found {_shown(key)}")
    found = _plain_dataset(frame, key)
    if found.shape != (length,):
        raise InvalidOutputError(f"{PREDICTION}: expected {length:,} names in {part}, found shape {found.shape}")
    kind = h5py.check_string_dtype(found.dtype)
    if kind is None or (kind.length or 0) > _ID_LENGTH:
        raise InvalidOutputError(f"{PREDICTION}: expected strings as names in {part}, found {_shown(found.dtype)}")
    text, names = found.asstr(), []
    # One at a time, since all of them may stand for the same long text.
    for row in range(length):
        names.append(text[row])
        _need_id(PREDICTION, names[-1])
    return names


def _need_id(where: str, found: Any) -> None:
    """Refuse what is no name of a cell, gene or perturbation, and could not be shown or stored."""
    if not isinstance(found, str):
        raise InvalidOutputError(f"{where}: expected a list of strings, found a {type(found).__name__} in it")
    if len(found) > _ID_LENGTH:
        raise InvalidOutputError(
            f"{where}: expected at most {_ID_LENGTH} characters in a name, found {len(found):,} in {_shown(found)}"
        )
    if _UNFIT.search(found):
        raise InvalidOutputError(f"{where}: expected names of printable characters, found {_shown(found)}")


def _plain_dataset(group: h5py.Group, name: str) -> h5py.Dataset:
    """Return a dataset whose bytes lie in the file itself, as they are: packed ones may be of any size."""
    found = _member(group, name, h5py.Dataset)
    if found.external or found.is_virtual:
        raise InvalidOutputError(f"{PREDICTION}: expected {_shown(name)} in the file itself, found other files' data")
    if found.id.get_create_plist().get_nfilters():
        raise InvalidOutputError(f"{PREDICTION}: expected {_shown(name)} without compression, found it compressed")
    return found


def _member(group: h5py.Group, name: str, kind: type) -> Any:
    if "/" in name or not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise InvalidOutputError(f"{PREDICTION}: expected {_shown(name)} as a plain member, found a link or nothing")
    found = group[name]
    if not isinstance(found, kind):
        raise InvalidOutputError(
            f"{PREDICTION}: expected {_shown(name)} to be a {kind.__name__.lower()}, "
            f"found a {type(found).__name__.lower()}"
        )
    return found


def _read_array(folder: Path, name: str, most_rows: int) -> NDArray[Any]:
    """Read a ``.npy`` file without trusting it: the header says exactly what follows, or it is refused."""
    with _open(folder, name, 8 * most_rows * _MOST_DIMENSIONS) as file:
        try:
            version = npy.read_magic(file)
            if version != (1, 0):  # of others the header alone may be of any size, and numbers never need them
                raise ValueError(f"expected version 1.0 of the format, found {version[0]}.{version[1]}")
            shape, is_fortran, dtype = npy.read_array_header_1_0(file)
        except Exception as error:  # a header is parsed as Python, which fails in many ways
            raise InvalidOutputError(
                f"{name}: expected a .npy file, found none: {_shown(' '.join(str(error).split()))}"
            ) from None
        if dtype.hasobject or dtype.kind != "f" or dtype.itemsize not in (2, 4, 8):
            raise InvalidOutputError(f"{name}: expected floating-point numbers, found dtype {_shown(dtype)}")
        if any(isinstance(one, bool) or not 0 <= one < 2**63 for one in shape):
            raise InvalidOutputError(f"{name}: expected a shape of sizes, found one that no array has")
        if len(shape) != 2:
            raise InvalidOutputError(f"{name}: expected 2 dimensions (cells × values), found shape {_shown(shape)}")
        if shape[0] > most_rows:
            raise InvalidOutputError(f"{name}: expected {most_rows:,} rows, one per cell, found {shape[0]:,}")
        if not 0 < shape[1] <= _MOST_DIMENSIONS:
            raise InvalidOutputError(f"{name}: expected 1 to {_MOST_DIMENSIONS:,} values per cell, found {shape[1]:,}")
        expected = shape[0] * shape[1] * dtype.itemsize
        left = os.fstat(file.fileno()).st_size - file.tell()
        if left != expected:
            raise InvalidOutputError(f"{name}: expected {expected:,} bytes after its header, found {left:,}")
        values = np.frombuffer(file.read(expected), dtype=dtype)
    return values.reshape(shape, order="F" if is_fortran else "C").astype(
        np.float64 if dtype.itemsize == 8 else np.float32
    )


def _read_json(folder: Path, name: str, most_bytes: int) -> Any:
    with _open(folder, name, most_bytes) as file:
        try:
            return json.loads(file.read(most_bytes).decode("utf-8"))
        except (ValueError, RecursionError) as error:
            raise InvalidOutputError(
                f"{name}: expected JSON, found none: {_shown(' '.join(str(error).split()))}"
            ) from None


def _shown(found: object) -> str:
    """Return the beginning of what a container chose, without anything that a terminal would obey."""
    text = ascii(str(found))[1:-1]
    return text if len(text) <= _SHOWN_LENGTH else f"{text[:_SHOWN_LENGTH]}…"


def _open(folder: Path, name: str, most_bytes: int) -> Any:
    """Open a plain file of a folder: no link, pipe or device, and not larger than it can be.

    It is the file that was looked at: its kind and size are asked of what was opened.
    """
    try:
        # Without waiting, since a pipe would wait for somebody who writes.
        number = os.open(folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        there = ", ".join(ascii(path.name) for path in sorted(folder.iterdir())[:10]) or "nothing"
        raise InvalidOutputError(f"wrote no {name} (found in /output: {there})") from None
    except OSError as error:
        mode = (folder / name).lstat().st_mode
        found = f"one that cannot be opened ({error.strerror})" if stat.S_ISREG(mode) else f"a {_kind(mode)}"
        raise InvalidOutputError(f"{name}: expected a plain file, found {found}") from None
    opened = os.fstat(number)
    if not stat.S_ISREG(opened.st_mode):
        os.close(number)
        raise InvalidOutputError(f"{name}: expected a plain file, found a {_kind(opened.st_mode)}")
    if opened.st_size > most_bytes:
        os.close(number)
        raise InvalidOutputError(f"{name}: expected at most {most_bytes:,} bytes, found {opened.st_size:,}")
    return os.fdopen(number, "rb")


def _kind(mode: int) -> str:
    kinds: Mapping[str, bool] = {
        "folder": stat.S_ISDIR(mode),
        "link": stat.S_ISLNK(mode),
        "pipe": stat.S_ISFIFO(mode),
        "socket": stat.S_ISSOCK(mode),
    }
    return next((name for name, is_it in kinds.items() if is_it), "device")


if __name__ == "__main__":
    with contextlib.suppress(ImportError, ValueError, OSError):  # where the system has no such limit
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))
    try:
        read = parse_prediction(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
    except InvalidOutputError as refused:
        sys.stdout.buffer.write(str(refused).encode())
        sys.exit(_REFUSED)
    packed = io.BytesIO()
    np.savez(packed, allow_pickle=False, **read)
    sys.stdout.buffer.write(packed.getbuffer())
