"""The scores of an integration that need no clusters: what each is an average of, or why it has no value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from cellgauge.cards.base import Column
from cellgauge.tasks.averages import Values, mean_by_group, mean_over_groups, weighted_mean, weighted_median
from cellgauge.tasks.conservation import connectivity_by_label, isolated_labels, pieces
from cellgauge.tasks.contract import Cells, Params, Weights, number, real
from cellgauge.tasks.expression import explained_by_batch, expression_components
from cellgauge.tasks.folds import mean_of_present
from cellgauge.tasks.lisi import effective_number, neighbour_shares
from cellgauge.tasks.mixing import batch_entropy, kbet_accepted, neighbourhood_size
from cellgauge.tasks.neighbours import nearest
from cellgauge.tasks.silhouettes import batch_silhouettes, bras, label_silhouettes


@dataclass(frozen=True)
class Integration:
    """An embedding of cells from several batches, with what more than one score needs."""

    embedding: NDArray[np.float32]
    cells: Cells
    role: Column
    """What is integrated: batches or species."""
    params: Params
    wanted: frozenset[str]
    """Keys of the scores that are asked for."""

    @cached_property
    def label_names(self) -> NDArray[np.str_]:
        """The cell types, sorted."""
        return np.unique(self.cells.columns["label"])

    @cached_property
    def batch_names(self) -> NDArray[np.str_]:
        """The batches, sorted."""
        return np.unique(self.cells.columns[self.role])

    @cached_property
    def labels(self) -> NDArray[np.intp]:
        """(n_cells,) codes."""
        return np.searchsorted(self.label_names, self.cells.columns["label"])

    @cached_property
    def batches(self) -> NDArray[np.intp]:
        """(n_cells,) codes."""
        return np.searchsorted(self.batch_names, self.cells.columns[self.role])

    @cached_property
    def sizes(self) -> NDArray[np.intp]:
        """(n_labels × n_batches) numbers of cells."""
        sizes = np.zeros((len(self.label_names), len(self.batch_names)), dtype=np.intp)
        np.add.at(sizes, (self.labels, self.batches), 1)
        return sizes

    @cached_property
    def neighbourhood(self) -> int:
        """How many cells the neighbourhoods of the entropy hold; 0 where no group is large enough."""
        fewest = number(self.params, "min_cells_per_group")
        return neighbourhood_size(self.sizes, number(self.params, "max_neighbors"), fewest)

    @cached_property
    def held(self) -> Mapping[str, int]:
        """Score key → how many cells its neighbourhoods hold, the cell itself counted."""
        return {
            "batch-entropy": self.neighbourhood,
            "batch-entropy@k-200": number(self.params, "compatibility_neighbors"),
            "ilisi": number(self.params, "lisi_neighbors"),
            "clisi": number(self.params, "lisi_neighbors"),
            "graph-connectivity": number(self.params, "graph_neighbors"),
        }

    @cached_property
    def neighbours(self) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
        """Neighbours and their distances: one search, for the score that needs most of them."""
        n_cells = len(self.labels)
        return nearest(self.embedding, max(k for key, k in self.held.items() if key in self.wanted and k < n_cells) - 1)

    @cached_property
    def neighbour_shares(self) -> Values:
        """How much each neighbour counts in LISI."""
        k = number(self.params, "lisi_neighbors")
        return neighbour_shares(self.neighbours[1][:, : k - 1], k // 3)

    @cached_property
    def label_silhouettes(self) -> Values:
        """(n_cells,) silhouettes by label, rescaled."""
        return label_silhouettes(self.embedding, self.labels)


@dataclass(frozen=True)
class Score:
    """A score under any weighting of the cells."""

    under: Callable[[Weights], Values]
    """(n_replicates × n_cells) → (n_replicates,)."""
    by_label: Values
    """(n_labels,) its value for the cells of each label; NaN for labels that take no part."""
    counted: NDArray[np.bool_]
    """(n_cells,) which cells take part."""
    width: int = 1
    """How many numbers scoring holds for each replicate, where that may be more than there are cells."""


def measure(key: str, one: Integration) -> Score | str:
    """Return the score with a key, or say why it has no value on these cells."""
    if key in one.held and len(one.labels) <= (k := one.held[key]):
        return f"neighbourhoods of {k} cells need more than {k} cells, found {len(one.labels)}"
    return SCORES[key](one)


def _entropy(one: Integration) -> Score | str:
    if one.neighbourhood == 0:
        fewest = number(one.params, "min_cells_per_group")
        return f"no cell type has {fewest} cells in one {one.role}; half of the smallest such group is a neighbourhood"
    return _mean(batch_entropy(one.neighbours[0], one.batches, one.neighbourhood), one)


def _entropy_compatible(one: Integration) -> Score | str:
    return _mean(batch_entropy(one.neighbours[0], one.batches, one.held["batch-entropy@k-200"]), one)


def _silhouette_batch(one: Integration) -> Score | str:
    values = batch_silhouettes(one.embedding, one.labels, one.batches)
    return _mean_over_labels(values, one) or f"no cell type occurs in more than one {one.role}"


def _bras(one: Integration) -> Score | str:
    values = bras(one.embedding, one.labels, one.batches)
    return _mean_over_labels(values, one) or f"no cell type occurs in more than one {one.role}"


def _kbet(one: Integration) -> Score | str:
    values = kbet_accepted(one.embedding, one.labels, one.batches, real(one.params, "kbet_alpha"))
    return _mean_over_labels(values, one) or f"no cell type with enough cells occurs in more than one {one.role}"


def _ilisi(one: Integration) -> Score | str:
    return _median((_lisi(one, one.batches) - 1) / (len(one.batch_names) - 1), one)


def _clisi(one: Integration) -> Score | str:
    n_labels = len(one.label_names)
    return _median((n_labels - _lisi(one, one.labels)) / (n_labels - 1), one)


def _lisi(one: Integration, groups: NDArray[np.intp]) -> Values:
    shares = one.neighbour_shares
    return effective_number(shares, groups[one.neighbours[0][:, : shares.shape[1]]])


def _pcr(one: Integration) -> Score | str:
    if one.cells.dataset is None:
        return "the expression behind the embedding is not at hand"
    n_components, n_genes = number(one.params, "expression_components"), number(one.params, "expression_genes")
    expression = expression_components(one.cells.dataset, n_components, n_genes)

    def removed(weights: Weights) -> Values:
        before = explained_by_batch(expression, one.batches, weights)
        after = explained_by_batch(one.embedding, one.batches, weights)
        ratio = np.divide(after, before, out=np.full(len(after), np.nan), where=before > 0)
        return np.asarray(1 - ratio)

    if not np.isfinite(removed(_once(one)))[0]:
        return f"the {one.role} explains nothing of the expression, or all cells have the same embedding"
    no_labels, every_cell = np.full(len(one.label_names), np.nan), np.ones(len(one.labels), dtype=bool)
    return Score(removed, no_labels, every_cell, width=max(one.embedding.shape[1], expression.shape[1]))


def _silhouette_label(one: Integration) -> Score | str:
    return _mean(one.label_silhouettes, one)


def _isolated_label_silhouette(one: Integration) -> Score | str:
    isolated = np.isin(one.labels, isolated_labels(one.labels, one.batches))
    return _mean_over_labels(np.where(isolated, one.label_silhouettes, np.nan), one) or "no cell type is isolated"


def _graph_connectivity(one: Integration) -> Score | str:
    piece = pieces(one.neighbours[0][:, : one.held["graph-connectivity"] - 1], one.labels)
    return Score(
        lambda weights: mean_of_present(connectivity_by_label(piece, one.labels, weights)),
        connectivity_by_label(piece, one.labels, _once(one))[:, 0],
        np.ones(len(piece), dtype=bool),
        width=int(piece.max()) + 1,
    )


SCORES: Mapping[str, Callable[[Integration], Score | str]] = {
    "batch-entropy": _entropy,
    "batch-entropy@k-200": _entropy_compatible,
    "silhouette-batch": _silhouette_batch,
    "bras": _bras,
    "ilisi": _ilisi,
    "kbet": _kbet,
    "pcr-batch": _pcr,
    "silhouette-label": _silhouette_label,
    "clisi": _clisi,
    "isolated-label-silhouette": _isolated_label_silhouette,
    "graph-connectivity": _graph_connectivity,
}


def _mean(values: Values, one: Integration) -> Score:
    return Score(lambda weights: weighted_mean(values, weights), _by_label(values, one), np.isfinite(values))


def _mean_over_labels(values: Values, one: Integration) -> Score | None:
    """Return the score in which each label counts once; None where no cell takes part."""
    counted = np.isfinite(values)
    if not counted.any():
        return None
    return Score(lambda weights: mean_over_groups(values, one.labels, weights), _by_label(values, one), counted)


def _median(values: Values, one: Integration) -> Score:
    by_label = np.array([np.median(values[one.labels == label]) for label in range(len(one.label_names))])
    return Score(lambda weights: weighted_median(values, weights), by_label, np.isfinite(values))


def _by_label(values: Values, one: Integration) -> Values:
    return mean_by_group(values, one.labels, _once(one))[:, 0]


def _once(one: Integration) -> Weights:
    return np.ones((1, len(one.labels)), dtype=np.float32)
