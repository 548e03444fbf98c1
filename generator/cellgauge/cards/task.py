"""The task card: a biological question and the protocol that answers it."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from cellgauge.cards.base import Card, Citation, Column, FunctionPath, Id, Part, Scalar, Sentence, Text

_FEWEST_COMPLEMENTARY = 3
_FEWEST_REPLICATES = 100


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


class Guard(Part):
    """A second score that may not get worse: an integration that destroys cell types is no gain."""

    metric: Id
    view: Id | None = None
    margin: float = Field(gt=0, description="How much worse than the baseline's still counts as not worse")

    @property
    def key(self) -> str:
        """``metric`` or ``metric@view``."""
        return ScoreRef(metric=self.metric, view=self.view).key

    def is_kept(self, low: float) -> bool:
        """Whether a difference to the baseline whose interval begins at ``low`` is shown not to be worse."""
        return low > -self.margin


class Family(Part):
    """Scores that answer one half of a task's question; all families are shown side by side."""

    name: Sentence
    metrics: list[Id] = Field(min_length=1)


class Stress(Part):
    """A condition under which the primary score is computed once more: the model is shown worse data."""

    id: Id
    name: Sentence
    kind: Literal["thin-counts", "drop-genes"]
    keep: float = Field(gt=0, lt=1, description="Share of the counts, or of the genes, that the model is shown")


class Protocol(Part):
    """What is computed, exactly. A change of any field is a new version."""

    version: int = Field(ge=1)
    seeds: list[int] = Field(description="Every evaluation runs once per seed; empty only where others measured")
    replicates: int = Field(ge=0, description="Resamples drawn for the intervals: 100 or more; 0 as above")
    level: float | None = Field(gt=0.5, lt=1, description="Confidence level of the intervals; null: there are none")
    params: dict[str, Scalar] = Field(default={}, description="Parameters passed to the implementation")

    @model_validator(mode="after")
    def _distinct_seeds(self) -> Protocol:
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError("seeds must be distinct")
        return self

    @property
    def confidence(self) -> float:
        """The level of the intervals of a task that is computed here."""
        if self.level is None:
            raise ValueError("a protocol without intervals has no level")
        return self.level


class TaskCard(Card):
    """A task. One without an ``implementation`` is published as planned, before it has results."""

    COMPUTE: ClassVar[tuple[str, ...]] = (
        "protocol",
        "input",
        "requires",
        "implementation",
        "primary",
        "complementary",
    )

    question: Text = Field(description="The biological question, for a biologist")
    procedure: list[Sentence] = Field(min_length=1, description="What is done, step by step, for an engineer")
    input: Literal["embedding", "prediction", "unknown"] = Field(description="What a model must deliver")
    requires: list[Column] = Field(description="Roles that a dataset must have columns for")
    protocol: Protocol
    implementation: FunctionPath | None = Field(default=None, description="null while the task is planned")
    reported: Sentence | None = Field(
        default=None, description="Whose protocol it is, where others measured; null: it is computed here"
    )
    unit: Literal["cell", "perturbation", "sample", "time point", "unknown"] = Field(
        description="What the intervals resample"
    )
    views: list[View] = []
    primary: ScoreRef = Field(description="The one score that verdicts use")
    complementary: list[ScoreRef] = Field(description="Other scores of the same question, by three metrics or more")
    families: list[Family] = Field(default=[], description="Halves of the question, such as mixing and conservation")
    guard: Guard | None = Field(default=None, description="What may not get worse where the primary score gains")
    relevant_difference: float | None = Field(
        default=None, gt=0, description="Differences of the primary score below this are called too small to matter"
    )
    stress: list[Stress] = Field(default=[], description="Conditions under which the primary score is repeated")
    baseline: Id | None = Field(description="The simple model that every other is compared with; null only as above")
    controls: list[Id] = Field(description="Models whose outcome is known beforehand; empty only as above")
    references: list[Citation] = []

    def compute_fields(self) -> dict[str, Any]:
        """Return the fields that decide a score; names of views and of stress conditions are prose."""
        stress = [one.model_dump(mode="json", exclude={"name"}) for one in self.stress]
        return {**super().compute_fields(), "views": [view.id for view in self.views], "stress": stress}

    def protocol_fields(self) -> dict[str, Any]:
        """Return the fields that decide a score or what is said about it."""
        said = {"baseline", "controls", "families", "guard", "relevant_difference"}
        return {**self.compute_fields(), **self.model_dump(mode="json", include=said)}

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
        if self.guard is not None and self.guard.key not in keys:
            raise ValueError(f'guard: score "{self.guard.key}" is not among the scores of the task')
        metrics = {ref.metric for ref in self.scores}
        for family in self.families:
            if strange := sorted(set(family.metrics) - metrics):
                raise ValueError(f"families: {', '.join(strange)} is not among the metrics of the task")
        more = {ref.metric for ref in self.complementary} - {self.primary.metric}
        if len(more) < _FEWEST_COMPLEMENTARY and self.reported is None:
            raise ValueError(
                f"complementary: expected {_FEWEST_COMPLEMENTARY} metrics or more beside the primary one, "
                f"found {len(more)} ({', '.join(sorted(more)) or 'none'})"
            )
        stressed = [one.id for one in self.stress]
        if len(set(stressed)) != len(stressed):
            raise ValueError("stress: ids must be distinct")
        return self

    @model_validator(mode="after")
    def _whole_where_it_is_computed(self) -> TaskCard:
        if self.reported is not None:
            if self.implementation is not None or self.protocol.seeds or self.protocol.replicates:
                raise ValueError(
                    "reported: a task that others measured has no implementation, seeds or replicates here"
                )
            return self
        if not self.protocol.seeds:
            raise ValueError("protocol: seeds: at least one is needed")
        if self.protocol.replicates < _FEWEST_REPLICATES:
            found = self.protocol.replicates
            raise ValueError(f"protocol: replicates: expected {_FEWEST_REPLICATES} or more, found {found}")
        if self.protocol.level is None or self.baseline is None or not self.controls:
            raise ValueError("protocol: level, baseline and controls are needed of a task that is computed here")
        if "unknown" in (self.input, self.unit):
            raise ValueError("input and unit may be unknown only of a task that others measured")
        return self

    @property
    def compared_with(self) -> str:
        """The id of the baseline of a task that is computed here."""
        if self.baseline is None:
            raise ValueError("a task that others measured may have no baseline")
        return self.baseline

    @property
    def is_planned(self) -> bool:
        """Whether it is published before anything can be computed."""
        return self.implementation is None and self.reported is None

    @property
    def scores(self) -> list[ScoreRef]:
        """The primary score first, then the complementary ones."""
        return [self.primary, *self.complementary]
