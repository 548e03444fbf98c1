"""The program of the container that trains scVI, run without a container: it gives what the function gives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from cellgauge.models import variational

pytest.importorskip("scvi", reason="needs scvi-tools: make methods")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

GENERATOR = Path(__file__).resolve().parents[2] / "generator"
PARAMS = {
    "scvi": {"n_latent": 5, "n_layers": 2, "gene_likelihood": "nb", "n_top_genes": 25},
    "linear": {"n_latent": 5, "learning_rate": 0.005, "n_top_genes": 25},
}
FUNCTIONS = {"scvi": variational.scvi, "linear": variational.linear_scvi}


@pytest.mark.parametrize("model", PARAMS)
def test_gives_what_the_function_gives(run_program: Callable[..., Any], tmp_path: Path, model: str) -> None:
    drawn = np.random.default_rng(0).poisson(2, (50, 30)).astype(np.float32)
    obs = pd.DataFrame(index=[f"cell{number}" for number in range(50)])
    cells = ad.AnnData(drawn, obs=obs, var=pd.DataFrame(index=[f"gene{number}" for number in range(30)]))
    cells.uns["taxa"] = [9606]
    ran = run_program("scvi", tmp_path, cells, modules=GENERATOR, params={"model": model, **PARAMS[model]}, seed=3)
    assert ran.exit_code == 0, ran.log
    cells.uns["values"] = "counts"
    expected = FUNCTIONS[model](cells, seed=3, **PARAMS[model])
    np.testing.assert_allclose(np.load(ran.output / "embedding.npy"), expected, atol=1e-6)
