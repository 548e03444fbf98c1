"""The metric card: what a number means, and when it misleads."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from cellgauge.cards.base import Card, Citation, Id, Part, Sentence, Text

Family = Literal[
    "cluster-agreement",
    "separation",
    "classification",
    "mixing",
    "conservation",
    "effect-size",
    "effect-direction",
    "ranking",
    "ordering",
    "other",
]


class Range(Part):
    """The least and the greatest value that the definition allows; ``null`` where there is no bound."""

    min: float | None
    max: float | None

    @model_validator(mode="after")
    def _ordered(self) -> Range:
        if self.min is not None and self.max is not None and self.min >= self.max:
            raise ValueError(f"min ({self.min:g}) must be below max ({self.max:g})")
        return self


class ExpectedControls(Part):
    """Which control is expected best and which worst by this metric (ids of model cards); of several, any of them."""

    best: list[Id]
    worst: list[Id]


class MetricCard(Card):
    """A metric's definition."""

    COMPUTE: ClassVar[tuple[str, ...]] = ("version", "direction", "range")

    short_name: Sentence = Field(description="As it stands in a table header, e.g. ARI")
    version: int = Field(ge=1, description="Raised whenever the same input could give another value")
    family: Family
    reported: Sentence | None = Field(default=None, description="Who defines it, where others computed it; else null")
    formula: Text | None = Field(description="LaTeX, rendered as MathML; null only where others computed it")
    symbols: list[Sentence] = Field(default=[], description="What each symbol of the formula stands for; one line each")
    range: Range
    direction: Literal["higher", "lower"] = Field(description="Which way is better")
    controls: ExpectedControls
    implementation: Sentence = Field(description="The library function that computes it or that checks it")
    misleads: Text | None = Field(
        description="When a good value does not mean a good model; null only where others computed it"
    )
    sources: list[Citation] = Field(min_length=1)

    @model_validator(mode="after")
    def _explained_where_it_is_computed(self) -> MetricCard:
        if self.reported is None and (self.formula is None or self.misleads is None):
            raise ValueError("formula and misleads are needed of a metric that is computed here")
        return self
