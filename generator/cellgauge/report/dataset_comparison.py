"""All models on one dataset: each one's primary score against the baseline's, and the word for it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from cellgauge.cards import DatasetCard, ModelCard, TaskCard
from cellgauge.report.numbers import SCORE_DECIMALS
from cellgauge.report.release import ReleaseView
from cellgauge.results.schema import Result, Score
from cellgauge.stats.paired import Difference, Word, holm, paired_difference, word

Role = Literal["baseline", "control", "model"]

MOST_DECIMALS = 6
NO_SCORES = frozenset(
    {
        "failed", "timeout", "out_of_memory", "invalid_input", "invalid_output", "needs_gpu", "weights_unavailable",
        "metric_undefined",
    }
)  # fmt: skip
"""What counts as an attempt without scores: a verdict says how many there were."""


@dataclass(frozen=True)
class Row:
    """One evaluated model on one dataset."""

    model: ModelCard
    role: Role
    result: Result
    score: Score | None
    """The primary score; None where an older protocol did not have it."""
    difference: Difference | None = None
    """To the baseline, positive where the model is better; None for the baseline itself."""
    word: Word | None = None
    """Only for models: controls and the baseline are never judged."""
    adjusted_p: float | None = None
    """Holm-adjusted, where there is a word."""
    note: str | None = None
    """Why there is no difference."""
    outdated: bool = False
    """Whether it was computed with other cards than today's: it is shown and never compared."""


@dataclass(frozen=True)
class DatasetComparison:
    """All models on one dataset: models and baseline from best to worst, then controls."""

    dataset: DatasetCard
    rows: tuple[Row, ...]
    empties: tuple[Result, ...]
    outdated: tuple[Row, ...] = ()
    """Scores that were computed with other cards than today's; none of them is in ``rows``."""
    failures: int = 0
    """How many models were tried and gave no scores."""

    @property
    def ranked(self) -> list[Row]:
        """Models and the baseline, best first."""
        return [row for row in self.rows if row.role != "control"]

    @property
    def controls(self) -> list[Row]:
        """Controls, which are never ranked."""
        return [row for row in self.rows if row.role == "control"]

    @property
    def judged(self) -> list[Row]:
        """Models that have been compared with the baseline."""
        return [row for row in self.rows if row.word is not None]

    @property
    def decimals(self) -> int:
        """Decimals of differences: as for scores, or more where a bound that decides would read as zero."""
        deciding = [bound for row in self.judged if row.word != "not separated" for bound in _bounds(row)]
        least = min((abs(bound) for bound in deciding if bound), default=1.0)
        return next((n for n in range(SCORE_DECIMALS, MOST_DECIMALS) if round(least, n)), MOST_DECIMALS)

    def count(self, wanted: Word) -> int:
        """Return how many models are ``better``, ``worse`` or ``not separated``."""
        return sum(row.word == wanted for row in self.judged)

    def row(self, model: str) -> Row | None:
        """Return the row of a model, if it was evaluated, be it outdated."""
        return next((row for row in (*self.rows, *self.outdated) if row.model.id == model), None)

    @property
    def used(self) -> list[Result]:
        """The results that verdicts rest on: the models judged and the baseline."""
        return [row.result for row in self.rows if self.judged and (row.word is not None or row.role == "baseline")]

    @property
    def resamples(self) -> int:
        """How many resamples the comparisons had; 0 without any."""
        return min((n_replicates(row.result) for row in self.judged), default=0)

    @property
    def has_too_few_resamples(self) -> bool:
        """Whether not even the least p-value that so few resamples can give would count after Holm's adjustment."""
        levels = [row.score.interval.level for row in self.judged if row.score is not None]
        return bool(levels) and len(levels) * 2 / (self.resamples + 1) > 1 - min(levels) + 1e-12


def compare_on(view: ReleaseView, task: TaskCard, dataset: str, results: list[Result]) -> DatasetComparison:
    """Compare the models of one task on one dataset; what is outdated or empty stands apart."""
    sign = 1 if view.cards.metrics[task.primary.metric].direction == "higher" else -1
    done = [result for result in results if result.status == "done"]
    fresh = [result for result in done if view.outdated(result) is None]
    reference = next((result for result in fresh if result.model.id == task.baseline), None)
    rows = _judge([_compare_one(view, task, result, reference, sign) for result in fresh])
    rows.sort(key=lambda row: (row.role == "control", -sign * row.score.value if row.score else np.inf, row.model.id))
    outdated = [
        replace(_row(view, task, result), note=mark, outdated=True)
        for result in done
        if (mark := view.outdated(result)) is not None
    ]
    empties = tuple(result for result in results if result.status != "done")
    failures = sum(
        _row(view, task, result).role == "model" and result.status in NO_SCORES and view.outdated(result) is None
        for result in empties
    )
    return DatasetComparison(view.cards.datasets[dataset], tuple(rows), empties, tuple(outdated), failures)


def _row(view: ReleaseView, task: TaskCard, result: Result) -> Row:
    model = view.cards.models[result.model.id]
    is_control = model.is_control or model.id in task.controls
    role: Role = "baseline" if model.id == task.baseline else "control" if is_control else "model"
    return Row(model, role, result, result.score(task.primary.key))


def _compare_one(view: ReleaseView, task: TaskCard, result: Result, reference: Result | None, sign: int) -> Row:
    row = _row(view, task, result)
    if row.role == "baseline":
        return row
    if row.score is None:
        return replace(row, note="this result has no primary score")
    base = reference.score(task.primary.key) if reference else None
    if reference is None or base is None:
        return replace(row, note="not comparable: the baseline has no score here")
    if result.replicates is None or reference.replicates is None:
        return replace(row, note="not comparable: no replicates")
    if result.replicates.stream != reference.replicates.stream:
        return replace(row, note="not comparable: it was not evaluated on the baseline's resamples")
    difference = paired_difference(
        row.score.value,
        base.value,
        view.replicates(result)[result.scores.index(row.score)],
        view.replicates(reference)[reference.scores.index(base)],
        level=row.score.interval.level,
        sign=sign,
    )
    return replace(row, difference=difference)


def _judge(rows: list[Row]) -> list[Row]:
    """Give each compared model its word, Holm-adjusted over all of them."""
    differences = [row.difference for row in rows if row.role == "model" and row.difference is not None]
    adjusted = iter(holm([difference.p for difference in differences]))
    judged = []
    for row in rows:
        if row.role == "model" and row.difference is not None and row.score is not None:
            p = next(adjusted)
            row = replace(row, word=word(row.difference, p, row.score.interval.level), adjusted_p=p)
        judged.append(row)
    return judged


def _bounds(row: Row) -> tuple[float, ...]:
    return (row.difference.value, row.difference.low, row.difference.high) if row.difference else ()


def n_replicates(result: Result) -> int:
    """Return how many replicates a result has; 0 without any."""
    return result.replicates.n_replicates if result.replicates else 0
