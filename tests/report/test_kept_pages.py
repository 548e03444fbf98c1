"""Pages of results that were kept are those that would be drawn now, whatever has changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from cellgauge.cards import Project
from cellgauge.report import result_pages
from cellgauge.report.address import Address
from cellgauge.report.page import Page
from cellgauge.report.stage import stage
from cellgauge.report.unchanged import read_inputs
from cellgauge.results.release import Plan
from cellgauge.results.store import read_plan, seal, to_json, write_plan, write_result

VALUES = {"pca": 0.5, "svd": 0.56, "nmf": 0.6, "raw-expression": 0.4, "random": 0.0, "oracle": 1.0}


@pytest.fixture
def scored(release) -> Project:
    for task in ("clustering", "classification"):
        for dataset in ("pbmc68k-reduced", "toy-blood"):
            for model, value in VALUES.items():
                release.add(task, dataset, model, value)
    release.add_map("toy-blood", "svd")
    return release.finish()


def drawn(project: Project, *, with_kept: bool) -> tuple[Page, ...]:
    return stage(project, "trial", inputs=read_inputs(project, "trial", Address()) if with_kept else None).pages


def test_nothing_is_drawn_again_where_nothing_has_changed(scored, monkeypatch) -> None:
    before = drawn(scored, with_kept=True)

    def fail(*_: object) -> Page:
        raise AssertionError("drawn again")

    monkeypatch.setattr(result_pages, "result_page", fail)
    assert drawn(scored, with_kept=True) == before
    with pytest.raises(AssertionError, match="drawn again"):
        drawn(scored, with_kept=False)


def result(project: Project, task: str, dataset: str, model: str) -> Path:
    return project.release("trial") / task / dataset / f"{model}.json"


def decline(project: Project) -> None:
    folder = project.release("trial")
    pairs = {pair.model: pair for pair in read_plan(folder).pairs}
    withdrawn = pairs["svd"].model_copy(update={"status": "withdrawn", "key": None})
    write_plan(folder, Plan.of(folder.name, {**pairs, "svd": withdrawn}.values()))


def finish_later(release) -> None:
    """Add a result elsewhere that is newer than all others: by its date every page is cited."""
    made = json.loads(to_json(release.add("embedding", "toy-blood", "pca", 0.5)))
    replicates = (release.folder / "embedding/toy-blood/pca.npy").read_bytes()
    write_result(release.folder, seal({**made, "finished_at": "2027-02-03T04:05:06Z"}), replicates)


def edit_card(project: Project, card: str, old: str, new: str) -> None:
    path = project.site_src / card
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [
        lambda release: release.add("clustering", "pbmc68k-reduced", "nmf", 0.3),
        lambda release: release.add("classification", "toy-blood", "svd", 0.9),
        lambda release: result(release.project, "clustering", "toy-blood", "nmf").unlink(),
        lambda release: release.add_map("toy-blood", "pca"),
        lambda release: release.count("toy-blood"),
        lambda release: decline(release.project),
        lambda release: edit_card(release.project, "models/pca.md", "name: PCA", "name: Principal components"),
        lambda release: edit_card(release.project, "datasets/toy-blood.md", "name: Toy blood", "name: Toys"),
        lambda release: edit_card(release.project, "templates/result.html", "Sanity checks", "Checks"),
        lambda release: finish_later(release),
        lambda release: next((release.project.work / "build/charts").glob("*.svg")).unlink(),
    ],
    ids=[
        "score", "score elsewhere", "gone", "map", "profile", "plan", "model", "dataset", "template", "newest",
        "drawing",
    ],
)  # fmt: skip
def test_kept_pages_are_those_that_would_be_drawn(release, scored, change: Callable[[object], object]) -> None:
    release.plan("clustering", "pbmc68k-reduced", "svd", "to_run")
    release.finish()
    drawn(scored, with_kept=True)
    change(release)
    assert drawn(scored, with_kept=True) == drawn(scored, with_kept=False)
