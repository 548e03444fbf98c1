"""Which cells of one dataset are also in another one, going by their fingerprints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from cellgauge.cards.problems import UserError
from cellgauge.data.fingerprint_file import NO_HASH, Fingerprint

Positions = NDArray[np.int64]

MIN_GENES = 10
"""Smaller cells have the same counts by chance."""
MARGIN = 40.0
"""Bits of evidence beyond those that the best of so many pairs reaches by chance if genes were independent, as they are
not within a cell type."""
MIN_CONTAINMENT = 0.9
"""Cells of a type that is rare in both datasets have many rare genes in common, but seldom nearly all of them."""
MIN_SHARED_GENES = 50

_BITS_FOR_MISSING = float(-np.log2(0.05))
"""One gene in twenty may be missing from the cell that should contain the other, for reasons of preprocessing."""
_RAREST, _CANDIDATES, _CELLS_AT_ONCE = 32, 16, 512
_RATES, _STEPS = 32, 12


@dataclass(frozen=True)
class ExactOverlap:
    """Cells of two datasets that have the same counts."""

    compared_a: int
    """Cells of the first dataset with an exact hash and enough genes."""
    compared_b: int
    found_a: int
    """How many of ``compared_a`` are in the second dataset."""
    found_b: int

    @property
    def share_a(self) -> float | None:
        """Share of the cells of the first dataset that are in the second one; ``None`` where none could be compared."""
        return self.found_a / self.compared_a if self.compared_a else None

    @property
    def share_b(self) -> float | None:
        """Share of the cells of the second dataset that are in the first one."""
        return self.found_b / self.compared_b if self.compared_b else None


@dataclass(frozen=True)
class SketchMatches:
    """For each cell of one dataset the most similar one of another, by their sketches."""

    shared_genes: int
    """How many genes the datasets have in common."""
    min_evidence: float
    """Bits from which on two cells can be said to be the same: ``MARGIN`` + log2(number of pairs)."""
    best: Positions
    """(n_cells,) position in the other fingerprint."""
    evidence: NDArray[np.float64]
    """(n_cells,) bits in favour of the two being the same cell."""
    containment: NDArray[np.float64]
    """(n_cells,) share of the genes of the smaller sketch that are in the larger one."""
    compared: Positions
    """(n_cells,) how many genes the smaller one has."""

    @property
    def same(self) -> NDArray[np.bool_]:
        """(n_cells,) whether it can be said that the other dataset has the same cell."""
        return np.asarray((self.evidence >= self.min_evidence) & (self.containment >= MIN_CONTAINMENT))


def exact_overlap(a: Fingerprint, b: Fingerprint, *, min_genes: int = MIN_GENES) -> ExactOverlap:
    """Count the cells that are in both datasets with the same counts of the same genes.

    Parameters
    ----------
    min_genes
        Cells with fewer detected genes are left out.
    """
    hashes_a, hashes_b = (one.exact[(one.exact != NO_HASH) & (one.sizes >= min_genes)] for one in (a, b))
    return ExactOverlap(
        compared_a=len(hashes_a),
        compared_b=len(hashes_b),
        found_a=int(np.isin(hashes_a, hashes_b).sum()),
        found_b=int(np.isin(hashes_b, hashes_a).sum()),
    )


def sketch_matches(a: Fingerprint, b: Fingerprint, *, n_candidates: int = _CANDIDATES) -> SketchMatches:
    """Find for each cell of ``a`` the cell of ``b`` that is most likely the same.

    Two sketches are compared where both of them say which genes were detected: on genes that both datasets have, up to
    the gene where the shorter of them ends. If one cell has come from the other by losing molecules, its genes are
    among those of the other. Each of them that is there counts as evidence, and the more so the rarer it is in cells of
    that depth: -log2 of its probability. Each one that is missing counts against it.

    Candidates are those cells of ``b`` that share the rarest genes of the cell. Time grows with the product of the
    numbers of cells, but with a small factor.

    Parameters
    ----------
    n_candidates
        How many of them are compared in full.

    Raises
    ------
    UserError
        When the datasets have too few genes in common.
    """
    shared = np.intersect1d(a.genes, b.genes, assume_unique=True)
    if len(shared) < MIN_SHARED_GENES:
        raise UserError(
            f"the datasets share {len(shared)} genes by name ({len(a.genes):,} {a.header.gene_ids} and "
            f"{len(b.genes):,} {b.header.gene_ids}); sketches can be compared from {MIN_SHARED_GENES} on. "
            "Take the fingerprints with gene ids of the same kind"
        )
    ours, theirs = _restrict(a, shared), _restrict(b, shared)
    frequency = np.maximum(_frequency(ours), _frequency(theirs))
    known = _reach(theirs) >= theirs.genes.shape[0] / 2
    weights = _weights(ours, frequency), _weights(theirs, frequency)
    postings = theirs.genes.T.tocsr()
    found = []
    for start in range(0, len(a.exact), _CELLS_AT_ONCE):
        cells = np.arange(start, min(start + _CELLS_AT_ONCE, len(a.exact)))
        rarest = _rarest(ours.genes[cells], np.where(known, -np.log2(frequency), 0))
        row, other = _highest(rarest @ postings, n_candidates)
        found.append(_best(len(cells), row, _compare(ours, theirs, weights, cells[row], other)))
    min_evidence = MARGIN + float(np.log2(len(a.exact)) + np.log2(len(b.exact)))
    return SketchMatches(len(shared), min_evidence, *(np.concatenate(field) for field in zip(*found, strict=True)))


class _Sketches(NamedTuple):
    genes: Any
    """(n_cells × n_shared) CSR, 1 where a sketch says that the gene was detected; ascending in each cell."""
    ends: Positions
    """(n_cells,) the gene before which a sketch says everything, and after which nothing."""


class _Pairs(NamedTuple):
    other: Positions
    evidence: NDArray[np.float64]
    containment: NDArray[np.float64]
    compared: Positions


def _restrict(whole: Fingerprint, shared: NDArray[np.uint64]) -> _Sketches:
    is_shared = np.isin(whole.genes, shared, assume_unique=True)
    position = np.cumsum(is_shared, dtype=np.int32) - 1
    kept = is_shared[whole.ranks]
    starts = np.concatenate([[0], np.cumsum(kept)])[whole.starts]
    values = np.ones(starts[-1], dtype=np.float32)
    genes = sparse.csr_matrix((values, position[whole.ranks[kept]], starts), (len(whole.exact), len(shared)))
    ends = np.full(len(whole.exact), len(shared), dtype=np.int64)
    cut = whole.sizes == whole.header.sketch_size
    last = whole.genes[whole.ranks[whole.starts[1:][cut] - 1]]
    ends[cut] = np.searchsorted(shared, last, side="right")
    return _Sketches(genes, ends)


def _reach(sketches: _Sketches) -> Positions:
    """Return (n_shared,) how many sketches say whether a gene was detected."""
    n_shared = sketches.genes.shape[1]
    ended = np.cumsum(np.bincount(sketches.ends, minlength=n_shared + 1))
    return np.asarray(len(sketches.ends) - ended[:n_shared])


def _frequency(sketches: _Sketches) -> NDArray[np.float64]:
    """Return (n_shared,) in what share of the cells a gene is detected, never 0 and never 1."""
    detected = np.bincount(sketches.genes.indices, minlength=sketches.genes.shape[1])
    return np.asarray((detected + 0.5) / (_reach(sketches) + 1))


def _weights(sketches: _Sketches, frequency: NDArray[np.float64]) -> Any:
    """Return -log2 of the probability that a cell of this depth has a gene, for the genes that it has.

    The depth is the number of chances to detect a gene, as a multiple of those of an average cell, at which a cell
    would be expected to have as many genes as it has.
    """
    rate = -np.log1p(-frequency)
    lengths = np.diff(sketches.genes.indptr)
    chance = -np.expm1(-np.repeat(_depths(sketches, rate), lengths) * rate[sketches.genes.indices])
    weighted = sketches.genes.copy()
    weighted.data = -np.log2(chance).astype(np.float32)
    return weighted


def _depths(sketches: _Sketches, rate: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (n_cells,) depths, by Newton's method on classes of genes with about the same rate."""
    edges = np.unique(np.quantile(rate, np.linspace(0, 1, _RATES + 1)[1:-1]))
    group = np.searchsorted(edges, rate)
    members = np.zeros((len(rate) + 1, len(edges) + 1), dtype=np.int32)
    members[np.arange(1, len(rate) + 1), group] = 1
    np.cumsum(members, axis=0, out=members)
    total = np.bincount(group, weights=rate, minlength=len(edges) + 1)
    mean = total / np.maximum(np.bincount(group, minlength=len(edges) + 1), 1)
    known = members[sketches.ends]
    genes = np.diff(sketches.genes.indptr)
    depth = np.zeros(len(genes))
    for _ in range(_STEPS):  # from below, where the expected number is concave: no step goes too far
        missed = known * np.exp(-np.outer(depth, mean))
        expected = known.sum(axis=1) - missed.sum(axis=1)
        slope = missed @ mean
        depth += (np.minimum(genes, known.sum(axis=1) - 0.5) - expected) / np.maximum(slope, 1e-9)
    return np.maximum(depth, 1e-9)


def _rarest(genes: Any, bits: NDArray[np.float64]) -> Any:
    """Return CSR of the same shape with the rarest genes of each cell, weighted by their bits."""
    lengths = np.diff(genes.indptr)
    weight = bits[genes.indices]
    order = np.lexsort((-weight, np.repeat(np.arange(len(lengths)), lengths)))
    place = np.arange(len(order)) - np.repeat(genes.indptr[:-1], lengths)
    chosen = order[place < _RAREST]
    starts = np.concatenate([[0], np.cumsum(np.minimum(lengths, _RAREST))])
    return sparse.csr_matrix((weight[chosen].astype(np.float32), genes.indices[chosen], starts), genes.shape)


def _highest(scores: Any, n: int) -> tuple[Positions, Positions]:
    """Return rows and columns of the highest ``n`` values in each row of a CSR matrix."""
    columns = []
    for first, last in zip(scores.indptr[:-1], scores.indptr[1:], strict=True):
        values = scores.data[first:last]
        chosen = np.argpartition(-values, n)[:n] if len(values) > n else slice(None)
        columns.append(scores.indices[first:last][chosen].astype(np.int64))
    return np.repeat(np.arange(len(columns)), [len(one) for one in columns]), np.concatenate(columns)


def _compare(ours: _Sketches, theirs: _Sketches, weights: tuple[Any, Any], one: Positions, other: Positions) -> _Pairs:
    our_genes, their_genes = ours.genes[one], theirs.genes[other]
    common = _sum(our_genes.multiply(their_genes))
    n_ours, n_theirs = _before(our_genes, theirs.ends[other]), _before(their_genes, ours.ends[one])
    compared = np.minimum(n_ours, n_theirs)
    # The one with fewer genes came from the other, if any: how likely is it that the other has them all by chance?
    in_theirs = _sum(our_genes.multiply(weights[1][other]))
    in_ours = _sum(their_genes.multiply(weights[0][one]))
    evidence = np.where(n_ours <= n_theirs, in_theirs, in_ours) - _BITS_FOR_MISSING * (compared - common)
    return _Pairs(other, evidence, common / np.maximum(compared, 1), compared)


def _sum(matrix: Any) -> NDArray[np.float64]:
    return np.asarray(matrix.sum(axis=1), dtype=np.float64).ravel()


def _before(genes: Any, ends: Positions) -> Positions:
    """Return (n_cells,) how many genes of each cell come before an end."""
    lengths = np.diff(genes.indptr)
    inside = np.concatenate([[0], np.cumsum(genes.indices < np.repeat(ends, lengths))])
    return np.asarray(inside[genes.indptr[1:]] - inside[genes.indptr[:-1]])


def _best(n_cells: int, row: Positions, pairs: _Pairs) -> _Pairs:
    """Return the pair with most evidence for each cell; position -1 for a cell without candidates."""
    order = np.lexsort((pairs.containment, pairs.evidence, row))
    best = order[np.append(row[order][1:] != row[order][:-1], True)] if len(order) else order
    filled = _Pairs(np.full(n_cells, -1), np.zeros(n_cells), np.zeros(n_cells), np.zeros(n_cells, dtype=np.int64))
    for into, values in zip(filled, pairs, strict=True):
        into[row[best]] = values[best]
    return filled
