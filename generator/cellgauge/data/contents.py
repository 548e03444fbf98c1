"""Opening a dataset: only what its card names is read, and a matrix that is stored by rows stays on disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anndata as ad
import h5py
import numpy as np
import pandas as pd
from anndata.io import read_elem, sparse_dataset
from numpy.typing import NDArray
from scipy import sparse

from cellgauge.cards.dataset import Matrix
from cellgauge.cards.problems import UserError


@dataclass(frozen=True)
class Contents:
    """What a source holds, unchecked."""

    obs: pd.DataFrame
    """One row per cell, indexed by cell id."""
    matrix: Any
    """(n_cells × n_features), sparse or dense, in memory or on disk; ``None`` where there is none."""
    feature_ids: NDArray[np.str_]
    """(n_features,)."""
    missing: str | None = None
    """Why there is no matrix or there are no feature ids."""

    @property
    def cell_ids(self) -> NDArray[np.str_]:
        """(n_cells,)."""
        return np.asarray(self.obs.index.to_numpy(dtype=str))


def from_anndata(adata: ad.AnnData, where: Matrix) -> Contents:
    """Take what a card names out of an AnnData in memory."""
    kind, _, name = where.location.partition("/")
    var, matrix, missing = adata.var, None, None
    if kind == "raw":
        if adata.raw is None:
            missing = "the card says that the matrix is in raw, but the file has no raw"
        else:
            matrix, var = adata.raw.X, adata.raw.var
    elif kind == "layers":
        matrix = adata.layers.get(name)
        missing = _no_layer(name, list(adata.layers)) if matrix is None else None
    else:
        matrix = adata.X
        missing = _NO_X if matrix is None else None
    return _contents(adata.obs, matrix, var, where, missing)


def open_h5ad(path: Path, where: Matrix) -> Contents:
    """Open an ``.h5ad`` file. The matrix is read in slices later, unless it is stored by columns.

    Other layers, embeddings and graphs in the file are not touched, however large.

    Raises
    ------
    UserError
        When it is not a file of that kind.
    """
    try:
        file = h5py.File(path, "r")
        obs = read_elem(file["obs"])
        kind, _, name = where.location.partition("/")
        stored = file.get(stored_at(where.location))
        if isinstance(stored, h5py.Dataset) and stored.shape is None:
            stored = None
        missing = None
        if stored is None:
            layers = list(file["layers"]) if "layers" in file else []
            said = {"raw": "the card says that the matrix is in raw, but the file has no raw", "X": _NO_X}
            missing = said.get(kind) or _no_layer(name, layers)
        var = read_elem(file["raw/var" if kind == "raw" and stored is not None else "var"])
        matrix = None if stored is None else by_rows(stored)
        if not (isinstance(obs, pd.DataFrame) and isinstance(var, pd.DataFrame)):
            raise TypeError("obs and var are no tables as anndata 0.7 and later writes them; write it again with one")
    except MemoryError:
        raise
    except Exception as error:  # h5py, anndata and zarr raise whatever they like
        raise UserError(f"it cannot be read as .h5ad: {error}") from None
    return _contents(obs, matrix, var, where, missing)


def in_memory(matrix: Any) -> Any:
    """Return a copy of a matrix as float32, in memory: CSR where it is sparse, else dense."""
    if isinstance(matrix, h5py.Dataset):
        return np.asarray(matrix[:], dtype=np.float32)
    if sparse.issparse(matrix):
        return sparse.csr_matrix(matrix, dtype=np.float32, copy=True)
    if isinstance(matrix, np.ndarray):
        return np.array(matrix, dtype=np.float32)
    return sparse.csr_matrix(matrix.to_memory()).astype(np.float32, copy=False)


_NO_X = "the card says that the matrix is X, but the file has no X"


def _no_layer(name: str, layers: list[str]) -> str:
    return f"the card says layers/{name}, but the layers are: {', '.join(layers) or 'none'}"


def stored_at(location: str) -> str:
    """Return where in an ``.h5ad`` file a matrix lies: ``X``, ``raw`` or ``layers/NAME`` as a path of HDF5."""
    return "raw/X" if location == "raw" else location


def by_rows(stored: Any) -> Any:
    """Return a stored matrix as one that gives slices of rows; one that is stored by columns is read as a whole."""
    if isinstance(stored, h5py.Dataset):
        return stored
    backed = sparse_dataset(stored)
    if backed.format == "csr":
        return backed
    by_columns = backed.to_memory()
    by_columns.check_format(full_check=True)
    return sparse.csr_matrix(by_columns)


def _contents(obs: pd.DataFrame, matrix: Any, var: pd.DataFrame, where: Matrix, missing: str | None) -> Contents:
    if matrix is not None and not isinstance(matrix, h5py.Dataset) and sparse.issparse(matrix):
        matrix = matrix.tocsr()
    column = where.feature_column
    ids = var.index.to_numpy(dtype=str)
    if column is not None:
        if column in var:
            ids = as_text(var[column])
        elif missing is None:
            known = ", ".join(map(str, var.columns)) or "none"
            missing = f'feature column "{column}" is not in var (found: {known})'
    return Contents(obs, matrix, np.asarray(ids), missing)


def as_text(column: pd.Series) -> NDArray[np.str_]:
    """Return a column as plain strings; a missing value becomes the empty string."""
    values = column.astype(object).where(column.notna(), "")
    return np.asarray(values.astype(str).to_numpy(dtype=str))
