"""Cells are found again after what is commonly done to them, and others are not taken for them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import rdata
import scanpy as sc
from scipy import sparse

from cellgauge.cards.problems import UserError
from cellgauge.data.cell_sketches import cell_hashes, gene_hashes
from cellgauge.data.fingerprint import Fingerprint, fingerprint
from cellgauge.data.overlap import MARGIN, SketchMatches, exact_overlap, sketch_matches

PAGE = Path(__file__).parents[2] / "site_src" / "fingerprints.md"


class Counted:
    """Counts (cells × genes) of distinct cells."""

    def __init__(self, counts: np.ndarray, genes: np.ndarray) -> None:
        self.counts, self.genes = np.asarray(counts, dtype=np.int64), np.asarray(genes, dtype=str)

    def thinned(self, share: float, seed: int = 0) -> Counted:
        return Counted(np.random.default_rng(seed).binomial(self.counts, share), self.genes)

    def cells(self, which: slice | np.ndarray) -> Counted:
        return Counted(self.counts[which], self.genes)

    def only(self, columns: np.ndarray) -> Counted:
        return Counted(self.counts[:, columns], self.genes[columns])

    def normalised(self, target: float = 1e4) -> np.ndarray:
        return np.log1p(self.counts / self.counts.sum(axis=1, keepdims=True) * target).astype(np.float32)

    def most_variable(self, n: int) -> np.ndarray:
        adata = ad.AnnData(self.normalised())
        sc.pp.highly_variable_genes(adata, n_top_genes=n, flavor="seurat")
        return np.flatnonzero(adata.var["highly_variable"])

    def fingerprint(self, size: int = 1024) -> Fingerprint:
        return fingerprint(sparse.csr_matrix(self.counts), self.genes, sketch_size=size)

    def places(self, found: Fingerprint) -> np.ndarray:
        """Where each cell is in its fingerprint, which does not keep the order: by its hash."""
        lengths = np.count_nonzero(self.counts, axis=1)
        factors = np.where(lengths > 1, np.gcd.reduce(self.counts, axis=1), 1).clip(1)
        reduced = self.counts // factors[:, None]
        row, column = np.nonzero(reduced)
        hashes = cell_hashes(gene_hashes(list(self.genes))[column], reduced[row, column], lengths)
        assert len(set(hashes.tolist())) == len(hashes), "the cells are not distinct"
        return np.searchsorted(found.exact, hashes)


def pbmc68k() -> Counted:
    cells = sc.datasets.pbmc68k_reduced().raw
    plain = np.expm1(cells.X.toarray().astype(float))
    return Counted(np.rint(plain / np.where(plain > 0, plain, np.inf).min(axis=1, keepdims=True)), cells.var_names)


def mixology(folder: Path, platform: str) -> Counted:
    table = pd.read_csv(folder / "raw" / f"sc_{platform}.count.csv.gz", index_col=0)
    return Counted(table.to_numpy().T, table.index.to_numpy())


def pancreas(folder: Path, species: str) -> Counted:
    stored = rdata.read_rda(folder / "raw" / "pancreas.RData")["pancreas"].assays["RNA"].counts
    matrix = sparse.csc_matrix((stored.x, stored.i, stored.p), shape=tuple(stored.Dim)).T.toarray()
    chosen = np.array([name.startswith(species) for name in stored.Dimnames[1]])
    return Counted(matrix[chosen], stored.Dimnames[0])


@pytest.fixture(scope="module")
def pbmc() -> Counted:
    return pbmc68k()


def look_for(query: Counted, among: Counted, size: int = 1024) -> tuple[SketchMatches, np.ndarray, np.ndarray]:
    """Matches, and for each of the same cells in the same order whether it found itself, and is said to be itself."""
    ours, theirs = query.fingerprint(size), among.fingerprint(size)
    matches = sketch_matches(ours, theirs)
    place = query.places(ours)
    right = matches.best[place] == among.places(theirs)
    assert not (matches.same[place] & ~right).any(), "a cell was taken for another one"
    return matches, right, matches.same[place] & right


# Exact hashes.


def test_the_exact_overlap_counts_cells_on_both_sides(pbmc: Counted) -> None:
    found = exact_overlap(pbmc.cells(slice(0, 500)).fingerprint(), pbmc.cells(slice(400, 700)).fingerprint())
    assert (found.compared_a, found.compared_b, found.found_a, found.found_b) == (500, 300, 100, 100)
    assert (found.share_a, found.share_b) == (0.2, 1 / 3)


def test_normalised_cells_are_the_same_as_their_counts(pbmc: Counted) -> None:
    normalised = fingerprint(pbmc.cells(slice(0, 100)).normalised(1e6), pbmc.genes)
    assert exact_overlap(normalised, pbmc.fingerprint()).share_a == 1


def test_thinned_cells_or_fewer_genes_are_not_the_same_counts(pbmc: Counted) -> None:
    assert exact_overlap(pbmc.thinned(0.9).fingerprint(), pbmc.fingerprint()).found_a == 0
    assert exact_overlap(pbmc.only(np.arange(500)).fingerprint(), pbmc.fingerprint()).found_a == 0


def test_cells_of_few_genes_are_left_out_since_they_are_alike_by_chance(pbmc: Counted) -> None:
    nearly_empty = pbmc.thinned(0.005).fingerprint()
    other = pbmc.thinned(0.005, seed=1).fingerprint()
    assert exact_overlap(nearly_empty, other, min_genes=1).found_a > 0
    assert exact_overlap(nearly_empty, other).found_a == 0


def test_without_hashes_there_is_no_share(pbmc: Counted) -> None:
    scaled = pbmc.normalised() - pbmc.normalised().mean(axis=0)
    found = exact_overlap(fingerprint(scaled, pbmc.genes), pbmc.fingerprint())
    assert (found.compared_a, found.share_a, found.share_b) == (0, None, 0)


def test_the_mouse_cells_of_the_pancreas_set_include_some_twice(shared_data: Path) -> None:
    hashes = pancreas(shared_data, "mouse").fingerprint().exact
    assert (len(hashes), len(set(hashes.tolist()))) == (175, 153)


# Sketches.


def test_half_the_cells_are_found_and_the_others_are_not(pbmc: Counted) -> None:
    query, among = pbmc.thinned(0.5), pbmc.cells(slice(0, 350))
    matches = sketch_matches(query.fingerprint(), among.fingerprint())
    same = matches.same[query.places(query.fingerprint())]
    assert same[:350].all()
    assert not same[350:].any()


def test_scaled_cells_are_found(pbmc: Counted) -> None:
    values = pbmc.normalised()
    scaled = fingerprint((values - values.mean(axis=0)) / values.std(axis=0), pbmc.genes)
    matches = sketch_matches(scaled, pbmc.cells(slice(0, 350)).fingerprint())
    assert matches.same.sum() == 350
    assert (matches.containment[matches.same] == 1).all()


def test_genes_that_were_filled_up_with_zeros_do_no_harm(pbmc: Counted) -> None:
    kept = pbmc.counts * np.isin(np.arange(len(pbmc.genes)), pbmc.most_variable(500))
    _, _, same = look_for(Counted(kept, pbmc.genes), pbmc)
    assert same.all()


def test_cells_of_a_type_that_is_rare_in_both_are_not_taken_for_each_other(pbmc: Counted) -> None:
    """Seen from other tissues, what the cells of one tissue have in common is rare, and so it is much evidence."""
    genes = np.concatenate([pbmc.genes, np.char.add(pbmc.genes, " elsewhere")])
    here = np.hstack([pbmc.counts[:40], np.zeros_like(pbmc.counts[:40])])
    elsewhere = np.hstack([np.zeros_like(pbmc.counts), pbmc.counts])
    one = Counted(np.vstack([here[:20], elsewhere[:350]]), genes).thinned(0.2)
    other = Counted(np.vstack([here[20:], elsewhere[350:]]), genes)
    matches = sketch_matches(one.fingerprint(), other.fingerprint())
    assert matches.evidence.max() > matches.min_evidence
    assert not matches.same.any()


def test_two_samples_of_a_cell_that_both_lost_half_are_nearest_and_cannot_be_told_to_be_the_same(pbmc: Counted) -> None:
    _, right, same = look_for(pbmc.thinned(0.5, seed=1), pbmc.thinned(0.5, seed=2))
    assert right.mean() > 0.99
    assert not same.any()


def test_sketches_of_different_sizes_can_be_compared(pbmc: Counted) -> None:
    small, large = pbmc.fingerprint(64), pbmc.fingerprint(1024)
    for ours, theirs in ((small, large), (large, small)):
        matches = sketch_matches(ours, theirs)
        assert (matches.best[pbmc.places(ours)] == pbmc.places(theirs)).all()
        assert (matches.compared == 64).all()
        assert (matches.containment == 1).all()


def test_the_threshold_grows_with_the_number_of_pairs(pbmc: Counted) -> None:
    matches = sketch_matches(pbmc.cells(slice(0, 64)).fingerprint(), pbmc.cells(slice(0, 256)).fingerprint())
    assert matches.min_evidence == MARGIN + 6 + 8
    assert matches.shared_genes == 765


def test_a_cell_without_genes_matches_nothing(pbmc: Counted) -> None:
    counts = np.vstack([pbmc.counts[:5], np.zeros((1, 765), dtype=int)])
    matches = sketch_matches(Counted(counts, pbmc.genes).fingerprint(), pbmc.fingerprint())
    assert (matches.best == -1).sum() == 1
    assert matches.same.sum() == 5


def test_too_few_genes_in_common_are_an_error_that_names_them(pbmc: Counted) -> None:
    other = Counted(pbmc.counts, np.array([f"ENSG{i:011}" for i in range(765)]))
    with pytest.raises(UserError, match=r"share 0 genes by name \(765 other names and 765 Ensembl genes\)"):
        sketch_matches(pbmc.fingerprint(), other.fingerprint())


@pytest.mark.parametrize("size", [1024, 100])
def test_evidence_is_what_is_described(pbmc: Counted, size: int) -> None:
    """Recomputed pair by pair, with loops and bisection. Depths are approximate: genes of similar rates are grouped."""
    query, among = pbmc.cells(slice(0, 20)).thinned(0.6), pbmc.cells(slice(0, 25))
    ours, theirs = query.fingerprint(size), among.fingerprint(size)
    matches = sketch_matches(ours, theirs, n_candidates=1000)
    sides = list(side_of(ours)), list(side_of(theirs))
    frequency = {gene: max(slow_frequency(gene, side) for side in sides) for gene in ours.genes.tolist()}
    for i in range(0, 20, 6):
        pairs = [slow_evidence(sides[0][i], other, frequency) for other in sides[1]]
        best = int(np.argmax([pair[0] for pair in pairs]))
        evidence, containment, compared = pairs[best]
        assert matches.best[i] == best
        assert matches.evidence[i] == pytest.approx(evidence, rel=0.01)
        assert matches.containment[i] == pytest.approx(containment)
        assert matches.compared[i] == compared


Side = list[tuple[set[int], int]]
"""The genes of each sketch, and the last gene of which it tells something."""


def side_of(found: Fingerprint) -> Iterator[tuple[set[int], int]]:
    for part in np.split(found.ranks, found.starts[1:-1]):
        genes = found.genes[part].tolist()
        yield set(genes), genes[-1] if len(genes) == found.header.sketch_size else 2**64


def slow_frequency(gene: int, side: Side) -> float:
    told = [genes for genes, end in side if gene <= end]
    return (sum(gene in genes for genes in told) + 0.5) / (len(told) + 1)


def slow_evidence(
    one: tuple[set[int], int], other: tuple[set[int], int], frequency: dict[int, float]
) -> tuple[float, float, int]:
    end = min(one[1], other[1])
    contained, containing = sorted((one, other), key=lambda sketch: sum(gene <= end for gene in sketch[0]))
    told = [share for gene, share in frequency.items() if gene <= containing[1]]
    low, high = 0.0, 1000.0
    for _ in range(60):
        depth = (low + high) / 2
        expected = sum(1 - (1 - share) ** depth for share in told)
        low, high = (depth, high) if expected < len(containing[0]) else (low, depth)
    common = [gene for gene in contained[0] if gene <= end and gene in containing[0]]
    compared = sum(gene <= end for gene in contained[0])
    bits = sum(-np.log2(1 - (1 - frequency[gene]) ** depth) for gene in common)
    return bits + np.log2(0.05) * (compared - len(common)), len(common) / max(compared, 1), compared


# What the page says.


def table(before: str) -> dict[str, dict[str, list[float]]]:
    """Return the first table of the page after some words, as row → column → the numbers of a cell."""
    text = PAGE.read_text(encoding="utf-8").split(f"{before}\n", 1)[1]
    lines = re.search(r"(?:^\|.*\n)+", text, re.MULTILINE)[0].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    numbers = [[[float(one) for one in re.findall(r"[\d.]+", cell)] for cell in row[1:]] for row in rows[2:]]
    return {row[0]: dict(zip(rows[0][1:], told, strict=True)) for row, told in zip(rows[2:], numbers, strict=True)}


def changed(cells: Counted, what: str) -> Counted:
    share = re.search(r"(\d+) % of the molecules", what)
    genes = re.search(r"([\d,]+) most variable genes", what)
    made = cells.thinned(int(share[1]) / 100) if share else cells
    return made.only(cells.most_variable(int(genes[1].replace(",", "")))) if genes else made


@pytest.mark.slow
@pytest.mark.parametrize("dataset", ["PBMC", "pancreas", "Drop-seq", "CEL-seq2"])
def test_the_page_tells_how_often_cells_are_found(dataset: str, request: pytest.FixtureRequest) -> None:
    rows = {what: columns[dataset] for what, columns in table("## How well it works").items() if columns[dataset]}
    assert len(rows) >= 5
    if dataset == "PBMC":
        cells = pbmc68k()
    else:
        folder = request.getfixturevalue("shared_data")
        cells = (
            pancreas(folder, "human") if dataset == "pancreas" else mixology(folder, dataset.lower().replace("-", ""))
        )
    for what, (found, told) in rows.items():
        _, right, same = look_for(changed(cells, what), cells)
        assert (right.mean(), same.mean()) == pytest.approx((found, told), abs=0.015), what
        others = sketch_matches(
            changed(cells, what).cells(slice(0, None, 2)).fingerprint(), cells.cells(slice(1, None, 2)).fingerprint()
        )
        assert not others.same.any(), what


@pytest.mark.slow
def test_the_page_tells_why_sketches_have_this_size(shared_data: Path) -> None:
    cells = mixology(shared_data, "dropseq")
    for what, columns in table("How many are said to be the same depends on the size of the sketches:").items():
        for size, (told,) in columns.items():
            _, _, same = look_for(changed(cells, what), cells, int(size.replace(",", "")))
            assert same.mean() == pytest.approx(told, abs=0.015), (what, size)


def test_the_page_tells_how_soon_sex_shows_in_the_order_of_genes() -> None:
    text = PAGE.read_text(encoding="utf-8")
    told = re.findall(r"`(XIST|RPS4Y1|ENSG\d+)` at (\d+) %", text)
    assert len(told) == 4
    for gene, percent in told:
        assert round(100 * int(gene_hashes([gene])[0]) / 2**64) == int(percent)
