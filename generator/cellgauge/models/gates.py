"""Sanity gates of embeddings: does a model do what a model of cells must do, whatever its scores?

Each gate is a function of embeddings of a few cells, made in ways that must not matter. What is compared is which cells
are near each other, never the numbers themselves: honest solvers differ in the last digits, in sign and in rotation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors

from cellgauge.models.cache import Genes
from cellgauge.results.schema import Gate, GateName

VERSION = 2
"""Raised whenever a gate could come out otherwise, of an embedding or of a prediction."""
NEIGHBOURS = 15
FEW = 64
"""Cells that are embedded without the others."""
ENOUGH = 4 * NEIGHBOURS
"""With fewer cells, chance alone makes many neighbours agree."""

LEAST_SAME = 0.95
"""Of what two calls with the same seed give."""
BEYOND_CHANCE = 0.02
_LEAST_KEPT = 0.75
_LEAST_FOUND = 0.05
Embedding = NDArray[np.float32]


@dataclass(frozen=True)
class Embedded:
    """Embeddings of the same cells, (n_cells × n_dimensions) each, in the order of these cells unless said."""

    first: Embedding
    again: Embedding
    """The same call once more."""
    permuted: Embedding
    """The cells given in another order, rows put back by cell id."""
    misordered: Embedding
    """The same, rows not put back."""
    other_seed: Embedding | None
    """With another seed; None for a model that takes none."""
    few: NDArray[np.intp]
    """(n_few,) positions of cells that lie close together."""
    alone: Embedding | None
    """(n_few × n_dimensions) these cells without the others; None for a model that is fitted to what it is given."""
    expression: Embedding
    """Principal components of the cells' expression, computed without the model."""


def overlap(one: Embedding, other: Embedding, rows: NDArray[np.intp] | None = None) -> float:
    """Return the mean share of a cell's 15 nearest other cells that two embeddings agree on, 0 to 1.

    Parameters
    ----------
    rows
        Whose neighbours are compared; None: those of all cells.
    """
    k = min(NEIGHBOURS, len(one) - 1)
    chosen = slice(None) if rows is None else rows
    near = [
        NearestNeighbors(n_neighbors=k, algorithm="brute").fit(each).kneighbors(return_distance=False)[chosen]
        for each in (one, other)
    ]
    return float(np.mean([len(np.intersect1d(a, b)) for a, b in zip(*near, strict=True)]) / k)


def order(found: Embedded) -> Gate:
    """Embed a permutation of the cells and expect the permutation of the embedding.

    The overlap of neighbours after putting rows back must lie nearer to what the model reaches when nothing but the
    seed changes than to what misordered rows reach.
    """
    kept, misordered = overlap(found.first, found.permuted), overlap(found.first, found.misordered)
    same = _reference(found)
    measured = {"overlap": kept, "overlap_misordered": misordered, "overlap_repeated": same}
    if same < misordered + BEYOND_CHANCE:
        return undecided("order", "the same cells in the same order give other neighbours each time", measured)
    passed = kept >= (misordered + same) / 2
    return decided(
        "order",
        passed,
        f"cells in another order keep {kept:.0%} of their 15 nearest neighbours; misordered rows would keep "
        f"{misordered:.0%}{_with_another_seed(found, overlap)}",
        measured,
    )


def determinism(found: Embedded) -> Gate:
    """Call the model twice with the same cells and the same seed."""
    spread = float(found.first.std()) or 1.0
    difference = float(np.abs(found.first - found.again).max()) / spread
    kept = overlap(found.first, found.again)
    measured = {"overlap": kept, "largest_difference": difference}
    if difference == 0:
        return decided("determinism", True, "the same seed gives the same numbers, to the last digit", measured)
    return decided(
        "determinism",
        kept >= LEAST_SAME,
        f"with the same seed numbers differ by up to {difference:.2g} standard deviations, and {kept:.0%} of the 15 "
        "nearest neighbours stay",
        measured,
    )


def batch_size(found: Embedded) -> Gate:
    """Embed a few cells that lie close together without the others, and put their rows among those of the others.

    Each of them must find the neighbours that it has when all are embedded together.
    """
    if found.alone is None:
        return undecided("batch-size", "the model is fitted to the cells that it is given, all at once", {})

    def kept_with(rows: Embedding) -> float:
        mixed = found.first.copy()
        mixed[found.few] = rows
        return overlap(found.first, mixed, found.few)

    kept, chance = kept_with(found.alone), NEIGHBOURS / (len(found.first) - 1)
    same = kept_with(found.again[found.few])
    if found.other_seed is not None:
        same = min(same, kept_with(found.other_seed[found.few]))
    measured = {"overlap": kept, "overlap_by_chance": chance, "overlap_repeated": same}
    if same < chance + BEYOND_CHANCE:
        return undecided("batch-size", "the same cells give other neighbours each time", measured)
    return decided(
        "batch-size",
        kept >= chance + _LEAST_KEPT * (same - chance),
        f"{len(found.few)} cells keep {kept:.0%} of their nearest neighbours when they are embedded alone; "
        f"by chance it would be {chance:.0%}{_with_another_seed(found, lambda _, other: kept_with(other[found.few]))}",
        measured,
    )


def coverage(genes: Genes | None, n_genes: int) -> Gate:
    """Compare the genes that the model knows with those of the data."""
    if genes is None:
        return undecided("coverage", "the model does not say which genes it knows", {})
    measured = {"known": float(genes.known), "found": float(genes.found)}
    passed = max(genes.coverage, genes.found / max(1, n_genes)) >= _LEAST_FOUND
    said = f"{genes.found:,} of the {genes.known:,} genes that the model knows are in the data ({genes.coverage:.0%})"
    return decided("coverage", passed, said, measured)


def not_a_control(found: Embedded) -> Gate:
    """Ask whether neighbours have anything to do with the cells' expression: random numbers do not know it."""
    kept = overlap(found.first, found.expression)
    chance = NEIGHBOURS / (len(found.first) - 1)
    return decided(
        "not-a-control",
        kept >= chance + BEYOND_CHANCE,
        f"{kept:.0%} of the 15 nearest neighbours are near in expression too; random numbers would give {chance:.0%}",
        {"overlap": kept, "overlap_by_chance": chance},
    )


def _with_another_seed(found: Embedded, kept: Callable[[Embedding, Embedding], float]) -> str:
    return "" if found.other_seed is None else f", with another seed {kept(found.first, found.other_seed):.0%}"


def _reference(found: Embedded) -> float:
    """Return the overlap that the model reaches when nothing changes, or nothing but the seed."""
    same = overlap(found.first, found.again)
    return same if found.other_seed is None else min(same, overlap(found.first, found.other_seed))


def decided(name: GateName, passed: bool, said: str, measured: dict[str, float]) -> Gate:
    """Return a gate that was passed or failed, with what was seen."""
    return Gate(name=name, outcome="passed" if passed else "failed", evidence=said, measured=_rounded(measured))


def undecided(name: GateName, why: str, measured: dict[str, float]) -> Gate:
    """Return a gate that says nothing here, and why."""
    return Gate(name=name, outcome="not applicable", evidence=why, measured=_rounded(measured))


def _rounded(measured: dict[str, float]) -> dict[str, float]:
    return {name: float(f"{value:.6g}") for name, value in measured.items()}
