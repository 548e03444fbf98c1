"""A perturbation screen: what a model may learn from, what it is tested on, and the file that it is given."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cellgauge.cards.problems import UserError
from cellgauge.data.contents import in_memory
from cellgauge.data.dataset import Dataset
from cellgauge.data.profile import split_of
from cellgauge.stats.resampling import generator

Positions = NDArray[np.intp]

FEWEST_IN_HALF = 2
"""A mean of fewer cells is no measurement."""
_PARTS = ("train", "val", "validation", "test")


class ScreenError(UserError):
    """A dataset in which no perturbations are held out that could be predicted."""


@dataclass(frozen=True)
class Halves:
    """Two disjoint sets of cells of one perturbation, as positions in the dataset."""

    selection: Positions
    """Choose the responding genes; of the controls, these are the ones that a model sees."""
    truth: Positions
    """What a prediction is compared with."""


@dataclass(frozen=True)
class Screen:
    """Which perturbations a model is shown, and which it has to predict.

    Names are in one form: genes in alphabetical order, each once, without the control. So ``ctrl+KLF1`` and
    ``KLF1+ctrl`` are ``KLF1``, and cannot lie on two sides of a split.
    """

    content: str
    """Digest of the dataset's cells."""
    control: str
    joined_by: str
    of_cell: NDArray[np.str_]
    """(n_cells,) the perturbation of each cell."""
    training: tuple[str, ...]
    """Sorted. What is for validation is among them: a model may see it, to choose between settings."""
    validation: tuple[str, ...]
    held_out: tuple[str, ...]
    """Sorted: the order of the rows of a prediction."""
    removed: tuple[str, ...]
    """Neither shown nor predicted, since they contain a gene that is held out alone."""
    too_few: Mapping[str, int]
    """Held out and not scored, since they have too few cells for two halves: how many they have."""

    def genes(self, name: str) -> tuple[str, ...]:
        """Return the genes of a perturbation."""
        return tuple(name.split(self.joined_by))

    def kind(self, name: str) -> str:
        """Return what a held-out perturbation asks for: ``unseen-single``, or ``pair-2`` down to ``pair-0``.

        The number says how many genes of the pair are training perturbations on their own. More than two genes
        are ``larger``.
        """
        genes = self.genes(name)
        if len(genes) == 1:
            return "unseen-single"
        return f"pair-{sum(gene in self.training for gene in genes)}" if len(genes) == 2 else "larger"

    def halves(self, seed: int) -> dict[str, Halves]:
        """Deal the cells of the controls and of each held-out perturbation into two halves, at random.

        An odd cell goes to the truth. The halves of a perturbation depend on the dataset, the seed and its name alone.
        """
        dealt = {}
        for name in (self.control, *self.held_out):
            cells = np.flatnonzero(self.of_cell == name)
            mixed = generator(self.content, "halves", name, seed).permutation(cells)
            half = len(cells) // 2
            dealt[name] = Halves(np.sort(mixed[:half]), np.sort(mixed[half:]))
        return dealt


def design(dataset: Dataset) -> Screen:
    """Read from a dataset's card and its perturbation column what is held out.

    - A perturbation is held out when any of its cells is in the test part.
    - A gene that is held out alone takes with it every other perturbation that contains it: they are shown to no model.
    - What is for validation is shown like the rest.

    Raises
    ------
    ScreenError
        When the card declares no perturbations or no split by perturbation, or when too little is left to learn from
        or to predict.
    """
    card = dataset.card
    if card.perturbations is None:
        raise ScreenError(f"{card.id}: its card declares no perturbations; prediction needs them and a control")
    if card.split is None or card.split.by not in (None, "perturbation"):
        found = "no split" if card.split is None else f"a split by {card.split.by}"
        raise ScreenError(
            f"{card.id}: expected a split by perturbation, found {found}; see split in the dataset's card"
        )
    parts = split_of(card.split, dataset.columns, dataset.split)
    assert parts is not None  # noqa: S101 (there is a split)
    if strange := sorted(set(parts.tolist()) - set(_PARTS)):
        raise ScreenError(f"{card.id}: the split column holds {', '.join(strange[:3])}; expected {', '.join(_PARTS)}")
    control, joined_by = card.perturbations.control, card.perturbations.joined_by
    names, codes = np.unique(dataset.columns["perturbation"], return_inverse=True)
    of_cell = np.array([_in_one_form(name, control, joined_by) for name in names.tolist()])[codes]
    sizes = Counter(of_cell.tolist())
    test = set(of_cell[parts == "test"].tolist()) - {control}
    unseen = {name for name in test if joined_by not in name}
    others = set(sizes) - test - {control}
    removed = {name for name in others if unseen & set(name.split(joined_by))}
    validation = set(of_cell[np.isin(parts, ("val", "validation"))].tolist()) & (others - removed)
    enough = {name for name in test if sizes[name] >= 2 * FEWEST_IN_HALF}
    if sizes[control] < 2 * FEWEST_IN_HALF:
        raise ScreenError(f"{card.id}: two halves need {2 * FEWEST_IN_HALF} control cells; found {sizes[control]}")
    if not others - removed or not enough:
        what = "to learn from" if enough else f"to predict that has {2 * FEWEST_IN_HALF} cells or more"
        raise ScreenError(f"{card.id}: its split leaves no perturbation {what}")
    return Screen(
        content=dataset.digest,
        control=control,
        joined_by=joined_by,
        of_cell=of_cell,
        training=tuple(sorted(others - removed)),
        validation=tuple(sorted(validation)),
        held_out=tuple(sorted(enough)),
        removed=tuple(sorted(removed)),
        too_few={name: sizes[name] for name in sorted(test - enough)},
    )


def training_file(dataset: Dataset, seed: int, *, with_held_out: bool = False) -> ad.AnnData:
    """Return what a model that predicts is given: all training cells, and one half of the controls.

    The other half is part of the truth. Were it shown, its noise would be in the prediction and in what the
    prediction is compared with. Cells are in random order and numbered anew.

    Parameters
    ----------
    seed
        Of the evaluation: it decides which controls are shown.
    with_held_out
        Add the cells that serve as truth, held-out perturbations and controls, marked in ``obs["held_out"]``. For
        controls of the metrics alone.

    Returns
    -------
    ``X`` holds what ``uns["values"]`` says, with every gene of the dataset; ``uns["taxa"]`` says of which species the
    cells are. ``obs["perturbation"]`` has names as in `Screen`; ``uns`` also holds ``control``, ``joined_by``,
    ``predict`` (what is held out) and ``validation``.

    Raises
    ------
    ScreenError
        As `design`.
    """
    screen = design(dataset)
    dealt = screen.halves(seed)
    shown = [np.flatnonzero(np.isin(screen.of_cell, screen.training)), dealt[screen.control].selection]
    truth = [one.truth for one in dealt.values()] if with_held_out else []
    rows = np.concatenate(shown + truth)
    rows = generator(screen.content, "order of the training file", seed).permutation(rows)
    obs = pd.DataFrame(
        {"perturbation": screen.of_cell[rows]}, index=pd.Index([f"cell{n}" for n in range(1, len(rows) + 1)])
    )
    if with_held_out:
        obs["held_out"] = np.isin(rows, np.concatenate(truth))
    return ad.AnnData(
        in_memory(dataset.matrix)[rows],
        obs=obs,
        var=pd.DataFrame(index=pd.Index(dataset.feature_ids, dtype=object)),
        uns={
            "values": dataset.card.matrix.values,
            "taxa": [organism.taxon for organism in dataset.card.organisms],
            "control": screen.control,
            "joined_by": screen.joined_by,
            "predict": list(screen.held_out),
            "validation": list(screen.validation),
        },
    )


def mean_profiles(matrix: Any, groups: Iterable[Positions]) -> NDArray[np.float64]:
    """Return the mean over each group of cells, (n_groups × n_genes), added up in double precision.

    Parameters
    ----------
    matrix
        (n_cells × n_genes), sparse or dense, in memory.
    """
    return np.array([np.asarray(matrix[rows].astype(np.float64).mean(axis=0)).ravel() for rows in groups])


def targets(names: Sequence[str], joined_by: str, gene_ids: NDArray[np.str_]) -> NDArray[np.bool_]:
    """Return which genes each perturbation targets, (n_perturbations × n_genes): those that its name names."""
    position = {gene: at for at, gene in enumerate(gene_ids.tolist())}
    found = np.zeros((len(names), len(gene_ids)), dtype=bool)
    for row, name in enumerate(names):
        found[row, [position[gene] for gene in name.split(joined_by) if gene in position]] = True
    return found


def shared_effect(effects: NDArray[np.float64], targeted: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the mean effect of perturbations, (n_genes,), each counted once.

    A perturbation has no part in the mean of a gene that it targets, since that change is the intervention and not its
    effect. A gene that all of them target has effect 0.

    Parameters
    ----------
    effects, targeted
        (n_perturbations × n_genes) each.
    """
    n_left = (~targeted).sum(axis=0)
    total = np.where(targeted, 0.0, effects).sum(axis=0)
    return np.asarray(np.divide(total, n_left, out=np.zeros(effects.shape[1]), where=n_left > 0))


def _in_one_form(name: str, control: str, joined_by: str) -> str:
    genes = sorted(set(name.split(joined_by)) - {control, ""})
    return joined_by.join(genes) or control
