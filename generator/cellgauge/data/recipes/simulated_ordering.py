"""Simulated blood development with known order: the bundled run of scanpy's simulator.

``scanpy.datasets.krumsiek11()`` reads a text file inside scanpy: four runs, of 160 steps each, of stochastic
differential equations built from the Boolean network of Krumsiek et al. 2011 (doi:10.1371/journal.pone.0022649), one
for each of four blood cell types in which it ends. The first column of the file is the step. All runs start in the
same state; scanpy calls the first 80 steps "progenitor".
"""

from __future__ import annotations

import warnings

import anndata as ad
import numpy as np
import pandas as pd
import scanpy as sc

from cellgauge.cards.problems import UserError

N_STEPS = 160
BRANCHES = ("Mo", "Ery", "Mk", "Neu")
"""What each run turns into: monocyte, erythrocyte, megakaryocyte, neutrophil."""


def simulated_ordering() -> ad.AnnData:
    """Return the simulated cells, ordered by branch (as in the file) and step.

    Returns
    -------
    X holds continuous values, (640 × 11) dense float32; some are slightly below zero. In obs: ``time``, the step from
    0 to 159; ``branch``, what the run turns into; ``cell_type``, progenitor or the branch. Cell ids are branch and
    step.

    Raises
    ------
    UserError
        When scanpy's file is not in the order that the branches are taken from.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the steps are repeated as names of cells
        shipped = sc.datasets.krumsiek11()
    steps = np.asarray([int(name) for name in shipped.obs_names])
    if not np.array_equal(steps, np.tile(np.arange(N_STEPS), len(BRANCHES))):
        raise UserError(f"scanpy's krumsiek11 has changed: expected {len(BRANCHES)} runs of {N_STEPS} steps")
    branch = np.repeat(BRANCHES, N_STEPS)
    cell_type = shipped.obs["cell_type"].to_numpy(dtype=str)
    differing = (cell_type != "progenitor") & (cell_type != branch)
    if differing.any():
        first = int(np.flatnonzero(differing)[0])
        found = f"expected {branch[first]} in row {first}, found {cell_type[first]}"
        raise UserError(f"scanpy's krumsiek11 has changed: {found}")
    obs = pd.DataFrame(
        {"time": steps, "branch": branch.astype(object), "cell_type": cell_type.astype(object)},
        index=[f"{one}:{step:03d}" for one, step in zip(branch, steps, strict=True)],
    )
    return ad.AnnData(np.asarray(shipped.X, dtype=np.float32), obs=obs, var=shipped.var[[]])
