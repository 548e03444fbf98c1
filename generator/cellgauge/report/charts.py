"""Figures: dot and interval, one row each, as inline SVG that needs no script.

Every figure of the site is one form: a row with a name, a dot, a thin bar for the interval, and the
numbers in words, on one axis with a line for the reference. It is drawn at two widths, and the page
shows the one that fits, so that text has its natural size on a phone, too.

All positions are computed here and none from measured text, so that the same data give the same
bytes whatever fonts a machine has.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import altair as alt
import vl_convert

Layout = Literal["wide", "narrow", "mini"]

GREY = "var(--cg-control)"
_TEXT = "currentColor"
_RULE = "var(--cg-rule)"
_LETTER_PX = 7.1
"""Room for one letter of a label at 13 px: what most names need at most."""
_WORD_PX = 84
"""Room for the longest verdict."""
_ARROWS = {-1: "triangle-left", 0: "circle", 1: "triangle-right"}


@dataclass(frozen=True)
class Mark:
    """One row of a figure."""

    label: str
    value: float
    low: float
    high: float
    numbers: str
    """The numbers, as the table shows them."""
    word: str = ""
    """What they show, such as "better"."""
    colour: str = GREY
    below: bool = False
    """Below the separator: a reference point that is not ranked."""
    faint: tuple[float, ...] = ()
    """Further values drawn faintly behind, such as one per seed."""


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
    caption: str = ""

    @property
    def named(self) -> tuple[float, float]:
        """The part of the axis that has ticks."""
        (low, high), (least, most) = self.span, self.bounds
        inside = (low if least is None else max(low, least), high if most is None else min(high, most))
        return inside if inside[0] < inside[1] else (low, high)

    @property
    def span(self) -> tuple[float, float]:
        """The axis from end to end."""
        if self.domain is not None:
            return self.domain
        decisive = [mark for mark in self.marks if not mark.below] or list(self.marks)
        points = [x for mark in decisive for x in (mark.low, mark.high, mark.value, *mark.faint)]
        points += [line for line in (self.reference, self.dashed) if line is not None]
        low, high = min(points), max(points)
        margin = max(0.08 * (high - low), 0.005)
        return low - margin, high + margin

    @property
    def has_arrows(self) -> bool:
        """Whether some mark lies beyond the axis."""
        low, high = self.span
        return any(not low <= mark.value <= high for mark in self.marks)


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
        width=760, left=0, right=0, step=30, label_dy=0, numbers_dy=0, ticks=6, letters=40, font=13, axis=48
    ),
    "narrow": _Shape(
        width=340, left=10, right=10, step=50, label_dy=-19, numbers_dy=-19, ticks=4, letters=42, font=13, axis=48
    ),
    "mini": _Shape(
        width=320, left=0, right=14, step=21, label_dy=0, numbers_dy=0, ticks=3, letters=17, font=12, axis=24
    ),
}

Convert = Callable[[str], str]
"""Vega-Lite JSON to SVG; the build passes one that remembers."""


def to_svg(figure: Figure, layout: Layout, convert: Convert | None = None) -> str:
    """Draw a figure; the SVG is complete and can stand inline in a page."""
    spec = _spec(figure, layout)
    text = json.dumps(spec, sort_keys=True, ensure_ascii=False)
    svg = (convert or convert_spec)(text)
    return _tidy(svg, prefix=f"f{hashlib.sha256(text.encode()).hexdigest()[:8]}")


def convert_spec(spec: str) -> str:
    """Convert Vega-Lite JSON to SVG."""
    return str(vl_convert.vegalite_to_svg(spec))


def _spec(figure: Figure, layout: Layout) -> dict[str, Any]:
    shape = _with_labels(_SHAPES[layout], figure)
    low, high = figure.span
    above = sum(not mark.below for mark in figure.marks)
    gap = shape.step // 2 if 0 < above < len(figure.marks) else 0
    height = shape.step * len(figure.marks) + gap + (10 if layout == "narrow" else 0)
    top = -shape.label_dy - 5 if shape.label_dy else 0
    rows, dots = [], []
    for place, mark in enumerate(figure.marks):
        y = shape.step * (place + 0.5) + (gap if mark.below else 0) + top / 2
        side = -1 if mark.value < low else 1 if mark.value > high else 0
        row: dict[str, Any] = {
            "y": y,
            "label": _shorten(mark.label, shape.letters),
            "numbers": mark.numbers,
            "word": mark.word,
            "both": f"{mark.numbers} {mark.word}".strip(),
            "value": min(max(mark.value, low), high),
            "colour": mark.colour,
            "shape": _ARROWS[side],
        }
        if mark.high >= low and mark.low <= high:
            row |= {"low": max(mark.low, low), "high": min(mark.high, high)}
        rows.append(row)
        dots += [{"y": y, "value": x, "colour": mark.colour} for x in mark.faint if low <= x <= high]
    plot = shape.width - shape.left - shape.right
    x = _x("value", (low, high), plot, figure, shape)
    y_scale = alt.Scale(domain=[0, height], range=[0, height], nice=False, zero=False)
    row_y = alt.Y("y:Q", scale=y_scale, axis=None)
    colour = alt.Color("colour:N", scale=None, legend=None)
    base = _chart(rows)
    layers = []
    if figure.dashed is not None and low <= figure.dashed <= high:
        dashed = _chart([{"value": figure.dashed}])
        layers.append(dashed.mark_rule(color=_TEXT, opacity=0.55, strokeDash=[4, 4]).encode(x=x))
    if figure.reference is not None and low <= figure.reference <= high:
        line = _chart([{"value": figure.reference}])
        layers.append(line.mark_rule(color=_TEXT, strokeWidth=1.2, opacity=0.75).encode(x=x))
    if gap:
        line = _chart([{"y": shape.step * above + gap / 2}])
        separator = {"x": alt.value(-shape.left), "x2": alt.value(plot + shape.right)}
        layers.append(line.mark_rule(color=_RULE, strokeDash=[2, 3]).encode(y=row_y, **separator))
    if dots:
        faint = _chart(dots).mark_point(filled=True, size=26, opacity=0.3)
        layers.append(faint.encode(x=x, y=row_y, color=colour))
    thin = 1.6 if layout == "mini" else 2
    bar_x = _x("low", (low, high), plot, figure, shape)
    bar = base.mark_rule(strokeWidth=thin, opacity=0.75)
    layers.append(bar.encode(x=bar_x, x2="high:Q", y=row_y, color=colour))
    size = 40 if layout == "mini" else 75
    marker = base.mark_point(filled=True, size=size, opacity=1)
    layers.append(marker.encode(x=x, y=row_y, color=colour, shape=alt.Shape("shape:N", scale=None, legend=None)))
    layers += _texts(base, row_y, shape, plot, layout)
    chart = alt.layer(*layers).properties(
        width=plot,
        height=height,
        background="transparent",
        padding={"left": shape.left, "right": shape.right, "top": 4, "bottom": shape.axis},
        autosize=alt.AutoSizeParams(type="none"),
    )
    chart = chart.configure(aria=False, font="sans-serif").configure_view(stroke=None)
    spec: dict[str, Any] = chart.to_dict(validate=False)
    return spec


def _chart(rows: list[dict[str, Any]]) -> alt.Chart:
    return alt.Chart(alt.Data(values=rows))  # type: ignore[no-untyped-call]


def _with_labels(shape: _Shape, figure: Figure) -> _Shape:
    """Give labels and numbers the room that the longest ones need, where they stand beside the rows."""
    if shape.label_dy:
        lines = [_shorten(mark.label, shape.letters) + mark.numbers + mark.word for mark in figure.marks]
        if max(map(len, lines)) * _LETTER_PX * 0.93 < shape.width - 20:
            return shape
        return replace(shape, step=shape.step + 16, label_dy=-36, numbers_dy=-18)
    label = max(len(_shorten(mark.label, shape.letters)) for mark in figure.marks)
    shape = replace(shape, left=round(label * _LETTER_PX * shape.font / 13) + 24)
    if shape.right:
        return shape
    longest = max(len(mark.numbers) for mark in figure.marks)
    return replace(shape, right=round(longest * _LETTER_PX * 12 / 13) + _WORD_PX + 24)


def _x(name: str, domain: tuple[float, float], plot: int, figure: Figure, shape: _Shape) -> alt.X:
    mini = shape.axis < 40
    ticks, decimals = _ticks(figure.named, shape.ticks)
    sign = "+" if figure.reference == 0 else ""
    axis = alt.Axis(
        title=None if mini else figure.short_axis if shape.width < 400 else figure.axis,
        values=ticks,
        labelExpr=f"datum.value == 0 ? '0' : format(datum.value, '{sign}.{decimals}f')",
        domain=False,
        ticks=False,
        grid=True,
        gridColor=_RULE,
        labelColor=_TEXT,
        titleColor=_TEXT,
        labelOpacity=0.75,
        labelFontSize=11 if mini else 12,
        titleFontSize=12,
        titleFontWeight="normal",
        titlePadding=8,
        labelPadding=6,
        labelOverlap=False,
        labelBound=False,
        labelFlush=False,
    )
    scale = alt.Scale(domain=list(domain), range=[0, plot], nice=False, zero=False)
    return alt.X(f"{name}:Q", scale=scale, axis=axis)


def _texts(base: alt.Chart, y: alt.Y, shape: _Shape, plot: int, layout: Layout) -> list[alt.Chart]:
    style: dict[str, Any] = {"fontSize": shape.font, "color": _TEXT, "baseline": "middle", "dy": shape.label_dy}
    on_top = layout == "narrow"
    label = base.mark_text(align="left", **style)
    layers = [label.encode(x=alt.value(2 - shape.left if on_top else -shape.left), y=y, text="label:N")]
    style |= {"fontSize": 12, "fillOpacity": 0.8, "dy": shape.numbers_dy}
    if layout == "wide":
        # Two columns: numbers end where words begin.
        seam = plot + shape.right - _WORD_PX
        layers.append(base.mark_text(align="right", **style).encode(x=alt.value(seam - 8), y=y, text="numbers:N"))
        layers.append(base.mark_text(align="left", **style).encode(x=alt.value(seam), y=y, text="word:N"))
    elif layout == "narrow":
        beside = shape.label_dy == shape.numbers_dy
        x = alt.value(plot + shape.right - 2 if beside else 2 - shape.left)
        layers.append(base.mark_text(align="right" if beside else "left", **style).encode(x=x, y=y, text="both:N"))
    return layers


def _ticks(domain: tuple[float, float], wanted: int) -> tuple[list[float], int]:
    """Return at least two round values inside the axis, and the decimals they need."""
    low, high = domain
    power = math.floor(math.log10(high - low))
    # From coarse to fine: multiples of 5, 2 and 1 of a power of ten.
    steps = [(factor * 10.0**exponent, exponent) for exponent in (power, power - 1) for factor in (5, 2, 1)]
    best: tuple[list[float], int] = ([low, high], 2)
    for step, exponent in steps:
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        decimals = max(0, -exponent)
        ticks = [round(place * step, decimals) for place in range(first, last + 1)]
        if len(ticks) > wanted and len(best[0]) >= 2 and best[0] != [low, high]:
            break
        if len(ticks) >= 2:
            best = (ticks, decimals)
        if len(ticks) >= wanted:
            break
    return best


def _shorten(text: str, letters: int) -> str:
    return text if len(text) <= letters else text[: letters - 1].rstrip() + "…"


def _tidy(svg: str, *, prefix: str) -> str:
    """Make an SVG fit to stand inside a page: ids of its own, and no parts that only a file needs."""
    svg = re.sub(r"<\?xml[^>]*\?>|<!DOCTYPE[^>]*>", "", svg)
    svg = svg.replace(' xmlns:xlink="http://www.w3.org/1999/xlink"', "")
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{prefix}-\1"', svg)
    svg = re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}-\1)", svg)
    svg = svg.replace(' font-family="sans-serif"', "")
    # Vega adds roles of its own to groups; the figure around it speaks for all of it.
    svg = re.sub(r' (?:role|aria-roledescription|aria-label)="[^"]*"', "", svg)
    return svg.replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1)
