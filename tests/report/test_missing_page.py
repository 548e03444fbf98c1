"""Every planned evaluation without scores is on the page of missing ones, however many they are."""

from __future__ import annotations

import csv
import html
import io
import re

import pytest

from cellgauge.report.empties import MOST_REASONS, find_empties
from cellgauge.report.missing_page import missing_page
from cellgauge.report.release import load_release

BLOOD, TOY = "pbmc68k-reduced", "toy-blood"
HOSTILE = '"><script>alert(1)</script> {{ 7*7 }}'


def records(page):
    return list(csv.DictReader(io.StringIO(page.files["missing/evaluations.csv"].decode())))


def text(page) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", page.fragment)).split())


def test_attempted_and_planned_ones_are_all_there(release, render):
    release.add("clustering", BLOOD, "pca", 0.5)
    release.add_empty("clustering", BLOOD, "nmf", "failed", HOSTILE)
    release.plan("clustering", BLOOD, "svd", "to_run")
    release.plan("batch-integration", BLOOD, "svd", "not_applicable", "it has no batches")
    page = missing_page(render(release.finish()))
    rows = {(one["task"], one["model"]): (one["status"], one["reason"], one["page"]) for one in records(page)}
    assert rows == {
        ("clustering", "nmf"): ("failed", f"{HOSTILE}.", f"results/clustering/{BLOOD}/nmf/"),
        ("clustering", "svd"): ("not_run", "Planned to run, and not run yet.", ""),
        ("batch-integration", "svd"): ("not_applicable", "It has no batches.", ""),
    }
    assert (
        "1 of 3 evaluations to run have scores; 1 failed and 1 not run. "
        "Of 4 combinations of task, dataset and model the others could not be run: 1 not applicable." in text(page)
    )
    assert ">Cell clustering: NMF on PBMC 68k (reduced)</a>" in page.fragment
    assert "<script>" not in page.fragment
    assert f'href="../results/clustering/{BLOOD}/nmf/"' in page.fragment
    folded = re.findall(r'id="status-(\w+)".*?<details class="cg-missing"( open)?>', page.fragment, re.DOTALL)
    assert folded == [("failed", " open"), ("not_run", " open"), ("not_applicable", "")]


def test_counts_of_the_table_are_those_of_the_download(release, render):
    release.add("clustering", BLOOD, "pca", 0.5)
    for task in ("clustering", "embedding"):
        for dataset in (BLOOD, TOY):
            release.plan(task, dataset, "svd", "weights_unavailable", "they are gone")
    page = missing_page(render(release.finish()))
    rows = re.findall(r"<tr>(.*?)</tr>", page.fragment, re.DOTALL)
    shown = [re.findall(r'data-sort="(\d+)"', row) for row in rows]
    assert [one for one in shown if one] == [
        ["3", "1", "1", "2", "1", "1"], ["2", "0", "0", "2", "0", "0"], ["5", "1", "1", "4", "1", "1"],
    ]  # fmt: skip
    assert len(records(page)) == 4


def test_data_that_nobody_has_opened_are_counted_apart(release, render):
    release.plan("clustering", BLOOD, "svd", "to_run")
    release.plan("perturbation", "norman", "additive", "not_run", "nobody has opened these data")
    page = missing_page(render(release.finish()))
    assert "0 of 1 evaluation to run have scores; 1 not run." in text(page)
    assert "the others could not be run: 1 data not opened." in text(page)
    assert {one["status"] for one in records(page)} == {"not_run"}, "files keep the status of the plan"
    assert 'id="status-data_not_opened"' in page.fragment


def test_fifteen_thousand_reasons_stay_light(release, render):
    """As many pairs as the demonstration plans, and as many different reasons as never happen."""
    models = list(release.cards.models)
    tasks = list(release.cards.tasks)
    datasets = list(release.cards.datasets)
    for i in range(15_000):
        place = (tasks[i % len(tasks)], datasets[i % len(datasets)], models[i % len(models)])
        release.plan(*place, "not_applicable", f"{place[0]} needs a column that number {i} has not {'x' * 60}")
    page = missing_page(render(release.finish()))
    assert len(records(page)) == 15_000
    assert f"{15_000 - MOST_REASONS:,} further reasons: in the CSV." in text(page)
    assert len(page.fragment.encode()) < 100_000


def test_withheld_scores_are_missing_too(release):
    release.add("clustering", BLOOD, "svd", 0.5)
    release.plan("clustering", BLOOD, "svd", "withdrawn", "the weights were wrong")
    (one,) = find_empties(load_release(release.finish(), None))
    assert (one.status, one.reason) == ("withdrawn", "The weights were wrong.")


def test_nothing_planned_says_so(project, render):
    assert "Nothing has been planned yet." in text(missing_page(render(project)))


@pytest.mark.site
def test_no_cell_of_any_table_is_blank(site):
    blank = []
    for path in site.rglob("*.html"):
        tables = re.findall(r'<table class="cg-table.*?</table>', path.read_text(encoding="utf-8"), re.DOTALL)
        for cell in re.findall(r"<t[dh][^>]*>.*?</t[dh]>", "".join(tables), re.DOTALL):
            if not html.unescape(re.sub(r"<[^>]*>", "", cell)).strip():
                blank.append(f"{path.relative_to(site)}: {cell[:80]}")
    assert not blank
    page = (site / "tasks/embedding/index.html").read_text(encoding="utf-8")
    assert "1 of 2 studies" in page.partition("Data of this figure")[2], "among them a model with one dataset"


@pytest.mark.site
def test_bug_two_columns_of_a_table_had_one_key(site):
    twice = []
    for path in site.rglob("*.html"):
        for table in re.findall(r"<table class=\"cg-table.*?</thead>", path.read_text(encoding="utf-8"), re.DOTALL):
            keys = re.findall(r'data-key="([^"]*)"', table)
            if len(set(keys)) < len(keys):
                twice.append(f"{path.relative_to(site)}: {keys}")
    assert not twice


@pytest.mark.site
def test_a_row_without_scores_says_why_or_leads_to_why(site):
    """Wherever an evaluation without scores is listed, its page is linked, and that page has the reason."""
    listed = 0
    for path in (path for path in site.rglob("index.html") if path.parent.name != "quality"):
        for row in re.findall(r"<tr>.*?</tr>", path.read_text(encoding="utf-8"), re.DOTALL):
            link = re.search(r'href="[./]*results/classification/pbmc68k-reduced/nmf/"', row)
            if link:
                listed += 1
                assert "ailed" in row, path
    assert listed >= 3
    page = (site / "results/classification/pbmc68k-reduced/nmf/index.html").read_text(encoding="utf-8")
    assert "ValueError: negative &lt;values&gt;" in page
