"""What keeps a dataset from being used: everything that is wrong with it, at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from cellgauge.cards.base import Column
from cellgauge.cards.dataset import DatasetCard, size_class
from cellgauge.data.content import Content
from cellgauge.data.contents import Contents
from cellgauge.data.genes import strange_ids

Columns = Mapping[Column, NDArray[np.str_]]


def check_structure(card: DatasetCard, contents: Contents) -> list[str]:
    """Return what is missing, or there more than once: columns, the matrix, ids."""
    obs, problems = contents.obs, []
    wanted = {f"{role} column": column for role, column in card.columns.items()}
    if card.split is not None and card.split.column is not None:
        wanted["split column"] = card.split.column
    known = ", ".join(map(str, obs.columns)) or "none"
    times = Counter(obs.columns)
    problems += [
        f'{what} "{column}" is {"more than once" if times[column] else "not"} in obs (found: {known})'
        for what, column in wanted.items()
        if times[column] != 1
    ]
    if contents.missing:
        problems.append(contents.missing)
    # Where the feature column is missing, these are not the ids that the card means.
    features = [] if contents.missing else [("feature", contents.feature_ids)]
    for what, ids in (("cell", contents.cell_ids), *features):
        if not len(ids):
            problems.append(f"there are no {what}s")
        if empty := int(np.count_nonzero(np.char.str_len(ids) == 0)):
            problems.append(f"{empty} of {len(ids)} {what}s have no id")
        names, counts = np.unique(ids, return_counts=True)
        repeated = names[(counts > 1) & (names != "")]
        if len(repeated):
            problems.append(f"{len(repeated)} {what} ids occur more than once (for example {', '.join(repeated[:3])})")
    if contents.matrix is not None:
        expected = (len(contents.cell_ids), len(contents.feature_ids))
        if tuple(contents.matrix.shape) != expected:
            problems.append(f"the matrix is {contents.matrix.shape}, but there are {expected} cell and feature ids")
    strange = strange_ids(contents.feature_ids, card.matrix.features, [one.taxon for one in card.organisms])
    if strange and not contents.missing:
        problems.append(strange)
    return problems


def check_values(card: DatasetCard, content: Content) -> list[str]:
    """Return what is wrong with the numbers: not finite, negative, or no counts."""
    values, problems = card.matrix.values, []
    if content.n_not_finite:
        problems.append(f"{content.n_not_finite} values of the matrix are NaN or infinite")
    if values in ("counts", "log-normalised") and content.minimum < 0:
        problems.append(f"the card says {values}, but the matrix holds {content.minimum:g}")
    if values == "counts" and not content.whole_numbers:
        problems.append("the card says counts, but the matrix holds values that are not whole numbers")
    if values == "log-normalised" and content.whole_numbers and content.n_stored > content.n_not_finite:
        problems.append("the card says log-normalised, but the matrix holds whole numbers only, as counts do")
    return problems


def check_columns(card: DatasetCard, columns: Columns, n_cells: int) -> list[str]:
    """Return what is wrong with the annotation: gaps, one class only, donors that are labels, splits that miss."""
    problems = []
    for role, values in columns.items():
        empty = int(np.count_nonzero(np.char.str_len(values) == 0))
        if empty:
            problems.append(f'{empty} of {n_cells} cells have no value in the {role} column "{card.columns[role]}"')
    labels, donors = columns.get("label"), columns.get("donor")
    if labels is not None and len(np.unique(labels)) < 2:
        only = labels[0] if len(labels) else "no cells"
        problems.append(f'the label column "{card.columns["label"]}" holds one class ({only}); at least two are needed')
    elif labels is not None and donors is not None and card.label_of == "cell" and determines(donors, labels):
        problems.append(
            f'the donor column "{card.columns["donor"]}" determines the label: each donor has one class only. '
            "It is the label by another name; leave it out of columns, and say so under not_used"
        )
    if card.perturbations is not None and "perturbation" in columns:
        control = card.perturbations.control
        if control not in columns["perturbation"]:
            problems.append(f'no cell has the perturbation "{control}", which the card names as the control')
    by = card.split.by if card.split else None
    if card.split is not None and by is not None and by in columns:
        present = set(columns[by])
        for part, named in (("validation", card.split.validation), ("test", card.split.test)):
            absent = [one for one in named if one not in present]
            if absent:
                shown = ", ".join(absent[:3])
                problems.append(f"split: {len(absent)} {by} values for {part} occur nowhere ({shown})")
        if present and present <= {*card.split.validation, *card.split.test}:
            problems.append(f"split: every {by} value is for validation or test, and none is left to train on")
    if card.feasibility is not None and card.feasibility.size not in (None, size_class(n_cells)):
        said, found = card.feasibility.size, size_class(n_cells)
        problems.append(f'feasibility: the card says size "{said}", but {n_cells:,} cells are "{found}"')
    return problems


def determines(one: NDArray[np.str_], other: NDArray[np.str_]) -> bool:
    """Whether each value of ``one`` goes with a single value of ``other``. Both (n_cells,)."""
    pairs = np.unique(np.stack([one, other]), axis=1)
    return int(pairs.shape[1]) == len(np.unique(one))
