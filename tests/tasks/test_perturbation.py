"""Perturbation prediction as a whole: real models on a screen of known answer and on a measured one."""

from __future__ import annotations

import dataclasses
import gc
import json
import weakref
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from cellgauge.cards import DatasetCard, MetricCard, ModelCard, TaskCard
from cellgauge.cards.function import load_function
from cellgauge.cards.read import read_card
from cellgauge.data.content import read_content
from cellgauge.data.dataset import Dataset
from cellgauge.data.recipes.simulated_perturbation import simulated_perturbation
from cellgauge.data.screen import design, mean_profiles, training_file
from cellgauge.models.linear import log_normalised
from cellgauge.models.prediction import accept_prediction
from cellgauge.stats.jackknife import skewness_corrected_interval
from cellgauge.tasks.contract import Cells, Fit, NotApplicableError, UnscorableError
from cellgauge.tasks.effects import compare, nearer
from cellgauge.tasks.evaluate import Evaluation, evaluate
from cellgauge.tasks.measured import measure
from cellgauge.tasks.perturbation import prepare

PROJECT = Path(__file__).parents[2]
CARDS = PROJECT / "site_src"
TASK = read_card(CARDS / "tasks/perturbation.md", TaskCard)
KEYS = [ref.key for ref in TASK.scores]
PARAMS = TASK.protocol.params
PREDICTED: dict[tuple[str, str, str, int], np.ndarray] = {}
MODELS = ("no-change", "perturbation-mean", "additive", "perturbation-ridge", "measured-effect", "shuffled-effect")


@pytest.fixture(scope="module")
def simulated(made: Callable[[str], Dataset]) -> Dataset:
    return made("simulated-perturbation")


@pytest.fixture(scope="module")
def norman(downloaded: Callable[[str], Dataset]) -> Dataset:
    return downloaded("norman-2019-subset")


@pytest.fixture(params=["simulated", "norman"])
def either(request: pytest.FixtureRequest) -> Dataset:
    return request.getfixturevalue(request.param)


@lru_cache
def model(name: str) -> tuple[ModelCard, Callable[..., pd.DataFrame]]:
    card = read_card(CARDS / f"models/{name}.md", ModelCard)
    return card, load_function(card.obtain.function, CARDS / f"models/{name}.md")


def predict(name: str, dataset: Dataset, seed: int) -> np.ndarray:
    """What a run gets from a model: shown its file, called by its card, accepted."""
    key = (name, dataset.digest, dataset.card.digest, seed)
    if key not in PREDICTED:
        card, function = model(name)
        shown = training_file(dataset, seed, with_held_out=card.input.held_out)
        output = function(shown, seed=seed, **card.obtain.params)
        PREDICTED[key] = accept_prediction(output, shown.uns["predict"], dataset.feature_ids)
    return PREDICTED[key].copy()


def fit_of(prediction: np.ndarray, dataset: Dataset, seed: int = 42, keys: list[str] = KEYS, **params: Any) -> Fit:
    return prepare(prediction, Cells(dataset.columns, dataset), {**PARAMS, **params}, keys)(seed)


def values_of(fit: Fit) -> dict[str, float]:
    scores = fit.scores(np.ones((1, len(fit.strata)), dtype=np.float32))
    return {key: float(value[0]) for key, value in scores.items()}


def score(name: str, dataset: Dataset, seed: int = 42, **params: Any) -> dict[str, float]:
    return values_of(fit_of(predict(name, dataset, seed), dataset, seed, **params))


def evaluated(name: str, dataset: Dataset) -> Evaluation:
    outputs = {seed: predict(name, dataset, seed) for seed in TASK.protocol.seeds}
    return evaluate(TASK, prepare, outputs, Cells(dataset.columns, dataset), dataset.digest)


# Controls and baselines are where their cards say.


def test_the_right_answer_comes_first_by_every_metric_and_shuffled_effects_come_last_of_the_two(either) -> None:
    scores = {name: score(name, either) for name in MODELS}
    for ref in TASK.scores:
        metric = read_card(CARDS / f"metrics/{ref.metric}.md", MetricCard)
        (best,), (worst,) = metric.controls.best, metric.controls.worst
        if ref.key not in scores[best]:
            assert ref.key not in scores[worst]  # too few genes respond in the small measured set
            continue
        sign = 1 if metric.direction == "higher" else -1
        others = [sign * scores[name][ref.key] for name in MODELS if name != best and ref.key in scores[name]]
        assert sign * scores[best][ref.key] >= max(others), ref.key
        assert sign * scores[best][ref.key] > sign * scores[worst][ref.key], ref.key


def test_shuffled_effects_score_chance(simulated: Dataset) -> None:
    scores = [score("shuffled-effect", simulated, seed) for seed in TASK.protocol.seeds]
    mean = {key: np.mean([one[key] for one in scores]) for key in KEYS}
    assert mean["pearson-delta"] == pytest.approx(0, abs=0.02)
    assert mean["spearman-lfc"] == pytest.approx(0, abs=0.02)
    assert mean["perturbation-discrimination"] == pytest.approx(0.5, abs=0.03)
    nothing = score("no-change", simulated)
    assert mean["jaccard-top-de"] == pytest.approx(nothing["jaccard-top-de"], abs=0.01)
    assert mean["delta-mse"] > nothing["delta-mse"]


def test_no_change_has_no_correlations_and_the_training_mean_no_deviation(either: Dataset) -> None:
    nothing, mean = (fit_of(predict(name, either, 42), either) for name in ("no-change", "perturbation-mean"))
    n = len(design(either).held_out)
    assert nothing.undefined["pearson-delta"] == (
        f"in {n} of {n} perturbations it predicts the same effect for every gene, which leaves nothing to correlate"
    )
    assert "the same fold change for every gene" in nothing.undefined["spearman-lfc"]
    assert "the same deviation from the training mean" in mean.undefined["pearson-deviation"]
    assert {"pearson-deviation", "delta-mse", "jaccard-top-de"} <= set(values_of(nothing))
    assert {"pearson-delta", "spearman-lfc", "delta-mse"} <= set(values_of(mean))
    for fit in (nothing, mean):
        assert values_of(fit)["perturbation-discrimination"] == pytest.approx(0.5)
        assert values_of(fit)["perturbation-discrimination@pair-2"] == pytest.approx(0.5)


def test_baselines_of_pairs_beat_the_mean_where_both_genes_were_seen(either: Dataset) -> None:
    mean, *others = (score(name, either) for name in ("perturbation-mean", "additive", "perturbation-ridge"))
    for one in others:
        assert one["pearson-delta@pair-2"] > mean["pearson-delta@pair-2"] + 0.1
        assert one["delta-mse@pair-2"] < mean["delta-mse@pair-2"]
        assert one["perturbation-discrimination@pair-2"] > 0.85


def test_added_effects_are_exact_for_additive_pairs_and_tell_synergy_from_buffering(simulated: Dataset) -> None:
    """Against the effects that were put into the simulation, and against what was measured of them."""
    known = simulated_perturbation(seed=1)
    kinds, effects = known.uns["perturbations"]["kind"], known.varm["effect"]
    measured, held_out = measure(simulated, 42, PARAMS), design(simulated).held_out
    prediction = predict("additive", simulated, 42)
    slopes: dict[str, list[float]] = {}
    for row in np.flatnonzero(np.isfinite(prediction).all(axis=1)):
        genes = measured.scored[row]
        added = (prediction[row] - measured.seen_control)[genes]
        true = effects[held_out[row]].to_numpy()[genes]
        assert np.corrcoef(added, true)[0, 1] > 0.92
        found = (measured.truth[row] - measured.control)[genes]
        slopes.setdefault(kinds[held_out[row]], []).append(added @ found / (added @ added))
        if kinds[held_out[row]] == "additive":
            assert np.polyfit(true, added, 1)[0] == pytest.approx(1, abs=0.06)
    assert {kind: len(found) for kind, found in slopes.items()} == {"additive": 6, "synergy": 2, "buffering": 2}
    assert max(slopes["buffering"]) < 0.6 < min(slopes["additive"]) < max(slopes["additive"]) < 1.1
    assert min(slopes["synergy"]) > 1.1


# Precautions.


def test_controls_that_serve_as_truth_would_raise_the_baseline_if_a_model_saw_them(norman: Dataset) -> None:
    """With 100 control cells the correlation of the mean baseline more than doubles."""
    hidden, shared = [], []
    for seed in TASK.protocol.seeds:
        prediction = predict("perturbation-mean", norman, seed).astype(float)
        measured = measure(norman, seed, PARAMS)
        leaking = dataclasses.replace(measured, control=measured.seen_control)
        hidden.append(compare(prediction, measured, PARAMS)["pearson-delta"].values.mean())
        shared.append(compare(prediction, leaking, PARAMS)["pearson-delta"].values.mean())
    assert np.mean(hidden) < 0.25
    assert np.mean(shared) > 0.35


def small_screen(seed: int, n_controls: int, *, effect: float) -> Dataset:
    """Twelve perturbations of which six are held out; whatever they do, each does to genes of its own."""
    rng = np.random.default_rng(seed)
    names = [f"p{number:02d}" for number in range(12)]
    rate = rng.gamma(2.0, 1.0, 60) + 0.5
    change = np.where(rng.random((12, 60)) < 0.2, effect, 0.0)
    means = np.concatenate([np.tile(rate, (n_controls, 1)), np.repeat(rate * np.exp(change), 20, axis=0)])
    matrix = sparse.csr_matrix(rng.poisson(means).astype(np.float32))
    columns = {"perturbation": np.array(["control"] * n_controls + [name for name in names for _ in range(20)])}
    ids = np.array([f"c{number}" for number in range(matrix.shape[0])])
    genes = np.array([f"g{number:02d}" for number in range(60)])
    simulated = read_card(CARDS / "datasets/simulated-perturbation.md", DatasetCard)
    split = simulated.split.model_copy(update={"test": names[::2]})
    card = simulated.model_copy(update={"id": "small", "split": split})
    return Dataset(card, matrix, ids, genes, columns, None, read_content(matrix, ids, genes, columns))


def test_where_nothing_happens_only_a_leak_makes_the_baseline_look_good() -> None:
    """No perturbation does anything: hidden controls give correlations around 0, shared ones far above."""
    hidden, shared = [], []
    for seed in range(8):
        dataset = small_screen(seed, 40, effect=0.0)
        prediction = predict("perturbation-mean", dataset, 42).astype(float)
        measured = measure(dataset, 42, PARAMS)
        leaking = dataclasses.replace(measured, control=measured.seen_control)
        hidden.append(compare(prediction, measured, PARAMS)["pearson-delta"].values.mean())
        shared.append(compare(prediction, leaking, PARAMS)["pearson-delta"].values.mean())
    assert abs(np.mean(hidden)) < 0.1
    assert np.mean(shared) > 0.3


def test_training_perturbations_among_the_candidates_would_move_chance_away_from_one_half(simulated: Dataset) -> None:
    held = design(simulated)
    measured = measure(simulated, 42, PARAMS)
    cells = log_normalised(simulated.for_model([])).X
    training = mean_profiles(cells, (np.flatnonzero(held.of_cell == name) for name in held.training))
    more = dataclasses.replace(
        measured,
        truth=np.concatenate([measured.truth, training]),
        targeted=np.concatenate([measured.targeted, np.zeros(training.shape, dtype=bool)]),
    )
    nothing = np.full((len(more.truth), training.shape[1]), np.nan)
    nothing[: len(held.held_out)] = measured.seen_control
    assert np.nanmean(nearer(nothing, more)) < 0.45
    assert np.nanmean(nearer(nothing[: len(held.held_out)], measured)) == pytest.approx(0.5)


def test_the_truth_is_the_other_half_of_the_cells(simulated: Dataset) -> None:
    measured, held = measure(simulated, 42, PARAMS), design(simulated)
    raw = simulated.matrix.toarray().astype(np.float64)
    logged = np.log1p(raw / raw.sum(axis=1, keepdims=True) * 1e4)
    dealt = held.halves(42)
    for row, name in enumerate(held.held_out):
        np.testing.assert_allclose(measured.truth[row], logged[dealt[name].truth].mean(axis=0), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(
            measured.repeat[row], logged[dealt[name].selection].mean(axis=0), rtol=1e-4, atol=1e-5
        )
    np.testing.assert_allclose(measured.control, logged[dealt["control"].truth].mean(axis=0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(measured.seen_control, logged[dealt["control"].selection].mean(axis=0), rtol=1e-4)
    by_name = [logged[held.of_cell == name].mean(axis=0) for name in held.training]
    untargeted = [gene for gene, id_ in enumerate(simulated.feature_ids) if int(id_[3:]) > 16]
    np.testing.assert_allclose(
        measured.training_mean[untargeted], np.mean(by_name, axis=0)[untargeted], rtol=1e-4, atol=1e-5
    )


def test_genes_are_chosen_without_the_cells_that_serve_as_truth(simulated: Dataset) -> None:
    held = design(simulated)
    truth = np.concatenate([halves.truth for halves in held.halves(42).values()])
    matrix = simulated.matrix.toarray()
    matrix[truth] = matrix[truth][:, ::-1]
    changed = dataclasses.replace(simulated, matrix=sparse.csr_matrix(matrix))
    one = measure(simulated, 42, PARAMS)
    other = measure(changed, 42, {**PARAMS, "n_top_genes": 19})  # another key, so that nothing is remembered
    assert not np.allclose(one.truth, other.truth)
    np.testing.assert_array_equal(one.n_responding, other.n_responding)
    for mine, theirs in zip(one.top, other.top, strict=True):
        np.testing.assert_array_equal(mine[:19], theirs)


def test_targeted_and_rarely_detected_genes_are_not_scored(norman: Dataset, simulated: Dataset) -> None:
    found, held = measure(norman, 42, PARAMS), design(norman)
    assert found.detected.sum() == 56
    (gene,) = np.flatnonzero(norman.feature_ids == "TMSB4X")
    assert found.targeted[:, gene].tolist() == [name == "TMSB4X" for name in held.held_out]
    assert found.targeted.sum() == 1
    hit = measure(simulated, 42, PARAMS).targeted
    for row, name in enumerate(design(simulated).held_out):
        assert set(simulated.feature_ids[hit[row]]) == set(name.split("+"))


def test_genes_that_nobody_detects_change_no_score(simulated: Dataset) -> None:
    """The halves depend on the digest of the cells; it is kept, so that the same cells are compared."""
    silent = sparse.csr_matrix((simulated.n_cells, 3), dtype=np.float32)
    matrix = sparse.hstack([silent, simulated.matrix], format="csr")
    genes = np.concatenate([["SILENT1", "SILENT2", "SILENT3"], simulated.feature_ids])
    content = read_content(matrix, simulated.cell_ids, genes, simulated.columns)
    content = dataclasses.replace(content, digest=simulated.digest)
    card = simulated.card.model_copy(update={"version": 2})
    wider = dataclasses.replace(simulated, card=card, matrix=matrix, feature_ids=genes, content=content)
    for name in ("perturbation-mean", "additive"):
        one, other = score(name, simulated), score(name, wider)
        assert one == pytest.approx(other, rel=1e-5)


# What has no value, and why.


def test_a_model_that_leaves_out_perturbations_is_scored_where_it_predicts_all(simulated: Dataset) -> None:
    fit = fit_of(predict("additive", simulated, 42), simulated)
    assert set(values_of(fit)) == {key for key in KEYS if key.endswith("@pair-2")}
    assert fit.undefined["pearson-delta"] == "it predicts 10 of 38 held-out perturbations"
    assert fit.undefined["pearson-delta@pair-1"] == "it predicts 0 of 12 held-out perturbations of this kind"
    prediction = predict("perturbation-mean", simulated, 42)
    prediction[design(simulated).held_out.index("SIM017")] = np.nan
    fit = fit_of(prediction, simulated)
    assert fit.undefined["delta-mse"] == "it predicts 37 of 38 held-out perturbations"
    assert fit.undefined["delta-mse@unseen-single"] == "it predicts 7 of 8 held-out perturbations of this kind"
    assert fit.undefined["pearson-deviation@pair-2"].startswith("in 10 of 10 perturbations it predicts the same")
    assert "delta-mse@pair-0" in values_of(fit)


def test_one_flat_prediction_leaves_the_mean_correlation_without_a_value(simulated: Dataset) -> None:
    prediction = predict("perturbation-mean", simulated, 42)
    row = design(simulated).held_out.index("SIM017")
    prediction[row] = predict("no-change", simulated, 42)[row]
    fit = fit_of(prediction, simulated)
    assert fit.undefined["pearson-delta"].startswith("in 1 of 38 perturbations it predicts the same effect")
    assert fit.undefined["pearson-delta@unseen-single"].startswith("in 1 of 8 perturbations")
    assert "pearson-delta@pair-0" in values_of(fit)


def test_too_few_responding_genes_leave_the_top_20_without_a_value(norman: Dataset) -> None:
    fit = fit_of(predict("perturbation-mean", norman, 42), norman)
    for key in ("pearson-delta-top20", "delta-mse-top20"):
        assert fit.undefined[key] == (
            "it needs perturbations with 20 responding genes at a false discovery rate of 0.05; "
            f"of 21 held out none has more than {measure(norman, 42, PARAMS).n_responding.max()}"
        )
    assert measure(norman, 42, PARAMS).n_responding.max() < 20


def test_perturbations_with_too_few_responding_genes_have_no_part_in_the_top_20(simulated: Dataset) -> None:
    strict = {"false_discovery_rate": 1e-6}
    prediction = predict("perturbation-mean", simulated, 42)
    fit = fit_of(prediction, simulated, **strict)
    enough = measure(simulated, 42, {**PARAMS, **strict}).n_responding >= 20
    assert 0 < enough.sum() < 38
    np.testing.assert_array_equal(fit.counted["delta-mse-top20"], enough)
    assert fit.counted["delta-mse"].all()
    every = compare(prediction.astype(float), measure(simulated, 42, {**PARAMS, **strict}), PARAMS)["delta-mse-top20"]
    assert values_of(fit)["delta-mse-top20"] == pytest.approx(np.mean(every.values[enough]))


def test_a_kind_that_is_not_held_out_says_so() -> None:
    dataset = small_screen(0, 40, effect=1.0)
    fit = fit_of(predict("perturbation-mean", dataset, 42), dataset)
    assert fit.undefined["pearson-delta@pair-0"] == "no perturbation of this kind is held out"
    assert values_of(fit)["pearson-delta"] == values_of(fit)["pearson-delta@unseen-single"]


def test_one_perturbation_cannot_be_told_from_others(simulated: Dataset) -> None:
    keep = ["SIM001+SIM016", "SIM017", "SIM018"]
    split = simulated.card.split.model_copy(update={"test": keep})
    dataset = dataclasses.replace(simulated, card=simulated.card.model_copy(update={"split": split}))
    fit = fit_of(predict("perturbation-mean", dataset, 42), dataset)
    assert fit.undefined["perturbation-discrimination@pair-2"] == (
        "one perturbation of this kind is held out, and there is no other to tell it from"
    )
    assert values_of(fit)["perturbation-discrimination"] == pytest.approx(0.5)


def test_lists_longer_than_the_genes_have_no_value(norman: Dataset) -> None:
    fit = fit_of(predict("perturbation-mean", norman, 42), norman, jaccard_genes=56)
    assert fit.undefined["jaccard-top-de"] == "a list of 56 genes says nothing where 56 are scored"


def test_data_without_a_screen_or_without_expression_are_refused(simulated: Dataset) -> None:
    prediction = predict("no-change", simulated, 42)
    with pytest.raises(UnscorableError, match="expression, which is not at hand"):
        prepare(prediction, Cells(simulated.columns), PARAMS, KEYS)
    for update, said in (
        ({"split": None}, "expected a split by perturbation"),
        ({"matrix": simulated.card.matrix.model_copy(update={"values": "scaled"})}, "the dataset has scaled values"),
        ({"split": simulated.card.split.model_copy(update={"test": ["SIM017"]})}, "at least two are needed"),
    ):
        other = dataclasses.replace(simulated, card=simulated.card.model_copy(update=update))
        with pytest.raises(NotApplicableError, match=said):
            prepare(prediction, Cells(other.columns, other), PARAMS, KEYS)


# Intervals and details.


def test_the_interval_leaves_out_one_perturbation_at_a_time(simulated: Dataset) -> None:
    """Of a mean over perturbations, each left out is the mean of the others."""
    found = evaluated("perturbation-mean", simulated)
    assert (found.method, found.group, found.undefined.keys()) == (
        "jackknife",
        "perturbation",
        {key for key in KEYS if key.startswith("pearson-deviation")},
    )
    for key, n in (("pearson-delta", 38), ("delta-mse@pair-2", 10), ("pearson-delta@unseen-single", 8)):
        position = found.keys.index(key)
        assert found.n_units[position] == found.n_groups[position] == n
        metric = key.partition("@")[0]
        by_seed = np.array(
            [
                compare(
                    predict("perturbation-mean", simulated, seed).astype(float),
                    measure(simulated, seed, PARAMS),
                    PARAMS,
                )[metric].values
                for seed in TASK.protocol.seeds
            ]
        )
        kinds = np.array([design(simulated).kind(name) for name in design(simulated).held_out])
        units = by_seed[:, kinds == key.partition("@")[2]] if "@" in key else by_seed
        without = (units.sum(axis=1) - units.T) / (n - 1)
        expected = skewness_corrected_interval(units.mean(axis=1), without, n, 0.95)
        np.testing.assert_allclose(found.interval(position, 0.95), expected, rtol=1e-3)


def test_kinds_with_fewer_than_six_perturbations_are_points_only(norman: Dataset) -> None:
    found = evaluated("perturbation-mean", norman)
    kinds = [design(norman).kind(name) for name in design(norman).held_out]
    intervals = {key: found.interval(position, 0.95) for position, key in enumerate(found.keys)}
    for kind in ("unseen-single", "pair-0", "pair-1", "pair-2"):
        assert (intervals[f"delta-mse@{kind}"] is None) == (kinds.count(kind) < 6), kind
    assert intervals["pearson-delta"] is not None
    assert kinds.count("pair-1") == 3
    assert kinds.count("pair-2") == 5


def test_models_of_a_screen_may_be_paired(norman: Dataset) -> None:
    assert len({evaluated(name, norman).stream for name in ("perturbation-mean", "additive")}) == 1


def test_a_model_without_a_seed_still_has_each_seeds_own_controls(norman: Dataset) -> None:
    one, other = (predict("no-change", norman, seed) for seed in (42, 43))
    assert not np.allclose(one, other)


def test_details_say_what_was_held_out_and_found(simulated: Dataset) -> None:
    details = evaluated("additive", simulated).details
    json.dumps(details, allow_nan=False)
    assert details["held_out"] == {"pair-0": 8, "pair-1": 12, "pair-2": 10, "unseen-single": 8}
    assert (details["n_genes_scored"], details["n_genes_too_rarely_detected"]) == (400, 0)
    assert (details["n_targeted_genes"], details["n_targeted_genes_measured"]) == (40, 40)
    assert details["n_training_perturbations"] == 26
    assert details["perturbations"][0] == {"perturbation": "SIM001+SIM016", "kind": "pair-2", "cells": 35}
    assert len(details["by_seed"]) == len(TASK.protocol.seeds)
    for one in details["by_seed"]:
        assert len(one["responding_genes"]) == 38
        assert len(one["pearson_delta"]) == len(one["delta_mse"]) == 10


def test_what_was_removed_or_left_out_is_said(simulated: Dataset) -> None:
    split = simulated.card.split.model_copy(update={"test": ["SIM001", "SIM017", "SIM018"]})
    few = np.flatnonzero(simulated.columns["perturbation"] == "SIM018")[3:]
    kept = np.setdiff1d(np.arange(simulated.n_cells), few)
    dataset = dataclasses.replace(
        simulated,
        card=simulated.card.model_copy(update={"split": split}),
        matrix=simulated.matrix[kept],
        cell_ids=simulated.cell_ids[kept],
        columns={role: values[kept] for role, values in simulated.columns.items()},
    )
    details = fit_of(predict("no-change", dataset, 42), dataset).details
    assert details["removed_from_training"] == [
        "SIM001+SIM002",
        "SIM001+SIM006",
        "SIM001+SIM016",
        "SIM001+SIM017",
        "SIM002+SIM018",
    ]
    assert details["too_few_cells"] == {"SIM018": 3}


def test_the_agreement_of_halves_is_that_of_a_model_that_returns_the_other_half(simulated: Dataset) -> None:
    measured = measure(simulated, 42, PARAMS)
    fit = fit_of(measured.repeat.astype(np.float32), simulated)
    agreement = fit.details["replicate_agreement"]
    assert set(agreement) == {key for key in KEYS if "top20" not in key}
    values = values_of(fit)
    assert agreement == pytest.approx({key: values[key] for key in agreement}, rel=1e-3)
    assert 0.7 < agreement["pearson-delta"] < 0.95


def test_what_was_measured_is_remembered_without_keeping_the_cells() -> None:
    dataset = small_screen(3, 40, effect=1.0)
    one = measure(dataset, 42, PARAMS)
    assert measure(dataset, 42, PARAMS) is one
    assert measure(dataset, 43, PARAMS) is not one
    assert measure(dataset, 42, {**PARAMS, "min_detected": 0.5}) is not one
    alive = weakref.ref(dataset)
    del dataset
    gc.collect()
    assert alive() is None
