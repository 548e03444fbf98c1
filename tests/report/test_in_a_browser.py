"""The site as a reader meets it."""

from __future__ import annotations

import io

import pytest

from cellgauge.report.colours import look_of

pytestmark = [pytest.mark.site, pytest.mark.browser]

PAGES = [
    "", "tasks/", "tasks/clustering/", "tasks/classification/", "tasks/perturbation/", "datasets/",
    "tasks/clustering/pbmc68k-reduced/", "datasets/pbmc68k-reduced/", "datasets/toy-blood/",
    "datasets/tsv2/", "models/", "models/svd/", "metrics/",
    "metrics/adjusted-rand-index/", "results/", "results/clustering/",
    "results/clustering/pbmc68k-reduced/svd/", "results/classification/toy-blood/svd/",
    "results/classification/pbmc68k-reduced/nmf/", "principles/", "methods/",
    "contribute/", "compare/", "compare/pca/", "compare/pca--svd/", "quality/", "missing/", "404.html",
]  # fmt: skip

FIRST_COLOUR = {"default": bytes.fromhex(look_of(0).light[1:]), "slate": bytes.fromhex(look_of(0).dark[1:])}


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
                if one["impact"] in ("moderate", "serious", "critical")
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


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        ("PCA", "models/pca/"),
        ("Truncated SVD", "models/svd/"),
        ("Cell clustering", "tasks/clustering/"),
        ("Adjusted Rand", "metrics/adjusted-rand-index/"),
        ("PBMC 68k", "datasets/pbmc68k-reduced/"),
    ],
)
def test_search_finds_cards_first_and_results_last(page, address, asked, wanted):
    page.goto(address)
    page.locator("label.md-header__button[for=__search]").wait_for(state="attached")
    page.keyboard.press("s")
    page.keyboard.type(asked)
    page.locator(".md-search-result__item a.md-search-result__link").first.wait_for()
    found = page.locator(".md-search-result__item > a.md-search-result__link")
    page.wait_for_function(
        "e => !e.textContent.includes('Initializing')", arg=page.locator(".md-search-result__meta").element_handle()
    )
    paths = [
        href.removeprefix(address).partition("?")[0].partition("#")[0]
        for href in found.evaluate_all("es => es.map(e => e.href)")
    ]
    assert wanted in paths[:3]
    results = [place for place, path in enumerate(paths) if path.startswith("results/") and path.count("/") == 4]
    cards = [
        place for place, path in enumerate(paths) if path.startswith(("models/", "datasets/", "tasks/", "metrics/"))
    ]
    assert not results or max(cards) < min(results), paths


def test_the_dark_side(page, address):
    page.goto(address + "tasks/clustering/")
    before = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.locator("label[title='Switch to dark mode']").click()
    assert page.evaluate("document.body.dataset.mdColorScheme") == "slate"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != before
    ink = page.evaluate("getComputedStyle(document.querySelector('.cg-figure svg')).color")
    assert ink == page.evaluate("getComputedStyle(document.querySelector('.md-typeset')).color")


@pytest.mark.parametrize("theme", ["default", "slate"])
def test_maps_have_the_colours_of_the_theme_and_of_their_legend(page, address, theme):
    """Read from the screen: a picture is a file of its own, and the browser hands the page's theme on to it."""
    image = pytest.importorskip("PIL.Image")
    page.goto(address + "datasets/toy-blood/")
    if theme == "slate":
        page.locator("label[title='Switch to dark mode']").click()
    picture = page.locator(".cg-map img").first
    picture.scroll_into_view_if_needed()
    page.wait_for_function("e => e.complete && e.naturalWidth", arg=picture.element_handle())
    own, other = ("default", "slate") if theme == "default" else ("slate", "default")
    back = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number).slice(0, 3)")
    for one, opacity in ((".cg-legend svg", 1), (".cg-map img", 0.8)):
        shot = image.open(io.BytesIO(page.locator(one).first.screenshot())).convert("RGB")
        colours = [colour for _, colour in shot.getcolors(100_000)]

        def off(name, colours=colours, opacity=opacity):
            seen = [
                opacity * part + (1 - opacity) * under for part, under in zip(FIRST_COLOUR[name], back, strict=True)
            ]
            return min(max(abs(a - b) for a, b in zip(colour, seen, strict=True)) for colour in colours)

        assert off(own) < 5, one
        assert off(other) > off(own), one


def test_maps_that_are_folded_away_are_fetched_when_asked_for(page, address):
    fetched = []
    page.on("request", lambda request: fetched.append(request.url))
    page.goto(address + "datasets/toy-blood/")
    page.locator("#maps").scroll_into_view_if_needed()
    page.wait_for_function("document.querySelector('.cg-map img').naturalWidth")
    assert not [url for url in fetched if url.endswith(".donor.svg")]
    with page.expect_response(lambda response: response.url.endswith(".donor.svg") and response.ok):
        page.locator("#maps-donor").click()


def test_maps_are_there_without_a_script(browser, address):
    context = browser.new_context(java_script_enabled=False)
    page, fetched = context.new_page(), []
    page.on("response", lambda response: fetched.append((response.url.rpartition("/")[2], response.status)))
    page.goto(address + "datasets/toy-blood/", wait_until="load")
    pictures = [status for name, status in fetched if name.endswith(".svg") and name.count(".") == 2]
    assert pictures == [200] * 8
    context.close()


def test_tables_are_whole_without_a_script(browser, address):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address + "tasks/clustering/")
    assert page.locator("#scores-pbmc68k-reduced tbody tr").count() >= 6
    assert page.locator(".cg-figure svg").first.is_visible()
    context.close()
