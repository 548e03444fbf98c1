"""The digest of a dataset's content: the same cells give the same digest, whatever file they came in."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from scipy import sparse

_ROWS_AT_ONCE = 4096


def content_digest(matrix: Any, cell_ids: Iterable[str], feature_ids: Iterable[str], roles: Mapping[Any, Any]) -> str:
    """Return ``sha256:<hex>`` of a dataset's content.

    Independent of file format, compression, dense or sparse storage, explicit zeros and the order of
    stored values within a row; dependent on the order of cells and features.

    Parameters
    ----------
    matrix
        (n_cells × n_features), dense or sparse; read as float32.
    roles
        Role of a column → (n_cells,) its values as strings.
    """
    state = hashlib.sha256()
    _add_strings(state, "cells", cell_ids)
    _add_strings(state, "features", feature_ids)
    for role in sorted(roles):
        _add_strings(state, f"role:{role}", roles[role])
    state.update(np.asarray(matrix.shape, dtype="<i8").tobytes())
    for start in range(0, matrix.shape[0], _ROWS_AT_ONCE):
        rows = sparse.csr_matrix(matrix[start : start + _ROWS_AT_ONCE], dtype=np.float32, copy=True)
        rows.sum_duplicates()
        rows.eliminate_zeros()
        rows.sort_indices()
        state.update(np.diff(rows.indptr).astype("<i8").tobytes())
        state.update(rows.indices.astype("<i8").tobytes())
        state.update(rows.data.astype("<f4").tobytes())
    return f"sha256:{state.hexdigest()}"


def _add_strings(state: Any, name: str, values: Iterable[str]) -> None:
    encoded = [str(value).encode() for value in values]
    state.update(f"{name}:{len(encoded)}:".encode())
    for value in encoded:
        state.update(len(value).to_bytes(8, "little") + value)
