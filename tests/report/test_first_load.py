"""What a first visit to a page transfers, compressed as hosts do it."""

from __future__ import annotations

import gzip

import pytest

pytestmark = [pytest.mark.site, pytest.mark.browser]

KILO = 1000
PAGES = (
    "", "tasks/", "tasks/classification/", "tasks/classification/pbmc68k-reduced/", "datasets/pbmc68k-reduced/",
    "models/pca/", "metrics/adjusted-rand-index/", "results/classification/pbmc68k-reduced/pca/", "compare/",
    "compare/pca--svd/", "quality/", "missing/",
)  # fmt: skip


@pytest.fixture
def visit(page, site, address):
    """Opens a page with empty caches, and returns kilobytes by the paths of files, compressed as hosts do it."""

    def go(path: str) -> dict[str, float]:
        fetched: set[str] = set()
        page.context.on("request", lambda request: fetched.add(request.url))
        page.goto(address + path)
        page.wait_for_load_state("networkidle")
        paths = {url.removeprefix(address).partition("?")[0] for url in fetched}
        files = {one: site / one / "index.html" if one.endswith("/") or not one else site / one for one in paths}
        return {
            one: len(file.read_bytes() if file.suffix in (".woff2", ".png") else gzip.compress(file.read_bytes(), 6))
            / KILO
            for one, file in files.items()
        }

    return go


@pytest.mark.parametrize("path", PAGES)
def test_a_first_visit_is_light_before_charts_are_interactive(visit, path):
    sizes = {file: size for file, size in visit(path).items() if not file.startswith("assets/vega.")}
    assert {"assets/cellgauge.css", path} <= set(sizes)
    assert sum(sizes.values()) < 150, sizes


def test_pages_are_small_when_compressed(site):
    sizes = {path: len(gzip.compress(path.read_bytes(), 6)) / KILO for path in site.rglob("*.html")}
    assert {path: size for path, size in sizes.items() if size > 60} == {}


def test_the_search_waits_until_a_reader_turns_to_it(page, visit, address):
    assert not [file for file in visit("models/") if "search" in file]
    with page.expect_response("**/search_index.json"), page.expect_event("worker"):
        page.get_by_role("textbox", name="Search").focus()
    page.keyboard.type("Truncated SVD")
    page.locator("a.md-search-result__link[href*='/models/svd/']").first.wait_for()


def test_a_page_that_a_search_led_to_marks_what_was_searched_for(page, address):
    with page.expect_response("**/search_index.json"):
        page.goto(f"{address}models/pca/?h=components")
    page.locator("mark[data-md-highlight]").first.wait_for()
