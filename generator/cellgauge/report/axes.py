"""What all drawn figures share: their look, their axis, and how a form is filled with the data of a figure.

A form is built with Altair once for each layout, with names such as ``@width`` in place of what differs. Filling it
takes a hundredth of the time of building it.
"""

from __future__ import annotations

import functools
import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Protocol

import altair as alt
from altair.utils.schemapi import debug_mode

from cellgauge.report.numbers import same_anywhere
from cellgauge.report.tables import Table

Layout = Literal["wide", "narrow", "mini"]

GREY = "var(--cg-control)"
TEXT = "currentColor"
RULE = "var(--cg-rule)"
LETTER_PX = 7.1
"""Room for one letter of a label at 13 px: what most names need at most."""


Form = dict[str, Any]
"""A Vega-Lite specification with names in place of what differs between figures, and without data."""


@dataclass(frozen=True)
class Spec:
    """A Vega-Lite specification in its parts: pages hold the form once for all their figures."""

    form: str
    """One of ``FORMS``."""
    values: dict[str, Any]
    """What its names stand for."""
    datasets: dict[str, list[dict[str, Any]]]
    """Its data; layouts of one figure share them."""

    def __post_init__(self) -> None:
        """Leave out digits that differ between machines."""
        object.__setattr__(self, "values", same_anywhere(self.values))
        object.__setattr__(self, "datasets", same_anywhere(self.datasets))

    @cached_property
    def values_json(self) -> str:
        """The values, as a page holds them."""
        return compact_json(self.values)

    @cached_property
    def datasets_json(self) -> str:
        """The data, as a page holds them."""
        return compact_json(self.datasets)

    def whole(self) -> dict[str, Any]:
        """Return the parts put together."""
        return {**fill(FORMS[self.form](), self.values), "datasets": self.datasets}

    def to_json(self) -> str:
        """Return the whole, the same for the same figure."""
        return json.dumps(self.whole(), sort_keys=True, ensure_ascii=False)

    def digest(self, drawn_by: str) -> str:
        """Return what names its drawing: SHA-256 of its parts and of what draws it; nothing is put together for it."""
        parts = (drawn_by, _digest_of_form(self.form), self.values_json, self.datasets_json)
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def compact_json(value: Any) -> str:
    """Return JSON without spaces."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


@functools.cache
def _digest_of_form(name: str) -> str:
    return hashlib.sha256(json.dumps(FORMS[name](), sort_keys=True).encode()).hexdigest()


FORMS: dict[str, Callable[[], Form]] = {}
"""Every form by its name; each is built when it is first asked for."""


class Drawable(Protocol):
    """What the macro ``figure`` can show."""

    @property
    def id(self) -> str:
        """Unique on its page; the names of its files end with it."""

    @property
    def title(self) -> str:
        """What it shows, in a few words."""

    @property
    def description(self) -> str:
        """The text alternative: it states the finding, not the form."""

    @property
    def data(self) -> Table:
        """The table that it draws."""

    @property
    def edges(self) -> str:
        """What its caption has to say of what lies beyond the axis."""

    def spec(self, layout: Layout) -> Spec:
        """Return its specification in one layout."""


def specs_of(figure: Drawable, layouts: Sequence[Layout]) -> dict[Layout, Spec]:
    """Return the specifications of a figure, which are drawn and put into its page."""
    return {layout: figure.spec(layout) for layout in layouts}


def add_form(name: str, build: Callable[..., Form], *features: Any) -> None:
    """Give a form its name; it is built once, and Altair lets it have names in place of numbers."""

    @functools.cache
    def built() -> Form:
        with debug_mode(False):
            return build(*features)

    FORMS[name] = built


def finish(layers: list[alt.Chart]) -> Form:
    """Return a form of these layers; ``@width``, ``@height`` and the paddings are yet to be filled in."""
    chart = alt.layer(
        *layers,
        data=alt.NamedData(name="rows"),
        width="@width",
        height="@height",
        background="transparent",
        padding={"left": "@left", "right": "@right", "top": "@top", "bottom": "@bottom"},
        autosize="none",
    )
    chart = chart.configure(aria=False, font="sans-serif").configure_view(stroke=None)
    chart = chart.configure_mark(tooltip={"content": "data"}).configure_text(
        color=TEXT, baseline="middle", fontSize="@small"
    )
    chart = chart.configure_axis(
        domain=False,
        ticks=False,
        grid=True,
        gridColor=RULE,
        labelColor=TEXT,
        titleColor=TEXT,
        labelOpacity=0.75,
        labelFontSize="@small",
        titleFontSize=12,
        titleFontWeight="normal",
        titlePadding=8,
        labelPadding=6,
        labelOverlap=False,
        labelBound=False,
        labelFlush=False,
    )
    built: Form = chart.to_dict(validate=False)
    return built


def layer(name: str, data: str = "rows") -> alt.Chart:
    """Return an empty layer, which names its marks in the SVG."""
    return alt.Chart(alt.NamedData(name=data)).properties(name=name)


def x_axis(field: str) -> alt.X:
    """Return the axis; the other layers follow it."""
    axis = alt.Axis(title="@axis", values="@ticks", labelExpr="@tick_label")
    scale = alt.Scale(domain="@domain", range=[0, "@width"], nice=False, zero=False, clamp=True)
    return alt.X(f"{field}:Q", scale=scale, axis=axis)


def y_rows() -> alt.Y:
    """Return the places of rows: 0.5 for the first, 1.5 for the second."""
    scale = alt.Scale(domain="@rows", range=[0, "@height"], nice=False, zero=False)
    return alt.Y("_y:Q", scale=scale, axis=None)


def as_is(channel: type[Any], field: str) -> Any:
    """Return a channel that takes a field's values as they are, such as a colour."""
    return channel(field, type="nominal", scale=None, legend=None)


def fill(part: Any, values: Mapping[str, Any]) -> Any:
    """Return a form with values in place of its names."""
    if isinstance(part, str):
        return values[part[1:]] if part.startswith("@") else part
    if isinstance(part, dict):
        return {key: fill(value, values) for key, value in part.items()}
    if isinstance(part, list):
        return [fill(value, values) for value in part]
    return part


def ticks(domain: tuple[float, float], wanted: int) -> tuple[list[float], int]:
    """Return at least two round values inside the axis, and the decimals they need."""
    low, high = domain
    power = math.floor(math.log10(high - low))
    # From coarse to fine: multiples of 5, 2 and 1 of a power of ten.
    steps = [(factor * 10.0**exponent, exponent) for exponent in (power, power - 1) for factor in (5, 2, 1)]
    best: tuple[list[float], int] = ([low, high], 2)
    for step, exponent in steps:
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        decimals = max(0, -exponent)
        places = [round(place * step, decimals) for place in range(first, last + 1)]
        if len(places) > wanted and len(best[0]) >= 2 and best[0] != [low, high]:
            break
        if len(places) >= 2:
            best = (places, decimals)
        if len(places) >= wanted:
            break
    return best


def tick_label(decimals: int, *, signed: bool = False) -> str:
    """Return the expression that writes a tick."""
    return f"datum.value == 0 ? '0' : format(datum.value, '{'+' if signed else ''}.{decimals}f')"


def shorten(text: str, letters: int) -> str:
    """Return text of at most so many letters."""
    return text if len(text) <= letters else text[: letters - 1].rstrip() + "…"
