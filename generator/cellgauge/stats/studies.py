"""From single scores to a task: means with equal weight at each step, and models compared over studies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean, stdev
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cellgauge.stats.student import t_interval, t_p_value
from cellgauge.stats.values import rounding

FEWEST_STUDIES = 6
"""From this many independent studies on there is an interval; with fewer the order is descriptive."""

_STEPS = ("study", "dataset", "family", "metric")


@dataclass(frozen=True)
class Entry:
    """One planned number of a model: its skill, or its difference to the baseline, by one metric on one dataset."""

    study: str
    dataset: str
    family: str
    """Of metrics."""
    metric: str
    simulated: bool
    """Whether the cells are; such entries are refused."""
    value: float | None
    """Signed so that positive is better; None where there is none, for whatever reason."""

    @property
    def place(self) -> tuple[str, str, str, str]:
        """Study, dataset, family and metric."""
        return self.study, self.dataset, self.family, self.metric


@dataclass(frozen=True)
class Mean:
    """A mean over the parts that are there, and how many there should be."""

    name: str
    value: float | None
    """None where no part has a value."""
    n: int
    """Parts that have a value."""
    of: int
    """Parts that were planned."""
    parts: tuple[Mean, ...]
    """Studies of a task, datasets of a study, families of a dataset, metrics of a family; none of a metric."""


@dataclass(frozen=True)
class StudyComparison:
    """One model minus another, over studies."""

    difference: Mean
    """The mean of differences, by study, dataset, family and metric. Its ``n`` is the number of independent studies."""
    low: float | None
    high: float | None
    p: float | None
    """Two-sided; None, as the interval is, with fewer than six studies."""
    note: Literal["order is descriptive"] | None
    """Why there is no interval."""


def aggregate(entries: Sequence[Entry], name: str = "task") -> Mean:
    """Average metrics within a family, families within a dataset, datasets within a study, studies within a task.

    Each step is an unweighted mean over those of its parts that have a value, and says how many of how many they are:
    a study with many datasets, or a dataset with many metrics of one family, has no more weight than another. Files are
    not independent, studies are: n of the task is the number of studies.

    Parameters
    ----------
    entries
        All that were planned for one model, also those without a value.

    Raises
    ------
    ValueError
        For simulated cells, which never enter a mean; for a value that is not finite, an entry given twice, or a
        dataset in two studies.
    """
    _check(entries)
    return _mean(name, entries, _STEPS)


def weights(entries: Sequence[Entry]) -> NDArray[np.float64]:
    """Return the weight of each entry in the mean of `aggregate`, (n_entries,), where all of them have a value."""
    parts: dict[tuple[str, ...], set[str]] = {}
    for entry in entries:
        for step, part in enumerate(entry.place):
            parts.setdefault(entry.place[:step], set()).add(part)
    shares = [[1 / len(parts[entry.place[:step]]) for step in range(len(_STEPS))] for entry in entries]
    found: NDArray[np.float64] = np.prod(shares, axis=1)
    return found


def compare_over_studies(
    entries: Sequence[Entry], others: Sequence[Entry], *, level: float, name: str = "task"
) -> StudyComparison:
    """Compare two models over what both have.

    Differences are taken entry by entry and averaged as in `aggregate`, so that neither model gains from a number that
    the other lacks; a study in which they share nothing drops out. From six studies on the interval is
    ``d ± t_{n−1, (1+level)/2} · s/√n`` over the differences by study (Student 1908). A study's own uncertainty is not
    used: that the studies differ is all the evidence about studies to come.

    Parameters
    ----------
    entries, others
        All that were planned, the same for both models.

    Raises
    ------
    ValueError
        As `aggregate`, and where the two were not planned alike.
    """
    _check(entries)
    _check(others)
    by_place = {entry.place: entry.value for entry in others}
    if by_place.keys() != {entry.place for entry in entries}:
        raise ValueError("the two models have different entries; one that is missing must be given without a value")
    pairs = [(entry, entry.value, by_place[entry.place]) for entry in entries]
    difference = _mean(
        name,
        [replace(entry, value=None if a is None or b is None else a - b) for entry, a, b in pairs],
        _STEPS,
    )
    studies = [part.value for part in difference.parts if part.value is not None]
    if difference.value is None or len(studies) < FEWEST_STUDIES:
        return StudyComparison(difference, None, None, None, "order is descriptive")
    n, error = len(studies), stdev(studies) / math.sqrt(len(studies))
    low, high = t_interval(difference.value, error, n - 1, level)
    negligible = rounding([value for _, a, b in pairs for value in (a, b) if value is not None])
    return StudyComparison(difference, low, high, t_p_value(difference.value, error, n - 1, negligible), None)


def _check(entries: Sequence[Entry]) -> None:
    if not entries:
        raise ValueError("expected at least one entry")
    study_of: dict[str, str] = {}
    places = set()
    for entry in entries:
        where = ", ".join(entry.place)
        if entry.simulated:
            raise ValueError(f"{where}: simulated cells never enter a mean over studies")
        if entry.value is not None and not math.isfinite(entry.value):
            raise ValueError(f"{where}: expected a finite number or none, found {entry.value}")
        if entry.place in places:
            raise ValueError(f"{where}: given twice")
        if study_of.setdefault(entry.dataset, entry.study) != entry.study:
            raise ValueError(f"{where}: the dataset is also in {study_of[entry.dataset]}")
        places.add(entry.place)


def _mean(name: str, entries: Sequence[Entry], steps: tuple[str, ...]) -> Mean:
    if not steps:
        (entry,) = entries
        return Mean(name, entry.value, int(entry.value is not None), 1, ())
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(getattr(entry, steps[0]), []).append(entry)
    parts = tuple(_mean(part, members, steps[1:]) for part, members in groups.items())
    values = [part.value for part in parts if part.value is not None]
    return Mean(name, fmean(values) if values else None, len(values), len(parts), parts)
