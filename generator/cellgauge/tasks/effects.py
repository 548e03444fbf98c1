"""Predicted against measured effects, one perturbation at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from cellgauge.stats.values import rounding
from cellgauge.tasks.contract import Params, number, real
from cellgauge.tasks.measured import Measured

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

FEWEST_GENES = 3
"""Two points always correlate perfectly."""


@dataclass(frozen=True)
class Comparison:
    """One metric for each held-out perturbation."""

    values: Floats
    """(n_held_out,) NaN where there is none."""
    measurable: Flags
    """(n_held_out,) whether the measured side has what the metric needs, whatever was predicted."""
    flat: Flags
    """(n_held_out,) whether the predicted side has nothing to correlate: all genes have the same value."""


@dataclass(frozen=True)
class _Sides:
    """What is compared, (n_held_out × n_genes) each; predicted rows of NaN were not predicted."""

    predicted: Floats
    measured: Floats
    negligible: Floats
    """(n_held_out,) predicted values that differ by less differ by the rounding of 32-bit numbers."""


def compare(profiles: Floats, measured: Measured, params: Params) -> dict[str, Comparison]:
    """Score predicted profiles perturbation by perturbation; for discrimination, which needs several, see `nearer`.

    The predicted effect is the difference to the controls that the model saw, the measured one that to the controls
    that it did not see. No controls are part of the deviation from the mean of the training perturbations.

    Parameters
    ----------
    profiles
        (n_held_out × n_genes) mean log-normalised profiles; rows of NaN were not predicted.
    params
        ``n_top_genes``, ``jaccard_genes``, ``lfc_pseudocount``.

    Returns
    -------
    Metric → its values.
    """
    n_top, k = number(params, "n_top_genes"), number(params, "jaccard_genes")
    negligible = np.array([rounding(profile) for profile in profiles])

    def against(seen: Floats, hidden: Floats) -> _Sides:
        change = profiles - seen
        change[np.abs(change) <= negligible[:, None]] = 0
        return _Sides(change, measured.truth - hidden, negligible)

    effect = against(measured.seen_control, measured.control)
    deviation = against(measured.training_mean, measured.training_mean)
    size = _Sides(np.abs(effect.predicted), np.abs(effect.measured), negligible)
    fold = partial(log_fold_change, pseudocount=real(params, "lfc_pseudocount"))
    folds = _Sides(
        fold(measured.seen_control + effect.predicted, measured.seen_control),
        fold(measured.truth, measured.control),
        negligible,
    )
    scored, top = measured.scored, np.zeros_like(measured.scored)
    for row, genes in enumerate(measured.top):
        top[row, genes] = measured.n_responding[row] >= n_top
    return {
        "pearson-delta": _correlations(pearson, effect, scored),
        "pearson-delta-top20": _correlations(pearson, effect, top),
        "pearson-deviation": _correlations(pearson, deviation, scored),
        "delta-mse": _each(mean_squared_error, effect, scored, 1),
        "delta-mse-top20": _each(mean_squared_error, effect, top, 1),
        "jaccard-top-de": _each(partial(top_overlap, k=k), size, scored, k + 1),
        "spearman-lfc": _correlations(spearman, folds, scored),
    }


def _correlations(metric: Callable[[Floats, Floats], float], sides: _Sides, genes: Flags) -> Comparison:
    """Compare on some genes, (n_held_out × n_genes), by a metric that needs both sides to vary."""
    rows = [(sides.predicted[row, mask], sides.measured[row, mask]) for row, mask in enumerate(genes)]
    varies = [len(y) >= FEWEST_GENES and np.ptp(y) > 0 for _, y in rows]
    flat = [len(x) > 0 and np.ptp(x) <= least for (x, _), least in zip(rows, sides.negligible, strict=True)]
    found = _each(metric, sides, genes & np.array(varies)[:, None] & ~np.array(flat)[:, None], FEWEST_GENES)
    return Comparison(found.values, np.array(varies), np.array(flat))


def _each(metric: Callable[[Floats, Floats], float], sides: _Sides, genes: Flags, fewest: int) -> Comparison:
    """Compare each perturbation on some genes, (n_held_out × n_genes), where there are enough of them."""
    enough = genes.sum(axis=1) >= fewest
    values = np.full(len(genes), np.nan)
    for row in np.flatnonzero(enough & np.isfinite(sides.predicted).all(axis=1)):
        values[row] = metric(sides.predicted[row, genes[row]], sides.measured[row, genes[row]])
    return Comparison(values, enough, np.zeros(len(genes), dtype=bool))


def pearson(predicted: Floats, measured: Floats) -> float:
    """Return Pearson's correlation of two sets of values that vary."""
    x, y = predicted - predicted.mean(), measured - measured.mean()
    return float(x @ y / np.sqrt((x @ x) * (y @ y)))


def spearman(predicted: Floats, measured: Floats) -> float:
    """Return Spearman's correlation, Pearson's of mid-ranks."""
    return pearson(stats.rankdata(predicted), stats.rankdata(measured))


def mean_squared_error(predicted: Floats, measured: Floats) -> float:
    """Return the mean over genes of the squared difference."""
    return float(np.mean((predicted - measured) ** 2))


def top_overlap(predicted: Floats, measured: Floats, *, k: int) -> float:
    """Return the Jaccard index of the ``k`` genes with the largest values on both sides.

    Where equal predicted values leave open which genes are among the first ``k``, the mean over all ways to choose is
    returned: the overlap of those in doubt is hypergeometric. Equal measured values are taken in the order of genes.
    """
    top = np.zeros(len(measured), dtype=bool)
    top[np.argsort(-measured, kind="stable")[:k]] = True
    last = np.partition(predicted, -k)[-k]
    certain, doubtful = predicted > last, predicted == last
    n_shared = np.count_nonzero(certain & top) + np.arange(k + 1)
    chance = stats.hypergeom.pmf(
        np.arange(k + 1), doubtful.sum(), np.count_nonzero(doubtful & top), k - np.count_nonzero(certain)
    )
    possible = chance > 0
    return float(chance[possible] @ (n_shared[possible] / (2 * k - n_shared[possible])))


def log_fold_change(profiles: Floats, control: Floats, *, pseudocount: float) -> Floats:
    """Return log2 of the ratio of expression, taken back from the logarithmic scale; below 0 counts as 0.

    Parameters
    ----------
    pseudocount
        Added on both sides, in counts per 10,000.
    """
    return np.asarray(
        np.log2((np.expm1(np.maximum(profiles, 0)) + pseudocount) / (np.expm1(np.maximum(control, 0)) + pseudocount))
    )


def nearer(profiles: Floats, measured: Measured) -> Floats:
    """Return whether each prediction is nearer to its own perturbation than to each other one, by L1 distance.

    Both distances are taken over the detected genes that neither of the two perturbations targets. A prediction that
    is the same for all perturbations is then nearer to p than to q exactly when it is not nearer to q than to p, so
    that its mean over all ordered pairs is one half.

    Returns
    -------
    (n_held_out × n_held_out) 1 where prediction p is nearer to p than to q, 1/2 where it is as near, 0 elsewhere;
    NaN on the diagonal and for what was not predicted.
    """
    found = np.full((len(profiles), len(profiles)), np.nan)
    for row in np.flatnonzero(np.isfinite(profiles).all(axis=1)):
        distance = np.abs(profiles[row] - measured.truth)
        on = measured.detected & ~measured.targeted & ~measured.targeted[row]
        own, other = (on * distance[row]).sum(axis=1), (on * distance).sum(axis=1)
        found[row] = np.where(own == other, 0.5, own < other)
        found[row, row] = np.nan
    return found
