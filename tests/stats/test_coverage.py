"""Intervals hold the truth as often as they say, on simulated data; a lost factor in one of them makes a test fail.

The full study, with more kinds of scores, is ``benchmarks/intervals.py``. What is simulated here depends on fixed
seeds, and each share is compared with what it should be by an exact binomial test.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from scipy import stats as reference

from cellgauge.cards import TaskCard
from cellgauge.cards.read import read_card
from cellgauge.stats.jackknife import (
    jackknife_interval,
    left_out_weights,
    paired_jackknife,
    skewness_corrected_interval,
)
from cellgauge.stats.paired import Difference, holm, paired_difference, word
from cellgauge.stats.ranks import rank_jackknife, rank_replicates
from cellgauge.stats.resampling import (
    draw_seeds,
    generator,
    percentile_interval,
    stratified_weights,
)
from cellgauge.stats.skill import Skill, skill, skill_jackknife
from cellgauge.stats.studies import Entry, compare_over_studies
from cellgauge.tasks.agreement import adjusted_rand, contingency
from cellgauge.tasks.averages import weighted_mean
from cellgauge.tasks.contract import Cells, Fit
from cellgauge.tasks.evaluate import Evaluation, evaluate
from cellgauge.tasks.units import cell_units

CARD = read_card(Path(__file__).parents[2] / "site_src/tasks/embedding.md", TaskCard)
SCORE = CARD.primary.key
TASK = CARD.model_copy(update={"protocol": CARD.protocol.model_copy(update={"seeds": [42], "replicates": 400})})


def is_about(hits: Iterable[bool], share: float) -> bool:
    found = list(hits)
    return bool(reference.binomtest(sum(found), len(found), share).pvalue > 0.002)


def at_least(hits: Iterable[bool], share: float) -> bool:
    found = list(hits)
    return bool(reference.binomtest(sum(found), len(found), share, alternative="less").pvalue > 0.002)


def inside(truth: float, interval: tuple[float, float]) -> bool:
    return bool(interval[0] <= truth <= interval[1])


def centred(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return (n_models × n_replicates) means over units, centred as evaluations are."""
    replicates = values @ weights.T / weights.sum(axis=1)
    return replicates + (values.mean(axis=1) - replicates.mean(axis=1))[:, None]


def evaluation_of_means(values: np.ndarray, number: int, **fit: object) -> Evaluation:
    """Evaluate a model that gives each unit a value; the score is their mean."""
    made = Fit(**fit, scores=lambda weights: {SCORE: weighted_mean(values, weights)})
    outputs = {42: np.zeros((len(values), 1), dtype=np.float32)}
    return evaluate(TASK, lambda *_: lambda seed: made, outputs, Cells({}), f"dataset {number}", wanted=[SCORE])


def donors(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the donor of each cell, and an effect for each donor."""
    return np.repeat(np.arange(n), rng.integers(10, 30, n)), rng.normal(0, 1, n)


def left_out_means(values: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (n_models × 1) means and (n_models × n_groups × 1) means without each group."""
    weights = left_out_weights(groups)
    return values.mean(axis=1)[:, None], (values @ weights.T / weights.sum(axis=1))[:, :, None]


def test_cells_within_strata():
    rng, hits = generator("strata"), []
    strata = np.repeat([0, 1, 2], [60, 25, 15])
    shares = np.array([0.9, 0.6, 0.4])
    truth = float(shares[strata].mean())
    for _ in range(600):
        values = (rng.random(100) < shares[strata]).astype(float)[None, :]
        hits.append(inside(truth, percentile_interval(centred(values, stratified_weights(strata, 400, rng))[0], 0.9)))
    assert is_about(hits, 0.9)


def test_strata_of_two_need_rescaled_weights():
    """Twenty strata of two: drawing both loses half of the variance, and 95 % becomes 83 %."""
    rng, strata = generator("two"), np.repeat(np.arange(20), 2)
    evaluations, unscaled = [], []
    for number in range(600):
        values = rng.normal(strata, 1)
        found = evaluation_of_means(values, number, strata=strata, within="label").interval(0, 0.95)
        evaluations.append(found is not None and inside(strata.mean(), found))
        drawn = rng.multinomial(2, [0.5, 0.5], size=(400, 20)).reshape(400, 40)
        unscaled.append(inside(strata.mean(), percentile_interval(centred(values[None, :], drawn)[0], 0.95)))
    assert is_about(evaluations, 0.94)
    assert is_about(unscaled, 0.83)


def test_cells_that_are_alone_in_their_donor_and_type_count_too():
    """Ten types with one cell from each of four donors: drawn within donor and type, no cell would ever vary."""
    rng, hits = generator("lone"), []
    labels, of_donor = np.divmod(np.arange(40), 4)
    units = cell_units({"label": labels.astype(str), "donor": of_donor.astype(str)}, ("label",))
    assert units["within"] == "label and donor"
    for number in range(600):
        found = evaluation_of_means(rng.normal(labels, 1), number, **units).interval(0, 0.95)
        hits.append(found is not None and inside(labels.mean(), found))
    assert is_about(hits, 0.94)


def test_agreement_of_partitions():
    rng, found = generator("agreement"), []
    labels = np.repeat(np.arange(3), [70, 40, 15])
    confusion = np.array([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.3, 0.2, 0.5]]).cumsum(axis=1)
    for _ in range(400):
        clusters = (rng.random(len(labels))[:, None] > confusion[labels]).sum(axis=1)

        def score(weights: np.ndarray, clusters: np.ndarray = clusters) -> np.ndarray:
            return adjusted_rand(contingency(labels, clusters, weights))

        point = score(np.ones((1, len(labels))))[0]
        replicates = score(stratified_weights(labels, 300, rng))
        found.append((point, *percentile_interval(replicates + point - replicates.mean(), 0.9)))
    points, low, high = np.array(found).T
    assert is_about((low <= points.mean()) & (points.mean() <= high), 0.9)


def test_replicates_of_several_seeds_hold_the_mean_over_seeds():
    rng, hits = generator("seeds"), []
    for _ in range(800):
        cells = rng.normal(0, 0.1, 60) + rng.normal(0, 0.01, (5, 1))
        drawn = draw_seeds(5, 400, rng)
        weights = stratified_weights(np.zeros(60), 400, rng)
        replicates = (weights * cells[drawn]).mean(axis=1)
        hits.append(inside(0.0, percentile_interval(replicates, 0.95)))
    assert at_least(hits, 0.95)


def test_new_donors():
    """Unequal numbers of cells: a ratio, for which the jackknife is not exact."""
    rng = generator("donors")
    for n in (6, 12):
        hits, ignoring = [], []
        for _ in range(1500):
            donor, effects = donors(rng, n)
            values = (effects[donor] + rng.normal(0, 1, len(donor)))[None, :]
            by_seed, left_out = left_out_means(values, donor)
            hits.append(inside(0.0, jackknife_interval(by_seed[0], left_out[0], n, 0.95)))
            half = 1.96 * values.std() / np.sqrt(values.size)  # as if cells were independent
            ignoring.append(inside(0.0, (by_seed[0, 0] - half, by_seed[0, 0] + half)))
        assert is_about(hits, 0.945)
        assert np.mean(ignoring) < 0.5


def test_new_donors_and_another_one_of_the_seeds():
    rng, hits = generator("donors and seeds"), []
    for _ in range(2000):
        groups = rng.normal(0, 1, 8)
        seeds = rng.normal(0, 0.3, 5)
        left_out = ((groups.sum() - groups) / 7)[:, None] + seeds
        interval = jackknife_interval(groups.mean() + seeds, left_out, 8, 0.95)
        hits.append(inside(rng.choice(seeds), interval))  # donors to come have mean 0
    assert at_least(hits, 0.95)


def test_perturbations_that_are_skewed():
    """The correction gains what the plain interval loses, and loses nothing where there is no skewness."""
    rng, n = generator("perturbations"), 12
    truth = float(np.tanh(generator("many").normal(1, 0.6, 1_000_000)).mean())
    names = np.arange(n).astype(str)
    plain, evaluations, normal = [], [], []
    for number in range(2500):
        values = np.tanh(rng.normal(1, 0.6, n))
        skewed = left_out_means(values[None, :], np.arange(n))
        plain.append(inside(truth, jackknife_interval(skewed[0][0], skewed[1][0], n, 0.95)))
        found = evaluation_of_means(
            values, number, strata=np.zeros(n), within="", groups=names, group="perturbation", only_groups=True
        ).interval(0, 0.95)
        evaluations.append(found is not None and inside(truth, found))
        even = left_out_means(rng.normal(0, 1, (1, n)), np.arange(n))
        normal.append(inside(0.0, skewness_corrected_interval(even[0][0], even[1][0], n, 0.95)))
    assert is_about(evaluations, 0.945)
    assert is_about(normal, 0.95)
    assert 0.88 < np.mean(plain) < 0.93


def test_differences():
    rng = generator("differences")
    cells, groups = [], []
    for _ in range(800):
        values = rng.normal(0, 1, 80) + rng.normal([[0.2], [0.0]], 0.5, (2, 80))
        replicates = centred(values, stratified_weights(np.zeros(80), 400, rng))
        found = paired_difference(*values.mean(axis=1), *replicates, level=0.95, sign=1)
        cells.append(inside(0.2, (found.low, found.high)))
        donor, effects = donors(rng, 8)
        both = effects[donor] + rng.normal([[0.2], [0.0]], 0.5, (2, 8))[:, donor] + rng.normal(0, 1, (2, len(donor)))
        (one, other), (left, left_other) = left_out_means(both, donor)
        apart = paired_jackknife(one, other, left, left_other, 8, level=0.95, sign=1)
        groups.append(inside(0.2, (apart.low, apart.high)))
    assert is_about(cells, 0.945)
    assert is_about(groups, 0.945)


def silent(found: list[Difference]) -> bool:
    adjusted = holm([one.p for one in found])
    return all(word(one, p, 0.95) == "not separated" for one, p in zip(found, adjusted, strict=True))


def test_false_words_are_rare_however_many_models_there_are():
    rng, k = generator("words"), 6
    cells, groups, unadjusted = [], [], []
    for _ in range(400):
        values = rng.normal(0, 1, 60) + rng.normal(0, 1, (k + 1, 60))
        points, replicates = values.mean(axis=1), centred(values, stratified_weights(np.zeros(60), 599, rng))
        found = [
            paired_difference(points[one], points[0], replicates[one], replicates[0], level=0.95, sign=1)
            for one in range(1, k + 1)
        ]
        cells.append(silent(found))
        unadjusted.append(all(one.p > 0.05 for one in found))
        by_seed, left_out = left_out_means(values[:, :8], np.arange(8))
        groups.append(
            silent(
                [
                    paired_jackknife(by_seed[one], by_seed[0], left_out[one], left_out[0], 8, level=0.95, sign=1)
                    for one in range(1, k + 1)
                ]
            )
        )
    assert at_least(cells, 0.945)
    assert at_least(groups, 0.95)
    assert np.mean(unadjusted) < 0.88


@pytest.mark.parametrize("best", [0.5, 0.0])
def test_true_ranks_are_in_their_ranges_and_differences_in_their_intervals(best: float):
    rng = generator("ranks", str(best))
    truth = np.array([best, 0.0, 0.0])
    ranks: dict[str, list[bool]] = {"counted": [], "normal": [], "t": []}
    intervals: dict[str, list[bool]] = {"counted": [], "normal": [], "t": []}
    for _ in range(300):
        values = rng.normal(0, 1, 40) + rng.normal(truth[:, None], 1, (3, 40))
        points, replicates = values.mean(axis=1), centred(values, stratified_weights(np.zeros(40), 1200, rng))
        for ranking in (
            rank_replicates(points, replicates, level=0.95, sign=1),
            rank_replicates(points, replicates[:, :400], level=0.95, sign=1),
            rank_jackknife(*left_out_means(values[:, :10], np.arange(10)), 10, level=0.95, sign=1),
        ):
            ranks[ranking.p_values].append(
                all(
                    given.best <= 1 + np.sum(truth > mine) and given.worst >= 3 - np.sum(truth < mine)
                    for given, mine in zip(ranking.ranges, truth, strict=True)
                )
            )
            intervals[ranking.p_values].append(
                all(
                    inside(truth[pair.first] - truth[pair.second], (pair.difference.low, pair.difference.high))
                    for pair in ranking.pairs
                )
            )
    for how in ranks:
        assert at_least(ranks[how], 0.945)
        # Bonferroni's intervals of three models hold together a little more often than they say, and not always.
        assert at_least(intervals[how], 0.945)
        assert np.mean(intervals[how]) < 0.985


def test_skill():
    rng = generator("skill")
    cells, groups = [], []
    for _ in range(600):
        values = rng.normal(0, 0.1, 60) + rng.normal([[0.8], [0.5]], 0.1, (2, 60))
        replicates = centred(values, stratified_weights(np.zeros(60), 400, rng))
        found = skill(*values.mean(axis=1), *replicates, ceiling=1.0, level=0.95, sign=1)
        assert isinstance(found, Skill)
        cells.append(inside(0.6, (found.low, found.high)))
        (one, other), (left, left_other) = left_out_means(values[:, :10], np.arange(10))
        apart = skill_jackknife(one, other, left, left_other, 10, ceiling=1.0, level=0.95, sign=1)
        assert isinstance(apart, Skill)
        groups.append(inside(0.6, (apart.low, apart.high)))
    assert is_about(cells, 0.945)
    assert is_about(groups, 0.945)


def test_new_studies():
    """Datasets of a study share what the study has in common; the number of studies counts, not of files."""
    rng, hits = generator("studies"), []
    for _ in range(800):
        differences = rng.normal(0.1, 0.2, 7)
        entries = [
            Entry(f"s{study}", f"s{study}d{one}", "f", "m", simulated=False, value=float(rng.normal(shift, 0.05)))
            for study, shift in enumerate(differences)
            for one in range(1 + study % 3)
        ]
        baseline = [Entry(*entry.place, simulated=False, value=0.0) for entry in entries]
        found = compare_over_studies(entries, baseline, level=0.95)
        assert found.low is not None
        assert found.high is not None
        hits.append(inside(0.1, (found.low, found.high)))
    assert is_about(hits, 0.95)
