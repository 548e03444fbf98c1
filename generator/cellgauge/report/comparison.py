"""What a task's results say: each model against the baseline, and the verdict in words.

Everything a page says about who is better comes from ``TaskComparison``: the sentence, the words in
the table, the figure, and the description of how they came about.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from cellgauge.cards import DatasetCard, MetricCard, ModelCard, TaskCard
from cellgauge.report.numbers import SCORE_DECIMALS, listing, percent, plural
from cellgauge.report.release import ReleaseView
from cellgauge.results.schema import Result, Score
from cellgauge.stats.paired import Difference, Word, holm, paired_difference, word

Role = Literal["baseline", "control", "model"]

MOST_DECIMALS = 6
FEW_STUDIES = 5
"""Up to this many independent studies, the order of models is descriptive."""


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


@dataclass(frozen=True)
class DatasetComparison:
    """All models on one dataset: models and baseline from best to worst, then controls."""

    dataset: DatasetCard
    rows: tuple[Row, ...]
    empties: tuple[Result, ...]

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
        """Return the row of a model, if it was evaluated."""
        return next((row for row in self.rows if row.model.id == model), None)


@dataclass(frozen=True)
class Verdict:
    """What a task shows, in one sentence, and what the sentence rests on."""

    sentence: str
    basis: str

    @property
    def text(self) -> str:
        """Both together."""
        return f"{self.sentence} ({self.basis})" if self.basis else self.sentence


@dataclass(frozen=True)
class TaskComparison:
    """A task on all its datasets."""

    task: TaskCard
    metric: MetricCard
    baseline: ModelCard
    datasets: tuple[DatasetComparison, ...]

    @property
    def score_name(self) -> str:
        """The primary score as it is named in sentences, with its view where it has one."""
        views = {view.id: view.name for view in self.task.views}
        view = self.task.primary.view
        return f"{self.metric.name}, {views[view]}" if view else self.metric.name

    @property
    def measured(self) -> list[DatasetComparison]:
        """Datasets of measured cells; simulated ones never count."""
        return [one for one in self.datasets if one.dataset.evidence == "measured"]

    def on(self, dataset: str) -> DatasetComparison | None:
        """Return the comparison on one dataset, if it has results."""
        return next((one for one in self.datasets if one.dataset.id == dataset), None)

    def verdict(self) -> Verdict:
        """Say in one sentence what the task shows."""
        if self.task.implementation is None and not self.datasets:
            return Verdict("No results yet: this task is planned, and its protocol is published before any result.", "")
        if not any(one.rows for one in self.datasets):
            why = "no evaluation has been run." if not self.datasets else "every evaluation so far is without scores."
            return Verdict(f"No results yet: {why}", "")
        counted = [one for one in self.measured if one.judged]
        simulated = [one for one in self.datasets if one.dataset.evidence == "simulated" and one.judged]
        if not counted and not simulated:
            return Verdict(f"Nothing to compare yet: {self._why_nothing()}", "")
        chosen = counted or simulated
        where = f"on {_in_sentence(self.task.name)}"
        if not counted:
            where += " in simulated data"
        sentence = self._of_one(chosen[0], where) if len(chosen) == 1 else self._of_several(chosen, where)
        return Verdict(sentence, self._basis(counted, simulated))

    def how_ranked(self) -> list[str]:
        """Describe the comparison, from the very values that it used."""
        protocol = self.task.protocol
        level = percent(protocol.level)
        better = "higher" if self.metric.direction == "higher" else "lower"
        sizes = sorted({len(one.judged) for one in self.datasets if one.judged})
        family = f" (here {' or '.join(str(size) for size in sizes)})" if sizes else ""
        return [
            f"Only the primary score counts: {self.score_name}; {better} is better. The task's card declares "
            f"it (protocol version {protocol.version}); no result can change it.",
            f"Each model is compared with one declared baseline, {self.baseline.name}, on the same dataset, the same "
            f"seeds and the same {protocol.replicates:,} resamples.",
            f"The difference is the model's score minus the baseline's, signed so that positive is better. Its "
            f"interval is the {level} percentile interval of the differences, resample by resample.",
            f"“Better” and “worse” need a two-sided p-value of {1 - protocol.level:.2g} or less after Holm's "
            f"adjustment for all models compared on that dataset{family}, and the whole interval on that side of zero; "
            "all else is “not separated”. Intervals are drawn unadjusted, so that one may just miss zero and still be "
            "called not separated.",
            "The order of rows is the order of the scores, and no claim by itself. Controls are reference points: "
            "their outcome is known beforehand, and they are neither ranked nor counted. Simulated data never count "
            "towards measured data, and datasets of one study count as one.",
        ]

    def _why_nothing(self) -> str:
        rows = [row for one in self.datasets for row in one.rows]
        if not any(row.role == "baseline" for row in rows):
            return f"the baseline, {self.baseline.name}, has no result."
        if not any(row.role == "model" for row in rows):
            return "only the baseline and controls have results."
        return "no model was evaluated on the same resamples as the baseline."

    def _of_one(self, one: DatasetComparison, where: str) -> str:
        total, better, worse = len(one.judged), one.count("better"), one.count("worse")
        baseline = self.baseline.name
        if total == 1:
            name = one.judged[0].model.name
            if one.judged[0].word == "not separated":
                return f"{name}, the only model compared, could not be told apart from {baseline} {where}."
            return f"{name}, the only model compared, is {one.judged[0].word} than {baseline} {where}."
        if not better and not worse:
            return f"None of {total} models could be told apart from {baseline} {where}."
        if not better:
            if worse == total:
                return f"All {total} models are worse than {baseline} {where}."
            return f"None of {total} models is better than {baseline} {where}; {worse} {_are(worse)} worse."
        if better == total:
            return f"All {total} models are better than {baseline} {where}."
        return f"{better} of {total} models {_are(better)} better than {baseline} {where}."

    def _of_several(self, chosen: list[DatasetComparison], where: str) -> str:
        if not any(one.count("better") for one in chosen):
            return f"No model is better than {self.baseline.name} {where}, on any of {len(chosen)} datasets."
        parts = [f"{one.count('better')} of {len(one.judged)} on {one.dataset.name}" for one in chosen]
        return f"Models better than {self.baseline.name} {where}: {listing(parts)}."

    def _basis(self, counted: list[DatasetComparison], simulated: list[DatasetComparison]) -> str:
        studies = len({one.dataset.study for one in counted})
        words = [self.score_name, f"{percent(self.task.protocol.level)} paired intervals, Holm-adjusted"]
        if len(counted) == 1:
            words.append("one dataset: the order of models is descriptive")
        elif counted:
            amount = (
                f"{plural(len(counted), 'dataset')} of {plural(studies, 'independent study', 'independent studies')}"
            )
            words.append(f"{amount}: the order of models is descriptive" if studies <= FEW_STUDIES else amount)
        if not counted:
            words.append("simulated data only")
        elif simulated:
            words.append(f"{plural(len(simulated), 'simulated dataset')} shown apart and not counted")
        return "; ".join(words)


def compare_task(view: ReleaseView, task: TaskCard) -> TaskComparison:
    """Compare every model's primary score with the baseline's, dataset by dataset."""
    by_dataset: dict[str, list[Result]] = {}
    for result in view.select(task=task.id):
        by_dataset.setdefault(result.dataset.id, []).append(result)
    datasets = tuple(_compare_on(view, task, dataset, results) for dataset, results in sorted(by_dataset.items()))
    # Measured data come first, whatever their names.
    ordered = tuple(sorted(datasets, key=lambda one: one.dataset.evidence != "measured"))
    return TaskComparison(task, view.cards.metrics[task.primary.metric], view.cards.models[task.baseline], ordered)


def _compare_on(view: ReleaseView, task: TaskCard, dataset: str, results: list[Result]) -> DatasetComparison:
    sign = 1 if view.cards.metrics[task.primary.metric].direction == "higher" else -1
    done = [result for result in results if result.status == "done"]
    reference = next((result for result in done if result.model.id == task.baseline), None)
    rows = [_compare_one(view, task, result, reference, sign) for result in done]
    rows = _judge(rows, task.protocol.level)
    rows.sort(key=lambda row: (row.role == "control", -sign * row.score.value if row.score else np.inf, row.model.id))
    empties = tuple(result for result in results if result.status != "done")
    return DatasetComparison(view.cards.datasets[dataset], tuple(rows), empties)


def _compare_one(view: ReleaseView, task: TaskCard, result: Result, reference: Result | None, sign: int) -> Row:
    model = view.cards.models[result.model.id]
    is_control = model.is_control or model.id in task.controls
    role: Role = "baseline" if model.id == task.baseline else "control" if is_control else "model"
    row = Row(model, role, result, result.score(task.primary.key))
    if role == "baseline":
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
        level=task.protocol.level,
        sign=sign,
    )
    return replace(row, difference=difference)


def _judge(rows: list[Row], level: float) -> list[Row]:
    """Give each compared model its word, Holm-adjusted over all of them."""
    differences = [row.difference for row in rows if row.role == "model" and row.difference is not None]
    adjusted = iter(holm([difference.p for difference in differences]))
    judged = []
    for row in rows:
        if row.role == "model" and row.difference is not None:
            p = next(adjusted)
            row = replace(row, word=word(row.difference, p, level), adjusted_p=p)
        judged.append(row)
    return judged


def _bounds(row: Row) -> tuple[float, ...]:
    return (row.difference.value, row.difference.low, row.difference.high) if row.difference else ()


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _in_sentence(name: str) -> str:
    """Return a name as it stands inside a sentence: "Cell clustering" becomes "cell clustering"."""
    return name[0].lower() + name[1:] if name[1:2].islower() else name
