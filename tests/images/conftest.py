"""Runs the programs of images without a container, on folders of their own.

A module of tests is skipped where the package of its model is missing; CELLGAUGE_REQUIRE=models turns that into a
failure, so that `make test-models` cannot pass by skipping.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anndata as ad
import pandas as pd
import pytest

from cellgauge.models.contract import MEANINGS, Request, Response, read_embedding, read_response, write_input

IMAGES = Path(__file__).resolve().parents[2] / "generator" / "images"


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if report.skipped and "models" in os.environ.get("CELLGAUGE_REQUIRE", "").replace(",", " ").split():
        *_, reason = report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{reason.removeprefix('Skipped: ')} (required by CELLGAUGE_REQUIRE)"
    return report


@dataclass(frozen=True)
class Ran:
    """How a program ended."""

    exit_code: int
    output: Path
    log: str


@pytest.fixture(scope="session")
def run_program() -> Callable[..., Ran]:
    """Runs the program of an image on cells; ``<root>/weights`` is up to whoever asks."""

    def run(
        image: str,
        root: Path,
        adata: ad.AnnData,
        *,
        modules: Path | None = None,
        expect: int | None = None,
        **asked: Any,
    ) -> Ran:
        """Run it; ``modules`` is a folder to import from, ``expect`` the exit code that it has to end with."""
        for name in ("input", "output"):
            (root / name).mkdir(parents=True, exist_ok=True)
        usual: dict[str, Any] = {"output": "embedding", "seed": 0, "params": {}, "values": "counts", "threads": 1}
        usual |= {"features": "gene symbols", "taxa": [9606], "gpu": False}
        request = Request.model_validate({**usual, "n_cells": adata.n_obs, "n_genes": adata.n_vars, **asked})
        write_input(root / "input", adata, request)
        places = {"CELLGAUGE_ROOT": str(root), "HOME": str(root), "TMPDIR": str(root)}
        ended = subprocess.run(
            [sys.executable, IMAGES / image / "model.py"],
            env=os.environ | places | {"PYTHONPATH": os.pathsep.join(map(str, filter(None, [IMAGES, modules])))},
            cwd=root,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert expect in (None, ended.returncode), ended.stderr[-3000:]
        return Ran(ended.returncode, root / "output", ended.stderr)

    return run


@pytest.fixture(scope="session")
def caller_of(run_program: Callable[..., Ran]) -> Callable[..., Callable[..., Any]]:
    """Makes a function that calls one image: ``call(root, weights, adata, **what differs)``."""

    def caller(image: str, **usual: Any) -> Callable[..., Any]:
        def call(
            root: Path, weights: Path, adata: ad.AnnData, **changes: Any
        ) -> tuple[str | None, pd.DataFrame | None, Response]:
            """Return the status that it ends with (None is success), its output and what it says."""
            root.mkdir(parents=True, exist_ok=True)
            (root / "weights").symlink_to(weights)
            ran = run_program(image, root, adata, **{**usual, **changes})
            said = read_response(ran.output)
            assert said is not None, ran.log
            status = None if ran.exit_code == 0 else MEANINGS.get(ran.exit_code, ran.log)
            return status, None if status else read_embedding(ran.output, adata.n_obs), said

        return call

    return caller
