"""Links inside the site: mkdocs checks those in Markdown, and this those in fragments."""

from __future__ import annotations

import html
import posixpath
import re
from collections.abc import Iterable

from cellgauge.report.render import Page

_ADDRESS = re.compile(r'\s(?:href|src)="([^"]*)"')
_ABSOLUTE = re.compile(r"^[a-z][a-z0-9+.-]*:", re.IGNORECASE)


def links_of(page: Page) -> frozenset[str]:
    """Return the addresses inside the site that a page links to, below its root."""
    found = set()
    for href in map(html.unescape, set(_ADDRESS.findall(page.fragment))):
        path = href.partition("#")[0]
        if path and not _ABSOLUTE.match(href):
            target = posixpath.normpath(posixpath.join("/", page.path, path)).lstrip("/")
            found.add(f"{target}/" if path.endswith("/") and target else target)
    return frozenset(found)


def dead_links(pages: Iterable[Page], others: Iterable[str]) -> list[str]:
    """Return a sentence for each link from a page to something that is not there.

    Parameters
    ----------
    pages
        With their ``links``.
    others
        Addresses of what else the site holds.
    """
    pages = list(pages)
    known = {page.path for page in pages} | {file for page in pages for file in page.files} | set(others)
    return [
        f"{f'{page.source}: ' if page.source else ''}the page {page.path or 'index'} links to {target or 'index'}, "
        "which is not there"
        for page in pages
        for target in sorted(page.links - known)
    ]
