"""Leaving out one group of units at a time, such as the cells of one donor."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cellgauge.stats.paired import Difference
from cellgauge.stats.resampling import Floats
from cellgauge.stats.student import t_interval, t_p_value, t_quantile
from cellgauge.stats.values import finite, rounding

FEWEST_GROUPS = 6
"""From this many groups on, intervals speak about groups to come. With fewer, units within the groups are resampled
and the interval holds for these groups only."""


def left_out_weights(groups: NDArray[Any]) -> NDArray[np.float32]:
    """Return the weights that leave out one group each.

    Parameters
    ----------
    groups
        (n_units,) the group of each unit.

    Returns
    -------
    (n_groups, n_units) 0 for the units of the group left out and 1 elsewhere; groups in the order of their names.

    Raises
    ------
    ValueError
        For a single group: without it nothing is left.
    """
    names = np.unique(groups)
    if len(names) < 2:
        raise ValueError(f"expected at least two groups, found {len(names)}")
    return np.asarray(groups[None, :] != names[:, None], dtype=np.float32)


def jackknife_interval(by_seed: Floats, left_out: Floats, n_groups: int, level: float) -> tuple[float, float]:
    """Return the interval of a score for other groups of the same kind and another one of the seeds.

    ``θ ± t_{n−1, (1+level)/2} · √v`` with ``v = (n−1)/n · Σ_i (θ_(i) − θ)² + s²``, where θ and θ_(i) are means over
    seeds and s² is the sample variance between seeds, 0 with a single one (jackknife: Tukey 1958; Efron and Tibshirani
    1993, chapter 11). Squares are taken around θ and not around the mean of the θ_(i), which never makes the interval
    shorter (Wolter 2007, section 4.2), and lets a group that takes no part in a score add nothing.

    Parameters
    ----------
    by_seed
        (n_seeds,) the score on all units.
    left_out
        (n_left_out, n_seeds) the score without each group.
    n_groups
        How many of the groups take part in the score: n above. A group does not where, for example, it has no cell of
        the types that are scored; leaving it out changes nothing.

    Raises
    ------
    ValueError
        When the arrays do not fit together or are not finite, or ``n_groups`` is below 2 or above their number.
    """
    by_seed, left_out = _checked(by_seed, left_out, n_groups)
    return t_interval(float(by_seed.mean()), _standard_error(by_seed, left_out, n_groups), n_groups - 1, level)


def skewness_corrected_interval(by_seed: Floats, left_out: Floats, n_groups: int, level: float) -> tuple[float, float]:
    """Return the interval of `jackknife_interval` where groups are skewed, such as correlations of which a few are low.

    From ``θ − g⁻¹(t) √v`` to ``θ − g⁻¹(−t) √v`` with ``g⁻¹(u) = ((1 + 3a(u − a/2))^(1/3) − 1) / a`` (Hall 1992), where
    ``a = γ / (3√n) = ((n−1)/n)^(3/2) · Σ_i ((θ − θ_(i)) / √v)³ / 3`` follows from the skewness γ of the groups'
    influences ``(n−1)(θ − θ_(i))``; seeds are taken to vary without skewness. The longer arm points to where outliers
    are. For scores, not for differences: those are more symmetric than either score, and with heavy tails the plain
    interval covers better.

    Parameters
    ----------
    by_seed, left_out, n_groups
        As in `jackknife_interval`.
    """
    by_seed, left_out = _checked(by_seed, left_out, n_groups)
    value, error = float(by_seed.mean()), _standard_error(by_seed, left_out, n_groups)
    if error == 0:
        return value, value
    t = t_quantile((1 + level) / 2, n_groups - 1)
    influences = (value - left_out.mean(axis=1)) / error
    a = ((n_groups - 1) / n_groups) ** 1.5 * float(np.sum(influences**3)) / 3
    return value - _without_skewness(t, a) * error, value - _without_skewness(-t, a) * error


def paired_jackknife(
    by_seed: Floats,
    baseline_by_seed: Floats,
    left_out: Floats,
    baseline_left_out: Floats,
    n_groups: int,
    *,
    level: float,
    sign: int,
) -> Difference:
    """Compare a model with a baseline, seed by seed and left-out group by left-out group.

    The interval is that of `jackknife_interval` for ``sign · (model − baseline)``, and p is two-sided from t with
    n − 1 degrees of freedom. Where leaving out changes nothing there is no t; `t_p_value` says what p is then.

    Parameters
    ----------
    by_seed, baseline_by_seed
        (n_seeds,) each.
    left_out, baseline_left_out
        (n_left_out, n_seeds) each, with the same groups left out.
    n_groups
        How many groups take part in the score of either.
    sign
        +1 where higher is better, -1 where lower is.
    """
    by_seed, left_out = _checked(by_seed, left_out, n_groups)
    baseline_by_seed, baseline_left_out = _checked(baseline_by_seed, baseline_left_out, n_groups)
    if left_out.shape != baseline_left_out.shape:
        raise ValueError(f"left_out: shapes {left_out.shape} and {baseline_left_out.shape} cannot be paired")
    differences, without = sign * (by_seed - baseline_by_seed), sign * (left_out - baseline_left_out)
    value, error = float(differences.mean()), _standard_error(differences, without, n_groups)
    low, high = t_interval(value, error, n_groups - 1, level)
    negligible = rounding(by_seed, baseline_by_seed, left_out, baseline_left_out)
    return Difference(value, low, high, t_p_value(value, error, n_groups - 1, negligible))


def superiority_jackknife(difference: Difference) -> float:
    """Return the mass that the t distribution around a difference of `paired_jackknife` has above 0.

    ``1 − p/2`` for a difference above 0 and ``p/2`` below: the counterpart of `cellgauge.stats.paired.superiority`
    where a few groups were left out, which are too few to be counted. Without any spread p is that of the sign test.
    """
    if difference.value == 0:
        return 0.5
    return 1 - difference.p / 2 if difference.value > 0 else difference.p / 2


def _checked(by_seed: Floats, left_out: Floats, n_groups: int) -> tuple[Floats, Floats]:
    by_seed, left_out = finite(by_seed, "by_seed", 1), finite(left_out, "left_out", 2)
    if left_out.shape[1] != len(by_seed):
        raise ValueError(f"left_out: expected {len(by_seed)} seeds, found {left_out.shape[1]}")
    if not 2 <= n_groups <= len(left_out):
        raise ValueError(f"n_groups: expected 2 to {len(left_out)}, found {n_groups}")
    return by_seed, left_out


def _standard_error(by_seed: Floats, left_out: Floats, n_groups: int) -> float:
    deviations = left_out.mean(axis=1) - by_seed.mean()
    between_groups = (n_groups - 1) / n_groups * np.sum(deviations**2)
    between_seeds = by_seed.var(ddof=1) if len(by_seed) > 1 else 0.0
    return float(np.sqrt(between_groups + between_seeds))


def _without_skewness(u: float, a: float) -> float:
    if abs(a) < 1e-6:  # the limit; the quotient would lose its digits
        return u
    return float(np.cbrt(1 + 3 * a * (u - a / 2)) - 1) / a
