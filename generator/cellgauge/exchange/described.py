"""What a deposited release says of itself: how it is cited, and its scores."""

from __future__ import annotations

from cellgauge.cards.problems import UserError
from cellgauge.cards.project import Project
from cellgauge.report.cite import Cited
from cellgauge.report.release import ReleaseView, load_release
from cellgauge.report.sources import site_address
from cellgauge.results.manifest import is_frozen, refuse_changed
from cellgauge.results.table import Row, table_rows


def cited_rows(project: Project, release: str) -> tuple[Cited, list[Row]]:
    """Return how a release is cited, and its long table as its pages show it; see :func:`described`."""
    view, cited = described(project, release)
    return cited, table_rows(view.results.values(), view.cards)


def described(project: Project, release: str) -> tuple[ReleaseView, Cited]:
    """Return a release as its pages show it, and how it is cited.

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
    return view, cited


def refuse_unfrozen(project: Project, release: str) -> None:
    """Refuse to hand out a release that may still change.

    Raises
    ------
    UserError
        When it is not frozen.
    """
    if not is_frozen(project, release):
        raise UserError(f"release {release} is not frozen. Freeze it first: cellgauge freeze {release}")
