"""A figure draws the numbers of the table beside it, and says in words what it draws."""

from __future__ import annotations

import dataclasses
import math
import re

import numpy as np
import pytest

from cellgauge.report.charts import Mark, to_svg
from cellgauge.report.colours import in_one_chart, model_colours
from cellgauge.report.comparison import compare_task
from cellgauge.report.leaderboard import forest, forest_key, leaderboard, parts
from cellgauge.report.numbers import interval, number, significant
from cellgauge.report.overviews import evaluations, scorecard, scores_on
from cellgauge.report.release import load_release
from cellgauge.report.stage import stage

PBMC = "pbmc68k-reduced"
VALUES = {"pca": 0.5, "svd": 0.56, "nmf": 0.47, "raw-expression": 0.4, "oracle": 0.99, "random": -0.0002}


def drawn(view, task):
    """The comparison of a task, the records of its table by model name, and colours of models."""
    comparison = compare_task(view, view.cards.tasks[task])
    names = {model.id: model.name for model in view.cards.models.values()}
    records = {names[record["model"]]: record for record in leaderboard(view, comparison).records()}
    return comparison, records, model_colours(view.cards.models.values())


@pytest.fixture(params=["classification", "clustering", "batch-integration", "perturbation"])
def view(request, release):
    for model, value in VALUES.items():
        release.add(request.param, PBMC, model, value)
    if request.param == "perturbation":
        release.add(request.param, PBMC, "perturbation-mean", 0.45)
    release.add_empty(request.param, PBMC, "no-change", "failed", "it broke")
    return request.param, load_release(release.finish(), None)


def numbers_of(mark: Mark) -> tuple[float, float, float]:
    return tuple(map(significant, (mark.value, mark.low, mark.high)))  # as downloads have them


def in_record(record, key) -> tuple[float, float, float]:
    return record[key], record[f"{key}_low"], record[f"{key}_high"]


def test_the_figure_of_differences_draws_the_cells_of_the_table(view):
    task, release = view
    comparison, records, colours = drawn(release, task)
    figure = forest(comparison, comparison.on(PBMC), colours)
    with_difference = {name for name, record in records.items() if record["difference"] is not None}
    assert len(with_difference) >= 5
    assert {mark.label for mark in figure.marks} == with_difference
    decimals = comparison.on(PBMC).decimals
    for mark in figure.marks:
        record = records[mark.label]
        assert numbers_of(mark) == in_record(record, "difference")
        low, high = record["difference_low"], record["difference_high"]
        shown = f"{number(record['difference'], decimals, signed=True)} {interval(low, high, decimals, signed=True)}"
        assert mark.numbers == shown
        assert mark.word == (record["verdict"] or "control")
        assert f"{mark.label} {number(mark.value, decimals, signed=True)} ({mark.word})" in figure.description
    assert figure.reference == 0


def test_what_the_table_of_the_page_shows_is_what_the_figure_says(view):
    task, release = view
    comparison, _, colours = drawn(release, task)
    table = leaderboard(release, comparison)
    (_, first), *_ = parts(release, comparison, table, PBMC)
    place = next(i for i, column in enumerate(first.columns) if column.key == "difference")
    shown = {row.cells[0].text: f"{row.cells[place].text} {row.cells[place].small}" for row in first.rows}
    for mark in forest(comparison, comparison.on(PBMC), colours).marks:
        assert mark.numbers == shown[mark.label]


def test_the_figure_of_scores_draws_the_cells_of_the_table(view):
    task, release = view
    comparison, records, colours = drawn(release, task)
    figure = scores_on(comparison, comparison.on(PBMC), colours)
    key = comparison.task.primary.key
    assert {mark.label for mark in figure.marks} == {name for name, one in records.items() if one[key] is not None}
    assert len(figure.marks) == len(VALUES) + (task == "perturbation")
    for mark in figure.marks:
        record = records[mark.label]
        assert numbers_of(mark) == in_record(record, key)
        assert mark.numbers == f"{number(record[key])} {interval(record[f'{key}_low'], record[f'{key}_high'])}"
        assert mark.faint == tuple(release.results[task, PBMC, record["model"]].score(key).by_seed)
        assert f"{mark.label} {number(mark.value)}" in figure.description
    assert figure.reference == records[comparison.baseline.name][key]


def test_the_scorecard_of_a_model_draws_the_cells_of_its_table(view):
    task, release = view
    comparison = compare_task(release, release.cards.tasks[task])
    table = evaluations(release, {task: comparison}, [release.results[task, PBMC, "svd"]], "svd", "SVD")
    (mark,) = scorecard({task: comparison}, release.cards.models["svd"], "red").marks
    (record,) = table.records()
    assert numbers_of(mark) == in_record(record, "difference")
    assert mark.word == record["verdict"]


def test_the_scorecard_of_a_model_on_many_datasets_joins_those_of_a_task(release, monkeypatch):
    monkeypatch.setattr("cellgauge.report.overviews.MOST_IN_SCORECARD", 3)
    monkeypatch.setattr("cellgauge.report.overviews.MANY_DATASETS", 3)
    members = [one.id for one in next(iter(release.cards.families.values())).members[:4]]
    for member, value in zip(members, (0.5, 0.54, 0.9, 0.1), strict=True):
        release.add("clustering", member, "pca", 0.5)
        release.add("clustering", member, "svd", value)
    for model in ("pca", "svd"):
        release.add("embedding", members[0], model, VALUES[model])
    found = load_release(release.finish(), None)
    comparisons = {task: compare_task(found, found.cards.tasks[task]) for task in ("clustering", "embedding")}
    joined, single = scorecard(comparisons, found.cards.models["svd"], "red").marks
    rows = [comparisons["clustering"].on(member).row("svd") for member in members]
    differences = [row.difference.value for row in rows]
    assert joined.label == "Cell clustering, median of 4 datasets"
    assert [joined.low, joined.value, joined.high] == pytest.approx(np.quantile(differences, [0.25, 0.5, 0.75]))
    assert joined.word == f"better on {sum(row.word == 'better' for row in rows)}, worse on 1"
    assert single.label == "Embedding quality"


@pytest.mark.parametrize("layout", ["wide", "narrow", "mini"])
def test_dots_and_bars_stand_where_their_numbers_are(release, layout):
    """Read back from the SVG: one scale turns all values, and the ends of all intervals, into positions."""
    for model in ("pca", "svd", "nmf", "raw-expression"):
        release.add("clustering", PBMC, model, VALUES[model])
    comparison, records, colours = drawn(load_release(release.finish(), None), "clustering")
    figure = forest(comparison, comparison.on(PBMC), colours)
    svg = to_svg(figure, layout)
    dots = [float(x) for x in re.findall(r'translate\(([-\d.]+),[-\d.]+\)" (?:d="M[^"]*A|r=")', marks_of(svg, "dots"))]
    bars = re.findall(r'translate\(([-\d.]+),[-\d.]+\)" x2="([-\d.]+)" y2="0"', marks_of(svg, "bars"))
    assert len(dots) == len(figure.marks) == 3
    low, high = figure.span
    width = (dots[0] - dots[-1]) / (figure.marks[0].value - figure.marks[-1].value) * (high - low)
    for mark, dot in zip(figure.marks, dots, strict=True):
        record = records[mark.label]
        assert dot == pytest.approx((record["difference"] - low) / (high - low) * width, abs=0.02)
        ends = [(record[f"difference_{end}"] - low) / (high - low) * width for end in ("low", "high")]
        lengths = [sorted((float(x), float(x) + float(x2))) for x, x2 in bars]
        assert any(math.dist(one, ends) < 0.05 for one in lengths), mark.label


# Agreement of replicates: a reference line and no ceiling.

AGREEMENT = {"pearson-delta": 0.31, "delta-mse": 0.02}


@pytest.mark.parametrize(
    ("details", "expected"),
    [
        ({"replicate_agreement": AGREEMENT}, 0.31),
        ({"by_seed": [{"replicate_agreement": {"pearson-delta": value}} for value in (0.3, 0.31, 0.35)]}, 0.32),
    ],
    ids=["the same for every seed", "the mean over seeds"],
)
def test_the_agreement_of_replicates_is_a_dashed_line_and_said_in_words(release, details, expected):
    for model, value in {"perturbation-mean": 0.2, "additive": 0.6}.items():
        release.add("perturbation", PBMC, model, value, more_details=details)
    comparison, _, colours = drawn(load_release(release.finish(), None), "perturbation")
    figure = scores_on(comparison, comparison.on(PBMC), colours)
    assert figure.dashed == pytest.approx(expected)
    assert f"agreement of replicates {number(expected)}" in figure.description
    assert "dashed, the agreement of replicates" in figure.axis
    assert len(figure.marks) == 2, "it is a line and no model"
    assert len(dashes(to_svg(figure, "wide"))) == 1


def test_without_agreement_of_replicates_there_is_no_dashed_line(release):
    for model, value in {"perturbation-mean": 0.2, "additive": 0.6}.items():
        other = {"replicate_agreement": {"delta-mse": 0.02}}  # of another score than the one that is drawn
        release.add("perturbation", PBMC, model, value, more_details=other)
    comparison, _, colours = drawn(load_release(release.finish(), None), "perturbation")
    figure = scores_on(comparison, comparison.on(PBMC), colours)
    assert figure.dashed is None
    assert "agreement" not in figure.description + figure.axis
    assert dashes(to_svg(figure, "wide")) == []


def marks_of(svg: str, layer: str) -> str:
    """The group of one layer, with what it gives to all its marks."""
    return re.search(rf'<g class="{layer}"[^>]*(?:/>|>.*?</g>)', svg)[0]


def dashes(svg: str) -> list[str]:
    """Dashed lines; the separator above controls is dashed too, and none of the lines."""
    return re.findall(r'stroke-dasharray="4,4"', marks_of(svg, "lines"))


def test_a_card_of_a_task_draws_a_dataset_on_which_models_can_differ(release):
    member = next(iter(release.cards.families.values())).members[0].id
    for model in ("pca", "svd", "nmf"):
        release.add("clustering", "pbmc68k-reduced", model, 0.99)
        release.add("clustering", "toy-blood", model, 0.5)
    for model in ("pca", "svd"):
        release.add("clustering", member, model, 0.5)
    home = stage(release.finish(), None).fragment("")
    name = release.cards.datasets[member].name
    fit = "on which PCA leaves room and no model is beyond the best control"
    assert (
        f"Difference to PCA on {name}: right is better. Of the measured datasets {fit}, the one with the most" in home
    )
    assert "2 more datasets on the task" in home


def test_bug_a_card_drew_a_dataset_on_which_the_oracle_loses(other_blood, release):
    for dataset, oracle in (("pbmc68k-reduced", 0.3), ("other-blood", 0.99)):
        for model, value in {"pca": 0.5, "svd": 0.6, "nmf": 0.55, "oracle": oracle, "random": 0.0}.items():
            if (dataset, model) != ("other-blood", "nmf"):
                release.add("clustering", dataset, model, value)
    staged = stage(release.finish(), None)
    assert "Difference to PCA on Other blood: right is better." in staged.fragment("")
    said = "by ARI, Truncated SVD, NMF and PCA lie beyond the best control"
    for path in ("tasks/clustering/", "tasks/clustering/pbmc68k-reduced/"):
        assert said in staged.fragment(path)
    assert said not in staged.fragment("tasks/clustering/other-blood/")


def test_bug_bars_ended_at_the_edge_as_if_they_went_no_further(release):
    for model, value in VALUES.items():
        release.add("clustering", PBMC, model, value)
    comparison, _, colours = drawn(load_release(release.finish(), None), "clustering")
    figure = forest(comparison, comparison.datasets[0], colours)
    assert figure is not None
    low, high = (figure.marks[0].value - 0.001, figure.marks[0].value + 0.001)
    assert "goes on beyond it" in dataclasses.replace(figure, domain=(low, high)).edges
    inside = [mark for mark in figure.marks if not mark.below]
    assert dataclasses.replace(figure, marks=tuple(inside)).edges == ""


def test_bug_two_models_of_one_chart_had_one_colour(release):
    svd = release.cards.models["svd"]
    cards = {f"model-{place:02}": svd.model_copy(update={"id": f"model-{place:02}"}) for place in range(12)}
    models = list(cards)
    chart = [models[0], models[7], models[8]]
    alone, beside = model_colours(cards.values()), model_colours(cards.values(), [chart, models[:3]])
    assert alone[models[0]] == alone[models[7]], "colours begin again after seven"
    assert len({beside[id_] for id_ in chart}) == 3
    assert len({beside[id_] for id_ in models[:3]}) == 3
    drawn = in_one_chart(alone, [*models[1:8], "random"])
    assert len(set(drawn.values())) == 7
    drawn = in_one_chart(alone, chart)
    assert len(set(drawn.values())) == 3
    assert drawn[models[0]] == alone[models[0]], "the first keeps its own"


@pytest.mark.parametrize(
    ("models", "said"),
    [
        (("pca", "svd"), "Line: no difference."),
        (("pca", "svd", "random"), "Line: no difference. Below the dashes: controls, never ranked."),
        (("pca", "random"), "Line: no difference. All of them: controls, never ranked."),
    ],
)
def test_the_key_of_a_figure_names_dashes_only_where_there_are_any(release, models, said) -> None:
    for model in models:
        release.add("clustering", PBMC, model, VALUES[model])
    comparison, _, colours = drawn(load_release(release.finish(), None), "clustering")
    (one,) = comparison.datasets
    figure = forest(comparison, one, colours)
    assert figure is not None
    assert (
        forest_key(comparison, one, figure)
        == f"Dot: difference to PCA on {one.dataset.name}. Bar: 95 % interval. {said}"
    )
