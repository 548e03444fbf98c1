"""Executing a plan: datasets are checked, then embedded, then scored; every outcome is recorded at once."""

from __future__ import annotations

import datetime as dt
from collections import Counter, deque
from collections.abc import Callable, Collection
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any

from cellgauge.cards.task import Stress
from cellgauge.data.stress import why_not
from cellgauge.results.release import Pair
from cellgauge.runner.calling import remove_abandoned_containers
from cellgauge.runner.failures import StepError, lost
from cellgauge.runner.mapping import draw_map, fail_map
from cellgauge.runner.maps import Place
from cellgauge.runner.steps import (
    Context,
    check_dataset,
    check_model,
    conditions,
    embed,
    is_gated,
    score,
    write_empty,
)
from cellgauge.runner.workers import Workers


@dataclass(frozen=True)
class Event:
    """What ended together: one evaluation that was scored, all that waited for a step that failed, or a map."""

    pairs: tuple[Pair, ...]
    """Empty for a map, and when a dataset was only to be counted."""
    dataset: str
    status: str
    reason: str | None
    map_of: str | None = None
    """The model whose map ended."""
    maps: int = 0
    """How many maps ended, those that wait for an embedding in vain included."""


@dataclass(frozen=True)
class _Job:
    """One call of a step, and the pairs that wait for it."""

    step: Callable[..., Any]
    arguments: tuple[Any, ...]
    pairs: tuple[Pair, ...]
    seeds: tuple[int, ...] = ()
    """Of an embedding, and of the gates that come after it."""
    then: tuple[Stress, ...] = ()
    """Of an embedding: conditions under which the model is called next."""
    lost: tuple[tuple[Stress, str], ...] = ()
    """Of an embedding: conditions under which it was called in vain, and why."""
    ungated: str | None = None
    """Why the sanity gates came to no end."""
    queued: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC))

    @property
    def is_extra(self) -> bool:
        """Whether the pairs can be scored also without it: an embedding of worse data, or the sanity gates."""
        return self.step is check_model or (self.step is embed and self.arguments[-1] is not None)

    @property
    def dataset(self) -> str:
        """Every job is about one dataset."""
        return self.pairs[0].dataset if self.pairs else str(self.arguments[0])


def execute(
    context: Context,
    pairs: list[Pair],
    workers: Workers,
    on_event: Callable[[Event], None],
    *,
    to_count: Collection[str] = (),
    maps: Collection[Place] = (),
) -> Counter[str]:
    """Compute ``pairs`` and write each result the moment it is known.

    A step that fails gives the evaluations that wait for it a typed empty with its reason; all others go on.
    Scores are computed before further embeddings are made, so that a run that is stopped has kept most.

    Parameters
    ----------
    to_count
        Datasets that are to be loaded and counted even where no pair waits for them.
    maps
        What is to be drawn: after the evaluations of the same embedding are handed out, and never at their cost.

    Returns
    -------
    How many pairs ended with which status; ``dataset not counted`` for datasets without pairs, ``map`` for maps that
    were drawn and ``map not drawn`` for others.
    """
    ended: Counter[str] = Counter()
    running: dict[Future[Any], _Job] = {}
    waiting: deque[_Job] = deque()
    chained = {(pair.dataset, pair.model) for pair in pairs} & set(maps)
    """Maps that wait for evaluations of their embedding."""

    def give_up(job: _Job, failure: StepError) -> None:
        checked = job.step is not check_dataset
        for pair in job.pairs:
            ended[write_empty(context, pair, failure, job.queued, checked=checked)] += 1
        if not job.pairs:
            ended["dataset not counted"] += 1
        unmade = set() if job.step is score else chained & {(pair.dataset, pair.model) for pair in job.pairs}
        on_event(Event(job.pairs, job.dataset, failure.status, failure.reason, maps=len(unmade)))

    def end_map(job: _Job, status: str, reason: str | None) -> None:
        ended["map" if reason is None else "map not drawn"] += 1
        on_event(Event((), job.dataset, status, reason, map_of=job.arguments[1], maps=1))

    for dataset in dict.fromkeys([*(pair.dataset for pair in pairs), *to_count]):
        waiting.append(_Job(check_dataset, (dataset,), tuple(pair for pair in pairs if pair.dataset == dataset)))
    waiting.extend(_Job(draw_map, place, ()) for place in maps if place not in chained)

    def hand_out() -> None:
        while waiting and len(running) < workers.capacity:
            job = waiting.popleft()
            running[workers.submit(job.step, context, *job.arguments)] = job

    hand_out()
    for future in workers.as_completed():
        job = running.pop(future)
        try:
            answer = future.result()
        except (Exception, SystemExit) as error:
            failure = lost(error, workers.time_limit)
            if not isinstance(error, StepError):
                remove_abandoned_containers(context.cards.models[pair.model] for pair in job.pairs)
            if job.step is draw_map:
                end_map(job, fail_map(context, job.arguments, failure), failure.reason)
            elif job.is_extra:
                waiting.extendleft(reversed(_after_embedding(context, _in_vain(job, failure), chained)))
            elif not isinstance(error, StepError) and (plain := _without_worse_data(context, job, failure)):
                waiting.appendleft(plain)
            else:
                give_up(job, failure)
        else:
            if job.step is score:
                ended[answer] += 1
                on_event(Event(job.pairs, job.dataset, answer, None))
            elif job.step is draw_map:
                end_map(job, answer, None)
            elif job.step in (embed, check_model):
                waiting.extendleft(reversed(_after_embedding(context, job, chained)))
            else:
                waiting.extend(_embeddings(context, job))
        hand_out()
    return ended


def _embeddings(context: Context, checked: _Job) -> list[_Job]:
    """Return a job for each model that waits for a dataset, with the seeds and conditions that its tasks need."""
    jobs = []
    for model in dict.fromkeys(pair.model for pair in checked.pairs):
        pairs = tuple(pair for pair in checked.pairs if pair.model == model)
        tasks = [context.cards.tasks[pair.task] for pair in pairs]
        seeds = tuple(dict.fromkeys(seed for task in tasks for seed in task.protocol.seeds))
        values = context.cards.datasets[pairs[0].dataset].matrix.values
        worse = {
            (stress.kind, stress.keep): stress
            for task in tasks
            for stress in conditions(task, context.cards.models[model])
            if why_not(stress, values) is None
        }
        arguments = (pairs[0].dataset, model, seeds, None)
        jobs.append(_Job(embed, arguments, pairs, seeds=seeds, then=tuple(worse.values())))
    return jobs


def _in_vain(job: _Job, failure: StepError) -> _Job:
    """Note why something that is not needed for the scores was not to be had."""
    why = f"{failure.status}: {failure.reason}"
    if job.step is check_model:
        return replace(job, ungated=why)
    return replace(job, lost=(*job.lost, (job.arguments[-1], why)))


def _after_embedding(context: Context, job: _Job, maps: Collection[Place]) -> list[_Job]:
    """Return the gates, then the embedding under the next condition, then the evaluations once there is none left.

    The map comes last, as a job of its own.
    """
    dataset, model, seeds = (*job.arguments[:2], job.seeds)
    first = job.step is embed and job.arguments[-1] is None
    if first and is_gated(context.cards.models[model]):
        return [replace(job, step=check_model, arguments=(dataset, model))]
    if job.then:
        return [replace(job, step=embed, arguments=(dataset, model, seeds, job.then[0]), then=job.then[1:])]
    vain = {(stress.kind, stress.keep): why for stress, why in job.lost}
    scores = [_Job(score, (pair, vain, job.ungated), (pair,)) for pair in job.pairs]
    return [*scores, *(_Job(draw_map, place, ()) for place in maps if place == (dataset, model))]


def _without_worse_data(context: Context, job: _Job, failure: StepError) -> _Job | None:
    """Return the evaluation whose worker was lost, on the data as they are alone; None if that was all it did."""
    if job.step is not score:
        return None
    pair, vain, ungated = job.arguments
    values = context.cards.datasets[pair.dataset].matrix.values
    why = f"{failure.status}: {failure.reason}, so that the data as they are were scored alone"
    more = {
        (stress.kind, stress.keep): why
        for stress in conditions(context.cards.tasks[pair.task], context.cards.models[pair.model])
        if (stress.kind, stress.keep) not in vain and why_not(stress, values) is None
    }
    return replace(job, arguments=(pair, {**vain, **more}, ungated)) if more else None
