"""The site without a server, and on paper."""

from __future__ import annotations

import re

import pytest

pytestmark = [pytest.mark.site, pytest.mark.browser]


@pytest.fixture
def disk(watched, site):
    """A page at the start of the site, opened from disk; and the site's address there."""
    page = watched(site.as_uri())
    page.goto(f"{site.as_uri()}/index.html")
    return page, site.as_uri()


def test_links_work_from_disk(disk):
    page, root = disk
    page.get_by_role("link", name="Tasks", exact=True).click()
    assert page.url == f"{root}/tasks/index.html"
    page.get_by_role("link", name="Cell clustering", exact=True).press("Enter")
    page.locator("#scores-pbmc68k-reduced").wait_for()
    assert page.url == f"{root}/tasks/clustering/index.html"
    assert page.locator("#scores-pbmc68k-reduced tbody tr").count() >= 6
    page.locator("a.md-logo").first.click()
    assert page.url == f"{root}/index.html"


def test_a_reader_who_is_quicker_than_the_scripts_is_not_shown_a_folder(disk):
    page, root = disk
    late = re.compile(r"(?<!/early)\.js$")
    page.route(late, lambda route: route.fulfill(body="", content_type="text/javascript"))
    page.goto(f"{root}/tasks/index.html")
    page.get_by_role("link", name="Cell clustering", exact=True).press("Enter")
    page.locator("#scores-pbmc68k-reduced").wait_for()
    assert page.url == f"{root}/tasks/clustering/index.html"


def test_search_works_from_disk(disk):
    page, root = disk
    page.locator("label.md-header__button[for=__search]").wait_for(state="attached")
    page.keyboard.press("s")
    page.keyboard.type("PCA")
    result = page.locator("a.md-search-result__link[href*='/models/pca/']").first
    result.wait_for()
    result.click()
    assert page.url.startswith(f"{root}/models/pca/index.html")
    assert page.locator("h1").first.inner_text().startswith("PCA")


def test_a_view_of_a_table_works_from_disk(disk):
    page, root = disk
    page.goto(f"{root}/models/index.html")
    page.get_by_role("searchbox", name="Filter rows").fill("svd")
    assert page.evaluate("location.href") == f"{root}/models/index.html?models.filter=svd"
    page.reload()
    visible = page.locator("#models tbody tr:not(.cg-group)").evaluate_all(
        "es => es.filter(e => e.getClientRects().length).length"
    )
    assert visible == 1
    page.go_back()
    assert page.get_by_role("searchbox", name="Filter rows").input_value() == ""


A4 = {"width": 718, "height": 1000}  # what is left of A4 between margins of 1 cm, at 96 dots per inch


@pytest.mark.parametrize("path", ["tasks/clustering/", "tasks/classification/", "models/svd/", "results/clustering/"])
def test_paper_shows_whole_tables_and_nothing_to_press(watched, address, path):
    page = watched(address, viewport=A4, color_scheme="dark")
    page.goto(address + path)
    page.emulate_media(media="print")
    pressed = page.locator(".md-header, .md-tabs, .md-search, button, input, select, .cg-tools").evaluate_all(
        "es => es.filter(e => e.getClientRects().length).map(e => e.outerHTML.slice(0, 80))"
    )
    assert not pressed
    cut = page.locator(".cg-table").evaluate_all(
        "es => es.filter(e => e.getBoundingClientRect().right > innerWidth || getComputedStyle(e.parentNode).overflowX"
        " !== 'visible').map(e => e.id)"
    )
    assert not cut
    assert page.locator(".cg-table").count()
    split = page.locator(".cg-figure").evaluate_all("es => es.filter(e => getComputedStyle(e).breakInside !== 'avoid')")
    assert not split
    # Ink on white, whatever the theme on the screen was.
    assert page.evaluate("getComputedStyle(document.querySelector('.cg')).color") == "rgb(29, 36, 48)"


def test_what_is_folded_is_opened_on_paper(page, address):
    page.goto(address + "tasks/batch-integration/")
    page.locator("details.cg-missing").first.wait_for()
    page.evaluate("document.querySelectorAll('details').forEach(e => e.open = false)")
    inside = page.locator("details.cg-missing li").first
    assert not inside.is_visible()
    page.emulate_media(media="print")
    assert inside.is_visible()
    assert inside.bounding_box()["height"] > 8
    marks = page.locator("details.cg-more summary, details.cg-missing summary").evaluate_all(
        "es => es.map(e => [getComputedStyle(e).display, getComputedStyle(e, '::after').display])"
    )
    assert {tuple(one) for one in marks} == {("block", "none")}, "nothing on paper says that it can be unfolded"


def test_bug_words_of_links_broke_on_paper(watched, address):
    page = watched(address, viewport=A4)
    page.goto(address + "tasks/classification/")
    page.emulate_media(media="print")
    breaks = page.locator(".cg-table a").evaluate_all("es => es.map(e => getComputedStyle(e).wordBreak)")
    assert set(breaks) == {"normal"}
