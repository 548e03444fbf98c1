"""Figures as a reader meets them: complete at once, interactive when near, and downloaded as what they show."""

from __future__ import annotations

import csv
import io
import json
import re
import struct
from xml.etree import ElementTree

import pytest
import vl_convert

pytestmark = [pytest.mark.site, pytest.mark.browser]

TASK = "tasks/clustering/"
FIGURE = "#figure-differences-pbmc68k-reduced"
WIDE = f"{FIGURE} [data-layout=wide]"
MODELS = {"svd": "Truncated SVD", "raw-expression": "Raw expression", "nmf": "NMF"}


@pytest.fixture
def vega_requests(page) -> list[str]:
    """The requests of ``page`` for the script that makes figures interactive."""
    found: list[str] = []
    page.on("request", lambda request: found.append(request.url) if "/assets/vega." in request.url else None)
    return found


def open_far_above(page, address: str) -> None:
    """Open the task's page in a window so low that its figures lie below."""
    page.set_viewport_size({"width": 1440, "height": 150})
    page.goto(address + TASK)
    page.locator(f"{FIGURE} button").first.wait_for()


def come_near(page, layout: str = "wide") -> None:
    place = page.locator(f"{FIGURE} [data-layout={layout}]")
    place.scroll_into_view_if_needed()
    page.locator(f"{FIGURE} [data-layout={layout}].cg-is-live").wait_for()


def texts(page, selector: str) -> list[tuple[str, float, float]]:
    """The texts of a drawing, with their places on the page."""
    return page.locator(f"{selector} text").evaluate_all(
        "es => es.map(e => [e.textContent, e.getBoundingClientRect().x, e.getBoundingClientRect().y])"
    )


# Interactive when near.


def test_a_figure_is_interactive_once_it_is_near_and_not_before(page, address, vega_requests):
    open_far_above(page, address)
    page.wait_for_timeout(500)
    assert not vega_requests
    assert page.locator(".cg-live").count() == 0
    come_near(page)
    page.set_viewport_size({"width": 1440, "height": 3000})
    page.locator(".cg-is-live").nth(1).wait_for()
    assert len(vega_requests) == 1, "one script for all figures"


def test_nothing_moves_when_a_figure_becomes_interactive(page, address):
    open_far_above(page, address)
    box = "[...document.querySelectorAll('figure, h2, table')].map(e => [e.id, e.offsetTop, e.offsetHeight])"
    before = page.evaluate(box)
    drawn = texts(page, f"{WIDE} > svg")
    shift = page.evaluate("scrollY")
    come_near(page)
    assert page.evaluate(box) == before
    scrolled = page.evaluate("scrollY") - shift
    live = texts(page, f"{WIDE} .cg-live svg")
    assert [one[0] for one in live] == [one[0] for one in drawn]
    assert len(drawn) > 10
    for (_, x, y), (_, live_x, live_y) in zip(drawn, live, strict=True):
        assert live_x == pytest.approx(x, abs=0.6)
        assert live_y == pytest.approx(y - scrolled, abs=0.6)


def test_each_layout_becomes_interactive_when_it_is_shown(page, address):
    page.set_viewport_size({"width": 1440, "height": 3000})
    page.goto(address + TASK)
    come_near(page)
    assert page.locator(f"{FIGURE} [data-layout=narrow] .cg-live").count() == 0
    page.set_viewport_size({"width": 390, "height": 3000})
    come_near(page, "narrow")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_pointing_at_a_mark_shows_its_numbers(page, address):
    page.set_viewport_size({"width": 1440, "height": 3000})
    page.goto(address + TASK)
    come_near(page)
    record = records(page)["svd"]
    page.locator(f"{WIDE} .cg-live text", has_text="Truncated SVD").hover()
    tip = page.locator(".cg-tip")
    tip.wait_for()
    said = tip.inner_text()
    assert said.startswith("Truncated SVD")
    for key in ("difference", "difference_low", "difference_high"):
        assert f"{record[key]:.6g}".replace("-", "−") in said
    assert record["verdict"] in said
    page.locator("h1").hover()
    tip.wait_for(state="hidden")


def test_a_switch_of_the_theme_recolours_a_live_figure(page, address):
    page.set_viewport_size({"width": 1440, "height": 3000})
    page.goto(address + TASK)
    come_near(page)
    look = (
        f"(() => {{ const live = document.querySelector('{WIDE} .cg-live');"
        " return [getComputedStyle(live.querySelector('text')).fill,"
        " getComputedStyle(live.querySelector('[class*=dots] :is(path, circle)')).fill] })()"
    )
    light = page.evaluate(look)
    page.locator("label[title='Switch to dark mode']").click()
    dark = page.evaluate(look)
    assert dark[0] != light[0]
    assert dark[1] != light[1]
    assert dark[0] == page.evaluate("getComputedStyle(document.querySelector('.cg')).color")


def test_without_the_script_of_vega_the_drawing_stays(browser, address):
    context = browser.new_context(viewport={"width": 1440, "height": 3000})
    page = context.new_page()
    page.route("**/assets/vega.*", lambda route: route.abort())
    with page.expect_event("requestfailed"):
        page.goto(address + TASK)
    page.wait_for_timeout(200)
    assert page.locator(f"{WIDE} > svg").is_visible()
    assert page.locator(".cg-live, .cg-is-live").count() == 0
    context.close()


def test_a_reader_who_saves_data_gets_the_script_only_on_pointing(watched, address):
    page = watched(address, viewport={"width": 1440, "height": 3000})
    page.add_init_script("Object.defineProperty(navigator, 'connection', {value: {saveData: true}})")
    page.goto(address + TASK)
    page.locator(f"{FIGURE} button").first.wait_for()
    page.wait_for_timeout(500)
    assert page.locator(".cg-live").count() == 0
    page.locator(FIGURE).hover()
    page.locator(f"{WIDE}.cg-is-live").wait_for()


def test_a_figure_is_interactive_from_disk(watched, site):
    page = watched(site.as_uri(), viewport={"width": 1440, "height": 3000})
    page.goto(f"{site.as_uri()}/{TASK}index.html")
    come_near(page)
    assert downloaded(page, "CSV")[0].startswith(b"model,")
    assert downloaded(page, "PNG")[0].startswith(b"\x89PNG")


def test_paper_has_the_drawing(page, address):
    page.set_viewport_size({"width": 1440, "height": 3000})
    page.goto(address + TASK)
    come_near(page)
    page.emulate_media(media="print")
    visible = f"getComputedStyle(document.querySelector('{WIDE} > svg')).visibility"
    assert page.evaluate(visible) == "visible"
    assert not page.locator(f"{WIDE} .cg-live").is_visible()


# Without a script, and by ear.


def test_without_a_script_a_figure_is_whole_and_has_no_dead_buttons(browser, address):
    context = browser.new_context(java_script_enabled=False, viewport={"width": 1440, "height": 3000})
    page = context.new_page()
    page.goto(address + TASK)
    assert page.locator(f"{WIDE} > svg text").count() > 10
    assert page.locator(f"{WIDE} > svg").is_visible()
    assert page.locator(".cg-figure button").count() == 0
    data = page.locator("#figure-skill details")
    if data.count():
        data.locator("summary").click()
        assert data.locator("tbody tr").count() >= 2
    context.close()


def test_a_figure_says_what_it_shows_and_its_parts_say_nothing_more(page, address):
    page.set_viewport_size({"width": 1440, "height": 3000})
    page.goto(address + TASK)
    come_near(page)
    image = page.locator(f"{FIGURE} [role=img]")
    said = image.get_attribute("aria-label")
    for name in MODELS.values():
        assert name in said
    assert image.locator("[aria-label], [tabindex]").count() == 0


# Files.


def records(page) -> dict[str, dict]:
    """The records of the table of the page that the figure draws, from the file that the page offers."""
    text = page.evaluate("fetch('../clustering.csv').then(answer => answer.text())")
    rows = [row for row in csv.DictReader(io.StringIO(text)) if row["dataset"] == "pbmc68k-reduced"]
    kept = ("difference", "difference_low", "difference_high")
    return {
        row["model"]: {**{key: float(row[key]) for key in kept}, "verdict": row["verdict"] or "control"}
        for row in rows
        if row["difference"]
    }


def downloaded(page, kind: str, figure: str = FIGURE) -> tuple[bytes, str]:
    with page.expect_download() as waiting:
        page.locator(f"{figure} .cg-downloads button", has_text=re.compile(f"^{kind}$")).click()
    return waiting.value.path().read_bytes(), waiting.value.suggested_filename


@pytest.fixture
def near(page, address):
    """A page whose figure can be downloaded, in the dark."""
    page.goto(address + TASK)
    page.locator("label[title='Switch to dark mode']").click()
    page.locator(f"{FIGURE} .cg-downloads button").first.wait_for()
    return page


def test_the_csv_holds_the_numbers_of_the_table(near):
    data, name = downloaded(near, "CSV")
    assert name == "tasks-clustering-differences-pbmc68k-reduced.csv"
    found = {row["model"]: row for row in csv.DictReader(io.StringIO(data.decode()))}
    expected = records(near)
    assert found.keys() == expected.keys()
    assert len(found) >= 5
    for model, record in expected.items():
        for key in ("difference", "difference_low", "difference_high"):
            assert float(found[model][key]) == record[key]
        assert found[model]["verdict"] == record["verdict"]


def test_the_specification_draws_the_figure_elsewhere(near):
    data, name = downloaded(near, "Vega-Lite")
    assert name.endswith(".vl.json")
    spec = json.loads(data)
    rows = {row["model"]: row for row in spec["datasets"]["rows"]}
    for model, record in records(near).items():
        assert {key: rows[model][key] for key in record} == record
    assert "var(" not in data.decode()
    assert "currentColor" not in data.decode()
    svg = vl_convert.vegalite_to_svg(spec)
    drawn = near.locator(f"{WIDE} > svg text").all_text_contents()
    assert sorted(re.findall(r">([^<>]+)</text>", svg)) == sorted(drawn)


def test_the_svg_is_complete_on_its_own(near):
    data, name = downloaded(near, "SVG")
    assert name.endswith(".svg")
    root = ElementTree.fromstring(data)
    space = "{http://www.w3.org/2000/svg}"
    text = data.decode()
    assert "var(" not in text
    assert "currentColor" not in text
    assert root[0].tag == f"{space}title"
    assert "PBMC 68k (reduced)" in root[0].text
    assert root[1].tag == f"{space}desc"
    assert "Inter" in root.get("font-family")
    assert root.find(f"{space}rect").get("fill") == "#ffffff"
    shown = [one.text for one in root.iter(f"{space}text")]
    assert shown == near.locator(f"{WIDE} > svg text").all_text_contents()
    inks = {one.get("fill") for one in root.iter() if one.get("fill")}
    assert "#1d2430" in inks, "ink on white paper, whatever the page's theme"


def test_the_png_is_the_svg_three_times_as_large(near):
    data, name = downloaded(near, "PNG")
    assert name.endswith(".png")
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", data[16:24])
    svg = near.locator(f"{WIDE} > svg")
    assert width == 3 * int(svg.get_attribute("width"))
    assert height == 3 * int(svg.get_attribute("height"))
    assert len(data) > 5000


def test_each_figure_of_a_result_has_its_own_files(page, address):
    page.goto(address + "results/clustering/pbmc68k-reduced/svd/")
    page.locator("#figure-resamples button").first.wait_for()
    for figure, head in (
        ("resamples", "bin_low,bin_high,share"),
        ("resampled-differences", "bin_low,bin_high,share"),
    ):
        data, name = downloaded(page, "CSV", f"#figure-{figure}")
        assert name == f"results-clustering-pbmc68k-reduced-svd-{figure}.csv"
        assert data.decode().startswith(head)
