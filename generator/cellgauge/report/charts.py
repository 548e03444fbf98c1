"""Dot and interval: the form of most figures, one row each.

A row has a name, a dot, a thin bar for the interval, and the numbers in words, on one axis with a line for the
reference. It is drawn at two widths, and the page shows the one that fits, so that text has its natural size on a
phone, too.

All positions are computed here and none from measured text, so that the same data give the same
bytes whatever fonts a machine has.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import altair as alt

from cellgauge.report import axes, vega
from cellgauge.report.axes import GREY as GREY
from cellgauge.report.axes import LETTER_PX, RULE, TEXT, Drawable, Layout, Spec
from cellgauge.report.numbers import number
from cellgauge.report.tables import Cell, Column, Raw, Row, Table

_WORD_PX = 84
"""Room for the longest verdict; longer words get more."""
_USUAL_LETTERS = 40
"""Names of so many letters leave the marks enough room."""
_ARROWS = {-1: "triangle-left", 0: "circle", 1: "triangle-right"}
VALUE = Column("value", "Value", ("", "low", "high"), numeric=True)
NAME = Column("name", "Name")
SEEDS = Column("seed", "Single seeds")
WORDS = Column("verdict", "Verdict")


@dataclass(frozen=True)
class Mark:
    """One row of a figure."""

    label: str
    value: float
    low: float | None
    """The interval; None, as ``high``, where there is none."""
    high: float | None
    numbers: str
    """The numbers, as the table shows them."""
    word: str = ""
    """What they show, such as "better"."""
    colour: str = GREY
    below: bool = False
    """Below the separator: a reference point that is not ranked."""
    faint: tuple[float | None, ...] = ()
    """Further values drawn faintly behind, such as one per seed; None where this row lacks one that others have."""
    id: Raw | tuple[Raw, ...] = None
    """How the row is called in downloads; None for its label. Several where the column of names has several fields."""

    @property
    def points(self) -> list[float]:
        """Everything it draws."""
        return [x for x in (self.value, self.low, self.high, *self.faint) if x is not None]


@dataclass(frozen=True)
class Figure:
    """A figure and what it says in words."""

    marks: tuple[Mark, ...]
    axis: str
    """What the axis shows."""
    short_axis: str
    """The same in about 45 letters, for a phone."""
    description: str
    """The text alternative: it states the finding, not the form."""
    reference: float | None = None
    """Where the reference line stands."""
    dashed: float | None = None
    """Where a second line stands, such as the agreement of replicates."""
    domain: tuple[float, float] | None = None
    """The axis; marks outside become arrows at its edge. None: as wide as the rows above the separator need."""
    bounds: tuple[float | None, float | None] = (None, None)
    """What the values can be at all: the axis names nothing beyond."""
    id: str = "figure"
    """Unique on its page; the names of its files end with it."""
    title: str = ""
    """What it shows, in a few words."""
    names: Column = NAME
    """The column of the rows' names in its table."""
    values: Column = VALUE
    """The column of the values and intervals that it draws."""
    words: Column = WORDS
    """The column of the words, where there are any."""
    faints: Column = SEEDS
    """The column of the faint values; with a single field these are numbered."""
    reference_name: str = ""
    """Written on the reference line."""
    dashed_name: str = ""
    below_name: str = ""
    """Written below the separator: what the rows there are."""

    @cached_property
    def data(self) -> Table:
        """The table that is drawn: all of it, and nothing else."""
        words = any(mark.word for mark in self.marks)
        n_faint = max(len(mark.faint) for mark in self.marks)
        numbered = tuple(str(place + 1) for place in range(n_faint))
        faints = replace(self.faints, fields=numbered if self.faints.fields == ("",) else self.faints.fields)
        columns = [self.names, replace(self.values, numeric=True)]
        columns += [self.words] if words else []
        columns += [faints] if n_faint else []
        rows = []
        for mark in self.marks:
            name = mark.label if mark.id is None else mark.id
            cells = [Cell(mark.label, name if isinstance(name, tuple) else (name,))]
            cells += [Cell(mark.numbers, (mark.value, mark.low, mark.high))]
            cells += [Cell(mark.word or "–", (mark.word or None,))] if words else []
            faint = ", ".join("–" if x is None else number(x) for x in mark.faint)
            cells += [Cell(faint or "–", mark.faint or (None,))] if n_faint else []
            rows.append(Row(tuple(cells)))
        return Table(f"figure-{self.id}-data", self.title or self.axis, tuple(columns), tuple(rows))

    @property
    def named(self) -> tuple[float, float]:
        """The part of the axis that has ticks."""
        (low, high), (least, most) = self.span, self.bounds
        inside = (low if least is None else max(low, least), high if most is None else min(high, most))
        return inside if inside[0] < inside[1] else (low, high)

    @cached_property
    def span(self) -> tuple[float, float]:
        """The axis from end to end."""
        if self.domain is not None:
            return self.domain
        decisive = [mark for mark in self.marks if not mark.below] or list(self.marks)
        points = [x for mark in decisive for x in mark.points]
        points += [line for line in (self.reference, self.dashed) if line is not None]
        low, high = min(points), max(points)
        margin = max(0.08 * (high - low), 0.005)
        return low - margin, high + margin

    @property
    def edges(self) -> str:
        """What its caption has to say of what lies beyond the axis."""
        low, high = self.span
        said = []
        if any(not low <= mark.value <= high for mark in self.marks):
            said.append("Triangles at the edge: the value lies beyond the axis.")
        ends = [end for mark in self.marks for end in (mark.low, mark.high) if end is not None]
        if any(not low <= end <= high for end in ends):
            said.append("A bar that reaches an edge goes on beyond it.")
        return " ".join(said)

    def spec(self, layout: Layout) -> Spec:
        """Return its specification in one layout."""
        shape = _with_labels(_SHAPES[layout], self)
        above = sum(not mark.below for mark in self.marks)
        named = bool(self.reference_name or self.dashed_name or self.below_name) and layout != "mini"
        gap = (1.0 if named and self.below_name else 0.5) if 0 < above < len(self.marks) else 0.0
        rows = len(self.marks) + gap
        head = -shape.label_dy - 5 if shape.label_dy else 0
        height = round(shape.step * rows) + (10 if layout == "narrow" else 0)
        places, decimals = axes.ticks(self.named, shape.ticks)
        width = shape.width - shape.left - shape.right
        values = {
            "width": width,
            "height": height,
            "left": shape.left,
            "right": shape.right,
            "top": 20 if named else 4,
            "bottom": shape.axis,
            "domain": list(self.span),
            "rows": [-head / 2 / shape.step, (height - head / 2) / shape.step],
            "ticks": places,
            "tick_label": axes.tick_label(decimals, signed=self.reference == 0),
            "axis": None if layout == "mini" else self.short_axis if layout == "narrow" else self.axis,
            "value": self.values.names[0],
            "low": self.values.names[1],
            "high": self.values.names[2],
            "separator_from": -shape.left,
            "separator_to": width + shape.right,
            "small": 11 if layout == "mini" else 12,
            **_text_places(layout, shape, width, self.word_px),
        }
        form = f"dots-{layout}-named" if named else f"dots-{layout}"
        return Spec(form, values, self._datasets(above, gap, shape.letters, named))

    @property
    def word_px(self) -> int:
        """The room that its words need."""
        return max(_WORD_PX, round(max(len(mark.word) for mark in self.marks) * LETTER_PX * 0.86))

    def _datasets(self, above: int, gap: float, letters: int, named: bool) -> dict[str, list[dict[str, Any]]]:
        """Return what is drawn: the table's records, and beside them, after underscores, how each row looks."""
        low, high = self.span
        rows, faint = [], []
        for place, (mark, record) in enumerate(zip(self.marks, self.data.records(), strict=True)):
            y = place + 0.5 + (gap if mark.below else 0)
            side = -1 if mark.value < low else 1 if mark.value > high else 0
            looks = {
                "_y": y,
                "_label": axes.shorten(mark.label, letters),
                "_numbers": mark.numbers,
                "_word": mark.word,
                "_colour": mark.colour,
                "_shape": _ARROWS[side],
            }
            rows.append({**record, **looks})
            faint += [
                {"_x": x, "_y": y, "_colour": mark.colour} for x in mark.faint if x is not None and low <= x <= high
            ]
        lines = [
            {"_x": x, "_name": name, "_dash": dash, "_opacity": opacity}
            for x, name, dash, opacity in (
                (self.dashed, self.dashed_name, [4, 4], 0.55),
                (self.reference, self.reference_name, [], 0.75),
            )
            if x is not None and low <= x <= high
        ]
        separator = {"_y": above + gap / 4, "_name": self.below_name, "_name_y": above + 0.62 * gap}
        separators = [separator if named else {"_y": above + gap / 2}] if gap else []
        return {"rows": rows, "faint": faint, "lines": lines, "separators": separators}


@dataclass(frozen=True)
class _Shape:
    """The measures of a layout, in pixels."""

    width: int
    left: int
    right: int
    step: int
    label_dy: int
    numbers_dy: int
    ticks: int
    letters: int
    font: int
    axis: int


_SHAPES: dict[Layout, _Shape] = {
    "wide": _Shape(
        width=760, left=0, right=0, step=30, label_dy=0, numbers_dy=0, ticks=6, letters=54, font=13, axis=48
    ),
    "narrow": _Shape(
        width=340, left=10, right=10, step=50, label_dy=-19, numbers_dy=-19, ticks=4, letters=50, font=13, axis=48
    ),
    "mini": _Shape(
        width=320, left=0, right=14, step=21, label_dy=0, numbers_dy=0, ticks=3, letters=24, font=12, axis=24
    ),
}


def _text_places(layout: Layout, shape: _Shape, width: int, word_px: int) -> dict[str, Any]:
    """Return where texts stand.

    Wide, in two columns: numbers end where words begin. Narrow, both above the bar: beside the label, or below it.
    """
    seam = width + shape.right - word_px
    beside = shape.label_dy == shape.numbers_dy
    numbers_x = seam - 8 if layout == "wide" else width + shape.right - 2 if beside else 2 - shape.left
    return {
        "label_x": 2 - shape.left if layout == "narrow" else -shape.left,
        "label_dy": shape.label_dy,
        "numbers_dy": shape.numbers_dy,
        "numbers_x": numbers_x,
        "numbers_align": "right" if layout == "wide" or beside else "left",
        "words_x": seam,
    }


def to_svg(figure: Drawable, layout: Layout) -> str:
    """Draw a figure; the SVG is complete and can stand inline in a page."""
    return vega.to_svg(figure.spec(layout).to_json())


def _form(layout: Layout, named: bool) -> axes.Form:
    """Build the form: lines, separator, faint dots, bars, dots and texts, from back to front."""
    mini = layout == "mini"
    x, y, colour = alt.X("@value:Q"), axes.y_rows(), axes.as_is(alt.Color, "_colour")
    label: dict[str, Any] = {"dy": "@label_dy"}
    above: dict[str, Any] = {"dy": "@numbers_dy", "align": "@numbers_align"}
    lines = axes.layer("lines", "lines").mark_rule(color=TEXT, strokeWidth=1.2)
    layers = [
        lines.encode(
            x=axes.x_axis("_x"),
            strokeDash=axes.as_is(alt.StrokeDash, "_dash"),
            opacity=alt.Opacity("_opacity:Q", scale=None, legend=None),
        ),
        axes.layer("separators", "separators")
        .mark_rule(color=RULE, strokeDash=[2, 3])
        .encode(x=alt.value("@separator_from"), x2=alt.value("@separator_to"), y=y),
        axes.layer("faint", "faint")
        .mark_point(filled=True, size=26, opacity=1, fillOpacity=0.3)
        .encode(x=alt.X("_x:Q"), y=alt.Y("_y:Q"), color=colour),
        axes.layer("bars")
        .mark_rule(strokeWidth=1.6 if mini else 2, strokeOpacity=0.75)
        .encode(x=alt.X("@low:Q"), x2="@high:Q", y=alt.Y("_y:Q"), color=colour),
        axes.layer("dots")
        .mark_point(filled=True, size=40 if mini else 75, opacity=1)
        .encode(x=x, y=alt.Y("_y:Q"), color=colour, shape=axes.as_is(alt.Shape, "_shape")),
        axes.layer("labels")
        .mark_text(align="left", fontSize=12 if mini else 13, **label)
        .encode(x=alt.value("@label_x"), y=alt.Y("_y:Q"), text=alt.Text("_label:N")),
    ]
    if not mini:
        both = alt.value(alt.expr("trim(datum._numbers + ' ' + datum._word)"))
        text = alt.Text("_numbers:N") if layout == "wide" else both
        numbers = axes.layer("numbers").mark_text(fillOpacity=0.8, **above)
        layers.append(numbers.encode(x=alt.value("@numbers_x"), y=alt.Y("_y:Q"), text=text))
    if layout == "wide":
        words = axes.layer("words").mark_text(align="left", fillOpacity=0.8)
        layers.append(words.encode(x=alt.value("@words_x"), y=alt.Y("_y:Q"), text=alt.Text("_word:N")))
    if named:
        names = axes.layer("names", "lines").mark_text(fontSize=11, fillOpacity=0.75)
        layers.append(names.encode(x=alt.X("_x:Q"), y=alt.value(-9), text=alt.Text("_name:N")))
        below = axes.layer("below", "separators").mark_text(align="left", fontSize=11, fillOpacity=0.75)
        text_y = alt.Y("_name_y:Q")
        layers.append(below.encode(x=alt.value("@label_x"), y=text_y, text=alt.Text("_name:N")))
    return axes.finish(layers)


for _layout in ("wide", "narrow", "mini"):
    axes.add_form(f"dots-{_layout}", _form, _layout, False)
for _layout in ("wide", "narrow"):
    axes.add_form(f"dots-{_layout}-named", _form, _layout, True)


def _with_labels(shape: _Shape, figure: Figure) -> _Shape:
    """Give labels and numbers the room that the longest ones need, where they stand beside the rows."""
    if shape.label_dy:
        lines = [axes.shorten(mark.label, shape.letters) + mark.numbers + mark.word for mark in figure.marks]
        if max(map(len, lines)) * LETTER_PX * 0.93 < shape.width - 20:
            return shape
        return replace(shape, step=shape.step + 16, label_dy=-36, numbers_dy=-18)
    label = max(len(axes.shorten(mark.label, shape.letters)) for mark in figure.marks)
    # A figure of long names becomes wider, and leaves its marks the room that others have.
    beyond = round(max(0, label - _USUAL_LETTERS) * LETTER_PX)
    shape = replace(shape, left=round(label * LETTER_PX * shape.font / 13) + 24, width=shape.width + beyond)
    if shape.right:
        return shape
    longest = max(len(mark.numbers) for mark in figure.marks)
    return replace(shape, right=round(longest * LETTER_PX * 12 / 13) + figure.word_px + 24)
