"""What changed between two releases: results that came, went or moved, by how much, and why."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cellgauge.cards.problems import UserError
from cellgauge.report.release import Place, place_of
from cellgauge.results.protocol import Protocol, differences, read_protocols
from cellgauge.results.schema import Environment, Result, Score
from cellgauge.results.store import read_release, read_replicates, read_results
from cellgauge.stats.jackknife import paired_jackknife
from cellgauge.stats.paired import Difference, paired_difference
from cellgauge.stats.values import rounding

_DERIVED = ("difference", "inside_noise", "is_too_small")
"""Of a move, what its JSON has beside its fields."""
UNEXPLAINED = "nothing that is recorded"
"""The cause of a move where cards, data, code and software are the same."""


@dataclass(frozen=True)
class Move:
    """A score that is another one in the later release."""

    task: str
    dataset: str
    model: str
    score: str
    """Its key, ``metric`` or ``metric@view``."""
    before: float
    after: float
    low: float | None
    """The interval of ``after - before``; None where there is none."""
    high: float | None
    causes: tuple[str, ...]
    relevant: float | None = None
    """The size below which the later release calls a difference of this score too small to matter, if it does."""

    @property
    def difference(self) -> float:
        """After minus before."""
        return self.after - self.before

    @property
    def inside_noise(self) -> bool | None:
        """Whether the interval of the difference holds 0; None where there is no interval."""
        return None if self.low is None or self.high is None else self.low <= 0 <= self.high

    @property
    def is_too_small(self) -> bool:
        """Whether the score moved beyond noise, but by less than the protocol says matters."""
        return self.inside_noise is False and self.relevant is not None and abs(self.difference) < self.relevant


@dataclass(frozen=True)
class Ending:
    """An evaluation that ended otherwise."""

    task: str
    dataset: str
    model: str
    before: str
    after: str
    reason: str | None
    """Why there are no scores now; None where there are."""
    causes: tuple[str, ...]


@dataclass(frozen=True)
class Changes:
    """What changed from one release to another."""

    before: str
    after: str
    added: tuple[Place, ...]
    removed: tuple[Place, ...]
    endings: tuple[Ending, ...]
    moves: tuple[Move, ...]
    n_same: int
    """Results of both releases with the same ending and the same scores."""
    n_scores: int
    """Scores that both releases have."""

    @property
    def n_beyond_noise(self) -> int:
        """How many scores moved by more than their noise."""
        return sum(one.inside_noise is False for one in self.moves)

    @property
    def ordered(self) -> list[Move]:
        """What moved: beyond noise first, by less than matters last of it, each part in the order of its places."""
        return sorted(self.moves, key=lambda one: (one.inside_noise is not False, one.is_too_small))

    @property
    def too_small_in_words(self) -> str:
        """Say how many of those beyond noise moved by less than matters, in brackets; nothing where none did."""
        small = sum(one.is_too_small for one in self.moves)
        return f" ({small:,} by less than matters)" if small else ""

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        moves = [{**asdict(one), **{name: getattr(one, name) for name in _DERIVED}} for one in self.moves]
        return {**asdict(self), "moves": moves}


def changes_between(before: Path, after: Path) -> Changes:
    """Compare the results of two releases, by the folders that they lie in.

    A score has moved where the two values differ by more than their rounding. The interval of a difference is that of
    paired resamples where both releases drew the same ones, and else that of two independent scores: the root of the
    summed squares of their half-widths. Intervals are not adjusted for how many scores there are.

    Raises
    ------
    UserError
        When there is no such release, one of its files is broken, or one was measured and the other reported.
    """
    kinds = [read_release(folder).kind for folder in (before, after)]
    if kinds[0] != kinds[1]:
        raise UserError(
            f"{before.name} is {kinds[0]} and {after.name} is {kinds[1]}: what others reported is not compared with "
            "what was measured here"
        )
    ours, theirs = ({place_of(one): one for one in read_results(folder)} for folder in (before, after))
    protocols = _by_digest(before) | _by_digest(after)
    endings, moves, n_same, n_scores = [], list[Move](), 0, 0
    both = [place for place in ours if place in theirs]
    for place in both:
        old, new = ours[place], theirs[place]
        shared = _common_causes(old, new, protocols)
        if old.status != new.status:
            causes = tuple(shared) or (UNEXPLAINED,)
            endings.append(Ending(*place, old.status, new.status, new.reason, causes))
            continue
        found = list(_moves(before, after, old, new, shared, protocols.get(new.protocol or "")))
        n_scores += len({one.key for one in old.scores} & {one.key for one in new.scores})
        n_same += not found
        moves += found
    return Changes(
        before.name,
        after.name,
        tuple(place for place in theirs if place not in ours),
        tuple(place for place in ours if place not in theirs),
        tuple(endings),
        tuple(moves),
        n_same,
        n_scores,
    )


def _moves(
    before: Path, after: Path, old: Result, new: Result, shared: list[str], protocol: Protocol | None
) -> Iterator[Move]:
    for score in new.scores:
        was = old.score(score.key)
        if was is None or abs(score.value - was.value) <= rounding([score.value, was.value]):
            continue
        causes = list(shared)
        if score.version != was.version:
            causes.insert(0, f"metric version {was.version} → {score.version}")
        apart = _difference(before, after, (old, was), (new, score))
        low, high = (apart.low, apart.high) if apart else _unpaired(was, score)
        relevant = protocol.relevant_difference(new.task.id, score.key) if protocol else None
        why = tuple(causes) or (UNEXPLAINED,)
        yield Move(*place_of(new), score.key, was.value, score.value, low, high, why, relevant)


def _difference(before: Path, after: Path, old: tuple[Result, Score], new: tuple[Result, Score]) -> Difference | None:
    """Return the paired difference of two scores; None where they did not draw the same resamples."""
    drawn = [result.replicates for result, _ in (old, new)]
    intervals = [score.interval for _, score in (old, new)]
    if drawn[0] is None or drawn[1] is None or intervals[0] is None or intervals[1] is None:
        return None
    if _drawing(old[0]) != _drawing(new[0]) or intervals[0].n_groups != intervals[1].n_groups:
        return None
    first, second = (
        np.asarray(read_replicates(folder, result)[result.scores.index(score)], dtype=np.float64)
        for folder, (result, score) in ((after, new), (before, old))
    )
    level, groups = intervals[1].level, intervals[1].n_groups
    if groups is None:
        return paired_difference(new[1].value, old[1].value, first, second, level=level, sign=1)
    ours, theirs = np.array(new[1].by_seed), np.array(old[1].by_seed)
    left_out = first.reshape(-1, len(ours)), second.reshape(-1, len(theirs))
    return paired_jackknife(ours, theirs, *left_out, groups, level=level, sign=1)


def _drawing(result: Result) -> tuple[object, ...]:
    """Return what two results share that drew the same resamples."""
    drawn = result.replicates
    return () if drawn is None else (drawn.stream, drawn.method, drawn.n_replicates, tuple(result.seeds))


def _unpaired(old: Score, new: Score) -> tuple[float | None, float | None]:
    if old.interval is None or new.interval is None:
        return None, None
    half = math.hypot(*((one.interval.high - one.interval.low) / 2 for one in (old, new) if one.interval))
    return new.value - old.value - half, new.value - old.value + half


def _common_causes(old: Result, new: Result, protocols: dict[str, Protocol]) -> list[str]:
    """Return what differs between two results of one place, in words; the versions of metrics apart."""
    causes = []
    if old.model.digest != new.model.digest:
        causes.append(f"model revision{_versions(old.model.version, new.model.version)}")
    if (old.dataset.digest, old.dataset.content) != (new.dataset.digest, new.dataset.content):
        causes.append(f"dataset{_versions(old.dataset.version, new.dataset.version)}")
    if old.task.digest != new.task.digest:
        causes.append(_of_protocol(old, new, protocols))
    metrics = [{one.metric: one.version for one in result.scores} for result in (old, new)]
    if not causes and old.key != new.key and metrics[0] == metrics[1]:
        causes.append("code of the task or the model")
    return causes + _of_software(old, new)


def _of_protocol(old: Result, new: Result, protocols: dict[str, Protocol]) -> str:
    before, after = (protocols.get(one.protocol or "") for one in (old, new))
    if before is not None and after is not None:
        # Its metrics' versions are causes of their own, and its own version says nothing about what changed.
        found = differences(before.tasks.get(old.task.id, {}), after.tasks.get(old.task.id, {}))
        told = [line for line in found if not line.startswith("protocol.version")]
        if told and all(line.startswith("protocol.seeds") for line in told):
            return "seeds only"
    return f"protocol of the task{_versions(old.task.version, new.task.version)}"


def _of_software(old: Result, new: Result) -> list[str]:
    before, after = _packages(old), _packages(new)
    changed = [
        f"{name} {before.get(name, 'absent')} → {after.get(name, 'absent')}"
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    ]
    return [f"software: {', '.join(changed)}"] if changed else []


def _packages(result: Result) -> dict[str, str]:
    """Return the versions of everything that a result was computed with."""
    made: list[Environment] = [*result.embedding_environments, *([result.environment] if result.environment else [])]
    found: dict[str, str] = {}
    for one in made:
        found |= {"Python": one.python, "cellgauge": one.cellgauge, **one.packages}
        if one.image_id:
            found["image"] = one.image_id
    return found


def _versions(before: int, after: int) -> str:
    return f" {before} → {after}" if before != after else ""


def _by_digest(folder: Path) -> dict[str, Protocol]:
    return {one.digest: one for one in read_protocols(folder)}
