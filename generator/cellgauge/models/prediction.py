"""A prediction of mean profiles, and what is refused as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cellgauge.models.embedding import InvalidOutputError


def accept_prediction(output: Any, perturbations: Sequence[str], gene_ids: NDArray[np.str_]) -> NDArray[np.float32]:
    """Check a model's predictions and put them into the order of the screen.

    Parameters
    ----------
    output
        A data frame of mean log-normalised profiles: the index names perturbations, the columns genes, both in any
        order. A perturbation that the model cannot predict has no row.
    perturbations
        What is held out.
    gene_ids
        (n_genes,) all genes of the dataset.

    Returns
    -------
    (n_perturbations × n_genes) float32, with a row of NaN for what was not predicted.

    Raises
    ------
    InvalidOutputError
        For anything but a data frame of real numbers, no row at all, names that are unknown or occur twice, missing
        genes, and NaN or infinite values.
    """
    if not isinstance(output, pd.DataFrame):
        raise InvalidOutputError(
            f"expected a data frame with a row for each perturbation and a column for each gene, "
            f"found a {type(output).__name__}"
        )
    rows, columns = output.index.to_numpy(dtype=str), output.columns.to_numpy(dtype=str)
    _need_unique(rows, "perturbations")
    _need_unique(columns, "genes")
    if not len(rows):
        raise InvalidOutputError(f"predicts none of the {len(perturbations)} held-out perturbations")
    if len(unknown := np.setdiff1d(rows, perturbations)):
        raise InvalidOutputError(
            f"{len(unknown)} of the predicted perturbations are not among the {len(perturbations)} that are held out "
            f'(for example {unknown[0]}); names are those of uns["predict"]'
        )
    missing, strange = np.setdiff1d(gene_ids, columns), np.setdiff1d(columns, gene_ids)
    if len(missing) or len(strange):
        problems = [
            f"{len(genes)} genes are {what} (for example {genes[0]})"
            for what, genes in (("missing", missing), ("unknown", strange))
            if len(genes)
        ]
        raise InvalidOutputError(" and ".join(problems))
    values = output.to_numpy()
    if values.dtype.kind not in "fiu":
        raise InvalidOutputError(f"expected real numbers, found dtype {values.dtype}")
    found = values.astype(np.float32)
    bad = ~np.isfinite(found)
    if bad.any():
        first = rows[np.flatnonzero(bad.any(axis=1))[0]]
        raise InvalidOutputError(
            f"{int(bad.sum())} values are NaN or infinite, in {int(bad.any(axis=1).sum())} perturbations "
            f"(first: {first}); leave out the row of a perturbation without a prediction"
        )
    place = {name: row for row, name in enumerate(perturbations)}
    accepted = np.full((len(perturbations), len(gene_ids)), np.nan, dtype=np.float32)
    order = np.argsort(columns)
    accepted[[place[name] for name in rows.tolist()]] = found[:, order[np.searchsorted(columns[order], gene_ids)]]
    return accepted


def _need_unique(names: NDArray[np.str_], what: str) -> None:
    unique, counts = np.unique(names, return_counts=True)
    repeated = unique[counts > 1]
    if len(repeated):
        raise InvalidOutputError(f"{len(repeated)} {what} occur more than once (for example {repeated[0]})")
