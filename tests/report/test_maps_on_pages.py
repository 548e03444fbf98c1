"""Maps of embeddings on pages: the same cells for all models, readable without colour, and no number behind them."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from itertools import pairwise

import numpy as np
import pytest

from cellgauge.report.colours import MOST_GROUPS, REST
from cellgauge.report.maps import LARGE, SMALL, dataset_maps, labels, to_svg
from cellgauge.report.release import load_release
from cellgauge.results.maps import SPAN, read_map

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def maps(release):
    """Return the maps of the toy dataset, with the columns that are given."""

    def make(columns=None, models=("svd", "pca")):
        for model in models:
            release.add("clustering", "toy-blood", model, 0.5)
            release.add_map("toy-blood", model, columns)
        view = load_release(release.finish(), None)
        return dataset_maps(view, view.cards.datasets["toy-blood"], ["pca"])

    return make


def dots(svg: bytes) -> list[tuple[str, list[tuple[int, int]]]]:
    """Return the paths of a picture in the order in which they are drawn: class and places."""
    found = []
    for path in ET.fromstring(svg).iter(f"{SVG}path"):
        places = [(int(x), int(y)) for x, y in re.findall(r"M(\d+) (\d+)", path.get("d"))]
        found.append((path.get("class"), places))
    return found


def test_a_dataset_page_shows_a_map_of_each_model(site):
    page = (site / "datasets/toy-blood/index.html").read_text(encoding="utf-8")
    section = page.split('id="maps"')[1].split("</section>")[0]
    assert "An illustration; no score is computed from it." in section
    assert "60 of 600 cells, the same for every model" in section
    pictures = re.findall(r'<img src="([^"]+)" alt="([^"]+)" width="400" height="400" loading="lazy"', section)
    assert [alt.split(":")[0] for _, alt in pictures] == 2 * ["Truncated SVD", "PCA", "Oracle", "Random"]
    assert pictures[0] == (
        "../../datasets/toy-blood/maps/svd.label.svg",
        "Truncated SVD: 60 cells in the plane, coloured by type",
    )
    assert section.index("By type</h3>") < section.index("<details") < section.index("By donor</summary>")
    assert "B &lt;cell&gt;" in section
    assert "NMF: ValueError: negative &lt;values&gt; &#123;&#123; 7*7 }}" in section
    assert "Raw expression: not drawn yet: the next run draws it" in section


def test_a_page_without_maps_says_nothing_of_them(site):
    page = (site / "datasets/pbmc68k-reduced/index.html").read_text(encoding="utf-8")
    assert 'id="maps"' not in page
    assert 'id="map"' not in (site / "results/clustering/pbmc68k-reduced/pca/index.html").read_text(encoding="utf-8")


def test_a_result_page_shows_the_map_of_its_model(site):
    page = (site / "results/clustering/toy-blood/pca/index.html").read_text(encoding="utf-8")
    section = page.split('id="map"')[1].split("</section>")[0]
    shown = re.findall(r'src="\.\./\.\./\.\./\.\./datasets/toy-blood/maps/([^"]+)"', section)
    assert shown == ["pca.label.svg", "pca.donor.svg"]
    assert re.search(r"<text [^>]*>B &lt;cell&gt;</text>", section)
    assert "no score is computed from it" in section


def test_a_picture_has_a_dot_for_each_cell_and_the_colour_of_what_it_is(built, site):
    stored = read_map(built[0].release("trial"), "toy-blood", "pca")
    drawn = dots((site / "datasets/toy-blood/maps/pca.label.svg").read_bytes())
    by_group = {name: sorted(place for one, places in drawn if one == name for place in places) for name, _ in drawn}
    codes = np.array(stored.columns["label"].codes)
    for code in (0, 1):
        expected = [(stored.x[cell], SPAN - stored.y[cell]) for cell in np.flatnonzero(codes == code)]
        assert by_group[f"g{code}"] == sorted(expected)


def test_what_the_runner_wrote_can_be_downloaded(built, site):
    stored = built[0].release("trial") / "datasets/toy-blood/maps/pca.json"
    assert (site / "datasets/toy-blood/maps/pca.json").read_bytes() == stored.read_bytes()


def test_groups_that_are_mixed_are_drawn_in_turns(maps):
    found = maps({"label": ["a"] * 30 + ["b"] * 30})
    order = [name for name, _ in dots(found.files["datasets/toy-blood/maps/pca.label.svg"])]
    assert all(one != other for one, other in pairwise(order))


def test_models_stand_in_the_order_of_the_page(maps):
    (first, _) = maps().colourings
    assert [picture.model.id for picture in first.pictures] == ["pca", "svd"]


def test_each_way_to_divide_the_cells_is_shown_once(maps):
    batches = ["one", "two", "two"] * 20
    found = maps({"label": batches, "batch": [f"of {name}" for name in batches], "donor": ["same"] * 60})
    assert [one.role for one in found.colourings] == ["label"]


def test_many_groups_differ_in_colour_or_mark(maps):
    (one,) = maps({"label": [f"t{place}" for place in range(MOST_GROUPS)] * 2}).colourings
    assert len({group.look for group in one.groups}) == MOST_GROUPS
    assert {group.look.shape for group in one.groups} == {"dot", "cross", "plus"}


def test_more_groups_than_can_be_told_apart_are_said_to_be_left_over(maps):
    (one,) = maps({"label": [f"t{place}" for place in range(MOST_GROUPS + 5)] * 2 + ["t0"]}).colourings
    *kept, rest = one.groups
    assert (rest.name, rest.look, rest.number, rest.n_cells) == ("6 smaller groups", REST, None, 12)
    assert kept[0].name == "t0"
    assert sum(group.n_cells for group in one.groups) == 2 * MOST_GROUPS + 11


def test_time_goes_along_one_path_of_colours(maps):
    times = [str(place / 10) for place in range(60)]
    (one,) = maps({"time": times}).colourings
    assert [group.name for group in one.groups][:2] == ["0.00 to 0.70", "0.80 to 1.40"]
    assert len(one.groups) == 8
    assert len({group.look for group in one.groups}) == 8
    assert {group.n_cells for group in one.groups} <= {7, 8}


def test_whole_times_are_written_as_such(maps):
    (one,) = maps({"time": ["0", "7", "14"] * 20}).colourings
    assert [group.name for group in one.groups] == ["0", "7", "14"]


def test_a_map_of_before_or_of_other_cells_is_not_shown(release, edit):
    for model in ("pca", "svd", "nmf"):
        release.add("clustering", "toy-blood", model, 0.5)
    release.add_map("toy-blood", "pca")
    release.add_map("toy-blood", "svd", {"label": ["other"] * 30 + ["cells"] * 30})
    release.add_map("toy-blood", "nmf")
    edit("site_src/models/nmf.md", "version: 1", "version: 2")
    view = load_release(release.finish(), None)
    found = dataset_maps(view, view.cards.datasets["toy-blood"], ["pca"])
    assert [picture.model.id for picture in found.colourings[0].pictures] == ["pca"]
    why = {model.id: reason for reason, models in found.absent for model in models}
    assert why == {
        "svd": "drawn from other cells than the maps above",
        "nmf": "drawn with an earlier version of a card; the next run draws it anew",
    }


@pytest.mark.parametrize("height", [SMALL, LARGE])
def test_words_on_a_map_stay_inside_and_do_not_cover_each_other(height):
    rng = np.random.default_rng(0)
    places = rng.integers(0, SPAN + 1, size=(400, 2))
    texts = [f"type {place}" for place in range(12)]
    found = labels(places, rng.integers(0, 12, 400), texts, height)
    assert len(found) >= 3
    for place, one in enumerate(found):
        assert 0 <= one.x <= SPAN
        assert 0 <= one.y <= SPAN
        wide = 0.6 * height * len("type 0")
        assert all(abs(one.x - other.x) >= wide or abs(one.y - other.y) >= height for other in found[:place])


def test_a_number_stands_where_most_cells_of_its_group_are_and_never_hides_them_all():
    cloud, far = np.full((50, 2), 200) + np.arange(50)[:, None], np.full((8, 2), 900)
    of_cell = np.repeat([0, 0, 1], [50, 8, 1])
    both = np.concatenate([cloud, far, [[600, 400]]])
    one, single = labels(both, of_cell, ["1", "2"], SMALL)
    assert abs(one.x - 225) < 30
    assert single.y < SPAN - 400 - SMALL / 2, "above its only cell"


def test_a_picture_holds_no_text_and_names_no_host(maps):
    found = maps({"label": ["<script>", "</style>"] * 30})
    for path, data in found.files.items():
        if path.endswith(".svg"):
            assert b"script" not in data
            assert data.count(b"http") == 1, "the name space alone"


def test_two_thousand_cells_make_a_small_picture(maps):
    (one,) = maps({"label": [f"t{place}" for place in range(30)] * 2}).colourings
    places = np.random.default_rng(0).integers(0, SPAN + 1, size=(2000, 2))
    assert len(to_svg(places, np.arange(2000) % 30, one.groups)) < 60_000
