"""A dataset as the rest of the runner sees it: one matrix, cell ids, and columns by role."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from cellgauge.cards.base import Column
from cellgauge.cards.dataset import DatasetCard, FileSource
from cellgauge.cards.function import load_function
from cellgauge.cards.problems import UserError
from cellgauge.data.fingerprint import content_digest


class InvalidDatasetError(UserError):
    """A dataset that is not what its card says, with every problem found."""

    def __init__(self, dataset: str, problems: list[str]) -> None:
        super().__init__(dataset, problems)  # what it needs to be made again in another process
        self.dataset, self.problems = dataset, problems

    def __str__(self) -> str:
        return f"dataset {self.dataset}: " + "; ".join(self.problems)


@dataclass(frozen=True)
class Dataset:
    """Cells, as declared by a dataset card and checked against it."""

    card: DatasetCard
    matrix: Any
    """(n_cells × n_features) float32, sparse or dense."""
    cell_ids: NDArray[np.str_]
    feature_ids: NDArray[np.str_]
    columns: Mapping[Column, NDArray[np.str_]]
    """Role → (n_cells,) plain strings. Never categoricals: unused categories corrupt some silhouettes."""

    @property
    def n_cells(self) -> int:
        """How many cells there are."""
        return len(self.cell_ids)

    @cached_property
    def digest(self) -> str:
        """Of the content; equal to the card's, once the dataset has been checked."""
        return content_digest(self.matrix, self.cell_ids, self.feature_ids, self.columns)

    def for_model(self, given: list[Column]) -> ad.AnnData:
        """Return a copy that a model may see: the matrix, and only the role columns it is given.

        ``uns["values"]`` says what the matrix holds; every other column, labels above all, is withheld.
        """
        obs = pd.DataFrame({role: self.columns[role] for role in given}, index=pd.Index(self.cell_ids, dtype=object))
        var = pd.DataFrame(index=pd.Index(self.feature_ids, dtype=object))
        return ad.AnnData(self.matrix.copy(), obs=obs, var=var, uns={"values": self.card.matrix.values})


def load_dataset(card: DatasetCard, source_root: Path) -> Dataset:
    """Obtain a dataset and check it against its card.

    Parameters
    ----------
    source_root
        The project's folder; the card's path is relative to it.

    Raises
    ------
    InvalidDatasetError
        With all problems at once: missing columns, duplicate ids, missing or single labels,
        values that are not finite, a digest that differs.
    """
    adata = obtain(card, source_root / card.path)
    problems = check_shape(card, adata)
    if problems:
        raise InvalidDatasetError(card.id, problems)
    dataset = _take_roles(card, adata)
    problems = check_content(dataset)
    if problems:
        raise InvalidDatasetError(card.id, problems)
    return dataset


def obtain(card: DatasetCard, card_path: Path) -> ad.AnnData:
    """Return the AnnData that a card's source gives, unchecked."""
    if isinstance(card.source, FileSource):
        path = card_path.parent / card.source.path
        if not path.is_file():
            raise InvalidDatasetError(card.id, [f"expected a file at {path}, found none"])
        try:
            return ad.read_h5ad(path)
        except Exception as error:  # h5py, anndata and zarr raise whatever they like
            raise InvalidDatasetError(card.id, [f"{card.source.path} cannot be read as .h5ad: {error}"]) from None
    made = load_function(card.source.function, card_path)(**card.source.params)
    if not isinstance(made, ad.AnnData):
        found = type(made).__name__
        raise InvalidDatasetError(card.id, [f"{card.source.function} must return an AnnData, it returned a {found}"])
    return made


def check_shape(card: DatasetCard, adata: ad.AnnData) -> list[str]:
    """Return what keeps the card's matrix, ids and columns from being read at all."""
    problems = []
    known = ", ".join(map(str, adata.obs.columns)) or "none"
    for role, column in card.columns.items():
        if column not in adata.obs:
            problems.append(f'{role} column "{column}" is not in obs (found: {known})')
    where = card.matrix.location
    if where == "raw" and adata.raw is None:
        problems.append("the card says that the matrix is in raw, but the file has no raw")
    elif where == "layers/counts" and "counts" not in adata.layers:
        problems.append(f"the card says layers/counts, but the layers are: {', '.join(adata.layers) or 'none'}")
    elif where == "X" and adata.X is None:
        problems.append("the card says that the matrix is X, but the file has no X")
    for what, index in (("cell", adata.obs_names), ("feature", adata.var_names)):
        if not index.is_unique:
            repeated = index[index.duplicated()].unique()
            shown = ", ".join(map(str, repeated[:3]))
            problems.append(f"{len(repeated)} {what} ids occur more than once (for example {shown})")
    return problems


def check_content(dataset: Dataset) -> list[str]:
    """Return what is wrong with a dataset's values."""
    card, problems = dataset.card, []
    stored = dataset.matrix.data if sparse.issparse(dataset.matrix) else np.asarray(dataset.matrix)
    not_finite = int(np.count_nonzero(~np.isfinite(stored)))
    if not_finite:
        problems.append(f"{not_finite} values of the matrix are NaN or infinite")
    elif card.matrix.values in ("counts", "log-normalised") and stored.size and stored.min() < 0:
        problems.append(f"the card says {card.matrix.values}, but the matrix holds {stored.min():g}")
    elif card.matrix.values == "counts" and np.any(stored != np.rint(stored)):
        problems.append("the card says counts, but the matrix holds values that are not whole numbers")
    for role, values in dataset.columns.items():
        missing = int(np.count_nonzero(np.char.str_len(values) == 0))
        if missing:
            problems.append(
                f'{missing} of {dataset.n_cells} cells have no value in the {role} column "{card.columns[role]}"'
            )
    labels = dataset.columns.get("label")
    if labels is not None and len(np.unique(labels)) < 2:
        only = labels[0] if len(labels) else "no cells"
        problems.append(f'the label column "{card.columns["label"]}" holds one class ({only}); at least two are needed')
    if not problems and dataset.digest != card.digest_of_content:
        problems.append(
            f"expected content {card.digest_of_content}, found {dataset.digest} "
            "(if these are the cells you mean, write what was found into digest_of_content)"
        )
    return problems


def _take_roles(card: DatasetCard, adata: ad.AnnData) -> Dataset:
    if card.matrix.location == "raw":
        matrix, features = adata.raw.X, adata.raw.var_names
    elif card.matrix.location == "X":
        matrix, features = adata.X, adata.var_names
    else:
        matrix, features = adata.layers["counts"], adata.var_names
    matrix = sparse.csr_matrix(matrix) if sparse.issparse(matrix) else np.asarray(matrix)
    return Dataset(
        card=card,
        matrix=matrix.astype(np.float32),
        cell_ids=adata.obs_names.to_numpy(dtype=str),
        feature_ids=features.to_numpy(dtype=str),
        columns={role: _strings(adata.obs[column]) for role, column in card.columns.items()},
    )


def _strings(column: pd.Series) -> NDArray[np.str_]:
    """Return a column as plain strings; a missing value becomes the empty string."""
    values = column.astype(object).where(column.notna(), "")
    return np.asarray(values.astype(str).to_numpy(dtype=str))
