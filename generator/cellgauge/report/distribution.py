"""Distributions: how often each value came out over the resamples of one score, as a small histogram."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import altair as alt
import numpy as np
from numpy.typing import NDArray

from cellgauge.report import axes
from cellgauge.report.axes import GREY, TEXT, Layout, Spec
from cellgauge.report.numbers import SCORE_DECIMALS, interval, number
from cellgauge.report.tables import Cell, Column, Row, Table

MOST_BINS = 40
_SAME = 0.02
"""The span that values which are all the same are drawn in."""
_TALL, _BELOW = 70, 14
"""Pixels of the bars, and of the interval below them."""


@dataclass(frozen=True)
class Bin:
    """A part of the axis, and the share of resamples whose value lies in it."""

    low: float
    high: float
    share: float


def histogram(values: NDArray[np.floating[Any]], most: int = MOST_BINS) -> tuple[Bin, ...]:
    """Count values in bins of one width.

    Their edges are multiples of a round width, 1, 2 or 5 times a power of ten: they are short to write, and 0, where
    a difference changes its sign, is never inside a bin.

    Parameters
    ----------
    values
        Replicates of one score, of shape (n_replicates,); pages get their counts and never themselves.
    most
        So many bins at most, at least a third of it.

    Returns
    -------
    The bins from left to right, with shares that sum to 1. An edge belongs to the bin above it, and the last
    one to the bin below, so that no bin lies beyond what a score can be.

    Raises
    ------
    ValueError
        Where there is nothing to count, or a value is not finite.
    """
    values = np.asarray(values, dtype=np.float64)
    if not values.size or not np.isfinite(values).all():
        raise ValueError(f"a histogram needs finite values; of these {values.size}, some are not")
    low, high = float(values.min()), float(values.max())
    span = high - low
    width, decimals = _round_width(span if span > 1e-9 * max(1.0, abs(low)) else _SAME, most)
    # Rounding: a value that is an edge, but for its last digits, is that edge.
    last = math.ceil(high / width - 1e-9) - 1
    places = np.minimum(np.floor(values / width + 1e-9), last).astype(np.int64)
    first = int(places.min())
    shares = np.bincount(places - first) / values.size
    return tuple(
        Bin(round((first + i) * width, decimals), round((first + i + 1) * width, decimals), float(share))
        for i, share in enumerate(shares)
    )


def _round_width(span: float, most: int) -> tuple[float, int]:
    """Return the least round width with which so many bins cover the span wherever it begins, and its decimals."""
    power = math.floor(math.log10(span / (most - 1)))
    widths = ((factor * 10.0**exponent, exponent) for exponent in (power, power + 1) for factor in (1, 2, 5))
    width, exponent = next(one for one in widths if one[0] * (most - 1) >= span)
    return width, max(0, -exponent)


@dataclass(frozen=True)
class Distribution:
    """A histogram with the value and its interval below it; it is narrow in both layouts."""

    bins: tuple[Bin, ...]
    value: float
    """What was measured on all cells; not the mean of the resamples."""
    low: float | None
    """The interval; None, as ``high``, where there is none."""
    high: float | None
    axis: str
    """What the axis shows, in about 45 letters."""
    id: str
    """Unique on its page; the names of its files end with it."""
    title: str
    reference: float | None = None
    """Where a line stands, such as the baseline or no difference; it is drawn where the axis has it."""
    reference_name: str = ""
    colour: str = GREY
    decimals: int = SCORE_DECIMALS
    signed: bool = False
    """Whether positive numbers get a plus, as differences do."""
    note: str = ""
    """What the caption has to say about the bars."""

    edges = ""

    @cached_property
    def data(self) -> Table:
        """The table that is drawn."""
        columns = (
            Column("bin", "From – to", ("low", "high"), numeric=True),
            Column("share", "Share of resamples", numeric=True),
        )
        rows = [Row((Cell(f"{self._number(one.low)} – {self._number(one.high)}", (one.low, one.high)),
                     Cell(number(one.share), (one.share,)))) for one in self.bins]  # fmt: skip
        return Table(f"figure-{self.id}-data", f"{self.title}; {self.numbers}", columns, tuple(rows))

    @property
    def description(self) -> str:
        """The text alternative: it states the finding, not the form."""
        ends = f"from {self._number(self.bins[0].low)} to {self._number(self.bins[-1].high)}"
        line = ""
        if self.reference is not None:
            name = f" ({self.reference_name})" if self.reference_name else ""
            line = f"; line at {number(self.reference, self.decimals)}{name}"
        return f"{self.title}: {ends}; measured {self.numbers}{line}."

    @property
    def numbers(self) -> str:
        """The value and its interval, as tables show them."""
        value = self._number(self.value)
        if self.low is None or self.high is None:
            return f"{value}, no interval"
        return f"{value} {interval(self.low, self.high, self.decimals, signed=self.signed)}"

    def _number(self, value: float) -> str:
        return number(value, self.decimals, signed=self.signed)

    @cached_property
    def span(self) -> tuple[float, float]:
        """The axis from end to end: all bins, the interval, and the reference unless it is far away."""
        points = [x for one in self.bins for x in (one.low, one.high)]
        points += [x for x in (self.value, self.low, self.high) if x is not None]
        low, high = min(points), max(points)
        wide = max(high - low, 0.005)
        if self.reference is not None and low - 2 * wide <= self.reference <= high + 2 * wide:
            low, high = min(low, self.reference), max(high, self.reference)
        margin = max(0.05 * (high - low), 0.005)
        return low - margin, high + margin

    def spec(self, layout: Layout) -> Spec:
        """Return its specification, the same in each layout."""
        low, high = self.span
        ticks, decimals = axes.ticks((low, high), 4)
        line = self.reference if self.reference is not None and low <= self.reference <= high else None
        top = max(one.share for one in self.bins)
        values = {
            "width": 320, "height": _TALL + _BELOW, "left": 10, "right": 10, "small": 12, "bottom": 48,
            "top": 20 if line is not None and self.reference_name else 4,
            "domain": [low, high],
            "ticks": ticks,
            "tick_label": axes.tick_label(decimals, signed=self.signed),
            "axis": self.axis,
            "colour": self.colour,
            "shares": [-top * _BELOW / _TALL, top],
        }  # fmt: skip
        return Spec(
            "distribution",
            values,
            {
                "rows": self.data.records(),
                "lines": [] if line is None else [{"_x": line, "_name": self.reference_name}],
                "measured": [{"_x": self.value, "_low": self.low, "_high": self.high}],
            },
        )


def _form() -> axes.Form:
    """Build the form: bars of shares, the interval with its dot below them, and the line with its name."""
    colour: dict[str, Any] = {"color": "@colour"}
    shares = alt.Scale(domain="@shares", range=["@height", 0], nice=False, zero=False)
    bars = axes.layer("bars").mark_rect(fillOpacity=0.4, **colour)
    lines = axes.layer("lines", "lines").mark_rule(color=TEXT, strokeWidth=1.2, strokeOpacity=0.75)
    names = axes.layer("names", "lines").mark_text(fontSize=11, fillOpacity=0.75)
    bar = axes.layer("interval", "measured").mark_rule(strokeWidth=2, strokeOpacity=0.75, **colour)
    dot = axes.layer("value", "measured").mark_point(filled=True, size=75, opacity=1, **colour)
    return axes.finish(
        [
            lines.encode(x=axes.x_axis("_x")),
            bars.encode(
                x=alt.X("bin_low:Q"), x2="bin_high:Q", y=alt.Y("share:Q", scale=shares, axis=None), y2=alt.Y2Datum(0)
            ),
            bar.encode(x=alt.X("_low:Q"), x2="_high:Q", y=alt.value(_TALL + _BELOW // 2)),
            dot.encode(x=alt.X("_x:Q"), y=alt.value(_TALL + _BELOW // 2)),
            names.encode(x=alt.X("_x:Q"), y=alt.value(-9), text=alt.Text("_name:N")),
        ]
    )


axes.add_form("distribution", _form)
