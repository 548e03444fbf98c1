"""Does a metric still tell models apart in a release?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cellgauge.stats.correlation import spearman
from cellgauge.stats.ranks import Ranking
from cellgauge.stats.resampling import Floats
from cellgauge.stats.values import finite, rounding

FEWEST_MODELS = 4
"""With fewer models there is no correlation between metrics: of three points, one in three orders is a perfect one."""


@dataclass(frozen=True)
class MetricHealth:
    """What a metric can still show on one dataset."""

    n_models: int
    at_best: float | None
    """Share of models whose interval reaches the metric's theoretical best; None where it has none."""
    near_first: float | None
    """Share of the other models that are not separated from the first; None without others."""
    separated: int
    """Pairs of models that are separated, Holm-adjusted over all of them."""
    pairs: int
    without_width: int
    """Models whose interval has no width: nothing that was resampled changes the score."""
    correlations: tuple[tuple[str, float | None], ...]
    """Spearman's correlation with each other metric, over the models that have both."""


def metric_health(
    values: Floats,
    intervals: Floats,
    ranking: Ranking,
    *,
    best: float | None,
    sign: int,
    others: Mapping[str, Sequence[float | None]],
) -> MetricHealth:
    """Summarise what one metric shows about the models on one dataset.

    Parameters
    ----------
    values
        (n_models,) scores.
    intervals
        (n_models, 2) their intervals.
    ranking
        Of the same models in the same order, see `cellgauge.stats.ranks`.
    best
        The metric's theoretical best; None where it has none.
    sign
        +1 where higher is better, -1 where lower is.
    others
        Other metrics' scores of the same models in the same order, signed so that higher is better; None for a model
        that has none. There is no correlation (None) with fewer than four models, or where a metric gives all the same.

    Raises
    ------
    ValueError
        When lengths differ, a number is not finite, or an interval is upside down.
    """
    values, intervals = finite(values, "values", 1), finite(intervals, "intervals", 2)
    n = len(values)
    if intervals.shape != (n, 2) or np.any(intervals[:, 0] > intervals[:, 1]):
        raise ValueError(f"intervals: expected {n} × (low, high)")
    if len(ranking.ranges) != n:
        raise ValueError(f"ranking: expected {n} models, found {len(ranking.ranges)}")
    negligible = rounding(values, intervals)
    first, *rest = ranking.order
    near = [not ranking.separated(first, other) for other in rest]
    return MetricHealth(
        n_models=n,
        at_best=None if best is None else _share((sign * intervals).max(axis=1) >= sign * best - negligible),
        near_first=_share(near) if near else None,
        separated=sum(pair.word != "not separated" for pair in ranking.pairs),
        pairs=len(ranking.pairs),
        without_width=int(np.count_nonzero(intervals[:, 1] - intervals[:, 0] <= negligible)),
        correlations=tuple((name, _correlation(sign * values, scores)) for name, scores in others.items()),
    )


def _share(are: Sequence[bool] | NDArray[np.bool_]) -> float:
    return float(np.mean(are))


def _correlation(values: Floats, others: Sequence[float | None]) -> float | None:
    if len(others) != len(values):
        raise ValueError(f"{len(values)} and {len(others)} models cannot be correlated")
    both = [(value, other) for value, other in zip(values, others, strict=True) if other is not None]
    if len(both) < FEWEST_MODELS:
        return None
    ours, theirs = finite(both, "others", 2).T
    return spearman(ours, theirs)
