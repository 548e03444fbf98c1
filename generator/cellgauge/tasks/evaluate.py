"""One evaluation: point values for every seed, and replicates for the intervals."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from cellgauge.cards.task import Protocol, TaskCard
from cellgauge.stats.resampling import draw_seeds, generator, stratified_counts
from cellgauge.tasks.contract import Columns, Fit, Prepare

_NUMBERS_AT_ONCE = 2**24
"""How many weights, or numbers computed from them, are held at a time."""


@dataclass(frozen=True)
class Evaluation:
    """What a task gave for one model on one dataset."""

    by_seed: NDArray[np.float64]
    """(n_scores × n_seeds) point values."""
    replicates: NDArray[np.float32]
    """(n_scores × n_replicates); each replicate drew one of the seeds."""
    n_units: int
    within: str
    """What resamples were drawn within."""
    details: dict[str, JsonValue]
    stream: str
    """Digest of all resamples that were drawn: results that share it may be paired."""


def evaluate(
    task: TaskCard,
    prepare: Prepare,
    embeddings: Mapping[int, NDArray[np.float32]],
    columns: Columns,
    dataset_content: str,
) -> Evaluation:
    """Score a model's embeddings on one dataset.

    Replicates are centred on the point value of their seed. A resample holds fewer distinct cells than
    the data, which shifts entropies (and so NMI) whatever the model; the shift says nothing about how
    much a score varies, and an interval that misses its own point would be read as if it did.

    Parameters
    ----------
    embeddings
        Seed → (n_cells × n_dimensions). Where a model takes no seed all are the same object,
        and what does not depend on the seed is done once.
    dataset_content
        Digest of the cells: same cells, same task, same resamples, whatever the model.

    Raises
    ------
    UnscorableError
        When the task has no meaning on these data.
    """
    protocol = task.protocol
    keys = [ref.key for ref in task.scores]
    fits = list(_fits(prepare, protocol, embeddings, columns))
    by_seed = np.array([_rows(fit, keys, np.ones((1, len(fit.strata)), dtype=np.float32))[:, 0] for fit in fits]).T
    seed_of = draw_seeds(len(fits), protocol.replicates, generator(dataset_content, task.id, "seeds"))
    drawn = hashlib.sha256(seed_of.tobytes())
    replicates = np.empty((len(keys), protocol.replicates), dtype=np.float32)
    for position, (seed, fit) in enumerate(zip(protocol.seeds, fits, strict=True)):
        mine = np.flatnonzero(seed_of == position)
        rng = generator(dataset_content, task.id, "cells", seed)
        at_once = max(1, _NUMBERS_AT_ONCE // max(len(fit.strata), fit.width))
        for start in range(0, len(mine), at_once):
            chunk = mine[start : start + at_once]
            counts = stratified_counts(fit.strata, len(chunk), rng)
            drawn.update(counts.astype(np.uint16).tobytes())
            replicates[:, chunk] = _rows(fit, keys, counts)
        replicates[:, mine] += (by_seed[:, position] - replicates[:, mine].mean(axis=1, dtype=float))[:, None]
    return Evaluation(
        by_seed=by_seed,
        replicates=replicates,
        n_units=len(fits[0].strata),
        within=fits[0].within,
        details=_details([fit.details for fit in fits]),
        stream=f"sha256:{drawn.hexdigest()}",
    )


def _fits(
    prepare: Prepare, protocol: Protocol, embeddings: Mapping[int, NDArray[np.float32]], columns: Columns
) -> Iterator[Fit]:
    prepared: tuple[Any, Callable[[int], Fit]] | None = None
    for seed in protocol.seeds:
        if prepared is None or prepared[0] is not embeddings[seed]:
            prepared = (embeddings[seed], prepare(embeddings[seed], columns, protocol.params))
        yield prepared[1](seed)


def _rows(fit: Fit, keys: list[str], weights: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return (n_scores × n_replicates) in the order of the card's scores."""
    values = fit.scores(weights)
    missing = [key for key in keys if key not in values]
    if missing:
        raise ValueError(
            f"the task's card lists {', '.join(missing)}, but its implementation gives {', '.join(values)}"
        )
    return np.array([values[key] for key in keys])


def _details(by_seed: list[dict[str, JsonValue]]) -> dict[str, JsonValue]:
    """Say once what is the same for every seed; list the rest in the order of the seeds."""
    shared = {key: value for key, value in by_seed[0].items() if all(one.get(key) == value for one in by_seed)}
    varying: list[JsonValue] = [{key: value for key, value in one.items() if key not in shared} for one in by_seed]
    return {**shared, "by_seed": varying} if any(varying) else dict(shared)
