"""What a task's results say: each model against the baseline, and the verdict in words.

Everything a page says about who is better comes from ``TaskComparison``: the sentence, the words in
the table, the figure, and the description of how they came about (``ranked_words``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from cellgauge.cards import MetricCard, ModelCard, ScoreRef, TaskCard
from cellgauge.report.dataset_comparison import DatasetComparison, Row, Said, compare_on
from cellgauge.report.numbers import interval, listing, number, percent, plural
from cellgauge.report.release import ReleaseView
from cellgauge.report.reported_words import reported_sentence
from cellgauge.results.schema import Result

T = TypeVar("T", int, float, tuple[int, ...])

_NOTHING_JUDGED = "nothing is judged until they are computed again."
FEW_STUDIES = 5
"""Up to this many independent studies, the order of models is descriptive."""


@dataclass(frozen=True)
class Terms:
    """The protocol as the judged results used it; as the task's card has it, where nothing is judged."""

    version: str
    level: str
    alpha: str
    seeds: str
    resamples: str
    """What is common to the model and the baseline: "4,000 resamples", "donors left out"."""
    interval: str
    """How the interval of a difference is made."""


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
    reference: ModelCard | None
    """The declared baseline; None only of a task that others measured."""
    datasets: tuple[DatasetComparison, ...]
    reported_by: str | None = None
    """Who measured it, where others did: then nothing is judged."""
    guard: MetricCard | None = None
    """Of the score that may not get worse, where the task has one."""

    @property
    def baseline(self) -> ModelCard:
        """The declared baseline of a task that is computed here."""
        if self.reference is None:
            raise ValueError(f"{self.task.id} has no baseline")
        return self.reference

    @property
    def score_name(self) -> str:
        """The primary score as it is named in sentences, with its view where it has one."""
        views = {view.id: view.name for view in self.task.views}
        view = self.task.primary.view
        return f"{self.metric.name}, {views[view]}" if view else self.metric.name

    @property
    def measured(self) -> list[DatasetComparison]:
        """Datasets of measured cells that count: simulated ones and demonstrations never do."""
        return [one for one in self.datasets if kind_of(one) == "measured"]

    def on(self, dataset: str) -> DatasetComparison | None:
        """Return the comparison on one dataset, if it has results."""
        return next((one for one in self.datasets if one.dataset.id == dataset), None)

    @property
    def terms(self) -> Terms:
        """Version, resamples, level and seeds, as the judged results used them."""
        protocol = self.task.protocol
        used = [result for one in self.datasets for result in one.used]
        intervals = [score.interval for result in used for score in result.scores]
        levels = {interval.level for interval in intervals if interval is not None} or {protocol.confidence}
        seeds = {tuple(result.seeds) for result in used} or {tuple(protocol.seeds)}
        return Terms(
            version=_either({result.task.version for result in used} or {protocol.version}, str),
            level=_either(levels, percent),
            alpha=_either(levels, lambda level: f"{1 - level:.2g}"),
            seeds=_either(seeds, lambda some: ", ".join(map(str, some))),
            **self._resampling(used),
        )

    def _resampling(self, used: list[Result]) -> dict[str, str]:
        """Describe what was drawn or left out, and the interval of a difference, as the results have it."""
        results = used or [row.result for one in self.datasets for row in one.rows]
        drawn = [result.replicates for result in results if result.replicates is not None]
        amounts = {one.n_replicates for one in drawn if one.method == "bootstrap"}
        leaves_out = any(one.method == "jackknife" for one in drawn)
        if not drawn:
            leaves_out = self.task.unit != "cell"
            amounts = set() if leaves_out else {self.task.protocol.replicates}
        resamples, intervals = [], []
        if amounts:
            resamples.append(f"{_either(amounts, '{:,}'.format)} resamples")
            intervals.append("the percentile interval of the differences, resample by resample")
        if leaves_out:
            resamples.append("groups left out, one at a time")
            intervals.append("that of the jackknife of the differences, with t quantiles")
        several = len(resamples) > 1
        return {"resamples": " or ".join(resamples), "interval": " or ".join(intervals) + ", by dataset" * several}

    def verdict(self) -> Verdict:
        """Say in one sentence what the task shows, or what is reported of it."""
        if self.reported_by is not None:
            return Verdict(*reported_sentence(self, in_sentence(self.task.name)))
        if self.task.is_planned and not self.datasets:
            return Verdict("No results yet: this task is planned, and its protocol is published before any result.", "")
        if not any(one.rows for one in self.datasets):
            return Verdict(self._why_no_scores(), "")
        counted = [one for one in self.measured if one.judged]
        apart = {kind: [one for one in self.datasets if kind_of(one) == kind and one.judged] for kind in _APART}
        uncounted = next((kind for kind in _APART if apart[kind]), None)
        if not counted and uncounted is None:
            return Verdict(f"Nothing to compare yet: {self._why_nothing()}{self._left_out(self.datasets)}.", "")
        chosen = counted or apart[uncounted or ""]
        where = f"on {in_sentence(self.task.name)}"
        if not counted:
            where += f" in {_APART[uncounted or '']}"
        sentence = self._of_one(chosen[0], where) if len(chosen) == 1 else self._of_several(chosen, where)
        left_out = self._left_out(tuple(self.measured) if counted else self.datasets)
        return Verdict(f"{sentence}{left_out}.", self._basis(counted, apart))

    def _why_no_scores(self) -> str:
        if outdated := [row for one in self.datasets for row in one.outdated]:
            protocol_too = all(row.result.task.digest != self.task.digest for row in outdated)
            changed = "The protocol has" if protocol_too else "The cards have"
            return f"{changed} changed since these results were computed; {_NOTHING_JUDGED}"
        if not self.datasets:
            return "No results yet: no evaluation has been run."
        return "No results yet: every evaluation so far is without scores."

    def _why_nothing(self) -> str:
        rows = [row for one in self.datasets for row in one.rows]
        if not any(row.role == "baseline" for row in rows):
            if any(row.role == "baseline" for one in self.datasets for row in one.outdated):
                return f"the result of the baseline, {self.baseline.name}, is outdated"
            return f"the baseline, {self.baseline.name}, has no result"
        models = [row for row in rows if row.role == "model"]
        if not models:
            return "only the baseline and controls have results"
        if all(row.score is None for row in models):
            return f"no model has a value of the primary score, {self.score_name}{self._in_views_alone(models)}"
        return "no model was evaluated on the same resamples as the baseline"

    def _in_views_alone(self, rows: list[Row]) -> str:
        """Name those that have the primary metric in a part of the task, as the end of a sentence."""
        parts = []
        for view in self.task.views:
            key = ScoreRef(metric=self.metric.id, view=view.id).key
            if names := dict.fromkeys(row.model.name for row in rows if row.result.score(key) is not None):
                parts.append(f"{listing(list(names))} {'has' if len(names) == 1 else 'have'} one in “{view.name}”")
        return "".join(f"; {part}" for part in parts)

    def _left_out(self, datasets: tuple[DatasetComparison, ...]) -> str:
        """Return how many models no comparison could take in, as the end of a sentence."""
        what = "more" if len(datasets) == 1 else "more of the evaluations"
        failures = sum(one.failures for one in datasets)
        outdated = sum(row.role == "model" for one in datasets for row in one.outdated)
        parts = [f"{failures} {what} gave no scores"] if failures else []
        parts += [f"{outdated} {what} {_are(outdated)} outdated"] if outdated else []
        return f"; {listing(parts)}" if parts else ""

    def _of_one(self, one: DatasetComparison, where: str) -> str:
        total, better, worse = len(one.judged), one.count("better"), one.count("worse")
        baseline = self.baseline.name
        if one.has_too_few_resamples:
            why = f"with {one.resamples:,}, none could ever be told apart from {baseline}"
            return f"{_too_few(one).capitalize()} {where}: {why}"
        if total == 1:
            (row,) = one.judged
            if row.word == "in doubt":
                return f"{row.model.name}, the only model compared, {self._in_doubt('gains')} {where}"
            if row.word == "not separated":
                return f"{row.model.name}, the only model compared, could not be told apart from {baseline} {where}"
            small = f" ({self._too_small()})" if row.word in _SLIGHTLY else ""
            what = f"{row.word} than {baseline} {where}, {_by(row, one)}{small}"
            return f"{row.model.name}, the only model compared, is {what}"
        parts = [self._counts_of_one(one, where, better, worse)]
        if better > 1 and one.n_tied_first > 1:
            parts.append(f"the first {_in_letters(one.n_tied_first)} cannot be told apart")
        if doubted := one.count("in doubt"):
            parts.append(f"{doubted} {self._in_doubt('gains' if doubted == 1 else 'gain')}")
        for word in _SLIGHTLY:
            if count := one.count(word):
                parts.append(f"{count} {_are(count)} {word} ({self._too_small()})")
        return "; ".join(parts)

    def _too_small(self) -> str:
        return f"by less than {self.task.relevant_difference:g}, too small to matter"

    def _in_doubt(self, gains: str) -> str:
        kept = f"{self.guard.short_name} is not shown to be kept" if self.guard else "at an unknown cost"
        return f"{gains} in {self.metric.short_name}, but {kept}"

    def _counts_of_one(self, one: DatasetComparison, where: str, better: int, worse: int) -> str:
        total, baseline = len(one.judged), self.baseline.name
        everyone = "Both models" if total == 2 else f"All {total} models"
        if not better and any(one.count(word) for word in _SLIGHTLY):
            sentence = f"None of {total} models is better than {baseline} {where} by an amount that matters"
            return f"{sentence}; {worse} {_are(worse)} worse" if worse else sentence
        if not better and not worse and one.count("not separated") < total:
            return f"None of {total} models is better than {baseline} {where}"
        if not better and not worse:
            return f"None of {total} models could be told apart from {baseline} {where}"
        if total in (better, worse):
            return f"{everyone} are {'better' if better else 'worse'} than {baseline} {where}"
        if not better:
            return f"None of {total} models is better than {baseline} {where}; {worse} {_are(worse)} worse"
        sentence = f"{better} of {total} models {_are(better)} better than {baseline} {where}"
        if better == 1:
            (best,) = [row for row in one.judged if row.word == "better"]
            sentence += f": {best.model.name}, {_by(best, one)}"
            return f"{sentence}; {worse} {_are(worse)} worse" if worse else sentence
        return f"{sentence} and {worse} {_are(worse)} worse" if worse else sentence

    def _of_several(self, chosen: list[DatasetComparison], where: str) -> str:
        few = [one for one in chosen if one.has_too_few_resamples]
        enough = [one for one in chosen if not one.has_too_few_resamples]
        parts = []
        if any(one.count("better") for one in enough):
            parts.append(f"Better than {self.baseline.name} {where}: {_by_model(enough, 'better')}")
        elif enough:
            datasets = f"any of {len(enough)} datasets" if len(enough) > 1 else enough[0].dataset.name
            parts.append(f"No model is better than {self.baseline.name} {where}, on {datasets}")
        if any(one.count("worse") for one in enough):
            parts.append(f"worse: {_by_model(enough, 'worse')}")
        if any(one.count("in doubt") for one in enough):
            parts.append(f"{self._in_doubt('gaining')}: {_by_model(enough, 'in doubt')}")
        for word in _SLIGHTLY:
            if any(one.count(word) for one in enough):
                parts.append(f"{word} ({self._too_small()}): {_by_model(enough, word)}")
        parts += [f"{_too_few(one)} on {one.dataset.name}" for one in few]
        sentence = "; ".join(parts)
        return sentence[0].upper() + sentence[1:]

    def _basis(self, counted: list[DatasetComparison], apart: dict[str, list[DatasetComparison]]) -> str:
        studies = len({one.dataset.study for one in counted})
        words = [self.score_name, f"{self.terms.level} paired intervals, Holm-adjusted"]
        shown = [(kind, datasets) for kind, datasets in apart.items() if datasets]
        words += _sizes(counted or shown[0][1])
        if len(counted) == 1:
            words.append("one dataset: the order of models is descriptive")
        elif counted:
            amount = (
                f"{plural(len(counted), 'dataset')} of {plural(studies, 'independent study', 'independent studies')}"
            )
            words.append(f"{amount}: the order of models is descriptive" if studies <= FEW_STUDIES else amount)
        if not counted:
            words.append(f"{_APART[shown[0][0]]} only")
            shown = shown[1:]
        for kind, datasets in shown:
            what = "simulated dataset" if kind == "simulated" else "demonstration"
            words.append(f"{plural(len(datasets), what)} shown apart and not counted")
        return "; ".join(words)


_APART = {"simulated": "simulated data", "demonstration": "a demonstration"}
"""Kinds of datasets that never count, as they stand in a sentence; the first that there is makes a verdict alone."""


def kind_of(one: DatasetComparison) -> str:
    """Return whether a dataset counts: measured, or why it does not."""
    if one.dataset.evidence == "simulated":
        return "simulated"
    return "measured" if one.dataset.demonstration is None else "demonstration"


def compare_task(view: ReleaseView, task: TaskCard) -> TaskComparison:
    """Compare every model's primary score with the baseline's, dataset by dataset."""
    by_dataset: dict[str, list[Result]] = {}
    for result in view.select(task=task.id):
        by_dataset.setdefault(result.dataset.id, []).append(result)
    datasets = tuple(compare_on(view, task, dataset, results) for dataset, results in sorted(by_dataset.items()))
    # Measured data come first, whatever their names.
    ordered = tuple(sorted(datasets, key=lambda one: ["measured", *_APART].index(kind_of(one))))
    metrics = view.cards.metrics
    guard = metrics[task.guard.metric] if task.guard else None
    reference = view.cards.models[task.baseline] if task.baseline else None
    by = view.meta.reported.source if view.meta and view.meta.reported else None
    return TaskComparison(task, metrics[task.primary.metric], reference, ordered, by, guard)


def _either(values: set[T], write: Callable[[T], str]) -> str:
    return " or ".join(dict.fromkeys(write(value) for value in sorted(values)))


def _by(row: Row, one: DatasetComparison) -> str:
    """Return how large a difference is: "by +0.073"."""
    return f"by {number(row.difference.value, one.decimals, signed=True)}" if row.difference else ""


def _sizes(chosen: list[DatasetComparison]) -> list[str]:
    """Return how large the differences are that models are called better for; nothing where none is."""
    better = [(row.difference, one) for one in chosen for row in one.judged if row.word == "better" and row.difference]
    if not better:
        return []
    largest, one = max(better, key=lambda pair: pair[0].value)
    size = number(largest.value, one.decimals, signed=True)
    if len(better) > 1:
        return [f"largest difference {size}"]
    return [f"difference {size} {interval(largest.low, largest.high, one.decimals, signed=True)}"]


def _by_model(datasets: list[DatasetComparison], word: str) -> str:
    """Say on how many datasets which models were better, or worse."""
    counts: Counter[str] = Counter()
    for one in datasets:
        counts.update(row.model.name for row in one.judged if row.word == word)
    if len(counts) > _NAMED_MODELS:
        models = {row.model.id for one in datasets for row in one.judged}
        return f"{len(counts)} of {len(models)} models on at least one of {len(datasets)} datasets"
    if len(datasets) == 1:
        return f"{listing(list(counts))} on {datasets[0].dataset.name}"
    tried = Counter(row.model.name for one in datasets for row in one.judged)
    (first, most), *others = counts.most_common()
    if all(tried[name] == len(datasets) for name in counts):
        return listing([f"{first} on {most} of {len(datasets)} datasets", *(f"{name} on {n}" for name, n in others)])
    of = f"{most} of {plural(tried[first], 'dataset')}"
    return listing([f"{first} on {of}", *(f"{name} on {n} of {tried[name]}" for name, n in others)])


_SLIGHTLY: tuple[Said, ...] = ("slightly better", "slightly worse")
_NAMED_MODELS = 4
"""More models than this become a number."""


def _too_few(one: DatasetComparison) -> str:
    return f"too few resamples to judge {plural(len(one.judged), 'model')}"


def _in_letters(count: int) -> str:
    words = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
    return words[count - 2] if count <= len(words) + 1 else str(count)


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def in_sentence(name: str) -> str:
    """Return a name as it stands inside a sentence: "Cell clustering" becomes "cell clustering"."""
    return name[0].lower() + name[1:] if name[1:2].islower() else name
