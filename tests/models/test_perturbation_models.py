"""Predictions of perturbed expression: what is accepted as one, and what the simple models and controls predict."""

from __future__ import annotations

from collections.abc import Callable

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellgauge.models import perturbation as models
from cellgauge.models.embedding import InvalidOutputError
from cellgauge.models.prediction import accept_prediction

# What is accepted.

PERTURBATIONS = ["A", "A+B", "C"]
GENES = np.array(["g2", "g0", "g1"])
GOOD = pd.DataFrame(np.arange(9.0).reshape(3, 3), index=PERTURBATIONS, columns=GENES)


@given(st.permutations(range(3)), st.permutations(range(3)))
def test_the_order_of_rows_and_columns_makes_no_difference(rows: list[int], columns: list[int]) -> None:
    accepted = accept_prediction(GOOD.iloc[rows, columns], PERTURBATIONS, GENES)
    assert accepted.dtype == np.float32
    np.testing.assert_array_equal(accepted, GOOD)


def test_what_is_not_predicted_becomes_a_row_of_nan() -> None:
    accepted = accept_prediction(GOOD.loc[["C", "A"]], PERTURBATIONS, GENES)
    np.testing.assert_array_equal(accepted, [GOOD.loc["A"], [np.nan] * 3, GOOD.loc["C"]])


def test_whole_numbers_are_numbers() -> None:
    np.testing.assert_array_equal(accept_prediction(GOOD.astype(int), PERTURBATIONS, GENES), GOOD)


def with_value(value: object) -> pd.DataFrame:
    bad = GOOD.astype(object) if isinstance(value, str) else GOOD.copy()
    bad.loc["A+B", "g0"] = value
    return bad


@pytest.mark.parametrize(
    ("output", "said"),
    [
        (GOOD.to_numpy(), "expected a data frame with a row for each perturbation .* found a ndarray"),
        (None, "found a NoneType"),
        (GOOD.iloc[:0], "predicts none of the 3 held-out perturbations"),
        (GOOD.rename(index={"A+B": "B+A"}), r"1 of the predicted .* the 3 that are held out \(for example B\+A\)"),
        (GOOD.T, "3 of the predicted perturbations are not among the 3"),
        (GOOD.rename(index={"C": "A"}), r"1 perturbations occur more than once \(for example A\)"),
        (GOOD.rename(columns={"g2": "g0"}), r"1 genes occur more than once \(for example g0\)"),
        (GOOD[["g0", "g1"]], r"^1 genes are missing \(for example g2\)$"),
        (GOOD.assign(x=1.0), r"^1 genes are unknown \(for example x\)$"),
        (GOOD.rename(columns={"g1": "x"}), "1 genes are missing .* and 1 genes are unknown"),
        (with_value(np.nan), r"1 values are NaN or infinite, in 1 perturbations \(first: A\+B\); leave out the row"),
        (with_value(-np.inf), "1 values are NaN or infinite"),
        (with_value(1e300), "1 values are NaN or infinite"),
        (with_value("high"), "expected real numbers, found dtype object"),
        (GOOD.astype(complex), "expected real numbers, found dtype complex128"),
        (GOOD > 3, "expected real numbers, found dtype bool"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow")
def test_anything_else_is_refused_with_its_reason(output: object, said: str) -> None:
    with pytest.raises(InvalidOutputError, match=said):
        accept_prediction(output, PERTURBATIONS, GENES)


# What the models predict. Profiles of control and perturbations on the genes A, B, C and three that nobody targets:

PROFILES = {
    "ctrl": [1.0, 1, 1, 2, 3, 4],
    "A": [4.0, 1, 1, 3, 3, 4],
    "B": [1.0, 3, 1, 2, 5, 4],
    "A+B": [4.0, 3, 1, 3, 5, 6],
    "B+D": [1.0, 3, 1, 2, 3, 8],
}
PREDICT = ["A+C", "A+D", "B+A2", "C"]


def training(profiles: dict[str, list[float]] = PROFILES, **uns: object) -> ad.AnnData:
    """Four cells of each perturbation and twelve controls, which scatter around the profile and average to it."""
    rng = np.random.default_rng(0)
    cells, names = [], []
    for name, profile in profiles.items():
        n = 12 if name == "ctrl" else 4
        noise = rng.normal(size=(n, len(profile)))
        cells.append(np.array(profile) + noise - noise.mean(axis=0))
        names += [name] * n
    order = rng.permutation(len(names))
    adata = ad.AnnData(np.concatenate(cells)[order].astype(np.float32))
    adata.obs["perturbation"] = np.array(names)[order]
    adata.var_names = ["A", "B", "C", "x", "y", "z"]
    adata.uns = {"values": "log-normalised", "control": "ctrl", "joined_by": "+", "predict": PREDICT, **uns}
    return adata


def close(found: pd.DataFrame, expected: dict[str, list[float]]) -> None:
    assert list(found.columns) == ["A", "B", "C", "x", "y", "z"]
    assert sorted(found.index) == sorted(expected)
    for name, profile in expected.items():
        np.testing.assert_allclose(found.loc[name], profile, atol=1e-5, err_msg=name)


def test_no_change_is_the_mean_of_the_controls() -> None:
    close(models.no_change(training(), seed=0), dict.fromkeys(PREDICT, PROFILES["ctrl"]))


def test_the_mean_counts_each_perturbation_once_and_on_genes_that_it_does_not_target() -> None:
    """Effects on A: of B and B+D; on B: of A; on z: 0, 0, 2 and 4, a mean of 1.5 however many cells there are."""
    expected = [1, 1, 1, 2 + (1 + 0 + 1 + 0) / 4, 3 + (0 + 2 + 2 + 0) / 4, 4 + 1.5]
    adata = training()
    more = ad.concat([adata, adata[adata.obs["perturbation"] == "A"].copy()], uns_merge="first", index_unique="-")
    for shown in (adata, more):
        close(models.perturbation_mean(shown, seed=0), dict.fromkeys(PREDICT, expected))


def test_additive_is_the_sum_of_single_effects_and_predicts_nothing_else() -> None:
    predicted = models.additive(training(predict=[*PREDICT, "A+B"]), seed=0)
    close(predicted, {"A+B": [4, 3, 1, 3, 5, 4]})


def test_additive_without_any_complete_pair_predicts_nothing() -> None:
    predicted = models.additive(training(), seed=0)
    assert predicted.shape == (0, 6)
    with pytest.raises(InvalidOutputError, match="predicts none of the 4"):
        accept_prediction(predicted, PREDICT, predicted.columns.to_numpy(dtype=str))


def test_ridge_is_the_penalised_least_squares_solution() -> None:
    """The genes seen are A, B and D; D only together with B."""
    found = models.ridge(training(), seed=0, alpha=0.5)
    design = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 1, 1]], dtype=float)  # A, A+B, B, B+D
    effects = np.array([PROFILES[name] for name in ("A", "A+B", "B", "B+D")]) - PROFILES["ctrl"]
    centred, target = design - design.mean(axis=0), effects - effects.mean(axis=0)
    coefficients = np.linalg.solve(centred.T @ centred + 0.5 * np.eye(3), centred.T @ target)
    intercept = effects.mean(axis=0) - design.mean(axis=0) @ coefficients
    close(found, {"A+D": (PROFILES["ctrl"] + intercept + coefficients[0] + coefficients[2]).tolist()})


def test_ridge_without_a_known_gene_predicts_nothing() -> None:
    assert models.ridge(training(predict=["C", "A+C"]), seed=0, alpha=0.1).shape == (0, 6)


def test_a_large_penalty_leaves_the_mean_effect() -> None:
    found = models.ridge(training(), seed=0, alpha=1e9)
    mean = np.mean([PROFILES[name] for name in ("A", "A+B", "B", "B+D")], axis=0)
    np.testing.assert_allclose(found.loc["A+D"], mean, atol=1e-5)


TRUTH = {"ctrl": [0.0, 1, 1, 2, 3, 4], "C": [0.0, 0, 9, 2, 2, 2], "A+C": [7.0, 1, 9, 2, 3, 5]}


def with_truth() -> ad.AnnData:
    """What a control is shown: the hidden controls differ from those that a model sees."""
    seen, hidden = training(), training(TRUTH)
    both = ad.concat([seen, hidden], uns_merge="first", index_unique="-")
    both.obs["held_out"] = np.r_[np.zeros(seen.n_obs, dtype=bool), np.ones(hidden.n_obs, dtype=bool)]
    both.uns = {**seen.uns, "predict": ["A+C", "C"]}
    return both[np.random.default_rng(1).permutation(both.n_obs)].copy()


def test_the_measured_effect_is_added_to_the_controls_that_models_see() -> None:
    found = models.measured_effect(with_truth(), seed=0, noise=0.0)
    seen, hidden = np.array(PROFILES["ctrl"]), np.array(TRUTH["ctrl"])
    close(found, {name: (seen + TRUTH[name] - hidden).tolist() for name in ("A+C", "C")})


def test_the_measured_effect_has_noise_and_rows_in_any_order() -> None:
    exact, runs = models.measured_effect(with_truth(), seed=0, noise=0.0), []
    for seed in range(8):
        found = models.measured_effect(with_truth(), seed=seed, noise=0.01)
        runs.append(list(found.index))
        assert 0 < np.abs(found.loc[exact.index] - exact).to_numpy().max() < 0.06
    assert {tuple(order) for order in runs} == {("A+C", "C"), ("C", "A+C")}


def test_cells_that_are_marked_as_held_out_train_no_model() -> None:
    close(models.no_change(with_truth(), seed=0), dict.fromkeys(["A+C", "C"], PROFILES["ctrl"]))


def test_a_shuffled_effect_has_the_values_of_a_training_effect() -> None:
    effects = {tuple(np.round(np.sort(np.subtract(PROFILES[name], PROFILES["ctrl"])), 4)) for name in PROFILES}
    found = models.shuffled_effect(training(), seed=3) - PROFILES["ctrl"]
    drawn = {tuple(np.round(np.sort(row), 4) + 0.0) for row in found.to_numpy()}
    assert drawn <= effects
    again = models.shuffled_effect(training(), seed=3) - PROFILES["ctrl"]
    pd.testing.assert_frame_equal(found, again)
    assert not np.allclose(found, models.shuffled_effect(training(), seed=4) - PROFILES["ctrl"])


@pytest.mark.parametrize(
    "model",
    [models.no_change, models.perturbation_mean, models.additive, lambda a, seed: models.ridge(a, seed=seed, alpha=1)],
)
def test_these_models_use_no_seed(model: Callable[..., pd.DataFrame]) -> None:
    pd.testing.assert_frame_equal(model(training(), seed=1), model(training(), seed=2))


def test_counts_are_normalised_before_they_are_averaged() -> None:
    counts = np.random.default_rng(0).poisson(5.0, (28, 6)).astype(np.float32) + 1
    adata = training(values="counts")
    adata.X = counts
    logged = np.log1p(counts / counts.sum(axis=1, keepdims=True) * 1e4)
    control = logged[(adata.obs["perturbation"] == "ctrl").to_numpy()].mean(axis=0)
    np.testing.assert_allclose(models.no_change(adata, seed=0).iloc[0], control, rtol=1e-5)
