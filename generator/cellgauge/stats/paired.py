"""Paired comparison of models on the same resamples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from cellgauge.stats.resampling import Floats, percentile_interval
from cellgauge.stats.values import rounding

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
    differences = paired_replicates(replicates, baseline_replicates, sign)
    low, high = percentile_interval(differences, level)
    tail = min(np.count_nonzero(differences <= 0), np.count_nonzero(differences >= 0))
    p = min(1.0, 2 * (1 + tail) / (len(differences) + 1))
    return Difference(sign * (value - baseline_value), low, high, p)


def paired_replicates(replicates: Floats, baseline_replicates: Floats, sign: int) -> Floats:
    """Return ``sign · (model_r − baseline_r)``, (n_replicates,), 0 where two differ by no more than their rounding.

    Raises
    ------
    ValueError
        Where they are not equally many.
    """
    if len(replicates) != len(baseline_replicates):
        raise ValueError(f"{len(replicates)} and {len(baseline_replicates)} replicates cannot be paired")
    differences: Floats = sign * (np.asarray(replicates, dtype=float) - np.asarray(baseline_replicates, dtype=float))
    differences[np.abs(differences) <= rounding(replicates, baseline_replicates)] = 0
    return differences


def superiority(replicates: Floats, others: Floats, sign: int) -> float:
    """Return the share of paired replicates in which the first model is better, ties counted half.

    It is the mass that the bootstrap distribution of the difference has on the first model's side: how sure the data
    are of the sign, for these units, and not how often the first model would win on another dataset. Two replicates
    that differ by no more than their rounding are a tie, as in `paired_difference`.

    Parameters
    ----------
    replicates, others
        (n_replicates,) each, drawn with the same resamples.
    sign
        +1 where higher is better, -1 where lower is.
    """
    if len(replicates) != len(others) or not len(replicates):
        raise ValueError(f"{len(replicates)} and {len(others)} replicates cannot be paired")
    differences = sign * (np.asarray(replicates, dtype=float) - np.asarray(others, dtype=float))
    tied = np.abs(differences) <= rounding(replicates, others)
    return float(np.mean(np.where(tied, 0.5, differences > 0)))


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
