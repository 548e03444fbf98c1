"""Frames: what mkdocs puts around a page differs between pages of one depth in a few words alone.

So mkdocs makes one page of each depth, with words in it that nobody writes, and each page of the release is that page
with its own words in their place. Making each of thousands of pages with mkdocs would take most of a build. The entries
of the search index and of the site map are made in the same way.
"""

from __future__ import annotations

import gzip
import html
import json
import re
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from cellgauge.report.render import Page

_FOLDER = "cgframe"
_WORDS = ("cgtitle", "cgdescription", "cgsearch", "cgfragment")


def frame(depth: int) -> Page:
    """Return the page that mkdocs makes for all pages at one depth: 2 for ``models/pca/``."""
    title, description, search, fragment = _WORDS
    return Page(f"{_FOLDER}{depth}/" * depth, title, description, fragment, search=search)


def depth_of(page: Page) -> int:
    """Return how many folders below the site's root a page lies."""
    return page.path.count("/")


def put_into_frames(site: Path, pages: Iterable[Page], fill: Callable[[str], str]) -> None:
    """Write pages into a site in which mkdocs made a frame for each of their depths; the frames are taken away.

    Parameters
    ----------
    fill
        Returns a fragment with its drawings.
    """
    by_depth: dict[int, list[Page]] = {}
    for page in pages:
        by_depth.setdefault(depth_of(page), []).append(page)
    index_path, map_path = site / "search/search_index.json", site / "sitemap.xml"
    index, site_map = json.loads(index_path.read_text(encoding="utf-8")), map_path.read_text(encoding="utf-8")
    entries = {entry["location"]: entry for entry in index["docs"]}
    for depth, some in sorted(by_depth.items()):
        place = frame(depth).path
        parts = _split((site / place / "index.html").read_text(encoding="utf-8"), place)
        entry = entries.pop(place)
        (line,) = (one for one in site_map.splitlines(keepends=True) if f"{place}<" in one)
        for page in some:
            target = site / page.path
            target.mkdir(parents=True, exist_ok=True)
            words = _words(page, place, fill(page.fragment))
            (target / "index.html").write_text("".join(words.get(part, part) for part in parts), encoding="utf-8")
            if page.searchable:
                entries[page.path] = _entry(entry, page)
        site_map = site_map.replace(line, "".join(line.replace(place, page.path) for page in some))
        shutil.rmtree(site / f"{_FOLDER}{depth}")
    index["docs"] = list(entries.values())
    index_path.write_text(json.dumps(index, separators=(",", ":")), encoding="utf-8")
    map_path.write_text(site_map, encoding="utf-8")
    packed = site / "sitemap.xml.gz"
    with gzip.open(packed) as file:
        file.read(1)
        made = file.mtime or 0
    packed.write_bytes(gzip.compress(site_map.encode(), mtime=made))


def _split(text: str, place: str) -> list[str]:
    return re.split(f"({'|'.join((*_WORDS, re.escape(place)))})", text)


def _words(page: Page, place: str, fragment: str) -> dict[str, str]:
    # A template that is included loses the end of its last line, and so does a fragment.
    own = (html.escape(page.title), html.escape(page.description), "", fragment.removesuffix("\n"))
    return {**dict(zip(_WORDS, own, strict=True)), place: page.path}


def _entry(entry: dict[str, Any], page: Page) -> dict[str, Any]:
    """Return what the search knows of a page; ``entry`` is what it knows of the frame."""
    paragraphs = [" ".join(text.split()) for text in (page.description, page.search)]
    text = " ".join(f"<p>{html.escape(one, quote=False)}</p>" for one in paragraphs if one)
    title = html.escape(page.title)
    return {**entry, "location": page.path, "title": title, "text": text, "boost": page.boost}
