"""How often do the intervals hold what they say they hold?

Simulates datasets whose truth is known, evaluates them with the package's own code, and counts. Run
``python benchmarks/intervals.py``; it writes ``intervals.json`` beside itself and prints the table of the page on
methods. ``--table`` prints the table of the numbers that are there, without simulating.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cellgauge.cards import MetricCard, TaskCard
from cellgauge.cards.read import read_card
from cellgauge.cards.task import ScoreRef
from cellgauge.stats.jackknife import paired_jackknife
from cellgauge.stats.paired import Difference, holm, paired_difference, word
from cellgauge.stats.ranks import Ranking, rank_jackknife, rank_replicates
from cellgauge.stats.resampling import generator
from cellgauge.tasks.agreement import adjusted_rand, contingency, information
from cellgauge.tasks.averages import mean_by_group, weighted_mean
from cellgauge.tasks.contract import Cells, Fit, Prepare, ScoresOf, Weights
from cellgauge.tasks.evaluate import Evaluation, evaluate
from cellgauge.tasks.folds import Fold, fold_scores, mean_of_present
from cellgauge.tasks.splits import splits
from cellgauge.tasks.units import cell_units

SITE = Path(__file__).resolve().parents[1] / "site_src"
LEVEL = 0.95
TARGET = (0.92, 0.98)
"""How often an interval that says 95 % should hold the truth."""
REPLICATES = 400
"""Fewer than protocols have, to save time. Quantiles of R replicates cover about (R−1)/(R+1) of the level: 94.5 %."""
FOLDS = 5
ALL_SEEDS = (42, 43, 44, 45, 46)
"""Those of the protocols. What is simulated as fitted has one seed, but for the scenario that is about seeds."""

Array = NDArray[Any]
Rng = np.random.Generator


@dataclass(frozen=True)
class Row:
    """One line of the report."""

    what: str
    truth: str
    units: str
    score: str
    claimed: bool
    """Whether the package says that its intervals hold this."""
    datasets: int
    covered: int
    """On how many of them the interval held the truth."""
    value: float | None = None
    """The truth, where it is one number."""
    spread: float | None = None
    """SD of the score over datasets, over the SD that the intervals stand for."""


@dataclass
class Tally:
    """Points and intervals of one score after another, over datasets."""

    what: str
    truth: str
    units: str
    claimed: bool = True
    found: dict[str, list[tuple[float, float, float]]] = field(default_factory=dict)

    def add(self, score: str, point: float, interval: tuple[float, float] | None) -> None:
        """Take in one dataset."""
        if interval is None:
            raise ValueError(f"{score}: an evaluation without an interval")
        self.found.setdefault(score, []).append((point, *interval))

    def add_all(self, evaluation: Evaluation) -> None:
        """Take in all scores of an evaluation."""
        for position, score in enumerate(evaluation.keys):
            self.add(score, float(evaluation.by_seed[position].mean()), evaluation.interval(position, LEVEL))

    def rows(self, truth: Mapping[str, float] | None = None) -> Iterator[Row]:
        """Count, score by score.

        Parameters
        ----------
        truth
            What intervals should hold. None: the score expected on data of this size, which is the mean over datasets.
        """
        for score, found in self.found.items():
            points, low, high = np.array(found).T
            target = float(points.mean() if truth is None else truth[score])
            spread = None
            if not self.claimed and truth is None:
                spread = round(float(points.std(ddof=1) / ((high - low).mean() / (2 * 1.959964))), 2)
            hits = int(np.sum((low <= target) & (target <= high)))
            yield self.row(name(score), hits, len(found), round(target, 4), spread)

    def row(self, score: str, hits: int, datasets: int, value: float | None = None, spread: float | None = None) -> Row:
        """Return one line."""
        return Row(self.what, self.truth, self.units, score, self.claimed, datasets, hits, value, spread)


@cache
def task_card(task: str) -> TaskCard:
    """Return the card of a task as it is."""
    return read_card(SITE / f"tasks/{task}.md", TaskCard)


@cache
def name(score: str) -> str:
    """Return the name of a score's metric."""
    return read_card(SITE / f"metrics/{score.partition('@')[0]}.md", MetricCard).name


def card(task: str, scores: Sequence[str], *, seeds: Sequence[int] = (42,), replicates: int = REPLICATES) -> TaskCard:
    """Return the card of a task with other scores (``metric`` or ``metric@view``), seeds and number of resamples."""
    real = task_card(task)
    if real.protocol.level != LEVEL:
        raise ValueError(f"the study is about intervals of {LEVEL:.0%}; {task} has {real.protocol.level:.0%}")
    refs = [ScoreRef(metric=metric, view=view or None) for metric, _, view in (key.partition("@") for key in scores)]
    protocol = real.protocol.model_copy(update={"seeds": list(seeds), "replicates": replicates})
    return real.model_copy(update={"protocol": protocol, "primary": refs[0], "complementary": refs[1:]})


def evaluated(task: TaskCard, fit: Fit, dataset: str) -> Evaluation:
    """Evaluate what was fitted already."""
    return evaluate_once(task, lambda output, cells, params, wanted: lambda seed: fit, np.zeros((1, 1)), {}, dataset)


def evaluate_once(
    task: TaskCard, prepare: Prepare, output: Array, columns: Mapping[Any, Array], dataset: str
) -> Evaluation:
    """Evaluate the one output of a model that takes no seed."""
    outputs = dict.fromkeys(task.protocol.seeds, output.astype(np.float32))
    return evaluate(task, prepare, outputs, Cells(columns), dataset)


def point_values(fit: Fit) -> dict[str, float]:
    """Return the scores of all cells."""
    everything = np.ones((1, len(fit.strata)), dtype=np.float32)
    return {score: float(values[0]) for score, values in fit.scores(everything).items()}


def difference(ours: Evaluation, score: int, theirs: Evaluation, base_score: int) -> Difference:
    """Compare two models as pages do."""
    by_seed, base = ours.by_seed[score], theirs.by_seed[base_score]
    here, there = ours.replicates[score].astype(float), theirs.replicates[base_score].astype(float)
    if ours.method == "bootstrap":
        return paired_difference(float(by_seed.mean()), float(base.mean()), here, there, level=LEVEL, sign=1)
    left_out, base_left_out = here.reshape(-1, len(by_seed)), there.reshape(-1, len(base))
    return paired_jackknife(by_seed, base, left_out, base_left_out, ours.n_groups[score], level=LEVEL, sign=1)


def agreement(classes: Array, clusters: Array) -> ScoresOf:
    """Return the scores of the clustering task."""

    def scores(weights: Weights) -> dict[str, Array]:
        tables = contingency(classes, clusters, weights)
        return {"adjusted-rand-index": adjusted_rand(tables), **information(tables)}

    return scores


def silhouettes(values: Array, labels: Array) -> ScoresOf:
    """Return the means over cells that the embedding task makes."""

    def scores(weights: Weights) -> dict[str, Array]:
        by_label = mean_by_group(values, labels, weights)
        return {
            "silhouette-label": weighted_mean(values, weights),
            "silhouette-label-macro": mean_of_present(by_label),
            "silhouette-worst-label": np.fmin.reduce(by_label, axis=0),
        }

    return scores


def mean_of(values: Array, score: str) -> ScoresOf:
    """Return a mean over units as the only score."""
    return lambda weights: {score: weighted_mean(values, weights)}


def together(*parts: ScoresOf) -> ScoresOf:
    """Return all scores of several."""
    return lambda weights: {score: values for part in parts for score, values in part(weights).items()}


# --- cells within strata, for the fitted model ----------------------------------------------------------------------

SIZES = {300: (131, 72, 43, 29, 15, 10), 700: (310, 171, 102, 68, 34, 15)}
"""Cells of each type: the last one is rare."""
N_CLASSES = 6
CONFUSION = np.array(
    [
        [0.60, 0.30, 0.05, 0.02, 0.01, 0.02, 0.00],
        [0.02, 0.05, 0.85, 0.04, 0.02, 0.02, 0.00],
        [0.02, 0.02, 0.05, 0.80, 0.10, 0.01, 0.00],
        [0.01, 0.01, 0.03, 0.15, 0.75, 0.05, 0.00],
        [0.03, 0.02, 0.05, 0.10, 0.10, 0.70, 0.00],
        [0.05, 0.05, 0.05, 0.05, 0.10, 0.40, 0.30],
    ]
)
"""Cell types × clusters: the first type is split in two, the rare one mostly swallowed."""
SILHOUETTES = ((6.0, 3.0), (5.0, 3.0), (4.0, 3.0), (5.0, 2.0), (3.0, 3.0), (2.0, 3.0))
"""Beta distributions of a cell's value, by type."""
OF_CLUSTERS = ("adjusted-rand-index", "normalized-mutual-information")
OF_DISTANCES = ("silhouette-label", "silhouette-label-macro", "silhouette-worst-label")
OF_CLASSES = tuple(f"{one}@logistic-regression" for one in ("accuracy", "macro-f1", "macro-recall", "macro-auroc"))


def of_clusters(columns: Mapping[Any, Array], rng: Rng) -> Callable[[], Fit]:
    """Return what draws new cells: fixed chances of clusters and distributions of silhouettes by type and donor."""
    labels = columns["label"].astype(int)
    units = cell_units(columns, ("label",))
    shift = rng.normal(0, 0.5, 10)[columns["donor"].astype(int)] if "donor" in columns else 0.0
    chances = CONFUSION.cumsum(axis=1)[labels]
    first, second = np.array(SILHOUETTES)[labels].T

    def draw() -> Fit:
        # A donor's cells lie more or less clearly: its shift moves the draw that decides on the cluster.
        clusters = (rng.random(len(labels)) ** np.exp(shift) > chances.T).sum(axis=0)
        values = rng.beta(first * np.exp(shift / 2), second)
        return Fit(**units, scores=together(agreement(labels, clusters), silhouettes(values, labels)))

    return draw


def of_classes(columns: Mapping[Any, Array], strength: float, rng: Rng) -> Callable[[], Fit]:
    """Return what draws new cells and asks fitted classifiers, one for each fold and each a little different."""
    labels = columns["label"].astype(int)
    donors = columns.get("donor")
    tests = [test for _, test in splits(labels, donors, FOLDS, 42)]
    fold_of = np.empty(len(labels), dtype=np.intp)
    for fold, test in enumerate(tests):
        fold_of[test] = fold
    units = cell_units(columns, ("label",), folds=fold_of)
    fixed = generator("classifiers").normal(0, 0.3, (FOLDS, N_CLASSES, N_CLASSES))
    expected = np.diag([4.0, 3.5, 3.0, 3.0, 2.5, 2.5])[labels] * strength + fixed[fold_of, labels]

    def draw() -> Fit:
        probability = np.exp(expected + rng.normal(0, 1.5, expected.shape))
        probability /= probability.sum(axis=1, keepdims=True)
        folds = [Fold.of(test, labels[test], probability[test]) for test in tests]

        def scores(weights: Weights) -> dict[str, Array]:
            return {f"{key}@logistic-regression": one for key, one in fold_scores(folds, weights).items()}

        return Fit(**units, scores=scores)

    return draw


def typed(n_cells: int, donors: Array | None = None) -> dict[Any, Array]:
    """Return the columns of a dataset with six types."""
    columns = {"label": np.repeat(np.arange(N_CLASSES), SIZES[n_cells]).astype(str)}
    return columns if donors is None else {**columns, "donor": donors.astype(str)}


def over_datasets(task: TaskCard, tally: Tally, draw: Callable[[], Fit], datasets: int, seed: int) -> Iterator[Row]:
    """Evaluate one dataset after another against the expected score."""
    for number in range(datasets):
        tally.add_all(evaluated(task, draw(), f"{seed} {tally.what} {tally.units} {number}"))
    yield from tally.rows()


EXPECTED = "score expected on as many cells"


def cells_within_strata(seed: int, few: int) -> Iterator[Row]:
    """Resample cells within type (within fold and type for predictions); everything fitted is fixed."""
    columns, rng = typed(300), generator(seed, "clusters")
    tally = Tally("Clustering, silhouettes: cells drawn within type", EXPECTED, "300 cells, rarest type 10")
    task = card("clustering", OF_CLUSTERS + OF_DISTANCES)
    yield from over_datasets(task, tally, of_clusters(columns, rng), 1000 // few, seed)
    task, what = card("classification", OF_CLASSES), "Classification: cells drawn within fold and type"
    for n_cells, strength, where, datasets in ((300, 1, "", 1000), (700, 2, ", near the ceiling", 600)):
        rng = generator(seed, "classes", n_cells)
        tally = Tally(what, EXPECTED, f"{n_cells} cells, rarest type {SIZES[n_cells][-1]}{where}")
        yield from over_datasets(task, tally, of_classes(typed(n_cells), strength, rng), datasets // few, seed)


def several_seeds(seed: int, few: int) -> Iterator[Row]:
    """Five seeds that vary as much as cells do; each replicate draws one of them."""
    n_cells, spread, rng = 400, 0.02, generator(seed, "seeds")
    task = card("embedding", ["silhouette-label"], seeds=range(5))
    units = cell_units({"label": np.full(n_cells, "a")}, ("label",))

    def prepare(output: Array, cells: Cells, params: object, wanted: object) -> Callable[[int], Fit]:
        fit = Fit(**units, scores=mean_of(output[:, 0], "silhouette-label"))
        return lambda seed: fit

    what, sizes = "Five seeds that differ as much as the cells' sampling", f"{n_cells} cells"
    used, further = (
        Tally(what, "mean over the seeds used", sizes),
        Tally(what, "a sixth seed (not claimed)", sizes, claimed=False),
    )
    hits = {"used": 0, "further": 0}
    datasets = 1000 // few
    for number in range(datasets):
        effects = rng.normal(0.7, spread, 6)
        cells = rng.normal(0, spread * math.sqrt(n_cells), n_cells)
        outputs = {one: (cells + effects[one]).astype(np.float32)[:, None] for one in range(5)}
        found = evaluate(task, prepare, outputs, Cells({}), f"{seed} seeds {number}").interval(0, LEVEL)
        assert found is not None  # noqa: S101 (a bootstrap has one)
        hits["used"] += bool(found[0] <= effects[:5].mean() <= found[1])
        hits["further"] += bool(found[0] <= effects[5] <= found[1])
    yield used.row("mean over cells", hits["used"], datasets)
    yield further.row("mean over cells", hits["further"], datasets)


def these_donors(seed: int, few: int) -> Iterator[Row]:
    """Three or four donors: cells are drawn within donor and type, and the truth is for these donors."""
    truth = "score expected of these donors"
    rng = generator(seed, "four donors")
    rare = SIZES[300][-1]
    columns = typed(
        300, np.concatenate([rng.integers(0, 4, 300 - rare), np.r_[np.zeros(rare - 3, dtype=int), 1, 2, 3]])
    )
    units = "300 cells of 4 donors, 3 of them with one cell of the rarest type"
    tally = Tally("Clustering, silhouettes: cells drawn within donor and type", truth, units)
    task = card("clustering", OF_CLUSTERS + OF_DISTANCES)
    yield from over_datasets(task, tally, of_clusters(columns, rng), 1000 // few, seed)
    rng = generator(seed, "three donors")
    columns = typed(300, rng.integers(0, 3, 300))
    tally = Tally("Classification: one donor a fold, cells drawn within donor and type", truth, "300 cells of 3 donors")
    task = card("classification", OF_CLASSES)
    yield from over_datasets(task, tally, of_classes(columns, 1, rng), 1000 // few, seed)


# --- new donors -----------------------------------------------------------------------------------------------------

SHARES = np.array([0.45, 0.30, 0.15, 0.10])
OF_NAMED = ("macro-f1", "adjusted-rand-index")
FAR = 20_000
"""Donors that stand for endless ones."""


def composition(n_donors: int, rng: Rng) -> dict[Any, Array]:
    """Return donor and label of cells: about 80 cells a donor, in varying proportions."""
    donor = np.repeat(np.arange(n_donors), 40 + rng.poisson(40, n_donors))
    shares = rng.dirichlet(20 * SHARES, n_donors)
    label = (rng.random(len(donor))[:, None] > shares.cumsum(axis=1)[donor]).sum(axis=1).clip(max=3)
    return {"donor": donor, "label": label}


def named(columns: Mapping[Any, Array], ease: Array, rng: Rng) -> ScoresOf:
    """Name each cell rightly with a chance that depends on its type and on ``ease`` (n_cells,)."""
    label = columns["label"]
    ease = np.array([1.5, 1.2, 0.8, 0.3])[label] + ease
    hits = rng.random(len(label)) < 1 / (1 + np.exp(-ease))
    names = np.where(hits, label, (label + rng.integers(1, 4, len(label))) % 4)
    fold = Fold.of(np.arange(len(label)), label, np.eye(4)[names])
    return together(lambda weights: fold_scores([fold], weights), agreement(label, names))


def grouped(columns: Mapping[Any, Array], scores: ScoresOf, roles: Sequence[str] = ("donor", "label")) -> Fit:
    """Return what a task of these columns would return; the roles are those that it is told of."""
    told: dict[Any, Array] = {role: columns[role].astype(str) for role in roles}
    return Fit(**cell_units(told, ("label",)), scores=scores)


def new_donors(seed: int, few: int) -> Iterator[Row]:
    """Leave out one donor at a time; the truth is the score over endless donors."""
    task = card("clustering", OF_NAMED)
    truth_is = "score over endless new donors"
    rng = generator(seed, "new donors")
    many = composition(FAR // min(few, 10), rng)
    effects = rng.normal(0, 1, many["donor"].max() + 1)
    truth = point_values(Fit(many["label"], "", named(many, effects[many["donor"]], rng)))
    for n_donors in (6, 20):
        units = f"{n_donors} donors"
        left_out = Tally("Clustering, classification: one donor left out at a time", truth_is, units)
        cells = Tally("NOT done with six donors or more: cells drawn instead", truth_is, units, claimed=False)
        for number in range(1000 // few):
            columns = composition(n_donors, rng)
            scores = named(columns, rng.normal(0, 1, n_donors)[columns["donor"]], rng)
            dataset = f"{seed} new donors {n_donors} {number}"
            left_out.add_all(evaluated(task, grouped(columns, scores), dataset))
            if n_donors == 6:
                cells.add_all(evaluated(task, grouped(columns, scores, ("label",)), dataset))
        yield from left_out.rows(truth)
        yield from cells.rows(truth)


# --- perturbations --------------------------------------------------------------------------------------------------

CORRELATIONS: dict[str, tuple[Callable[[Rng, int], Array], tuple[int, ...]]] = {
    "skewed": (lambda rng, n: np.tanh(rng.normal(1.0, 0.6, n)), (6, 12)),
    "one in seven far below the others": (
        lambda rng, n: np.where(rng.random(n) < 1 / 7, rng.normal(0.2, 0.15, n), np.tanh(rng.normal(1.5, 0.2, n))),
        (6, 10, 20),
    ),
}


def perturbations(seed: int, few: int) -> Iterator[Row]:
    """Leave out one perturbation at a time; the score is a mean over perturbations."""
    task = card("perturbation", ["pearson-delta"])
    for shape, (draw, sizes) in CORRELATIONS.items():
        rng = generator(seed, "perturbations", shape)
        truth = {"pearson-delta": float(draw(rng, 2_000_000).mean())}
        for n in sizes:
            units = f"{n} perturbations, {shape}"
            tally = Tally("One perturbation left out at a time", "mean over endless new perturbations", units)
            for number in range(2000 // few):
                values = draw(rng, n)
                fit = Fit(
                    np.zeros(n, dtype=np.intp),
                    "the held-out perturbations",
                    mean_of(values, "pearson-delta"),
                    groups=np.arange(n).astype(str),
                    group="perturbation",
                    only_groups=True,
                )
                tally.add_all(evaluated(task, fit, f"{seed} {units} {number}"))
            yield from tally.rows(truth)


# --- differences ----------------------------------------------------------------------------------------------------


def differences(seed: int, few: int) -> Iterator[Row]:
    """Compare a model with a baseline on the same resamples, or without the same donors."""
    task, what = card("clustering", OF_NAMED), "Difference to the baseline"
    rng = generator(seed, "differences of cells")
    columns = composition(6, rng)
    n_cells = len(columns["label"])
    tally = Tally(f"{what}: the same cells drawn", "expected difference", f"{n_cells} cells")
    for number in range(1000 // few):
        hard = rng.normal(0, 1, n_cells)  # for both
        fits = [grouped(columns, named(columns, hard + gain, rng), ("label",)) for gain in (0.5, 0.2)]
        add_difference(tally, task, fits, f"{seed} differences {number}")
    yield from tally.rows()
    rng = generator(seed, "differences of donors")

    def pair(n_donors: int) -> list[Fit]:
        columns, common = composition(n_donors, rng), rng.normal(0, 1, n_donors)
        own = [common + gain + rng.normal(0, 0.3, n_donors) for gain in (0.5, 0.2)]
        return [grouped(columns, named(columns, one[columns["donor"]], rng)) for one in own]

    many, base = (point_values(fit) for fit in pair(FAR // min(few, 10)))
    tally = Tally(f"{what}: the same donors left out", "difference over endless new donors", "6 donors")
    for number in range(1000 // few):
        add_difference(tally, task, pair(6), f"{seed} differences {number}")
    yield from tally.rows({score: many[score] - base[score] for score in OF_NAMED})


def add_difference(tally: Tally, task: TaskCard, fits: Sequence[Fit], dataset: str) -> None:
    """Take in the difference of two models on a dataset."""
    ours, theirs = (evaluated(task, fit, dataset) for fit in fits)
    for position, score in enumerate(ours.keys):
        found = difference(ours, position, theirs, position)
        tally.add(score, found.value, (found.low, found.high))


# --- words and ranks ------------------------------------------------------------------------------------------------


def named_by_models(probits: Array, donors: Array | None, n_cells: int, rng: Rng) -> Fit:
    """Return shares of cells that models name rightly, as scores of one evaluation: its resamples are shared anyway.

    Parameters
    ----------
    probits
        (n_models,) how good each is. Some cells are hard for all, and so are some donors.
    donors
        (n_cells,) or None.
    """
    shape = (len(probits), n_cells)
    ease = rng.normal(0, 1, n_cells)
    columns = {"label": np.arange(n_cells) % 4}
    if donors is not None:
        columns["donor"] = donors
        effects = rng.normal(0, 0.5, donors.max() + 1) + rng.normal(0, 0.15, (len(probits), donors.max() + 1))
        ease = ease + effects[:, donors]
    right = (probits[:, None] + rng.normal(0, 1, shape) + ease > 0).astype(float)

    def scores(weights: Weights) -> dict[str, Array]:
        means = right @ weights.T.astype(float) / weights.sum(axis=1, dtype=float)
        return {f"accuracy@model-{model}": values for model, values in enumerate(means)}

    return grouped(columns, scores, tuple(columns))


def compared(probits: Array, n_donors: int | None, replicates: int, dataset: str, rng: Rng) -> Evaluation:
    """Evaluate models on one dataset."""
    task = card("classification", [f"accuracy@model-{one}" for one in range(len(probits))], replicates=replicates)
    donors = None if n_donors is None else np.repeat(np.arange(n_donors), 40 + rng.poisson(40, n_donors))
    n_cells = 400 if donors is None else len(donors)
    return evaluated(task, named_by_models(probits, donors, n_cells, rng), dataset)


def silent(found: Sequence[Difference]) -> bool:
    """Say whether no model is called better or worse than the baseline."""
    adjusted = holm([one.p for one in found])
    return all(word(one, p, LEVEL) == "not separated" for one, p in zip(found, adjusted, strict=True))


def false_words(seed: int, few: int) -> Iterator[Row]:
    """Compare models with a baseline that they equal: is any called better or worse?"""
    for units, n_donors, replicates in (("400 cells", None, 2000), ("8 donors", 8, REPLICATES)):
        rng, hits = generator(seed, "words", units), {4: 0, 15: 0}
        datasets = 1000 // few
        for number in range(datasets):
            models = compared(np.full(16, 1.0), n_donors, replicates, f"{seed} words {number}", rng)
            found = [difference(models, one, models, 0) for one in range(1, 16)]
            for k in hits:
                hits[k] += silent(found[:k])
        tally = Tally("Words of several models that equal the baseline", "no model is called better or worse", units)
        for k, count in hits.items():
            yield tally.row(f"accuracy of {k} models", count, datasets)


PROBITS = np.array([1.6, 1.4, 1.4, 1.1, 1.1, 0.9, 0.7, 0.4])
RANKS, INTERVALS = "all true ranks in their ranges", "all 28 differences in their intervals"


def ranks(seed: int, few: int) -> Iterator[Row]:
    """Rank eight models, some of them equal, by all pairs."""
    for units, n_donors, spread in (("400 cells", None, 2.0), ("8 donors", 8, 2 + 0.5**2 + 0.15**2)):
        rng, hits = generator(seed, "ranks", units), {RANKS: 0, INTERVALS: 0}
        truth = np.array([0.5 * math.erfc(-one / math.sqrt(spread) / math.sqrt(2)) for one in PROBITS])
        datasets = 1000 // few
        for number in range(datasets):
            found = compared(PROBITS, n_donors, REPLICATES, f"{seed} ranks {number}", rng)
            values, replicates = found.by_seed, found.replicates.astype(float)
            if found.method == "bootstrap":
                ranking = rank_replicates(values.mean(axis=1), replicates, level=LEVEL, sign=1)
            else:
                left_out = replicates.reshape(len(values), -1, values.shape[1])
                ranking = rank_jackknife(values, left_out, found.n_groups[0], level=LEVEL, sign=1)
            hits[RANKS] += holds_ranks(ranking, truth)
            hits[INTERVALS] += holds_differences(ranking, truth)
        tally = Tally("Eight models ranked, some of them equal", "all together", units)
        for what, count in hits.items():
            yield tally.row(what, count, datasets)


def holds_ranks(ranking: Ranking, truth: Array) -> bool:
    """Say whether all true ranks, from the best to the worst that a model shares with its equals, are in the ranges."""
    return all(
        given.best <= 1 + np.sum(truth > mine) and given.worst >= len(truth) - np.sum(truth < mine)
        for given, mine in zip(ranking.ranges, truth, strict=True)
    )


def holds_differences(ranking: Ranking, truth: Array) -> bool:
    """Say whether all simultaneous intervals hold their true differences."""
    return all(
        pair.difference.low <= truth[pair.first] - truth[pair.second] <= pair.difference.high for pair in ranking.pairs
    )


# --- what is not in the intervals -----------------------------------------------------------------------------------


def fitted_anew(seed: int, few: int) -> Iterator[Row]:
    """Draw new cells and carry out whole tasks again: clusters, distances, classifiers."""
    from cellgauge.tasks import classification, clustering, embedding  # slow to import, and not for the table

    centres = generator("centres").normal(0, 1.3, (4, 5))
    label = np.repeat(np.arange(4), [200, 150, 125, 25])
    truth = "score expected on new cells, everything fitted again"
    worlds: list[tuple[str, TaskCard, Prepare]] = [
        ("clusters", card("clustering", OF_CLUSTERS, seeds=ALL_SEEDS), clustering.prepare),
        ("distances", card("embedding", OF_DISTANCES, seeds=ALL_SEEDS), embedding.prepare),
        ("classifiers", card("classification", OF_CLASSES, seeds=ALL_SEEDS), classification.prepare),
    ]
    tallies = [Tally(f"NOT claimed: {what} of new cells", truth, "500 cells", claimed=False) for what, _, _ in worlds]
    rng = generator(seed, "fitted anew")
    for number in range(300 // few):
        cells = centres[label] + rng.normal(0, 1, (len(label), 5))
        for tally, (_, task, prepare) in zip(tallies, worlds, strict=True):
            columns = {"label": label.astype(str)}
            tally.add_all(evaluate_once(task, prepare, cells, columns, f"{seed} {tally.what} {number}"))
    for tally in tallies:
        yield from tally.rows()


SCENARIOS = (
    cells_within_strata,
    several_seeds,
    these_donors,
    new_donors,
    perturbations,
    differences,
    false_words,
    ranks,
    fitted_anew,
)


# --- the table ------------------------------------------------------------------------------------------------------


def table(rows: Iterable[Row]) -> str:
    """Return the rows as a Markdown table.

    Scores of one kind share a line. One that is covered less often than the target has a line of its own, in bold,
    unless nothing is claimed of it.
    """
    lines = [
        "| what is resampled or compared | what should be covered | units | scores | datasets | covered |",
        "| --- | --- | --- | --- | ---: | ---: |",
    ]
    for _, together_ in groupby(rows, key=lambda row: (row.what, row.truth, row.units)):
        same = list(together_)
        good = [row for row in same if not row.claimed or row.covered / row.datasets >= TARGET[0]]
        lines += [_line([row], "**") for row in same if row not in good]
        lines += [_line(good)] if good else []
    return "\n".join(lines)


def _line(rows: Sequence[Row], mark: str = "") -> str:
    first = rows[0]
    shares = [row.covered / row.datasets for row in rows]
    low, high = (f"{100 * share:.1f}" for share in (min(shares), max(shares)))
    error = max(math.sqrt(share * (1 - share) / first.datasets) for share in shares)
    covered = f"{low if low == high else f'{low} to {high}'} % ± {100 * error:.1f}"
    if spreads := sorted(row.spread for row in rows if row.spread is not None):
        covered += f" (true SD {spreads[0]:.2f} to {spreads[-1]:.2f} times the interval's)"
    covered = f"{mark}{covered}{mark}"
    cells = [first.what, first.truth, first.units, "; ".join(row.score for row in rows), f"{first.datasets:,}", covered]
    return f"| {' | '.join(cells)} |"


def simulate(scenario: Callable[[int, int], Iterator[Row]], seed: int, few: int) -> list[Row]:
    """Return all rows of one scenario."""
    rows = list(scenario(seed, few))
    print(f"{scenario.__name__}: done", file=sys.stderr)
    return rows


def main() -> None:
    """Run all scenarios, or print what an earlier run found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", action="store_true", help="print the table of the file that is there")
    parser.add_argument("--quick", action="store_true", help="a fiftieth of the datasets: shows that it runs, no more")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--jobs", type=int, default=1, help="scenarios at a time; the numbers do not depend on it")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    options = parser.parse_args()
    if not options.table:
        few = 50 if options.quick else 1
        with ProcessPoolExecutor(options.jobs) as pool:
            waiting = [pool.submit(simulate, scenario, options.seed, few) for scenario in SCENARIOS]
            rows = [row for one in waiting for row in one.result()]
        report = {
            "seed": options.seed,
            "numpy": np.__version__,
            "replicates": REPLICATES,
            "quick": options.quick,
            "rows": [asdict(row) for row in rows],
        }
        options.out.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(table(Row(**row) for row in json.loads(options.out.read_text(encoding="utf-8"))["rows"]))


if __name__ == "__main__":
    main()
