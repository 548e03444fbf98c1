"""Paired comparison of models on the same resamples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from cellgauge.stats.resampling import Floats, percentile_intervals
from cellgauge.stats.values import ROUNDING

Word = Literal["better", "worse", "not separated"]


@dataclass(frozen=True)
class Difference:
    """Model minus baseline, signed so that positive is better."""

    value: float
    low: float
    high: float
    p: float


def paired_difference(
    value: float, baseline_value: float, replicates: Floats, baseline_replicates: Floats, *, level: float, sign: int
) -> Difference:
    """Compare a model with a baseline, replicate by replicate.

    ``d_r = sign · (model_r − baseline_r)``, and 0 where the two differ by no more than their rounding; the interval is
    the percentile interval of ``d``, and ``p = min(1, 2 · min(1 + #{d ≤ 0}, 1 + #{d ≥ 0}) / (R + 1))`` (Davison and
    Hinkley 1997, section 4.4).

    Parameters
    ----------
    replicates, baseline_replicates
        (n_replicates,) each, drawn with the same resamples.
    sign
        +1 where higher is better, -1 where lower is.
    """
    others = np.asarray(baseline_replicates)[None]
    return paired_differences(value, [baseline_value], replicates, others, level=level, sign=sign)[0]


def paired_differences(
    value: float, values: Sequence[float], replicates: Floats, others: Floats, *, level: float, sign: int
) -> list[Difference]:
    """Compare a model with each of several others, as `paired_difference` does.

    Parameters
    ----------
    values
        (n_others,) scores of the others.
    replicates
        (n_replicates,) of the model.
    others
        (n_others, n_replicates) of the others, drawn with the same resamples.
    """
    differences = paired_replicates(replicates, others, sign)
    n_replicates = differences.shape[1]
    lows, highs = percentile_intervals(differences, level)
    tails = np.minimum((differences <= 0).sum(axis=1), (differences >= 0).sum(axis=1))
    p_values = np.minimum(1.0, 2 * (1 + tails) / (n_replicates + 1))
    return [
        Difference(sign * (value - other), low, high, p)
        for other, low, high, p in zip(values, lows.tolist(), highs.tolist(), p_values.tolist(), strict=True)
    ]


def paired_replicates(replicates: Floats, others: Floats, sign: int) -> Floats:
    """Return ``sign · (model_r − other_r)``, 0 where two differ by no more than their rounding.

    Parameters
    ----------
    replicates
        (n_replicates,) of a model.
    others
        (n_replicates,) of another one, or (n_others, n_replicates).

    Returns
    -------
    In the shape of ``others``.

    Raises
    ------
    ValueError
        Where they are not equally many.
    """
    replicates, others = np.asarray(replicates, dtype=float), np.asarray(others, dtype=float)
    if len(replicates) != others.shape[-1] or not len(replicates):
        raise ValueError(f"{len(replicates)} and {others.shape[-1]} replicates cannot be paired")
    differences: Floats = sign * (replicates - others)
    largest = np.maximum(np.abs(replicates).max(), np.abs(others).max(axis=-1, keepdims=True))
    differences[np.abs(differences) <= ROUNDING * largest] = 0
    return differences


def superiority(replicates: Floats, others: Floats, sign: int) -> Floats:
    """Return the share of paired replicates in which the first model is better, ties counted half.

    It is the mass that the bootstrap distribution of the difference has on the first model's side: how sure the data
    are of the sign, for these units, and not how often the first model would win on another dataset. Two replicates
    that differ by no more than their rounding are a tie, as in `paired_difference`.

    Parameters
    ----------
    replicates
        (n_replicates,) of the first model.
    others
        (n_others, n_replicates) of the others, drawn with the same resamples.
    sign
        +1 where higher is better, -1 where lower is.

    Returns
    -------
    (n_others,) shares.
    """
    differences = paired_replicates(replicates, others, sign)
    shares: Floats = ((differences > 0).mean(axis=1) + (differences >= 0).mean(axis=1)) / 2
    return shares


def holm(p_values: list[float]) -> list[float]:
    """Return Holm's adjusted p-values (Holm 1979): ``max_{j ≤ i} min(1, (k − j + 1) · p_(j))``, in the given order."""
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, position in enumerate(np.argsort(p_values, kind="stable")):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[position]))
        adjusted[position] = highest
    return adjusted


def word(difference: Difference, adjusted_p: float, level: float) -> Word:
    """Say what an adjusted comparison shows: better, worse, or not separated.

    The first two need the difference and its whole interval on one side: where biased replicates contradict
    the difference itself, nothing is shown.
    """
    if adjusted_p <= 1 - level:
        if min(difference.value, difference.low) > 0:
            return "better"
        if max(difference.value, difference.high) < 0:
            return "worse"
    return "not separated"
