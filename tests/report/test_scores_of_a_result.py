"""The table of all scores of a result: numbers, intervals and single seeds, drawn on one scale."""

from __future__ import annotations

import pytest

from cellgauge.report.numbers import interval, number
from cellgauge.report.overviews import scores_table
from cellgauge.report.release import load_release
from cellgauge.report.tables import Table

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
        assert (record["value"], record["value_low"], record["value_high"]) == (
            score.value, score.interval.low, score.interval.high,
        )  # fmt: skip
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
