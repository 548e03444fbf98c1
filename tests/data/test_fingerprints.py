"""Fingerprints know cells again, whatever the order, and say nothing about how much of a gene there was."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from math import gcd
from pathlib import Path
from typing import Any

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from cellgauge.cards.problems import UserError
from cellgauge.data.fingerprint import SKETCH_SIZE, Fingerprint, fingerprint, fingerprint_h5ad
from cellgauge.data.fingerprint_file import DISCLOSES

seeds = st.integers(0, 10**6)


def property_of(*strategies: Any, examples: int = 50) -> Callable[[Any], Any]:
    """Return a decorator that tries a test on so many examples."""
    return lambda test: settings(max_examples=examples)(given(*strategies)(test))


targets = st.floats(0.5, 1e6)


def counts(seed: int, n_cells: int = 9, n_genes: int = 80) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.poisson(rng.lognormal(-1, 1.5, (n_cells, n_genes)))


def names(n_genes: int) -> list[str]:
    return [f"gene {i}" for i in range(n_genes)]


def take(matrix: Any, genes: list[str] | None = None, **options: Any) -> Fingerprint:
    return fingerprint(matrix, names(matrix.shape[1]) if genes is None else genes, **options)


def log_normalised(matrix: np.ndarray, target: float = 1e4) -> np.ndarray:
    return np.log1p(matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1) * target).astype(np.float32)


def sketches(found: Fingerprint) -> list[tuple[int, ...]]:
    parts = np.split(found.ranks, found.starts[1:-1])
    return sorted(tuple(found.genes[part].tolist()) for part in parts)


def hashes(found: Fingerprint) -> list[int]:
    return found.exact.tolist()


# An implementation of the exact hash that shares nothing with the other one, from the description on the page.


def slow_hash(cell: dict[str, int]) -> int:
    present = {gene: count for gene, count in cell.items() if count}
    if not present:
        return 0
    shared = gcd(*present.values()) if len(present) > 1 else 1
    total = 0
    for gene, count in present.items():
        digest = hashlib.blake2b(gene.encode("utf-8"), digest_size=8).digest()
        total += slow_mix(int.from_bytes(digest, "little") ^ slow_mix(count // shared))
    return slow_mix(total % 2**64) or 1


def slow_mix(x: int) -> int:
    x = ((x ^ x >> 30) * 0xBF58476D1CE4E5B9) % 2**64
    x = ((x ^ x >> 27) * 0x94D049BB133111EB) % 2**64
    return x ^ x >> 31


@property_of(st.lists(st.lists(st.integers(0, 2**40), min_size=5, max_size=5), min_size=1, max_size=8))
def test_the_exact_hash_is_the_one_that_is_described(rows: list[list[int]]) -> None:
    matrix = np.array([*rows, [0] * 5])
    assert hashes(take(matrix)) == sorted(slow_hash(dict(zip(names(5), row, strict=True))) for row in matrix.tolist())


@property_of(seeds)
def test_the_order_of_cells_and_genes_is_neither_kept_nor_told(seed: int) -> None:
    rng = np.random.default_rng(seed)
    matrix = np.vstack([counts(seed), np.zeros((2, 80), dtype=int), counts(seed)[:2]])
    cells, genes = rng.permutation(len(matrix)), rng.permutation(80)
    shuffled = take(matrix[cells][:, genes], [names(80)[i] for i in genes])
    assert shuffled.to_bytes() == take(matrix).to_bytes()


@property_of(seeds)
def test_the_order_does_not_matter_without_exact_hashes_either(seed: int) -> None:
    rng = np.random.default_rng(seed)
    matrix = counts(seed, 40) * 1.0
    matrix = (matrix - matrix.mean(axis=0)) / matrix.std(axis=0).clip(0.1)
    cells = rng.permutation(len(matrix))
    assert take(matrix[cells]).to_bytes() == take(matrix).to_bytes()


@property_of(seeds, st.integers(1, 30))
def test_genes_that_no_cell_has_change_no_fingerprint(seed: int, n_more: int) -> None:
    matrix = counts(seed)
    wider = take(np.hstack([matrix, np.zeros((len(matrix), n_more), dtype=int)]))
    plain = take(matrix)
    assert hashes(wider) == hashes(plain)
    assert sketches(wider) == sketches(plain)


@property_of(st.data(), seeds, st.integers(-5, 5).filter(bool))
def test_one_changed_count_changes_the_hash_of_its_cell_and_no_other(data: Any, seed: int, change: int) -> None:
    matrix = counts(seed, 6, 20)
    cell, gene = data.draw(st.integers(0, 5)), data.draw(st.integers(0, 19))
    changed = matrix.copy()
    changed[cell, gene] = max(0, changed[cell, gene] + change)
    before, after = ([take(one[[i]]).exact[0] for i in range(6)] for one in (matrix, changed))
    differs = [one != other for one, other in zip(before, after, strict=True)]
    assert differs == [i == cell and (matrix != changed).any() for i in range(6)]


def test_a_gene_that_is_alone_in_its_cell_still_has_a_count() -> None:
    exact = take(np.array([[3, 0], [5, 0], [0, 3], [0, 0]])).exact
    assert len(set(exact.tolist())) == 4


@property_of(seeds, targets, st.sampled_from([np.float32, np.float64]))
def test_normalisation_leaves_both_fingerprints_as_they_were(seed: int, target: float, dtype: type) -> None:
    matrix = counts(seed)
    normalised = take(log_normalised(matrix, target).astype(dtype))
    assert hashes(normalised) == hashes(take(matrix))
    assert sketches(normalised) == sketches(take(matrix))
    assert normalised.header.counts_from == {"log(1 + x)": len(matrix)}


@property_of(seeds, st.booleans())
def test_scaling_leaves_the_sketches_and_takes_the_counts(seed: int, clip: bool) -> None:
    matrix = counts(seed, 60)
    matrix = matrix[:, (matrix == 0).any(axis=0)]
    values = log_normalised(matrix)
    scaled = (values - values.mean(axis=0)) / np.where(values.std(axis=0) > 0, values.std(axis=0), 1)
    found = take(np.minimum(scaled, 2) if clip else scaled)
    assert sketches(found) == sketches(take(matrix))
    assert found.header.n_hashed == 0
    assert "centred and scaled" in found.header.not_hashed
    assert found.header.detected == "above the minimum of the gene"


@property_of(seeds)
def test_storage_does_not_matter(seed: int) -> None:
    dense = np.minimum(counts(seed), 255)
    rows = sparse.csr_matrix(dense)
    backwards = sparse.csr_matrix(rows[:, ::-1])[:, ::-1]
    backwards.has_sorted_indices = False
    filled = np.flatnonzero(np.ones_like(dense))
    explicit = sparse.csr_matrix((dense.ravel(), filled % 80, np.arange(0, dense.size + 1, 80)), dense.shape)
    assert explicit.nnz == dense.size
    expected = take(dense).to_bytes()
    same = [rows, sparse.csc_matrix(dense), sparse.coo_matrix(dense), sparse.csr_array(dense), explicit, backwards]
    same += [dense.astype(dtype) for dtype in (np.uint8, np.int64, np.uint32, np.float32, np.float64)]
    assert {take(one).to_bytes() for one in same} == {expected}
    assert (explicit.nnz, rows.dtype) == (dense.size, dense.dtype)


def test_the_matrix_is_left_alone() -> None:
    matrix = sparse.csr_matrix((np.array([1.0, 0, 2]), np.array([1, 0, 2]), np.array([0, 2, 3])), (2, 3))
    take(matrix)
    assert matrix.data.tolist() == [1, 0, 2]
    assert matrix.indices.tolist() == [1, 0, 2]


def test_slices_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    matrix = counts(3, 50)
    scaled = matrix - matrix.mean(axis=0)
    whole = take(matrix).to_bytes(), take(scaled).to_bytes()
    monkeypatch.setattr("cellgauge.data.cell_sketches._ROWS_AT_ONCE", 7)
    assert (take(matrix).to_bytes(), take(scaled).to_bytes()) == whole


def test_progress_counts_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cellgauge.data.cell_sketches._ROWS_AT_ONCE", 4)
    said: list[tuple[int, int]] = []
    take(counts(1, 9), on_progress=lambda done, total: said.append((done, total)))
    assert said == [(4, 9), (8, 9), (9, 9)]


def test_a_sketch_holds_the_first_genes_in_the_order_of_their_hashes() -> None:
    matrix, genes = counts(4), names(80)
    order = {gene: hashlib.blake2b(gene.encode(), digest_size=8).digest()[::-1] for gene in genes}
    expected = []
    for row in matrix:
        detected = sorted((order[gene] for gene, count in zip(genes, row, strict=True) if count))
        expected.append(tuple(int.from_bytes(one) for one in detected[:12]))
    assert sketches(take(matrix, sketch_size=12)) == sorted(expected)


def test_versions_of_ensembl_ids_do_not_matter_and_names_are_told_apart() -> None:
    matrix = counts(5, 4, 3)
    plain = ["ENSG00000229807", "ENSMUSG00000086503", "NKX2-1"]
    versioned = ["ENSG00000229807.13", "ENSMUSG00000086503.4", "NKX2-1"]
    assert take(matrix, plain).to_bytes() == take(matrix, versioned).to_bytes()
    assert take(matrix, plain).header.gene_ids == "Ensembl genes"
    assert take(matrix).header.gene_ids == "other names"
    assert hashes(take(matrix, [*plain[:2], "NKX2.1"])) != hashes(take(matrix, plain))


def test_a_gene_that_occurs_twice_counts_twice_and_is_detected_once() -> None:
    found = take(np.array([[1, 2, 0], [2, 1, 0], [3, 0, 0]]), ["A", "A", "B"])
    assert found.exact[0] != found.exact[1] or found.exact[1] != found.exact[2]
    assert len(set(hashes(found))) == 2
    assert found.header.n_genes == 2
    assert set(sketches(found)) == {(found.genes[found.ranks[0]],)}


def test_the_header_says_what_there_is_and_what_is_disclosed() -> None:
    found = take(np.vstack([counts(1, 3, 50), np.zeros((1, 50), dtype=int)]))
    header = found.header
    assert (header.n_cells, header.n_genes, header.n_hashed, found.share_hashed) == (4, 50, 3, 0.75)
    assert header.counts_from == {"counts": 3}
    assert header.not_hashed == "Cells 1 without any counts."
    assert header.sketch_size == SKETCH_SIZE
    assert header.discloses == DISCLOSES
    assert set(DISCLOSES) == {"exact", "sketch", "neither"}


def test_no_expression_values_cell_names_or_order_are_in_the_file() -> None:
    """Cells that differ in how much of each gene they have, and not in which genes, have the same sketches."""
    matrix = counts(7)
    more = np.where(matrix > 0, matrix + np.random.default_rng(7).integers(1, 50, matrix.shape), 0)
    one, other = take(matrix), take(more)
    assert sketches(one) == sketches(other)
    with zipfile.ZipFile(io.BytesIO(one.to_bytes())) as archive:
        assert archive.namelist() == ["header.npy", "exact.npy", "genes.npy", "sizes.npy", "gaps.npy"]


def test_continuous_values_have_sketches_and_no_hashes_and_it_is_said_why() -> None:
    matrix = counts(8, 40)
    found = take(matrix * np.random.default_rng(8).lognormal(0, 0.2, matrix.shape))
    assert found.header.n_hashed == 0
    assert found.header.not_hashed.startswith("Cells 40 with values that are not whole multiples of one number")
    assert sketches(found) == sketches(take(matrix))


@pytest.mark.parametrize("shift", [0, 100])
def test_corrected_values_without_zeros_are_refused(shift: float) -> None:
    values = np.random.default_rng(1).normal(shift, 1, (50, 30))
    with pytest.raises(UserError, match="cannot be told which genes were detected"):
        take(values)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(value: float) -> None:
    matrix = counts(1).astype(float)
    matrix[3, 4] = value
    with pytest.raises(UserError, match="NaN or infinite"):
        take(matrix)


def test_a_matrix_that_is_none_is_refused() -> None:
    with pytest.raises(UserError, match="expected cells × 3 genes, found a matrix of 9 × 80"):
        take(counts(1), ["a", "b", "c"])
    with pytest.raises(UserError, match="found a matrix of 0 × 80"):
        take(counts(1)[:0])
    with pytest.raises(UserError, match="one gene or more"):
        take(counts(1), sketch_size=0)
    with pytest.raises(UserError, match="expected numbers"):
        take(np.array([[1j, 2]]))


def test_pbmc68k_has_the_same_fingerprints_as_its_counts_and_its_scaled_values_the_same_sketches() -> None:
    cells = sc.datasets.pbmc68k_reduced()
    plain = np.expm1(cells.raw.X.toarray().astype(float))
    smallest = np.where(plain > 0, plain, np.inf).min(axis=1, keepdims=True)
    found = fingerprint(cells.raw.X, cells.raw.var_names)
    assert hashes(found) == hashes(fingerprint(np.rint(plain / smallest), cells.raw.var_names))
    assert found.header.counts_from == {"log(1 + x)": 700}
    among = cells.raw[:, cells.var_names].X
    assert sketches(fingerprint(cells.X, cells.var_names)) == sketches(fingerprint(among, cells.var_names))


# Files that cells come in.


def h5ad(path: Path, matrix: Any, **more: Any) -> Path:
    var = pd.DataFrame(index=names(matrix.shape[1]))
    ad.AnnData(matrix, var=var, **more).write_h5ad(path)
    return path


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix, sparse.csc_matrix])
def test_a_file_gives_what_the_matrix_gives(tmp_path: Path, form: Callable[[Any], Any]) -> None:
    matrix = counts(2).astype(np.float32)
    expected = take(matrix, source="X").to_bytes()
    assert fingerprint_h5ad(h5ad(tmp_path / "a.h5ad", form(matrix))).to_bytes() == expected


def test_counts_are_looked_for_before_normalised_values(tmp_path: Path) -> None:
    matrix = counts(2).astype(np.float32)
    scaled = log_normalised(matrix) - log_normalised(matrix).mean(axis=0)
    cells = ad.AnnData(log_normalised(matrix), var=pd.DataFrame(index=names(80)))
    cells.raw = cells.copy()
    cells.X = scaled
    cells.write_h5ad(tmp_path / "raw.h5ad")
    assert fingerprint_h5ad(tmp_path / "raw.h5ad").header.matrix == "raw"
    cells.layers["counts"] = matrix
    cells.write_h5ad(tmp_path / "counts.h5ad")
    found = fingerprint_h5ad(tmp_path / "counts.h5ad")
    assert found.header.matrix == "layers/counts"
    assert hashes(found) == hashes(fingerprint_h5ad(tmp_path / "raw.h5ad")) == hashes(take(matrix))
    assert fingerprint_h5ad(tmp_path / "counts.h5ad", location="raw").header.counts_from == {"log(1 + x)": 9}


def test_ensembl_ids_are_preferred_to_symbols_and_a_column_may_be_named(tmp_path: Path) -> None:
    matrix = counts(3, 5, 30)
    ids = [f"ENSG{i:011}" for i in range(30)]
    var = pd.DataFrame({"other": names(30), "gene_ids": ids}, index=[f"symbol {i}" for i in range(30)])
    ad.AnnData(matrix.astype(np.float32), var=var).write_h5ad(tmp_path / "a.h5ad")
    found = fingerprint_h5ad(tmp_path / "a.h5ad")
    assert (found.header.gene_ids, found.header.gene_column) == ("Ensembl genes", "gene_ids")
    assert hashes(found) == hashes(take(matrix, ids))
    assert hashes(fingerprint_h5ad(tmp_path / "a.h5ad", gene_column="other")) == hashes(take(matrix, names(30)))
    with pytest.raises(
        UserError, match='expected gene ids in the column "x" of var, found the columns: other, gene_ids'
    ):
        fingerprint_h5ad(tmp_path / "a.h5ad", gene_column="x")


def test_a_file_that_holds_no_cells_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.h5ad").write_text("no")
    with pytest.raises(UserError, match=r"text\.h5ad: expected an \.h5ad file"):
        fingerprint_h5ad(tmp_path / "text.h5ad")
    with pytest.raises(UserError, match=r"absent\.h5ad: expected an \.h5ad file"):
        fingerprint_h5ad(tmp_path / "absent.h5ad")
    with pytest.raises(UserError, match="expected a matrix at layers/x, found: X"):
        fingerprint_h5ad(h5ad(tmp_path / "a.h5ad", counts(1).astype(np.float32)), location="layers/x")


# Files that fingerprints come in.


@property_of(seeds, st.integers(1, 100), examples=30)
def test_what_is_saved_is_what_is_read(tmp_path_factory: pytest.TempPathFactory, seed: int, size: int) -> None:
    path = tmp_path_factory.mktemp("saved") / "f.npz"
    found = take(np.vstack([counts(seed), np.zeros((2, 80), dtype=int)]), sketch_size=size)
    found.save(path)
    read = Fingerprint.load(path)
    assert read.header == found.header
    for field in ("exact", "genes", "sizes", "ranks"):
        np.testing.assert_array_equal(getattr(read, field), getattr(found, field))
        assert getattr(read, field).dtype == getattr(found, field).dtype
    assert read.to_bytes() == path.read_bytes()
    assert [one.name for one in path.parent.iterdir()] == ["f.npz"]


def test_cells_without_anything_are_saved_too(tmp_path: Path) -> None:
    take(np.zeros((3, 4), dtype=int)).save(tmp_path / "f.npz")
    assert Fingerprint.load(tmp_path / "f.npz").exact.tolist() == [0, 0, 0]


def test_more_genes_than_two_bytes_can_count(tmp_path: Path) -> None:
    matrix = sparse.random(5, 70_000, 0.001, format="csr", random_state=1)
    matrix.data[:] = 1
    take(matrix).save(tmp_path / "f.npz")
    assert sketches(Fingerprint.load(tmp_path / "f.npz")) == sketches(take(matrix))


def arrays_of(found: Fingerprint) -> dict[str, np.ndarray]:
    with np.load(io.BytesIO(found.to_bytes()), allow_pickle=False) as archive:
        return dict(archive)


def header_with(**changes: Any) -> np.ndarray:
    values = json.loads(arrays_of(take(counts(1)))["header"].tobytes())
    return np.frombuffer(json.dumps({**values, **changes}).encode(), dtype="u1")


BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "an array too many": ({"more": np.zeros(1)}, "expected the arrays header.npy"),
    "no exact hashes": ({"exact": None}, "expected the arrays header.npy"),
    "hashes of another type": ({"exact": np.zeros(9)}, "exact: expected one dimension of uint64"),
    "hashes in a table": ({"exact": np.zeros((3, 3), "<u8")}, r"exact: expected one dimension of uint64, found shape"),
    "hashes of objects": ({"exact": np.array([{}] * 9, dtype=object)}, "exact: expected one dimension of uint64"),
    "too few hashes": ({"exact": np.ones(8, "<u8")}, "exact: expected 9 according to the rest of the file, found 8"),
    "hashes out of order": ({"exact": np.arange(9, 0, -1).astype("<u8")}, "expected ascending hashes"),
    "genes twice": ({"genes": np.zeros(80, "<u8")}, "expected ascending hashes"),
    "too few genes": ({"genes": np.arange(79, dtype="<u8")}, "genes: expected 80"),
    "sizes that do not add up": ({"sizes": np.ones(9, "<u4")}, "gaps: expected 9"),
    "enormous sizes": ({"sizes": np.full(9, 2**32 - 1, "<u4")}, "gaps: expected 38,654,705,655"),
    "no header": ({"header": np.frombuffer(b"{", "u1")}, "header: the header"),
    "another format": ({"header": header_with(format="zip")}, "header: format"),
    "a later version": ({"header": header_with(version=2)}, "header: version"),
    "an unknown key": ({"header": header_with(rows=1)}, "header: rows"),
    "another number of cells": ({"header": header_with(n_cells=10)}, "exact: expected 10"),
    "fewer hashed cells": ({"header": header_with(n_hashed=3)}, "exact hashes: expected 3"),
    "counts from elsewhere": ({"header": header_with(counts_from={"counts": 3})}, "cells with counts: expected 9"),
    "smaller sketches": ({"header": header_with(sketch_size=2)}, "expected sketches of at most 2 genes"),
    "an endless header": ({"header": np.full(200_000, 32, "u1")}, "header claims 200,128 bytes"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_file_is_refused_with_what_was_expected(tmp_path: Path, what: str) -> None:
    changes, said = BROKEN[what]
    arrays = {**arrays_of(take(counts(1))), **changes}
    np.savez_compressed(tmp_path / "f.npz", **{name: one for name, one in arrays.items() if one is not None})
    with pytest.raises(UserError, match=said):
        Fingerprint.load(tmp_path / "f.npz")


@pytest.mark.parametrize(
    ("place", "value", "said"), [(1, 0, "occurs twice"), (0, 80, "names gene"), (1, 60_000, "names")]
)
def test_sketches_of_genes_that_cannot_be_are_refused(tmp_path: Path, place: int, value: int, said: str) -> None:
    arrays = arrays_of(take(counts(1)))
    gaps = arrays["gaps"].copy()
    gaps[place] = value
    np.savez_compressed(tmp_path / "f.npz", **{**arrays, "gaps": gaps})
    with pytest.raises(UserError, match=said):
        Fingerprint.load(tmp_path / "f.npz")


def test_a_header_that_asks_for_memory_gets_none(tmp_path: Path) -> None:
    whole = take(counts(1)).to_bytes()
    with zipfile.ZipFile(io.BytesIO(whole)) as archive, zipfile.ZipFile(tmp_path / "f.npz", "w") as broken:
        for name in archive.namelist():
            data = archive.read(name)
            if name == "exact.npy":
                data = data.replace(b"'shape': (9,)", b"'shape': (9999999999999,)")
            broken.writestr(name, data)
    with pytest.raises(UserError, match="exact"):
        Fingerprint.load(tmp_path / "f.npz")


def test_a_file_that_is_no_fingerprint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"f\.npz: cannot be read: No such file"):
        Fingerprint.load(tmp_path / "f.npz")
    (tmp_path / "f.npz").write_bytes(b"text")
    with pytest.raises(UserError, match=r"f\.npz: expected a fingerprint, but: File is not a zip file"):
        Fingerprint.load(tmp_path / "f.npz")


@pytest.mark.fuzz
@property_of(st.data(), examples=300)
def test_any_damage_is_noticed_or_harmless(tmp_path_factory: pytest.TempPathFactory, data: Any) -> None:
    whole = bytearray(take(counts(1)).to_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damaged") / "f.npz"
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole)))] if data.draw(st.booleans()) else whole)
    try:
        read = Fingerprint.load(path)
    except UserError:
        return
    assert read.to_bytes() == take(counts(1)).to_bytes()


def test_bug_counts_with_one_value_below_zero_were_taken_for_scaled_data() -> None:
    counts = np.random.default_rng(0).poisson(0.5, (50, 40)).astype(np.float32)
    counts[3, 4] = -1
    with pytest.raises(UserError, match=r"values below zero \(down to -1\) among 6\d% zeros, which scaled data do not"):
        fingerprint(counts, [f"g{i}" for i in range(40)])


@pytest.mark.parametrize("stored", ["csr", "csc"])
def test_bug_values_outside_the_matrix_took_the_process_down(tmp_path: Path, stored: str) -> None:
    path = tmp_path / "damaged.h5ad"
    ones = sparse.random(200, 50, 0.2, format=stored, dtype=np.float32, random_state=0)
    ones.data[:] = 1
    ad.AnnData(ones).write_h5ad(path)
    with h5py.File(path, "a") as file:
        file["X/indices"][3] = 2**31 - 5
    with pytest.raises(UserError, match="cannot be read: indices must be"):
        fingerprint_h5ad(path)
