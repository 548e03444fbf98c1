"""Perturbation prediction: predicted against measured mean profiles of perturbations that no model was shown."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from cellgauge.data.screen import Screen, ScreenError, design
from cellgauge.tasks.contract import Cells, Fit, NotApplicableError, Params, UnscorableError, Weights, number, real
from cellgauge.tasks.effects import Comparison, Flags, Floats, compare, nearer
from cellgauge.tasks.measured import Measured, measure

_DISCRIMINATION = "perturbation-discrimination"
_TOP = ("pearson-delta-top20", "delta-mse-top20")
_CORRELATED = {
    "pearson-delta": "effect",
    "pearson-delta-top20": "effect",
    "pearson-deviation": "deviation from the training mean",
    "spearman-lfc": "fold change",
}
"""Metric → what has to differ between genes."""


def prepare(
    prediction: NDArray[np.float32], cells: Cells, params: Params, wanted: Collection[str]
) -> Callable[[int], Fit]:
    """Read the design; each seed then has its own halves of the cells, and a prediction made from them.

    A score is the mean over the held-out perturbations that have what it needs, or over those of one kind (its view).
    Where a prediction is missing for any of these it has no value: a mean over what a model chose to predict would
    be the answer to another question.

    Parameters
    ----------
    prediction
        (n_held_out × n_genes) mean log-normalised profiles in the order of the screen; rows of NaN were not predicted.
    params
        ``min_detected``, ``false_discovery_rate``, ``n_top_genes``, ``jaccard_genes``, ``lfc_pseudocount``.
    """
    dataset = cells.dataset
    if dataset is None:
        raise UnscorableError("predictions are compared with expression, which is not at hand")
    values = dataset.card.matrix.values
    if values not in ("counts", "log-normalised"):
        raise NotApplicableError(
            f"effects are differences of log-normalised expression; the dataset has {values} values"
        )
    try:
        screen = design(dataset)
    except ScreenError as error:
        raise NotApplicableError(str(error)) from None
    if len(screen.held_out) < 2:
        raise NotApplicableError("one perturbation is held out; at least two are needed")
    kinds = np.array([screen.kind(name) for name in screen.held_out])

    def fit(seed: int) -> Fit:
        measured = measure(dataset, seed, params)
        answers = _answers(prediction.astype(np.float64), measured, kinds, params, wanted)
        # Not on the top genes: the halves that are compared with the truth have chosen them.
        repeatable = [key for key in wanted if key.partition("@")[0] not in _TOP]
        repeated = _answers(measured.repeat, measured, kinds, params, repeatable)
        defined = {key: answer for key, answer in answers.items() if answer.why_not is None}

        def scores(weights: Weights) -> dict[str, Floats]:
            return {key: answer.mean(weights) for key, answer in defined.items()}

        return Fit(
            strata=np.zeros(len(kinds), dtype=np.intp),
            within="the held-out perturbations",
            scores=scores,
            groups=np.array(screen.held_out),
            group="perturbation",
            only_groups=True,
            counted={key: answer.counted for key, answer in defined.items()},
            undefined={key: answer.why_not for key, answer in answers.items() if answer.why_not is not None},
            details={**_design_details(screen, kinds, measured), **_seed_details(screen, measured, answers, repeated)},
        )

    return fit


@dataclass(frozen=True)
class _Answer:
    """One score: a value for each held-out perturbation that counts, or why there is none."""

    values: Floats
    """(n_held_out,)."""
    counted: Flags
    """(n_held_out,)."""
    why_not: str | None

    def mean(self, weights: Weights) -> Floats:
        """Return the weighted means, (n_replicates,); NaN where the weights leave nothing."""
        here = weights[:, self.counted].astype(np.float64)
        total = here.sum(axis=1)
        means = np.full(len(here), np.nan)
        return np.asarray(np.divide(here @ self.values[self.counted], total, out=means, where=total > 0))


def _answers(
    profiles: Floats, measured: Measured, kinds: NDArray[np.str_], params: Params, wanted: Collection[str]
) -> dict[str, _Answer]:
    by_metric, is_nearer = compare(profiles, measured, params), nearer(profiles, measured)
    predicted = np.asarray(np.isfinite(profiles).all(axis=1))
    answers = {}
    for key in wanted:
        metric, _, view = key.partition("@")
        members = kinds == view if view else np.ones(len(kinds), dtype=bool)
        found = _discrimination(is_nearer, members) if metric == _DISCRIMINATION else by_metric[metric]
        counted = members & found.measurable
        why_not = (
            _unmeasurable(metric, members, counted, measured, params)
            or _not_predicted(members, counted, predicted)
            or _nothing_to_correlate(metric, counted, counted & found.flat)
        )
        answers[key] = _Answer(found.values, counted, why_not)
    return answers


def _discrimination(is_nearer: Floats, members: Flags) -> Comparison:
    """Return from which share of the others of its kind each prediction can be told.

    Among these alone: a single gene is easily told from a pair by the size of its effect, and chance would not be
    one half.
    """
    n_others = np.count_nonzero(members) - 1
    share = np.nansum(is_nearer[:, members], axis=1) / max(1, n_others)
    return Comparison(share, members & (n_others > 0), np.zeros(len(members), dtype=bool))


def _unmeasurable(metric: str, members: Flags, counted: Flags, measured: Measured, params: Params) -> str | None:
    """Say why the data have nothing that a metric could be computed on, whatever is predicted."""
    if counted.any():
        return None
    if not members.any():
        return "no perturbation of this kind is held out"
    if metric in _TOP:
        rate, needed = real(params, "false_discovery_rate"), number(params, "n_top_genes")
        most, n = measured.n_responding[members].max(), np.count_nonzero(members)
        return (
            f"it needs perturbations with {needed} responding genes at a false discovery rate of {rate:g}; "
            f"of {n} held out none has more than {most}"
        )
    if metric == _DISCRIMINATION:
        return "one perturbation of this kind is held out, and there is no other to tell it from"
    n_genes = measured.scored[members].sum(axis=1).max()
    if metric == "jaccard-top-de":
        return f"a list of {number(params, 'jaccard_genes')} genes says nothing where {n_genes} are scored"
    return f"{n_genes} genes are scored, too few to compare"


def _not_predicted(members: Flags, counted: Flags, predicted: Flags) -> str | None:
    if not (counted & ~predicted).any():
        return None
    found, n = np.count_nonzero(members & predicted), np.count_nonzero(members)
    return f"it predicts {found} of {n} held-out perturbations" + ("" if members.all() else " of this kind")


def _nothing_to_correlate(metric: str, counted: Flags, flat: Flags) -> str | None:
    if not flat.any():
        return None
    what = _CORRELATED[metric]
    return (
        f"in {np.count_nonzero(flat)} of {np.count_nonzero(counted)} perturbations it predicts the same {what} "
        "for every gene, which leaves nothing to correlate"
    )


def _design_details(screen: Screen, kinds: NDArray[np.str_], measured: Measured) -> dict[str, JsonValue]:
    """Say what is the same for every model and seed."""
    names, counts = np.unique(kinds, return_counts=True)
    genes = {gene for name in screen.held_out for gene in screen.genes(name)}
    details: dict[str, JsonValue] = {
        "n_training_perturbations": len(screen.training),
        "held_out": dict(zip(names.tolist(), counts.tolist(), strict=True)),
        "n_genes_scored": int(measured.detected.sum()),
        "n_genes_too_rarely_detected": int((~measured.detected).sum()),
        "n_targeted_genes": len(genes),
        "n_targeted_genes_measured": int(measured.targeted.any(axis=0).sum()),
        "perturbations": [
            {"perturbation": name, "kind": kind, "cells": int(n)}
            for name, kind, n in zip(screen.held_out, kinds.tolist(), measured.n_cells, strict=True)
        ],
    }
    if screen.removed:
        details["removed_from_training"] = list(screen.removed)
    if screen.too_few:
        details["too_few_cells"] = dict(screen.too_few)
    return details


def _seed_details(
    screen: Screen, measured: Measured, answers: dict[str, _Answer], repeated: dict[str, _Answer]
) -> dict[str, JsonValue]:
    """Say what was found for each perturbation, and how well the halves of the measured cells agree."""
    once = np.ones((1, len(screen.held_out)), dtype=np.float32)
    details: dict[str, JsonValue] = {
        "responding_genes": dict(zip(screen.held_out, measured.n_responding.tolist(), strict=True)),
        "replicate_agreement": {
            key: _shown(answer.mean(once)[0]) for key, answer in repeated.items() if answer.why_not is None
        },
    }
    for metric in ("pearson-delta", "delta-mse"):
        if metric in answers and np.isfinite(answers[metric].values).any():
            values = answers[metric].values
            details[metric.replace("-", "_")] = {
                name: _shown(value)
                for name, value in zip(screen.held_out, values.tolist(), strict=True)
                if np.isfinite(value)
            }
    return details


def _shown(value: float) -> float:
    """Return a number with four significant digits, for what is looked at and not computed with."""
    return float(f"{value:.4g}")
