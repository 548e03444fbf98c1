"""A dataset as the rest of the runner sees it: one matrix, cell ids, and columns by role."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cellgauge.cards.base import Column
from cellgauge.cards.dataset import DatasetCard
from cellgauge.data.checks import check_columns, check_structure, check_values
from cellgauge.data.content import Content, read_content
from cellgauge.data.contents import Contents, as_text, in_memory
from cellgauge.data.obtain import InvalidDatasetError, discard_built, keep_built, obtain
from cellgauge.data.store import FileStore


@dataclass(frozen=True)
class Dataset:
    """Cells, as declared by a dataset card and checked against it."""

    card: DatasetCard
    matrix: Any
    """(n_cells × n_features), sparse or dense; on disk where the file stores it by rows."""
    cell_ids: NDArray[np.str_]
    feature_ids: NDArray[np.str_]
    columns: Mapping[Column, NDArray[np.str_]]
    """Role → (n_cells,) plain strings. Never categoricals: unused categories corrupt some silhouettes."""
    split: NDArray[np.str_] | None
    """(n_cells,) the card's split column, where it names one."""
    content: Content

    @property
    def n_cells(self) -> int:
        """How many cells there are."""
        return len(self.cell_ids)

    @property
    def digest(self) -> str:
        """Of the content; equal to the card's, once the dataset has been checked."""
        return self.content.digest

    def for_model(self, given: list[Column]) -> ad.AnnData:
        """Return a copy that a model may see: the matrix in memory, and only the role columns it is given.

        ``uns["values"]`` says what the matrix holds, ``uns["taxa"]`` of which species the cells are; every other
        column, labels above all, is withheld.
        """
        obs = pd.DataFrame({role: self.columns[role] for role in given}, index=pd.Index(self.cell_ids, dtype=object))
        var = pd.DataFrame(index=pd.Index(self.feature_ids, dtype=object))
        told = {"values": self.card.matrix.values, "taxa": [organism.taxon for organism in self.card.organisms]}
        return ad.AnnData(in_memory(self.matrix), obs=obs, var=var, uns=told)


def load_dataset(card: DatasetCard, source_root: Path, store: FileStore) -> Dataset:
    """Obtain a dataset and check it against its card.

    Parameters
    ----------
    source_root
        The project's folder; the card's path is relative to it.
    store
        Where original files and what recipes make of them are kept.

    Raises
    ------
    InvalidDatasetError
        With all problems at once.
    FetchError
        When a file cannot be had, or is not the one that the card means.
    """
    card_path = source_root / card.path
    obtained = obtain(card, card_path, store)
    dataset, problems = check(card, obtained.contents)
    if problems and obtained.built_before:
        # What was kept is damaged, or made by an older recipe: make it again.
        discard_built(card, card_path, store)
        obtained = obtain(card, card_path, store)
        dataset, problems = check(card, obtained.contents)
    if problems or dataset is None:
        raise InvalidDatasetError(card.id, problems)
    if obtained.made is not None:
        keep_built(card, card_path, store, obtained.made)
    return dataset


NO_DIGEST = "the card names no digest_of_content"
"""How the one problem begins of a dataset that is as its card says, but not pinned."""


def check(card: DatasetCard, contents: Contents) -> tuple[Dataset | None, list[str]]:
    """Check what a source holds against its card; return the dataset and every problem with it.

    There is no dataset where the matrix, or a column of it, could not be read at all.
    """
    problems = check_structure(card, contents)
    columns: dict[Column, NDArray[np.str_]] = {
        role: as_text(contents.obs[column])
        for role, column in card.columns.items()
        if list(contents.obs.columns).count(column) == 1
    }
    n_cells = len(contents.cell_ids)
    problems += check_columns(card, columns, n_cells)
    if contents.matrix is None or len(contents.matrix.shape) != 2:
        return None, problems
    try:
        content = read_content(contents.matrix, contents.cell_ids, contents.feature_ids, columns)
    except MemoryError:
        raise
    except Exception as error:  # what h5py, anndata and scipy raise over a damaged file
        return None, [*problems, f"the matrix cannot be read: {error}"]
    problems += check_values(card, content)
    if not problems and card.digest_of_content != content.digest:
        named = f"expected content {card.digest_of_content}" if card.pinned else NO_DIGEST
        advice = "if these are the cells you mean, write what was found into digest_of_content"
        problems.append(f"{named}, found {content.digest} ({advice})")
    split = card.split.column if card.split else None
    return (
        Dataset(
            card=card,
            matrix=contents.matrix,
            cell_ids=contents.cell_ids,
            feature_ids=contents.feature_ids,
            columns=columns,
            split=as_text(contents.obs[split]) if split in contents.obs else None,
            content=content,
        ),
        problems,
    )
