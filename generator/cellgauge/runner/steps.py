"""The steps that run in worker processes: check a dataset, embed it, evaluate the embeddings.

Each step looks first whether its outcome is there already, works under a lock on that outcome, writes
it atomically, and returns only a small acknowledgement. A step that is killed leaves no half-written
outcome behind, and the run that comes after it takes up where it stopped.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from cellgauge.cards.dataset import DatasetCard
from cellgauge.cards.function import load_function
from cellgauge.cards.model import ModelCard, PrecomputedModel
from cellgauge.cards.project import Cards, Project
from cellgauge.cards.task import Stress, TaskCard
from cellgauge.data.dataset import Dataset, load_dataset
from cellgauge.data.inventory import holding
from cellgauge.data.profile import count_dataset
from cellgauge.data.store import FileStore
from cellgauge.data.stress import why_not
from cellgauge.models.cache import Cost, EmbeddingCache, Entry, needs_each_seed
from cellgauge.results.profile import profile_is_current, write_profile
from cellgauge.results.release import Pair
from cellgauge.results.schema import GATES, Environment, Gate, Resources
from cellgauge.results.store import describe_replicates, encode_replicates, seal, write_result
from cellgauge.runner.calling import caller, read_precomputed, together
from cellgauge.runner.cost import measured
from cellgauge.runner.environment import environment
from cellgauge.runner.failures import StepError, explained, without_local_paths
from cellgauge.runner.gating import GateCache, run_gates
from cellgauge.runner.plan import SEED_OF_CHECKS, key_of_embedding, lock, stored_for
from cellgauge.runner.prediction_gating import run_prediction_gates
from cellgauge.runner.record import common_fields
from cellgauge.runner.scoring import scored
from cellgauge.runner.shown import shown_to
from cellgauge.tasks.contract import Cells, Prepare, UnscorableError
from cellgauge.tasks.evaluate import Evaluation, evaluate


@dataclass(frozen=True)
class Context:
    """What every step of a run needs to know. Small, since it travels with each job."""

    project: Project
    cards: Cards
    release: str
    again: bool
    cache: Path

    @property
    def folder(self) -> Path:
        """The release's folder."""
        return self.project.release(self.release)


@explained("loading the dataset")
def check_dataset(context: Context, dataset_id: str) -> int:
    """Obtain and check a dataset, write down what was counted in it, and return its number of cells."""
    card = context.cards.datasets[dataset_id]
    with measured() as meter:
        dataset = loaded_dataset(card, context)
    if not profile_is_current(context.folder, card):
        assert meter.cost is not None  # noqa: S101 (the block has ended)
        here = holding(card, context.project.source, FileStore(context.cache)).files.values()
        sizes = [path.stat().st_size for path in here if path is not None]
        profile = count_dataset(
            dataset,
            file_bytes=sum(sizes) if sizes and len(sizes) == len(here) else None,
            peak_memory_mb=meter.cost.peak_memory_mb,
            memory_method=meter.cost.memory_method,
        )
        write_profile(context.folder, profile)
    return dataset.n_cells


@explained("embedding")
def embed(
    context: Context, dataset_id: str, model_id: str, seeds: tuple[int, ...], stress: Stress | None = None
) -> int:
    """Make sure that a model's outputs for all ``seeds`` are in the cache; return how many had to be made.

    Parameters
    ----------
    stress
        The condition; None: the data as they are.
    """
    model, dataset = context.cards.models[model_id], context.cards.datasets[dataset_id]
    made = 0
    for seed in seeds if needs_each_seed(model, stress) else seeds[:1]:
        key = _embedding_key(context, model, dataset, seed, stress)
        with _embedding_lock(context, key):
            cache = EmbeddingCache(context.cache)
            if not context.again and cache.read(key) is not None:
                continue
            loaded = loaded_dataset(dataset, context)
            if isinstance(model.obtain, PrecomputedModel):
                found = read_precomputed(model, loaded, context.project, context.cache)
            else:
                shown = shown_to(model, loaded, seed, stress, partial(_named_dataset, context))
                with caller(model, loaded, context.project, context.cache) as call:
                    calls = [call(part, seed) for part in shown]
                found = together(model, loaded, shown, calls)
            cache.write(key, found.output, found.cost, found.environment, found.genes, found.log)
            made += 1
    return made


@explained("checking the model")
def check_model(context: Context, dataset_id: str, model_id: str) -> int:
    """Make sure that what the sanity gates find is in the cache; return how many the model failed."""
    model, dataset = context.cards.models[model_id], context.cards.datasets[dataset_id]
    key = _embedding_key(context, model, dataset, SEED_OF_CHECKS, None)
    with _embedding_lock(context, f"{key}-gates"):
        cache = GateCache(context.cache)
        found = None if context.again else cache.read(key)
        if found is None:
            loaded = loaded_dataset(dataset, context)
            shown = shown_to(model, loaded, SEED_OF_CHECKS, None, partial(_named_dataset, context))
            most = max(shown, key=lambda part: int(part.n_obs))
            gated = run_prediction_gates if model.output == "prediction" else run_gates
            with caller(model, loaded, context.project, context.cache) as call:
                found = gated(model, most, call, SEED_OF_CHECKS, loaded.digest)
            cache.write(key, found)
    return sum(one.outcome == "failed" for one in found)


def is_gated(model: ModelCard) -> bool:
    """Whether the sanity gates say something: controls are told the answer, and what is precomputed is not called."""
    return not model.is_control and not isinstance(model.obtain, PrecomputedModel)


@explained("scoring")
def score(context: Context, pair: Pair, vain: Mapping[tuple[str, float], str], ungated: str | None = None) -> str:
    """Evaluate one pair from cached embeddings and write its result; return "done" or "already done".

    Parameters
    ----------
    vain
        Kind and share of stress conditions under which the model gave no output → why.
    ungated
        Why the sanity gates came to no end; None when they did.
    """
    task, dataset = context.cards.tasks[pair.task], context.cards.datasets[pair.dataset]
    model = context.cards.models[pair.model]
    with _result_lock(context, pair):
        if not context.again and stored_for(context.folder, pair).state == "done":
            return "already done"
        started = dt.datetime.now(dt.UTC)
        outputs, entries = _read_embeddings(context, model, dataset, task.protocol.seeds, None)
        loaded = loaded_dataset(dataset, context)
        assert task.implementation is not None  # noqa: S101 (the plan keeps planned tasks out)
        prepare: Prepare = load_function(task.implementation, context.project.source / task.path)
        cells = Cells(loaded.columns, loaded)
        with measured() as meter:
            evaluation = evaluate(task, prepare, outputs, cells, loaded.digest)
            stressed: dict[str, Evaluation | str] = {}
            for stress in conditions(task, model):
                why = vain.get((stress.kind, stress.keep)) or why_not(stress, dataset.matrix.values)
                why = why and without_local_paths(why, context.project.source)
                if why is None and task.primary.key not in evaluation.keys:
                    why = evaluation.undefined[task.primary.key]
                if why is not None:
                    stressed[stress.id] = why
                    continue
                worse, _ = _read_embeddings(context, model, dataset, task.protocol.seeds, stress)
                stressed[stress.id] = _evaluate_stressed(task, prepare, worse, cells, loaded.digest)
        assert meter.cost is not None  # noqa: S101
        found = scored(context.cards.metrics, task, evaluation, stressed)
        replicates = encode_replicates(found.replicates)
        result = seal(
            {
                **common_fields(context.cards, context.release, pair, checked=True),
                "status": "done",
                "reason": None,
                "scores": found.scores,
                "undefined": found.undefined,
                "replicates": describe_replicates(
                    replicates, pair.model, found.replicates.shape, evaluation.stream, evaluation.method
                ),
                "details": evaluation.details,
                "gates": _gates(context, model, dataset, ungated),
                "environment": environment(),
                "embedding_environments": _distinct(entry.environment for entry in entries),
                "log": next((entry.log for entry in entries if entry.log), None),
                "resources": _resources(entries, meter.cost),
                "started_at": started,
                "finished_at": dt.datetime.now(dt.UTC),
            }
        )
        write_result(context.folder, result, replicates)
        return "done"


def _gates(context: Context, model: ModelCard, dataset: DatasetCard, ungated: str | None) -> list[Gate]:
    if not is_gated(model):
        return []
    found = GateCache(context.cache).read(_embedding_key(context, model, dataset, SEED_OF_CHECKS, None))
    if found is not None and ungated is None:
        return found
    why = without_local_paths(ungated or "nothing is known of them", context.project.source)
    return [Gate(name=name, outcome="not applicable", evidence=f"The checks did not end: {why}") for name in GATES]


def conditions(task: TaskCard, model: ModelCard) -> list[Stress]:
    """Return the stress conditions of a task that say something about a model.

    Controls do not look at the data, and a model whose outputs were made elsewhere cannot be shown others.
    """
    return [] if model.is_control or isinstance(model.obtain, PrecomputedModel) else task.stress


def _evaluate_stressed(
    task: TaskCard, prepare: Prepare, outputs: dict[int, NDArray[np.float32]], cells: Cells, content: str
) -> Evaluation | str:
    try:
        return evaluate(task, prepare, outputs, cells, content, wanted=[task.primary.key])
    except UnscorableError as error:
        return str(error)
    except Exception as error:  # the scores on the data as they are stand whatever happens here
        return f"failed: {type(error).__name__} while scoring: {error}"


def write_empty(context: Context, pair: Pair, failure: StepError, started: dt.datetime, *, checked: bool) -> str:
    """Record why an attempted evaluation has no scores; return its status.

    Scores that another run has written meanwhile are kept, and "already done" is returned.

    Parameters
    ----------
    checked
        Whether the dataset was found to be what its card says.
    """
    with _result_lock(context, pair):
        if not context.again and stored_for(context.folder, pair).state == "done":
            return "already done"
        result = seal(
            {
                **common_fields(context.cards, context.release, pair, checked=checked),
                "status": failure.status,
                "reason": without_local_paths(failure.reason, context.project.source),
                "log": failure.log and without_local_paths(failure.log, context.project.source),
                "scores": [],
                "replicates": None,
                "details": {},
                "environment": environment(),
                "resources": None,
                "started_at": started,
                "finished_at": dt.datetime.now(dt.UTC),
            }
        )
        write_result(context.folder, result, None)
        return failure.status


@lru_cache(maxsize=3)
def _loaded(card_json: str, source: Path, cache: Path) -> Dataset:
    return load_dataset(DatasetCard.model_validate_json(card_json), source, FileStore(cache))


def loaded_dataset(card: DatasetCard, context: Context) -> Dataset:
    """Load a dataset, or return the one this worker loaded last."""
    return _loaded(card.model_dump_json(), context.project.source, context.cache)


def _named_dataset(context: Context, dataset: str) -> Dataset:
    return loaded_dataset(context.cards.datasets[dataset], context)


def _embedding_key(context: Context, model: ModelCard, dataset: DatasetCard, seed: int, stress: Stress | None) -> str:
    return key_of_embedding(context.project, context.cards, model, dataset, seed, stress)


def _read_embeddings(
    context: Context, model: ModelCard, dataset: DatasetCard, seeds: list[int], stress: Stress | None
) -> tuple[dict[int, NDArray[np.float32]], list[Entry]]:
    """Return the output for each seed (one and the same array for a model without seeds) and their entries."""
    cache = EmbeddingCache(context.cache)
    by_key: dict[str, tuple[NDArray[np.float32], Entry]] = {}
    embeddings = {}
    for seed in seeds:
        key = _embedding_key(context, model, dataset, seed, stress)
        if key not in by_key:
            found = cache.read(key)
            if found is None:
                raise StepError("failed", "the embedding vanished from the cache while the run went on; run again")
            by_key[key] = found
        embeddings[seed] = by_key[key][0]
    return embeddings, [entry for _, entry in by_key.values()]


def _resources(entries: list[Entry], evaluating: Cost) -> Resources:
    costs = [entry.cost for entry in entries]
    peaks = [cost.peak_memory_mb for cost in [*costs, evaluating] if cost.peak_memory_mb is not None]
    return Resources(
        embedding_wall_s=round(sum(cost.wall_s for cost in costs), 4),
        n_embeddings=len(costs),
        evaluation_wall_s=evaluating.wall_s,
        cpu_s=round(sum(cost.cpu_s for cost in [*costs, evaluating]), 4),
        peak_memory_mb=max(peaks) if peaks else None,
        memory_method=evaluating.memory_method,
    )


def _distinct(environments: Iterable[Environment]) -> list[Environment]:
    kept: list[Environment] = []
    for one in environments:
        if one not in kept:
            kept.append(one)
    return kept


def _result_lock(context: Context, pair: Pair) -> FileLock:
    return lock(context.folder, f"{pair.task}+{pair.dataset}+{pair.model}")


def _embedding_lock(context: Context, key: str) -> FileLock:
    return lock(context.cache, key.removeprefix("sha256:"))
