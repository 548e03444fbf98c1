"""The page of everything that has no scores."""

from __future__ import annotations

from cellgauge.report.empties import counts_table, empties_table, find_empties, group_empties, summary
from cellgauge.report.page import Page
from cellgauge.report.render import Renderer


def missing_page(renderer: Renderer) -> Page:
    """Draw every empty cell and why, compactly; the download names each one."""
    view = renderer.view
    empties = find_empties(view)
    path, title, intro = "missing/", "Missing, and why", "Every combination of task, dataset and model without scores."
    files = {"missing/evaluations.csv": empties_table(empties).to_csv()} if empties else {}
    html = renderer.fragment(
        "missing.html",
        path,
        title=title,
        intro=intro,
        sentence=summary(view, empties),
        counts=counts_table(view, empties),
        groups=group_empties(view.cards, empties),
        files=list(files),
    )
    return Page(path, title, intro, html, files=files)
