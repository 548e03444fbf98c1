"""Many releases as one site, as a reader finds it: the selector, what has happened since, and what leads where."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from cellgauge.publish.destination import open_destination

pytestmark = [pytest.mark.site, pytest.mark.slow]
RESULT = "results/clustering/pbmc68k-reduced"


@pytest.fixture(scope="module")
def board(publishing, tmp_path_factory):
    site = tmp_path_factory.mktemp("board")
    publishing(open_destination(str(site), None))
    return site


@pytest.fixture(scope="module")
def bucket(publishing, open_store):
    """A store that the three releases were published to, one after the other."""
    with open_store() as store:
        for release in ("2026.08", "2026.11", "2027.02"):
            publishing(open_destination(store.url, store.wire.url), release)
        yield store


@pytest.fixture(params=["folder", "s3"])
def root(request, hosted, website_of, tmp_path) -> Iterator[str]:
    """Where the site is served: below the path that its root knows."""
    if request.param == "s3":
        with website_of(request.getfixturevalue("bucket")) as address:
            yield f"{address}board/"
    else:
        (tmp_path / "board").symlink_to(request.getfixturevalue("board"))
        yield f"{hosted(tmp_path)}board/"


@pytest.fixture
def page(root, watched):
    """A page of a browser; an error in the console or a request to another host fails the test."""
    return watched(root)


def since(page) -> list[str]:
    return [line.inner_text() for line in page.locator(".cg-since p").all()]


def test_pages_say_what_has_happened_since(root, page):
    page.goto(f"{root}2026.08/")
    page.wait_for_selector(".cg-since p")
    assert since(page) == ["A newer release exists: 2027.02."]
    page.goto(f"{root}2026.11/{RESULT}/svd/")
    page.wait_for_selector(".cg-since p")
    assert since(page) == ['Corrected by release 2027.02: labels were <b>wrong</b> {{ 7*7 }} </script> & "so"']
    page.locator(".cg-since a").click()
    page.wait_for_url("**/2027.02/")
    page.wait_for_selector(".md-version__current")
    assert not page.locator(".cg-since").is_visible()


def test_the_selector_leads_to_the_same_page_of_another_release(root, page):
    page.goto(f"{root}2027.02/models/pca/")
    page.locator(".md-version__current").focus()
    assert page.locator(".md-version__link").all_inner_texts() == ["2027.02", "2026.11", "2026.08"]
    page.locator(".md-version__link", has_text="2026.08").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/2026.08/models/pca/")


def test_latest_leads_to_the_newest_with_query_and_place(root, page):
    page.goto(f"{root}latest/tasks/clustering/?models=pca#missing")
    page.wait_for_url("**/2027.02/tasks/clustering/?models=pca#missing")
    page.goto(f"{root}latest/{RESULT}/svd/")
    page.wait_for_url(f"**/2026.11/{RESULT}/svd/")
    page.go_back()  # to what was before, not to a page that leads here again
    page.wait_for_url("**/2027.02/tasks/clustering/**")


def test_without_scripts_latest_still_leads_on(root, watched):
    page = watched(root, java_script_enabled=False)
    page.goto(f"{root}latest/models/pca/")
    page.wait_for_url("**/2027.02/models/pca/")
    assert not page.locator(".cg-since").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_root_is_whole_on_a_phone_and_accessible(root, page, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto(root)
    page.wait_for_load_state("networkidle")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    found = axe.run(page, options={"runOnly": tags, "resultTypes": ["violations"]}).response["violations"]
    assert [(one["id"], one["nodes"][0]["html"][:200]) for one in found] == []
    page.get_by_role("link", name="2026.11").first.click()
    page.wait_for_url("**/2026.11/")


def test_a_site_of_a_published_release_works_from_disk(watched, board):
    page = watched("file://")
    page.goto(f"file://{board}/2026.11/index.html")
    page.wait_for_load_state("networkidle")
    page.get_by_role("link", name="Models").first.click()
    page.wait_for_url("**/models/index.html")


def test_a_missing_page_of_the_root_says_so(root, page):
    page.goto(f"{root}404.html")
    assert page.get_by_role("heading", name="There is no such page").is_visible()


def test_the_lists_for_programs_are_whole(board):
    versions, releases = (json.loads((board / name).read_bytes()) for name in ("versions.json", "releases.json"))
    assert [one["version"] for one in versions] == [one["release"] for one in releases]
