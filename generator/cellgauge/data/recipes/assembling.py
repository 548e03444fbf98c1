"""Putting cells together: one order of cells and genes, plain strings, sparse float32."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from cellgauge.cards.problems import UserError


def assemble(
    matrix: Any,
    cell_ids: Sequence[str] | NDArray[np.str_],
    feature_ids: Sequence[str] | NDArray[np.str_],
    obs: Mapping[str, ArrayLike],
    var: Mapping[str, ArrayLike] | None = None,
) -> ad.AnnData:
    """Return an AnnData with cells and features sorted by their ids.

    The order in which a file lists its cells often follows the labels; sorted by id it does not. Sorting is
    by code point, as Python compares strings, and so does not depend on the machine's language.

    Parameters
    ----------
    matrix
        (n_cells × n_features), dense or sparse.
    obs, var
        Column → (n_cells,) or (n_features,) its values. Text stays text: no categoricals.

    Raises
    ------
    UserError
        When ids and matrix do not fit together, or an id occurs twice.
    """
    cells, features = np.asarray(cell_ids, dtype=str), np.asarray(feature_ids, dtype=str)
    if matrix.shape != (len(cells), len(features)):
        raise UserError(
            f"the matrix is {matrix.shape[0]:,} × {matrix.shape[1]:,}, "
            f"but there are {len(cells):,} cell ids and {len(features):,} feature ids"
        )
    _need_unique(cells, "cell")
    _need_unique(features, "feature")
    rows, columns = np.argsort(cells, kind="stable"), np.argsort(features, kind="stable")
    ordered = sparse.csr_matrix(sparse.csr_matrix(matrix)[rows][:, columns], dtype=np.float32)
    ordered.eliminate_zeros()
    ordered.sort_indices()
    return ad.AnnData(ordered, obs=_frame(obs, cells, rows), var=_frame(var or {}, features, columns))


def _need_unique(ids: NDArray[np.str_], what: str) -> None:
    names, counts = np.unique(ids, return_counts=True)
    repeated = names[counts > 1]
    if len(repeated):
        shown = ", ".join(repeated[:3])
        raise UserError(f"{len(repeated):,} {what} ids occur more than once, for example {shown}; expected unique ids")


def _frame(columns: Mapping[str, ArrayLike], ids: NDArray[np.str_], order: NDArray[np.intp]) -> pd.DataFrame:
    values = {name: _plain(np.asarray(column)[order]) for name, column in columns.items()}
    return pd.DataFrame(values, index=pd.Index(ids[order].astype(object)))


def _plain(values: NDArray[Any]) -> NDArray[Any]:
    return values.astype(str).astype(object) if values.dtype.kind in "OUT" else values
