"""Half a million cells are opened and checked without their matrix ever being in memory, dense or whole.

Each dataset is loaded by a process of its own, whose address space is limited and whose peak memory is asked for.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
from anndata.io import write_elem

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for the peak memory of a process"),
]

MIB = 2**20
ADDRESS_SPACE = 4_000 * MIB

# VmHWM and not ru_maxrss: the latter begins with the memory of whoever started the process.
CHILD = """
import json, re, resource, sys
from pathlib import Path

import anndata
from cellgauge.cards import DatasetCard
from cellgauge.data.dataset import load_dataset
from cellgauge.data.obtain import InvalidDatasetError
from cellgauge.data.store import FileStore

def peak():
    return 1024 * int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])

limit = int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
folder = Path(sys.argv[1])
card = DatasetCard.model_validate_json(sys.stdin.read())
before = peak()
try:
    load_dataset(card, folder, FileStore(folder / "cache"))
except InvalidDatasetError as refused:
    (problem,) = refused.problems
    digest = re.findall(r"sha256:\\w+", problem)[1]
dataset = load_dataset(card.model_copy(update={"digest_of_content": digest}), folder, FileStore(folder / "cache"))
after = peak()
try:
    anndata.read_h5ad(folder / card.source.path)
    read_whole = True
except MemoryError:
    read_whole = False
print(json.dumps({
    "before": before,
    "after": after,
    "read_whole": read_whole,
    "n_cells": dataset.n_cells,
    "n_stored": dataset.content.n_stored,
    "total": dataset.content.totals.sum(),
    "labels": len(set(dataset.columns["label"])),
}))
"""


def _load(trial) -> dict[str, Any]:
    """Load what was written in another process, and return what it found and needed."""
    child = subprocess.run(
        [sys.executable, "-c", CHILD, trial.folder, str(ADDRESS_SPACE)],
        input=trial.card().model_dump_json(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert child.returncode == 0, child.stderr
    found: dict[str, Any] = json.loads(child.stdout)
    found["grown"] = found["after"] - found["before"]
    print(f"peak {found['after'] / MIB:.0f} MiB, of which {found['grown'] / MIB:.0f} MiB while loading and checking")
    return found


def _write_tables(file: h5py.File, n_cells: int, n_genes: int) -> None:
    file.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
    labels = pd.Categorical.from_codes(np.arange(n_cells) % 5, list("abcde"))
    write_elem(file, "obs", pd.DataFrame({"type": labels}, index=[f"cell{i}" for i in range(n_cells)]))
    write_elem(file, "var", pd.DataFrame(index=[f"gene{i}" for i in range(n_genes)]))


def _write_sparse(path: Path, n_cells: int, n_genes: int, per_cell: int) -> int:
    """Write a CSR matrix of counts, with as many values in each cell, in blocks; return the sum of all."""
    rng = np.random.default_rng(0)
    total, apart = 0, n_genes // per_cell
    with h5py.File(path, "w") as file:
        _write_tables(file, n_cells, n_genes)
        matrix = file.create_group("X")
        matrix.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": [n_cells, n_genes]})
        n_values = n_cells * per_cell
        values = matrix.create_dataset("data", (n_values,), "f4", chunks=(2**17,))
        indices = matrix.create_dataset("indices", (n_values,), "i4", chunks=(2**17,))
        matrix["indptr"] = np.arange(0, n_values + 1, per_cell)
        for start in range(0, n_cells, 50_000):
            n = min(50_000, n_cells - start)
            here = slice(start * per_cell, (start + n) * per_cell)
            genes = rng.integers(0, apart, (n, per_cell), dtype=np.int32) + np.arange(per_cell, dtype=np.int32) * apart
            counts = rng.integers(1, 9, n * per_cell)
            indices[here], values[here] = genes.ravel(), counts
            total += int(counts.sum())
    return total


def test_a_sparse_matrix_is_checked_in_a_fraction_of_its_own_size(trial) -> None:
    n_cells, n_genes, per_cell = 500_000, 3_000, 100
    total = _write_sparse(trial.file, n_cells, n_genes, per_cell)
    dense, whole = 4 * n_cells * n_genes, 8 * n_cells * per_cell
    assert dense > ADDRESS_SPACE
    found = _load(trial)
    assert (found["n_cells"], found["n_stored"], found["total"]) == (n_cells, n_cells * per_cell, total)
    assert found["labels"] == 5
    assert found["grown"] < 0.6 * whole
    assert found["after"] < 0.1 * dense


def test_what_checking_needs_does_not_grow_with_the_values_in_a_cell(trial) -> None:
    needed = []
    for per_cell in (20, 60):
        _write_sparse(trial.file, 500_000, 2_400, per_cell)
        needed.append(_load(trial)["grown"])
    assert needed[1] - needed[0] < 0.3 * (8 * 500_000 * (60 - 20))


def test_a_dense_matrix_is_checked_in_a_fraction_of_its_own_size(trial) -> None:
    n_cells, n_genes = 100_000, 2_000
    with h5py.File(trial.file, "w") as file:
        _write_tables(file, n_cells, n_genes)
        matrix = file.create_dataset("X", (n_cells, n_genes), "f4")
        matrix.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
        matrix[::1_000, 7] = 3
    found = _load(trial)
    assert (found["n_stored"], found["total"]) == (100, 300)
    assert found["grown"] < 0.4 * (4 * n_cells * n_genes)


def test_other_layers_and_embeddings_are_not_read_however_large(trial) -> None:
    """Neither was ever written, so that the file is small; whoever reads one needs 72 GB for it."""
    n_cells, n_genes = 500_000, 36_000
    _write_sparse(trial.file, n_cells, n_genes, 4)
    array = {"encoding-type": "array", "encoding-version": "0.2.0"}
    with h5py.File(trial.file, "r+") as file:
        for group, name in (("layers", "scaled"), ("obsm", "X_wide")):
            inside = file.create_group(group)
            inside.attrs.update({"encoding-type": "dict", "encoding-version": "0.1.0"})
            huge = inside.create_dataset(name, (n_cells, n_genes), "f4", chunks=(1_000, 1_000))
            huge.attrs.update(array)
            assert huge.nbytes == 72 * 10**9
    assert trial.file.stat().st_size < 100 * MIB
    found = _load(trial)
    assert found["n_stored"] == 4 * n_cells
    assert found["grown"] < 400 * MIB
    assert not found["read_whole"]
