"""Skill over datasets, its mean, what the order rests on, and whether scores still tell models apart."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cellgauge.cards import Project
from cellgauge.report.comparison import TaskComparison, compare_task
from cellgauge.report.health import correlations, health_table, healths, over_datasets, over_places
from cellgauge.report.lists import models_table
from cellgauge.report.numbers import listing
from cellgauge.report.release import ReleaseView, load_release
from cellgauge.report.stage import stage
from cellgauge.report.standing import standings
from cellgauge.report.standing_figure import standings_figure
from cellgauge.report.standing_tables import sensitivity_table, standings_table
from cellgauge.report.task_pages import task_page
from cellgauge.results.store import read_replicates
from cellgauge.stats.skill import CannotDiscriminate, Skill

PBMC, TOY, OTHER = "pbmc68k-reduced", "toy-blood", "other-blood"


def load(project: Project, task: str = "clustering") -> tuple[ReleaseView, TaskComparison]:
    view = load_release(project, None)
    return view, compare_task(view, view.cards.tasks[task])


def test_skill_is_that_of_the_files(other_blood, release) -> None:
    for model, value in {"pca": 0.5, "svd": 0.6, "nmf": 0.4}.items():
        release.add("clustering", PBMC, model, value)
    view, comparison = load(release.finish())
    found = standings(view, comparison)
    assert [one.model.id for one in found.models] == ["svd", "pca", "nmf"]
    made = found.models[0].skills[PBMC]
    assert isinstance(made, Skill)
    ours, base = (view.results["clustering", PBMC, model] for model in ("svd", "pca"))
    assert made.value == pytest.approx((ours.scores[0].value - base.scores[0].value) / (1 - base.scores[0].value))
    drawn = [read_replicates(view.folder, each)[0].astype(float) for each in (ours, base)]
    ratios = (drawn[0] - drawn[1]) / (1 - drawn[1])
    assert (made.low, made.high) == pytest.approx(np.quantile(ratios, [0.025, 0.975]), abs=2e-3)


def test_the_mean_gives_each_study_the_same_weight_and_leaves_simulated_cells_out(other_blood, release) -> None:
    values = {PBMC: {"pca": 0.5, "svd": 0.6}, OTHER: {"pca": 0.2, "svd": 0.6}, TOY: {"pca": 0.5, "svd": 0.9}}
    for dataset, models in values.items():
        for model, value in models.items():
            release.add("clustering", dataset, model, value)
    view, comparison = load(release.finish())
    svd = standings(view, comparison).models[0]
    assert svd.mean is not None
    assert svd.mean.value == pytest.approx((0.1 / 0.5 + 0.4 / 0.8) / 2)
    assert (svd.mean.n, svd.mean.of) == (2, 2)
    assert svd.skills[TOY].value == pytest.approx(0.4 / 0.5)
    table = standings_table(view, standings(view, comparison))
    labels = [column.label for column in table.columns]
    assert "Toy blood (simulated)" in labels
    figure = standings_figure(standings(view, comparison), {})
    assert (figure.reference, figure.dashed) == (0.0, 1.0)
    (mark,) = figure.marks
    assert sorted(mark.faint) == pytest.approx([0.2, 0.5]), "the simulated dataset is no dot"


def test_a_model_without_scores_somewhere_says_so_and_counts_fewer(other_blood, release) -> None:
    for dataset in (PBMC, OTHER):
        release.add("clustering", dataset, "pca", 0.5)
    release.add("clustering", PBMC, "svd", 0.6)
    release.add_empty("clustering", OTHER, "svd", "timeout", "600 s")
    release.add("clustering", PBMC, "nmf", 0.4)
    release.plan("clustering", OTHER, "nmf", "to_run")
    view, comparison = load(release.finish())
    table = standings_table(view, standings(view, comparison))
    rows = {record["model"]: record for record in table.records()}
    assert (rows["svd"]["coverage"], rows["svd"]["coverage_planned"]) == (1, 2)
    cells = {
        row.cells[0].raw[0]: dict(zip([c.key for c in table.columns], row.cells, strict=True)) for row in table.rows
    }
    assert cells["svd"][f"skill:{OTHER}"].text == "timeout"
    assert cells["svd"][f"skill:{OTHER}"].href == f"results/clustering/{OTHER}/svd/"
    assert cells["nmf"][f"skill:{OTHER}"].text == "not run"
    assert cells["svd"]["skill"].small == "1 of 2 studies"


def test_no_room_below_the_ceiling_is_no_number(release) -> None:
    for model, value in {"pca": 0.97, "svd": 0.99}.items():
        release.add("clustering", PBMC, model, value)
    view, comparison = load(release.finish())
    found = standings(view, comparison)
    assert isinstance(found.models[0].skills[PBMC], CannotDiscriminate)
    assert found.models[0].mean.value is None
    table = standings_table(view, found)
    assert {row.cells[2].text for row in table.rows} == {"no room"}
    assert all(record[f"skill:{PBMC}"] is None for record in table.records())


def test_an_order_that_rests_on_one_dataset_shows(other_blood, release) -> None:
    values = {PBMC: {"pca": 0.5, "svd": 0.6, "nmf": 0.55}, OTHER: {"pca": 0.5, "svd": 0.3, "nmf": 0.55}}
    for dataset, models in values.items():
        for model, value in models.items():
            release.add("clustering", dataset, model, value)
    view, comparison = load(release.finish())
    table = sensitivity_table(view, standings(view, comparison))
    rows = {(record["kind"], record["name"]): record for record in table.records()}
    assert rows["dataset", OTHER]["first"] == "svd"
    assert rows["dataset", PBMC]["first"] == "nmf"
    assert set(rows["dataset", OTHER]["moved"].split(", ")) >= {"svd", "nmf"}
    assert {kind for kind, _ in rows} == {"dataset", "study", "metric"}


def test_health_counts_pairs_and_saturation(release) -> None:
    for model, value in {"pca": 0.5, "svd": 0.5, "nmf": 0.8, "raw-expression": 0.2}.items():
        release.add("clustering", PBMC, model, value, noise=0.002)
    view, comparison = load(release.finish())
    found = healths(view, [comparison])
    table = health_table(view, found, "health", "Health", of="task")
    primary = next(record for record in table.records() if record["score"] == "adjusted-rand-index")
    assert (primary["told_apart"], primary["told_apart_pairs"]) == (5, 6)
    assert primary["at_best"] == 0
    assert primary["near_first"] == 0


def test_a_metric_is_set_beside_every_other_one(other_blood, release) -> None:
    stats = pytest.importorskip("scipy.stats")
    values = {"pca": 0.5, "svd": 0.6, "nmf": 0.8, "raw-expression": 0.2}
    nmi = {PBMC: [0.3, 0.7, 0.6, 0.1], OTHER: [0.9, 0.2, 0.4, 0.6]}
    for dataset, others in nmi.items():
        for (model, value), other in zip(values.items(), others, strict=True):
            release.add("clustering", dataset, model, value, scores={"normalized-mutual-information": other})
    view, comparison = load(release.finish())
    found = [one for one in healths(view, [comparison]) if one.ref.metric == "adjusted-rand-index"]
    full = correlations(view, found)
    assert full is not None
    expected = {dataset: stats.spearmanr(list(values.values()), others).statistic for dataset, others in nmi.items()}
    beside = {one["dataset"]: one["correlation"] for one in full.records() if one["other"].startswith("normalized")}
    assert beside == pytest.approx(expected)
    assert {one["other"] for one in full.records()} == {
        "normalized-mutual-information", "homogeneity", "completeness",
    }, "every other metric of the task"  # fmt: skip
    (row,) = [one for one in over_places(full).records() if one["other"].startswith("normalized")]
    assert (row["places"], row["least"], row["most"]) == (2, min(beside.values()), max(beside.values()))
    assert row["median"] == pytest.approx(np.median(list(beside.values())))
    assert correlations(view, []) is None


def test_health_over_datasets_adds_up(other_blood, release) -> None:
    values = {PBMC: {"pca": 0.5, "svd": 0.5, "nmf": 0.8, "raw-expression": 0.2}, OTHER: {"pca": 0.5, "svd": 0.6}}
    for dataset, models in values.items():
        for model, value in models.items():
            release.add("clustering", dataset, model, value, noise=0.002)
    view, comparison = load(release.finish())
    found = healths(view, [comparison])
    apart = health_table(view, found, "health", "Health", of="task").records()
    for whole in over_datasets(view, found, "health", "Health").records():
        parts = [one for one in apart if one["score"] == whole["score"]]
        assert whole["datasets"] == len(parts) == 2
        for key in ("told_apart", "told_apart_pairs", "without_width"):
            assert whole[key] == sum(one[key] for one in parts)
        others = [3, 1]  # models beside the first, on the two datasets in the order of their names
        by_dataset = sorted(parts, key=lambda one: one["dataset"] != PBMC)
        expected = sum(one["near_first"] * n for one, n in zip(by_dataset, others, strict=True)) / 4
        assert whole["near_first"] == pytest.approx(expected)
    assert over_datasets(view, [], "health", "Health") is None


def test_many_datasets_become_quartiles_and_single_lines(other_blood, release, monkeypatch) -> None:
    for dataset, value in ((PBMC, 0.6), (OTHER, 0.7)):
        release.add("clustering", dataset, "pca", 0.5)
        release.add("clustering", dataset, "svd", value)
    view, comparison = load(release.finish())
    monkeypatch.setattr("cellgauge.report.standing.MANY_DATASETS", 1)
    found = standings(view, comparison)
    (mark,) = standings_figure(found, {}).marks
    assert (mark.low, mark.high) == pytest.approx((0.25, 0.35)), "of the skills 0.2 and 0.4"
    assert mark.faint == ()
    assert "skill_first_quartile" in standings_figure(found, {}).data.records()[0]
    cell = standings_table(view, found).rows[0].cells[2]
    assert cell.small == ""
    assert "rank 1" in cell.hover


def test_bug_a_model_on_one_of_many_datasets_had_no_quartiles(other_blood, release, monkeypatch) -> None:
    for dataset in (PBMC, OTHER):
        release.add("clustering", dataset, "pca", 0.5)
    release.add("clustering", PBMC, "svd", 0.6)
    view, comparison = load(release.finish())
    monkeypatch.setattr("cellgauge.report.standing.MANY_DATASETS", 1)
    (mark,) = standings_figure(standings(view, comparison), {}).marks
    assert (mark.low, mark.high, mark.faint, mark.word) == (None, None, (), "1 of 2 studies")


def test_many_datasets_leave_one_line_also_where_there_is_no_room(other_blood, release, monkeypatch) -> None:
    for dataset in (PBMC, OTHER):
        release.add("clustering", dataset, "pca", 0.97)
        release.add("clustering", dataset, "svd", 0.99)
    view, comparison = load(release.finish())
    monkeypatch.setattr("cellgauge.report.standing.MANY_DATASETS", 1)
    cells = [row.cells[2] for row in standings_table(view, standings(view, comparison)).rows]
    assert {(cell.text, cell.small) for cell in cells} == {("no room", "")}
    assert all("rank" in cell.hover for cell in cells)


@pytest.mark.site
def test_the_page_shows_what_the_csv_holds(site: Path) -> None:
    text = (site / "tasks/clustering/index.html").read_text(encoding="utf-8")
    rows = list(csv.DictReader(io.StringIO((site / "tasks/clustering-standing.csv").read_text(encoding="utf-8"))))
    assert {row["model"] for row in rows} == {"pca", "svd", "nmf", "raw-expression"}
    for row in rows:
        assert f'data-sort="{row[f"skill:{PBMC}"]}"' in text
    assert 'id="standing-title"' in text
    assert 'class="cg-band"' in text


def test_models_without_a_value_stand_nowhere(release, render) -> None:
    """The page of perturbation prediction had a table of dashes: no model predicts all that was held out."""
    primary = release.cards.tasks["clustering"].primary.key
    release.add("clustering", PBMC, "pca", 0.5)
    release.add("clustering", PBMC, "svd", 0.6, without=[primary])
    renderer = render(release.finish())
    assert not standings(renderer.view, renderer.comparisons["clustering"]).has_scores
    page = task_page(renderer, renderer.view.cards.tasks["clustering"])
    assert "Where models stand" not in page.fragment
    assert "tasks/clustering-standing.csv" not in page.files
    assert "no model has a value of the primary score" in page.fragment
    assert "Truncated SVD" in page.fragment


def test_a_model_with_a_value_stands_somewhere(release, render) -> None:
    release.add("clustering", PBMC, "pca", 0.5)
    release.add("clustering", PBMC, "svd", 0.6)
    renderer = render(release.finish())
    page = task_page(renderer, renderer.view.cards.tasks["clustering"])
    assert "Where models stand" in page.fragment
    assert b"svd" in page.files["tasks/clustering-standing.csv"]


def test_an_empty_release_has_no_standing(release, edit: Callable[..., None]) -> None:
    view, comparison = load(release.finish())
    found = standings(view, comparison)
    assert found.models == ()
    assert not found.has_scores
    assert standings_figure(found, {}) is None
    assert sensitivity_table(view, found) is None


def test_bug_the_list_of_models_counted_simulated_data_among_measured(release, render) -> None:
    for dataset, value in ((PBMC, 0.5), (TOY, 0.9)):
        release.add("clustering", dataset, "pca", 0.5, noise=0.002)
        release.add("clustering", dataset, "svd", value, noise=0.002)
    renderer = render(release.finish())
    table = models_table(renderer.view, renderer.comparisons)
    (row,) = [row for row in table.rows if row.cells[0].text == "Truncated SVD"]
    place = [column.key for column in table.columns].index("better")
    assert row.cells[place].text == "0 of 1", "it is better on simulated cells alone"


def test_a_result_without_the_primary_score_opens_with_that(release) -> None:
    primary = release.cards.tasks["clustering"].primary.key
    release.add("clustering", PBMC, "pca", 0.5)
    release.add("clustering", PBMC, "svd", 0.6, without=[primary])
    staged = stage(release.finish(), None)
    assert "No value of the primary score, Adjusted Rand index" in staged.fragment(f"results/clustering/{PBMC}/svd/")
    assert "No value of the primary score" not in staged.fragment(f"results/clustering/{PBMC}/pca/")


def test_bug_models_were_ordered_by_a_mean_over_mixing_and_conservation(release) -> None:
    """The pages of integration say that no mean is taken over the two, and had an order by just that."""
    for model, value in {"pca": 0.5, "svd": 0.6, "nmf": 0.4, "raw-expression": 0.3}.items():
        release.add("batch-integration", PBMC, model, value)
    view, comparison = load(release.finish(), "batch-integration")
    found = standings(view, comparison)
    (mixing,) = (family for family in comparison.task.families if family.name == "Mixing")
    assert found.sensitivity is not None
    left_out = {one.name for one in found.sensitivity.omissions if one.kind == "metric"}
    assert left_out <= set(mixing.metrics)
    assert found.ordered_by == f"{len(mixing.metrics)} scores of mixing"
    table = sensitivity_table(view, found)
    assert table is not None
    assert table.caption.startswith(f"Order by mean skill in {found.ordered_by}: ")


def test_bug_names_with_commas_ran_into_each_other() -> None:
    assert listing(["scVI, by batch", "NMF", "scVI"]) == "scVI, by batch; NMF; and scVI"
    assert listing(["PCA", "NMF", "scVI"]) == "PCA, NMF and scVI"
    assert listing(["scVI, by batch", "NMF"]) == "scVI, by batch and NMF"
