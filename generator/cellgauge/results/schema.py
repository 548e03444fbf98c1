"""The result file, key by key.

One file, ``results/<release>/<task>/<dataset>/<model>.json``, records one attempted evaluation:
the scores when there are some, and the reason when there are none. Its replicates lie beside it
in ``<model>.npy`` (rows = scores in the order of ``scores``, columns = replicates, float32).
Both are written by the runner and read by the report; they share nothing else.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    JsonValue,
    ValidationInfo,
    model_validator,
)

from cellgauge.cards.base import Digest, Id, Scalar, Url
from cellgauge.cards.canonical import digest

SCHEMA_VERSION = 4

Empty = Literal[
    "not_run",
    "not_applicable",
    "failed",
    "timeout",
    "out_of_memory",
    "weights_unavailable",
    "declined_leakage",
    "withdrawn",
    "metric_undefined",
    "needs_gpu",
    "invalid_input",
    "invalid_output",
    "not_reported",
]
"""Why an evaluation has no scores. Nothing is imputed, and no failure is stored as 0."""

Status = Literal["done"] | Empty

EXPLANATION: dict[str, str] = {
    "done": "Evaluated; it has scores.",
    "not_run": "Nobody has run this yet.",
    "not_applicable": "This task, this dataset and this model do not go together.",
    "failed": "The model or the evaluation stopped with an error.",
    "timeout": "Stopped because it took longer than its time limit.",
    "out_of_memory": "Stopped because it needed more memory than it was allowed.",
    "weights_unavailable": "The model's weights could not be obtained.",
    "declined_leakage": "Not evaluated, because the model was trained on this very task's test data.",
    "withdrawn": "Was published and then taken back.",
    "metric_undefined": "The metric has no value on these data.",
    "needs_gpu": "The model needs a GPU and the machine had none.",
    "invalid_input": "The dataset does not hold what the task needs.",
    "invalid_output": "The model's output broke the rules and was refused.",
    "not_reported": "The source of these reported results gives no score for it.",
}
"""What each status means, in a sentence a reader can be shown."""


def _utc(moment: dt.datetime) -> dt.datetime:
    if moment.utcoffset() != dt.timedelta(0):
        raise ValueError("expected a time in UTC")
    return moment


UtcTime = Annotated[dt.datetime, AfterValidator(_utc)]


class Record(BaseModel):
    """A piece of a result file. Unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Subject(Record):
    """A card as it was when it was used."""

    id: Id
    version: int = Field(ge=1, description="The card's version; for a task, its protocol's")
    digest: Digest = Field(description="Of the card's fields that decide a score")


class DatasetSubject(Subject):
    """A dataset as it was when it was used."""

    content: Digest | None = Field(
        description="Of the cells themselves, as pinned and as verified on loading; null: they could not be verified"
    )


class LeakageJudgement(Record):
    """Whether the model had seen the dataset before."""

    leakage_class: Literal["green", "yellow", "red", "gray"] | None = Field(
        alias="class", description="null for a control, to which the question does not apply"
    )
    evidence: str = Field(min_length=1)
    split: str | None = None


class Interval(Record):
    """A confidence interval for a score."""

    low: FiniteFloat
    high: FiniteFloat
    level: float = Field(gt=0, lt=1)
    method: str = Field(min_length=1, description="How it was made, in words that go onto the page")
    n_groups: int | None = Field(
        default=None, ge=2, description="Of a jackknife, how many groups were left out in turn"
    )

    @model_validator(mode="after")
    def _ordered(self) -> Interval:
        if self.low > self.high:
            raise ValueError(f"low ({self.low}) is above high ({self.high})")
        return self


def score_key(metric: str, view: str | None = None, condition: str | None = None) -> str:
    """Return ``metric``, ``metric@view``, ``metric~condition`` or ``metric@view~condition``."""
    return metric + (f"@{view}" if view else "") + (f"~{condition}" if condition else "")


def parts_of(key: str) -> tuple[str, str | None, str | None]:
    """Return the metric, the view and the condition that a score's key is made of."""
    scored, _, condition = key.partition("~")
    metric, _, view = scored.partition("@")
    return metric, view or None, condition or None


class Named(Record):
    """Which score is meant."""

    metric: Id
    view: Id | None = Field(default=None, description="For example the classifier, where a task has several")
    condition: Id | None = Field(default=None, description="The stress condition; null: the data as they are")

    @property
    def key(self) -> str:
        """``metric``, with ``@view`` and ``~condition`` where it has them."""
        return score_key(self.metric, self.view, self.condition)


class Undefined(Named):
    """A score without a value on these data. Nothing is imputed."""

    reason: str = Field(min_length=1)


class Score(Named):
    """One metric's value with its uncertainty. The value is the mean over ``by_seed``."""

    version: int = Field(ge=1, description="The metric card's version")
    direction: Literal["higher", "lower"]
    value: FiniteFloat
    by_seed: list[FiniteFloat] = Field(min_length=1, description="One value per entry of the result's seeds")
    interval: Interval | None = Field(description="null where there are too few units for one")
    why_no_interval: str | None = Field(default=None, description="Where there is none")
    n_units: int | None = Field(
        ge=1, description="How many units were scored; null: reported, and the source does not say"
    )
    unit: str = Field(description="What a unit is: cell, perturbation, sample, time point")


class Replicates(Record):
    """The file of replicates beside the result."""

    file: str = Field(pattern=r"^[a-z0-9-]+\.npy$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    n_scores: int = Field(ge=1)
    n_replicates: int = Field(ge=1)
    method: Literal["bootstrap", "jackknife"] = Field(
        description="Resamples with one seed each, or each group left out with every seed (groups first)"
    )
    stream: Digest = Field(description="Results with the same stream drew the same resamples and may be paired")


class Environment(Record):
    """What it ran on. Recorded, never part of the key."""

    python: str
    cellgauge: str
    packages: dict[str, str]
    platform: str
    cpu: str
    gpu: str | None = None
    image: str | None = Field(default=None, description="Name of the container image that it ran in")
    image_id: Digest | None = Field(default=None, description="Of the image's configuration, wherever it was built")
    image_digest: Digest | None = Field(default=None, description="Under which a registry knows it; null: never pushed")


class Resources(Record):
    """What it cost: obtaining the outputs and evaluating them, apart.

    A cached embedding reports what making it had cost.
    """

    embedding_wall_s: FiniteFloat | None = Field(default=None, ge=0, description="All embeddings together")
    n_embeddings: int | None = Field(default=None, ge=1, description="How many were made: one a seed, or one for all")
    evaluation_wall_s: FiniteFloat | None = Field(default=None, ge=0)
    cpu_s: FiniteFloat | None = Field(default=None, ge=0, description="Both together")
    peak_memory_mb: FiniteFloat | None = Field(default=None, ge=0, description="MiB, the larger of the two steps")
    memory_method: str | None = None
    gpu_memory_mb: FiniteFloat | None = Field(default=None, ge=0)


GateName = Literal["order", "batch-size", "determinism", "coverage", "not-a-control"]

GATES: tuple[GateName, ...] = get_args(GateName)


class Gate(Record):
    """One sanity check of a model on a few cells of the dataset."""

    name: GateName
    outcome: Literal["passed", "failed", "not applicable"]
    evidence: str = Field(description="What was seen, in a sentence")
    measured: dict[str, FiniteFloat] = {}


class Origin(Record):
    """Who published results that were not measured here, and under which terms."""

    source: str = Field(min_length=1, description="Who measured and published them")
    version: str | None = Field(description="Of what was published; null: not known")
    url: Url | None = Field(description="Where the source is found")
    licence: str | None = Field(description="Of the published results; null: not known")
    published: dt.date | None = Field(description="When they were published; null: the source does not say")
    caveats: list[str] = Field(description="What has to be known to read them, a sentence each")


class Reported(Origin):
    """That a result was measured by others, and how they name it."""

    tool: str | None = Field(description="What they computed it with, and its version; null: not known")
    place: str = Field(min_length=1, description="Where it stands in the source's files")
    keys: dict[str, JsonValue] = Field(description="The source's own names of model, dataset, task and metrics")


class Result(Record):
    """One attempted evaluation: one model × dataset × task."""

    schema_version: Literal[4] = 4
    key: Digest = Field(description="Of the inputs; decides whether this is already done")
    result_id: Digest = Field(description="Of scores and provenance, without times, resources and host")
    release: str = Field(pattern=r"^[a-z0-9]+([.-][a-z0-9]+)*$")
    protocol: Digest | None = Field(
        description="Of the release's protocol when this was computed; null: it was computed before they were recorded"
    )
    status: Status
    reason: str | None = Field(description="Why there are no scores; null when there are")
    task: Subject
    dataset: DatasetSubject
    model: Subject
    leakage: LeakageJudgement
    seeds: list[int]
    scores: list[Score]
    undefined: list[Undefined] = Field(default=[], description="Scores of the task that have no value here, and why")
    replicates: Replicates | None
    details: dict[str, JsonValue] = Field(description="What the task reports beside its scores, e.g. dropped classes")
    gates: list[Gate] = Field(default=[], description="Sanity gates; empty: none was run, as for controls")
    params: dict[str, Scalar] = Field(description="Parameters of the protocol as they were used")
    environment: Environment | None = Field(description="Of the evaluation; null when nothing was computed")
    embedding_environments: list[Environment] = Field(
        default=[], description="What the embeddings were made with: they may have been in the cache already"
    )
    resources: Resources | None
    log: str | None = Field(default=None, description="The end of the log of a failure, or of a container")
    started_at: UtcTime | None
    finished_at: UtcTime | None = Field(description="null: reported, and the source does not say when")
    reported: Reported | None = Field(default=None, description="Who measured it, if others did; null: measured here")

    @model_validator(mode="after")
    def _measured_or_reported(self) -> Result:
        if self.reported is None:
            if self.finished_at is None:
                raise ValueError("a result that was measured here says when it was finished")
            if unsized := next((score.key for score in self.scores if score.n_units is None), None):
                raise ValueError(f"{unsized}: a score that was measured here says how many units were scored")
            return self
        if self.protocol or self.environment or self.embedding_environments or self.gates or self.seeds:
            raise ValueError("a reported result has no protocol, environment, gates or seeds of ours")
        for score in self.scores:
            if score.interval is not None or not score.why_no_interval or score.by_seed != [score.value]:
                raise ValueError(f"{score.key}: a reported score is one value without an interval, and says why")
        return self

    @model_validator(mode="after")
    def _scores_or_reason(self, info: ValidationInfo) -> Result:
        if self.status == "done" and self.reported is not None:
            if not self.scores or self.replicates is not None or self.reason is not None:
                raise ValueError("a reported result that is done has scores, and neither replicates nor a reason")
        elif self.status == "done":
            if not self.scores or self.replicates is None or self.reason is not None:
                raise ValueError("a result that is done has scores and replicates, and no reason")
            if self.replicates.file != f"{self.model.id}.npy":
                raise ValueError(f"the replicates are in {self.replicates.file}, expected {self.model.id}.npy")
            if self.replicates.n_scores != len(self.scores):
                raise ValueError(f"{len(self.scores)} scores, but {self.replicates.n_scores} rows of replicates")
            for score in self.scores:
                if len(score.by_seed) != len(self.seeds):
                    raise ValueError(f"{score.key}: {len(score.by_seed)} values for {len(self.seeds)} seeds")
        elif self.scores or self.replicates is not None or not self.reason:
            raise ValueError(f"a result that is {self.status} has a reason, and neither scores nor replicates")
        if info.context != SEALING:
            check_id(self.model_dump(mode="json", by_alias=True))
        return self

    def score(self, key: str) -> Score | None:
        """Return the score with a key such as ``metric@view``, if it has a value."""
        return next((score for score in self.scores if score.key == key), None)

    def why_undefined(self, key: str) -> str | None:
        """Return why a score has no value, where that is known."""
        return next((one.reason for one in self.undefined if one.key == key), None)


SEALING = "sealing"
"""The validation context in which a result may still have any ``result_id``."""

NOT_IN_ID = ("result_id", "resources", "log", "started_at", "finished_at")
_HOST = ("platform", "cpu", "gpu")


def result_id(values: dict[str, Any]) -> str:
    """Return the digest of what a result says, whenever and wherever it was computed.

    Parameters
    ----------
    values
        The result as JSON values; times, resources, log and host do not count.
    """
    kept = {key: value for key, value in values.items() if key not in NOT_IN_ID}
    if kept.get("environment"):
        kept["environment"] = _without_host(kept["environment"])
    kept["embedding_environments"] = [_without_host(one) for one in kept.get("embedding_environments", [])]
    return digest(kept)


def check_id(values: dict[str, Any]) -> None:
    """Raise ``ValueError`` where a result does not have the id of its contents.

    Parameters
    ----------
    values
        The result as JSON values, in the version that it was written in.
    """
    if values.get("result_id") != (expected := result_id(values)):
        raise ValueError(f"result_id is {values.get('result_id')}, but the contents give {expected}")


def _without_host(environment: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in environment.items() if key not in _HOST}
