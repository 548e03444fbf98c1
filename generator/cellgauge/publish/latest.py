"""``latest/``: for each page that any release of a series had, a small page that leads to the newest one with it."""

from __future__ import annotations

from html import escape

from cellgauge.publish.delivery import ASK_AGAIN, Delivery

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title}</title>
<link rel="canonical" href="{whole}">
<meta name="robots" content="noindex">
<link rel="icon" href="data:,">
<script>location.replace("{there}" + location.search + location.hash)</script>
<meta http-equiv="refresh" content="0; url={there}">
</head>
<body><p>This page is in <a href="{there}">release {release}</a>.</p></body>
</html>
"""


def leading_pages(folder: str, release: str, pages: list[str], root_url: str) -> dict[str, Delivery]:
    """Return pages in a folder that lead to those of a release, by where they stand.

    A reader's query and place on the page go with them; without JavaScript, those get lost.

    Parameters
    ----------
    pages
        Addresses below the release, each ending with a slash but that of the home page.
    root_url
        Where all releases stand.
    """
    found = {}
    for path in pages:
        there = f"{'../' * (path.count('/') + 1)}{release}/{path}"
        text = _PAGE.format(
            title=escape(f"Release {release}"),
            whole=escape(f"{root_url}{release}/{path}"),
            there=escape(there),
            release=escape(release),
        )
        key = f"{folder}/{path}index.html"
        found[key] = Delivery(key, text.encode(), ASK_AGAIN)
    return found
