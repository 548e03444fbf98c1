"""One evaluation: point values for every seed, and replicates for the intervals."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from cellgauge.cards.task import Protocol, TaskCard
from cellgauge.stats.jackknife import FEWEST_GROUPS, left_out_weights, skewness_corrected_interval
from cellgauge.stats.resampling import draw_seeds, generator, percentile_interval, stratified_weights
from cellgauge.tasks.contract import Cells, Fit, Prepare, UnscorableError

_NUMBERS_AT_ONCE = 2**24
"""How many weights, or numbers computed from them, are held at a time."""

_NO_VALUE = "the definition gives it no value here, such as an area under the curve where a fold holds one class only"


@dataclass(frozen=True)
class Evaluation:
    """What a task gave for one model on one dataset."""

    keys: tuple[str, ...]
    """The scores that have a value, in the order of the card."""
    undefined: dict[str, str]
    """Scores that have none: why."""
    by_seed: NDArray[np.float64]
    """(n_scores × n_seeds) point values."""
    replicates: NDArray[np.float32]
    """(n_scores × n_replicates). Of a bootstrap, each drew one of the seeds; of a jackknife, each group left out
    stands with every seed, groups first."""
    method: Literal["bootstrap", "jackknife"]
    n_units: tuple[int, ...]
    """For each score."""
    n_groups: tuple[int, ...]
    """For each score, how many groups were left out; 0 in a bootstrap, and where a score has no value without one of
    its groups."""
    within: str
    """What resamples were drawn within."""
    these_donors: bool
    """Whether donors are known and the intervals do not speak about others."""
    group: str
    details: dict[str, JsonValue]
    stream: str
    """Digest of all resamples that were drawn: results that share it may be paired."""

    def interval(self, score: int, level: float) -> tuple[float, float] | None:
        """Return the interval of a score by its position; None where there are too few groups for one."""
        if self.method == "bootstrap":
            return percentile_interval(self.replicates[score], level)
        if self.n_groups[score] < FEWEST_GROUPS:
            return None
        left_out = self.replicates[score].astype(float).reshape(-1, self.by_seed.shape[1])
        return skewness_corrected_interval(self.by_seed[score], left_out, self.n_groups[score], level)


def evaluate(
    task: TaskCard,
    prepare: Prepare,
    outputs: Mapping[int, NDArray[np.float32]],
    cells: Cells,
    dataset_content: str,
    *,
    wanted: Collection[str] | None = None,
) -> Evaluation:
    """Score a model's outputs on one dataset.

    Bootstrap replicates are centred on the point value of their seed. A resample holds fewer distinct cells than
    the data, which shifts entropies (and so NMI) whatever the model; the shift says nothing about how
    much a score varies, and an interval that misses its own point would be read as if it did.

    Parameters
    ----------
    outputs
        Seed → (n_cells × n_dimensions). Where a model takes no seed all are the same object,
        and what does not depend on the seed is done once.
    dataset_content
        Digest of the cells: same cells, same task, same resamples, whatever the model.
    wanted
        Keys of the scores to compute; None: all of the card's.

    Raises
    ------
    UnscorableError
        When the task has no meaning on these data, or no score has a value.
    """
    protocol = task.protocol
    wanted = [ref.key for ref in task.scores if wanted is None or ref.key in wanted]
    fits = list(_fits(prepare, protocol, outputs, cells, wanted))
    undefined = {key: why for fit in fits for key, why in fit.undefined.items() if key in wanted}
    keys = tuple(key for key in wanted if key not in undefined)
    if not keys:
        raise UnscorableError("; ".join(dict.fromkeys(undefined.values())))
    by_seed = np.array([_rows(fit, keys, np.ones((1, len(fit.strata)), dtype=np.float32)) for fit in fits]).T[0]
    has_value = np.isfinite(by_seed).all(axis=1)
    undefined |= {key: _NO_VALUE for key, has in zip(keys, has_value, strict=True) if not has}
    keys, by_seed = tuple(key for key in keys if key not in undefined), by_seed[has_value]
    if not keys:
        raise UnscorableError("; ".join(dict.fromkeys(undefined.values())))
    groups = fits[0].groups
    leaves_out = groups is not None and (fits[0].only_groups or len(np.unique(groups)) >= FEWEST_GROUPS)
    drawn = hashlib.sha256()
    if leaves_out:
        replicates, n_groups = _left_out(fits, keys, by_seed, drawn)
    else:
        n_groups = (0,) * len(keys)
        replicates = _resampled(task, fits, keys, by_seed, dataset_content, drawn)
    return Evaluation(
        keys=keys,
        undefined={key: undefined[key] for key in wanted if key in undefined},
        by_seed=by_seed,
        replicates=replicates,
        method="jackknife" if leaves_out else "bootstrap",
        n_units=tuple(int(np.count_nonzero(_counted(fits, key))) for key in keys),
        n_groups=n_groups,
        within=fits[0].within,
        these_donors=fits[0].these_donors,
        group=fits[0].group,
        details=_details(fits),
        stream=f"sha256:{drawn.hexdigest()}",
    )


def _fits(
    prepare: Prepare,
    protocol: Protocol,
    outputs: Mapping[int, NDArray[np.float32]],
    cells: Cells,
    wanted: Collection[str],
) -> Iterator[Fit]:
    prepared: tuple[Any, Callable[[int], Fit]] | None = None
    for seed in protocol.seeds:
        if prepared is None or prepared[0] is not outputs[seed]:
            prepared = (outputs[seed], prepare(outputs[seed], cells, protocol.params, wanted))
        yield prepared[1](seed)


def _resampled(
    task: TaskCard,
    fits: list[Fit],
    keys: tuple[str, ...],
    by_seed: NDArray[np.float64],
    dataset_content: str,
    drawn: hashlib._Hash,
) -> NDArray[np.float32]:
    """Return (n_scores × n_replicates) under resamples within strata; each replicate draws one of the seeds."""
    protocol = task.protocol
    seed_of = draw_seeds(len(fits), protocol.replicates, generator(dataset_content, task.id, "seeds"))
    drawn.update(seed_of.tobytes())
    replicates = np.empty((len(keys), protocol.replicates), dtype=np.float32)
    for position, (seed, fit) in enumerate(zip(protocol.seeds, fits, strict=True)):
        mine = np.flatnonzero(seed_of == position)
        rng = generator(dataset_content, task.id, "cells", seed)
        # What is drawn at once may not depend on the model, or models would get other resamples.
        for drawn_now in _parts(mine, len(fit.strata)):
            weights = stratified_weights(fit.strata, len(drawn_now), rng)
            drawn.update(weights.tobytes())
            for part in _parts(np.arange(len(drawn_now)), max(len(fit.strata), fit.width)):
                replicates[:, drawn_now[part]] = _rows(fit, keys, weights[part])
        replicates[:, mine] += (by_seed[:, position] - replicates[:, mine].mean(axis=1, dtype=float))[:, None]
    return replicates


def _parts(positions: NDArray[np.intp], width: int) -> list[NDArray[np.intp]]:
    """Cut positions into runs that hold a bounded amount of numbers, each position ``width`` of them."""
    at_once = max(1, _NUMBERS_AT_ONCE // width)
    return [positions[start : start + at_once] for start in range(0, len(positions), at_once)]


def _left_out(
    fits: list[Fit], keys: tuple[str, ...], by_seed: NDArray[np.float64], drawn: hashlib._Hash
) -> tuple[NDArray[np.float32], tuple[int, ...]]:
    """Return (n_scores × (n_groups · n_seeds)) with one group left out, and how many groups took part in each score.

    Where a group takes no part in a score, the value on all units stands. A score that has no value without one of its
    groups hangs on that group: nothing can be said about others, and no group counts.
    """
    names, codes = np.unique(np.asarray(fits[0].groups), return_inverse=True)
    if len(names) < 2:
        raise UnscorableError(f"there is one {fits[0].group} ({names[0]}); at least two are needed")
    drawn.update("\x1f".join(map(str, names[codes])).encode())
    weights = left_out_weights(codes)
    values = np.empty((len(keys), len(names), len(fits)))
    for position, fit in enumerate(fits):
        for part in _parts(np.arange(len(names)), max(len(codes), fit.width)):
            values[:, part, position] = _rows(fit, keys, weights[part])
    takes_part = np.array([np.isin(np.arange(len(names)), codes[_counted(fits, key)]) for key in keys])
    has_value = np.isfinite(values).all(axis=2)
    hangs = (takes_part & ~has_value).any(axis=1)
    values = np.where((takes_part & has_value)[:, :, None], values, by_seed[:, None, :])
    n_groups = np.where(hangs, 0, takes_part.sum(axis=1))
    return values.reshape(len(keys), -1).astype(np.float32), tuple(n_groups.tolist())


def _counted(fits: list[Fit], key: str) -> NDArray[np.bool_]:
    """Return which units take part in a score with any of the seeds."""
    every = np.ones(len(fits[0].strata), dtype=bool)
    return np.asarray(np.any([fit.counted.get(key, every) for fit in fits], axis=0))


def _rows(fit: Fit, keys: tuple[str, ...], weights: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return (n_scores × n_replicates) in the order of the keys."""
    values = fit.scores(weights)
    missing = [key for key in keys if key not in values]
    if missing:
        raise ValueError(
            f"the task's card lists {', '.join(missing)}, but its implementation gives {', '.join(values)}"
        )
    return np.array([values[key] for key in keys])


def _details(fits: list[Fit]) -> dict[str, JsonValue]:
    """Say once what is the same for every seed, list the rest in the order of the seeds; sum counts, average tables.

    What is not a number with one of the seeds has no average.
    """
    by_seed = [fit.details for fit in fits]
    shared = {key: value for key, value in by_seed[0].items() if all(one.get(key) == value for one in by_seed)}
    varying: list[JsonValue] = [{key: value for key, value in one.items() if key not in shared} for one in by_seed]
    tables: dict[str, JsonValue] = {
        name: np.sum([fit.tables[name] for fit in fits], axis=0).tolist() for name in fits[0].tables
    }
    averaged: dict[str, JsonValue] = {
        name: {
            row: {column: _mean([fit.by_name[name][row][column] for fit in fits]) for column in columns}
            for row, columns in table.items()
        }
        for name, table in fits[0].by_name.items()
    }
    return {**shared, **averaged, **tables, **({"by_seed": varying} if any(varying) else {})}


def _mean(values: list[float]) -> float | None:
    return float(np.mean(values)) if np.isfinite(values).all() else None
