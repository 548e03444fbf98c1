"""All models on one dataset: each one's primary score against the baseline's, and the word for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cellgauge.cards import DatasetCard, ModelCard, TaskCard
from cellgauge.report.numbers import SCORE_DECIMALS
from cellgauge.report.release import ReleaseView
from cellgauge.results.schema import Result, Score
from cellgauge.stats.jackknife import paired_jackknife
from cellgauge.stats.paired import Difference, Word, holm, paired_differences, word
from cellgauge.stats.ranks import Ranking, RankRange, rank_jackknife, rank_replicates

Role = Literal["baseline", "control", "model", "repeat"]
"""What a model is in a task. "repeat": another one once more, obtained in another way."""
BESIDE: dict[Role, int] = {"repeat": 1, "control": 2}
"""Who stands below the ranking, for reference, in their order."""
Said = Word | Literal["in doubt", "slightly better", "slightly worse"]
"""What a comparison shows. "in doubt": better, but what may not get worse may have; slightly: by less than matters."""

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
    guarded: Difference | None = None
    """The same for the score that may not get worse, where the task has one."""
    is_kept: bool = True
    """Whether that score is shown not to be worse by its margin; always where the task has none."""
    word: Said | None = None
    """Only for models: controls, repeats and the baseline are never judged."""
    in_views: dict[str, Difference] = field(default_factory=dict)
    """View → the same for the primary metric in it, where it is another view than the primary score's."""
    ranks: RankRange | None = None
    """The ranks it may have among models and baseline."""
    adjusted_p: float | None = None
    """Holm-adjusted, where there is a word."""
    apart: float | None = None
    """Of a reported score: the difference to the reported baseline, positive where better. Nothing is judged by it."""
    note: str | None = None
    """Why there is no difference."""
    outdated: bool = False
    """Whether it was computed with other cards than today's: it is shown and never compared."""


@dataclass(frozen=True)
class DatasetComparison:
    """All models on one dataset: models and baseline from best to worst, then repeats, then controls."""

    dataset: DatasetCard
    rows: tuple[Row, ...]
    empties: tuple[Result, ...]
    outdated: tuple[Row, ...] = ()
    """Scores that were computed with other cards than today's; none of them is in ``rows``."""
    failures: int = 0
    """How many models were tried and gave no scores."""
    ranking: Ranking | None = None
    """All models and the baseline against each other."""

    @cached_property
    def ranked(self) -> list[Row]:
        """Models and the baseline, best first."""
        return [row for row in self.rows if row.role not in BESIDE]

    @cached_property
    def controls(self) -> list[Row]:
        """Controls, which are never ranked."""
        return [row for row in self.rows if row.role == "control"]

    @cached_property
    def judged(self) -> list[Row]:
        """Models that have been compared with the baseline."""
        return [row for row in self.rows if row.word is not None]

    @property
    def n_ranks(self) -> int:
        """How many models and baseline are compared with each other; 0 without a ranking."""
        return len(self.ranking.ranges) if self.ranking else 0

    @property
    def n_tied_first(self) -> int:
        """How many models, the best by score among them, cannot be told apart from each other; 0 without a ranking."""
        bands = [band for band in self.ranking.bands if self.ranking.order[0] in band] if self.ranking else []
        return max(map(len, bands), default=0)

    @cached_property
    def decimals(self) -> int:
        """Decimals of differences: as for scores, or more where a bound that decides would read as zero."""
        deciding = [bound for row in self.judged if row.word != "not separated" for bound in _bounds(row)]
        least = min((abs(bound) for bound in deciding if bound), default=1.0)
        return next((n for n in range(SCORE_DECIMALS, MOST_DECIMALS) if round(least, n)), MOST_DECIMALS)

    def count(self, wanted: Said) -> int:
        """Return how many models are ``better``, ``worse``, ``in doubt`` or ``not separated``."""
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
        intervals = [row.score.interval for row in self.judged if row.score is not None]
        levels = [one.level for one in intervals if one is not None and one.n_groups is None]
        return bool(levels) and len(levels) * 2 / (self.resamples + 1) > 1 - min(levels) + 1e-12


def compare_on(view: ReleaseView, task: TaskCard, dataset: str, results: list[Result]) -> DatasetComparison:
    """Compare the models of one task on one dataset; what is outdated or empty stands apart."""
    sign = 1 if view.cards.metrics[task.primary.metric].direction == "higher" else -1
    done = [result for result in results if result.status == "done"]
    fresh = [result for result in done if view.outdated(result) is None]
    reference = next((result for result in fresh if result.model.id == task.baseline), None)
    rows = _judge([_compare_one(view, task, result, reference, sign) for result in fresh], task)
    rows, ranking = _ranked(view, rows, sign)
    rows.sort(key=lambda row: (BESIDE.get(row.role, 0), -sign * row.score.value if row.score else np.inf, row.model.id))
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
    card = view.cards.datasets[dataset]
    return DatasetComparison(card, tuple(rows), empties, tuple(outdated), failures, ranking)


def role_in(task: TaskCard, model: ModelCard) -> Role:
    """Return what a model is in a task: a baseline of one task is a model in another."""
    if model.id == task.baseline:
        return "baseline"
    if model.is_control or model.id in task.controls:
        return "control"
    return "model" if model.repeats is None else "repeat"


def _row(view: ReleaseView, task: TaskCard, result: Result) -> Row:
    model = view.cards.models[result.model.id]
    return Row(model, role_in(task, model), result, result.score(task.primary.key))


def _compare_one(view: ReleaseView, task: TaskCard, result: Result, reference: Result | None, sign: int) -> Row:
    row = _row(view, task, result)
    if row.role == "baseline":
        return row
    if reference is not None and share_resamples(result, reference):
        row = replace(row, in_views=_in_views(view, task, result, reference, sign))
    if row.score is None:
        why = result.why_undefined(task.primary.key)
        return replace(row, note=f"no primary score: {why}" if why else "this result has no primary score")
    base = reference.score(task.primary.key) if reference else None
    if result.reported is not None:
        return replace(row, apart=None if base is None else sign * (row.score.value - base.value))
    if reference is None or base is None:
        return replace(row, note="not comparable: the baseline has no score here")
    if result.replicates is None or reference.replicates is None:
        return replace(row, note="not comparable: no replicates")
    if not share_resamples(result, reference):
        return replace(row, note="not comparable: it was not evaluated on the baseline's resamples")
    if row.score.interval is None or base.interval is None:
        return replace(row, note=f"not comparable: {row.score.why_no_interval or base.why_no_interval}")
    difference = _difference(view, result, reference, task.primary.key, sign)
    if task.guard is not None:
        metric = view.cards.metrics[task.guard.metric]
        guarded = _difference(view, result, reference, task.guard.key, 1 if metric.direction == "higher" else -1)
        kept = guarded is not None and task.guard.is_kept(guarded.low)
        return replace(row, difference=difference, guarded=guarded, is_kept=kept)
    return replace(row, difference=difference)


def share_resamples(result: Result, reference: Result) -> bool:
    """Whether two results were evaluated on the same resamples."""
    ours, theirs = result.replicates, reference.replicates
    return ours is not None and theirs is not None and ours.stream == theirs.stream


def _in_views(view: ReleaseView, task: TaskCard, result: Result, reference: Result, sign: int) -> dict[str, Difference]:
    primary = task.primary
    others = [ref for ref in task.scores if ref.metric == primary.metric and ref.view not in (None, primary.view)]
    found = {ref.view: _difference(view, result, reference, ref.key, sign) for ref in others}
    return {name: difference for name, difference in found.items() if name and difference is not None}


def _difference(view: ReleaseView, result: Result, reference: Result, key: str, sign: int) -> Difference | None:
    """Compare one score of two results that share their resamples; None where either lacks it or its interval."""
    ours, theirs = result.score(key), reference.score(key)
    if ours is None or theirs is None or ours.interval is None or theirs.interval is None:
        return None
    replicates, others = replicates_of(view, result, ours), replicates_of(view, reference, theirs)
    return difference_between(ours, theirs, replicates, others, sign)


def difference_between(
    ours: Score, theirs: Score, replicates: NDArray[np.float64], others: NDArray[np.float64], sign: int
) -> Difference:
    """Compare two scores that have intervals and share their resamples, in the way that these were made."""
    return differences_between(ours, [theirs], replicates, others[None], sign)[0]


def differences_between(
    ours: Score, theirs: Sequence[Score], replicates: NDArray[np.float64], others: NDArray[np.float64], sign: int
) -> list[Difference]:
    """Compare a score with each of several others, as `difference_between` does.

    Parameters
    ----------
    replicates
        (n_replicates,) of the score.
    others
        (n_others, n_replicates) of the others.
    """
    interval = ours.interval
    if interval is None:
        raise ValueError(f"{ours.key}: without an interval there is nothing to compare by")
    if interval.n_groups is None:
        values = [other.value for other in theirs]
        return paired_differences(ours.value, values, replicates, others, level=interval.level, sign=sign)
    return [
        paired_jackknife(
            np.array(ours.by_seed),
            np.array(other.by_seed),
            replicates.reshape(-1, len(ours.by_seed)),
            left_out.reshape(-1, len(other.by_seed)),
            interval.n_groups,
            level=interval.level,
            sign=sign,
        )
        for other, left_out in zip(theirs, others, strict=True)
    ]


def replicates_of(view: ReleaseView, result: Result, score: Score) -> NDArray[np.float64]:
    """Return the replicates of one score, (n_replicates,)."""
    return np.asarray(view.replicates(result)[result.scores.index(score)], dtype=np.float64)


def _ranked(view: ReleaseView, rows: list[Row], sign: int) -> tuple[list[Row], Ranking | None]:
    """Give each compared model and the baseline the ranks that it may have.

    A model that may have lost what the task guards is left out: its primary score is no merit.
    """
    places = [
        place for place, row in enumerate(rows) if row.role == "baseline" or (row.word is not None and row.is_kept)
    ]
    chosen = [(rows[place].result, rows[place].score) for place in places]
    scores = [score for _, score in chosen if score is not None and score.interval is not None]
    if len(scores) < max(2, len(places)):
        return rows, None
    replicates = np.array([replicates_of(view, result, score) for result, score in chosen if score is not None])
    first = scores[0].interval
    assert first is not None  # noqa: S101 (none is among the scores)
    if first.n_groups is None:
        values = np.array([score.value for score in scores])
        ranking = rank_replicates(values, replicates, level=first.level, sign=sign)
    else:
        by_seed = np.array([score.by_seed for score in scores])
        left_out = replicates.reshape(len(scores), -1, by_seed.shape[1])
        ranking = rank_jackknife(by_seed, left_out, first.n_groups, level=first.level, sign=sign)
    out = list(rows)
    for place, ranks in zip(places, ranking.ranges, strict=True):
        out[place] = replace(out[place], ranks=ranks)
    return out, ranking


def _judge(rows: list[Row], task: TaskCard) -> list[Row]:
    """Give each compared model its word, Holm-adjusted over all of them.

    A gain, however small, counts only where the guard score is not worse by its margin: its interval must lie above
    that. A difference below what the task calls relevant is called slight.
    """
    differences = [row.difference for row in rows if row.role == "model" and row.difference is not None]
    adjusted = iter(holm([difference.p for difference in differences]))
    judged = []
    for row in rows:
        if row.role == "model" and row.difference is not None and row.score is not None:
            p = next(adjusted)
            level = row.score.interval.level if row.score.interval else 1.0
            said: Said = word(row.difference, p, level)
            if said == "better" and not row.is_kept:
                said = "in doubt"
            elif abs(row.difference.value) < (task.relevant_difference or 0.0):
                said = _SLIGHT.get(said, said)
            row = replace(row, word=said, adjusted_p=p)
        judged.append(row)
    return judged


_SLIGHT: dict[Said, Said] = {"better": "slightly better", "worse": "slightly worse"}


def _bounds(row: Row) -> tuple[float, ...]:
    return (row.difference.value, row.difference.low, row.difference.high) if row.difference else ()


def n_replicates(result: Result) -> int:
    """Return how many replicates a result has; 0 without any."""
    return result.replicates.n_replicates if result.replicates else 0
