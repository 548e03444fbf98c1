"""The file of a fingerprint: one ``.npz`` without pickled objects, the same bytes for the same cells in any order."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt, ValidationError

from cellgauge.cards.problems import UserError
from cellgauge.results.store import to_json, write_atomically

Hashes = NDArray[np.uint64]

NO_HASH = 0
"""Stands for the exact hash of a cell whose counts are not known."""

DISCLOSES = {
    "exact": "Whether a cell is the same as one whose counts the reader has, all of them. Nothing about a cell whose "
    "counts nobody can guess. The hash is not keyed: anybody can test a guess.",
    "sketch": "Which genes of a fixed pseudo-random part of all genes were detected in each cell, and so cell type and "
    "sex, and perhaps more about the donor. Gene ids are hashed, but their names are public.",
    "neither": "Numbers of molecules, names of cells, the order of cells and genes, annotation.",
}

_ARRAYS = ("header", "exact", "genes", "sizes", "gaps")
_TYPES = {"header": "|u1", "exact": "<u8", "genes": "<u8", "sizes": "<u4"}
_MAX_HEADER_BYTES = 100_000
_MAX_RATIO = 1000
"""Deflate cannot compress more than about a thousandfold."""


class Header(BaseModel):
    """What a fingerprint says about itself."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    format: Literal["cellgauge fingerprint"] = "cellgauge fingerprint"
    version: Literal[1] = 1
    n_cells: PositiveInt
    n_genes: PositiveInt = Field(description="Different gene ids in the dataset, detected or not")
    n_hashed: NonNegativeInt = Field(description="Cells with an exact hash")
    counts_from: dict[str, PositiveInt] = Field(description="How counts were obtained: number of cells")
    not_hashed: str | None = Field(max_length=1000, description="Why cells have no exact hash")
    matrix: str = Field(max_length=1000, description="Where in the file the matrix was")
    gene_ids: Literal["Ensembl genes", "other names"]
    gene_column: str | None = Field(max_length=1000, description="Column of var with the gene ids; null: the index")
    detected: Literal["above zero", "above the minimum of the gene"]
    sketch_size: PositiveInt = Field(description="Genes in a sketch at most, in the order of their hashes")
    discloses: dict[str, str] = Field(default=DISCLOSES)


@dataclass(frozen=True, eq=False)
class Fingerprint:
    """Fingerprints of the cells of one dataset, in an order that says nothing about theirs."""

    header: Header
    exact: Hashes
    """(n_cells,) hash of the counts, ascending; ``NO_HASH`` where they are not known."""
    genes: Hashes
    """(n_genes,) hashes of all gene ids of the dataset, ascending."""
    sizes: NDArray[np.int64]
    """(n_cells,) genes in each sketch: all that were detected, or the first ``sketch_size`` of them."""
    ranks: NDArray[np.int32]
    """(sum of sizes,) positions in ``genes``, cell after cell, ascending in each cell."""

    @property
    def share_hashed(self) -> float:
        """Share of the cells that have an exact hash."""
        return self.header.n_hashed / self.header.n_cells

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """(n_cells + 1,) where in ``ranks`` each sketch begins."""
        return np.concatenate([[0], np.cumsum(self.sizes)])

    def save(self, path: Path) -> None:
        """Write the file, whole or not at all."""
        write_atomically(path, self.to_bytes())

    def to_bytes(self) -> bytes:
        """Return the file's bytes. Equal fingerprints give equal bytes (with the same version of zlib)."""
        previous = np.concatenate([[0], self.ranks[:-1]])
        gaps = self.ranks - previous
        begins = self.starts[:-1][self.sizes > 0]
        gaps[begins] = self.ranks[begins]
        header = np.frombuffer(to_json(self.header), dtype="u1")
        arrays = {"header": header, "exact": self.exact, "genes": self.genes, "sizes": self.sizes, "gaps": gaps}
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for name in _ARRAYS:
                member = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
                stored = io.BytesIO()
                array = arrays[name].astype(_type_of(name, len(self.genes)))
                np.lib.format.write_array(stored, array, version=(1, 0), allow_pickle=False)
                archive.writestr(member, stored.getbuffer(), zipfile.ZIP_DEFLATED, compresslevel=1)
        return buffer.getvalue()

    @classmethod
    def load(cls, path: Path) -> Fingerprint:
        """Read a file, without trusting it.

        Raises
        ------
        UserError
            When it is not a fingerprint, saying what was expected and found.
        """
        try:
            with zipfile.ZipFile(path) as archive:
                arrays = _read_arrays(archive, path.stat().st_size)
            return _check(arrays)
        except OSError as error:
            raise UserError(f"{path}: cannot be read: {error.strerror or error}") from None
        except (
            Exception
        ) as error:  # what a broken archive or array makes zipfile, zlib and numpy raise is not documented
            raise UserError(
                f"{path}: expected a fingerprint, but: {error}. Make it again with: cellgauge fingerprint"
            ) from None


def _type_of(name: str, n_genes: int) -> str:
    return _TYPES.get(name) or ("<u2" if n_genes <= 2**16 else "<u4")


def _read_arrays(archive: zipfile.ZipFile, bytes_on_disk: int) -> dict[str, NDArray[Any]]:
    """Return the arrays as they are stored. Neither sizes in the archive nor headers of arrays can ask for memory."""
    expected = [f"{name}.npy" for name in _ARRAYS]
    found = [member.filename for member in archive.infolist()]
    if sorted(found) != sorted(expected):
        raise ValueError(f"expected the arrays {', '.join(expected)}, found {', '.join(found[:10]) or 'none'}")
    arrays: dict[str, NDArray[Any]] = {}
    for name, member in zip(_ARRAYS, map(archive.getinfo, expected), strict=True):
        most = _MAX_HEADER_BYTES if name == "header" else _MAX_RATIO * bytes_on_disk
        if member.file_size > most:
            raise ValueError(f"{name} claims {member.file_size:,} bytes, expected at most {most:,}")
        with archive.open(member) as file:
            data = file.read(member.file_size + 1)
        n_genes = len(arrays["genes"]) if "genes" in arrays else 0
        arrays[name] = _decode(name, data, np.dtype(_type_of(name, n_genes)))
    return arrays


def _decode(name: str, data: bytes, expected: np.dtype[Any]) -> NDArray[Any]:
    file = io.BytesIO(data)
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError(f"{name}: expected version 1.0 of the .npy format")
    shape, _, dtype = np.lib.format.read_array_header_1_0(file, max_header_size=10_000)
    if len(shape) != 1 or dtype != expected:
        raise ValueError(f"{name}: expected one dimension of {expected}, found shape {shape} of {dtype}")
    values = data[file.tell() :]
    if len(values) != shape[0] * expected.itemsize:
        raise ValueError(f"{name}: expected {shape[0]} values of {expected}, found {len(values)} bytes")
    return np.frombuffer(values, dtype=expected)


def _check(arrays: dict[str, NDArray[Any]]) -> Fingerprint:
    """Make a fingerprint of stored arrays that fit each other.

    Raises
    ------
    ValueError
        When they do not.
    """
    try:
        header = Header.model_validate_json(arrays["header"].tobytes())
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the header"
        raise ValueError(f"header: {where}: {first['msg']}") from None
    exact, genes = arrays["exact"].astype(np.uint64), arrays["genes"].astype(np.uint64)
    sizes, gaps = arrays["sizes"].astype(np.int64), arrays["gaps"]
    for name, found, expected in (
        ("exact", len(exact), header.n_cells),
        ("sizes", len(sizes), header.n_cells),
        ("genes", len(genes), header.n_genes),
        ("gaps", len(gaps), int(sizes.sum())),
        ("exact hashes", int(np.count_nonzero(exact)), header.n_hashed),
        ("cells with counts", sum(header.counts_from.values()), header.n_hashed),
    ):
        if found != expected:
            raise ValueError(f"{name}: expected {expected:,} according to the rest of the file, found {found:,}")
    if np.any(genes[1:] <= genes[:-1]) or np.any(exact[1:] < exact[:-1]):
        raise ValueError("expected ascending hashes of genes and of cells")
    if sizes.max() > header.sketch_size:
        raise ValueError(f"expected sketches of at most {header.sketch_size} genes, found {sizes.max()}")
    return Fingerprint(header, exact, genes, sizes, _ranks(sizes, gaps, header.n_genes))


def _ranks(sizes: NDArray[np.int64], gaps: NDArray[Any], n_genes: int) -> NDArray[np.int32]:
    """Undo the gaps: the first of each sketch is a position, the others are distances from the gene before."""
    filled = sizes[sizes > 0]
    begins = np.cumsum(filled) - filled
    inside = np.ones(len(gaps), dtype=bool)
    inside[begins] = False
    if np.any(gaps[inside] == 0):
        raise ValueError("gaps: a gene occurs twice in a sketch")
    if not len(gaps):
        return np.zeros(0, dtype=np.int32)
    last = np.add.reduceat(gaps, begins, dtype=np.int64)
    if last.max() >= n_genes:
        raise ValueError(f"gaps: a sketch names gene {last.max():,} of {n_genes:,}")
    steps = gaps.astype(np.int32)
    steps[begins[1:]] -= last[:-1].astype(np.int32)
    return np.asarray(np.cumsum(steps, dtype=np.int32))
