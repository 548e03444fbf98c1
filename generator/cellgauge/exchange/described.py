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
    if view.day is None:
        raise UserError(f"release {release} has no results; there is nothing to export")
    digest, doi = (view.frozen.manifest, view.frozen.doi) if view.frozen else (None, None)
    cited = Cited(release, view.day, site_address(project), digest=digest, digest_of="Manifest", doi=doi)
    return cited, table_rows(view.results.values())
