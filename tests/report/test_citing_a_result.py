"""What the cite box of a result says."""

from __future__ import annotations

import re

from cellgauge.report.cite import cite_result
from cellgauge.report.release import load_release
from cellgauge.report.stage import stage


def test_it_names_the_release_the_digest_and_the_address(release) -> None:
    release.add("clustering", "pbmc68k-reduced", "pca", 0.5)
    view = load_release(release.finish(), None)
    (result,) = view.results.values()
    found = cite_result(result, "PCA on PBMC 68k (reduced): Cell clustering", "https://site.example/a/")
    for text in (found.text, found.bibtex):
        assert result.result_id in text
        assert "release trial" in text
        assert "https://site.example/a/" in text
        assert "2026" in text


def test_bibtex_is_not_broken_by_what_a_card_says(release) -> None:
    release.add("clustering", "pbmc68k-reduced", "pca", 0.5)
    (result,) = load_release(release.finish(), None).results.values()
    bibtex = cite_result(result, r"50 % of A_1 & {B} \end{x} # $x$ ~ ^", "https://site.example/").bibtex
    (title,) = re.findall(r"title = \{(.*)\},\n", bibtex)
    bare = re.sub(r"\\textbackslash\{\}|\\textasciitilde\{\}|\\textasciicircum\{\}|\\[&%$#_{}]", "", title)
    assert not re.search(r"[&%$#_{}\\~^]", bare), title
    unescaped = re.sub(r"\\[{}]", "", bibtex)
    assert unescaped.count("{") == unescaped.count("}")


def test_the_address_is_that_of_the_site_to_be(release) -> None:
    release.add("clustering", "pbmc68k-reduced", "pca", 0.5)
    project = release.finish()
    path = "results/clustering/pbmc68k-reduced/pca/"
    assert f"https://cellgauge.github.io/cellgauge/{path}" in stage(project, None).fragment(path)
    assert f"https://other.example/x/{path}" in stage(project, None, site_url="https://other.example/x/").fragment(path)


def test_the_home_page_says_when_the_release_was_made_and_whether_it_may_be_cited(release) -> None:
    release.add("clustering", "pbmc68k-reduced", "pca", 0.5)
    home = stage(release.finish(), None, site_url="https://other.example/x/").fragment("")
    hero, rest = home.split("</header>")
    assert '<time datetime="2026-11-02">' in hero
    assert "a rehearsal, not meant to be cited" in hero
    assert 'href="#cite"' in hero
    assert "release trial, 2026. https://other.example/x/" in rest
    assert "@misc&#123;cellgauge-trial," in rest


def test_every_leakage_class_says_that_nobody_has_audited_it(release) -> None:
    release.add("clustering", "pbmc68k-reduced", "svd", 0.5)
    release.add("clustering", "pbmc68k-reduced", "random", 0.1)
    staged = stage(release.finish(), None)
    for page in ("results/clustering/pbmc68k-reduced/svd/", "models/svd/", "datasets/pbmc68k-reduced/"):
        assert "documented; not audited yet" in staged.fragment(page), page
    assert "audited" not in staged.fragment("results/clustering/pbmc68k-reduced/random/"), "a control claims nothing"
