"""Distributions: how often each value came out over the resamples of one score, as a small histogram."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import altair as alt
import numpy as np
from numpy.typing import NDArray

from cellgauge.report import axes
from cellgauge.report.axes import GREY, TEXT, Layout, Spec
from cellgauge.report.numbers import SCORE_DECIMALS, interval, number
from cellgauge.report.tables import Cell, Column, Row, Table

N_BINS = 40


@dataclass(frozen=True)
class Bin:
    """A part of the axis, and the share of resamples whose value lies in it."""

    low: float
    high: float
    share: float


def histogram(values: NDArray[np.float64], n_bins: int = N_BINS) -> tuple[Bin, ...]:
    """Count values in bins of equal width, from the least value to the greatest.

    Parameters
    ----------
    values
        Replicates of one score, of shape (n_replicates,); pages get their counts and never themselves.

    Returns
    -------
    The bins from left to right, with shares that sum to 1; a single one around them where all values are the same.

    Raises
    ------
    ValueError
        Where there is nothing to count, or a value is not finite.
    """
    values = np.asarray(values, dtype=np.float64)
    if not values.size or not np.isfinite(values).all():
        raise ValueError(f"a histogram needs finite values, and these are {values.size} with some that are not")
    low, high = float(values.min()), float(values.max())
    if not high - low > 1e-12 * max(1.0, abs(low)):
        around = 0.0005 * max(1.0, abs(low))
        return (Bin(low - around, high + around, 1.0),)
    counts, edges = np.histogram(values, bins=n_bins, range=(low, high))
    shares = counts / values.size
    return tuple(Bin(float(edges[i]), float(edges[i + 1]), float(shares[i])) for i in range(n_bins))


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
    description: str
    """The text alternative: it states the finding, not the form."""
    reference: float | None = None
    """Where a line stands, such as the baseline or no difference; it is drawn where the axis has it."""
    reference_name: str = ""
    colour: str = GREY
    decimals: int = SCORE_DECIMALS
    signed: bool = False
    """Whether positive numbers get a plus, as differences do."""

    has_arrows = False

    @property
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
    def numbers(self) -> str:
        """The value and its interval, as tables show them."""
        value = self._number(self.value)
        if self.low is None or self.high is None:
            return f"{value}, no interval"
        return f"{value} {interval(self.low, self.high, self.decimals, signed=self.signed)}"

    def _number(self, value: float) -> str:
        return number(value, self.decimals, signed=self.signed)

    @property
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
        values = {
            "width": 320, "height": 84, "left": 10, "right": 10, "small": 12, "bottom": 48,
            "top": 20 if line is not None and self.reference_name else 4,
            "domain": [low, high],
            "ticks": ticks,
            "tick_label": axes.tick_label(decimals, signed=self.signed),
            "axis": self.axis,
            "colour": self.colour,
            "shares": [0, max(one.share for one in self.bins)],
        }  # fmt: skip
        rows = [
            {**record, "_label": f"{self._number(one.low)} to {self._number(one.high)}", "_zero": 0}
            for one, record in zip(self.bins, self.data.records(), strict=True)
        ]
        return Spec(
            axes.fill(_form(), values),
            {
                "rows": rows,
                "lines": [] if line is None else [{"_x": line, "_name": self.reference_name}],
                "measured": [{"_x": self.value, "_low": self.low, "_high": self.high}],
            },
        )


@axes.form
def _form() -> dict[str, Any]:
    """Build the form: bars of shares, the interval with its dot below them, and the line with its name."""
    colour: dict[str, Any] = {"color": "@colour"}
    shares = alt.Scale(domain="@shares", range=[70, 0], nice=False)
    bars = axes.layer("bars").mark_rect(opacity=0.4, **colour)
    lines = axes.layer("lines", "lines").mark_rule(color=TEXT, strokeWidth=1.2, opacity=0.75)
    names = axes.layer("names", "lines").mark_text(fontSize=11, fillOpacity=0.75)
    bar = axes.layer("interval", "measured").mark_rule(strokeWidth=2, opacity=0.75, **colour)
    dot = axes.layer("value", "measured").mark_point(filled=True, size=75, opacity=1, **colour)
    return axes.finish(
        [
            lines.encode(x=axes.x_axis("_x")),
            bars.encode(
                x=alt.X("bin_low:Q"), x2="bin_high:Q", y=alt.Y("share:Q", scale=shares, axis=None), y2="_zero:Q"
            ),
            bar.encode(x=alt.X("_low:Q"), x2="_high:Q", y=alt.value(77)),
            dot.encode(x=alt.X("_x:Q"), y=alt.value(77)),
            names.encode(x=alt.X("_x:Q"), y=alt.value(-9), text=alt.Text("_name:N")),
        ]
    )
