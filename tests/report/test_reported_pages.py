"""Pages of a reported release: the same pages, marked on each, with nothing ranked and no word of better."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from tests.exchange.conftest import REPO, some_records

from cellgauge.cards import Project
from cellgauge.exchange.croissant import licence_of
from cellgauge.exchange.czi import read_vcp
from cellgauge.exchange.described import cited_rows
from cellgauge.exchange.drafting import write_draft
from cellgauge.exchange.openproblems import read_openproblems
from cellgauge.report.page import Page
from cellgauge.report.stage import Staged, stage

SOURCE = "Virtual Cells Platform (Chan Zuckerberg Initiative)"
ON_BLOOD = "tasks/clustering/tsv2-blood/"
RESULT = "results/clustering/tsv2-blood/uce-33l/"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("reported")
    for name in ("mkdocs.yml", "site_src", "generator"):
        (folder / name).symlink_to(REPO / name)
    path = folder / "published.json"
    path.write_text(json.dumps(some_records()), encoding="utf-8")
    made = Project(folder, folder)
    write_draft(made, read_vcp(made, path, "0.54.1", "MIT", None), None, None)
    return made


@pytest.fixture(scope="module")
def staged(project: Project) -> Staged:
    return stage(project, "vcp-0.54.1")


def page(staged: Staged, path: str) -> Page:
    return next(one for one in staged.pages if one.path == path)


def words(fragment: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", fragment))


def rows_of(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode())))


def test_a_banner_stands_on_every_page(staged: Staged):
    assert f"measured by {SOURCE}, not by cellgauge" in words(staged.around["banner"])


@pytest.mark.parametrize("path", ["tasks/clustering/", ON_BLOOD, RESULT, "models/uce-33l/", "datasets/tsv2-blood/"])
def test_each_page_with_scores_says_whose_they_are(staged: Staged, path: str):
    assert re.search(
        rf"[Rr]eported by {re.escape(SOURCE)}|that {re.escape(SOURCE)} reports", words(page(staged, path).fragment)
    )


def test_no_model_is_ranked_or_judged_anywhere(staged: Staged):
    for one in staged.pages:
        said = words(one.fragment)
        assert not re.search(r"data-key=\"(verdict|ranks)\"", one.fragment), one.path
        assert not re.search(r"(is|are) (better|worse) than|Holm|Rank(s|ed) \d|not separated\b", said), one.path
    assert not [one.path for one in staged.pages if one.path.startswith("compare/") and one.path != "compare/"]


def test_scores_carry_their_mark_and_the_difference_has_no_verdict(staged: Staged):
    table = rows_of(page(staged, ON_BLOOD).files[f"{ON_BLOOD.rstrip('/')}.csv"])
    assert {row["kind"] for row in table} == {"reported"}
    assert {row["source"] for row in table} == {SOURCE}
    by_model = {row["model"]: row for row in table}
    assert float(by_model["uce-33l"]["difference"]) == pytest.approx(0.4 - 0.3)
    assert float(by_model["aido-cell-3m"]["difference"]) == pytest.approx(0.2 - 0.3)
    assert by_model["czbenchmarks-baseline"]["difference"] == ""
    fragment = page(staged, ON_BLOOD).fragment
    assert "reported" in re.search(r"0\.400.*?</td>", fragment, re.S)[0]  # type: ignore[index]
    assert "no model is called better or worse" in words(fragment)


def test_what_is_not_reported_is_an_empty_with_its_reason(staged: Staged):
    task = page(staged, "tasks/clustering/")
    matrix = {
        row["dataset"] if "dataset" in row else row["model"]: row
        for row in rows_of(task.files["tasks/clustering-datasets.csv"])
    }
    assert matrix["uce-33l"]["tsv2-ear"] == "0.7"
    assert matrix["aido-cell-3m"]["tsv2-ear"] == ""
    assert "1 of 2" in task.fragment
    assert "not reported" in task.fragment
    everything = rows_of(task.files["tasks/clustering.csv"])
    empty = [row for row in everything if row["status"] == "not_reported"]
    assert {(row["model"], row["dataset"]) for row in empty} == {
        ("aido-cell-3m", "tsv2-ear"), ("czbenchmarks-baseline", "tsv2-ear"),
    }  # fmt: skip
    assert all(row["adjusted-rand-index"] == "" for row in empty)


def test_a_mean_over_classifiers_is_last_and_never_the_headline(staged: Staged):
    fragment = page(staged, "tasks/classification/tsv2-blood/").fragment
    headings = re.findall(r"<h2 id=\"part-\d\">([^<]+)", fragment)
    assert [one.strip() for one in headings] == [
        "Logistic regression", "5 nearest neighbours", "Random forest", "Mean over the three classifiers",
    ]  # fmt: skip
    assert "weighted-auroc" in fragment
    assert "macro-auroc" not in fragment


def test_a_result_names_source_licence_and_original_key_and_offers_no_run(staged: Staged):
    said = words(page(staged, RESULT).fragment)
    assert f"Reported by {SOURCE}; not measured by us." in said
    for one in ("UCE-v1-33l", "tsv2_blood", "published.json: [0]", "cz-benchmarks 0.8.0", "MIT"):
        assert one in said
    assert "cellgauge run" not in said
    assert "could not be verified" not in said


def test_checks_that_do_not_apply_say_so_and_none_fires(staged: Staged):
    said = words(page(staged, "quality/").fragment)
    assert "No findings." in said
    assert said.count("does not apply:") == 12


def test_programs_are_told_the_kind_of_every_row(staged: Staged):
    data = page(staged, "data/")
    assert {row["kind"] for row in rows_of(data.files["api/v1/results.csv"])} == {"reported"}
    about = json.loads(data.files["api/v1/release.json"])
    assert (about["kind"], about["reported"]["source"], about["reported"]["licence"]) == ("reported", SOURCE, "MIT")


def test_how_it_is_cited_names_who_measured(project: Project, staged: Staged):
    cited, rows = cited_rows(project, "vcp-0.54.1")
    assert f"Reported results, measured by {SOURCE}" in cited.text
    assert f"measured by {SOURCE}" in cited.bibtex
    assert {row["kind"] for row in rows} == {"reported"}
    assert licence_of(cited) == "https://spdx.org/licenses/MIT"
    assert licence_of(replace(cited, licence="CC-BY-4.0")) == "https://spdx.org/licenses/CC-BY-4.0"
    assert licence_of(replace(cited, licence=None)) is None  # what is not known is not ours either
    assert SOURCE in words(page(staged, "").fragment)


def test_a_task_without_a_baseline_has_pages_all_the_same(staged: Staged):
    said = words(page(staged, "tasks/cross-species-integration/").fragment)
    assert "Baseline the source has none" in said
    assert "TranscriptFormer, variant not stated" in said


def test_text_of_a_source_is_shown_and_does_nothing(tmp_path: Path):
    nasty = 'M <script>alert(1)</script> {{ 7 * 7 }} "x" [a](javascript:alert(1))'
    source = tmp_path / "toy"
    source.mkdir()
    files = {
        "task_info": {"task_id": "toy", "task_name": nasty, "task_summary": nasty, "task_description": nasty},
        "dataset_info": [{"dataset_id": "b", "dataset_name": nasty, "dataset_description": nasty, "data_url": "x:y"}],
        "method_info": [{"method_id": "m", "method_name": nasty, "method_description": nasty, "is_baseline": False}],
        "metric_info": [{"metric_id": "up", "metric_name": nasty, "metric_description": nasty, "maximize": False}],
        "results": [{"dataset_id": "b", "method_id": "m", "metric_values": {"up": -1e9}}],
    }
    for name, value in files.items():
        (source / f"{name}.json").write_text(json.dumps(value), encoding="utf-8")
    for name in ("mkdocs.yml", "site_src", "generator"):
        (tmp_path / name).symlink_to(REPO / name)
    project = Project(tmp_path, tmp_path)
    write_draft(project, read_openproblems(source, None, None, None), "op", None)
    pages = stage(project, "op").pages
    assert any("&lt;script&gt;alert(1)" in one.fragment for one in pages)
    for one in pages:
        assert "<script>alert" not in one.fragment
        assert 'href="javascript:' not in one.fragment
        assert "{{" not in one.fragment
