"""Simulated cells of two species, of which the type and each gene's ortholog are known.

The count of gene g in cell c, which is of type k and comes from donor d of species s, is negative binomial with
dispersion 0.3 and mean

    depth[c] · w[g] / Σ_h w[h],    log w[g] = base[g] + type[s, k, g] + species[s, g] + donor[d, g]

- base: logarithm of a gamma variable of shape 0.5, plus 0.01, so that few genes make up most of the counts;
- type: each type has 40 marker genes of its own, higher by 0.5 to 1.5. Of the markers of a type that both species
  have, on average 60 % mark it in both, 20 % in the first species only and 20 % in the second only: orthologs may
  change their role;
- species: zero in the first; in the second -0.4 to 0.4 for every gene, and a further 1.2 up or down for 100 genes.
  This stands for evolution and for a difference between laboratories alike, as real data cannot tell them apart;
- donor: -0.2 to 0.2 for every gene; four donors in each species, and each of them has every type of its species;
- depth: gamma with shape 8 and mean 1,500.

All ranges are uniform, logarithms natural. Genes that only one species has are not simulated.
"""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cellgauge.data.recipes.assembling import assemble
from cellgauge.data.recipes.simulation import generator, noisy_counts, shuffled, sparse_effects

N_GENES = 1_000
N_MARKERS = 40
N_DONORS = 4
SPECIES = ("Homo sapiens", "Mus musculus")
PRIVATE = {"Homo sapiens": "type F", "Mus musculus": "type G"}
SHARED = {"type A": 160, "type B": 128, "type C": 108, "type D": 84, "type E": 60}
"""Type that both species have → number of its cells in each."""
N_PRIVATE = 60
"""Cells of the type that only one species has."""


def simulated_cross_species(*, seed: int) -> ad.AnnData:
    """Return the simulated cells of both species on their orthologs.

    Returns
    -------
    X holds counts, (1,200 × 1,000). In obs: ``cell_type``, ``species``, ``donor``. The truth is in var
    (``mouse_gene``, the ortholog, and ``species_effect``, of the second species against the first) and in varm
    (``type_effect_human`` and ``type_effect_mouse``, genes × types), all on the natural logarithmic scale.
    """
    rng = generator(seed)
    base = np.log(rng.gamma(0.5, 1.0, N_GENES) + 0.01)
    types = [*SHARED, *PRIVATE.values()]
    markers = _type_effects(rng, types)
    shift = rng.uniform(-0.4, 0.4, N_GENES) + sparse_effects(rng, np.arange(N_GENES), N_GENES, 100, 1.2, 1.2)
    donors = rng.uniform(-0.2, 0.2, (len(SPECIES), N_DONORS, N_GENES))
    cells = _cells()
    which_type = [types.index(name) for name in cells["cell_type"]]
    second = (cells["species"] == SPECIES[1]).to_numpy(dtype=int)
    log_weight = base + markers[second, which_type] + second[:, None] * shift + donors[second, cells["number"]]
    depth = rng.gamma(8.0, 1_500 / 8.0, len(cells))
    weight = np.exp(log_weight)
    counts = noisy_counts(rng, depth[:, None] * weight / weight.sum(axis=1, keepdims=True), dispersion=0.3)
    mixed = shuffled(rng, len(cells))  # so that ids, and the order they give, say nothing about the type
    genes = [f"SIMG{number:04d}" for number in range(1, N_GENES + 1)]
    adata = assemble(
        counts[mixed],
        [f"cell{number:04d}" for number in range(1, len(cells) + 1)],
        genes,
        {column: cells[column].to_numpy()[mixed] for column in ("cell_type", "species", "donor")},
        {"mouse_gene": [gene.capitalize() for gene in genes], "species_effect": shift},
    )
    for name, effects in zip(("human", "mouse"), markers, strict=True):
        adata.varm[f"type_effect_{name}"] = pd.DataFrame(effects.T, index=adata.var_names, columns=types)
    return adata


def _type_effects(rng: np.random.Generator, types: list[str]) -> NDArray[np.float64]:
    """Return the effect of each type on each gene, (n_species × n_types × n_genes)."""
    effects = np.zeros((len(SPECIES), len(types), N_GENES))
    order = shuffled(rng, N_GENES)
    for number, name in enumerate(types):
        markers = order[number * N_MARKERS : (number + 1) * N_MARKERS]
        sizes, fate = rng.uniform(0.5, 1.5, N_MARKERS), rng.random(N_MARKERS)
        private = name in PRIVATE.values()
        effects[0, number, markers] = np.where(private | (fate < 0.8), sizes, 0.0)
        effects[1, number, markers] = np.where(private | (fate < 0.6) | (fate >= 0.8), sizes, 0.0)
    return effects


def _cells() -> pd.DataFrame:
    """Return species, type and donor of every cell; ``number`` counts the donors of a species from 0."""
    rows = [
        (species, name, f"{short}{cell % N_DONORS + 1}", cell % N_DONORS)
        for species, short in zip(SPECIES, ("human", "mouse"), strict=True)
        for name, size in (SHARED | {PRIVATE[species]: N_PRIVATE}).items()
        for cell in range(size)
    ]
    return pd.DataFrame(rows, columns=["species", "cell_type", "donor", "number"])
