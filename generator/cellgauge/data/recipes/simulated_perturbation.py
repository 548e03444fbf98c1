"""A simulated screen of genes switched on singly and in pairs, of which every effect is known.

The count of gene g in cell c, which has perturbation p and was processed in batch b, is negative binomial with
dispersion 0.2 and mean

    depth[c] · base[g] · exp(effect[p, g] + activity[c, m(g)] · program[g] + batch[b, g])

- base: share of a gene in an unperturbed cell, a gamma variable of shape 1, plus 0.1, divided by the sum over genes;
- program: the perturbable genes SIM001 to SIM040 belong to five modules in turn, and each module has 40 of the other
  genes, with loadings of 0.3 to 0.8 up or down; the perturbable genes load on their own module with 0.8;
- activity: of each module in each cell, -0.6 to 0.6. So genes that act together also vary together in unperturbed
  cells, and a model could learn from these what an unseen gene does;
- effect of a single gene: 1.5 on the gene itself. On the genes that cannot be perturbed it is
  a · common + r · program of the gene's module + specific. All perturbations share common, a response of 30 genes
  (0.3 to 0.9 up or down), with a strength a of 0.5 to 1; r is 0.4 to 1; specific are 25 genes (0.4 to 1 up or down);
- effect of a pair: the sum of both single effects (additive), or 1.5 times (synergy) or 0.5 times (buffering) that
  sum on all genes but the two that were switched on;
- batch: -0.15 to 0.15; the cells of every perturbation are dealt to four batches in turn;
- depth: gamma with shape 10 and mean 4,000.

All ranges are uniform, logarithms natural. Depth is not shared out anew when effects change the total, so that the
logarithm of the ratio of mean counts of perturbed and control cells tends to effect.
"""

from __future__ import annotations

from dataclasses import dataclass

import anndata as ad
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cellgauge.data.recipes.assembling import assemble
from cellgauge.data.recipes.simulation import generator, noisy_counts, shuffled, sparse_effects

N_GENES = 400
N_PERTURBABLE = 40
N_MODULES = 5
N_BATCHES = 4
N_CONTROLS = 600
N_CELLS = 70
"""For each perturbation."""

SINGLES = tuple(range(1, 25))
"""Genes that are also switched on alone, by their number."""
UNSEEN = tuple(range(17, 41))
"""Genes that no training cell has switched on, by the card's split; the first eight are so alone in test cells."""

TRAINING_PAIRS = ((1, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (13, 14), (15, 16), (1, 6), (2, 7))
TEST_PAIRS = {
    2: ((1, 16), (2, 15), (3, 14), (4, 13), (5, 12), (6, 11), (7, 10), (8, 9), (3, 8), (4, 9)),
    1: (*((seen, seen + 16) for seen in range(1, 13)),),
    0: ((21, 29), (22, 30), (23, 31), (24, 32), (33, 34), (35, 36), (37, 38), (39, 40)),
}
"""How many genes of a pair were seen → the pairs."""

_KINDS = ("additive", "additive", "synergy", "additive", "buffering")
"""Of the pairs of each group, in turn."""
_FACTOR = {"additive": 1.0, "synergy": 1.5, "buffering": 0.5}


@dataclass(frozen=True)
class Perturbation:
    """One gene or a pair, by number."""

    genes: tuple[int, ...]
    kind: str
    """single, additive, synergy or buffering."""

    @property
    def name(self) -> str:
        """As in obs."""
        return "+".join(gene_id(number) for number in self.genes)

    @property
    def test(self) -> bool:
        """Whether the card's split keeps it for the test."""
        return bool(set(self.genes) & set(UNSEEN)) or self.genes in TEST_PAIRS[2]


def gene_id(number: int) -> str:
    """Return the id of a gene by its number, from 1."""
    return f"SIM{number:03d}"


def perturbations() -> list[Perturbation]:
    """Return what the screen perturbs: 24 single genes and 40 pairs."""
    groups = (TRAINING_PAIRS, *TEST_PAIRS.values())
    pairs = [Perturbation(pair, _KINDS[at % len(_KINDS)]) for group in groups for at, pair in enumerate(group)]
    return [Perturbation((number,), "single") for number in SINGLES] + pairs


def simulated_perturbation(*, seed: int) -> ad.AnnData:
    """Return the simulated screen.

    Returns
    -------
    X holds counts, (5,080 × 400). In obs: ``perturbation`` (``control``, ``SIM001``, ``SIM001+SIM002``) and ``batch``.
    The truth is in ``varm["effect"]`` (genes × perturbations, natural logarithm), ``var["module"]`` (0 for none) and
    ``uns["perturbations"]`` (the kind of each perturbation, and whether it is for the test).
    """
    rng = generator(seed)
    wanted = perturbations()
    module, program = _modules(rng)
    effects = _effects(rng, wanted, module, program)
    base = rng.gamma(1.0, 1.0, N_GENES) + 0.1
    batches = rng.uniform(-0.15, 0.15, (N_BATCHES, N_GENES))
    which = np.repeat(np.arange(len(wanted) + 1), [N_CONTROLS] + [N_CELLS] * len(wanted))
    batch = (np.arange(len(which)) + which) % N_BATCHES  # each perturbation begins with another batch
    activity = np.column_stack([np.zeros(len(which)), rng.uniform(-0.6, 0.6, (len(which), N_MODULES))])
    log_change = np.vstack([np.zeros(N_GENES), effects])[which] + activity[:, module] * program + batches[batch]
    depth = rng.gamma(10.0, 4_000 / 10.0, len(which))
    counts = noisy_counts(rng, depth[:, None] * base / base.sum() * np.exp(log_change), dispersion=0.2)
    mixed = shuffled(rng, len(which))  # so that ids, and the order they give, say nothing about the perturbation
    names = np.array(["control", *(one.name for one in wanted)])
    adata = assemble(
        counts[mixed],
        [f"cell{number:04d}" for number in range(1, len(which) + 1)],
        [gene_id(number) for number in range(1, N_GENES + 1)],
        {"perturbation": names[which][mixed], "batch": [f"batch{number + 1}" for number in batch[mixed]]},
        {"module": module},
    )
    adata.varm["effect"] = pd.DataFrame(effects.T, index=adata.var_names, columns=names[1:].astype(object))
    adata.uns["perturbations"] = pd.DataFrame(
        {"kind": [one.kind for one in wanted], "test": [one.test for one in wanted]}, index=names[1:].astype(object)
    )
    return adata


def _modules(rng: np.random.Generator) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return each gene's module (0 for none) and its loading, both (n_genes,)."""
    module, program = np.zeros(N_GENES, dtype=np.intp), np.zeros(N_GENES)
    module[:N_PERTURBABLE] = np.arange(N_PERTURBABLE) % N_MODULES + 1
    program[:N_PERTURBABLE] = 0.8
    free = np.arange(N_PERTURBABLE, N_GENES)
    for number in range(1, N_MODULES + 1):
        loadings = sparse_effects(rng, free, N_GENES, 40, 0.3, 0.8)
        members = np.flatnonzero(loadings)
        module[members], program[members] = number, loadings[members]
        free = np.setdiff1d(free, members)
    return module, program


def _effects(
    rng: np.random.Generator, wanted: list[Perturbation], module: NDArray[np.intp], program: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the effect of each perturbation on each gene, (n_perturbations × n_genes)."""
    others = np.arange(N_PERTURBABLE, N_GENES)
    common = sparse_effects(rng, others, N_GENES, 30, 0.3, 0.9)
    of_gene = np.zeros((N_PERTURBABLE, N_GENES))
    for gene in range(N_PERTURBABLE):
        strength, response = rng.uniform(0.5, 1.0), rng.uniform(0.4, 1.0)
        of_gene[gene] = strength * common + sparse_effects(rng, others, N_GENES, 25, 0.4, 1.0)
        of_gene[gene, others] += (response * program * (module == module[gene]))[others]
        of_gene[gene, gene] = 1.5
    effects = np.zeros((len(wanted), N_GENES))
    for row, one in enumerate(wanted):
        targets = [number - 1 for number in one.genes]
        effects[row] = of_gene[targets].sum(axis=0)
        effects[row, others] *= _FACTOR.get(one.kind, 1.0)
    return effects
