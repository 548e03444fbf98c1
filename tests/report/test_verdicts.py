"""The sentence on top of a task's page follows from the replicates alone."""

from __future__ import annotations

import numpy as np
import pytest

from cellgauge.cards import Project
from cellgauge.report.comparison import TaskComparison, compare_task
from cellgauge.report.ranked_words import how_ranked
from cellgauge.report.release import load_release

PBMC, TOY = "pbmc68k-reduced", "toy-blood"


def compare(project: Project, task: str = "clustering") -> TaskComparison:
    view = load_release(project, None)
    return compare_task(view, view.cards.tasks[task])


def add(release, values, dataset=PBMC, **more):
    for model, value in values.items():
        release.add("clustering", dataset, model, value, noise=0.002, **more)


def test_some_models_are_better(release):
    add(release, {"pca": 0.5, "svd": 0.56, "nmf": 0.5, "raw-expression": 0.4, "oracle": 0.99, "random": 0.0})
    comparison = compare(release.finish())
    verdict = comparison.verdict()
    assert verdict.sentence == (
        "1 of 3 models is better than PCA on cell clustering: Truncated SVD, by +0.060; 1 is worse."
    )
    assert verdict.basis.startswith(
        "Adjusted Rand index; 95 % paired intervals, Holm-adjusted; difference +0.060 [+0.05"
    )
    assert verdict.basis.endswith("]; one dataset: the order of models is descriptive")
    words = {row.model.id: row.word for row in comparison.datasets[0].rows}
    assert words == {
        "svd": "better", "pca": None, "nmf": "not separated", "raw-expression": "worse", "oracle": None, "random": None,
    }  # fmt: skip


def test_rows_stand_from_best_to_worst_and_controls_below(release):
    add(release, {"pca": 0.5, "svd": 0.56, "nmf": 0.3, "oracle": 0.99, "random": 0.0})
    (one,) = compare(release.finish()).datasets
    assert [row.model.id for row in one.rows] == ["svd", "pca", "nmf", "oracle", "random"]


def test_no_model_is_separated(release):
    add(release, {"pca": 0.5, "svd": 0.5, "nmf": 0.5})
    sentence = compare(release.finish()).verdict().sentence
    assert sentence == "None of 2 models could be told apart from PCA on cell clustering."


def test_none_better_and_some_worse(release):
    add(release, {"pca": 0.5, "svd": 0.5, "nmf": 0.4})
    sentence = compare(release.finish()).verdict().sentence
    assert sentence == "None of 2 models is better than PCA on cell clustering; 1 is worse."


def test_all_are_better_or_worse(release):
    add(release, {"pca": 0.5, "svd": 0.6, "nmf": 0.7})
    assert compare(release.finish()).verdict().sentence == "Both models are better than PCA on cell clustering."
    add(release, {"svd": 0.3, "nmf": 0.2})
    assert compare(release.finish()).verdict().sentence == "Both models are worse than PCA on cell clustering."


def test_a_single_model(release):
    add(release, {"pca": 0.5, "svd": 0.6})
    sentence = compare(release.finish()).verdict().sentence
    assert sentence == "Truncated SVD, the only model compared, is better than PCA on cell clustering, by +0.100."


def test_simulated_data_never_count(release):
    add(release, {"pca": 0.5, "svd": 0.5, "nmf": 0.5})
    add(release, {"pca": 0.5, "svd": 0.9, "nmf": 0.9}, dataset=TOY)
    comparison = compare(release.finish())
    assert comparison.verdict().sentence == "None of 2 models could be told apart from PCA on cell clustering."
    assert "1 simulated dataset shown apart and not counted" in comparison.verdict().basis
    assert [one.dataset.evidence for one in comparison.datasets] == ["measured", "simulated"]


def test_only_simulated_data_say_so(release):
    add(release, {"pca": 0.5, "svd": 0.9, "nmf": 0.5}, dataset=TOY)
    verdict = compare(release.finish()).verdict()
    assert verdict.sentence == (
        "1 of 2 models is better than PCA on cell clustering in simulated data: Truncated SVD, by +0.400."
    )
    assert verdict.basis.endswith("simulated data only")


def test_datasets_of_one_study_count_as_one(release, edit):
    edit("site_src/datasets/toy-blood.md", "evidence: simulated", "evidence: measured")
    release.__init__(release.project)  # the cards have changed
    add(release, {"pca": 0.5, "svd": 0.9, "nmf": 0.5})
    add(release, {"pca": 0.5, "svd": 0.9, "nmf": 0.9}, dataset=TOY)
    verdict = compare(release.finish()).verdict()
    assert verdict.sentence == ("Better than PCA on cell clustering: Truncated SVD on 2 of 2 datasets and NMF on 1.")
    assert "2 datasets of 1 independent study: the order of models is descriptive" in verdict.basis


def test_other_resamples_are_not_comparable(release):
    add(release, {"pca": 0.5, "nmf": 0.5})
    add(release, {"svd": 0.9}, stream="another")
    (one,) = compare(release.finish()).datasets
    row = one.row("svd")
    assert row.difference is None
    assert row.word is None
    assert row.note == "not comparable: it was not evaluated on the baseline's resamples"
    assert compare(release.project).verdict().sentence.startswith("NMF, the only model compared, could not be told")


def test_without_the_baseline_nothing_is_said(release):
    add(release, {"svd": 0.9})
    release.add_empty("clustering", PBMC, "pca", "failed", "it broke")
    verdict = compare(release.finish()).verdict()
    assert verdict.text == "Nothing to compare yet: the baseline, PCA, has no result."


def test_only_controls(release):
    add(release, {"pca": 0.5, "random": 0.0})
    verdict = compare(release.finish()).verdict()
    assert verdict.text == "Nothing to compare yet: only the baseline and controls have results."


def test_bug_a_model_was_said_to_be_better_on_few_of_datasets_that_it_was_never_tried_on(other_blood, release):
    add(release, {"pca": 0.5, "svd": 0.6, "nmf": 0.6})
    add(release, {"pca": 0.5, "svd": 0.6}, dataset="other-blood")
    verdict = compare(release.finish()).verdict()
    assert verdict.sentence == (
        "Better than PCA on cell clustering: Truncated SVD on 2 of 2 datasets and NMF on 1 of 1."
    )


def test_a_value_in_a_part_of_the_task_is_named(release):
    release.add("classification", PBMC, "pca", 0.5)
    for model in ("svd", "nmf"):
        release.add("classification", PBMC, model, 0.6, without=["macro-f1@logistic-regression", "macro-f1@knn"])
    release.add("classification", PBMC, "raw-expression", 0.6, without=["macro-f1@logistic-regression"])
    verdict = compare(release.finish(), "classification").verdict()
    assert verdict.text == (
        "Nothing to compare yet: no model has a value of the primary score, Macro F1, Logistic regression; "
        "Raw expression has one in “5 nearest neighbours”; NMF, Raw expression and Truncated SVD have one in "
        "“Random forest”."
    )


def test_no_results(project, release):
    release.finish()
    assert compare(project).verdict().text == "No results yet: no evaluation has been run."


def test_a_task_without_an_implementation_is_planned(project, release, edit):
    release.finish()
    edit("site_src/tasks/clustering.md", "implementation: cellgauge.tasks.clustering:prepare\n", "")
    assert "this task is planned" in compare(project, "clustering").verdict().text


def test_only_empties(release):
    release.add_empty("clustering", PBMC, "pca", "timeout", "600 s")
    verdict = compare(release.finish()).verdict()
    assert verdict.text == "No results yet: every evaluation so far is without scores."


def test_how_it_is_ranked_quotes_what_the_results_used(release):
    add(release, {"pca": 0.5, "svd": 0.6, "nmf": 0.5, "random": 0.0})
    comparison = compare(release.finish())
    text = " ".join(how_ranked(comparison))
    protocol = comparison.task.protocol
    assert protocol.replicates == 4000
    assert "the same 400 resamples" in text, "not the card's number: the results have 400"
    assert f"protocol version {protocol.version}" in text
    assert "(42, 43, 44, 45, 46)" in text
    assert "(here 2)" in text, "controls and the baseline are not among those compared"


def test_removing_a_model_changes_no_score(release):
    values = {"pca": 0.5, "svd": 0.52, "nmf": 0.5, "raw-expression": 0.49}
    add(release, values)
    before = {row.model.id: row.score for row in compare(release.finish()).datasets[0].rows}
    (release.folder / "clustering" / PBMC / "nmf.json").unlink()
    after = {row.model.id: row.score for row in compare(release.project).datasets[0].rows}
    assert after == {id_: score for id_, score in before.items() if id_ != "nmf"}


def test_a_bound_that_decides_never_reads_as_zero(release):
    for model, value in {"pca": 0.5, "svd": 0.5002, "nmf": 0.5}.items():
        release.add("clustering", PBMC, model, value, noise=0.00002)
    (one,) = compare(release.finish()).datasets
    assert one.row("svd").word == "slightly better"
    assert one.decimals == 4


def sentence_of(release, values):
    add(release, values)
    return compare(release.finish()).verdict().sentence


def test_models_that_gave_no_scores_are_counted(release):
    for model, status in {"nmf": "timeout", "raw-expression": "out_of_memory"}.items():
        release.add_empty("clustering", PBMC, model, status, "it ended")
    release.add_empty("clustering", PBMC, "oracle", "failed", "a control is no model")
    assert sentence_of(release, {"pca": 0.5, "svd": 0.5}) == (
        "Truncated SVD, the only model compared, could not be told apart from PCA on cell clustering; "
        "2 more gave no scores."
    )


def test_what_does_not_apply_is_no_failure(release):
    release.add_empty("clustering", PBMC, "nmf", "not_applicable", "it takes counts")
    assert "no scores" not in sentence_of(release, {"pca": 0.5, "svd": 0.5})


def test_better_and_worse_are_both_said(release):
    models = {"pca": 0.5, "svd": 0.6, "nmf": 0.573, "raw-expression": 0.4}
    assert sentence_of(release, models) == "2 of 3 models are better than PCA on cell clustering and 1 is worse."
    assert "largest difference +0.100" in compare(release.project).verdict().basis


def test_a_certain_difference_that_is_too_small_to_matter_is_called_so(release):
    for model, value in {"pca": 0.5, "svd": 0.5002, "nmf": 0.5}.items():
        release.add("clustering", PBMC, model, value, noise=0.00002)
    assert compare(release.finish()).verdict().sentence == (
        "None of 2 models is better than PCA on cell clustering by an amount that matters; "
        "1 is slightly better (by less than 0.02, too small to matter)."
    )


def test_a_gain_in_mixing_that_costs_conservation_is_not_called_better(release):
    """On real data random numbers mix best: a gain counts only where ARI is not worse by its margin."""
    mixing = {"pca": 0.2, "svd": 0.5, "nmf": 0.5}
    conserved = {"pca": 0.8, "svd": 0.79, "nmf": 0.5}
    for model, value in mixing.items():
        release.add(
            "batch-integration", PBMC, model, value, scores={"adjusted-rand-index@best-resolution": conserved[model]}
        )
    comparison = compare(release.finish(), "batch-integration")
    (one,) = comparison.datasets
    assert {row.model.id: row.word for row in one.judged} == {"svd": "better", "nmf": "in doubt"}
    assert one.row("nmf").guarded.value == pytest.approx(-0.3)
    assert "1 gains in Entropy, but ARI is not shown to be kept" in comparison.verdict().sentence
    assert "the interval of that difference has to lie above −0.05" in " ".join(how_ranked(comparison))


def test_a_slight_gain_in_mixing_that_costs_conservation_is_in_doubt_too(release):
    """A bug: below the size that matters the guard was not asked, and the model could be ranked first."""
    for model, mixing, conserved in (("pca", 0.2, 0.8), ("svd", 0.215, 0.5), ("nmf", 0.215, 0.8)):
        scores = {"adjusted-rand-index@best-resolution": conserved}
        release.add("batch-integration", PBMC, model, mixing, noise=0.0005, scores=scores)
    comparison = compare(release.finish(), "batch-integration")
    (one,) = comparison.datasets
    assert {row.model.id: row.word for row in one.judged} == {"svd": "in doubt", "nmf": "slightly better"}
    assert one.row("svd").ranks is None
    assert (one.row("nmf").ranks.best, one.row("nmf").ranks.worst) == (1, 1)
    assert "not shown to keep Adjusted Rand index have no rank" in " ".join(how_ranked(comparison))


def test_a_demonstration_makes_no_headline(release, edit, project):
    edit("site_src/datasets/pbmc68k-reduced.md", "evidence: measured\n", "evidence: measured\ndemonstration: Small.\n")
    add(release, {"pca": 0.5, "svd": 0.9})
    verdict = compare(release.finish()).verdict()
    assert verdict.sentence.endswith("on cell clustering in a demonstration, by +0.400.")
    assert "a demonstration only" in verdict.basis


def test_a_jackknife_is_paired_group_by_group(release):
    """The difference of two jackknifed scores has the interval of the jackknifed difference."""
    left_out = np.linspace(-0.02, 0.02, 8)[:, None] + np.zeros((8, 5))
    for model, value in {"pca": 0.5, "svd": 0.6, "nmf": 0.502}.items():
        wobble = 0.01 * np.cos(np.arange(8))[:, None] if model == "nmf" else 0.0
        release.add_jackknife("clustering", PBMC, model, value, left_out + wobble)
    (one,) = compare(release.finish()).datasets
    assert (one.row("svd").word, one.row("nmf").word) == ("better", "not separated")
    assert one.row("svd").difference.low == pytest.approx(0.1, abs=1e-4), "what both share cancels out"
    assert one.ranking.p_values == "t"
    assert [(row.ranks.best, row.ranks.worst) for row in one.ranked] == [(1, 1), (2, 3), (2, 3)]


def test_a_score_without_an_interval_is_not_compared(release):
    for model, value in {"pca": 0.5, "svd": 0.6}.items():
        release.add_jackknife("clustering", PBMC, model, value, np.zeros((4, 5)))
    (one,) = compare(release.finish()).datasets
    assert one.row("svd").word is None
    assert one.row("svd").note == "not comparable: 4 donors are too few for an interval; 6 are needed"


def test_ranks_are_ranges_over_all_pairs(release):
    add(release, {"pca": 0.5, "svd": 0.5, "nmf": 0.9, "raw-expression": 0.1})
    (one,) = compare(release.finish()).datasets
    assert {row.model.id: (row.ranks.best, row.ranks.worst) for row in one.ranked} == {
        "nmf": (1, 1), "pca": (2, 3), "svd": (2, 3), "raw-expression": (4, 4)
    }  # fmt: skip
    assert all(row.ranks is None for row in one.controls)


def test_too_few_resamples_judge_nobody(release):
    add(release, {"pca": 0.5, "svd": 0.9, "nmf": 0.1}, n_replicates=60)
    comparison = compare(release.finish())
    assert comparison.datasets[0].count("not separated") == 2
    assert comparison.verdict().sentence == (
        "Too few resamples to judge 2 models on cell clustering: with 60, none could ever be told apart from PCA."
    )


def test_just_enough_resamples_judge(release):
    add(release, {"pca": 0.5, "svd": 0.9, "nmf": 0.1}, n_replicates=79)
    comparison = compare(release.finish())
    assert (comparison.datasets[0].count("better"), comparison.datasets[0].count("worse")) == (1, 1)
    assert "Too few" not in comparison.verdict().sentence


def test_worse_models_are_named_on_several_datasets(release, edit):
    edit("site_src/datasets/toy-blood.md", "evidence: simulated", "evidence: measured")
    release.__init__(release.project)  # the cards have changed
    add(release, {"pca": 0.5, "svd": 0.4, "nmf": 0.5})
    add(release, {"pca": 0.5, "svd": 0.5, "nmf": 0.5}, dataset=TOY)
    release.add_empty("clustering", TOY, "raw-expression", "failed", "it broke")
    assert compare(release.finish()).verdict().sentence == (
        "No model is better than PCA on cell clustering, on any of 2 datasets; "
        "worse: Truncated SVD on 1 of 2 datasets; 1 more of the evaluations gave no scores."
    )


def test_too_few_resamples_on_one_of_several_datasets(release, edit):
    edit("site_src/datasets/toy-blood.md", "evidence: simulated", "evidence: measured")
    release.__init__(release.project)  # the cards have changed
    add(release, {"pca": 0.5, "svd": 0.9, "nmf": 0.5})
    add(release, {"pca": 0.5, "svd": 0.9, "nmf": 0.5}, dataset=TOY, n_replicates=60)
    assert compare(release.finish()).verdict().sentence == (
        "Better than PCA on cell clustering: Truncated SVD on PBMC 68k (reduced); "
        "too few resamples to judge 2 models on Toy blood."
    )
