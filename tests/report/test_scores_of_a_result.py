"""The table of all scores of a result: numbers, intervals and single seeds, drawn on one scale."""

from __future__ import annotations

import pytest

from cellgauge.report.comparison import compare_task
from cellgauge.report.numbers import interval, number, significant
from cellgauge.report.release import load_release
from cellgauge.report.scores_of_result import scores_table
from cellgauge.report.spread import distributions
from cellgauge.report.tables import Table
from cellgauge.report.units import by_unit, values_by_unit

BLOOD, PRIMARY = "pbmc68k-reduced", "adjusted-rand-index"


def table_of(project) -> tuple[Table, dict]:
    view = load_release(project, "trial")
    result = view.results["clustering", BLOOD, "svd"]
    names = {score.key: score.key for score in result.scores}
    return scores_table(view, view.cards.tasks["clustering"], result, names), {one.key: one for one in result.scores}


def test_numbers_are_those_of_the_file_and_strips_lie_where_they_are(release) -> None:
    release.add("clustering", BLOOD, "svd", 0.6)
    table, scores = table_of(release.finish())
    assert [column.label for column in table.columns][:4] == ["Score", "Value", "0 to 1", "Units"]
    assert len(table.rows) == len(scores) > 3
    for record, row in zip(table.records(), table.rows, strict=True):
        score = scores[record["score"]]
        assert [record["value"], record["value_low"], record["value_high"]] == [
            significant(value) for value in (score.value, score.interval.low, score.interval.high)
        ]
        assert (row.cells[1].text, row.cells[1].small) == (
            number(score.value), interval(score.interval.low, score.interval.high),
        )  # fmt: skip
        assert [cell.raw[0] for cell in row.cells[4:]] == score.by_seed
        strip = row.cells[2].strip
        assert (strip.value, strip.low, strip.high) == (score.value, score.interval.low, score.interval.high)
        assert strip.lines == (0, 1)
        assert [badge.text for badge in row.cells[0].badges] == (["primary"] if score.key == PRIMARY else [])
        assert row.cells[0].direction == score.direction


def test_bug_the_scale_below_zero_was_called_0_0(release) -> None:
    release.add("clustering", BLOOD, "svd", -0.02, scores=halves(release) | {PRIMARY: -0.02}, noise=0.001)
    table, scores = table_of(release.finish())
    assert -0.1 < scores[PRIMARY].interval.low < 0
    assert table.columns[2].label == "−0.1 to 1"
    strip = table.rows[0].cells[2].strip
    assert strip.value == pytest.approx((scores[PRIMARY].value + 0.1) / 1.1)
    assert strip.lines == pytest.approx((0.1 / 1.1, 1))


def test_bug_a_score_that_is_not_drawn_moved_the_scale(release, edit) -> None:
    edit(f"site_src/metrics/{PRIMARY}.md", "range: {min: -0.5, max: 1}", "range: {min: -0.5, max: null}")
    release.__init__(release.project)  # the cards have changed
    release.add("clustering", BLOOD, "svd", -0.4, scores=halves(release) | {PRIMARY: -0.4})
    table, _ = table_of(release.finish())
    cells = {row.cells[0].raw[0]: row.cells[2] for row in table.rows}
    assert cells[PRIMARY].strip is None
    assert cells["homogeneity"].strip is not None
    assert table.columns[2].label == "0 to 1"


def halves(release) -> dict[str, float]:
    return {ref.key: 0.5 for ref in release.cards.tasks["clustering"].scores}


def test_each_type_has_its_dot_where_the_result_keeps_its_value(release) -> None:
    by_seed = [{"silhouette_by_label": {"B": 0.5 + 0.1 * seed, "T": 0.2}} for seed in range(3)]
    release.add("embedding", BLOOD, "svd", 0.4, more_details={"by_seed": by_seed})
    logistic = {"by_class_logistic-regression": {"B": {"f1": 0.9, "auroc": 1.0}, "T": {"f1": None}}}
    release.add("classification", BLOOD, "svd", 0.4, more_details=logistic)
    release.add("clustering", BLOOD, "svd", 0.4)
    view = load_release(release.finish(), None)
    tasks = view.cards.tasks
    found = values_by_unit(tasks["embedding"], view.results["embedding", BLOOD, "svd"])
    assert found == {"B": pytest.approx([0.5, 0.6, 0.7]), "T": [0.2] * 3}
    assert values_by_unit(tasks["classification"], view.results["classification", BLOOD, "svd"]) == {"B": [0.9]}
    comparison = compare_task(view, tasks["embedding"])
    figure, why = by_unit(comparison, comparison.on(BLOOD).row("svd"), "black")
    assert [(mark.label, mark.numbers) for mark in figure.marks] == [("B", "0.600"), ("T", "0.200")]
    assert figure.reference == view.results["embedding", BLOOD, "svd"].score("silhouette-label").value
    comparison = compare_task(view, tasks["clustering"])
    figure, why = by_unit(comparison, comparison.on(BLOOD).row("svd"), "black")
    assert figure is None
    assert why == "ARI is a score of the whole partition: no cell or type has a value of its own."


def test_no_bar_stands_beyond_what_a_score_can_be(release) -> None:
    release.add("clustering", BLOOD, "svd", 0.99, noise=0.02)
    view = load_release(release.finish(), None)
    comparison = compare_task(view, view.cards.tasks["clustering"])
    assert view.replicates(view.results["clustering", BLOOD, "svd"])[0].max() > 1, "centring moves some there"
    one = comparison.on(BLOOD)
    (drawn,) = distributions(view, comparison, one, one.row("svd"), "black")
    assert drawn.bins[-1].high == 1
    assert sum(each.share for each in drawn.bins) == pytest.approx(1)
    assert "moved beyond" in drawn.note
