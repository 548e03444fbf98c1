"""A model that is obtained in two ways is one model: the second is shown beside it, and counts nowhere."""

from __future__ import annotations

import re

import pytest

from cellgauge.cards import Project
from cellgauge.report.comparison import compare_task
from cellgauge.report.health import healths
from cellgauge.report.lists import models_in_words
from cellgauge.report.release import load_release
from cellgauge.report.stage import stage

from .conftest import ReleaseBuilder

BLOOD = "pbmc68k-reduced"


@pytest.fixture
def twice(project: Project) -> ReleaseBuilder:
    """SVD in two ways, better than PCA alike, and NMF, which is worse; a second way to PCA has no results."""
    for model in ("svd", "pca"):
        card = (project.site_src / f"models/{model}.md").read_text(encoding="utf-8")
        card = re.sub("name: .*", f"name: {model.upper()} again", card, count=1)
        card = re.sub("role: .*", f"role: model\nrepeats: {model}", card, count=1)
        (project.site_src / f"models/{model}-again.md").write_text(card, encoding="utf-8")
    one = ReleaseBuilder(project)
    for model, value in (("pca", 0.5), ("svd", 0.6), ("svd-again", 0.6), ("nmf", 0.3), ("random", 0.1)):
        one.add("clustering", BLOOD, model, value, noise=0.002)
    return one


def fragment(project: Project, path: str) -> str:
    page = next(page for page in stage(project, "trial").pages if page.path == path)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", page.fragment))


def test_bug_a_method_that_is_obtained_in_two_ways_was_counted_twice(project, twice) -> None:
    twice.finish()
    view = load_release(project, "trial")
    comparison = compare_task(view, view.cards.tasks["clustering"])
    (one,) = comparison.datasets
    assert [row.model.id for row in one.ranked] == ["svd", "pca", "nmf"]
    assert [(row.model.id, row.role) for row in one.rows[3:]] == [("svd-again", "repeat"), ("random", "control")]
    assert {row.model.id for row in one.judged} == {"svd", "nmf"}, "Holm's adjustment is over two models"
    again = one.row("svd-again")
    assert again is not None
    assert again.difference is not None
    assert again.difference.value == pytest.approx(0.1), "its score is compared all the same"
    assert (again.word, again.ranks) == (None, None)
    assert one.n_ranks == 3
    assert comparison.verdict().sentence.startswith("1 of 2 models is better than PCA")
    assert models_in_words(view) == "2 models, 1 baseline, 1 control and 1 repeat of a model"
    assert all(each.found.n_models == 3 for each in healths(view, [comparison]))


def test_the_figure_names_repeats_below_its_dashes(project, twice) -> None:
    twice.finish()
    assert "Below the dashes: repeats and controls, never ranked." in fragment(project, "tasks/clustering/")
    assert "Below the dashes: repeats and controls, never ranked." in fragment(project, f"tasks/clustering/{BLOOD}/")


def test_how_a_task_is_ranked_names_its_repeats(project, twice) -> None:
    twice.finish()
    assert "Nor is a model that repeats another in a second way: SVD again." in fragment(project, "tasks/clustering/")


def test_a_repeat_that_gave_no_scores_is_no_failure_of_a_model(project, twice) -> None:
    twice.add_empty("clustering", BLOOD, "pca-again", "failed", "exit code 1")
    twice.finish()
    view = load_release(project, "trial")
    (one,) = compare_task(view, view.cards.tasks["clustering"]).datasets
    assert one.failures == 0


def test_both_pages_say_that_the_two_agree_to_the_last_digit(project, twice) -> None:
    twice.finish()
    n_scores = len(twice.cards.tasks["clustering"].scores)
    said = f"All {n_scores} scores of the one evaluation that has scores of both are the same to the last digit."
    assert f"Obtained in another way as well: SVD again. {said}" in fragment(project, "models/svd/")
    once_more = "Truncated SVD once more, obtained in another way: shown beside it, and neither ranked nor counted."
    assert f"{once_more} {said}" in fragment(project, "models/svd-again/")
    assert "Obtained in another way as well: PCA again." in fragment(project, "models/pca/")
    assert "to the last digit" not in fragment(project, "models/pca-again/")


def test_a_difference_between_the_two_is_named(project, twice) -> None:
    was = twice.add("clustering", BLOOD, "svd", 0.6, noise=0.002)
    twice.add("clustering", BLOOD, "svd-again", 0.6, noise=0.002, scores={"homogeneity": 0.25})
    twice.finish()
    score, n_scores = was.score("homogeneity"), len(was.scores)
    assert score is not None
    said = fragment(project, "models/svd/")
    both = f"the {n_scores} scores of the one evaluation that has scores of both"
    assert f"Of {both}, {n_scores - 1} are the same to the last digit" in said
    assert f"the largest difference is {abs(score.value - 0.25):.2g}, in Homogeneity (Cell clustering, PBMC 68k" in said


def test_tables_show_it_apart(project, twice) -> None:
    twice.finish()
    page = fragment(project, "tasks/clustering/")
    assert page.index("Repeats: models above, obtained in another way; neither ranked nor counted") > page.index("NMF")
    result = fragment(project, f"results/clustering/{BLOOD}/svd-again/")
    assert "a repeat of another model, neither ranked nor counted" in result
