"""Colours of groups of cells, for light and dark pages; beside each colour stands a number or a form of the mark."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Shape = Literal["dot", "cross", "plus"]


@dataclass(frozen=True)
class Look:
    """How the cells of one group are drawn."""

    light: str
    """The colour on a light page."""
    dark: str
    """The colour on a dark page."""
    shape: Shape = "dot"


# Okabe and Ito's colours, without the ones that vanish on a page, and three more.
_GROUPS = (
    ("#0072b2", "#4aa3e8"),
    ("#e08a00", "#e69f00"),
    ("#009e73", "#2fc79b"),
    ("#d1435b", "#ff7a80"),
    ("#8a4fbf", "#b694f6"),
    ("#56b4e9", "#a6dcff"),
    ("#7a4a1e", "#b98a5e"),
    ("#cc79a7", "#f0b3d6"),
    ("#4d5663", "#dfe5ec"),
    ("#8f8a00", "#e0d84f"),
)
_SHAPES: tuple[Shape, ...] = ("dot", "cross", "plus")
MOST_GROUPS = len(_GROUPS) * len(_SHAPES)
REST = Look("#b6bdc6", "#5b6673")
"""Of cells that are of no group with a look of its own."""

# From dark to light along one path, both ends far from black and white.
STEPS = tuple(
    Look(light, dark)
    for light, dark in (
        ("#4b3f94", "#7a6be0"),
        ("#40619f", "#5f8fe0"),
        ("#337f9f", "#45aed0"),
        ("#2a9887", "#3cc7b0"),
        ("#4daa62", "#6fd585"),
        ("#8aab35", "#b5dc5a"),
        ("#c29a1a", "#e8d04a"),
        ("#d9741a", "#ffab4d"),
    )
)
"""Of groups in an order, the first to the last."""


def look_of(place: int) -> Look:
    """Return the look of the group at a place: ten colours, then the same with other marks."""
    light, dark = _GROUPS[place % len(_GROUPS)]
    return Look(light, dark, _SHAPES[place // len(_GROUPS)])
