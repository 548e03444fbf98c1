"""The site as a reader meets it."""

from __future__ import annotations

import pytest

pytestmark = [pytest.mark.site, pytest.mark.browser]

PAGES = [
    "", "tasks/", "tasks/clustering/", "tasks/classification/", "tasks/perturbation/", "datasets/",
    "datasets/pbmc68k-reduced/", "models/", "models/svd/", "metrics/", "metrics/adjusted-rand-index/", "results/",
    "results/clustering/",
    "results/clustering/pbmc68k-reduced/svd/", "results/classification/pbmc68k-reduced/nmf/", "principles/", "methods/",
    "contribute/", "compare/", "compare/pca/", "compare/pca--svd/", "quality/", "missing/", "404.html",
]  # fmt: skip


@pytest.mark.parametrize("path", PAGES)
def test_no_page_is_wider_than_a_phone(page, address, path):
    for width in (390, 1440):
        page.set_viewport_size({"width": width, "height": 844})
        page.goto(address + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        empty = page.evaluate(
            "[...document.querySelectorAll('.cg section, .cg figure, .cg table, .cg ul, .cg dl')]"
            ".filter(e => e.getClientRects().length && e.offsetHeight < 8).map(e => e.outerHTML.slice(0, 80))"
        )
        assert not empty


@pytest.mark.parametrize("path", PAGES)
def test_no_page_keeps_a_reader_out(watched, address, path):
    """By the rules of axe-core for WCAG 2.2 AA, and its advice, in both themes on both kinds of screen."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    for theme in ("light", "dark"):
        for width in (390, 1440):
            page = watched(address, viewport={"width": width, "height": 900}, color_scheme=theme)
            page.goto(address + path, wait_until="load")
            found = axe.run(page, options={"runOnly": tags, "resultTypes": ["violations"]}).response["violations"]
            grave = {
                f"{one['id']}: {one['help']}": [node["html"][:200] for node in one["nodes"]]
                for one in found
                if one["impact"] in ("serious", "critical")
            }
            assert not grave, (theme, width)


def test_one_drawing_of_each_figure_is_shown(page, address):
    page.goto(address + "tasks/clustering/")
    for width, shown in ((390, "cg-narrow"), (1440, "cg-wide")):
        page.set_viewport_size({"width": width, "height": 844})
        visible = page.evaluate(
            "[...document.querySelectorAll('.cg-wide, .cg-narrow')]"
            ".filter(e => e.offsetHeight).map(e => e.classList[0])"
        )
        assert set(visible) == {shown}


def test_search_finds_the_baseline(page, address):
    page.goto(address)
    page.locator("label.md-header__button[for=__search]").wait_for(state="attached")
    page.keyboard.press("s")
    page.keyboard.type("PCA")
    first = page.locator(".md-search-result__item a.md-search-result__link").first
    first.wait_for()
    found = page.locator(".md-search-result__item a.md-search-result__link").evaluate_all("es => es.map(e => e.href)")
    assert any("/models/pca/" in href for href in found[:5])


def test_the_dark_side(page, address):
    page.goto(address + "tasks/clustering/")
    before = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.locator("label[title='Switch to dark mode']").click()
    assert page.evaluate("document.body.dataset.mdColorScheme") == "slate"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != before
    ink = page.evaluate("getComputedStyle(document.querySelector('.cg-figure svg')).color")
    assert ink == page.evaluate("getComputedStyle(document.querySelector('.md-typeset')).color")


def test_tables_are_whole_without_a_script(browser, address):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address + "tasks/clustering/")
    assert page.locator("#scores-pbmc68k-reduced tbody tr").count() >= 6
    assert page.locator(".cg-figure svg").first.is_visible()
    context.close()
