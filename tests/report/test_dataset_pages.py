"""A dataset's page: what was counted is told from what is said, and what nobody has opened says so."""

from __future__ import annotations

import csv
import html
import io
import json
import re
from pathlib import Path

import pytest

from cellgauge.report.counted import SHADES, compositions, facts, percent_of
from cellgauge.report.missing import datasets_in_words, missing_pairs
from cellgauge.report.numbers import size_in_words
from cellgauge.report.release import load_release
from cellgauge.results.profile import profile_path, read_profile
from cellgauge.results.release import Pair


def text_of(site: Path, page: str) -> str:
    text = (site / page / "index.html").read_text(encoding="utf-8")
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", text)).split())


def test_what_was_counted_is_shown_and_can_be_downloaded(built, site):
    text = text_of(site, "datasets/toy-blood")
    assert "Counted in the data for release trial, not typed in." in text
    assert "Cells 60 Genes 100 2 of them not seen in any cell Zeros 79.4 % of all values of the matrix" in text
    assert "Genes per cell 12 in the median cell half of the cells 10 to 20, all 2 to 1,234" in text
    assert "Donors 3 Types 2 Memory to load and check 40 MiB" in text
    rows = list(csv.DictReader(io.StringIO((site / "datasets/toy-blood/cells-per-label-and-donor.csv").read_text())))
    assert rows[0] == {"value": "B <cell>", "donor_d1": "1", "donor_d2": "0", "donor_d3": "4", "cells": "5"}
    stored = profile_path(built[0].release("trial"), "toy-blood").read_bytes()
    assert (site / "datasets/toy-blood/profile.json").read_bytes() == stored
    assert json.loads(stored)["n_cells"] == 60


def test_cells_per_type_and_donor_are_shaded_by_how_many_there_are(built):
    view = load_release(built[0], "trial")
    *_, table = compositions(view.cards.datasets["toy-blood"], view.profiles["toy-blood"])
    shades = [[cell.shade for cell in row.cells] for row in table.rows]
    assert shades == [[0, 2, 0, 4, 0], [0, SHADES, 8, 6, 0]]
    assert [cell.text for cell in table.rows[0].cells] == ["B <cell>", "1", "–", "4", "5"]


def test_cells_of_each_column_have_bars_and_add_up(built, site):
    view = load_release(built[0], "trial")
    types, donors, _ = compositions(view.cards.datasets["toy-blood"], view.profiles["toy-blood"])
    assert [record["cells"] for record in types.records()] == [5, 55]
    assert [record["cells"] for record in donors.records()] == [26, 20, 14]
    for table in (types, donors):
        assert sum(record["share"] for record in table.records()) == pytest.approx(1)
        assert [row.cells[2].bar for row in table.rows] == [
            row.cells[1].raw[0] / max(one.cells[1].raw[0] for one in table.rows) for row in table.rows
        ]
        assert (site / f"datasets/toy-blood/{table.id}.csv").read_bytes() == table.to_csv()
    assert "B &lt;cell&gt;" in (site / "datasets/toy-blood/index.html").read_text(encoding="utf-8")
    assert "d1 26 43.3 %" in text_of(site, "datasets/toy-blood")


def test_a_dataset_that_nobody_has_opened_says_so(site):
    for page in ("datasets/norman", "datasets/tsv2-lung"):
        text = text_of(site, page)
        assert "Nobody has opened these data with cellgauge yet." in text
        assert "nothing on this page was counted in the data" in text
        assert "In numbers" not in text
    assert "over 500,000" in text_of(site, "datasets/tsv2-lung").split("Reported by others Not counted by us.")[1]


def test_a_dataset_that_this_release_has_not_loaded_says_so(site):
    assert "Not loaded in release trial." in text_of(site, "datasets/pbmc68k-reduced")


def test_a_family_has_a_page_with_its_members_and_one_row_in_the_list(site):
    family = text_of(site, "datasets/tsv2")
    assert "26 datasets of one study: together they count as one" in family
    page = (site / "datasets/tsv2/index.html").read_text(encoding="utf-8")
    assert len(set(re.findall(r'href="\.\./\.\./datasets/tsv2-([a-z-]+)/"', page))) == 26
    listed = (site / "datasets/index.html").read_text(encoding="utf-8")
    assert 'datasets/tsv2/"' in listed
    assert "tsv2-lung" not in listed


def test_many_missing_pairs_are_said_in_a_few_words(site):
    text = text_of(site, "tasks/clustering")
    assert "52 pairs: data not opened" in text
    assert "Nobody has opened these data. every model on Tabula Sapiens v2 (26 datasets)" in text


def test_datasets_are_named_until_there_are_too_many(built):
    cards = load_release(built[0], "trial").cards
    lungs = ["tsv2-lung", "tsv2-skin"]
    assert datasets_in_words(cards, lungs) == "Tabula Sapiens v2: Lung and Tabula Sapiens v2: Skin"
    members = [card.id for card in cards.families["tsv2"].members]
    assert datasets_in_words(cards, ["norman", *members]).endswith(" and Tabula Sapiens v2 (26 datasets)")
    assert datasets_in_words(cards, members[:20]) == "20 datasets"


def test_missing_pairs_of_different_models_are_kept_apart(built):
    view = load_release(built[0], "trial")

    def pair(dataset: str, model: str, status: str = "to_run") -> Pair:
        return Pair(task="clustering", dataset=dataset, model=model, key="sha256:" + "0" * 64, status=status,
                    reason=None if status == "to_run" else "no reason")  # fmt: skip

    pairs = [pair("toy-blood", "pca"), pair("toy-blood", "svd"), pair("pbmc68k-reduced", "pca"),
             pair("toy-blood", "nmf", "not_applicable"), pair("norman", "pca")]  # fmt: skip
    closed, waiting, never = missing_pairs(view, pairs, "task")
    assert (waiting.kind, waiting.count, never.kind) == ("not_run", 3, "not_applicable")
    (reason,) = waiting.reasons
    toy = view.cards.datasets["toy-blood"].name
    assert reason.what == f"PCA and Truncated SVD on {toy}; PCA on PBMC 68k (reduced)"
    assert (closed.kind, closed.count) == ("data_not_opened", 1), "as the page of everything without scores counts it"


def test_a_profile_of_an_earlier_card_is_not_shown(project, release, edit):
    release.count("toy-blood")
    release.finish()
    assert "toy-blood" in load_release(project, "trial").profiles
    edit("site_src/datasets/toy-blood.md", "columns: {label: bulk_labels}", "columns: {label: louvain}")
    assert load_release(project, "trial").profiles == {}
    assert read_profile(release.folder, "toy-blood") is not None


@pytest.mark.parametrize(
    ("share", "words"),
    [(0.0, "0 %"), (0.674, "67.4 %"), (0.99999, "more than 99.9 %"), (0.0001, "less than 0.1 %"), (1.0, "100 %")],
)
def test_a_share_never_rounds_to_all_or_nothing(share: float, words: str):
    assert percent_of(share) == words


def test_split_and_perturbations_are_counted_in_words(built):
    view = load_release(built[0], "trial")
    profile = view.profiles["toy-blood"].model_copy(
        update={"split": {"test": 5, "train": 55}, "values": {"perturbation": 4}, "whole_numbers": False}
    )
    said = {fact.name: fact.value for fact in facts(view.cards.datasets["toy-blood"], profile)}
    assert said["Split"] == "train 55 cells, test 5 cells"
    assert said["Perturbations"] == "4"
    assert "Counts per cell" not in said


@pytest.mark.parametrize(
    ("n_bytes", "words"), [(0, "0 B"), (999, "999 B"), (618384, "618.4 kB"), (1142678, "1.1 MB"), (6e12, "6.0 TB")]
)
def test_sizes_are_written_as_people_say_them(n_bytes: int, words: str):
    assert size_in_words(n_bytes) == words
