"""The site as a reader meets it."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Iterator

import pytest

pytestmark = [pytest.mark.site, pytest.mark.browser]

ARGUMENTS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
PAGES = [
    "", "tasks/", "tasks/clustering/", "tasks/classification/", "tasks/perturbation/", "datasets/",
    "datasets/pbmc68k-reduced/", "models/", "models/svd/", "metrics/", "metrics/adjusted-rand-index/", "results/",
    "results/clustering/",
    "results/clustering/pbmc68k-reduced/svd/", "results/classification/pbmc68k-reduced/nmf/", "principles/", "methods/",
    "contribute/", "404.html",
]  # fmt: skip


class Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_) -> None:
        pass


@pytest.fixture(scope="module")
def address(site) -> Iterator[str]:
    # The 404 page knows where the site will stand: below /cellgauge/, as in mkdocs.yml.
    above = site.parent / "served"
    above.mkdir()
    (above / "cellgauge").symlink_to(site)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(above)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/cellgauge/"
    server.shutdown()


@pytest.fixture(scope="module")
def browser(chromium):
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        running = started.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield running
        running.close()


@pytest.fixture
def page(browser, address):
    """A page that fails the test on an error in the console or a request to another host."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme="light")
    page = context.new_page()
    faults: list[str] = []
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda request: None if is_own(request.url, address) else faults.append(request.url))
    page.set_default_timeout(15_000)
    yield page
    context.close()
    assert not faults


def is_own(url: str, address: str) -> bool:
    return url.startswith((address, "data:", "blob:"))


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


def test_one_drawing_of_each_figure_is_shown(page, address):
    page.goto(address + "tasks/clustering/")
    for width, shown in ((390, "cg-narrow"), (1440, "cg-wide")):
        page.set_viewport_size({"width": width, "height": 844})
        visible = page.evaluate(
            "[...document.querySelectorAll('.cg-wide, .cg-narrow')].filter(e => e.offsetHeight).map(e => e.className)"
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


def test_tables_sort_by_keyboard(page, address):
    page.goto(address + "tasks/clustering/")
    header = page.locator("#scores-pbmc68k-reduced thead th", has_text="ARI")
    column = header.evaluate("e => e.cellIndex + 1")
    cells = f"#scores-pbmc68k-reduced tbody[data-group=ranked] :nth-child({column})"
    values = f"[...document.querySelectorAll('{cells}')].map(e => +e.dataset.sort)"
    header.locator("button").focus()
    assert header.get_attribute("aria-sort") == "descending", "it is in order before any click"
    for order, reverse in (("ascending", False), ("descending", True)):
        page.keyboard.press("Enter")
        assert header.get_attribute("aria-sort") == order
        assert len(set(page.evaluate(values))) > 2
        assert page.evaluate(values) == sorted(page.evaluate(values), reverse=reverse)


def test_tables_are_whole_without_a_script(browser, address):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address + "tasks/clustering/")
    assert page.locator("#scores-pbmc68k-reduced tbody tr").count() >= 6
    assert page.locator(".cg-figure svg").first.is_visible()
    context.close()
