"""A page's table, its CSV and its JSON are one table."""

from __future__ import annotations

import csv
import io
import json
from html.parser import HTMLParser

import pytest

from cellgauge.report.cells import sentence
from cellgauge.report.comparison import compare_task
from cellgauge.report.leaderboard import leaderboard, parts
from cellgauge.report.numbers import interval, number, plural
from cellgauge.report.release import load_release
from cellgauge.report.tables import Badge, Cell, Column, Row, Table


class Cells(HTMLParser):
    """Collects the rows of a table as lists of (text, data-sort)."""

    def __init__(self, table: str) -> None:
        super().__init__()
        self.wanted, self.inside, self.rows, self.captions = table, False, [], 0

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        if tag == "table":
            self.inside = attributes.get("id") == self.wanted
        if not self.inside:
            return
        self.captions += tag == "caption"
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append(["", attributes.get("data-sort"), attributes.get("scope")])

    def handle_endtag(self, tag):
        if tag == "table":
            self.inside = False

    def handle_data(self, data):
        if self.inside and self.rows and self.rows[-1]:
            self.rows[-1][-1][0] += data


@pytest.fixture
def view(release):
    for model, value in {"pca": 0.5, "svd": 0.51, "random": -0.0002}.items():
        release.add("classification", "pbmc68k-reduced", model, value)
    release.add_empty("classification", "pbmc68k-reduced", "nmf", "failed", "it broke")
    return load_release(release.finish(), None)


def test_downloads_hold_every_view_and_the_empties(view):
    task = view.cards.tasks["classification"]
    table = leaderboard(view, compare_task(view, task))
    rows = list(csv.DictReader(io.StringIO(table.to_csv().decode())))
    document = json.loads(table.to_json({"task": task.id}))
    assert document["task"] == "classification"
    assert len(rows) == len(document["rows"]) == 4
    for line, record in zip(rows, document["rows"], strict=True):
        assert list(line) == list(record)
        assert line == {key: "" if value is None else str(value) for key, value in record.items()}
    for ref in task.scores:
        assert {ref.key, f"{ref.key}_low", f"{ref.key}_high"} <= set(rows[0])
    empty = rows[-1]
    assert (empty["model"], empty["status"], empty["reason"]) == ("nmf", "failed", "it broke")
    assert empty[task.primary.key] == "", "nothing is imputed"


def test_downloads_have_ten_digits_of_each_value(view):
    table = leaderboard(view, compare_task(view, view.cards.tasks["classification"]))
    result = view.results["classification", "pbmc68k-reduced", "svd"]
    record = next(record for record in table.records() if record["model"] == "svd")
    score = result.score("macro-f1@logistic-regression")
    assert record["macro-f1@logistic-regression"] == pytest.approx(score.value, rel=1e-9, abs=0)
    assert record["macro-f1@logistic-regression_low"] == pytest.approx(score.interval.low, rel=1e-9, abs=0)
    assert f"{record['macro-f1@logistic-regression_low']:.10g}" == f"{score.interval.low:.10g}"


def test_one_table_a_view_and_the_primary_first(view):
    comparison = compare_task(view, view.cards.tasks["classification"])
    table = leaderboard(view, comparison)
    names = [name for name, _ in parts(view, comparison, table, "pbmc68k-reduced")]
    assert names == ["Logistic regression", "5 nearest neighbours", "Random forest"]


@pytest.mark.parametrize("task", ["batch-integration", "cross-species-integration"])
def test_mixing_and_conservation_are_always_shown_together(release, task):
    """Each is easy alone: noise mixes best, and leaving the batches apart keeps every type."""
    for model, value in {"pca": 0.5, "svd": 0.51}.items():
        release.add(task, "pbmc68k-reduced", model, value)
    view = load_release(release.finish(), None)
    comparison = compare_task(view, view.cards.tasks[task])
    (_, first), *others = parts(view, comparison, leaderboard(view, comparison), "pbmc68k-reduced")
    assert {comparison.task.primary.key, comparison.task.guard.key} <= {column.key for column in first.columns}
    families = [(name, table) for name, table in others if name != "Worse data"]
    assert [name for name, _ in families] == ["Mixing", "Conservation"]
    shown = [{column.key for column in table.columns} - {"model"} for _, table in families]
    assert shown[0].isdisjoint(shown[1])
    assert set().union(*shown) == {ref.key for ref in comparison.task.scores}
    assert "batch-entropy" in shown[0]
    assert "adjusted-rand-index" in shown[1]
    for _, table in families:
        assert [record["model"] for record in table.records()] == ["svd", "pca"]
        assert all(value is not None for record in table.records() for value in record.values())


@pytest.mark.site
def test_the_page_shows_what_the_downloads_hold(site):
    reader = Cells("scores-pbmc68k-reduced")
    reader.feed((site / "tasks/clustering/index.html").read_text(encoding="utf-8"))
    records = {
        record["model"]: record
        for record in json.loads((site / "tasks/clustering.json").read_text(encoding="utf-8"))["rows"]
        if record["dataset"] == "pbmc68k-reduced"
    }
    header, *body = reader.rows
    assert reader.captions == 1
    assert {scope for _, _, scope in header} == {"col"}
    body = [row for row in body if len(row) > 1]
    assert len(body) == len(records)
    for row in body:
        assert row[0][2] == "row"
        record = next(one for one in records.values() if record_name(site, one) in row[0][0])
        shown = {text.split("[")[0].strip(): float(sort) for text, sort, _ in row if sort}
        assert shown[number(record["adjusted-rand-index"])] == record["adjusted-rand-index"]
        if record["difference"] is not None:
            assert shown[number(record["difference"], signed=True)] == record["difference"]


def record_name(site, record):
    names = {"pca": "PCA", "svd": "Truncated SVD", "nmf": "NMF", "raw-expression": "Raw expression"}
    return names.get(record["model"], record["model"].title())


def test_text_in_csv_never_becomes_a_formula():
    table = Table("t", "t", (Column("a", "A"),), (Row((Cell("=HYPERLINK(1)"),)), Row((Cell("-", (-1.5,)),))))
    assert table.to_csv() == b"a\n'=HYPERLINK(1)\n-1.5\n"


def test_a_cell_without_a_value_is_empty_in_every_field():
    table = Table("t", "t", (Column("a", "A", ("", "low")),), (Row((Cell("–", (None,), badges=(Badge("x"),)),)),))
    assert table.records() == [{"a": None, "a_low": None}]


@pytest.mark.parametrize(
    ("value", "signed", "text"),
    [(0.51234, False, "0.512"), (-0.04, False, "−0.040"), (0.04, True, "+0.040"), (-0.0001, True, "0.000"),
     (1234.5, False, "1,234.500")],
)  # fmt: skip
def test_numbers(value, signed, text):
    assert number(value, signed=signed) == text


def test_words_of_numbers():
    assert interval(-0.1, 0.2, signed=True) == "[−0.100, +0.200]"
    assert [plural(1, "dataset"), plural(2, "study", "studies")] == ["1 dataset", "2 studies"]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("scVI must be given a batch column", "scVI must be given a batch column."),
        ("scVI, by batch, is not here", "scVI, by batch, is not here."),
        ("sc_mixology has none", "sc_mixology has none."),
        ("no daemon answers", "No daemon answers."),
        ("outdated: run again", "Outdated: run again."),
        ("well-known cells!", "Well-known cells!"),
        ("a result", "A result."),
        ("", ""),
    ],
)
def test_a_sentence_begins_with_a_capital_and_a_name_with_its_own_letter(text, wanted):
    assert sentence(text) == wanted
