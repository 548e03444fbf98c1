"""The model card: what it is, how it is obtained, and what it has seen."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from cellgauge.cards.base import Card, Citation, Column, FunctionPath, Id, Part, Scalar, Sentence, Url

LeakageClass = Literal["green", "yellow", "red", "gray"]


class FunctionModel(Part):
    """A Python function ``f(adata, *, seed, **params) -> embedding``, called in a worker process."""

    kind: Literal["function"]
    function: FunctionPath
    params: dict[str, Scalar] = {}


class PlannedModel(Part):
    """A model that has a card before it can be run."""

    kind: Literal["planned"]
    reason: Sentence = Field(description="What is missing; shown wherever a score would stand")


Obtain = Annotated[FunctionModel | PlannedModel, Field(discriminator="kind")]
"""How outputs are obtained. A new kind is a new member here and a module in ``models``."""


class ModelInput(Part):
    """What the model must be given."""

    values: list[Literal["counts", "log-normalised", "scaled", "continuous"]] = Field(min_length=1)
    non_negative: bool = False
    taxa: list[int] | None = Field(default=None, description="NCBI taxa it can embed; null: any")
    given: list[Column] = Field(default=[], description="Role columns it is shown; all others are withheld")
    held_out: bool = Field(default=False, description="Shown the cells it is tested on: for controls alone")


class TrainingData(Part):
    """What the model was pretrained on; an absent field is not known."""

    name: Sentence
    cells: int | None = Field(default=None, ge=0)
    release: Sentence | None = None
    species: list[Sentence] = []
    sources: list[Citation] = []


class Licence(Part):
    """Licences of code and weights; ``null`` where it is not known."""

    code: Sentence | None = None
    weights: Sentence | None = None


class Leakage(Part):
    """A judgement on one dataset: had the model seen it before?"""

    dataset: Id
    split: Sentence | None = None
    leakage_class: LeakageClass = Field(alias="class")
    reason: Sentence
    confidence: Literal["high", "medium", "low"]
    sources: list[Citation] = []


class ModelCard(Card):
    """A model, a baseline or a control."""

    COMPUTE: ClassVar[tuple[str, ...]] = ("version", "obtain", "output", "fit", "pretrained", "seeded", "input")

    version: int = Field(ge=1, description="Raised whenever the same input could give another output")
    role: Literal["model", "baseline", "control"]
    obtain: Obtain
    output: Literal["embedding", "prediction"]
    fit: Literal["none", "dataset", "reference"] = Field(
        description="none: nothing is fitted here; dataset: fitted on the evaluation data; reference: on another set"
    )
    pretrained: bool
    seeded: bool = Field(description="Whether another seed gives another output")
    input: ModelInput
    developer: Sentence | None = None
    architecture: Sentence | None = None
    parameters: int | None = Field(default=None, ge=0)
    embedding_dim: int | None = Field(default=None, ge=1)
    training_data: TrainingData | None = None
    licence: Licence = Licence()
    paper: Citation | None = None
    code: Url | None = None
    weights: Url | None = None
    hardware: Sentence | None = None
    intended_use: list[Sentence] = []
    limits: list[Sentence] = []
    leakage: list[Leakage] = []

    @model_validator(mode="after")
    def _only_controls_see_the_answer(self) -> ModelCard:
        if self.input.held_out and self.role != "control":
            raise ValueError("input: only a control may be shown the held-out cells")
        return self

    @property
    def is_fitted_elsewhere(self) -> bool:
        """Whether its axes mean the same whichever cells it is shown: it was trained, or fitted, on others."""
        return self.fit == "reference" or (self.pretrained and self.fit == "none")

    @property
    def is_control(self) -> bool:
        """Whether the outcome is known beforehand, so that it is never ranked."""
        return self.role == "control"
