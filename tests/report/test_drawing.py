"""From a table to a drawing: nothing is lost, nothing is added, and it is the same each time."""

from __future__ import annotations

import csv
import html
import io
import itertools
import json
import re
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
import vl_convert

from cellgauge.report import vega
from cellgauge.report.axes import FORMS, fill, specs_of
from cellgauge.report.charts import Figure, Mark, to_svg
from cellgauge.report.distribution import MOST_BINS, Distribution, histogram
from cellgauge.report.drawings import Drawings
from cellgauge.report.embedded import for_scripts, script
from cellgauge.report.tables import Column

HOSTILE = "</template><script>{{ 7*7 }}&amp; \u2028"


def figure(shift: float = 0.0, n: int = 4) -> Figure:
    marks = tuple(
        Mark(
            f"Model {HOSTILE} {place}", 0.1 * place + shift, 0.1 * place - 0.04 + shift, 0.1 * place + 1 / 30 + shift,
            f"{0.1 * place:.3f}", "better", "var(--cg-c1)", below=place == n - 1,
            faint=(0.1 * place + shift, None, 0.1 * place + 1 / 7), id=f"=m{place}",
        )
        for place in range(n)
    )  # fmt: skip
    difference = Column("difference", "vs PCA", ("", "low", "high"), numeric=True)
    names = Column("model", "Model")
    return Figure(marks, "Axis", "Axis", "It is so.", 0.0, 0.35, id="one", title="One", names=names, values=difference)


def distribution(values: np.ndarray) -> Distribution:
    low, high = np.quantile(values, [0.025, 0.975])
    return Distribution(
        histogram(values), float(values.mean()), float(low), float(high), "Score", "spread", "Spread", reference=0.0
    )


SPREAD = distribution(np.random.default_rng(3).normal(0.04, 0.02, 4000))


@pytest.mark.parametrize(
    "drawn", [figure(), SPREAD, replace(figure(), reference_name="PCA")], ids=["dots", "bars", "named"]
)
@pytest.mark.parametrize("layout", ["wide", "narrow"])
def test_drawing_table_csv_and_page_have_the_same_numbers(drawn, layout):
    records = drawn.data.records()
    assert all(isinstance(value, str | float | None) for record in records for value in record.values())
    spec = drawn.spec(layout)
    assert public(spec.datasets["rows"]) == records
    held = json.loads(for_scripts(drawn, specs_of(drawn, [layout])))
    assert public(held["datasets"]["rows"]) == records
    assert list(held["names"]) == list(records[0])
    rows = list(csv.DictReader(io.StringIO(drawn.data.to_csv().decode())))
    for row, record in zip(rows, records, strict=True):
        for key, value in record.items():
            text = "" if value is None else f"'{value}" if str(value).startswith("=") else value
            assert row[key] == text or float(row[key]) == value


def public(rows: list[dict]) -> list[dict]:
    return [{key: value for key, value in row.items() if not key.startswith("_")} for row in rows]


@pytest.mark.parametrize("drawn", [figure(), SPREAD], ids=["dots", "bars"])
def test_a_page_and_its_script_hold_the_whole_specification(drawn):
    forms = json.loads(re.search(r"cgVega\.forms = (.*);\n$", script("a();\n"))[1])
    for layout in ("wide", "narrow"):
        held = json.loads(for_scripts(drawn, specs_of(drawn, ["wide", "narrow"])))
        one = held["layouts"][layout]
        spec = drawn.spec(layout)
        assert {**fill(forms[one["form"]], one["values"]), "datasets": held["datasets"]} == spec.whole()
        assert '"@' not in spec.to_json(), "every name is filled in"


def test_text_in_a_template_means_nothing_to_html():
    text = for_scripts(figure(), specs_of(figure(), ["wide"]))
    assert "<" not in text
    assert "&" not in text
    assert "\u2028" not in text
    through_the_page = html.unescape(str(text).replace("{", "&#123;"))
    first = json.loads(through_the_page)["datasets"]["rows"][0]
    assert first["_label"].startswith("Model </template><script>{{ 7*7 }}")


@pytest.mark.parametrize("form", list(FORMS))
def test_a_form_without_data_draws_as_the_whole_specification_does(form):
    """What is compiled once without data, and then filled, is what Vega-Lite draws at once."""
    drawn = SPREAD if form == "distribution" else replace(figure(), reference_name="PCA" if "named" in form else "")
    layout = next((one for one in ("narrow", "mini") if one in form), "wide")
    spec = drawn.spec(layout)
    assert spec.form == form
    at_once = vl_convert.vegalite_to_svg(spec.whole())
    assert len(seen(at_once)) > 8
    svg = vega.to_svg(spec.to_json())
    assert seen(svg) == seen(at_once)
    assert places(svg) == pytest.approx(places(at_once), abs=0.006)


@pytest.mark.parametrize("layout", ["wide", "narrow"])
def test_figures_that_differ_in_their_axes_share_what_is_compiled(layout):
    """Their axes, ticks and titles are put into it afterwards, and nothing of the figure before stays."""
    vega._compiled.cache_clear()
    rng = np.random.default_rng(8)
    drawn = [figure(shift) for shift in (0.0, 0.4, -0.7)]
    drawn += [
        distribution(rng.normal(middle, spread, 500)) for middle, spread in ((0.3, 0.1), (-2.0, 0.4), (0.9, 0.001))
    ]
    drawn = [replace(one, axis=f"Axis {place}: 'quoted' \\ 100 %") for place, one in enumerate(drawn)]
    for one in drawn:
        spec = one.spec(layout)
        svg, at_once = vega.to_svg(spec.to_json()), vl_convert.vegalite_to_svg(spec.whole())
        assert seen(svg) == seen(at_once)
        assert places(svg) == pytest.approx(places(at_once), abs=0.006)
        assert "cgown" not in svg
    assert vega._compiled.cache_info().misses < len(drawn)


def seen(svg: str) -> list[tuple[str, str | None]]:
    """Shapes and texts in their order."""
    return [(name(one), one.text) for one in shapes(svg)]


def places(svg: str) -> list[float]:
    """Where and how large they are, in the order of ``seen``."""
    text = " ".join(one.get(key, "") for one in shapes(svg) for key in ("transform", "x2", "y2", "d"))
    return [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", text)]


def shapes(svg: str) -> list[ElementTree.Element]:
    """Shapes and texts; a circle as the path that it is drawn by in what Vega writes."""
    unseen = ("background", "foreground")
    tree = ElementTree.fromstring(svg)
    for one in tree.iter():
        if name(one) == "circle":
            r = one.get("r")
            one.tag = "path"
            one.set("d", f"M{r},0A{r},{r},0,1,1,-{r},0A{r},{r},0,1,1,{r},0")
    return [one for one in tree.iter() if name(one) in ("path", "line", "text") and one.get("class") not in unseen]


def name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def test_drawings_are_the_same_whether_one_or_many_are_drawn(tmp_path):
    """Few are drawn in this process, many in others."""
    figures = [figure(shift / 100) for shift in range(20)]
    few, many = Drawings(tmp_path / "few"), Drawings(tmp_path / "many")
    page = [few.place(one.spec("wide")) for one in figures[:3]]
    assert few.draw() == 3
    assert [many.place(one.spec("wide")) for one in figures][:3] == page
    assert many.draw() == 20
    assert [few.fill(one) for one in page] == [many.fill(one) for one in page]
    assert few.fill(page[0]) == to_svg(figures[0], "wide").replace("{", "&#123;")
    assert few.draw() == 0, "all of them are kept"


def test_a_page_takes_each_drawing_into_its_place_and_nothing_a_card_says(tmp_path):
    drawings = Drawings(tmp_path)
    one, other = drawings.place(figure().spec("wide")), drawings.place(figure(0.5).spec("wide"))
    drawings.draw()
    forged = html.escape(one)
    filled = drawings.fill(f"<p>{forged}</p>{one}<hr>{other}")
    before, after = filled.split("<hr>")
    assert before.startswith(f"<p>{forged}</p><svg")
    assert after.startswith("<svg")
    assert "{{" not in filled


def test_ids_in_drawings_of_one_page_never_meet():
    svg = vega._tidy('<svg><clipPath id="clip1"/><g clip-path="url(#clip1)"/></svg>', prefix="f1")
    assert svg.count("f1-clip1") == 2
    assert "#clip1" not in svg


def test_tidying_leaves_text_alone():
    text = 'role="x" opacity="1" 0.123456 id="y"'
    assert text in vega._tidy(f'<svg role="img"><text opacity="1">{text}</text></svg>', prefix="f")


# Histograms, against numpy's.


@pytest.mark.parametrize("scale", [1e-6, 0.02, 3.0, 1e5])
@pytest.mark.parametrize("centre", [0.0, 0.91, -40.0])
def test_a_histogram_counts_as_numpy_does(scale, centre):
    values = np.random.default_rng(1).normal(centre, scale, 4000)
    bins = histogram(values)
    assert MOST_BINS / 3 <= len(bins) <= MOST_BINS
    edges = np.array([bins[0].low, *(one.high for one in bins)])
    assert np.diff(edges) == pytest.approx(np.full(len(bins), edges[1] - edges[0]))
    counts, _ = np.histogram(values, edges)
    assert counts.sum() == 4000, "every value is in a bin"
    assert [one.share for one in bins] == pytest.approx(counts / 4000)
    assert all(one.high == other.low for one, other in itertools.pairwise(bins))


def test_zero_is_an_edge_where_a_difference_changes_its_sign():
    bins = histogram(np.random.default_rng(2).normal(0.01, 0.02, 1000))
    assert bins[0].low < 0 < bins[-1].high
    assert 0.0 in [one.low for one in bins]


def test_no_bin_lies_beyond_the_best_score():
    bins = histogram(np.array([0.6, 0.8, 1.0, 1.0]))
    assert bins[-1].high == 1.0
    assert bins[-1].share == 0.5
    assert sum(one.share for one in bins) == 1.0


def test_values_that_are_all_the_same_are_one_bin():
    (only,) = histogram(np.full(50, 0.5))
    assert only.low < only.high
    assert only.low <= 0.5 <= only.high
    assert only.share == 1.0
    assert "0.5" in distribution(np.full(50, 0.5)).description


@pytest.mark.parametrize("values", [[], [0.1, np.nan], [np.inf]])
def test_what_cannot_be_counted_is_refused(values):
    with pytest.raises(ValueError, match="finite"):
        histogram(np.array(values))


def test_the_script_says_what_it_is_made_of_and_under_which_licence():
    first = vega.bundle().splitlines()[0]
    for part in ("Vega 6", "Vega-Lite 6", "Vega-Embed 7", "BSD-3-Clause", "vendor/vega/LICENCES.txt"):
        assert part in first
