"""Human and mouse pancreas (Baron et al. 2016, doi:10.1016/j.cels.2016.08.011), 35 cells of each of five types.

The file is a Seurat object of the R package CIDER. It lists both species' cells on 12,474 genes, under symbols in
capitals: human genes and capitalised mouse genes were matched by name. The names of real one-to-one orthologs are
mostly the same, but the same name is no proof; ``both`` therefore keeps only what a table of orthologs confirms.

There are two things about the file that one would not guess:

- The 35 mouse stellate cells were drawn with replacement from 13. The 22 copies, recognisable by the id of their
  column, are left out here, for a cell and its copy in two folds of a classifier would be cheating.
- Insulin is called INS1. In human cells that can only be INS, and is called so here; in mouse cells it is Ins1 by
  name, but whether it also holds the counts of Ins2 cannot be told from the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import rdata
from numpy.typing import NDArray
from scipy import sparse

from cellgauge.cards.problems import UserError
from cellgauge.data.recipes.assembling import assemble
from cellgauge.data.recipes.originals import named, need_columns
from cellgauge.data.recipes.orthologs import one_to_one

SPECIES = {"human": "Homo sapiens", "mouse": "Mus musculus"}
"""Name of a species in the file → its scientific name, as in the cards."""

_INSULIN = {"INS1": "INS"}
_COLUMNS = ("Batch", "Group", "Sample", "nCount_RNA")
_R_CLASSES = ("Seurat", "Assay", "dgCMatrix", "package_version", "numeric_version")


def baron_pancreas(files: Mapping[str, Path], *, species: str) -> ad.AnnData:
    """Return the cells of one species with its own symbols, or of both on their one-to-one orthologs.

    Parameters
    ----------
    files
        ``pancreas``, the R object; for both species also ``orthologs``, a table of human and mouse symbols.
    species
        ``human``, ``mouse`` or ``both``.

    Returns
    -------
    X holds counts: human (175 × 12,474), mouse (153 × 12,474), both (328 × 11,389, under human symbols, with the
    mouse's in ``var["mouse_gene"]``). In obs: ``cell_type``, ``donor`` and ``species`` (scientific name).

    Raises
    ------
    UserError
        When a file cannot be read or is not that object.
    """
    if species not in (*SPECIES, "both"):
        raise UserError(f'species: expected "human", "mouse" or "both", found "{species}"')
    if species == "both":
        path, table = named(files, "pancreas", "orthologs")
        return _both(_read(path), one_to_one(table, "orthologs"))
    (path,) = named(files, "pancreas")
    cells = _read(path).of(species)
    symbols = human_symbols(cells.genes) if species == "human" else mouse_symbols(cells.genes)
    return assemble(cells.counts, cells.ids, symbols, cells.obs())


def human_symbols(genes: list[str]) -> list[str]:
    """Return the file's gene names as human symbols: all but insulin's are."""
    return [_INSULIN.get(gene, gene) for gene in genes]


def mouse_symbols(genes: list[str]) -> list[str]:
    """Return the file's gene names as mouse symbols: by convention, only the first letter is a capital.

    Of the 11,889 names that the table of orthologs knows as mouse genes, this is the spelling of all but one.
    """
    return [gene.capitalize() for gene in genes]


@dataclass(frozen=True)
class _Cells:
    counts: sparse.csr_matrix
    """(n_cells × n_genes)."""
    ids: NDArray[np.str_]
    genes: list[str]
    table: pd.DataFrame
    """One row per cell, in the same order."""

    def take(self, rows: NDArray[np.bool_]) -> _Cells:
        return _Cells(self.counts[rows], self.ids[rows], self.genes, self.table[rows])

    def of(self, species: str) -> _Cells:
        return self.take((self.table["Batch"].astype(str) == species).to_numpy())

    def obs(self) -> dict[str, Any]:
        table = self.table.astype(dict.fromkeys(("Batch", "Group", "Sample"), str))
        return {
            "cell_type": table["Group"].to_numpy(dtype=object),
            "donor": table["Sample"].to_numpy(dtype=object),
            "species": table["Batch"].map(SPECIES).to_numpy(dtype=object),
        }


def _both(cells: _Cells, orthologs: dict[str, str]) -> ad.AnnData:
    kept = [position for position, gene in enumerate(cells.genes) if orthologs.get(gene, "").upper() == gene]
    if not kept:
        raise UserError(f"orthologs: none of the {len(cells.genes):,} genes is in the table (such as {cells.genes[0]})")
    genes = [cells.genes[position] for position in kept]
    return assemble(
        cells.counts[:, kept], cells.ids, genes, cells.obs(), {"mouse_gene": [orthologs[gene] for gene in genes]}
    )


def _read(path: Path) -> _Cells:
    """Return the distinct cells of the R object."""
    counts, ids, genes, table = _parts(_seurat(path))
    need_columns(table, _COLUMNS, "pancreas: meta.data")
    strangers = sorted(set(table["Batch"].astype(str)) - set(SPECIES))
    if strangers:
        raise UserError(f"pancreas: expected the species human and mouse in Batch, found {', '.join(strangers)}")
    rows = [str(row) for row in table.index]
    # R makes repeated row names unique by a suffix (".1"), and leaves the names of the matrix's columns as they are.
    if [row if row == cell else row.rpartition(".")[0] for row, cell in zip(rows, ids, strict=False)] != list(ids):
        raise UserError("pancreas: expected the rows of meta.data to be the columns of the counts, in the same order")
    if not np.array_equal(np.asarray(counts.sum(axis=1)).ravel(), table["nCount_RNA"].to_numpy(dtype=np.float64)):
        raise UserError("pancreas: nCount_RNA is not the sum of each cell's counts; matrix and meta.data disagree")
    cells = _Cells(counts, ids, genes, table)
    return cells.take(_first_of_each(cells))


def _first_of_each(cells: _Cells) -> NDArray[np.bool_]:
    """Mark the cells that are not copies of an earlier one."""
    _, first, which = np.unique(cells.ids, return_index=True, return_inverse=True)
    original = first[which]
    copies = np.flatnonzero(original != np.arange(len(original)))
    for copy in copies:
        if (cells.counts[copy] != cells.counts[original[copy]]).nnz:
            raise UserError(f"pancreas: two cells with different counts have the id {cells.ids[copy]}")
    kept = np.ones(len(original), dtype=bool)
    kept[copies] = False
    return kept


def _seurat(path: Path) -> Any:
    constructors = dict(rdata.conversion.DEFAULT_CLASS_MAP)
    constructors.update(dict.fromkeys(_R_CLASSES, _as_it_is))  # rdata warns of classes that it does not know
    try:
        found = rdata.read_rda(path, constructor_dict=constructors)
    except Exception as error:  # each compression and each part of the format fails in its own way
        raise UserError(f"pancreas: expected an .RData file, but it cannot be read: {error}") from None
    if "pancreas" not in found:
        raise UserError(f'pancreas: expected an R object "pancreas", found: {", ".join(map(str, found)) or "none"}')
    return found["pancreas"]


def _as_it_is(value: Any, attributes: Mapping[str, Any]) -> Any:
    return value


def _parts(seurat: Any) -> tuple[sparse.csr_matrix, NDArray[np.str_], list[str], pd.DataFrame]:
    try:
        stored = seurat.assays["RNA"].counts
        table = vars(seurat)["meta.data"]
        n_genes, n_cells = (int(size) for size in stored.Dim)
        genes, ids = ([str(name) for name in names] for names in stored.Dimnames)
        by_gene = sparse.csc_matrix((stored.x, stored.i, stored.p), shape=(n_genes, n_cells))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"pancreas: expected a Seurat object with counts and meta.data: {error!r}") from None
    if (by_gene.data != np.rint(by_gene.data)).any() or (by_gene.data < 0).any():
        raise UserError("pancreas: expected counts, found numbers that are negative or not whole")
    return by_gene.T.tocsr(), np.asarray(ids), genes, table
