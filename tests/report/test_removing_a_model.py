"""A score depends on the model alone: taking a model away leaves the others' numbers as they are, on every page."""

from __future__ import annotations

import csv
import io
import re

import pytest

from cellgauge.report.stage import Staged, stage

GONE = "nmf"
MAY_CHANGE = ("difference_adjusted_p", "verdict", "ranks_first", "ranks_last")
"""What is adjusted for how many models there are."""


@pytest.fixture
def with_and_without(release) -> tuple[Staged, Staged]:
    values = {"pca": 0.5, "svd": 0.56, "nmf": 0.6, "raw-expression": 0.4, "random": 0.0, "oracle": 1.0}
    for task in ("clustering", "embedding"):
        for dataset in ("pbmc68k-reduced", "toy-blood"):
            for model, value in values.items():
                release.add(task, dataset, model, value)
    project = release.finish()
    whole = stage(project, "trial")
    for path in list((project.work / "results/trial").glob(f"*/*/{GONE}.*")):
        path.unlink()
    return whole, stage(project, "trial")


def rows(staged: Staged, task: str) -> dict[tuple[str, str], dict[str, str]]:
    data = next(page.files[f"tasks/{task}.csv"] for page in staged.pages if page.path == f"tasks/{task}/")
    return {(row["dataset"], row["model"]): row for row in csv.DictReader(io.StringIO(data.decode()))}


@pytest.mark.parametrize("task", ["clustering", "embedding"])
def test_no_number_of_another_model_changes_in_the_table_of_a_task(with_and_without, task: str) -> None:
    whole, rest = (rows(staged, task) for staged in with_and_without)
    assert {model for _, model in whole.keys() - rest.keys()} == {GONE}
    assert len(rest) == 10
    for place, row in rest.items():
        assert row == {key: row[key] if key in MAY_CHANGE else value for key, value in whole[place].items()}, place


def test_no_number_of_another_model_changes_on_the_page_of_its_result(with_and_without) -> None:
    whole, rest = (
        {
            page.path: numbers(page.fragment)
            for page in staged.pages
            if re.fullmatch(r"results/(?:[^/]+/){3}", page.path)
        }
        for staged in with_and_without
    )
    assert {path.rstrip("/").rpartition("/")[2] for path in whole.keys() - rest.keys()} == {GONE}
    assert len(rest) == 20
    assert rest == {path: whole[path] for path in rest}


def numbers(fragment: str) -> list[str]:
    """All numbers that a page shows, but the adjusted p-value and what follows from it."""
    text = re.sub(r"<(script|style|template)\b.*?</\1>|<!--.*?-->|<[^>]*>", " ", fragment, flags=re.DOTALL)
    return re.findall(r"[−+]?\d[\d.,]*", re.sub(r"→.*?adjusted p = \S+", "", text, flags=re.DOTALL))
