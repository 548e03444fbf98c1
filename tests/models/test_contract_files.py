"""What a run writes for a container is what the adapter reads, and what the adapter writes is what a run reads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from ast import literal_eval
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from cellgauge.models.contract import (
    MEANINGS,
    Request,
    read_embedding,
    read_prediction,
    read_response,
    reason_of,
    write_input,
)
from cellgauge.models.embedding import InvalidOutputError, accept_embedding
from cellgauge.models.prediction import accept_prediction

IMAGES = Path(__file__).parents[2] / "generator" / "images"
Adapt = Callable[..., subprocess.CompletedProcess[str]]

MODELS = '''
import sys
import numpy as np
import pandas as pd
import adapter

def as_array(adata, request):
    """The sum of each cell's counts, its name's digits, and what was asked for."""
    sums = np.asarray(adata.X.sum(axis=1)).ravel()
    return np.column_stack([sums, [float(name[1:]) for name in adata.obs_names], np.full(len(sums), request["seed"])])

def as_frame(adata, request):
    return pd.DataFrame(as_array(adata, request), index=adata.obs_names)[::-1]

def predicted(adata, request):
    names = list(adata.uns["predict"])[1:]
    rows = [[float(name[1:]) * 100 + float(gene[1:]) for gene in adata.var_names] for name in names]
    return pd.DataFrame(rows, index=names, columns=adata.var_names).iloc[::-1, ::-1]

def retold(adata, request):
    """Say on standard error what came in."""
    adapter.progress(repr([type(adata.X).__name__, adata.X.dtype.name, list(adata.obs), list(adata.var_names)]))
    adapter.progress(repr(dict(request)))
    return as_array(adata, request)

def not_applicable(adata, request):
    raise adapter.NotApplicable("made for mice alone")

def bad_input(adata, request):
    raise adapter.BadInput("these are no counts")

def needs_gpu(adata, request):
    raise adapter.NeedsGpu("it takes a year without")

def no_weights(adata, request):
    adapter.weights("model.pt")

def with_weights(adata, request):
    return np.full((adata.n_obs, 1), float(adapter.weights("model.txt").read_text()))

def no_memory(adata, request):
    raise MemoryError("1 PB")

class OutOfMemoryError(RuntimeError):
    """Named as that of torch."""

def no_memory_of_gpu(adata, request):
    raise OutOfMemoryError("1 PB")

def broken(adata, request):
    raise RuntimeError("the model is broken")

def short(adata, request):
    return as_array(adata, request)[:-1]

def no_array(adata, request):
    return "nothing"

if __name__ == "__main__":
    genes = (lambda adata: (100, adata.n_vars)) if "genes" in sys.argv else None
    adapter.run(globals()[sys.argv[1]], packages=("numpy", "no-such-package"), genes=genes)
'''


def cells(n: int = 6, kind: Any = sparse.csc_matrix) -> ad.AnnData:
    values = np.random.default_rng(3).poisson(2.0, (n, 4)).astype(np.float32)
    return ad.AnnData(
        kind(values),
        obs=pd.DataFrame(
            {"batch": pd.Categorical((["x", "y"] * n)[:n]), "depth": np.arange(n) / 2},
            index=[f"c{row}" for row in range(n)],
        ),
        var=pd.DataFrame(index=[f"g{column}" for column in range(4)]),
    )


def request(adata: ad.AnnData, **changes: Any) -> Request:
    usual: dict[str, Any] = {
        "output": "embedding",
        "seed": 42,
        "params": {"n": 2, "share": 0.5, "name": "µ", "on": True},
        "values": "counts",
        "features": "gene symbols",
        "taxa": [9606, 10090],
        "n_cells": adata.n_obs,
        "n_genes": adata.n_vars,
        "threads": 1,
        "gpu": False,
    }
    return Request.model_validate({**usual, **changes})


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "output"


@pytest.fixture
def adapt(tmp_path: Path) -> Adapt:
    """Runs a model above with the adapter, as a container would, but without one."""
    (tmp_path / "model.py").write_text(MODELS)
    for name in ("input", "output", "weights"):
        (tmp_path / name).mkdir()

    def run(model: str, *arguments: str, adata: ad.AnnData | None = None, **changes: Any) -> Any:
        given = cells() if adata is None else adata
        if not (tmp_path / "input" / "request.json").exists():
            write_input(tmp_path / "input", given, request(given, **changes))
        here = {**os.environ, "CELLGAUGE_ROOT": str(tmp_path), "PYTHONPATH": str(IMAGES)}
        return subprocess.run(
            [sys.executable, "-W", "ignore", tmp_path / "model.py", model, *arguments],
            env=here,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_cells_and_request_arrive_as_they_were_given(adapt: Adapt, tmp_path: Path) -> None:
    given = cells()
    done = adapt("retold", adata=given)
    assert done.returncode == 0, done.stderr
    told, asked = map(literal_eval, done.stderr.splitlines())
    assert told == ["csr_matrix", "float32", ["batch", "depth"], ["g0", "g1", "g2", "g3"]]
    assert asked == {**request(given).model_dump(), "contract": 1}
    assert asked["params"] == {"n": 2, "share": 0.5, "name": "µ", "on": True}
    assert isinstance(given.X, sparse.csc_matrix), "what belongs to the run is not changed"
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "input").iterdir()} == {0o444}


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_matrix], ids=["dense", "sparse"])
def test_an_array_is_an_embedding_in_the_order_of_the_cells(adapt: Adapt, output: Path, kind: Any) -> None:
    given = cells(kind=kind)
    done = adapt("as_array", adata=given)
    assert done.returncode == 0, done.stderr
    found = accept_embedding(read_embedding(output, given.n_obs), given.obs_names.to_numpy(dtype=str))
    np.testing.assert_array_equal(found[:, 0], np.asarray(given.X.sum(axis=1)).ravel())
    np.testing.assert_array_equal(found[:, 1:], [[row, 42] for row in range(6)])
    response = read_response(output)
    assert response is not None
    assert response.versions == {
        "python": sys.version.split()[0],
        "numpy": version("numpy"),
        "no-such-package": "not installed",
    }
    assert (response.genes, response.reason) == (None, None)


def test_a_data_frame_is_an_embedding_in_an_order_of_its_own(adapt: Adapt, output: Path) -> None:
    done = adapt("as_frame", "genes")
    assert done.returncode == 0, done.stderr
    read = read_embedding(output, 6)
    assert read.index.tolist() == ["c5", "c4", "c3", "c2", "c1", "c0"]
    np.testing.assert_array_equal(accept_embedding(read, cells().obs_names.to_numpy(dtype=str))[:, 1], range(6))
    response = read_response(output)
    assert response is not None
    assert response.genes is not None
    assert (response.genes.known, response.genes.found) == (100, 4)


def test_a_data_frame_is_a_prediction(adapt: Adapt, output: Path) -> None:
    given = cells()
    given.obs["perturbation"] = ["p0"] * given.n_obs
    given.uns.update({"predict": ["p1", "p2", "p3"], "control": "p0", "joined_by": "+"})
    done = adapt("predicted", adata=given, output="prediction")
    assert done.returncode == 0, done.stderr
    found = accept_prediction(read_prediction(output, 3, 4), given.uns["predict"], given.var_names.to_numpy(dtype=str))
    np.testing.assert_array_equal(found, [[np.nan] * 4, [200, 201, 202, 203], [300, 301, 302, 303]])


@pytest.mark.parametrize(
    ("model", "status", "reason"),
    [
        ("not_applicable", "not_applicable", "made for mice alone"),
        ("bad_input", "invalid_input", "these are no counts"),
        ("no_weights", "weights_unavailable", "model.pt is not among the weights"),
        ("needs_gpu", "needs_gpu", "it takes a year without"),
        ("no_memory", "out_of_memory", "memory ran out: 1 PB"),
    ],
)
def test_what_a_model_declines_has_its_exit_code_and_reason(
    adapt: Adapt, output: Path, model: str, status: str, reason: str
) -> None:
    done = adapt(model)
    assert MEANINGS[done.returncode] == status
    assert reason_of(read_response(output), done.stderr) == reason
    assert "Traceback" not in done.stderr
    assert sorted(path.name for path in output.iterdir()) == ["response.json"]


@pytest.mark.parametrize(
    ("model", "code", "reason"),
    [
        ("no_memory_of_gpu", 68, "OutOfMemoryError: 1 PB"),
        ("broken", 1, "RuntimeError: the model is broken"),
        ("no_array", 1, "ValueError: could not convert string to float: 'nothing'"),
    ],
)
def test_an_exception_leaves_its_traceback(adapt: Adapt, output: Path, model: str, code: int, reason: str) -> None:
    done = adapt(model)
    assert done.returncode == code
    assert done.stderr.startswith("Traceback (most recent call last):")
    assert done.stderr.rstrip().endswith(reason)
    assert reason_of(read_response(output), "") == reason


def test_weights_are_read_from_their_folder(adapt: Adapt, output: Path, tmp_path: Path) -> None:
    (tmp_path / "weights" / "model.txt").write_text("2.5")
    assert adapt("with_weights").returncode == 0
    assert read_embedding(output, 6).to_numpy().tolist() == [[2.5]] * 6


def test_rows_that_a_model_dropped_are_missed(adapt: Adapt, output: Path) -> None:
    assert adapt("short").returncode == 0
    with pytest.raises(InvalidOutputError, match="expected 5 ids, one for each row, found 6"):
        read_embedding(output, 6)


def test_another_version_of_the_contract_is_refused(adapt: Adapt, output: Path, tmp_path: Path) -> None:
    write_input(tmp_path / "input", cells(), request(cells()))
    path = tmp_path / "input" / "request.json"
    path.chmod(0o644)
    path.write_text(json.dumps({**json.loads(path.read_text()), "contract": 2}))
    done = adapt("as_array")
    assert MEANINGS[done.returncode] == "invalid_input"
    said = reason_of(read_response(output), done.stderr)
    assert said == "this container speaks version 1 of the contract, not 2"
