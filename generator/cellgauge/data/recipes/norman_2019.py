"""Genes switched on in K562 cells, singly and in pairs: a small subset of Norman et al. 2019.

Norman et al., Science 365, 786–793 (doi:10.1126/science.aax4438), as cut down by PerturBench (arXiv 2408.10609) for
trying code: 100 cells or fewer for each of 33 perturbations, and 500 variable genes of four studies together.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import anndata as ad
import numpy as np
from scipy import sparse

from cellgauge.cards.problems import UserError
from cellgauge.data.recipes.assembling import assemble
from cellgauge.data.recipes.originals import named, need_columns

CONTROL = "control"
_STUDY = "norman19"


def norman_2019_subset(files: Mapping[str, Path]) -> ad.AnnData:
    """Return the cells of Norman et al. in PerturBench's small file, on the genes that they express at all.

    Parameters
    ----------
    files
        ``cells``, PerturBench's ``devel.h5ad``.

    Returns
    -------
    X holds log(1 + counts per 10,000), (3,375 × 250). The 10,000 are those of the whole transcriptome, so that it must
    not be normalised again. In obs: ``perturbation`` (``control``, a gene, or two in alphabetical order joined by
    "+"), ``gem_group`` (the barcode's suffix) and ``total_counts``.

    Raises
    ------
    UserError
        When the file cannot be read or does not hold such cells.
    """
    (path,) = named(files, "cells")
    try:
        adata = ad.read_h5ad(path)
    except Exception as error:  # h5py, anndata and zarr raise whatever they like
        raise UserError(f"cells: expected an .h5ad file, but it cannot be read: {error}") from None
    need_columns(adata.obs, ("dataset", "perturbation", "ncounts"), "cells: obs")
    ours = (adata.obs["dataset"].astype(str) == _STUDY).to_numpy()
    if not ours.any():
        found = ", ".join(sorted(set(adata.obs["dataset"].astype(str))))
        raise UserError(f'cells: expected cells whose dataset is "{_STUDY}", found: {found or "no cells"}')
    matrix = sparse.csr_matrix(adata.X)[ours]
    if not np.isfinite(matrix.data).all() or (matrix.data < 0).any():
        raise UserError("cells: expected log-normalised expression, found numbers that are negative or not finite")
    expressed = np.asarray(matrix.max(axis=0).todense()).ravel() > 0
    obs = adata.obs[ours]
    return assemble(
        matrix[:, expressed],
        list(obs.index),
        list(adata.var_names[expressed]),
        {
            "perturbation": [canonical(str(name)) for name in obs["perturbation"]],
            "gem_group": [_gem_group(str(barcode)) for barcode in obs.index],
            "total_counts": obs["ncounts"].to_numpy(dtype=np.float64),
        },
    )


def canonical(name: str) -> str:
    """Return the name of a perturbation with its genes in alphabetical order, each once, and ``control`` on its own."""
    genes = sorted(set(name.split("+")) - {CONTROL, ""})
    return "+".join(genes) or CONTROL


def _gem_group(barcode: str) -> str:
    """Return the suffix by which Cell Ranger tells the droplet reactions of an experiment apart."""
    _, dash, group = barcode.rpartition("-")
    if not dash or not group.isdecimal():
        raise UserError(f'cells: expected barcodes that end in "-" and a number, found "{barcode}"')
    return group
