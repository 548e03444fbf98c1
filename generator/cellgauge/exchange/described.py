"""What a deposited release says of itself: how it is cited, and its scores."""

from __future__ import annotations

from cellgauge.cards.problems import UserError
from cellgauge.cards.project import Project
from cellgauge.report.cite import Cited
from cellgauge.report.release import load_release
from cellgauge.report.sources import site_address
from cellgauge.results.manifest import refuse_changed
from cellgauge.results.table import Row, table_rows


def cited_rows(project: Project, release: str) -> tuple[Cited, list[Row]]:
    """Return how a release is cited, and its long table as its pages show it.

    Raises
    ------
    UserError
        When there is no such release, it has no results, or it is frozen and has changed.
    """
    refuse_changed(project, release)
    view = load_release(project, release)
    cited = view.cited(site_address(project))
    if cited is None:
        raise UserError(f"release {release} has no results; there is nothing to export")
    return cited, table_rows(view.results.values())
