"""The task card: a biological question and the protocol that answers it."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from cellgauge.cards.base import Card, Citation, Column, FunctionPath, Id, Part, Scalar, Sentence, Text


class ScoreRef(Part):
    """One column of a task's result: a metric, and the view it is taken from where a task has several."""

    metric: Id
    view: Id | None = None

    @property
    def key(self) -> str:
        """``metric`` or ``metric@view``: how the score is named in tables and URLs."""
        return f"{self.metric}@{self.view}" if self.view else self.metric


class View(Part):
    """One of several ways a task looks at the same embedding, such as one classifier of three."""

    id: Id
    name: Sentence


class Protocol(Part):
    """What is computed, exactly. A change of any field is a new version."""

    version: int = Field(ge=1)
    seeds: list[int] = Field(min_length=1, description="Every evaluation runs once per seed")
    replicates: int = Field(ge=100, description="Resamples drawn for the intervals")
    level: float = Field(gt=0.5, lt=1, description="Confidence level of the intervals")
    params: dict[str, Scalar] = Field(default={}, description="Parameters passed to the implementation")

    @model_validator(mode="after")
    def _distinct_seeds(self) -> Protocol:
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError("seeds must be distinct")
        return self


class TaskCard(Card):
    """A task. One without an ``implementation`` is published as planned, before it has results."""

    COMPUTE: ClassVar[tuple[str, ...]] = ("protocol", "input", "requires", "implementation", "primary", "complementary")

    question: Text = Field(description="The biological question, for a biologist")
    procedure: list[Sentence] = Field(min_length=1, description="What is done, step by step, for an engineer")
    input: Literal["embedding", "prediction"] = Field(description="What a model must deliver")
    requires: list[Column] = Field(description="Roles that a dataset must have columns for")
    protocol: Protocol
    implementation: FunctionPath | None = Field(default=None, description="null while the task is planned")
    unit: Literal["cell", "perturbation", "sample", "time point"] = Field(description="What the intervals resample")
    views: list[View] = []
    primary: ScoreRef = Field(description="The one score that verdicts use")
    complementary: list[ScoreRef] = Field(min_length=2, description="Other scores that answer the same question")
    baseline: Id = Field(description="The simple model that every other is compared with")
    controls: list[Id] = Field(min_length=1, description="Models whose outcome is known beforehand")
    references: list[Citation] = []

    def compute_fields(self) -> dict[str, Any]:
        """Return the fields that decide a score; of a view that is its id, its name is prose."""
        return {**super().compute_fields(), "views": [view.id for view in self.views]}

    @model_validator(mode="after")
    def _views_are_declared(self) -> TaskCard:
        declared = {view.id for view in self.views}
        for ref in self.scores:
            if ref.view is not None and ref.view not in declared:
                known = ", ".join(sorted(declared)) or "none"
                raise ValueError(f'view "{ref.view}" is not among the views of the task ({known})')
        keys = [ref.key for ref in self.scores]
        for key in keys:
            if keys.count(key) > 1:
                raise ValueError(f'score "{key}" is listed twice')
        return self

    @property
    def scores(self) -> list[ScoreRef]:
        """The primary score first, then the complementary ones."""
        return [self.primary, *self.complementary]
