"""What fingerprints take from cells: hashes of their counts, and sketches of the genes that were detected."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from cellgauge.cards.problems import UserError
from cellgauge.data.content import read_rows
from cellgauge.data.fingerprint_file import NO_HASH, Hashes
from cellgauge.data.recover import NOT_RECOVERED, believable, recover_counts, reduce_cells

Progress = Callable[[int, int], None]
"""Called with the number of cells that are done and the number of all."""

_VALUES_AT_ONCE, _ROWS_AT_ONCE = 2**24, 4096
_ENSEMBL = re.compile(r"(ENS[A-Z]*G\d{11})(\.\d+)?")
_MIN_SHARE_AT_MINIMUM = 0.05
_MAX_SHARE_OF_ZEROS = 0.2
"""Scaling gene by gene leaves hardly any zeros but in genes that do not vary."""


def gene_hashes(gene_ids: Iterable[str]) -> Hashes:
    """Return (n_genes,) BLAKE2b of gene ids, 64 bits; Ensembl ids without their version."""
    names = [match[1] if (match := _ENSEMBL.fullmatch(name)) else name for name in gene_ids]
    digests = b"".join(hashlib.blake2b(name.encode(), digest_size=8).digest() for name in names)
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)


def cell_hashes(genes: Hashes, counts: NDArray[np.int64], lengths: NDArray[np.int64]) -> Hashes:
    """Return (n_cells,) hashes of multisets of (gene, count); ``NO_HASH`` for a cell without counts.

    The hash is the sum of the mixed pairs modulo 2^64, mixed once more (Clarke et al. 2003), with the finaliser of
    SplitMix64 (Steele et al. 2014) as the mixing function. It is not meant to withstand somebody who forges a match.

    Parameters
    ----------
    genes, counts
        (n_stored,) hash of the gene and its count, cell after cell.
    lengths
        (n_cells,) how many of them belong to each cell.
    """
    pairs = _mix(genes ^ _mix(counts.astype(np.uint64)))
    mixed = _mix(reduce_cells(np.add, pairs, lengths))
    return np.asarray(np.where(lengths > 0, np.maximum(mixed, 1), NO_HASH))


def _mix(x: Hashes) -> Hashes:
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def share_ensembl(names: list[str]) -> float:
    """Return how many of some gene ids are of the kind ENSG00000229807, as a share."""
    return sum(_ENSEMBL.fullmatch(name) is not None for name in names) / max(1, len(names))


@dataclass(frozen=True)
class Rows:
    """Slices of a matrix: CSR, without explicit zeros, finite."""

    matrix: Any
    source: str
    on_progress: Progress | None

    def __iter__(self) -> Iterator[Any]:
        n_cells, n_genes = self.matrix.shape
        step = min(_ROWS_AT_ONCE, max(1, _VALUES_AT_ONCE // n_genes))
        for start in range(0, n_cells, step):
            try:
                rows = sparse.csr_matrix(read_rows(self.matrix, start, start + step), copy=True)
            except (OSError, ValueError) as error:  # of a damaged file
                raise UserError(f"{self.source}: the matrix cannot be read: {error}") from None
            if rows.dtype.kind not in "biuf":
                raise UserError(f"{self.source}: expected numbers, found values of type {rows.dtype}")
            rows = rows.astype(np.uint8) if rows.dtype.kind == "b" else rows
            rows.sum_duplicates()
            rows.eliminate_zeros()
            if not np.isfinite(rows.data).all():
                raise UserError(f"{self.source}: expected numbers, found values that are NaN or infinite")
            yield rows
            if self.on_progress is not None:
                self.on_progress(min(start + step, n_cells), n_cells)


class Cells(NamedTuple):
    """What was taken from cells."""

    hashes: Hashes
    """(n_cells,) of the counts, whether or not they can be believed."""
    way: NDArray[np.int8]
    """(n_cells,) how the counts were obtained."""
    detected: NDArray[np.int64]
    """(n_cells,) number of genes."""
    sizes: NDArray[np.int64]
    """(n_cells,) genes in the sketch."""
    digests: Hashes
    """(n_cells,) of the sketches, to sort by."""
    ranks: NDArray[np.int32]
    """(sum of sizes,) positions of genes in the order of their hashes."""


@dataclass(frozen=True)
class Look:
    """Takes the fingerprints of cells."""

    genes: Hashes
    rank: NDArray[np.int32]
    """(n_columns,) position of a column's gene in ``genes``."""
    sketch_size: int

    def at_counts(self, rows: Rows) -> Cells | None:
        """Take what can be taken where zero means that a gene was not detected; ``None`` if it means nothing."""
        parts, full = [], True
        for part in rows:
            if part.nnz and part.data.min() < 0:
                return None
            lengths = np.diff(part.indptr).astype(np.int64)
            counts, way = recover_counts(part.data, lengths)
            hashes = cell_hashes(self.genes[self.rank[part.indices]], counts, lengths)
            parts.append(Cells(hashes, way, lengths, *self._sketch(part)))
            full &= part.nnz == np.prod(part.shape)
        cells = _joined(parts)
        return None if full and not believable(cells.way, cells.detected).any() else cells

    def at_scaled(self, rows: Rows) -> Cells:
        """Take sketches of values that were centred and scaled by gene, where every zero has become the minimum."""
        minima = _minima(rows)
        parts = []
        for part in rows:
            above = sparse.csr_matrix(part.toarray() > minima)
            lengths = np.diff(above.indptr).astype(np.int64)
            none = np.zeros(len(lengths), dtype=np.uint64)
            parts.append(Cells(none, np.full(len(lengths), NOT_RECOVERED, np.int8), lengths, *self._sketch(above)))
        return _joined(parts)

    def _sketch(self, rows: Any) -> tuple[NDArray[np.int64], Hashes, NDArray[np.int32]]:
        detected = np.ones(rows.nnz, dtype=bool)
        ordered = sparse.csr_matrix((detected, self.rank[rows.indices], rows.indptr), (rows.shape[0], len(self.genes)))
        ordered.sum_duplicates()
        lengths = np.diff(ordered.indptr).astype(np.int64)
        place = np.arange(ordered.nnz) - np.repeat(ordered.indptr[:-1], lengths)
        sizes = np.minimum(lengths, self.sketch_size)
        ranks = ordered.indices[place < self.sketch_size].astype(np.int32)
        return sizes, reduce_cells(np.add, _mix(self.genes[ranks]), sizes), ranks


def _joined(parts: list[Cells]) -> Cells:
    return Cells(*(np.concatenate(fields) for fields in zip(*parts, strict=True)))


def _minima(rows: Rows) -> NDArray[np.float64]:
    """Return (n_genes,) the smallest value of each gene.

    Raises
    ------
    UserError
        When it is not shared by many cells, as the image of zero would be.
    """
    n_cells, n_genes = rows.matrix.shape
    minima, maxima = np.full(n_genes, np.inf), np.full(n_genes, -np.inf)
    at_minimum = np.zeros(n_genes, dtype=np.int64)
    n_zeros = 0
    for part in rows:
        values = part.toarray()
        n_zeros += int(np.count_nonzero(values == 0))
        lowest = values.min(axis=0)
        at_minimum[lowest < minima] = 0
        minima, maxima = np.minimum(minima, lowest), np.maximum(maxima, values.max(axis=0))
        at_minimum += np.count_nonzero(values == minima, axis=0)
    if n_zeros > _MAX_SHARE_OF_ZEROS * n_cells * n_genes:
        raise UserError(
            f"{rows.source}: expected counts, or values made from them; found values below zero (down to "
            f"{minima.min():g}) among {n_zeros / (n_cells * n_genes):.0%} zeros, which scaled data do not have"
        )
    varies = maxima > minima
    share = np.where(at_minimum > 1, at_minimum, 0)[varies].sum() / max(1, n_cells * varies.sum())
    if share < _MIN_SHARE_AT_MINIMUM:
        raise UserError(
            f"{rows.source}: it cannot be told which genes were detected. There are no zeros, or values below zero, "
            f"and only {share:.1%} of the values are the smallest of their gene, as the zeros of scaled data are. "
            "Corrected or imputed values have no fingerprints; give counts or normalised values instead"
        )
    return minima
