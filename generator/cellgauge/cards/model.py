"""The model card: what it is, how it is obtained, and what it has seen."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints, model_validator

from cellgauge.cards.base import Card, Citation, Column, FunctionPath, Id, Part, Scalar, Sentence, Url
from cellgauge.cards.dataset import DatasetCard, SourceFile

LeakageClass = Literal["green", "yellow", "red", "gray"]
ImageReference = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][\w./:-]*@sha256:[0-9a-f]{64}$")]
"""``registry/name@sha256:<hex>``: an image by its digest, since a tag can be moved."""
FileName = Annotated[str, StringConstraints(pattern=r"^[\w][\w.-]*(/[\w][\w.-]*)*$", max_length=200)]
"""A path below a folder, without ``..`` and without a leading slash."""


class FunctionModel(Part):
    """A Python function ``f(adata, *, seed, **params) -> embedding``, called in a worker process."""

    kind: Literal["function"]
    function: FunctionPath
    params: dict[str, Scalar] = {}


class WeightsFile(SourceFile):
    """A file that a container finds below ``/weights``, under a name of its own there."""

    name: FileName


class Limits(Part):
    """What a container may use; a container that exceeds them is killed."""

    memory_gb: float = Field(default=8, gt=0)
    minutes: float = Field(default=120, gt=0, description="Wall-clock time of one call")
    processes: int = Field(default=512, ge=1, description="Processes and threads")
    output_gb: float = Field(default=8, gt=0, description="All that it writes to /output")


class ContainerModel(Part):
    """A container image that reads ``/input`` and writes ``/output``; see the page on containers."""

    kind: Literal["container"]
    folder: Id | None = Field(default=None, description="Folder below generator/images that the image is built from")
    image: ImageReference | None = Field(default=None, description="A published image, by digest")
    params: dict[str, Scalar] = {}
    weights: list[WeightsFile] = []
    gpu: bool = False
    limits: Limits = Limits()
    tried_with: Literal["real weights", "random weights", "stand-in", "no weights needed"] = Field(
        description="What the adapter was run with: the model's own weights, random ones of the same architecture, or "
        "a stand-in for a package that cannot be had"
    )

    @model_validator(mode="after")
    def _one_image(self) -> ContainerModel:
        if (self.folder is None) == (self.image is None):
            raise ValueError("expected either folder or image")
        if self.weights and self.tried_with == "no weights needed":
            raise ValueError('tried_with: "no weights needed" does not go with weights')
        return self

    @property
    def unpinned_weights(self) -> list[str]:
        """The names of weights that nobody has opened: which bytes are meant is not known."""
        return [one.name for one in self.weights if one.sha256 is None]


class PrecomputedOutput(SourceFile):
    """A model's output for one dataset, made elsewhere, with the ids of its rows in the file."""

    dataset: Id


class PrecomputedModel(Part):
    """Embeddings or predictions that somebody else computed."""

    kind: Literal["precomputed"]
    outputs: list[PrecomputedOutput] = Field(min_length=1)
    made_by: Sentence = Field(description="Who computed them, with what")

    @model_validator(mode="after")
    def _each_dataset_once(self) -> PrecomputedModel:
        named = [one.dataset for one in self.outputs]
        if len(set(named)) != len(named):
            raise ValueError("outputs: a dataset is named twice")
        return self

    def for_dataset(self, dataset: str) -> PrecomputedOutput | None:
        """Return the output for a dataset, if there is one."""
        return next((one for one in self.outputs if one.dataset == dataset), None)


class PlannedModel(Part):
    """A model that has a card before it can be run."""

    kind: Literal["planned"]
    reason: Sentence = Field(description="What is missing; shown wherever a score would stand")


class ReportedModel(Part):
    """A model that others ran: here are only the scores that they report."""

    kind: Literal["reported"]
    note: Sentence = Field(description="What the source says of how it was run")


Obtain = Annotated[
    FunctionModel | ContainerModel | PrecomputedModel | PlannedModel | ReportedModel, Field(discriminator="kind")
]
"""How outputs are obtained. A new kind is a new member here and a module in ``models``."""


class ModelInput(Part):
    """What the model must be given."""

    values: list[Literal["counts", "log-normalised", "scaled", "continuous"]] = Field(
        description="Any one of these; empty only where others ran it and do not say"
    )
    non_negative: bool = False
    taxa: list[int] | None = Field(default=None, description="NCBI taxa it can embed; null: any")
    features: list[Literal["gene symbols", "Ensembl genes"]] = Field(
        default=[], description="Names of genes that it knows; empty: any features"
    )
    genes: FileName | None = Field(
        default=None, description="A file beside the card with the genes it knows, one a line"
    )
    least_coverage: float | None = Field(
        default=None, gt=0, le=1, description="Share of the genes it knows that a dataset must have"
    )
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

    dataset: Id = Field(description="A dataset, or a family of them; what is said of a member itself comes first")
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
    repeats: Id | None = Field(
        default=None,
        description="The model that this one is once more, obtained in another way: neither ranked nor counted",
    )
    obtain: Obtain
    output: Literal["embedding", "prediction", "unknown"]
    fit: Literal["none", "dataset", "reference", "unknown"] = Field(
        description="none: nothing is fitted here; dataset: fitted on the evaluation data; reference: on another set"
    )
    pretrained: bool | None = Field(description="null only where others ran it and do not say")
    seeded: bool | None = Field(description="Whether another seed gives another output; null as above")
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

    @model_validator(mode="after")
    def _only_models_repeat(self) -> ModelCard:
        if self.repeats is not None and self.role != "model":
            raise ValueError(f"repeats: only a card with role: model may repeat another; this is a {self.role}")
        return self

    @model_validator(mode="after")
    def _known_where_it_is_run(self) -> ModelCard:
        if isinstance(self.obtain, ReportedModel):
            return self
        for key in ("output", "fit", "pretrained", "seeded"):
            if getattr(self, key) in ("unknown", None):
                raise ValueError(f"{key}: may be unknown only of a model that others ran (obtain: {{kind: reported}})")
        if not self.input.values:
            raise ValueError("input: values: at least one is needed to run the model")
        return self

    def judgement(self, dataset: DatasetCard) -> Leakage | None:
        """Return what the card says of a dataset: red before all else, then the dataset itself, then its family."""
        names = (dataset.id, dataset.family)
        found = [one for name in names for one in self.leakage if one.dataset == name]
        return next((one for one in found if one.leakage_class == "red"), next(iter(found), None))

    @property
    def files(self) -> list[SourceFile]:
        """What it fetches: weights, or outputs that were computed elsewhere."""
        if isinstance(self.obtain, ContainerModel):
            return list(self.obtain.weights)
        return list(self.obtain.outputs) if isinstance(self.obtain, PrecomputedModel) else []

    @property
    def is_fitted_elsewhere(self) -> bool:
        """Whether its axes mean the same whichever cells it is shown: it was trained, or fitted, on others."""
        return self.fit == "reference" or (self.pretrained is True and self.fit == "none")

    @property
    def counts_as(self) -> Literal["model", "baseline", "control", "repeat"]:
        """Its role; "repeat" where it is another model once more, which is counted already."""
        return "repeat" if self.repeats is not None else self.role

    @property
    def is_control(self) -> bool:
        """Whether the outcome is known beforehand, so that it is never ranked."""
        return self.role == "control"
