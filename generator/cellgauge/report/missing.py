"""Planned pairs without a result: grouped by why, and named briefly however many they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cellgauge.cards import Cards
from cellgauge.report.cells import sentence
from cellgauge.report.numbers import listing, plural
from cellgauge.results.release import Pair

_NAMED = 6
"""More names than this become a number."""


@dataclass(frozen=True)
class Reason:
    """One reason, and what it holds for."""

    text: str
    what: str


@dataclass(frozen=True)
class Missing:
    """All pairs of one status."""

    status: str
    count: int
    reasons: tuple[Reason, ...]


def missing_pairs(cards: Cards, pairs: list[Pair], of: Literal["task", "model"]) -> list[Missing]:
    """Group the pairs of one task, or of one model: by status, and within it by reason.

    What could still be run comes first.
    """
    groups: dict[str, dict[str, list[Pair]]] = {}
    for pair in pairs:
        status = "not_run" if pair.status == "to_run" else pair.status
        groups.setdefault(status, {}).setdefault(sentence(pair.reason), []).append(pair)
    order = sorted(groups, key=lambda status: (status == "not_applicable", status))
    everything = list(dict.fromkeys(_other(pair, of) for pair in pairs))
    return [
        Missing(
            status,
            sum(map(len, groups[status].values())),
            tuple(Reason(text, _in_words(cards, some, of, everything)) for text, some in groups[status].items()),
        )
        for status in order
    ]


def _other(pair: Pair, of: str) -> str:
    """Return what a pair has beside its dataset."""
    return pair.model if of == "task" else pair.task


def _in_words(cards: Cards, pairs: list[Pair], of: str, everything: list[str]) -> str:
    """Say which pairs: datasets with the same models (or tasks) stand together, families under their name."""
    by_dataset: dict[str, list[str]] = {}
    for pair in pairs:
        by_dataset.setdefault(pair.dataset, []).append(_other(pair, of))
    together: dict[tuple[str, ...], list[str]] = {}
    for dataset, others in by_dataset.items():
        together.setdefault(tuple(others), []).append(dataset)
    known = cards.models if of == "task" else cards.tasks
    phrases = []
    for alike, datasets in together.items():
        names = [known[one].name for one in alike]
        every = len(everything) > 1 and set(alike) == set(everything)
        what = f"every {'model' if of == 'task' else 'task'}" if every else listing(names)
        if not every and len(names) > _NAMED:
            what = plural(len(names), "model" if of == "task" else "task")
        phrases.append(f"{what} on {datasets_in_words(cards, datasets)}")
    return "; ".join(phrases)


def datasets_in_words(cards: Cards, datasets: list[str]) -> str:
    """Return the names of datasets, a whole family under its own name."""
    left = list(datasets)
    names = []
    for family in cards.families.values():
        members = [card.id for card in family.members]
        if len(members) > 1 and set(members) <= set(left):
            names.append(f"{family.name} ({plural(len(members), 'dataset')})")
            left = [one for one in left if one not in members]
    single = [cards.datasets[one].name for one in left]
    return listing(single + names) if len(single) <= _NAMED else listing([plural(len(single), "dataset"), *names])
