"""Bands: a model's rank range in each of several tasks, each among as many models as were compared there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import altair as alt

from cellgauge.report import axes
from cellgauge.report.axes import GREY, LETTER_PX, RULE, Layout, Spec
from cellgauge.report.tables import Cell, Column, Raw, Row, Table


@dataclass(frozen=True)
class Band:
    """The ranks that a model may have among ``of``."""

    label: str
    first: int
    """The best rank it may have; 1 is the best of all."""
    last: int
    of: int
    """How many are ranked, the model among them."""
    colour: str = GREY
    id: Raw = None
    """How the row is called in downloads; None for its label."""

    @property
    def numbers(self) -> str:
        """The range in words, such as ``2–4 of 9``."""
        ranks = str(self.first) if self.first == self.last else f"{self.first}–{self.last}"
        return f"{ranks} of {self.of}"


@dataclass(frozen=True)
class BandFigure:
    """A row for each band, on one axis of ranks: the first rank is on the right, as what is better is everywhere."""

    bands: tuple[Band, ...]
    id: str
    """Unique on its page; the names of its files end with it."""
    title: str
    description: str
    """The text alternative: it states the finding, not the form."""
    axis: str = "Rank: right is better"
    names: Column = Column("evaluation", "Task and dataset")

    has_arrows = False

    @property
    def data(self) -> Table:
        """The table that is drawn: all of it, and nothing else."""
        ranks = Column("ranks", "Ranks", ("first", "last", "of"), numeric=True, direction="lower")
        rows = [
            Row((Cell(band.label, (band.label if band.id is None else band.id,)),
                 Cell(band.numbers, (band.first, band.last, band.of))))
            for band in self.bands
        ]  # fmt: skip
        return Table(f"figure-{self.id}-data", self.title, (self.names, ranks), tuple(rows))

    def spec(self, layout: Layout) -> Spec:
        """Return its specification in one layout."""
        narrow = layout != "wide"
        step, letters = (46, 40) if narrow else (30, 44)
        longest = max(len(axes.shorten(band.label, letters)) for band in self.bands)
        left, right = (12, 12) if narrow else (round(longest * LETTER_PX) + 24, 90)
        width = (340 if narrow else 760) - left - right
        most = max(2, *(band.of for band in self.bands))
        height = step * len(self.bands) + 6
        top = 16 if narrow else 0
        values = {
            "width": width, "height": height, "left": left, "right": right, "top": 4, "bottom": 48, "small": 12,
            "domain": [most + 0.4, 0.6],
            "rows": [-top / 2 / step, (height - top / 2) / step],
            "ticks": _ranks(most, 5 if narrow else 9),
            "tick_label": "format(datum.value, 'd')",
            "axis": self.axis,
            "label_x": 2 - left if narrow else -left,
            "numbers_x": width + right - 2,
            "dy": -16 if narrow else 0,
        }  # fmt: skip
        rows = [
            {**record, "_y": place + 0.5, "_label": axes.shorten(band.label, letters), "_numbers": band.numbers,
             "_colour": band.colour, "_one": 1}
            for place, (band, record) in enumerate(zip(self.bands, self.data.records(), strict=True))
        ]  # fmt: skip
        return Spec(axes.fill(_form(), values), {"rows": rows})


def _ranks(most: int, wanted: int) -> list[int]:
    """Return the first rank, the last one, and some between them."""
    step = next(step for factor in range(10) for step in (10**factor, 2 * 10**factor, 5 * 10**factor)
                if most / step <= wanted)  # fmt: skip
    between = [rank for rank in range(step, most, step) if rank > 1 and most - rank >= step / 2]
    return [1, *between, most]


@axes.form
def _form() -> dict[str, Any]:
    """Build the form: a thin track over all ranks, a thick band over those it may have, and texts."""
    place: dict[str, Any] = {"dy": "@dy"}
    y, colour = alt.Y("_y:Q"), axes.as_is(alt.Color, "_colour")
    track = axes.layer("tracks").mark_rule(color=RULE, strokeWidth=2)
    band = axes.layer("bands").mark_rule(strokeWidth=11, strokeCap="round")
    label = axes.layer("labels").mark_text(align="left", fontSize=13, **place)
    numbers = axes.layer("numbers").mark_text(align="right", fillOpacity=0.8, **place)
    return axes.finish(
        [
            track.encode(x=axes.x_axis("_one"), x2="ranks_of:Q", y=axes.y_rows()),
            band.encode(x=alt.X("ranks_first:Q"), x2="ranks_last:Q", y=y, color=colour),
            label.encode(x=alt.value("@label_x"), y=y, text=alt.Text("_label:N")),
            numbers.encode(x=alt.value("@numbers_x"), y=y, text=alt.Text("_numbers:N")),
        ]
    )
