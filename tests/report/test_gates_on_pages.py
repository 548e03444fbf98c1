"""A failed sanity check is said wherever the model stands, with what was seen."""

from __future__ import annotations

import pytest

from cellgauge.report.build import build_site
from cellgauge.report.cells import model_cell
from cellgauge.report.comparison import compare_task
from cellgauge.report.leaderboard import leaderboard
from cellgauge.report.lists import models_table
from cellgauge.report.overviews import gates_table
from cellgauge.report.release import ReleaseView, load_release
from cellgauge.results.schema import Gate

PBMC = "pbmc68k-reduced"
FAILED = Gate(name="order", outcome="failed", evidence="rows in another order keep 4% of their neighbours")
PASSED = Gate(name="order", outcome="passed", evidence="rows in another order keep 100% of their neighbours")
UNKNOWN = Gate(name="coverage", outcome="not applicable", evidence="the model does not say which genes it knows")
BADGE = "✕ order of cells"


@pytest.fixture
def view(release) -> ReleaseView:
    release.add("clustering", PBMC, "pca", 0.5, gates=[PASSED, UNKNOWN])
    release.add("clustering", PBMC, "svd", 0.6, gates=[FAILED, UNKNOWN])
    return load_release(release.finish(), None)


def badges(cells) -> dict[str, list[tuple[str, str]]]:
    return {cell.text: [(badge.text, badge.hover) for badge in cell.badges if badge.tone == "failed"] for cell in cells}


def test_a_failed_check_is_a_badge_with_its_evidence(view: ReleaseView) -> None:
    task = view.cards.tasks["clustering"]
    comparisons = {task.id: compare_task(view, task)}
    expected = [(BADGE, "Rows in another order keep 4% of their neighbours.")]
    table = leaderboard(view, comparisons[task.id])
    place = [column.key for column in table.columns].index("model")
    found = badges(row.cells[place] for row in table.rows)
    assert found == {"PCA": [], "Truncated SVD": expected}
    listed = badges(row.cells[0] for row in models_table(view, comparisons).rows)
    assert listed["Truncated SVD"] == expected
    assert [name for name, has in listed.items() if has] == ["Truncated SVD"]


def test_what_passed_and_what_could_not_be_told_stand_in_a_table(view: ReleaseView) -> None:
    (row,) = gates_table(view, "svd").records()
    assert row["order"] == "failed"
    assert row["coverage"] == "not applicable"
    assert row["determinism"] is None
    assert gates_table(view, "nmf") is None


def test_a_model_that_predicts_has_its_own_words(release) -> None:
    release.add("perturbation", PBMC, "additive", 0.6, gates=[FAILED])
    view = load_release(release.finish(), None)
    (card,) = [model for model in view.cards.models.values() if model.id == "additive"]
    (badge,) = [one for one in model_cell(card, gates=view.gates_of("additive")).badges if one.tone == "failed"]
    assert badge.text == "✕ order of cells and genes"
    titles = [column.label for column in gates_table(view, "additive").columns]
    assert titles[1:3] == ["Order of cells and genes", "Number asked for"]


@pytest.mark.site
def test_pages_say_it(release) -> None:
    release.add("clustering", PBMC, "svd", 0.6, gates=[FAILED, UNKNOWN])
    release.add("perturbation", PBMC, "additive", 0.6, gates=[FAILED])
    site = build_site(release.finish(), None, release.project.work / "site", say=lambda _: None)
    for page in ("tasks/clustering", "models", "models/svd", f"results/clustering/{PBMC}/svd"):
        assert BADGE in (site / page / "index.html").read_text(encoding="utf-8"), page
    result = (site / f"results/clustering/{PBMC}/svd/index.html").read_text(encoding="utf-8")
    assert "rows in another order keep 4% of their neighbours" in result
    assert "Sanity checks" in (site / "models/svd/index.html").read_text(encoding="utf-8")
    predicted = f"results/perturbation/{PBMC}/additive"
    for page in ("tasks/perturbation", "models/additive", predicted):
        assert "✕ order of cells and genes" in (site / page / "index.html").read_text(encoding="utf-8"), page
    assert "perturbations of each dataset are predicted again" in (site / "models/additive/index.html").read_text(
        "utf-8"
    )
    assert BADGE not in (site / "models/pca/index.html").read_text(encoding="utf-8")
