"""Sanity gates of models that predict profiles of perturbations: what must not matter, whatever their scores are.

Differences between profiles are measured by how far apart profiles under wrong names would lie, since honest solvers
differ in the last digits, and models that draw at random by more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from cellgauge.models.gates import BEYOND_CHANCE, LEAST_SAME, decided, undecided
from cellgauge.results.schema import Gate, GateName
from cellgauge.stats.resampling import generator
from cellgauge.stats.values import rounding

DEALS = 999
"""How often genes are dealt at random to find what chance gives."""
ENOUGH_GENES = 30
"""With fewer, chance alone gives any correlation."""

_MOST_REPEATED = 0.5
"""Where nothing but the seed moves profiles by more than this share of what wrong names do, names cannot be told."""
_MOST_MOVED = 0.1
"""Of what wrong names do, when fewer are asked for at once."""
_SEEDS_VARY = 1.5
"""A change that amounts to another seed may move profiles by so many times what one other seed was seen to do."""
Profiles = NDArray[np.float32]


@dataclass(frozen=True)
class Predicted:
    """Profiles of the same perturbations, (n_perturbations × n_genes) each, rows by name; NaN: not predicted."""

    first: Profiles
    again: Profiles
    """The same call once more."""
    turned: Profiles
    """Cells, genes and the perturbations that are asked for given in another order."""
    other_seed: Profiles | None
    """With another seed; None for a model that takes none."""
    few: NDArray[np.intp]
    """(n_few,) rows of perturbations with profiles that are alike; none where a single one is predicted."""
    alone: Profiles | None
    """(n_few × n_genes) these asked for without the others; None where there are none."""
    control: NDArray[np.float64]
    """(n_genes,) mean profile of the controls that the model was shown."""


def order(found: Predicted) -> Gate:
    """Show cells and genes in another order, ask in another order, and expect the same profiles by name."""
    return _unchanged(
        "order",
        found,
        found.first,
        found.turned,
        "cells, genes and perturbations in another order move profiles by {}",
        lambda same, wrong: (same + wrong) / 2,
    )


def batch_size(found: Predicted) -> Gate:
    """Ask for a few perturbations without the others; what the model learns from stays the same.

    This holds for a model that is fitted here, too: the cells that it is fitted to are those of the training file.
    """
    if found.alone is None:
        return undecided("batch-size", "one perturbation is predicted, and there is none to leave out", {})
    n = np.count_nonzero(_rows(found.first))
    return _unchanged(
        "batch-size",
        found,
        found.first[found.few],
        found.alone,
        f"the profiles of {len(found.few)} of {n} perturbations, asked for without the others, move by {{}}",
        lambda same, wrong: _SEEDS_VARY * same + _MOST_MOVED * wrong,
    )


def determinism(found: Predicted) -> Gate:
    """Call the model twice with the same cells and the same seed."""
    if (failed := _other_names("determinism", found.first, found.again)) is not None:
        return failed
    moved, least = _apart(found.first, found.again), _negligible(found)
    names, genes = _between_names(found.first), _between_genes(found.first)
    wrong, what = (names, "perturbations") if names > least else (max(genes, least), "genes")
    measured = {"difference": moved, "difference_of_perturbations": names, "difference_of_genes": genes}
    if moved == 0:
        return decided("determinism", True, "the same seed gives the same numbers, to the last digit", measured)
    said = f"with the same seed profiles move by {moved / wrong:.2g} of the distance between two {what}"
    return decided("determinism", moved <= (1 - LEAST_SAME) * wrong, said, measured)


def not_a_control(found: Predicted) -> Gate:
    """Ask whether profiles know which genes the cells express: numbers dealt to the genes at random do not.

    By Spearman's correlation, since few genes hold most of the expression, and over the genes that controls express,
    since the others tie. It is the least that can be asked: a prediction of no change passes, and whether effects are
    right is what scores say.
    """
    expressed = found.control > 0
    if (n := np.count_nonzero(expressed)) < ENOUGH_GENES:
        return undecided("not-a-control", f"the controls express {n} genes; {ENOUGH_GENES} are needed", {})
    ours = np.mean([_ranked(row) for row in found.first[_rows(found.first)][:, expressed]], axis=0)
    control = _ranked(found.control[expressed])
    rng = generator("genes dealt at random")
    dealt = max(float(np.mean(ours * rng.permutation(control))) for _ in range(DEALS))
    known = float(np.mean(ours * control))
    return decided(
        "not-a-control",
        known >= dealt + BEYOND_CHANCE,
        f"over genes, predicted profiles correlate with the mean of the controls by {known:.2f}; dealt to the genes at "
        f"random, by {dealt:.2f} at most",
        {"correlation": known, "correlation_by_chance": dealt},
    )


def _unchanged(
    name: GateName,
    found: Predicted,
    before: Profiles,
    after: Profiles,
    said: str,
    most: Callable[[float, float], float],
) -> Gate:
    """Judge a change that must not matter by what a change of the seed does, and by what wrong names would do.

    Parameters
    ----------
    said
        With a place for how far profiles moved.
    most
        How far they may, from how far they move when nothing but the seed changes and how far apart wrong names are.
    """
    if (failed := _other_names(name, before, after)) is not None:
        return failed
    moved, same = _apart(before, after), _repeated(found)
    names, genes = _between_names(found.first), _between_genes(found.first)
    measured = {
        "difference": moved,
        "difference_repeated": same,
        "difference_of_perturbations": names,
        "difference_of_genes": genes,
    }
    least = _negligible(found)
    if names > least and same <= _MOST_REPEATED * names:
        wrong, what = names, "perturbations"
    elif genes > least and same <= _MOST_REPEATED * genes:
        wrong, what = genes, "genes (perturbations are not told apart)"
    else:
        return undecided(name, "the same cells in the same order give other profiles each time", measured)
    seed = "" if found.other_seed is None else f"; another seed moves them by {same / wrong:.0%}"
    evidence = f"{said.format(f'{moved / wrong:.0%}')} of the distance between two {what}{seed}"
    return decided(name, moved <= most(same, wrong), evidence, measured)


def _other_names(name: GateName, before: Profiles, after: Profiles) -> Gate | None:
    """Fail a gate where the two calls do not predict the same perturbations."""
    n = np.count_nonzero(_rows(before) != _rows(after))
    if not n:
        return None
    said = f"{n} of {len(before)} perturbations are predicted in one of two calls and not in the other"
    return decided(name, False, said, {"predicted_once": float(n)})


def _repeated(found: Predicted) -> float:
    """Return how far profiles move when nothing changes, or nothing but the seed."""
    calls = [found.again] if found.other_seed is None else [found.again, found.other_seed]
    return max(_apart(found.first, call) for call in calls)


def _apart(one: Profiles, other: Profiles) -> float:
    """Return the root mean square difference of what both predict; 0 where they share nothing."""
    both = _rows(one) & _rows(other)
    difference = one[both].astype(np.float64) - other[both]
    return float(np.sqrt(np.mean(difference**2))) if both.any() else 0.0


def _between_names(profiles: Profiles) -> float:
    """Return the root mean square difference of profiles of two perturbations; 0 where there is one."""
    known = profiles[_rows(profiles)].astype(np.float64)
    return float(np.sqrt(2 * known.var(axis=0, ddof=1).mean())) if len(known) > 1 else 0.0


def _between_genes(profiles: Profiles) -> float:
    """Return the root mean square difference of two genes of a profile."""
    known = profiles[_rows(profiles)].astype(np.float64)
    return float(np.sqrt(2 * known.var(axis=1, ddof=1).mean())) if known.shape[1] > 1 else 0.0


def _negligible(found: Predicted) -> float:
    """Return a difference that is one of rounding."""
    return max(rounding(found.control), float(np.finfo(np.float32).eps))


def _rows(profiles: Profiles) -> NDArray[np.bool_]:
    """Return which perturbations are predicted, (n_perturbations,)."""
    return np.asarray(np.isfinite(profiles).all(axis=1))


def _ranked(profile: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Return the ranks of genes with mean 0 and standard deviation 1; zeros where all genes are equal."""
    ranks = np.asarray(stats.rankdata(profile))
    spread = ranks.std()
    return (ranks - ranks.mean()) / spread if spread > 0 else np.zeros(len(ranks))
