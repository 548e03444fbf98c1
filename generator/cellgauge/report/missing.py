"""Planned pairs without a result: grouped by why, and named briefly however many they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cellgauge.cards import Cards
from cellgauge.report.cells import sentence
from cellgauge.report.numbers import listing, plural
from cellgauge.report.release import ReleaseView
from cellgauge.results.release import Pair
from cellgauge.results.schema import EXPLANATION

NOT_OPENED = "data_not_opened"
"""What the plan calls not run, on data that nobody has opened: a kind of its own on pages, a status in no file."""
MEANING = EXPLANATION | {
    NOT_OPENED: "Nobody has opened these data with cellgauge yet, and no digest says which bytes are meant."
}
_NAMED = 6
"""More names than this become a number."""


@dataclass(frozen=True)
class Reason:
    """One reason, and what it holds for."""

    text: str
    what: str


@dataclass(frozen=True)
class Missing:
    """All pairs of one kind."""

    kind: str
    """Their status, or that their data were never opened."""
    count: int
    reasons: tuple[Reason, ...]


def kind_of_pair(view: ReleaseView, pair: Pair) -> str:
    """Return what a pair without a result is counted as on pages."""
    status = "not_run" if pair.status == "to_run" else pair.status
    closed = status == "not_run" and not view.is_reported and not view.cards.datasets[pair.dataset].pinned
    return NOT_OPENED if closed else status


def missing_pairs(view: ReleaseView, pairs: list[Pair], of: Literal["task", "model"]) -> list[Missing]:
    """Group the pairs of one task, or of one model: by kind, and within it by reason.

    What could still be run comes first.
    """
    groups: dict[str, dict[str, list[Pair]]] = {}
    for pair in pairs:
        groups.setdefault(kind_of_pair(view, pair), {}).setdefault(sentence(pair.reason), []).append(pair)
    order = sorted(groups, key=lambda kind: (kind == "not_applicable", kind))
    everything = list(dict.fromkeys(_other(pair, of) for pair in pairs))
    return [
        Missing(
            kind,
            sum(map(len, groups[kind].values())),
            tuple(Reason(text, _in_words(view.cards, some, of, everything)) for text, some in groups[kind].items()),
        )
        for kind in order
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
