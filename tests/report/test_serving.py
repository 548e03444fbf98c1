"""The site while it is written, and how its pages behave where a reader meets them."""

from __future__ import annotations

import functools
import http.server
import re
import shutil
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from cellgauge.report import cells
from cellgauge.report.serve import serve
from cellgauge.results.schema import Resources

STYLES = Path(__file__).resolve().parents[2] / "site_src/assets/cellgauge.css"


# ---- serving ----


@pytest.fixture
def served(project) -> str:
    """The address of a running ``serve``."""
    lines: list[str] = []
    threading.Thread(target=lambda: serve(project, None, 0, say=lines.append), daemon=True).start()
    end = time.monotonic() + 90
    while time.monotonic() < end:
        for line in lines:
            if line.startswith("serving"):
                return line.split()[1]
        time.sleep(0.05)
    raise AssertionError("it was never served")


@pytest.mark.site
def test_serving_leaves_the_site_for_publishing_alone(project, request):
    published = project.work / "site"
    published.mkdir()
    (published / "index.html").write_text("published")
    address = request.getfixturevalue("served")
    page = urllib.request.urlopen(f"{address}models/pca/", timeout=10).read().decode()
    assert f'rel="canonical" href="{address}models/pca/"' in page
    assert [path.name for path in published.iterdir()] == ["index.html"]
    assert (published / "index.html").read_text() == "published"
    assert (project.work / "build/served/index.html").is_file()


@pytest.mark.site
@pytest.mark.parametrize("path", ["models/no-such-model/", "no-such.html", "assets/"])
def test_a_missing_page_is_answered_with_the_sites_own(served, path):
    with pytest.raises(urllib.error.HTTPError) as found:
        urllib.request.urlopen(served + path, timeout=10)
    assert found.value.code == 404
    assert "There is no such page" in found.value.read().decode()


# ---- words and colours ----


def test_leakage_meanings_do_not_contradict_the_evidence():
    assert {kind: meaning for kind, (_, meaning) in cells.LEAKAGE.items()} == {
        "green": "not seen in pretraining",
        "yellow": "seen in pretraining, without what the task asks for",
        "red": "seen in training for this very task",
        "gray": "not enough is documented to tell",
    }


def test_verdicts_have_a_shape_of_their_own_and_no_hue():
    styles = STYLES.read_text(encoding="utf-8")
    for tone, ink, shape in (("better", "ink", "▲"), ("worse", "ink", "▼"), ("plain", "quiet", "–")):
        rules = "".join(re.findall(rf"\.t-{tone}(?:,\n[^{{]*)? \{{([^}}]*)\}}", styles))
        assert set(re.findall(r"color: var\(--cg-(\w+)\)", rules)) == {ink}
        assert f'.t-{tone}::before {{\n  content: "{shape}' in styles
        assert shape not in [mark for mark, _ in cells.LEAKAGE.values()]
    assert "--cg-better" not in styles
    assert "--cg-worse" not in styles


def test_time_is_told_per_embedding():
    assert cells.WALL.label == "Time (s)"
    five = cells.wall_cell(Resources(embedding_wall_s=10.0, n_embeddings=5, evaluation_wall_s=3.0))
    one = cells.wall_cell(Resources(embedding_wall_s=2.0, n_embeddings=1))
    assert five.raw == (2.0, 3.0)
    assert five.hover == "the mean of 5 embeddings; and 3.0 s for the evaluation"
    assert one.raw == (2.0, None)
    assert five.text == one.text == "2.00"
    unknown = cells.wall_cell(Resources(embedding_wall_s=10.0))
    assert (unknown.text, unknown.raw) == ("–", (None, None))
    assert "10.00 s for all embeddings together" in unknown.hover
    assert cells.wall_cell(None).raw == (None, None)


# ---- in a browser ----


class Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def address(site, tmp_path_factory) -> Iterator[str]:
    """Where the site stands at the path of site_url, and its 404 page alone at another."""
    root = tmp_path_factory.mktemp("hosted")
    (root / "cellgauge").symlink_to(site)
    page = (site / "404.html").read_text(encoding="utf-8")
    (root / "elsewhere.html").write_text(page.replace("/cellgauge/", "/nowhere/"), encoding="utf-8")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(root)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    shutil.rmtree(root)


@pytest.fixture
def page(browser):
    context = browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme="light")
    page = context.new_page()
    page.set_default_timeout(15_000)
    yield page
    context.close()


@pytest.mark.site
def test_reasons_wrap_within_a_phone(page, address):
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(address + "cellgauge/tasks/classification/")
    found = page.evaluate(
        "[...document.querySelectorAll('.cg-why')].map(e => { const range = document.createRange();"
        "range.selectNodeContents(e); const box = range.getBoundingClientRect(); return [box.left, box.right]; })"
    )
    assert found
    assert all(left >= 0 and right <= 390 for left, right in found)
    first = page.evaluate("document.querySelector('tr:not(:has(.cg-why)) > th[scope=row]').offsetWidth")
    assert first < 200, "the reason does not widen the first column"


@pytest.mark.site
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_table_that_goes_on_has_a_shadow_at_its_edge(page, address, scheme):
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(address + "cellgauge/tasks/clustering/")
    style = page.evaluate(
        "(() => { const style = getComputedStyle(document.querySelector('.cg-scroll'));"
        "return [style.backgroundImage, style.backgroundAttachment]; })()"
    )
    assert style[0].count("linear-gradient") == 2
    assert style[1] == "local, scroll"


@pytest.mark.site
def test_the_404_page_is_readable_where_its_styles_are_not_found(page, address):
    page.goto(address + "elsewhere.html")
    assert page.locator("h1").inner_text() == "There is no such page"
    sizes = page.evaluate("[...document.querySelectorAll('svg')].map(e => e.getBoundingClientRect().width)")
    assert max(sizes, default=0) <= 24
    assert page.locator("a[href='/']").is_visible()
    assert not page.locator(".md-header").is_visible()
    page.goto(address + "cellgauge/404.html")
    assert page.locator(".md-header").is_visible()
    assert not page.locator(".cg-root").is_visible()


@pytest.mark.site
@pytest.mark.parametrize("width", [390, 1440])
def test_every_stop_of_the_tab_key_can_be_seen(page, address, width):
    page.set_viewport_size({"width": width, "height": 844})
    page.goto(address + "cellgauge/tasks/clustering/")
    page.locator("label[for=__search]").first.wait_for(state="attached")
    page.wait_for_timeout(500)
    for _ in range(12):
        page.keyboard.press("Tab")
        page.wait_for_timeout(400)  # the menu and the search move into view
        what, box, outline = page.evaluate(
            "(() => { let e = document.activeElement; const what = e.outerHTML.slice(0, 90);"
            "if (e.classList.contains('md-option')) e = e.nextElementSibling;"
            "const r = e.getBoundingClientRect(), s = getComputedStyle(e);"
            "return [what, [r.left, r.right, r.width, r.height], s.outlineStyle]; })()"
        )
        left, right, wide, high = box
        assert left >= 0, what
        assert right <= width, what
        assert wide > 8, what
        assert high > 8, what
        assert outline == "solid", what


@pytest.mark.site
@pytest.mark.parametrize("width", [390, 1440])
def test_sort_buttons_are_large_enough_for_a_finger(page, address, width):
    page.set_viewport_size({"width": width, "height": 844})
    page.goto(address + "cellgauge/tasks/clustering/")
    boxes = page.evaluate(
        "[...document.querySelectorAll('.cg-table button')].map(e => [e.offsetWidth, e.offsetHeight])"
    )
    assert boxes
    assert all(wide >= 24 and high >= 24 for wide, high in boxes)
    covered = page.evaluate(
        "[...document.querySelectorAll('.cg-table thead a')].filter(e => { const r = e.getBoundingClientRect(),"
        "b = e.closest('th').querySelector('button')?.getBoundingClientRect();"
        "return b && b.left < r.right - 1 && b.top < r.bottom - 1; }).map(e => e.textContent)"
    )
    assert not covered, "no link lies under a button"


@pytest.mark.site
def test_the_first_click_sorts_the_best_first(page, address):
    page.goto(address + "cellgauge/tasks/clustering/")
    headers = page.locator("#scores-pbmc68k-reduced thead th")
    for label, order in (
        ("NMI", "descending"),
        ("Time", "ascending"),
        ("Memory", "ascending"),
        ("Model", "ascending"),
    ):
        header = headers.filter(has_text=label).first
        header.locator("button").click()
        assert header.get_attribute("aria-sort") == order
        header.locator("button").click()
        assert header.get_attribute("aria-sort") != order
