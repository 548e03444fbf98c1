"""The matrix of a release, decided before any compute."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from filelock import FileLock
from pydantic import JsonValue

from cellgauge.cards.canonical import digest
from cellgauge.cards.dataset import DatasetCard
from cellgauge.cards.function import code_digest, file_digest
from cellgauge.cards.image import image_digest
from cellgauge.cards.model import (
    ContainerModel,
    FunctionModel,
    ModelCard,
    PlannedModel,
    PrecomputedModel,
    ReportedModel,
)
from cellgauge.cards.problems import UserError
from cellgauge.cards.project import Cards, Project
from cellgauge.cards.task import Stress, TaskCard
from cellgauge.models.cache import embedding_key
from cellgauge.results.manifest import refuse_frozen, refuse_reported
from cellgauge.results.protocol import register
from cellgauge.results.release import Pair, Plan, Release
from cellgauge.results.schema import Empty, Result
from cellgauge.results.store import (
    BrokenResult,
    read_plan,
    read_release,
    read_result,
    result_path,
    write_plan,
    write_release,
)
from cellgauge.stats.rule import RULE

_OF_THE_MACHINE = frozenset({"not_run", "needs_gpu", "weights_unavailable"})
"""What another machine, or this one by now, may have: daemon, image, package, GPU, weights. Tried in every run."""

SEED_OF_CHECKS = 42
"""The first seed of every protocol: sanity gates and maps are made with it."""

State = Literal["done", "empty", "outdated", "broken", "missing"]
"""What the store holds for a planned pair: scores, a reason, something older, something unreadable, nothing."""


@dataclass(frozen=True)
class Filters:
    """Which part of the matrix is meant; an empty list means all."""

    models: list[str] = field(default_factory=list)
    datasets: list[str] = field(default_factory=list)
    tasks: list[str] = field(default_factory=list)


def make_plan(project: Project, cards: Cards, release: str, filters: Filters) -> Plan:
    """Decide every pair that the filters select; keep earlier decisions on all others.

    Raises
    ------
    UserError
        For an id that no card has.
    """
    models = cards.select("models", filters.models)
    datasets = cards.select("datasets", filters.datasets)
    tasks = cards.select("tasks", filters.tasks)
    chosen = {(task, dataset, model) for task in tasks for dataset in datasets for model in models}
    folder = project.release(release)
    if (folder / "plan.json").is_file():
        chosen |= {
            (pair.task, pair.dataset, pair.model)
            for pair in read_plan(folder).pairs
            if pair.task in cards.tasks and pair.dataset in cards.datasets and pair.model in cards.models
        }
    codes = {one: model_code(project, cards.models[one]) for one in {model for _, _, model in chosen}}
    pairs = []
    for task_id, dataset_id, model_id in sorted(chosen):
        task, dataset, model = cards.tasks[task_id], cards.datasets[dataset_id], cards.models[model_id]
        verdict = decide(task, dataset, model)
        pairs.append(
            Pair(
                task=task_id,
                dataset=dataset_id,
                model=model_id,
                key=None if verdict else evaluation_key(project, cards, task, dataset, model, codes[model_id]),
                status=verdict[0] if verdict else "to_run",
                reason=verdict[1] if verdict else None,
            )
        )
    return Plan.of(release, pairs)


def save_plan(project: Project, cards: Cards, release: str, filters: Filters, *, rehearsal: bool) -> Plan:
    """Make a plan and write ``plan.json`` and ``release.yaml``; files that would not change are left alone.

    Under a lock, so that two runs with different filters keep each other's pairs.
    """
    refuse_frozen(project, release)
    refuse_reported(project, release)
    folder = project.release(release)
    with lock(folder, "plan"):
        plan = make_plan(project, cards, release, filters)
        now = register(folder, protocol_fields(cards), dt.datetime.now(dt.UTC))
        about = read_release(folder) if (folder / "release.yaml").is_file() else None
        if about is None or about.protocol != now.digest:
            about = Release(
                release=release,
                title=about.title if about else f"Release {release}",
                kind="measured",
                rehearsal=about.rehearsal if about else rehearsal,
                protocol=now.digest,
                protocol_date=now.at.date(),
            )
            write_release(folder, about)
        write_plan(folder, plan)
    return plan


def lock(folder: Path, name: str) -> FileLock:
    """Return a lock on something in a release's folder. The system releases it when its holder dies.

    It lies with what it guards, so that it holds also between users and machines that share the folder.
    """
    locks = folder / ".locks"
    locks.mkdir(parents=True, exist_ok=True)
    return FileLock(locks / f"{name}.lock")


def protocol_fields(cards: Cards) -> dict[str, JsonValue]:
    """Return all that decides a score or what is said of it: of tasks, of metrics, and how models are ranked."""
    return {
        "tasks": {task.id: task.protocol_fields() for task in cards.tasks.values()},
        "metrics": {metric.id: metric.compute_fields() for metric in cards.metrics.values()},
        "rule": {**RULE},
    }


def evaluation_key(
    project: Project, cards: Cards, task: TaskCard, dataset: DatasetCard, model: ModelCard, code: list[str]
) -> str:
    """Return the digest of all that a result follows from: what has this key is done.

    Parameters
    ----------
    code
        What ``model_code`` gives for the model.
    """
    parts = dataset.joins if model.is_fitted_elsewhere else []
    return digest(
        {
            "task": task.compute_fields(),
            "metrics": [cards.metrics[one].compute_fields() for one in sorted({ref.metric for ref in task.scores})],
            "dataset": dataset.compute_fields(),
            "model": model.compute_fields(),
            # A model that was trained elsewhere is shown the datasets that this one joins.
            "parts": [cards.datasets[one].compute_fields() for one in parts],
            "code": [code_digest(task.implementation, project.source / task.path)] if task.implementation else [],
            "model_code": code,
        }
    )


def key_of_embedding(
    project: Project, cards: Cards, model: ModelCard, dataset: DatasetCard, seed: int, stress: Stress | None = None
) -> str:
    """Return the digest of all that a model's output on a dataset is made from."""
    parts = [cards.datasets[one] for one in dataset.joins] if model.is_fitted_elsewhere else []
    return embedding_key(model, dataset, seed, model_code(project, model), stress, parts)


def decide(task: TaskCard, dataset: DatasetCard, model: ModelCard) -> tuple[Empty, str] | None:
    """Return why a pair will not run, or ``None`` when it will."""
    if not dataset.pinned:
        return "not_run", "Nobody has opened these data with cellgauge yet: their card names no digest"
    if dataset.joins and "species" not in task.requires:
        return "not_applicable", f"{dataset.name} joins species; {task.name} is asked of each of them by itself"
    values, features = dataset.matrix.values, dataset.matrix.features
    absent = [role for role in task.requires if role not in dataset.columns]
    if absent:
        return "not_applicable", f"{task.name} needs a {_and(absent)} column and {dataset.name} has none"
    if "label" in task.requires and (of := dataset.label_of) != (wanted := _labels_of(task)):
        return "not_applicable", f"{task.name} needs labels of {wanted}s; those of {dataset.name} are of {of}s"
    if model.output != task.input:
        return "not_applicable", f"{task.name} needs {_a(task.input)} and {model.name} delivers {_a(model.output)}"
    if model.is_control and model.id not in task.controls:
        return "not_applicable", f"{model.name} says nothing about {task.name}: its controls are {_and(task.controls)}"
    withheld = [role for role in model.input.given if role not in dataset.columns]
    if withheld:
        return "not_applicable", f"{model.name} must be given a {_and(withheld)} column and {dataset.name} has none"
    if values not in model.input.values:
        takes = " or ".join(model.input.values)
        return "not_applicable", f"{model.name} takes {takes}; the values of {dataset.name} are {values}"
    if model.input.features and features not in model.input.features:
        knows = " or ".join(model.input.features)
        return "not_applicable", f"{model.name} knows {knows}; {dataset.name} has {features}"
    if model.input.non_negative and values in ("scaled", "continuous"):
        return "not_applicable", f"{model.name} takes no negative values; {dataset.name} has {values} ones"
    taxa = model.input.taxa
    foreign = [organism.name for organism in dataset.organisms if taxa is not None and organism.taxon not in taxa]
    if foreign:
        return "not_applicable", f"{model.name} cannot embed {_and(foreign)}"
    judged = model.judgement(dataset)
    if judged is not None and judged.leakage_class == "red":
        return "declined_leakage", f"{model.name} was trained on the labels of {dataset.name}"
    if task.implementation is None:
        return "not_run", f"{task.name} is planned: its protocol is published and cannot be run yet"
    return _not_at_hand(model, dataset)


def _not_at_hand(model: ModelCard, dataset: DatasetCard) -> tuple[Empty, str] | None:
    """Say why a model's output cannot be had anywhere."""
    if isinstance(model.obtain, PlannedModel):
        return "not_run", model.obtain.reason
    if isinstance(model.obtain, ReportedModel):
        return "not_run", f"{model.name} was run by others, and cannot be obtained here"
    if isinstance(model.obtain, ContainerModel) and (files := model.obtain.unpinned_weights):
        said = f"nobody has opened {_and(files)} with cellgauge yet, and the card names no digest"
        return "weights_unavailable", f"The weights of {model.name}: {said}"
    if isinstance(model.obtain, PrecomputedModel):
        output = model.obtain.for_dataset(dataset.id)
        if output is None:
            return "not_run", f"Nobody has sent the output of {model.name} for {dataset.name}"
        if output.sha256 is None:
            return "not_run", f"The card of {model.name} names no sha256 for its output on {dataset.name}"
    return None


@dataclass(frozen=True)
class Stored:
    """What the store holds for a planned pair."""

    state: State
    result: Result | None = None
    """The result, where it is that of the pair as it is planned now: with scores, or an empty."""
    fault: str | None = None
    """Why what is there cannot be used."""

    @property
    def why(self) -> str | None:
        """Why there are no scores; None when there are, or when nothing is known."""
        if self.result is None or self.state == "done":
            return self.fault
        return f"{self.result.status}: {self.result.reason}"


def stored_for(folder: Path, pair: Pair) -> Stored:
    """Return what the store holds for a pair."""
    path = result_path(folder, pair.task, pair.dataset, pair.model)
    if not path.is_file():
        return Stored("missing")
    try:
        result = read_result(path)
    except BrokenResult as error:
        return Stored("broken", fault=str(error))
    if result.key != pair.key:
        return Stored("outdated", fault="a card or the data changed since")
    if result.status != "done":
        return Stored("empty", result)
    replicates = path.with_name(result.replicates.file) if result.replicates else None
    if replicates is None or not replicates.is_file():
        return Stored("broken", fault=f"{replicates}: is missing")
    return Stored("done", result)


def model_code(project: Project, model: ModelCard) -> list[str]:
    """Return digests of the files beside a model's card that decide its output: its code, its list of genes."""
    card_path = project.source / model.path
    files = []
    if isinstance(model.obtain, FunctionModel):
        files.append(code_digest(model.obtain.function, card_path))
    elif isinstance(model.obtain, ContainerModel) and model.obtain.folder is not None:
        files.append(image_digest(project.generator, model.obtain.folder))
    if model.input.genes is not None:
        files.append(file_digest(card_path.with_name(model.input.genes)))
    return [one for one in files if one]


def select(plan: Plan, filters: Filters) -> list[Pair]:
    """Return the pairs that the filters select.

    Raises
    ------
    UserError
        When they select none.
    """
    selected = [
        pair
        for pair in plan.pairs
        if (not filters.models or pair.model in filters.models)
        and (not filters.datasets or pair.dataset in filters.datasets)
        and (not filters.tasks or pair.task in filters.tasks)
    ]
    if not selected:
        raise UserError(f"release {plan.release}: the filters select nothing")
    return selected


def pairs_to_run(
    folder: Path, plan: Plan, filters: Filters, *, again: bool = False, retry: Collection[str] = ()
) -> list[Pair]:
    """Return the selected pairs that have to be computed.

    Parameters
    ----------
    again
        Also those that are done.
    retry
        Statuses of empties to try again, such as ``timeout``.

    Raises
    ------
    UserError
        When two filters exclude each other, so that nothing is selected.
    """
    chosen = []
    for pair in select(plan, filters):
        if pair.status != "to_run":
            continue
        stored = stored_for(folder, pair)
        retried = stored.result is not None and not _ended_with(stored.result).isdisjoint(retry)
        here_now = stored.result is not None and stored.result.status in _OF_THE_MACHINE
        if again or retried or here_now or stored.state in ("missing", "outdated", "broken"):
            chosen.append(pair)
    return chosen


def _labels_of(task: TaskCard) -> str:
    return "sample" if task.unit == "sample" else "cell"


def _ended_with(result: Result) -> set[str]:
    """Return how an evaluation ended: its status, and those of stress conditions under which there are no scores."""
    return {result.status, *(one.reason.partition(":")[0] for one in result.undefined if one.condition)}


def _a(word: str) -> str:
    return f"an {word}" if word[0] in "aeiou" else f"a {word}"


def _and(words: Collection[str]) -> str:
    return " and ".join(words)
