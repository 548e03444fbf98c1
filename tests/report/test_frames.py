"""Pages that are put into a frame are those that mkdocs would have made."""

from __future__ import annotations

import json
import re

import pytest

from cellgauge.report import stage
from cellgauge.report.build import build_site

STRANGE = 'R&D <b> "10x" it\'s {{ 7*7 }} cgtitle cgfragment $1 \\1 `x` *y*'
SHORT = re.compile(r'(?:href|src)="(?:\.\./)*[^"]*"')


@pytest.fixture
def scored(release, edit):
    edit("site_src/models/svd.md", "name: Truncated SVD", f"name: {json.dumps(STRANGE)}")
    for model in ("pca", "svd"):
        release.add("clustering", "pbmc68k-reduced", model, 0.5)
    return release.finish()


@pytest.mark.site
@pytest.mark.slow
def test_a_page_in_a_frame_is_what_mkdocs_makes_of_it(scored, tmp_path, monkeypatch, edit):
    framed = build_site(scored, None, tmp_path / "framed", say=lambda _: None)
    paths = {page.path for page in stage.stage(scored, None).framed}
    assert {"models/svd/", "tasks/clustering/", "results/clustering/pbmc68k-reduced/svd/"} <= paths
    # As pages of the navigation they are made by mkdocs alone.
    monkeypatch.setattr(stage, "_IN_NAV", (*stage._IN_NAV, *paths))
    edit("mkdocs.yml", "/cgframe*/", "*.md")
    whole = build_site(scored, None, tmp_path / "whole", again=True, say=lambda _: None)
    names = {path.relative_to(whole) for path in whole.rglob("*") if path.is_file()}
    assert names == {path.relative_to(framed) for path in framed.rglob("*") if path.is_file()}
    for path in sorted(paths):
        # Where a page could name a folder near it by fewer steps, mkdocs does.
        one, other = (SHORT.sub("", (site / path / "index.html").read_text("utf-8")) for site in (framed, whole))
        assert one == other, path
    ours, theirs = (
        {doc["location"]: doc for doc in json.loads((site / "search/search_index.json").read_bytes())["docs"]}
        for site in (framed, whole)
    )
    assert ours == theirs
    maps = [sorted((site / "sitemap.xml").read_text("utf-8").splitlines()) for site in (framed, whole)]
    assert maps[0] == maps[1]


def test_pages_drawn_side_by_side_are_those_drawn_one_by_one(scored, render, monkeypatch):
    side_by_side = stage.stage(scored, None)
    monkeypatch.setattr("cellgauge.report.many._FEW", 10_000)
    one_by_one = stage.stage(scored, None)
    assert side_by_side.pages == one_by_one.pages
    fragment = side_by_side.fragment("models/svd/")
    assert side_by_side.drawings.fill(fragment) == one_by_one.drawings.fill(fragment)
