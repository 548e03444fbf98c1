"""What gene ids of a namespace look like."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

ENSEMBL_PREFIX = {
    9606: "ENSG",
    9544: "ENSMMUG",
    9593: "ENSGGOG",
    9598: "ENSPTRG",
    9483: "ENSCJAG",
    10090: "ENSMUSG",
    9031: "ENSGALG",
    13616: "ENSMODG",
    9258: "ENSOANG",
}
"""NCBI taxon → how the Ensembl gene ids of the species begin."""

_ANY_ENSEMBL = r"ENS[A-Z]*G"
_FOREIGN_IDS_ALLOWED = 0.05
"""Spike-ins, transgenes and read-through constructs carry names of their own."""
_UNNAMED_GENES_ALLOWED = 0.5
"""Genes without a symbol are commonly listed by their Ensembl id."""


def strange_ids(feature_ids: NDArray[np.str_], namespace: str, taxa: Iterable[int]) -> str | None:
    """Say what speaks against gene ids being of the namespace that a card declares.

    Parameters
    ----------
    feature_ids
        (n_features,).
    namespace
        ``Ensembl genes`` or ``gene symbols``; nothing is known about any other.
    taxa
        The dataset's species by NCBI taxon. Of one that is not in ``ENSEMBL_PREFIX``, nothing is known.
    """
    if namespace not in ("Ensembl genes", "gene symbols") or not len(feature_ids):
        return None
    species = list(taxa)
    if namespace == "Ensembl genes" and any(taxon not in ENSEMBL_PREFIX for taxon in species):
        return None  # for the fly, the worm and yeast, Ensembl uses the ids of their own databases
    starts = [ENSEMBL_PREFIX[taxon] for taxon in species if taxon in ENSEMBL_PREFIX] or [_ANY_ENSEMBL]
    pattern = _ANY_ENSEMBL if namespace == "gene symbols" else "|".join(starts)
    ensembl = re.compile(rf"({pattern})\d{{11}}(\.\d+)?")
    fits = np.array([bool(ensembl.fullmatch(one)) for one in feature_ids])
    if namespace == "Ensembl genes":
        wrong, allowed = ~fits, _FOREIGN_IDS_ALLOWED
        what = f"do not look like them ({' or '.join(starts)} and 11 digits)"
    else:
        wrong, allowed, what = fits, _UNNAMED_GENES_ALLOWED, "are Ensembl ids"
    if wrong.mean() <= allowed:
        return None
    shown = ", ".join(feature_ids[wrong][:3])
    return f"the card says {namespace}, but {wrong.sum():,} of {len(wrong):,} feature ids {what}, for example {shown}"
