"""Tables under a reader's hands: order, filter, columns, a view in the address, two models to compare."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

pytestmark = [pytest.mark.site, pytest.mark.browser]

TASK, BOARD = "tasks/clustering/", "scores-pbmc68k-reduced"
LISTS = ["tasks/clustering/", "tasks/classification/", "datasets/", "datasets/pbmc68k-reduced/", "datasets/tsv2/",
         "models/", "models/svd/", "metrics/", "metrics/adjusted-rand-index/", "results/",
         "results/clustering/"]  # fmt: skip
# What a column holds in each body, from top to bottom: numbers, or names without their badges; null for no value.
VALUES = """header => [...header.closest("table").tBodies].map((body) => [...body.rows]
  .map((row) => row.cells[header.cellIndex])
  .filter((cell) => cell && cell.colSpan === 1)
  .map((cell) => "sort" in cell.dataset
    ? (cell.dataset.sort === "" ? null : Number(cell.dataset.sort))
    : cell.firstChild.textContent.trim()))"""
SORTED = """values => [...values].sort((a, b) => a.localeCompare(b, "en", { numeric: true }))"""


@pytest.fixture
def board(page, address):
    """The leaderboard of a task."""
    page.goto(address + TASK)
    return page.locator(f"#{BOARD}")


def names(table):
    """The names of the rows that can be seen, from top to bottom."""
    return table.locator("tbody tr:not(.cg-group)").evaluate_all(
        "es => es.filter(e => e.getClientRects().length).map(e => e.cells[0].firstChild.textContent.trim())"
    )


def header(table, label):
    return table.locator("thead th", has_text=label).first


def ranked(column):
    """The numbers of a column in the first group."""
    return column.evaluate(VALUES)[0]


def place(page):
    """The address, at once: the browser tells others of its change later."""
    return page.evaluate("location.href")


def state(page):
    return parse_qs(urlsplit(place(page)).query)


@pytest.mark.parametrize("path", LISTS)
def test_a_header_says_the_order_that_rows_have(page, address, path):
    page.goto(address + path)
    headers = page.locator("th[aria-sort]").all()
    assert headers
    for column in headers:
        descending = column.get_attribute("aria-sort") == "descending"
        for values in column.evaluate(VALUES):
            known = [value for value in values if value is not None]
            by_name = bool(known) and isinstance(known[0], str)
            expected = page.evaluate(SORTED, known) if by_name else sorted(known)
            expected = expected[::-1] if descending else expected
            assert values == expected + [None] * (len(values) - len(known)), path


def test_the_keyboard_sorts(page, board):
    column = header(board, "NMI")
    values = ranked(column)
    column.locator("button").focus()
    for order, reverse in (("descending", True), ("ascending", False)):
        page.keyboard.press("Enter")
        assert column.get_attribute("aria-sort") == order
        assert board.locator("th[aria-sort]").count() == 1
        assert len(set(ranked(column))) > 2
        assert ranked(column) == sorted(values, reverse=reverse)
        assert f"Sorted by NMI, {order}." in page.locator(".cg-said").text_content()


def test_groups_stay_together(page, board):
    header(board, "ARI").locator("button").click()
    groups = board.locator("tbody").evaluate_all("es => es.map(e => e.dataset.group)")
    assert groups == ["ranked", "control"]
    assert set(names(board)[-2:]) == {"Oracle", "Random"}


def test_a_view_stands_in_the_address_and_the_back_button_undoes_it(page, board, address):
    usual = names(board)
    header(board, "ARI").locator("button").click()
    assert state(page) == {f"{BOARD}.sort": ["adjusted-rand-index"]}
    ascending = names(board)
    box = page.get_by_role("searchbox", name="Filter rows: Cell clustering on PBMC 68k (reduced)", exact=True)
    box.press_sequentially("svd")
    assert names(board) == ["Truncated SVD"]
    assert state(page) == {f"{BOARD}.sort": ["adjusted-rand-index"], f"{BOARD}.filter": ["svd"]}
    shared = place(page)
    page.go_back()  # the three letters are one step
    assert (names(board), box.input_value()) == (ascending, "")
    page.go_back()
    assert names(board) == usual
    assert place(page) == address + TASK
    page.go_forward()
    assert names(board) == ascending
    page.goto(shared)
    assert names(board) == ["Truncated SVD"]
    assert box.input_value() == "svd"
    assert header(board, "ARI").get_attribute("aria-sort") == "ascending"


def test_the_usual_view_has_no_address_of_its_own(page, board, address):
    column = header(board, "ARI").locator("button")
    usual = names(board)
    column.click()
    assert place(page) != address + TASK
    column.click()
    assert place(page) == address + TASK
    assert names(board) == usual


def test_what_an_address_says_wrongly_is_passed_over(page, address):
    page.goto(address + f"{TASK}?{BOARD}.sort=-no-such-column&{BOARD}.without=model&{BOARD}.verdict=none&other=1")
    table = page.locator(f"#{BOARD}")
    assert table.locator("th[aria-sort]").count() == 1
    assert header(table, "Model").is_visible()
    header(table, "NMI").locator("button").click()
    assert state(page)["other"] == ["1"]


def test_tables_of_a_page_are_independent(page, board):
    other = page.locator("#scores-toy-blood")
    before = names(other)
    header(board, "ARI").locator("button").click()
    assert names(other) == before
    header(other, "NMI").locator("button").click()
    assert set(state(page)) == {f"{BOARD}.sort", "scores-toy-blood.sort"}
    page.go_back()
    assert names(other) == before
    assert header(board, "ARI").get_attribute("aria-sort") == "ascending"


def test_rows_are_chosen_by_what_a_column_says(page, address):
    page.goto(address + "models/")
    table = page.locator("#models")
    everything = names(table)
    opener = page.get_by_role("button", name="Choose rows and columns")
    opener.press("Enter")
    assert opener.get_attribute("aria-expanded") == "true"
    page.locator("#models-choices").get_by_label("Kind").select_option("control")
    chosen = names(table)
    assert "Random" in chosen
    assert set(chosen) < set(everything)
    assert "PCA" not in chosen
    assert not table.locator("tbody[data-group=baseline]").is_visible()
    assert state(page) == {"models.kind": ["control"]}
    assert f"{len(chosen)} of {len(everything)} rows." in page.locator(".cg-said").text_content()
    page.get_by_role("button", name="Reset").click()
    assert names(table) == everything
    assert place(page) == address + "models/"


def test_columns_are_hidden_whole(page, board):
    page.get_by_role(
        "button", name="Choose rows and columns: Cell clustering on PBMC 68k (reduced)", exact=True
    ).click()
    page.locator(f"#{BOARD}-choices").get_by_label("Memory").uncheck()
    assert state(page) == {f"{BOARD}.without": ["peak_memory_mb"]}
    assert not header(board, "Memory").is_visible()
    widths = board.locator("tbody tr:not(.cg-group)").evaluate_all(
        "es => es.map(e => [...e.cells].filter(c => c.getClientRects().length).length)"
    )
    shown = board.locator("thead th").evaluate_all("es => es.filter(e => e.getClientRects().length).length")
    assert set(widths) == {shown}
    page.reload()
    assert not header(board, "Memory").is_visible()


def test_the_link_to_a_view_is_copied(watched, address):
    page = watched(address, permissions=["clipboard-read", "clipboard-write"])
    page.goto(address + TASK)
    table = page.locator(f"#{BOARD}")
    copy = table.locator("xpath=ancestor::*[@class='cg-tabled']").get_by_role("button", name="Copy link to this view")
    assert not copy.is_visible()
    header(table, "NMI").locator("button").click()
    copy.click()
    page.locator(".cg-said", has_text="Link copied").wait_for(state="attached")
    assert page.evaluate("navigator.clipboard.readText()") == f"{place(page)}#{BOARD}"


def test_search_words_in_the_address_are_left_to_the_search(page, address):
    page.goto(address + "models/?q=PCA&models.sort=-model")
    page.locator(".md-search-result__item").first.wait_for(state="attached")
    assert page.locator("#models th").first.get_attribute("aria-sort") == "descending"


@pytest.mark.parametrize("path", ["models/", TASK])
def test_the_script_moves_nothing(page, address, path):
    page.add_init_script(
        "window.moved = 0; new PerformanceObserver(list => list.getEntries().forEach(e => moved += e.value))"
        ".observe({type: 'layout-shift', buffered: true})"
    )
    page.route("**/assets/tables.js*", lambda route: (page.wait_for_timeout(300), route.continue_()))
    page.goto(address + path, wait_until="load")
    page.locator(".cg-tools input").first.wait_for()
    page.wait_for_timeout(200)
    assert page.evaluate("moved") < 0.005


def box(table, name):
    return table.get_by_role("checkbox", name=f"Choose {name} for a comparison", exact=True)


def test_two_models_lead_to_their_comparison(page, board, address):
    box(board, "Truncated SVD").focus()
    page.keyboard.press("Space")
    assert page.locator(".cg-compare a").count() == 0
    assert "Truncated SVD is chosen" in page.locator(".cg-compare").text_content()
    box(board, "NMF").check()
    link = page.get_by_role("link", name="Compare Truncated SVD with NMF")
    assert link.evaluate("e => e.href") == address + "compare/nmf--svd/"
    assert box(board, "PCA").is_disabled()
    header(board, "ARI").locator("button").click()
    assert link.is_visible()
    box(board, "NMF").uncheck()
    assert link.count() == 0
    assert box(board, "PCA").is_enabled()
    page.locator(".cg-compare").get_by_role("button", name="Clear").click()
    assert not box(board, "Truncated SVD").is_checked()
    assert page.locator(".cg-compare").bounding_box()["width"] <= 1


def test_models_of_two_tables_are_not_compared(page, board):
    box(board, "NMF").check()
    box(page.locator("#scores-toy-blood"), "PCA").check()
    assert not box(board, "NMF").is_checked()
    assert page.locator(".cg-compare a").count() == 0


def test_a_model_without_scores_cannot_be_chosen(page, address):
    page.goto(address + "tasks/classification/")
    table = page.locator(f"#{BOARD}")
    assert {"Truncated SVD", "NMF"} <= set(names(table))
    assert box(table, "PCA").count() == 1
    assert box(table, "Truncated SVD").count() == box(table, "NMF").count() == 0


def test_bug_a_column_out_of_sight_made_rows_high_on_a_phone(watched, address):
    page = watched(address, viewport={"width": 390, "height": 844})
    page.goto(address + "tasks/clustering/")
    heights = page.locator("#health tbody tr").evaluate_all("es => es.map(e => e.getBoundingClientRect().height)")
    assert len(heights) > 4
    assert max(heights) < 80
