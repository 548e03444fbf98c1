"""Two models against each other: one row for each task and dataset that both have scores of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cellgauge.cards import ModelCard, ScoreRef
from cellgauge.cards.task import Guard
from cellgauge.report.comparison import FEW_STUDIES, TaskComparison, Verdict, in_sentence, kind_of
from cellgauge.report.dataset_comparison import (
    DatasetComparison,
    Row,
    differences_between,
    n_replicates,
    replicates_of,
    share_resamples,
)
from cellgauge.report.forks import on_all_cores
from cellgauge.report.numbers import listing, percent, plural
from cellgauge.report.release import ReleaseView
from cellgauge.results.schema import Score
from cellgauge.stats.jackknife import superiority_jackknife
from cellgauge.stats.paired import Difference, holm, superiority, word

PairWord = Literal[
    "better", "worse", "slightly better", "slightly worse", "better, in doubt", "worse, in doubt", "not separated"
]
"""What is shown about the first model. "in doubt": the one that gains is not shown to keep what the task guards."""

KINDS = {"measured": "", "demonstration": "a demonstration", "simulated": "simulated data"}
"""Kinds of rows, of which only the first counts, as they stand in a sentence."""

Replicates = NDArray[np.float64]


@dataclass(frozen=True)
class PairRow:
    """Both models on one dataset of one task, in its primary score."""

    comparison: TaskComparison
    one: DatasetComparison
    first: Row
    second: Row
    difference: Difference | None = None
    """First minus second, positive where the first is better."""
    superiority: float | None = None
    guarded: Difference | None = None
    """The same difference in the score that may not get worse, where the task has one."""
    note: str = ""
    """Why there is no difference."""
    adjusted_p: float | None = None
    word: PairWord | None = None

    @cached_property
    def kind(self) -> str:
        """``measured``, or why the row does not count."""
        return kind_of(self.one)

    @property
    def level(self) -> float:
        """The level of the interval; 1 without one."""
        return self.first.score.interval.level if self.first.score and self.first.score.interval else 1.0


@dataclass(frozen=True)
class Apart:
    """A task in which both models have scores, and never on the same dataset: its table offers them all the same."""

    comparison: TaskComparison
    first: tuple[DatasetComparison, ...]
    """Where the first model has scores."""
    second: tuple[DatasetComparison, ...]


@dataclass(frozen=True)
class ModelPair:
    """All that two models have in common."""

    first: ModelCard
    second: ModelCard
    rows: tuple[PairRow, ...]
    """Measured data before demonstrations before simulated data; within these by task and dataset."""
    apart: tuple[Apart, ...] = ()
    """Tasks of which they share no dataset; without any rows, these are all that there is to say."""

    @property
    def path(self) -> str:
        """The address of its page."""
        return f"compare/{self.first.id}--{self.second.id}/"

    def judged(self, kind: str = "measured") -> list[PairRow]:
        """Return the rows of a kind that have a word."""
        return [row for row in self.rows if row.kind == kind and row.word is not None]

    def count(self, wanted: PairWord) -> int:
        """Return how many of the rows that count have a word."""
        return sum(row.word == wanted for row in self.judged())

    def verdict(self) -> Verdict:
        """Say in a sentence what the rows that count show, or those of the first kind that there is."""
        if not self.rows:
            names = f"{self.first.name} and {self.second.name}"
            return Verdict(f"{names} were never scored on the same dataset: nothing tells which is better.", "")
        kind = next((kind for kind in KINDS if self.judged(kind)), None)
        if kind is None:
            return Verdict(f"{self.first.name} and {self.second.name} cannot be compared on any common dataset.", "")
        rows = self.judged(kind)
        where = f" in {KINDS[kind]}" if KINDS[kind] else ""
        if _are_too_few(rows):
            fewest = min(_resamples(row) for row in rows)
            said = f"With {fewest:,} resamples, {plural(len(rows), 'comparison')}{where} could never be told apart"
            return Verdict(f"{said}.", self._basis(kind, rows))
        return Verdict(f"{self._said(rows)}{where}.", self._basis(kind, rows))

    def _said(self, rows: list[PairRow]) -> str:
        datasets = {_dataset_of(row) for row in rows}
        where = f" (on {rows[0].one.dataset.name})" if len(datasets) == 1 and len(rows) > 1 else ""
        return self._words(rows) + where

    def _words(self, rows: list[PairRow]) -> str:
        first, second = self.first.name, self.second.name
        wins = {said: [row for row in rows if row.word == said] for said in ("better", "worse")}
        apart = [row for row in rows if row.word == "not separated"]
        if len(apart) == len(rows):
            return f"{first} and {second} could not be told apart {_places(rows, rows)}"
        parts = []
        if wins["better"]:
            parts.append(f"{first} is better than {second} {_places(wins['better'], rows)}")
            parts += [f"worse {_places(wins['worse'], rows)}"] if wins["worse"] else []
        elif wins["worse"]:
            parts.append(f"{second} is better than {first} {_places(wins['worse'], rows)}")
        else:
            parts.append(f"Neither of {first} and {second} is clearly better")
        for name, stem in ((first, "better"), (second, "worse")):
            slight = [row for row in rows if row.word == f"slightly {stem}"]
            doubted = [row for row in rows if row.word == f"{stem}, in doubt"]
            parts += [f"{name} is better by too little to matter {_places(slight, rows)}"] if slight else []
            parts += [f"a gain of {name} is in doubt {_places(doubted, rows)}"] if doubted else []
        parts += [f"not separated {_places(apart, rows)}"] if apart else []
        return "; ".join(parts)

    def _basis(self, kind: str, rows: list[PairRow]) -> str:
        studies = len({row.one.dataset.study for row in rows})
        datasets, tasks = ({get(row) for row in rows} for get in (_dataset_of, _task_of))
        amount = f"{plural(len(rows), 'comparison')}: {plural(len(tasks), 'task')}, {plural(len(datasets), 'dataset')}"
        if kind == "measured":
            amount += f" of {plural(studies, 'independent study', 'independent studies')}"
            amount += ", descriptive" if studies <= FEW_STUDIES else ""
        levels = " or ".join(percent(level) for level in sorted({row.level for row in rows}))
        words = [amount, f"{levels} paired intervals{', Holm-adjusted over these' if len(rows) > 1 else ''}"]
        for other, name in KINDS.items():
            if other != kind and (more := self.judged(other)):
                words.append(f"{len(more)} more on {name} shown apart and not counted")
        return "; ".join(words)


def compare_pairs(view: ReleaseView, comparisons: Mapping[str, TaskComparison]) -> dict[tuple[str, str], ModelPair]:
    """Compare every two models or baselines that have scores of a common task, controls aside.

    Replicates are read once for each result, and those of one task and dataset are held at a time.

    Returns
    -------
    By the two ids, the earlier one first.
    """
    found: dict[tuple[str, str], list[PairRow]] = {}
    places = [(comparison, one) for comparison in comparisons.values() for one in comparison.datasets]
    compared = on_all_cores(lambda place: list(_compared(view, *place)), places, few=_FEW, at_once=1)
    for (comparison, one), pairs in zip(places, compared, strict=True):
        rows = {row.model.id: row for row in one.rows}
        for first, second, difference, share, guarded, why in pairs:
            row = PairRow(comparison, one, rows[first], rows[second], difference, share, guarded, why)
            found.setdefault((first, second), []).append(row)
    models, order, apart = view.cards.models, list(KINDS), _never_together(comparisons.values())
    return {
        pair: ModelPair(
            models[pair[0]],
            models[pair[1]],
            _judge(sorted(found.get(pair, ()), key=lambda row: order.index(row.kind))),
            tuple(apart.get(pair, ())),
        )
        for pair in sorted({*found, *apart})
    }


def _never_together(comparisons: Iterable[TaskComparison]) -> dict[tuple[str, str], list[Apart]]:
    """Return the tasks in which two models both have scores and share no dataset, by the two ids."""
    found: dict[tuple[str, str], list[Apart]] = {}
    for comparison in comparisons:
        places: dict[str, list[DatasetComparison]] = {}
        for one in comparison.datasets:
            for row in _compared_rows(one):
                places.setdefault(row.model.id, []).append(one)
        for first, second in combinations(sorted(places), 2):
            ours, theirs = places[first], places[second]
            if not {one.dataset.id for one in ours} & {one.dataset.id for one in theirs}:
                found.setdefault((first, second), []).append(Apart(comparison, tuple(ours), tuple(theirs)))
    return found


def _compared_rows(one: DatasetComparison) -> list[Row]:
    return [row for row in one.rows if row.role != "control" and not row.model.is_control]


_Known = tuple[Score, Replicates]
_Compared = tuple[str, str, Difference | None, float | None, Difference | None, str]
"""Two models by their ids; their difference, the probability of superiority, the difference in the guarded score, and
why there is none."""

_FEW = 30
"""Up to this many datasets are worked on in one process."""


@dataclass(frozen=True)
class _Read:
    """The two scores of a result that matter here, each with its replicates."""

    row: Row
    primary: _Known | None
    guard: _Known | None


def _compared(view: ReleaseView, comparison: TaskComparison, one: DatasetComparison) -> Iterator[_Compared]:
    task, metrics = comparison.task, view.cards.metrics
    sign = _sign(metrics[task.primary.metric].direction)
    guard_sign = _sign(metrics[task.guard.metric].direction) if task.guard else 1
    rows = sorted(_compared_rows(one), key=lambda row: row.model.id)
    read = [_read(view, row, task.primary, task.guard) for row in rows]
    for place, first in enumerate(read):
        compared = []
        for second in read[place + 1 :]:
            if why := _why_not(first, second):
                yield first.row.model.id, second.row.model.id, None, None, None, why
            else:
                compared.append(second)
        differences = _differences(first.primary, [second.primary for second in compared], sign)
        guarded = _differences(first.guard, [second.guard for second in compared], guard_sign)
        for second, (difference, share), (kept, _) in zip(compared, differences, guarded, strict=True):
            yield first.row.model.id, second.row.model.id, difference, share, kept, ""


def _differences(
    ours: _Known | None, theirs: list[_Known | None], sign: int
) -> list[tuple[Difference | None, float | None]]:
    """Return our score minus each of theirs, with the probability of superiority; None where one is missing."""
    found: list[tuple[Difference | None, float | None]] = [(None, None)] * len(theirs)
    known = {place: one for place, one in enumerate(theirs) if one is not None}
    if ours is None or not known:
        return found
    (score, replicates), scores = ours, [one for one, _ in known.values()]
    others = np.array([one for _, one in known.values()])
    differences = differences_between(score, scores, replicates, others, sign)
    if score.interval is not None and score.interval.n_groups is None:
        shares = superiority(replicates, others, sign).tolist()
    else:
        shares = [superiority_jackknife(difference) for difference in differences]
    for place, difference, share in zip(known, differences, shares, strict=True):
        found[place] = difference, share
    return found


def _read(view: ReleaseView, row: Row, primary: ScoreRef, guard: Guard | None) -> _Read:
    found = []
    for key in (primary.key, guard.key if guard else None):
        score = row.result.score(key) if key else None
        usable = score is not None and score.interval is not None and row.result.replicates is not None
        found.append((score, replicates_of(view, row.result, score)) if score is not None and usable else None)
    return _Read(row, *found)


def _why_not(first: _Read, second: _Read) -> str:
    """Return why two results cannot be compared; nothing where they can."""
    for one in (first, second):
        if one.row.score is None:
            key = f"{one.row.model.name} has no primary score"
            return f"{key}: {one.row.note}" if one.row.note else key
        if one.row.score.interval is None:
            return one.row.score.why_no_interval or f"{one.row.model.name} has no interval"
        if one.primary is None:
            return f"{one.row.model.name} has no replicates"
    if not share_resamples(first.row.result, second.row.result):
        return "they were not evaluated on the same resamples"
    return ""


def _sign(direction: str) -> int:
    return 1 if direction == "higher" else -1


def _judge(rows: list[PairRow]) -> tuple[PairRow, ...]:
    """Give each compared row its word, Holm-adjusted over the rows of its kind."""
    adjusted: dict[int, float] = {}
    for kind in KINDS:
        p_values = [(i, row.difference.p) for i, row in enumerate(rows) if row.kind == kind and row.difference]
        adjusted |= dict(zip([i for i, _ in p_values], holm([p for _, p in p_values]), strict=True))
    return tuple(
        replace(row, adjusted_p=adjusted[i], word=_word(row, adjusted[i])) if i in adjusted else row
        for i, row in enumerate(rows)
    )


def _word(row: PairRow, p: float) -> PairWord:
    assert row.difference is not None  # noqa: S101 (callers choose such rows)
    said, task = word(row.difference, p, row.level), row.comparison.task
    if said == "not separated":
        return "not separated"
    if task.guard is not None:
        # What the one that gains may have lost, as it would stand if that one came first.
        least = None if row.guarded is None else row.guarded.low if said == "better" else -row.guarded.high
        if least is None or not task.guard.is_kept(least):
            return "better, in doubt" if said == "better" else "worse, in doubt"
    if abs(row.difference.value) < (task.relevant_difference or 0.0):
        return "slightly better" if said == "better" else "slightly worse"
    return "better" if said == "better" else "worse"


def _resamples(row: PairRow) -> int:
    return min(n_replicates(row.first.result), n_replicates(row.second.result))


def _are_too_few(rows: list[PairRow]) -> bool:
    """Whether not even the least p-value that the resamples can give would count among so many comparisons."""
    drawn = [row for row in rows if row.first.score and row.first.score.interval and not _groups(row)]
    return len(drawn) == len(rows) and all(
        len(rows) * 2 / (_resamples(row) + 1) > 1 - row.level + 1e-12 for row in drawn
    )


def _groups(row: PairRow) -> int | None:
    return row.first.score.interval.n_groups if row.first.score and row.first.score.interval else None


def _task_of(row: PairRow) -> str:
    return row.comparison.task.id


def _dataset_of(row: PairRow) -> str:
    return row.one.dataset.id


_NAMED_TASKS = 4
"""More tasks than this become a number."""


def _places(some: list[PairRow], rows: list[PairRow]) -> str:
    """Say where: "on 2 of 5 datasets of batch integration and on sc_mixology in clustering"."""
    if len({_task_of(row) for row in some}) > _NAMED_TASKS:
        return f"in {len(some)} of {plural(len(rows), 'comparison')}"
    places = []
    for task in dict.fromkeys(map(_task_of, some)):
        here = [row for row in some if _task_of(row) == task]
        total = sum(_task_of(row) == task for row in rows)
        name = in_sentence(here[0].comparison.task.name)
        if len({_dataset_of(row) for row in rows}) == 1 < len(rows):
            places.append(f"in {name}")
        elif total == 1:
            places.append(f"on {here[0].one.dataset.name} in {name}")
        else:
            places.append(f"on {len(here)} of {total} datasets of {name}")
    return listing(places)
