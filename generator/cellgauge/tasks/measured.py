"""What was measured of a screen under one seed: the same for every model that is scored on it."""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import sparse, stats

from cellgauge.data.dataset import Dataset
from cellgauge.data.screen import Positions, design, mean_profiles, shared_effect, targets
from cellgauge.models.linear import log_normalised
from cellgauge.tasks.contract import Params, number, real

Floats = NDArray[np.float64]

_RANKED_AT_ONCE = 2**22
"""Values that the rank test takes at a time; it holds about ten copies of them in double precision."""


@dataclass(frozen=True)
class Measured:
    """Mean log-normalised profiles, and the genes that are scored."""

    truth: Floats
    """(n_held_out × n_genes) means of the halves that serve as truth."""
    control: Floats
    """(n_genes,) mean of the controls that serve as truth."""
    repeat: Floats
    """(n_held_out × n_genes) means of the other halves of the same perturbations."""
    seen_control: Floats
    """(n_genes,) mean of the controls that a model sees."""
    training_mean: Floats
    """(n_genes,) those controls, changed by the mean effect of the training perturbations."""
    detected: NDArray[np.bool_]
    """(n_genes,) in enough cells."""
    targeted: NDArray[np.bool_]
    """(n_held_out × n_genes)."""
    n_responding: NDArray[np.intp]
    """(n_held_out,) how many genes respond significantly."""
    top: tuple[Positions, ...]
    """For each held-out perturbation, its most significant genes; fewer than asked for where fewer are scored."""
    n_cells: NDArray[np.intp]
    """(n_held_out,) in the half that serves as truth."""

    @property
    def scored(self) -> NDArray[np.bool_]:
        """(n_held_out × n_genes): which genes are scored, those detected and not targeted."""
        return self.detected & ~self.targeted


def measure(dataset: Dataset, seed: int, params: Params) -> Measured:
    """Measure a screen, or return what was measured of it before in this process.

    - A gene counts as detected by its share of all cells of the dataset, whatever they were used for.
    - Responding genes: see `responding`; tested are the genes that are scored.

    Parameters
    ----------
    params
        ``min_detected`` (a share of cells), ``false_discovery_rate``, ``n_top_genes``.
    """
    return _measure(
        _Asked(
            content=dataset.digest,
            card=dataset.card.digest,
            seed=seed,
            min_detected=real(params, "min_detected"),
            false_discovery_rate=real(params, "false_discovery_rate"),
            n_top_genes=number(params, "n_top_genes"),
            dataset=weakref.ref(dataset),
        )
    )


@dataclass(frozen=True)
class _Asked:
    """All that decides what is measured."""

    content: str
    card: str
    seed: int
    min_detected: float
    false_discovery_rate: float
    n_top_genes: int
    dataset: weakref.ref[Dataset] = field(compare=False)
    """Weak, so that remembering what was measured does not keep the cells in memory."""


@lru_cache(maxsize=8)
def _measure(asked: _Asked) -> Measured:
    dataset = asked.dataset()
    assert dataset is not None  # noqa: S101 (the caller holds it)
    screen = design(dataset)
    dealt = screen.halves(asked.seed)
    held_out = [dealt[name] for name in screen.held_out]
    control = dealt[screen.control]
    cells = sparse.csr_matrix(log_normalised(dataset.for_model([])).X)
    seen_control, hidden_control = mean_profiles(cells, (control.selection, control.truth))
    training = mean_profiles(cells, (np.flatnonzero(screen.of_cell == name) for name in screen.training))
    shared = shared_effect(training - seen_control, targets(screen.training, screen.joined_by, dataset.feature_ids))
    detected = dataset.content.cells_with >= asked.min_detected * dataset.n_cells
    targeted = targets(screen.held_out, screen.joined_by, dataset.feature_ids)
    unperturbed = cells[control.selection][:, detected].toarray()
    responses = []
    for row, one in enumerate(held_out):
        tested = np.flatnonzero(detected & ~targeted[row])
        here = ~targeted[row][detected]
        n, order = responding(
            cells[one.selection][:, tested].toarray(), unperturbed[:, here], asked.false_discovery_rate
        )
        responses.append((n, tested[order[: asked.n_top_genes]]))
    return Measured(
        truth=mean_profiles(cells, (one.truth for one in held_out)),
        control=hidden_control,
        repeat=mean_profiles(cells, (one.selection for one in held_out)),
        seen_control=seen_control,
        training_mean=seen_control + shared,
        detected=detected,
        targeted=targeted,
        n_responding=np.array([n for n, _ in responses]),
        top=tuple(top for _, top in responses),
        n_cells=np.array([len(one.truth) for one in held_out]),
    )


def responding(
    perturbed: NDArray[np.float32], controls: NDArray[np.float32], false_discovery_rate: float
) -> tuple[int, Positions]:
    """Return how many genes respond, and all genes by significance.

    Wilcoxon's rank-sum test for each gene (Mann and Whitney 1947), normal approximation with correction for ties and
    without one for continuity, as ``scanpy.tl.rank_genes_groups(method="wilcoxon", tie_correct=True)``; p-values are
    adjusted by Benjamini and Hochberg (1995) over the genes given. Genes with equal p-values are ordered by how far
    the chance that a perturbed cell lies above a control is from one half.

    Parameters
    ----------
    perturbed, controls
        (n_cells × n_genes) each.
    """
    if not perturbed.shape[1]:
        return 0, np.zeros(0, dtype=np.intp)
    n_cells, n_genes = len(perturbed) + len(controls), perturbed.shape[1]
    parts = np.array_split(np.arange(n_genes), min(n_genes, -(-n_cells * n_genes // _RANKED_AT_ONCE)))
    tests = [
        stats.mannwhitneyu(perturbed[:, part], controls[:, part], use_continuity=False, method="asymptotic")
        for part in parts
    ]
    p = np.nan_to_num(np.concatenate([test.pvalue for test in tests]), nan=1.0)  # all values equal
    statistic = np.concatenate([test.statistic for test in tests])
    separation = np.abs(statistic / (len(perturbed) * len(controls)) - 0.5)
    n = np.count_nonzero(stats.false_discovery_control(p) <= false_discovery_rate)
    return int(n), np.lexsort((-separation, p))
