"""What has changed since results were computed: cards, the plan, and judgements on leakage."""

from __future__ import annotations

import csv
import io

import pytest

from cellgauge.report.comparison import TaskComparison, compare_task
from cellgauge.report.leaderboard import forest, leaderboard
from cellgauge.report.overviews import scores_on
from cellgauge.report.release import load_release
from cellgauge.report.stage import stage

PBMC = "pbmc68k-reduced"
MARK = "outdated: computed with an earlier version of the "
RED = """leakage:
  - dataset: pbmc68k-reduced
    class: red
    reason: Its training set held these cells with their types
    confidence: high
hardware: Any CPU"""


@pytest.fixture
def scored(release):
    for model, value in {"pca": 0.5, "svd": 0.6, "nmf": 0.5, "raw-expression": 0.5, "random": 0.0}.items():
        release.add("clustering", PBMC, model, value, noise=0.002)
    return release


def compare(release) -> TaskComparison:
    view = load_release(release.finish(), None)
    return compare_task(view, view.cards.tasks["clustering"])


def records(release):
    view = load_release(release.finish(), None)
    table = leaderboard(view, compare_task(view, view.cards.tasks["clustering"]))
    return {row["model"]: row for row in csv.DictReader(io.StringIO(table.to_csv().decode()))}


def fragment(release, page):
    return stage(release.finish(), None).fragment(page)


def test_a_changed_model_card_makes_its_row_outdated(scored, edit):
    edit("site_src/models/svd.md", "version: 1", "version: 2")
    comparison = compare(scored)
    (one,) = comparison.datasets
    assert [row.model.id for row in one.outdated] == ["svd"]
    assert {row.model.id for row in one.judged} == {"nmf", "raw-expression"}
    assert comparison.verdict().sentence == (
        "None of 2 models could be told apart from PCA on cell clustering; 1 more is outdated."
    )
    for figure in (forest(comparison, one, {}), scores_on(comparison, one, {})):
        assert "Truncated SVD" not in {mark.label for mark in figure.marks}
    row = records(scored)["svd"]
    assert row["outdated"] == MARK + "model card; run again"
    assert row["difference"] == row["verdict"] == ""
    for page in ("tasks/clustering/", "models/svd/", f"results/clustering/{PBMC}/svd/"):
        assert "computed with an earlier version of the model card; run again" in fragment(scored, page)


def test_a_changed_dataset_card_makes_all_its_rows_outdated(scored, edit):
    edit("site_src/datasets/pbmc68k-reduced.md", "version: 2", "version: 3")
    assert compare(scored).verdict().text == (
        "The cards have changed since these results were computed; nothing is judged until they are computed again."
    )


def test_a_changed_protocol_judges_nothing(scored, edit):
    edit("site_src/tasks/clustering.md", "version: 2", "version: 3")
    comparison = compare(scored)
    assert comparison.verdict().text == (
        "The protocol has changed since these results were computed; nothing is judged until they are computed again."
    )
    assert not comparison.datasets[0].rows
    text = fragment(scored, "tasks/clustering/")
    assert text.count(MARK + "task protocol; run again") >= 5
    assert "The protocol has changed since" in fragment(scored, "")


def test_another_version_of_a_metric_is_outdated(scored, edit):
    edit("site_src/metrics/adjusted-rand-index.md", "version: 1", "version: 2")
    assert compare(scored).datasets[0].outdated[0].note == MARK + "metric cards; run again"


def test_an_outdated_baseline_is_compared_with_nobody(scored, edit):
    edit("site_src/models/pca.md", "version: 2", "version: 3")
    text = compare(scored).verdict().text
    assert text == "Nothing to compare yet: the result of the baseline, PCA, is outdated."


def test_an_outdated_failure_is_not_counted(scored, edit):
    scored.add_empty("clustering", PBMC, "nmf", "failed", "it broke")
    assert "1 more gave no scores" in compare(scored).verdict().sentence
    edit("site_src/models/nmf.md", "version: 1", "version: 2")
    assert "no scores" not in compare(scored).verdict().sentence
    assert "earlier version of the model card" in fragment(scored, "tasks/clustering/")


def test_the_plan_declines_an_older_result(scored):
    scored.plan("clustering", PBMC, "svd", "declined_leakage", "trained on these labels")
    comparison = compare(scored)
    (one,) = comparison.datasets
    assert [(result.model.id, result.status) for result in one.empties] == [("svd", "declined_leakage")]
    assert "Truncated SVD" not in comparison.verdict().sentence
    row = records(scored)["svd"]
    assert (row["status"], row["reason"], row["adjusted-rand-index"]) == (
        "declined_leakage", "trained on these labels", "",
    )  # fmt: skip
    text = fragment(scored, f"results/clustering/{PBMC}/svd/")
    assert "Declined leakage" in text
    assert "0.600" not in text
    assert "still in the raw JSON" in text


def test_a_card_that_turned_red_is_declined_before_the_plan_knows(scored, edit):
    edit("site_src/models/svd.md", "hardware: Any CPU", RED)
    scored.plan("clustering", PBMC, "svd", "to_run")
    scored.plan("embedding", PBMC, "svd", "to_run")
    (one,) = compare(scored).datasets
    assert [(result.model.id, result.status) for result in one.empties] == [("svd", "declined_leakage")]
    assert "Its training set held these cells with their types" in fragment(scored, "tasks/clustering/")
    assert "declined leakage" in fragment(scored, "tasks/embedding/"), "a pair without a result is declined as well"


def test_the_card_s_leakage_class_of_now_is_shown(scored, edit):
    edit("site_src/models/svd.md", "hardware: Any CPU", RED.replace("class: red", "class: yellow"))
    assert records(scored)["svd"]["leakage"] == "yellow"
    assert compare(scored).datasets[0].row("svd").word == "better", "yellow is shown, not declined"
    text = fragment(scored, f"results/clustering/{PBMC}/svd/")
    assert "The model's card says so now; when this was computed, it was green." in text.replace("&#39;", "'")
