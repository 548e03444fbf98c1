"""What a matrix holds, read once and in blocks of rows: its digest, its zeros, whether its numbers are counts.

Every matrix is read through ``row_blocks``, so that one on disk is never in memory as a whole and a
sparse one is never made dense.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

_ROWS_AT_ONCE = 4096
"""Part of the definition of the digest."""
_DENSE_VALUES_AT_ONCE = 2**24


@dataclass(frozen=True)
class Content:
    """A matrix, summed up."""

    digest: str
    """See ``content_digest``."""
    n_stored: int
    """How many values are not zero."""
    n_not_finite: int
    minimum: float
    """Of the finite values."""
    whole_numbers: bool
    """Whether all finite values are."""
    totals: NDArray[np.float64]
    """(n_cells,) the sum of each cell's values."""
    detected: NDArray[np.int64]
    """(n_cells,) how many features are not zero in each cell."""
    cells_with: NDArray[np.int64]
    """(n_features,) how many cells have each feature."""


def row_blocks(matrix: Any) -> Iterator[Any]:
    """Yield a matrix as canonical float32 CSR blocks of 4,096 rows; the last one may be shorter.

    Parameters
    ----------
    matrix
        (n_cells × n_features), dense or sparse, in memory or on disk; only slices of rows are read.
    """
    n_rows, n_columns = matrix.shape
    step = _ROWS_AT_ONCE
    if not sparse.issparse(matrix):
        step = max(1, min(step, _DENSE_VALUES_AT_ONCE // max(1, n_columns)))
    for start in range(0, n_rows, _ROWS_AT_ONCE):
        stop = min(start + _ROWS_AT_ONCE, n_rows)
        slices = [read_rows(matrix, row, min(row + step, stop)) for row in range(start, stop, step)]
        parts = [sparse.csr_matrix(one, dtype=np.float32, copy=True) for one in slices]
        rows = parts[0] if len(parts) == 1 else sparse.vstack(parts, format="csr")
        rows.sum_duplicates()
        rows.eliminate_zeros()
        rows.sort_indices()
        yield rows


def read_rows(matrix: Any, start: int, stop: int) -> Any:
    """Return some rows of a matrix in memory or on disk, dense or sparse as it is stored.

    Raises
    ------
    ValueError
        When a damaged file places values outside the matrix.
    """
    rows = matrix[start:stop]
    if sparse.issparse(rows):
        rows.check_format(full_check=True)  # compiled code believes the indices, also those of a damaged file
    return rows


def read_content(
    matrix: Any, cell_ids: Iterable[str], feature_ids: Iterable[str], roles: Mapping[Any, Iterable[str]]
) -> Content:
    """Read a matrix once, from its first row to its last.

    Parameters
    ----------
    matrix
        (n_cells × n_features), dense or sparse, in memory or on disk; read as float32.
    roles
        Role of a column → (n_cells,) its values as strings.
    """
    state = hashlib.sha256()
    _add_strings(state, "cells", cell_ids)
    _add_strings(state, "features", feature_ids)
    for role in sorted(roles):
        _add_strings(state, f"role:{role}", roles[role])
    n_columns = matrix.shape[1]
    state.update(np.asarray(matrix.shape, dtype="<i8").tobytes())
    n_stored = n_not_finite = 0
    minimum, whole = 0.0, True
    totals, detected = [], []
    cells_with = np.zeros(n_columns, dtype=np.int64)
    for rows in row_blocks(matrix):
        sizes = np.diff(rows.indptr)
        state.update(sizes.astype("<i8").tobytes())
        state.update(rows.indices.astype("<i8").tobytes())
        state.update(rows.data.astype("<f4").tobytes())
        n_stored += rows.nnz
        finite = rows.data[np.isfinite(rows.data)]
        n_not_finite += rows.nnz - len(finite)
        minimum = min(minimum, float(finite.min(initial=0.0)))
        whole = whole and bool(np.all(finite == np.rint(finite)))
        # A float32 matrix adds up its rows in float32, whatever dtype one asks for.
        totals.append(np.asarray(rows.astype(np.float64).sum(axis=1)).ravel())
        detected.append(sizes.astype(np.int64))
        cells_with += np.bincount(rows.indices, minlength=n_columns)
    return Content(
        digest=f"sha256:{state.hexdigest()}",
        n_stored=n_stored,
        n_not_finite=n_not_finite,
        minimum=minimum,
        whole_numbers=whole,
        totals=np.concatenate(totals) if totals else np.zeros(0),
        detected=np.concatenate(detected) if detected else np.zeros(0, dtype=np.int64),
        cells_with=cells_with,
    )


def content_digest(
    matrix: Any, cell_ids: Iterable[str], feature_ids: Iterable[str], roles: Mapping[Any, Iterable[str]]
) -> str:
    """Return ``sha256:<hex>`` of a dataset's content: the same cells give the same, whatever file they came in.

    Independent of file format, compression, dense or sparse storage, explicit zeros and the order of
    stored values within a row; dependent on the order of cells and features. Parameters as ``read_content``.
    """
    return read_content(matrix, cell_ids, feature_ids, roles).digest


def _add_strings(state: Any, name: str, values: Iterable[str]) -> None:
    encoded = [str(value).encode() for value in values]
    state.update(f"{name}:{len(encoded)}:".encode())
    for value in encoded:
        state.update(len(value).to_bytes(8, "little") + value)
