"""Frames: what mkdocs puts around a page differs between pages of one depth in a few words alone.

So mkdocs makes one page of each depth, with words in it that nobody writes, and each page of the release is that page
with its own words in their place; pages of the navigation have one each, in which their entry is marked. Making each of
thousands of pages with mkdocs would take most of a build, and it can make frames while results are still read. The
entries of the search index and of the site map are made in the same way.
"""

from __future__ import annotations

import calendar
import datetime as dt
import gzip
import html
import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from cellgauge.report.forks import on_all_cores
from cellgauge.report.page import Page
from cellgauge.report.sources import IN_NAV, PROSE

_FOLDER = "cgframe"
_WORDS = ("cgtitle", "cgdescription", "cgsearch", "cgfragment", "cghead")
_DEPTHS = (2, 3, 4)
"""How many folders below the root pages lie that are not in the navigation: ``models/pca/`` has two."""
_AROUND = {"release": "cgrelease", "quality": "cgquality"}
"""Words for what stands on every page, by the name of its fragment."""
_OLDEST = 315532800  # 1980-01-01: the least that every archive format can hold
_FEW, _AT_ONCE = 200, 50


def frames(*, of_navigation: bool) -> list[Page]:
    """Return the pages that mkdocs makes for all others: one for each depth, and perhaps for each in the navigation."""
    title, description, search, fragment, head = _WORDS
    paths = [*(IN_NAV if of_navigation else ()), *map(_place, _DEPTHS)]
    return [Page(path, title, description, fragment, search=search, head=head) for path in paths]


def words_around(banner: str) -> dict[str, str]:
    """Return what stands on every frame; a banner is known before anything is drawn."""
    return {"banner": banner, **_AROUND}


def _place(depth: int) -> str:
    return f"{_FOLDER}{depth}/" * depth


def _frame_of(page: Page) -> str:
    """Return where the frame of a page lies."""
    return page.path if page.path in IN_NAV else _place(page.path.count("/"))


def put_into_frames(
    site: Path,
    pages: Iterable[Page],
    around: Mapping[str, str],
    fill: Callable[[str], str],
    *,
    day: dt.date | None,
    before: Path,
) -> None:
    """Write pages, and the files beside them, into a site of frames; the frames are taken away.

    Parameters
    ----------
    before
        The site that is to be replaced, if it is there. What is as it was there is the same file with the same time,
        so that what copies the site to elsewhere sees which files are new.
    around
        What stands on every page, by the name of its fragment.
    fill
        Returns a fragment with its drawings.
    day
        The day of the data: the same inputs give the same bytes on any day.
    """
    said = {word: _included(around[name]) for name, word in _AROUND.items()}
    _finish(site, said)
    by_frame: dict[str, list[Page]] = {}
    for page in pages:
        by_frame.setdefault(_frame_of(page), []).append(page)
    parts = {place: _split((site / place / "index.html").read_text(encoding="utf-8"), place) for place in by_frame}
    _list(site, by_frame, day)
    for depth in _DEPTHS:
        shutil.rmtree(site / f"{_FOLDER}{depth}")

    def write(one: tuple[str, Page]) -> None:
        place, page = one
        words = said | _words(page, place, fill(page.fragment))
        text = "".join(words.get(part, part) for part in parts[place]).encode()
        for path, data in {f"{page.path}index.html": text, **page.files}.items():
            _put_or_keep(site / path, data, before / path)

    every = [(place, page) for place, some in by_frame.items() for page in some]
    for _ in on_all_cores(write, every, few=_FEW, at_once=_AT_ONCE):
        pass


def _put_or_keep(path: Path, data: bytes, before: Path) -> None:
    """Write a file, or give one that is already there and the same a second name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with suppress(OSError):  # it is not there, or cannot have two names
        if before.stat().st_size == len(data) and before.read_bytes() == data:
            os.link(before, path)
            return
    path.write_bytes(data)


def _included(fragment: str) -> str:
    """Return a fragment as it is included: a template loses the end of its last line."""
    return fragment.removesuffix("\n")


def _finish(site: Path, said: Mapping[str, str]) -> None:
    """Put what stands on every page into those that are no frames."""
    pattern = re.compile("|".join(said))
    for path in (site / "404.html", *(site / name.removesuffix(".md") / "index.html" for name in PROSE)):
        text = path.read_text(encoding="utf-8")
        path.write_text(pattern.sub(lambda word: said[word[0]], text), encoding="utf-8")


def _list(site: Path, by_frame: Mapping[str, Iterable[Page]], day: dt.date | None) -> None:
    """Enter pages into the search index and the site map in place of their frames."""
    index_path, map_path = site / "search/search_index.json", site / "sitemap.xml"
    index, site_map = json.loads(index_path.read_text(encoding="utf-8")), map_path.read_text(encoding="utf-8")
    entries = {entry["location"]: entry for entry in index["docs"]}
    for depth in _DEPTHS:
        place = _place(depth)
        entry, some = entries.pop(place), by_frame.get(place, ())
        entries |= {page.path: _entry(entry, page) for page in some if page.searchable}
        (line,) = (one for one in site_map.splitlines(keepends=True) if f"{place}<" in one)
        site_map = site_map.replace(line, "".join(line.replace(place, page.path) for page in some))
    for path in IN_NAV:
        (page,) = by_frame[path]
        entries[path] = _entry(entries[path], page)
    index["docs"] = list(entries.values())
    index_path.write_text(json.dumps(index, separators=(",", ":")), encoding="utf-8")
    map_path.write_text(site_map, encoding="utf-8")
    made = int(os.environ.get("SOURCE_DATE_EPOCH") or (calendar.timegm(day.timetuple()) if day else _OLDEST))
    (site / "sitemap.xml.gz").write_bytes(gzip.compress(site_map.encode(), mtime=made))


def _split(text: str, place: str) -> list[str]:
    words = [*_WORDS, *_AROUND.values(), *([] if place in IN_NAV else [re.escape(place)])]
    return re.split(f"({'|'.join(words)})", text)


def _words(page: Page, place: str, fragment: str) -> dict[str, str]:
    own = (html.escape(page.title), html.escape(page.description), "", _included(fragment), page.head)
    return {**dict(zip(_WORDS, own, strict=True)), place: page.path}


def _entry(entry: dict[str, Any], page: Page) -> dict[str, Any]:
    """Return what the search knows of a page; ``entry`` is what it knows of the frame."""
    paragraphs = [" ".join(text.split()) for text in (page.description, page.search)]
    text = " ".join(f"<p>{html.escape(one, quote=False)}</p>" for one in paragraphs if one)
    title = entry["title"].replace(_WORDS[0], html.escape(page.title))
    return {**entry, "location": page.path, "title": title, "text": text, "boost": page.boost}
