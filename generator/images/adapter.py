"""The container's side of the contract, version 1, for models in Python. Copy this file into an image.

A model is a function of the cells and the request::

    from adapter import run

    def embed(adata, request):
        return my_model(adata.X, seed=request["seed"], **request["params"])

    if __name__ == "__main__":
        run(embed)

It returns an array with one row for each cell in the order given, or a data frame indexed by cell id; for a
prediction a data frame of perturbations × genes. It needs numpy, pandas and anndata.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import traceback
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd

# A test may run an adapter without a container, with folders of its own.
ROOT = Path(os.environ.get("CELLGAUGE_ROOT", "/"))
INPUT, OUTPUT, WEIGHTS = ROOT / "input", ROOT / "output", ROOT / "weights"


class Declined(Exception):
    """Ends the run with a meaning; raise one of its kinds with a sentence that says why."""

    code = 1


class NotApplicable(Declined):
    """The model was not made for such cells."""

    code = 64


class BadInput(Declined):
    """The cells cannot be used as they are."""

    code = 65


class WeightsUnavailable(Declined):
    """What should be below /weights is not there."""

    code = 66


class NeedsGpu(Declined):
    """It does not run without a GPU."""

    code = 67


def weights(name: str) -> Path:
    """Return the path of a file of weights.

    Raises
    ------
    WeightsUnavailable
    """
    path = WEIGHTS / name
    if not path.exists():
        raise WeightsUnavailable(f"{name} is not among the weights")
    return path


def need_human(request: dict[str, Any]) -> None:
    """Decline cells that are not all human.

    Raises
    ------
    NotApplicable
    """
    if request["taxa"] != [9606]:
        taxa = ", ".join(map(str, request["taxa"]))
        raise NotApplicable(f"knows human genes alone, not those of taxon {taxa}")


def need_form(request: dict[str, Any], values: str, features: str, in_words: str) -> None:
    """Decline cells whose values or names of genes the model cannot read.

    Raises
    ------
    BadInput
    """
    if (request["values"], request["features"]) != (values, features):
        raise BadInput(f"takes {in_words}, not {request['values']} of {request['features']}")


def need_known_genes(n_empty: int, n_cells: int) -> None:
    """Decline cells of which some express none of the genes that the model knows.

    Raises
    ------
    BadInput
    """
    if n_empty:
        raise BadInput(f"{n_empty:,} of {n_cells:,} cells express none of the genes that the model knows")


def use_torch(request: dict[str, Any]) -> str:
    """Let torch use what was asked for, and return the name of its device.

    Raises
    ------
    NeedsGpu
    """
    import torch  # here, since most models do without

    if request["gpu"] and not torch.cuda.is_available():
        raise NeedsGpu("its card asks for a GPU, and torch finds none")
    torch.set_num_threads(request["threads"])
    return "cuda" if request["gpu"] else "cpu"


def run(
    model: Callable[[ad.AnnData, dict[str, Any]], Any],
    *,
    packages: tuple[str, ...] = ("numpy", "anndata"),
    genes: Callable[[ad.AnnData], tuple[int, int]] | None = None,
) -> None:
    """Read what was asked, call the model, write what it gives, and exit with the code that the contract means.

    Parameters
    ----------
    packages
        Names of packages whose versions decide the output.
    genes
        Given the cells, how many genes the model knows and how many of them the cells have.
    """
    response: dict[str, Any] = {"contract": 1, "versions": {"python": platform.python_version(), **_versions(packages)}}
    code = 0
    try:
        request = json.loads((INPUT / "request.json").read_text(encoding="utf-8"))
        if request["contract"] != 1:
            raise BadInput(f"this container speaks version 1 of the contract, not {request['contract']}")
        adata = ad.read_h5ad(INPUT / "cells.h5ad")
        if genes is not None:
            known, found = genes(adata)
            response["genes"] = {"known": int(known), "found": int(found)}
        _write(model(adata, request), adata, request)
    except Declined as error:
        code, response["reason"] = error.code, str(error)
        progress(str(error))
    except MemoryError as error:
        code, response["reason"] = 68, f"memory ran out: {error}"
    except Exception as error:
        traceback.print_exc()
        # What torch raises on a GPU is no MemoryError.
        code = 68 if type(error).__name__ == "OutOfMemoryError" else 1
        response["reason"] = f"{type(error).__name__}: {error}"
    (OUTPUT / "response.json").write_text(json.dumps(response), encoding="utf-8")
    sys.exit(code)


def progress(line: str) -> None:
    """Show a line to whoever watches the run."""
    print(line, file=sys.stderr, flush=True)


def _write(output: Any, adata: ad.AnnData, request: dict[str, Any]) -> None:
    if request["output"] == "prediction":
        values = np.asarray(output.to_numpy(), dtype=np.float32)
        frame = ad.AnnData(
            values, obs=pd.DataFrame(index=output.index.astype(str)), var=pd.DataFrame(index=output.columns.astype(str))
        )
        frame.write_h5ad(OUTPUT / "prediction.h5ad")
        return
    ids = output.index if isinstance(output, pd.DataFrame) else adata.obs_names
    np.save(OUTPUT / "embedding.npy", np.asarray(output, dtype=np.float32), allow_pickle=False)
    (OUTPUT / "cell_ids.json").write_text(json.dumps([str(one) for one in ids]), encoding="utf-8")


def _versions(packages: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found
