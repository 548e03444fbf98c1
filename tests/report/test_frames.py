"""Pages that are put into a frame are those that mkdocs would have made."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace

import pytest

from cellgauge.report import sources, stage
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
def test_a_page_in_a_frame_is_what_mkdocs_makes_of_it(scored, tmp_path):
    framed = build_site(scored, None, tmp_path / "framed", say=lambda _: None)
    staged = stage.stage(scored, None)
    paths = {page.path for page in staged.pages}
    assert {"", "models/", "models/svd/", "tasks/clustering/", "results/clustering/pbmc68k-reduced/svd/"} <= paths
    whole = made_by_mkdocs_alone(scored, staged, tmp_path)
    names = {path.relative_to(whole) for path in whole.rglob("*.html")}
    assert names == {path.relative_to(framed) for path in framed.rglob("*.html")}
    for name in sorted(names):
        # Where a page could name a folder near it by fewer steps, mkdocs does.
        one, other = (SHORT.sub("", (site / name).read_text("utf-8")) for site in (framed, whole))
        assert one == other, name
    ours, theirs = (
        {doc["location"]: doc for doc in json.loads((site / "search/search_index.json").read_bytes())["docs"]}
        for site in (framed, whole)
    )
    assert ours == theirs
    maps = [sorted((site / "sitemap.xml").read_text("utf-8").splitlines()) for site in (framed, whole)]
    assert maps[0] == maps[1]


def made_by_mkdocs_alone(project, staged, folder):
    """Return a site in which mkdocs made every page, from a stub and a fragment of its own."""
    pages = [replace(page, fragment=staged.drawings.fill(page.fragment)) for page in staged.pages]
    both = sources.Sources(folder / "docs", folder / "overrides")
    both.write(project, pages, staged.around)
    config = (project.source / "mkdocs.yml").read_text("utf-8")
    for here, there in (
        ("/cgframe*/", "*.md"),
        ("docs_dir: build/pages", f"docs_dir: {both.docs}"),
        ("custom_dir: build/overrides", f"custom_dir: {both.overrides}"),
    ):
        assert here in config
        config = config.replace(here, there)
    (folder / "mkdocs.yml").write_text(config, "utf-8")
    subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "-q", "-f", str(folder / "mkdocs.yml"), "-d", str(folder / "whole")],
        check=True, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, timeout=300,
    )  # fmt: skip
    return folder / "whole"


def test_pages_drawn_side_by_side_are_those_drawn_one_by_one(scored, render, monkeypatch):
    side_by_side = stage.stage(scored, None)
    monkeypatch.setattr("cellgauge.report.many._FEW", 10_000)
    one_by_one = stage.stage(scored, None)
    assert side_by_side.pages == one_by_one.pages
    fragment = side_by_side.fragment("models/svd/")
    assert side_by_side.drawings.fill(fragment) == one_by_one.drawings.fill(fragment)
