"""Fingerprints of cells: what is needed to find the same cells in another dataset, without expression values.

There are two of them, and they do different jobs. The *exact* hash of a cell is 64 bits made from its counts; one
changed count changes it. The *sketch* of a cell says of a fixed pseudo-random part of the genes which ones were
detected; it survives another normalisation, a choice of genes and the loss of molecules.

What they disclose: the exact hash lets whoever has the same counts see that they are the same, and nothing else short
of guessing all counts of a cell. The sketch tells everybody which of those genes were detected in each cell. Gene ids
are hashed for uniformity and not for secrecy, since their names are public.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from anndata.io import read_elem
from numpy.typing import NDArray
from scipy import sparse

from cellgauge.cards.problems import UserError
from cellgauge.data.cell_sketches import Cells, Look, Progress, Rows, gene_hashes, share_ensembl
from cellgauge.data.contents import by_rows, stored_at
from cellgauge.data.fingerprint_file import NO_HASH, Fingerprint, Hashes, Header
from cellgauge.data.recover import NOT_RECOVERED, WAYS, believable

__all__ = ["NO_HASH", "SKETCH_SIZE", "Fingerprint", "Header", "fingerprint", "fingerprint_h5ad"]

SKETCH_SIZE = 1024
"""Chosen by measurement; the page on fingerprints says which."""

_HALF, _MOSTLY = 0.5, 0.95


def fingerprint(
    matrix: Any,
    gene_ids: Iterable[str],
    *,
    sketch_size: int = SKETCH_SIZE,
    source: str = "matrix",
    gene_column: str | None = None,
    on_progress: Progress | None = None,
) -> Fingerprint:
    """Make the fingerprints of cells. Neither the order of the cells nor that of the genes matters.

    Parameters
    ----------
    matrix
        (n_cells × n_genes) counts, or values made from them; dense or sparse, in memory or an open array of an
        ``.h5ad`` file. Read in slices of rows and never made dense as a whole.
    gene_ids
        (n_genes,). Version suffixes of Ensembl ids are ignored.
    sketch_size
        How many genes a sketch holds at most: the first that were detected, in the order of their hashes
        (a bottom-k sketch; Cohen and Kaplan 2007).
    source, gene_column
        What the header is to say about the origin of the matrix and of the gene ids.

    Raises
    ------
    UserError
        When values are missing or infinite, or are such that it cannot be told which genes were detected.
    """
    names = [str(name) for name in gene_ids]
    n_cells, n_genes = matrix.shape
    if n_genes != len(names) or not n_cells or not n_genes:
        raise UserError(f"{source}: expected cells × {len(names)} genes, found a matrix of {n_cells} × {n_genes}")
    if sketch_size < 1:
        raise UserError(f"expected sketches of one gene or more, found a size of {sketch_size}")
    rows = Rows(sparse.csr_matrix(matrix) if sparse.issparse(matrix) else matrix, source, on_progress)
    genes, rank = np.unique(gene_hashes(names), return_inverse=True)
    look = Look(genes, rank.astype(np.int32), sketch_size)
    cells, detected = look.at_counts(rows), "above zero"
    if cells is None:
        cells, detected = look.at_scaled(rows), "above the minimum of the gene"
    return _assemble(
        cells,
        genes,
        matrix=source,
        gene_column=gene_column,
        gene_ids="Ensembl genes" if share_ensembl(names) > _HALF else "other names",
        sketch_size=sketch_size,
        detected=detected,
    )


def fingerprint_h5ad(
    path: Path,
    *,
    location: str | None = None,
    gene_column: str | None = None,
    sketch_size: int = SKETCH_SIZE,
    on_progress: Progress | None = None,
) -> Fingerprint:
    """Make the fingerprints of the cells in an ``.h5ad`` file, a slice of rows at a time.

    A matrix that is stored by columns is read as a whole.

    Parameters
    ----------
    location
        ``X``, ``raw`` or ``layers/NAME``; by default the first that is there of ``layers/counts``, ``raw`` and ``X``.
    gene_column
        Column of var with the gene ids; by default the index, or the first column that holds Ensembl ids where the
        index does not.

    Raises
    ------
    UserError
        When the file cannot be read, when there is nothing at that place, and as in ``fingerprint``.
    """
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise UserError(f"{path}: expected an .h5ad file, but it cannot be opened: {error}") from None
    with file:
        location = location or next((x for x in ("layers/counts", "raw", "X") if stored_at(x) in file), "X")
        stored = file.get(stored_at(location))
        if stored is None:
            there = [x for x in ("X", "raw") if stored_at(x) in file]
            there += [f"layers/{name}" for name in file.get("layers", ())]
            raise UserError(f"{path}: expected a matrix at {location}, found: {', '.join(there) or 'none'}")
        try:
            var = read_elem(file["raw/var" if location == "raw" else "var"])
            matrix = by_rows(stored)
        except Exception as error:  # h5py and anndata raise whatever they like
            raise UserError(f"{path}: {location} cannot be read: {error}") from None
        gene_ids, gene_column = _gene_ids(var, gene_column, path)
        return fingerprint(
            matrix,
            gene_ids,
            sketch_size=sketch_size,
            source=location,
            gene_column=gene_column,
            on_progress=on_progress,
        )


def _assemble(cells: Cells, genes: Hashes, **said: Any) -> Fingerprint:
    believed = believable(cells.way, cells.detected)
    exact = np.where(believed, cells.hashes, np.uint64(NO_HASH))
    order = np.lexsort((cells.digests, exact))
    starts = np.concatenate([[0], np.cumsum(cells.sizes)])
    flags = np.ones(len(cells.ranks), dtype=bool)
    sketches = sparse.csr_matrix((flags, cells.ranks, starts), (len(exact), len(genes)))[order]
    ways, numbers = np.unique(cells.way[believed], return_counts=True)
    header = Header(
        n_cells=len(exact),
        n_genes=len(genes),
        n_hashed=int(np.count_nonzero(believed)),
        counts_from={WAYS[way]: int(number) for way, number in zip(ways, numbers, strict=True)},
        not_hashed=_why_not(cells, believed, said["detected"] != "above zero"),
        **said,
    )
    return Fingerprint(header, exact[order], genes, cells.sizes[order], sketches.indices.astype(np.int32))


def _why_not(cells: Cells, believed: NDArray[np.bool_], scaled: bool) -> str | None:
    if scaled:
        return "Counts cannot be recovered from values that were centred and scaled gene by gene."
    empty = cells.detected == 0
    unfit = (cells.way == NOT_RECOVERED) & ~empty
    reasons = {
        "without any counts": empty,
        "with values that are not whole multiples of one number, as normalised counts are": unfit,
        "with too little to tell whether their values come from counts": ~believed & ~empty & ~unfit,
    }
    said = [f"{np.count_nonzero(which):,} {why}" for why, which in reasons.items() if which.any()]
    return f"Cells {', '.join(said)}." if said else None


def _gene_ids(var: Any, column: str | None, path: Path) -> tuple[list[str], str | None]:
    """Return gene ids and the column they are from; Ensembl ids if there are any, since symbols change."""
    index = [str(name) for name in var.index]
    if column is not None:
        if column not in var:
            known = ", ".join(map(str, var.columns)) or "none"
            raise UserError(f'{path}: expected gene ids in the column "{column}" of var, found the columns: {known}')
        return [str(name) for name in var[column]], column
    if share_ensembl(index) < _MOSTLY:
        for name in var.columns:
            if share_ensembl(values := [str(value) for value in var[name]]) >= _MOSTLY:
                return values, str(name)
    return index, None
