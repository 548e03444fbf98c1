"""Drawing the pages of a release on all cores."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from cellgauge.report.drawings import Drawings
from cellgauge.report.forks import on_all_cores
from cellgauge.report.links import links_of
from cellgauge.report.page import Page

Work = Callable[[], Page | Iterable[Page]]
"""Draws a page, or a few."""

_FEW, _AT_ONCE = 100, 8


def draw_pages(works: Sequence[Work], drawings: Drawings) -> list[Page]:
    """Return the pages that works draw, in their order and with their links.

    What they place in ``drawings`` is there afterwards.
    """

    def draw(work: Work) -> tuple[list[Page], dict[str, str]]:
        drawn = work()
        pages = [drawn] if isinstance(drawn, Page) else drawn
        linked = [page if page.links else replace(page, links=links_of(page)) for page in pages]
        return linked, drawings.take()

    found: list[Page] = []
    for pages, missing in on_all_cores(draw, works, few=_FEW, at_once=_AT_ONCE):
        found += pages
        drawings.give(missing)
    return found
