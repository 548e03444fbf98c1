"""Drawing the pages of a release on all cores."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor

from cellgauge.report.drawings import Drawings
from cellgauge.report.render import Page

Work = Callable[[], Page | Iterable[Page]]
"""Draws a page, or a few."""

_FEW = 100
"""Up to this many works, starting processes takes longer than drawing."""
_AT_ONCE = 8

_shared: tuple[Sequence[Work], Drawings] | None = None
"""What forked processes find in their memory."""


def on_all_cores(works: Sequence[Work], drawings: Drawings) -> list[Page]:
    """Return the pages that works draw, in their order; what they place in ``drawings`` is there afterwards.

    Processes are forked, since a release takes longer to read than a page to draw. Where a system cannot fork, or has
    one core, pages are drawn one after the other.
    """
    global _shared
    cores = os.cpu_count() or 1
    if len(works) <= _FEW or cores == 1 or "fork" not in multiprocessing.get_all_start_methods():
        return _pages(works)
    _shared = (works, drawings)
    try:
        with ProcessPoolExecutor(cores, mp_context=multiprocessing.get_context("fork")) as pool:
            found: list[Page] = []
            for pages, missing in pool.map(_some, range(0, len(works), _AT_ONCE)):
                found += pages
                drawings.give(missing)
            return found
    finally:
        _shared = None


def _some(first: int) -> tuple[list[Page], dict[str, str]]:
    assert _shared is not None  # noqa: S101 (set before this process was forked)
    works, drawings = _shared
    return _pages(works[first : first + _AT_ONCE]), drawings.take()


def _pages(works: Iterable[Work]) -> list[Page]:
    found: list[Page] = []
    for work in works:
        pages = work()
        found += [pages] if isinstance(pages, Page) else pages
    return found
