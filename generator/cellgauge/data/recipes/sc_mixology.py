"""Three human lung cancer cell lines on two platforms: a mixture whose composition is known by genotype.

Tian et al. 2019 (doi:10.1038/s41592-019-0425-8). Cells of the lines H1975, H2228 and HCC827 were mixed in
equal parts and sequenced with CEL-seq2 and with Drop-seq. Each cell's line was called from its genetic
variants (demuxlet), so that the label does not depend on expression.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse

from cellgauge.cards.problems import UserError
from cellgauge.data.recipes.assembling import assemble
from cellgauge.data.recipes.originals import named, need_columns, read_r_table

PLATFORMS = {"celseq2": "CEL-seq2", "dropseq": "Drop-seq"}
"""Beginning of a file's name in the card → name of the platform."""

_TEXT = ("cell_line_demuxlet", "cell_line", "demuxlet_cls")


def sc_mixology(files: Mapping[str, Path]) -> ad.AnnData:
    """Return the cells of both platforms on the genes that both files list, by Ensembl id.

    Parameters
    ----------
    files
        ``celseq2_counts``, ``celseq2_metadata``, ``dropseq_counts`` and ``dropseq_metadata``, gzipped csv
        files: genes × cells, and one row per cell.

    Returns
    -------
    X holds counts, (499 × 15,073). Cell ids begin with the platform. In obs: ``platform`` and, named as in the
    files, ``cell_line_demuxlet`` (the genotype that explains a cell's variants best), ``cell_line`` (another call,
    whose origin is not documented) and ``demuxlet_cls`` (SNG: one genotype; DBL: taken for a doublet).

    Raises
    ------
    UserError
        When a file cannot be read, a matrix and its metadata are not about the same cells, or a value is no count.
    """
    names = [f"{platform}_{what}" for platform in PLATFORMS for what in ("counts", "metadata")]
    paths = dict(zip(names, named(files, *names), strict=True))
    counts, tables = {}, {}
    for platform in PLATFORMS:
        counts[platform] = _counts(paths[f"{platform}_counts"], f"{platform}_counts")
        tables[platform] = _metadata(paths[f"{platform}_metadata"], f"{platform}_metadata", counts[platform])
    first, second = counts.values()
    shared = sorted(set(first.index) & set(second.index))
    if not shared:
        raise UserError(f"the two platforms share no gene id (for example {first.index[0]} and {second.index[0]})")
    cells = pd.concat(tables.values())
    return assemble(
        sparse.vstack([_cells_by_genes(counts[platform], shared) for platform in PLATFORMS]),
        [f"{platform}:{cell}" for platform in PLATFORMS for cell in counts[platform].columns],
        shared,
        {
            "platform": np.concatenate([[PLATFORMS[name]] * len(table) for name, table in tables.items()]),
            **{column: cells[column] for column in _TEXT},
        },
    )


def _counts(path: Path, what: str) -> pd.DataFrame:
    """Return genes × cells."""
    table = read_r_table(path, what)
    others = [str(name) for name, kind in table.dtypes.items() if kind.kind not in "iu"]
    if others:
        raise UserError(
            f"{what}: expected whole numbers only, but {len(others)} columns hold others, for example {others[0]}"
        )
    if not table.index.is_unique:
        raise UserError(f"{what}: {table.index.duplicated().sum()} gene ids occur more than once; expected unique ids")
    if (table.to_numpy() < 0).any():
        raise UserError(f"{what}: expected counts, found negative numbers")
    return table


def _metadata(path: Path, what: str, counts: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each column of ``counts``, in their order."""
    table = read_r_table(path, what)
    need_columns(table, _TEXT, what)
    without, unknown = sorted(set(counts.columns) - set(table.index)), sorted(set(table.index) - set(counts.columns))
    if without or unknown or len(table) != len(counts.columns):
        example = (without + unknown + ["none"])[0]
        raise UserError(
            f"{what}: expected one row for each of the {len(counts.columns)} cells of the matrix, found {len(table)}; "
            f"{len(without)} cells have no row and {len(unknown)} rows no cell (for example {example})"
        )
    return table.loc[counts.columns]


def _cells_by_genes(counts: pd.DataFrame, genes: list[str]) -> sparse.csr_matrix:
    return sparse.csr_matrix(counts.loc[genes].to_numpy(dtype=np.float32).T)
