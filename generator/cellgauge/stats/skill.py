"""Skill: a score placed between its baseline, 0, and the metric's theoretical best, 1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from cellgauge.stats.jackknife import jackknife_interval
from cellgauge.stats.resampling import Floats, percentile_interval
from cellgauge.stats.values import finite


@dataclass(frozen=True)
class Skill:
    """A score's place between baseline and ceiling, never clipped: below 0 is worse than the baseline."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class CannotDiscriminate:
    """The baseline is within noise of the ceiling: no room is left for models to differ in, and there is no number."""

    baseline: float
    low: float
    high: float
    ceiling: float
    text: Literal["cannot discriminate here"] = "cannot discriminate here"


def skill(
    score: float,
    baseline: float,
    replicates: Floats,
    baseline_replicates: Floats,
    *,
    ceiling: float,
    level: float,
    sign: int,
) -> Skill | CannotDiscriminate:
    """Return ``(score − baseline) / (ceiling − baseline)`` with its interval.

    Numerator and denominator turn their sign together where lower is better, so that positive is better for any
    metric. The interval is the percentile interval of the same ratio, replicate by replicate. A replicate whose
    baseline is at the ceiling or beyond, as centring can move it, counts as infinitely far on the side of its
    numerator: that is where the ratio goes as the baseline comes near.

    There is no skill where the baseline's percentile interval reaches the ceiling, nor where enough replicates do
    to make an end of the interval infinite.

    Parameters
    ----------
    replicates, baseline_replicates
        (n_replicates,) each, drawn with the same resamples.
    ceiling
        The metric's theoretical best.
    sign
        +1 where higher is better, -1 where lower is.

    Raises
    ------
    ValueError
        When the replicates do not fit together, or a number is not finite, such as the ceiling of a metric without one.
    """
    _check(score, baseline, ceiling)
    ours, theirs = finite(replicates, "replicates", 1), finite(baseline_replicates, "baseline_replicates", 1)
    if len(ours) != len(theirs):
        raise ValueError(f"{len(ours)} and {len(theirs)} replicates cannot be paired")
    gain, room = sign * (ours - theirs), sign * (ceiling - theirs)
    if _leaves_room(theirs, baseline, ceiling, sign):  # then nothing below is infinite
        return Skill((score - baseline) / (ceiling - baseline), *percentile_interval(gain / room, level))
    cannot = CannotDiscriminate(baseline, *percentile_interval(theirs, level), ceiling)
    if _reaches(cannot, sign):
        return cannot
    ratios = np.divide(gain, room, out=np.where(gain == 0, 0.0, np.copysign(np.inf, gain)), where=room > 0)
    with np.errstate(invalid="ignore"):  # between two infinite replicates
        low, high = percentile_interval(ratios, level)
    if not np.isfinite([low, high]).all():
        return cannot
    return Skill((score - baseline) / (ceiling - baseline), low, high)


def skill_value(
    score: float,
    baseline: float,
    replicates: Floats,
    baseline_replicates: Floats,
    *,
    ceiling: float,
    level: float,
    sign: int,
) -> float | None:
    """Return the value of `skill`, and None where there is no skill.

    Takes what `skill` takes, and hardly any time where no replicate of the baseline is at the ceiling: then an interval
    decides nothing.
    """
    _check(score, baseline, ceiling)
    if _leaves_room(finite(baseline_replicates, "baseline_replicates", 1), baseline, ceiling, sign):
        return (score - baseline) / (ceiling - baseline)
    made = skill(score, baseline, replicates, baseline_replicates, ceiling=ceiling, level=level, sign=sign)
    return made.value if isinstance(made, Skill) else None


def _leaves_room(baseline_replicates: Floats, baseline: float, ceiling: float, sign: int) -> bool:
    """Whether the baseline is short of the ceiling in every replicate, and itself."""
    return bool(min((sign * (ceiling - baseline_replicates)).min(), sign * (ceiling - baseline)) > 0)


def skill_jackknife(
    by_seed: Floats,
    baseline_by_seed: Floats,
    left_out: Floats,
    baseline_left_out: Floats,
    n_groups: int,
    *,
    ceiling: float,
    level: float,
    sign: int,
) -> Skill | CannotDiscriminate:
    """Return the same skill, with the interval for other groups.

    With S the skill of the means over seeds, ``(score − baseline) − S · (ceiling − baseline)`` is 0. Its
    jackknife interval, divided by ``ceiling − baseline``, is the interval of S around S: the linearised ratio (Cochran
    1977, section 2.11). There is no skill where the baseline's own jackknife interval reaches the ceiling.

    Parameters
    ----------
    by_seed, baseline_by_seed, left_out, baseline_left_out, n_groups
        As in `cellgauge.stats.jackknife.paired_jackknife`.
    ceiling, sign
        As in `skill`.
    """
    score, baseline = float(np.mean(by_seed)), float(np.mean(baseline_by_seed))
    _check(score, baseline, ceiling)
    interval = jackknife_interval(baseline_by_seed, baseline_left_out, n_groups, level)
    cannot = CannotDiscriminate(baseline, *interval, ceiling)
    if _reaches(cannot, sign):
        return cannot
    room = ceiling - baseline
    value = (score - baseline) / room
    low, high = jackknife_interval(
        (np.asarray(by_seed) - (1 - value) * np.asarray(baseline_by_seed) - value * ceiling) / room,
        (np.asarray(left_out) - (1 - value) * np.asarray(baseline_left_out) - value * ceiling) / room,
        n_groups,
        level,
    )
    return Skill(value, value + low, value + high)


def _check(score: float, baseline: float, ceiling: float) -> None:
    for name, number in (("score", score), ("baseline", baseline), ("ceiling", ceiling)):
        if not np.isfinite(number):
            raise ValueError(f"{name}: expected a finite number, found {number}")


def _reaches(baseline: CannotDiscriminate, sign: int) -> bool:
    nearest = max(sign * baseline.low, sign * baseline.high, sign * baseline.baseline)
    return nearest >= sign * baseline.ceiling
