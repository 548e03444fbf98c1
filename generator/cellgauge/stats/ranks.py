"""All models of a dataset against each other: which pairs are apart, and which ranks a model may have."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, replace
from itertools import combinations
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cellgauge.stats.jackknife import paired_jackknife
from cellgauge.stats.paired import Difference, Word, holm, paired_differences, word
from cellgauge.stats.resampling import Floats
from cellgauge.stats.student import t_interval, t_p_value
from cellgauge.stats.studies import FEWEST_STUDIES
from cellgauge.stats.values import ROUNDING, finite, rounding

PValues = Literal["counted", "normal", "t"]

REPLICATES_PER_COMPARISON = 20
"""p-values are counted where there are this many replicates for each comparison, over α."""


@dataclass(frozen=True)
class Pair:
    """Two models, by their positions in what was given."""

    first: int
    second: int
    difference: Difference
    """First minus second, positive where the first is better. Its p-value is not adjusted; the interval is
    simultaneous: at the stated level, the intervals of all pairs hold their true differences together."""
    adjusted_p: float
    """Holm-adjusted over all pairs."""
    word: Word
    """What is shown about the first."""


@dataclass(frozen=True)
class RankRange:
    """The ranks that a model may have; 1 is the best."""

    best: int
    worst: int


@dataclass(frozen=True)
class Ranking:
    """All models of a dataset; positions are those in what was given."""

    order: tuple[int, ...]
    """Positions from the best score to the worst; equal scores in the order given."""
    pairs: tuple[Pair, ...]
    """All k(k−1)/2 of them, the earlier position first."""
    ranges: tuple[RankRange, ...]
    """One for each model, in the order given."""
    bands: tuple[tuple[int, ...], ...]
    """Longest runs of models, in the order of their scores, of which no pair is separated. Runs may overlap, and two
    models that are not separated need not share one: a model between them may be separated from either."""
    p_values: PValues
    """Whether p-values were counted among replicates, or come from the normal or from the t distribution."""

    def separated(self, one: int, other: int) -> bool:
        """Say whether two models, by their positions, are separated."""
        return any({pair.first, pair.second} == {one, other} and pair.word != "not separated" for pair in self.pairs)


def rank_replicates(values: Floats, replicates: Floats, *, level: float, sign: int) -> Ranking:
    """Compare all pairs of models by bootstrap replicates.

    A pair is separated by the rule of `cellgauge.stats.paired.word`, Holm-adjusted over all m = k(k−1)/2 pairs. The
    rank range of a model is ``[1 + models that are better, k − models that are worse]``. If no pair is separated
    wrongly, all true ranks are in their ranges, and Holm's method keeps the chance of a wrong one below α (compare
    Al Mohamad, Goeman and van Zwet 2022). A range always holds the model's own rank by score, since a model is only
    ever called better than one of a lower score.

    p-values are those of `paired_difference`, counted, where there are at least 20 m / α replicates. With fewer,
    the smallest that can be counted would be too coarse, and the normal p-value ``P(|Z| ≥ |difference| / s)`` is used,
    where s is the standard deviation of the replicate differences. Where s is 0, p is 1 without a difference and
    the smallest positive number with one.

    The intervals of differences are Bonferroni's, each at level 1 − α/m: between the c-th smallest and the c-th largest
    replicate difference with ``c = ⌊(R+1) α / 2m⌋`` if counted (Davison and Hinkley 1997, section 5.2), and
    ``difference ± z s`` if normal. Holm's method separates whatever Bonferroni's does, and sometimes more. So a pair
    whose interval leaves out 0, by more than rounding and on the side of its difference, is always separated; a pair
    may be separated although its interval holds 0, if its p-value is above α/m. With two models there is no such case.

    Parameters
    ----------
    values
        (n_models,) scores.
    replicates
        (n_models, n_replicates) drawn with the same resamples and centred on ``values``.
    sign
        +1 where higher is better, -1 where lower is.

    Raises
    ------
    ValueError
        When the arrays do not fit together or are not finite, or there are fewer than two replicates.
    """
    values, replicates = finite(values, "values", 1), finite(replicates, "replicates", 2)
    if len(replicates) != len(values) or replicates.shape[1] < 2:
        raise ValueError(
            f"replicates: expected {len(values)} models × at least 2 replicates, found shape {replicates.shape}"
        )
    n_pairs, n_replicates = len(values) * (len(values) - 1) // 2, replicates.shape[1]
    # A billionth forgives that 1 − 0.9 is a little less than 0.1.
    counted = n_replicates * (1 - level) >= REPLICATES_PER_COMPARISON * n_pairs * (1 - 1e-9)
    compare = _counted if counted else _normal
    compared = compare(values, replicates, level=level, sign=sign, n_pairs=n_pairs)
    return _ranking(sign * values, compared, "counted" if counted else "normal", level)


def rank_jackknife(by_seed: Floats, left_out: Floats, n_groups: int, *, level: float, sign: int) -> Ranking:
    """Compare all pairs of models by leaving out groups.

    As `rank_replicates`, with differences, p-values and intervals (each at level 1 − α/m) of `paired_jackknife`. There
    is one more case in which intervals and words differ: where no group left out changes a difference, its interval
    has no width, but p is that of a sign test, which among many pairs may separate nothing.

    Parameters
    ----------
    by_seed
        (n_models, n_seeds) scores on all units.
    left_out
        (n_models, n_left_out, n_seeds) scores without each group.
    n_groups
        How many groups take part in the scores.
    sign
        +1 where higher is better, -1 where lower is.
    """
    by_seed, left_out = finite(by_seed, "by_seed", 2), finite(left_out, "left_out", 3)
    if len(by_seed) != len(left_out):
        raise ValueError(f"left_out: expected {len(by_seed)} models, found {len(left_out)}")
    n_pairs = len(by_seed) * (len(by_seed) - 1) // 2

    def compare(one: int, other: int, at: float) -> Difference:
        return paired_jackknife(
            by_seed[one], by_seed[other], left_out[one], left_out[other], n_groups, level=at, sign=sign
        )

    compared = [
        (compare(one, other, level), compare(one, other, 1 - (1 - level) / n_pairs))
        for one, other in combinations(range(len(by_seed)), 2)
    ]
    return _ranking(sign * by_seed.mean(axis=1), compared, "t", level)


def rank_studies(values: Floats, *, level: float) -> Ranking:
    """Compare all pairs of models over independent studies.

    As `rank_replicates`, with the differences, t intervals (each at level 1 − α/m) and p-values of
    `cellgauge.stats.studies.compare_over_studies`.

    Parameters
    ----------
    values
        (n_models, n_studies) the mean of each model in each study; higher is better.

    Raises
    ------
    ValueError
        With fewer than two models or six studies, or a value that is not finite.
    """
    values = finite(values, "values", 2)
    n_models, n = values.shape
    if n_models < 2 or n < FEWEST_STUDIES:
        raise ValueError(f"values: expected 2 models or more × {FEWEST_STUDIES} studies or more, found {values.shape}")
    n_pairs = n_models * (n_models - 1) // 2
    compared: _Compared = []
    for one, other in combinations(range(n_models), 2):
        differences = values[one] - values[other]
        value, error = float(differences.mean()), float(differences.std(ddof=1)) / math.sqrt(n)
        p = t_p_value(value, error, n - 1, rounding([*values[one].tolist(), *values[other].tolist()]))
        ends = [t_interval(value, error, n - 1, at) for at in (level, 1 - (1 - level) / n_pairs)]
        plain, simultaneous = (Difference(value, low, high, p) for low, high in ends)
        compared.append((plain, simultaneous))
    return _ranking(values.mean(axis=1), compared, "t", level)


_Compared = list[tuple[Difference, Difference]]
"""Of each pair its difference with the interval at the level, and with the simultaneous one."""


def _ranking(scores: Floats, compared: _Compared, p_values: PValues, level: float) -> Ranking:
    """Make a ranking of scores, of which higher is better, and of all pairs, the earlier position first."""
    k = len(scores)
    positions = list(combinations(range(k), 2))
    adjusted = holm([plain.p for plain, _ in compared])
    pairs = tuple(
        Pair(one, other, simultaneous, p, word(plain, p, level))
        for (one, other), (plain, simultaneous), p in zip(positions, compared, adjusted, strict=True)
    )
    better = np.zeros((k, k), dtype=bool)  # [one, other]: one is better than other
    for pair in pairs:
        better[pair.first, pair.second] = pair.word == "better"
        better[pair.second, pair.first] = pair.word == "worse"
    ranges = tuple(
        RankRange(1 + above, k - below)
        for above, below in zip(better.sum(axis=0).tolist(), better.sum(axis=1).tolist(), strict=True)
    )
    order = tuple(np.argsort(-scores, kind="stable").tolist())
    return Ranking(order, pairs, ranges, _bands(order, better | better.T), p_values)


def _bands(order: tuple[int, ...], separated: NDArray[np.bool_]) -> tuple[tuple[int, ...], ...]:
    bands: list[tuple[int, ...]] = []
    reached = 0
    for start in range(len(order)):
        end = start + 1
        while end < len(order) and not separated[order[end], list(order[start:end])].any():
            end += 1
        if end > reached:  # otherwise it is part of the run before
            bands.append(order[start:end])
            reached = end
    return tuple(bands)


def _counted(values: Floats, replicates: Floats, *, level: float, sign: int, n_pairs: int) -> _Compared:
    """Compare all pairs by counting; their simultaneous intervals are those of `_counted_intervals`."""
    compared: _Compared = []
    for one in range(len(values) - 1):
        ours, others = replicates[one], replicates[one + 1 :]
        plain = paired_differences(float(values[one]), values[one + 1 :].tolist(), ours, others, level=level, sign=sign)
        lows, highs = _counted_intervals(sign * (ours - others), level, n_pairs)
        compared += [
            (difference, replace(difference, low=low, high=high))
            for difference, low, high in zip(plain, lows.tolist(), highs.tolist(), strict=True)
        ]
    return compared


def _counted_intervals(differences: Floats, level: float, n_pairs: int) -> Floats:
    """Return intervals that leave out 0 exactly where a counted p-value passes Bonferroni's threshold.

    Parameters
    ----------
    differences
        (n_others, n_replicates)

    Returns
    -------
    (2, n_others) lower and upper ends.
    """
    n, alpha = differences.shape[1], 1 - level
    c = math.floor((n + 1) * alpha / (2 * n_pairs)) + 1
    while n_pairs * (2 * c / (n + 1)) > alpha:  # in the very arithmetic of the p-value, whose rounding may decide
        c -= 1
    ends: Floats = np.partition(differences, [c - 1, n - c], axis=1)[:, [c - 1, n - c]].T
    return ends


def _normal(values: Floats, replicates: Floats, *, level: float, sign: int, n_pairs: int) -> _Compared:
    """Compare all pairs by the normal distribution; variances of differences follow from those of the models."""
    first, second = np.triu_indices(len(values), 1)
    centred = replicates - replicates.mean(axis=1, keepdims=True)
    # Without a library that starts threads for so little.
    covariance = np.einsum("ir,jr->ij", centred, centred) / (replicates.shape[1] - 1)
    variances = np.diag(covariance)
    spreads = np.sqrt(np.maximum(0.0, variances[first] + variances[second] - 2 * covariance[first, second]))
    largest = np.maximum(np.abs(values), np.abs(replicates).max(axis=1))
    z, simultaneous = (NormalDist().inv_cdf((1 + at) / 2) for at in (level, 1 - (1 - level) / n_pairs))
    return [
        (_normal_difference(*one, z), _normal_difference(*one, simultaneous))
        for one in zip(
            (sign * (values[first] - values[second])).tolist(),
            spreads.tolist(),
            (ROUNDING * np.maximum(largest[first], largest[second])).tolist(),
            strict=True,
        )
    ]


def _normal_difference(value: float, spread: float, negligible: float, z: float) -> Difference:
    if spread > negligible:
        p = max(math.erfc(abs(value) / spread / math.sqrt(2)), sys.float_info.min)
    else:
        p = 1.0 if abs(value) <= negligible else sys.float_info.min
    return Difference(value, value - z * spread, value + z * spread, p)
