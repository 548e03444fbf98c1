"""Executing a plan: datasets are checked, then embedded, then scored; every outcome is recorded at once."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from cellgauge.results.schema import Pair
from cellgauge.runner.failures import lost
from cellgauge.runner.steps import Context, check_dataset, embed, score, write_empty
from cellgauge.runner.workers import Workers


@dataclass(frozen=True)
class Event:
    """One evaluation that ended."""

    pair: Pair
    status: str
    reason: str | None


@dataclass(frozen=True)
class _Job:
    """What a future stands for: a step, and the pairs that wait for it."""

    step: str
    dataset: str
    model: str
    pairs: tuple[Pair, ...]
    started: dt.datetime


def execute(context: Context, pairs: list[Pair], workers: Workers, on_event: Callable[[Event], None]) -> Counter[str]:
    """Compute ``pairs`` and write each result the moment it is known.

    A step that fails gives the evaluations that wait for it a typed empty with its reason; all others go on.

    Returns
    -------
    How many pairs ended with which status.
    """
    ended: Counter[str] = Counter()
    jobs: dict[Future[Any], _Job] = {}

    def submit(step: Callable[..., Any], arguments: tuple[Any, ...], pairs: tuple[Pair, ...]) -> None:
        job = _Job(step.__name__, pairs[0].dataset, pairs[0].model, pairs, dt.datetime.now(dt.UTC))
        jobs[workers.submit(step, context, *arguments)] = job

    def end(pair: Pair, status: str, reason: str | None = None) -> None:
        ended[status] += 1
        on_event(Event(pair, status, reason))

    for dataset in dict.fromkeys(pair.dataset for pair in pairs):
        submit(check_dataset, (dataset,), tuple(pair for pair in pairs if pair.dataset == dataset))

    for future in workers.as_completed():
        job = jobs.pop(future)
        try:
            answer = future.result()
        except Exception as error:
            failure = lost(error, workers.time_limit)
            for pair in job.pairs:
                write_empty(context, pair, failure, job.started)
                end(pair, failure.status, failure.reason)
            continue
        if job.step == check_dataset.__name__:
            for model in dict.fromkeys(pair.model for pair in job.pairs):
                waiting = tuple(pair for pair in job.pairs if pair.model == model)
                submit(embed, (job.dataset, model, _seeds(context, waiting)), waiting)
        elif job.step == embed.__name__:
            for pair in job.pairs:
                submit(score, (pair,), (pair,))
        else:
            end(job.pairs[0], answer)
    return ended


def _seeds(context: Context, pairs: tuple[Pair, ...]) -> tuple[int, ...]:
    """Return the seeds that the tasks of these pairs need, each once."""
    seeds = [seed for pair in pairs for seed in context.cards.tasks[pair.task].protocol.seeds]
    return tuple(dict.fromkeys(seeds))
