"""The picture shown beside a shared link: it says what the home page says, and every page names it."""

from __future__ import annotations

import re
import struct

import pytest

from cellgauge.report import social
from cellgauge.report.social import SIZE, social_card


@pytest.fixture
def drawn(release, render, monkeypatch) -> tuple[bytes, str]:
    """A picture of a release with one finding, and the text that was drawn."""
    for model, value in {"pca": 0.5, "svd": 0.7, "random": 0.0}.items():
        release.add("clustering", "pbmc68k-reduced", model, value, noise=0.002)
    said: list[str] = []
    convert = social.vl_convert.svg_to_png
    monkeypatch.setattr(social.vl_convert, "svg_to_png", lambda svg, scale: said.append(svg) or convert(svg, scale))
    return social_card(render(release.finish()), "Which <model> & why?"), said[0]


def test_it_says_what_was_found_and_how_far_it_is_to_be_trusted(drawn):
    picture, svg = drawn
    assert picture.startswith(b"\x89PNG")
    assert struct.unpack(">II", picture[16:24]) == SIZE
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", svg)
    assert "release trial, rehearsal, 2026-11-02" in texts
    assert "Which &lt;model&gt; &amp; why?" in texts
    assert any("better than PCA on cell clustering" in text for text in texts)
    assert any(text.startswith("3 results of ") for text in texts)


def test_a_finding_is_told_whole_or_not_at_all(release, render, monkeypatch):
    for model, value in {"pca": 0.5, "svd": 0.7, "nmf": 0.3, "raw-expression": 0.2}.items():
        for dataset in ("pbmc68k-reduced", "toy-blood"):
            for task in ("clustering", "classification", "embedding"):
                release.add(task, dataset, model, value, noise=0.002)
    said: list[str] = []
    monkeypatch.setattr(social.vl_convert, "svg_to_png", lambda svg, scale: said.append(svg) or b"")
    renderer = render(release.finish())
    social_card(renderer, "word " * 40)
    texts = " ".join(re.findall(r"<text[^>]*>([^<]*)</text>", said[0]))
    told = [one.verdict().sentence for one in renderer.comparisons.values() if one.verdict().basis]
    whole = [sentence for sentence in told if sentence in texts]
    assert whole
    assert all("; 2 are worse" not in sentence or sentence.endswith(".") for sentence in whole)
    for sentence in set(told) - set(whole):
        assert sentence.partition(";")[0] not in texts
    heights = [float(y) for y in re.findall(r'<text x="98" y="([\d.]+)"', said[0])]
    assert max(heights) < 540, "above the line that counts stand below"
    assert "word …" in texts, "cut between words"


@pytest.mark.site
def test_every_page_names_it(site):
    assert (site / social.PATH).read_bytes().startswith(b"\x89PNG")
    for path in site.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        (image,) = re.findall(r'property="og:image" content="([^"]*)"', text)
        assert image.endswith(f"/{social.PATH}"), path
        (title,) = re.findall(r'property="og:title" content="([^"]*)"', text)
        assert (title and f"<title>{title}" in text) or path.name == "404.html" or path == site / "index.html", path
