"""Links inside the site: mkdocs checks those in Markdown, and this those in fragments."""

from __future__ import annotations

import html
import posixpath
import re
from collections.abc import Iterable

from cellgauge.report.render import Page

_ADDRESS = re.compile(r'\s(?:href|src)="([^"]*)"')
_ABSOLUTE = re.compile(r"^[a-z][a-z0-9+.-]*:", re.IGNORECASE)


def dead_links(pages: Iterable[Page], others: Iterable[str]) -> list[str]:
    """Return a sentence for each link from a page to something that is not there.

    Parameters
    ----------
    others
        Addresses of what else the site holds.
    """
    pages = list(pages)
    known = {page.path for page in pages} | {file for page in pages for file in page.files} | set(others)
    problems = []
    for page in pages:
        for href in sorted({html.unescape(found) for found in _ADDRESS.findall(page.fragment)}):
            path = href.partition("#")[0]
            if not path or _ABSOLUTE.match(href):
                continue
            target = posixpath.normpath(posixpath.join("/", page.path, path)).lstrip("/")
            target += "/" if path.endswith("/") and target else ""
            if target not in known:
                source = f"{page.source}: " if page.source else ""
                problems.append(
                    f"{source}the page {page.path or 'index'} links to {target or 'index'}, which is not there"
                )
    return problems
