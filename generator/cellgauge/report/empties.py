"""Every combination of task, dataset and model without scores, and why: attempted or never run."""

from __future__ import annotations

from dataclasses import dataclass

from cellgauge.cards import Cards
from cellgauge.report import cells
from cellgauge.report.missing import MEANING, NOT_OPENED, datasets_in_words, kind_of_pair
from cellgauge.report.numbers import listing, plural
from cellgauge.report.release import ReleaseView
from cellgauge.report.tables import Cell, Column, Row, Table

MOST_REASONS = 100
"""More reasons than this of one status become a number: the CSV has them all."""
_NAMED = 4
"""More names than this become a number."""
_NEVER = ("not_reported", "weights_unavailable", "declined_leakage", NOT_OPENED, "not_applicable")
"""What could not be run, for whatever reason."""
_LAST = ("not_run", *_NEVER)
"""What nobody has attempted comes after what was attempted."""


@dataclass(frozen=True)
class Empty:
    """One pair without scores."""

    task: str
    dataset: str
    model: str
    status: str
    reason: str
    page: str
    """Of its result; empty where none was attempted."""
    kind: str = ""
    """What it is counted as on pages: its status, or that its data were never opened."""


@dataclass(frozen=True)
class Reason:
    """One reason, and what it holds for."""

    text: str
    count: int
    what: str
    links: tuple[tuple[str, str], ...]
    """Names and addresses of attempted evaluations, a few of them."""


@dataclass(frozen=True)
class StatusGroup:
    """All of one kind, the most frequent reasons first."""

    kind: str
    count: int
    reasons: tuple[Reason, ...]
    more: int
    """Reasons that are not among these."""


def find_empties(view: ReleaseView) -> list[Empty]:
    """Return every combination of a release that has no scores, by task, dataset and model."""
    found = [
        Empty(*place, result.status, cells.sentence(result.reason), cells.page_of(result), result.status)
        for place, result in view.results.items()
        if result.status != "done"
    ]
    for pair in view.missing():
        waits = pair.status == "to_run"
        reason = cells.sentence(pair.reason) or ("Planned to run, and not run yet." if waits else "")
        status = "not_run" if waits else pair.status
        found.append(Empty(pair.task, pair.dataset, pair.model, status, reason, "", kind_of_pair(view, pair)))
    return sorted(found, key=lambda one: (one.task, one.dataset, one.model))


def empties_table(empties: list[Empty]) -> Table:
    """Return all of them as a table for the download."""
    columns = tuple(Column(key, key) for key in ("task", "dataset", "model", "status", "reason", "page"))
    rows = tuple(
        Row(tuple(Cell(x, (x or None,)) for x in (one.task, one.dataset, one.model, one.status, one.reason, one.page)))
        for one in empties
    )
    return Table(
        "empties", plural(len(empties), "evaluation without scores", "evaluations without scores"), columns, rows
    )


def counts_table(view: ReleaseView, empties: list[Empty]) -> Table:
    """Return how many evaluations of each task have scores, and how many are without, by kind."""
    kinds = _ordered({one.kind for one in empties})
    columns = (
        Column("task", "Task"),
        Column(
            "pairs", "Combinations", numeric=True, hover="Of a dataset and a model, whether or not they go together"
        ),
        Column("to_run", "To run", numeric=True, hover="Those that go together, with data, weights and no leakage"),
        Column("done", "With scores", numeric=True),
        *(Column(one, cells.status_text(one).capitalize(), numeric=True, hover=MEANING[one]) for one in kinds),
        Column("datasets", "Datasets", numeric=True, hover="With scores"),
        Column("studies", "Studies", numeric=True, hover="Independent studies of measured data with scores"),
    )
    if view.is_reported:
        columns = tuple(column for column in columns if column.key != "to_run")
    rows = [_counts(view, empties, task.id, kinds) for task in view.cards.tasks.values()]
    rows = [row for row in rows if row.cells[1].raw != (0,)]
    if len(rows) > 1:
        rows.append(_counts(view, empties, None, kinds))
    return Table("counts", "Combinations of dataset and model, by task", columns, tuple(rows), {"all": ""})


def _counts(view: ReleaseView, empties: list[Empty], task: str | None, kinds: list[str]) -> Row:
    done = [result for result in view.done if task in (None, result.task.id)]
    here = [one for one in empties if task in (None, one.task)]
    datasets = {result.dataset.id for result in done}
    studies = {
        card.study
        for card in (view.cards.datasets[id_] for id_ in datasets)
        if card.evidence == "measured" and card.demonstration is None
    }
    to_run = len(done) + sum(one.kind not in _NEVER for one in here)
    by_kind = (sum(one.kind == kind for one in here) for kind in kinds)
    planned = [] if view.is_reported else [to_run]
    numbers = [len(done) + len(here), *planned, len(done), *by_kind]
    name = cells.task_cell(view.cards.tasks[task]) if task else Cell("All", (None,))
    counts = (*numbers, len(datasets), len(studies))
    shown = (Cell(f"{count:,}", (count,)) if count else Cell("0", (0,), tone="control") for count in counts)
    return Row((name, *shown), group="" if task else "all")


def group_empties(cards: Cards, empties: list[Empty]) -> list[StatusGroup]:
    """Group by kind and then by reason."""
    by_kind: dict[str, dict[str, list[Empty]]] = {}
    for one in empties:
        by_kind.setdefault(one.kind, {}).setdefault(one.reason, []).append(one)
    groups = []
    for kind in _ordered(set(by_kind)):
        reasons = sorted(by_kind[kind].items(), key=lambda entry: -len(entry[1]))
        shown = tuple(_reason(cards, text, some) for text, some in reasons[:MOST_REASONS])
        count = sum(len(some) for _, some in reasons)
        groups.append(StatusGroup(kind, count, shown, max(0, len(reasons) - MOST_REASONS)))
    return groups


def _ordered(kinds: set[str]) -> list[str]:
    return sorted(kinds, key=lambda kind: (_LAST.index(kind) if kind in _LAST else -1, kind))


def _reason(cards: Cards, text: str, some: list[Empty]) -> Reason:
    tasks, models, datasets = (
        list(dict.fromkeys(getattr(one, kind) for one in some)) for kind in ("task", "model", "dataset")
    )
    what = [
        _names([cards.tasks[one].name for one in tasks], "task", len(cards.tasks)),
        _names([cards.models[one].name for one in models], "model", len(cards.models)),
        datasets_in_words(cards, datasets),
    ]
    attempted = [one for one in some if one.page]
    links = tuple(
        (
            f"{cards.tasks[one.task].name}: {cards.models[one.model].name} on {cards.datasets[one.dataset].name}",
            one.page,
        )
        for one in attempted[:_NAMED]
    )
    return Reason(text, len(some), "; ".join(what), links)


def _names(names: list[str], word: str, total: int) -> str:
    if len(names) == total > 1:
        return f"every {word}"
    return listing(names) if len(names) <= _NAMED else plural(len(names), word)


def summary(view: ReleaseView, empties: list[Empty]) -> str:
    """Say how many of what could be run have scores, and what else there is without."""
    done = len(view.done)
    total = done + len(empties)
    if view.is_reported and total:
        counts = {kind: sum(one.kind == kind for one in empties) for kind in _ordered({one.kind for one in empties})}
        rest = f"; of the others, {_in_words(counts)}" if counts else ""
        return f"The source reports scores for {done:,} of {plural(total, 'combination')} of its own{rest}."
    if not total:
        return "Nothing has been planned yet."
    counts = {kind: sum(one.kind == kind for one in empties) for kind in _ordered({one.kind for one in empties})}
    tried = {kind: count for kind, count in counts.items() if kind not in _NEVER}
    never = {kind: count for kind, count in counts.items() if kind in _NEVER}
    to_run = plural(done + sum(tried.values()), "evaluation")
    said = f"{done:,} of {to_run} to run have scores" + (f"; {_in_words(tried)}." if tried else ".")
    if not never:
        return said
    return (
        f"{said} Of {total:,} combinations of task, dataset and model the others could not be run: {_in_words(never)}."
    )


def _in_words(counts: dict[str, int]) -> str:
    return listing([f"{count:,} {cells.status_text(kind)}" for kind, count in counts.items()])
