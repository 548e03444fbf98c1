"""Student's t distribution for whole degrees of freedom."""

from __future__ import annotations

import math
import sys
from functools import cache

import numpy as np
from numpy.typing import NDArray

_SMALL_TAIL = 1e-3
"""Below this, one minus a probability has lost too many digits and the tail is summed by itself."""


def t_cdf(t: float, df: int) -> float:
    """Return P(T ≤ t) of Student's t distribution.

    With ``θ = arctan(t / √df)``, the probability of ``|T| ≤ t`` is (Abramowitz and Stegun 1964, 26.7.3 and 26.7.4)

    - odd df: ``2/π · (θ + sin θ · (cos θ + 2/3 cos³ θ + … + (2·4⋯(df−3)) / (1·3⋯(df−2)) · cos^(df−2) θ))``,
    - even df: ``sin θ · (1 + 1/2 cos² θ + … + (1·3⋯(df−3)) / (2·4⋯(df−2)) · cos^(df−2) θ)``.

    Continued without end, both sums make the probability 1. A small tail is therefore the sum of the terms
    that are left out, which keeps its digits where one minus the probability would lose them.

    Parameters
    ----------
    df
        Degrees of freedom, a whole number of at least 1.

    Raises
    ------
    ValueError
        For NaN, or degrees of freedom that are not a whole number of at least 1.
    """
    _check_df(df)
    if math.isnan(t):
        raise ValueError("t: expected a number, found NaN")
    tail = _upper_tail(abs(t), df)
    return tail if t < 0 else 1 - tail


@cache
def t_quantile(p: float, df: int) -> float:
    """Return the t with ``P(T ≤ t) = p``, by bisecting `t_cdf` until no double lies in between.

    Raises
    ------
    ValueError
        When ``p`` is not between 0 and 1 (both excluded), or for degrees of freedom as in `t_cdf`.
    """
    _check_df(df)
    if not 0 < p < 1:
        raise ValueError(f"p: expected a number between 0 and 1, found {p}")
    tail = min(p, 1 - p)
    if tail == 0.5:
        return 0.0
    low, high = 0.0, 1.0
    while _upper_tail(high, df) > tail:
        low, high = high, 2 * high
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if _upper_tail(middle, df) > tail else (low, middle)
    return -high if p < 0.5 else high


def t_interval(value: float, standard_error: float, df: int, level: float) -> tuple[float, float]:
    """Return ``value ± t_{df, (1+level)/2} · standard_error`` (Student 1908)."""
    half = t_quantile((1 + level) / 2, df) * standard_error
    return value - half, value + half


def t_p_value(value: float, standard_error: float, df: int, negligible: float) -> float:
    """Return the two-sided p-value of ``value / standard_error`` (Student 1908).

    Without any spread there is no t. No spread and no difference gives 1. No spread around a difference means
    that all ``df + 1`` units gave the very same one, which happens where scores are coarse, such as six donors
    that are all named rightly by one model and wrongly by the other. The t distribution would say that this is
    certain; what it shows is that all units agree on the sign, and ``2^(1−n) = 2^(−df)`` is the p-value of the
    sign test for that, the smallest one that n units can give without assuming a distribution.

    Parameters
    ----------
    negligible
        What counts as no spread and no difference, see `cellgauge.stats.values.rounding`.
    """
    if standard_error <= negligible:
        return 1.0 if abs(value) <= negligible else 2.0**-df
    return max(2 * t_cdf(-abs(value) / standard_error, df), sys.float_info.min)


def _upper_tail(t: float, df: int) -> float:
    """Return P(T > t) for t ≥ 0."""
    if math.isinf(t):
        return 0.0
    length = math.hypot(math.sqrt(df), t)
    cos, sin = math.sqrt(df) / length, t / length
    odd = df % 2 == 1
    scale, first, angle = (2 / math.pi, cos, math.atan2(t, math.sqrt(df))) if odd else (1.0, 1.0, 0.0)
    n_terms = df // 2
    within = scale * (angle + sin * _terms(first, cos, odd, n_terms).sum())
    if 1 - within > _SMALL_TAIL:
        return float((1 - within) / 2)
    # Each further term is less than cos² times the one before: these many leave out less than a double holds.
    more = math.ceil(40 / -math.log(max(cos * cos, sys.float_info.min)))
    return float(scale * sin * _terms(first, cos, odd, n_terms + more)[n_terms:].sum() / 2)


def _terms(first: float, cos: float, odd: bool, n: int) -> NDArray[np.float64]:
    """Return the first n terms of the series: each is ``2j/(2j+1)`` (odd) or ``(2j−1)/2j`` (even) cos² of the last."""
    j = np.arange(1, n)
    factors = (2 * j / (2 * j + 1) if odd else (2 * j - 1) / (2 * j)) * cos * cos
    return np.cumprod(np.concatenate([[first], factors]))[:n]


def _check_df(df: int) -> None:
    if df != int(df) or df < 1:
        raise ValueError(f"df: expected a whole number of at least 1, found {df}")
