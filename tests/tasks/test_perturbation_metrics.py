"""Each metric of predicted effects against an implementation that shares no code with ours, and on known cases."""

from __future__ import annotations

import dataclasses
import itertools

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import cdist
from sklearn import metrics

from cellgauge.tasks.effects import compare, log_fold_change, nearer, top_overlap
from cellgauge.tasks.measured import Measured, responding

PARAMS = {"n_top_genes": 5, "jaccard_genes": 4, "lfc_pseudocount": 0.1}
N_PERTURBATIONS, N_GENES = 6, 30


def measured(seed: int = 0, *, targeted: bool = True) -> Measured:
    """Random profiles; three genes are not detected, and each perturbation targets one or two of the others."""
    rng = np.random.default_rng(seed)
    control = rng.gamma(2.0, 0.5, N_GENES)
    hits = np.zeros((N_PERTURBATIONS, N_GENES), dtype=bool)
    if targeted:
        hits[np.arange(N_PERTURBATIONS), rng.permutation(20)[:N_PERTURBATIONS]] = True
        hits[0, 25] = True
    detected = np.arange(N_GENES) < 27
    truth = np.maximum(0, control + rng.normal(scale=0.4, size=(N_PERTURBATIONS, N_GENES)))
    return Measured(
        truth=truth,
        control=control,
        repeat=truth,
        seen_control=np.maximum(0, control + rng.normal(scale=0.05, size=N_GENES)),
        training_mean=control + rng.normal(scale=0.2, size=N_GENES),
        detected=detected,
        targeted=hits,
        n_responding=np.array([8, 5, 4, 7, 0, 5]),
        top=tuple(rng.permutation(np.flatnonzero(detected & ~row))[:5] for row in hits),
        n_cells=np.full(N_PERTURBATIONS, 10),
    )


def profiles(of: Measured, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return of.truth + rng.normal(scale=0.3, size=of.truth.shape)


@pytest.fixture(params=range(3))
def truth(request: pytest.FixtureRequest) -> Measured:
    return measured(request.param)


def test_metrics_over_all_genes_are_those_of_scipy_and_scikit_learn(truth: Measured) -> None:
    predicted = profiles(truth)
    found = compare(predicted, truth, PARAMS)
    for row in range(N_PERTURBATIONS):
        genes = [g for g in range(27) if not truth.targeted[row, g]]
        x, y = (predicted[row] - truth.seen_control)[genes], (truth.truth[row] - truth.control)[genes]
        mean = truth.training_mean[genes]
        assert found["pearson-delta"].values[row] == pytest.approx(stats.pearsonr(x, y).statistic)
        assert found["pearson-deviation"].values[row] == pytest.approx(
            stats.pearsonr(predicted[row][genes] - mean, truth.truth[row][genes] - mean).statistic
        )
        assert found["delta-mse"].values[row] == pytest.approx(metrics.mean_squared_error(y, x))
        folds = [
            [np.log2((np.exp(max(0, one[g])) - 1 + 0.1) / (np.exp(other[g]) - 1 + 0.1)) for g in genes]
            for one, other in ((predicted[row], truth.seen_control), (truth.truth[row], truth.control))
        ]
        assert found["spearman-lfc"].values[row] == pytest.approx(stats.spearmanr(*folds).statistic)
        chosen = [np.isin(np.arange(len(genes)), np.argsort(-np.abs(side))[:4]) for side in (x, y)]
        assert found["jaccard-top-de"].values[row] == pytest.approx(metrics.jaccard_score(*chosen))


def test_top_genes_are_those_that_were_chosen_and_only_where_enough_respond(truth: Measured) -> None:
    predicted = profiles(truth)
    found = compare(predicted, truth, PARAMS)
    for key in ("pearson-delta-top20", "delta-mse-top20"):
        assert found[key].measurable.tolist() == [True, True, False, True, False, True]
        assert np.isfinite(found[key].values).tolist() == found[key].measurable.tolist()
    for row in (0, 1, 3, 5):
        x, y = predicted[row] - truth.seen_control, truth.truth[row] - truth.control
        top = truth.top[row]
        assert found["pearson-delta-top20"].values[row] == pytest.approx(stats.pearsonr(x[top], y[top]).statistic)
        assert found["delta-mse-top20"].values[row] == pytest.approx(np.mean([(x[g] - y[g]) ** 2 for g in top]))


def test_discrimination_is_the_mid_rank_under_cityblock_distance() -> None:
    truth = measured(targeted=False)
    predicted = profiles(truth)
    distances = cdist(predicted[:, :27], truth.truth[:, :27], "cityblock")
    for row in range(N_PERTURBATIONS):
        rank = stats.rankdata(distances[row])[row]
        expected = 1 - (rank - 1) / (N_PERTURBATIONS - 1)
        assert np.nanmean(nearer(predicted, truth)[row]) == pytest.approx(expected)


def test_discrimination_leaves_out_the_targets_of_both(truth: Measured) -> None:
    predicted = profiles(truth)
    found = nearer(predicted, truth)
    for p, q in itertools.permutations(range(N_PERTURBATIONS), 2):
        genes = [g for g in range(27) if not truth.targeted[p, g] and not truth.targeted[q, g]]
        own, other = (sum(abs(predicted[p, g] - truth.truth[r, g]) for g in genes) for r in (p, q))
        assert found[p, q] == (own < other)
    assert np.isnan(np.diag(found)).all()


# Known on paper.


def test_the_truth_itself_is_perfect() -> None:
    """Where the controls that a model sees are those that serve as truth."""
    truth = measured()
    truth = dataclasses.replace(truth, seen_control=truth.control)
    found = compare(truth.truth, truth, PARAMS)
    for key in ("pearson-delta", "pearson-deviation", "jaccard-top-de", "spearman-lfc"):
        np.testing.assert_allclose(found[key].values, 1, err_msg=key)
    np.testing.assert_allclose(found["delta-mse"].values, 0, atol=1e-12)
    assert np.nanmin(nearer(truth.truth, truth)) == 1


def test_the_opposite_effect_is_perfectly_wrong_but_for_the_list_of_genes() -> None:
    truth = measured()
    truth = dataclasses.replace(truth, seen_control=truth.control)
    effect = truth.truth - truth.control
    found = compare(truth.control - effect, truth, PARAMS)
    np.testing.assert_allclose(found["pearson-delta"].values, -1)
    np.testing.assert_allclose(found["jaccard-top-de"].values, 1)
    kept = [np.mean((2 * effect[row, mask]) ** 2) for row, mask in enumerate(truth.scored)]
    np.testing.assert_allclose(found["delta-mse"].values, kept)


def test_controls_drop_out_of_the_deviation(truth: Measured) -> None:
    predicted = profiles(truth)
    other = dataclasses.replace(truth, seen_control=truth.seen_control + 1, control=truth.control * 2)
    one, two = (compare(predicted, of, PARAMS)["pearson-deviation"].values for of in (truth, other))
    np.testing.assert_array_equal(one, two)


def test_the_size_of_an_effect_does_not_matter_to_correlations(truth: Measured) -> None:
    predicted = profiles(truth)
    larger = truth.seen_control + 3 * (predicted - truth.seen_control)
    one, two = compare(predicted, truth, PARAMS), compare(larger, truth, PARAMS)
    np.testing.assert_allclose(one["pearson-delta"].values, two["pearson-delta"].values)
    np.testing.assert_allclose(one["jaccard-top-de"].values, two["jaccard-top-de"].values)
    assert (two["delta-mse"].values > one["delta-mse"].values).all()


def test_genes_that_are_not_scored_change_nothing(truth: Measured) -> None:
    predicted = profiles(truth)
    changed = np.where(truth.scored, predicted, 99.0)
    one, two = compare(predicted, truth, PARAMS), compare(changed, truth, PARAMS)
    for key in one:
        np.testing.assert_allclose(one[key].values, two[key].values, atol=1e-6, err_msg=key)
    undetected = np.where(truth.detected, predicted, 99.0)
    np.testing.assert_array_equal(nearer(predicted, truth), nearer(undetected, truth))


def test_log_fold_changes_are_those_of_expression() -> None:
    """3 over 1 counts per 10,000 with a pseudocount of 1 is log2(4/2); below 0 counts as 0."""
    found = log_fold_change(np.log1p([3.0, 1.0, np.expm1(-0.5)]), np.log1p([1.0, 3.0, 0.0]), pseudocount=1.0)
    np.testing.assert_allclose(found, [1, -1, 0], atol=1e-12)


# Nothing to compare with.


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_no_change_and_the_training_mean_are_flat_also_after_rounding(dtype: type, truth: Measured) -> None:
    same = np.ones((N_PERTURBATIONS, 1))
    found = compare((same * truth.seen_control).astype(dtype).astype(float), truth, PARAMS)
    for key in ("pearson-delta", "pearson-delta-top20", "spearman-lfc"):
        assert found[key].flat[found[key].measurable].all(), key
        assert np.isnan(found[key].values).all(), key
    assert not found["pearson-deviation"].flat.any()
    mean = compare((same * truth.training_mean).astype(dtype).astype(float), truth, PARAMS)
    assert mean["pearson-deviation"].flat.all()
    assert not mean["pearson-delta"].flat.any()


def test_a_change_that_is_the_same_for_all_genes_is_flat(truth: Measured) -> None:
    found = compare(np.tile(truth.seen_control + 0.3, (N_PERTURBATIONS, 1)).astype(np.float32) * 1.0, truth, PARAMS)
    assert found["pearson-delta"].flat.all()
    assert not found["spearman-lfc"].flat.any()


def test_small_effects_are_no_rounding_errors(truth: Measured) -> None:
    tiny = (truth.seen_control + 1e-4 * (truth.truth - truth.control)).astype(np.float32)
    found = compare(tiny.astype(float), truth, PARAMS)
    assert not found["pearson-delta"].flat.any()
    assert found["pearson-delta"].values.min() > 0.99


def test_what_was_not_predicted_has_no_value(truth: Measured) -> None:
    predicted = profiles(truth)
    predicted[2] = np.nan
    for key, one in compare(predicted, truth, PARAMS).items():
        assert np.isnan(one.values[2]), key
        assert not one.flat.any(), key
    found = nearer(predicted, truth)
    assert np.isnan(found[2]).all()
    assert np.isfinite(found[1, 2])


def test_a_list_as_long_as_all_genes_says_nothing(truth: Measured) -> None:
    found = compare(profiles(truth), truth, {**PARAMS, "jaccard_genes": 26})["jaccard-top-de"]
    assert found.measurable.tolist() == [False] * N_PERTURBATIONS
    one_less = compare(profiles(truth), truth, {**PARAMS, "jaccard_genes": 25})["jaccard-top-de"]
    assert one_less.measurable.tolist() == [False, True, True, True, True, True]  # the first has two targets


def test_two_genes_are_too_few_to_correlate() -> None:
    truth = measured(targeted=False)
    two = dataclasses.replace(truth, detected=np.arange(N_GENES) < 2)
    found = compare(profiles(truth), two, PARAMS)
    assert not found["pearson-delta"].measurable.any()
    assert found["delta-mse"].measurable.all()


# Ties.


@settings(max_examples=60)
@given(
    st.lists(st.integers(0, 3), min_size=5, max_size=8),
    st.integers(1, 4),
    st.randoms(use_true_random=False),
)
def test_ties_are_broken_in_every_way_and_averaged(values: list[int], k: int, random) -> None:
    truth = list(range(len(values)))
    random.shuffle(truth)
    top = set(np.argsort(-np.array(truth))[:k].tolist())
    best = sorted(values, reverse=True)[:k]
    ways = [
        set(chosen)
        for chosen in itertools.combinations(range(len(values)), k)
        if sorted((values[at] for at in chosen), reverse=True) == best
    ]
    expected = np.mean([len(way & top) / len(way | top) for way in ways])
    assert top_overlap(np.array(values, float), np.array(truth, float), k=k) == pytest.approx(expected)


def test_naming_no_gene_gets_the_overlap_of_chance() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random(56)
    top = set(np.argsort(-truth)[:20])
    drawn = [len(top & set(rng.permutation(56)[:20])) for _ in range(20_000)]
    chance = np.mean([n / (40 - n) for n in drawn])
    assert top_overlap(np.zeros(56), truth, k=20) == pytest.approx(chance, abs=0.003)


# Discrimination of what knows nothing.


@pytest.mark.parametrize("constant", ["control", "training_mean"])
def test_the_same_prediction_for_all_discriminates_exactly_one_half(constant: str, truth: Measured) -> None:
    same = np.tile(getattr(truth, constant), (N_PERTURBATIONS, 1))
    assert np.nanmean(nearer(same, truth)) == pytest.approx(0.5, abs=1e-12)


def test_random_predictions_discriminate_one_half_in_expectation() -> None:
    """Also where some perturbations do much more than others: 300 independent sets of predictions."""
    truth = measured()
    strong = truth.control + (truth.truth - truth.control) * np.array([0.1, 0.5, 1, 2, 4, 8])[:, None]
    truth = dataclasses.replace(truth, truth=strong)
    rng = np.random.default_rng(0)
    drawn = [np.nanmean(nearer(truth.control + rng.normal(size=strong.shape), truth)) for _ in range(300)]
    assert abs(np.mean(drawn) - 0.5) < 4 * np.std(drawn) / np.sqrt(300)


def test_equal_perturbations_cannot_be_told_apart() -> None:
    truth = measured(targeted=False)
    same = dataclasses.replace(truth, truth=np.tile(truth.truth[0], (N_PERTURBATIONS, 1)))
    assert np.nanmin(nearer(profiles(truth), same)) == np.nanmax(nearer(profiles(truth), same)) == 0.5


# Responding genes.


def test_responding_genes_are_those_of_scanpy() -> None:
    """Counts with many ties, as expression has; ranks by scanpy's score, adjusted by its own Benjamini-Hochberg."""
    rng = np.random.default_rng(0)
    rate = rng.gamma(1.0, 1.0, 40)
    control = np.log1p(rng.poisson(rate, (50, 40))).astype(np.float32)
    perturbed = np.log1p(rng.poisson(rate * np.r_[np.full(8, 3.0), np.full(32, 1.0)], (20, 40))).astype(np.float32)
    cells = ad.AnnData(np.concatenate([control, perturbed]))
    cells.var_names = [str(g) for g in range(40)]
    cells.obs["group"] = pd.Categorical(["control"] * 50 + ["p"] * 20)
    sc.tl.rank_genes_groups(cells, "group", groups=["p"], reference="control", method="wilcoxon", tie_correct=True)
    table = sc.get.rank_genes_groups_df(cells, "p").set_index("names").loc[cells.var_names]
    for rate_of_false in (0.001, 0.05, 0.3):
        n, order = responding(perturbed, control, rate_of_false)
        assert n == (table["pvals_adj"] <= rate_of_false).sum() > 0
    scores = np.abs(table["scores"].to_numpy())
    np.testing.assert_allclose(scores[order], np.sort(scores)[::-1], atol=1e-4)


def test_a_gene_without_any_variation_does_not_respond() -> None:
    rng = np.random.default_rng(1)
    perturbed, control = rng.random((12, 3)).astype(np.float32), rng.random((30, 3)).astype(np.float32)
    perturbed[:, 1] = control[:, 1] = 0
    perturbed[:, 2] += 2
    n, order = responding(perturbed, control, 0.05)
    assert (n, order.tolist()) == (1, [2, 0, 1])


def test_p_values_that_vanish_are_ordered_by_separation() -> None:
    """Both are 0 in double precision; the second gene overlaps a little."""
    base = np.random.default_rng(2).random((4000, 1)).astype(np.float32)
    control, perturbed = np.hstack([base, base]), np.hstack([base + 0.97, base + 2])
    p = stats.mannwhitneyu(perturbed, control, axis=0, method="asymptotic").pvalue
    assert p.tolist() == [0, 0]
    assert responding(perturbed, control, 0.05)[1].tolist() == [1, 0]


def test_many_genes_are_ranked_in_blocks_with_the_same_outcome(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    perturbed, control = (rng.poisson(rate, (20, 53)).astype(np.float32) for rate in (2.0, 1.0))
    whole = responding(perturbed, control, 0.05)
    monkeypatch.setattr("cellgauge.tasks.measured._RANKED_AT_ONCE", 200)
    n, order = responding(perturbed, control, 0.05)
    assert n == whole[0] > 0
    assert order.tolist() == whole[1].tolist()


def test_under_no_effect_few_genes_respond() -> None:
    rng = np.random.default_rng(3)
    found = [responding(*np.split(rng.poisson(1.0, (60, 200)).astype(np.float32), [20]), 0.05)[0] for _ in range(40)]
    assert np.mean(np.array(found) > 0) < 0.15
