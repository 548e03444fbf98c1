"""Colours of models and of groups of cells, for light and dark pages.

No colour is alone: beside each stands a name, a number or a form of the mark.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from cellgauge.cards import ModelCard

# Okabe and Ito's palette in two themes: see the stylesheet.
_OF_MODELS = tuple(f"var(--cg-c{place})" for place in range(1, 8))


def model_colours(models: Iterable[ModelCard], together: Iterable[Collection[str]] = ()) -> dict[str, str]:
    """Give each model its colour, the same on every page; controls and repeats stay grey and the baseline is ink.

    There are seven. Each model, those in most charts first, takes the one that the fewest of those beside it have.

    Parameters
    ----------
    together
        For each chart, the ids of the models in it; others are left out.
    """
    ids = sorted(model.id for model in models if model.counts_as == "model")
    charts: Counter[str] = Counter()
    beside: dict[str, set[str]] = {id_: set() for id_ in ids}
    for chart in together:
        charts.update(chart)
        for id_ in beside.keys() & chart:
            beside[id_].update(chart)
    found: dict[str, str] = {}
    for place, id_ in enumerate(sorted(ids, key=lambda id_: (-charts[id_], id_))):
        taken = Counter(found[other] for other in beside[id_] if other in found)
        turned = _OF_MODELS[place % 7 :] + _OF_MODELS[: place % 7]
        found[id_] = min(turned, key=lambda colour: taken[colour])
    return found


def in_one_chart(colours: Mapping[str, str], ids: Iterable[str]) -> dict[str, str]:
    """Return the colours of the models of one chart, in which no two of up to seven models have the same.

    Where two have, the first by its id keeps it, and the other takes the first one that nobody has.
    """
    coloured = sorted({id_ for id_ in ids if id_ in colours})
    if len(coloured) > len(_OF_MODELS):
        return {id_: colours[id_] for id_ in coloured}
    found: dict[str, str] = {}
    clashing = []
    for id_ in coloured:
        if colours[id_] in found.values():
            clashing.append(id_)
        else:
            found[id_] = colours[id_]
    free = [colour for colour in _OF_MODELS if colour not in found.values()]
    return found | dict(zip(clashing, free, strict=False))


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
