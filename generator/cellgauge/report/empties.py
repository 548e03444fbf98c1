"""Every planned evaluation without scores, and why: attempted or never run."""

from __future__ import annotations

from dataclasses import dataclass

from cellgauge.cards import Cards
from cellgauge.report import cells
from cellgauge.report.missing import datasets_in_words
from cellgauge.report.numbers import listing, plural
from cellgauge.report.release import ReleaseView
from cellgauge.report.tables import Cell, Column, Row, Table
from cellgauge.results.schema import EXPLANATION

MOST_REASONS = 100
"""More reasons than this of one status become a number: the CSV has them all."""
_NAMED = 4
"""More names than this become a number."""
_LAST = ("weights_unavailable", "declined_leakage", "not_run", "not_applicable")
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
    """All pairs of one status, the most frequent reasons first."""

    status: str
    count: int
    reasons: tuple[Reason, ...]
    more: int
    """Reasons that are not among these."""


def find_empties(view: ReleaseView) -> list[Empty]:
    """Return every pair of a release that has no scores, by task, dataset and model."""
    found = [
        Empty(*place, result.status, cells.sentence(result.reason), cells.page_of(result))
        for place, result in view.results.items()
        if result.status != "done"
    ]
    for pair in view.missing():
        waits = pair.status == "to_run"
        reason = cells.sentence(pair.reason) or ("Planned to run, and not run yet." if waits else "")
        found.append(Empty(pair.task, pair.dataset, pair.model, "not_run" if waits else pair.status, reason, ""))
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
    """Return how many evaluations of each task have scores, and how many are without, by status."""
    statuses = _ordered({one.status for one in empties})
    columns = (
        Column("task", "Task"),
        Column("planned", "Planned", numeric=True),
        Column("done", "With scores", numeric=True),
        *(Column(one, cells.status_text(one).capitalize(), numeric=True, hover=EXPLANATION[one]) for one in statuses),
        Column("datasets", "Datasets", numeric=True, hover="With scores"),
        Column("studies", "Studies", numeric=True, hover="Independent studies of measured data with scores"),
    )
    rows = [_counts(view, empties, task.id, statuses) for task in view.cards.tasks.values()]
    rows = [row for row in rows if row.cells[1].raw != (0,)]
    if len(rows) > 1:
        rows.append(_counts(view, empties, None, statuses))
    return Table("counts", "Evaluations by task", columns, tuple(rows), {"all": ""})


def _counts(view: ReleaseView, empties: list[Empty], task: str | None, statuses: list[str]) -> Row:
    done = [result for result in view.done if task in (None, result.task.id)]
    here = [one for one in empties if task in (None, one.task)]
    datasets = {result.dataset.id for result in done}
    studies = {
        card.study
        for card in (view.cards.datasets[id_] for id_ in datasets)
        if card.evidence == "measured" and card.demonstration is None
    }
    numbers = [len(done) + len(here), len(done), *(sum(one.status == status for one in here) for status in statuses)]
    name = cells.task_cell(view.cards.tasks[task]) if task else Cell("All", (None,))
    counts = (*numbers, len(datasets), len(studies))
    shown = (Cell(f"{count:,}", (count,)) if count else Cell("0", (0,), tone="control") for count in counts)
    return Row((name, *shown), group="" if task else "all")


def group_empties(cards: Cards, empties: list[Empty]) -> list[StatusGroup]:
    """Group by status and then by reason."""
    by_status: dict[str, dict[str, list[Empty]]] = {}
    for one in empties:
        by_status.setdefault(one.status, {}).setdefault(one.reason, []).append(one)
    groups = []
    for status in _ordered(set(by_status)):
        reasons = sorted(by_status[status].items(), key=lambda entry: -len(entry[1]))
        shown = tuple(_reason(cards, text, some) for text, some in reasons[:MOST_REASONS])
        count = sum(len(some) for _, some in reasons)
        groups.append(StatusGroup(status, count, shown, max(0, len(reasons) - MOST_REASONS)))
    return groups


def _ordered(statuses: set[str]) -> list[str]:
    return sorted(statuses, key=lambda status: (_LAST.index(status) if status in _LAST else -1, status))


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
        (f"{cards.models[one.model].name} on {cards.datasets[one.dataset].name}", one.page)
        for one in attempted[:_NAMED]
    )
    return Reason(text, len(some), "; ".join(what), links)


def _names(names: list[str], word: str, total: int) -> str:
    if len(names) == total > 1:
        return f"every {word}"
    return listing(names) if len(names) <= _NAMED else plural(len(names), word)


def summary(view: ReleaseView, empties: list[Empty]) -> str:
    """Say in a sentence how many are without scores, and of which statuses."""
    total = len(empties) + len(view.done)
    if not total:
        return "Nothing has been planned yet."
    if not empties:
        return f"Each of {plural(total, 'planned evaluation')} has scores."
    counts = {
        status: sum(one.status == status for one in empties) for status in _ordered({one.status for one in empties})
    }
    parts = [f"{count:,} {cells.status_text(status)}" for status, count in counts.items()]
    return f"{len(empties):,} of {plural(total, 'planned evaluation')} have no scores: {listing(parts)}."
