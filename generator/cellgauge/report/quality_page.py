"""The page of quality control: what the checks of a release found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from cellgauge.cards import Cards
from cellgauge.report import cells
from cellgauge.report.empties import counts_table, find_empties
from cellgauge.report.numbers import listing, plural
from cellgauge.report.page import Page
from cellgauge.report.quality import Quality
from cellgauge.report.quality_findings import Finding, Severity
from cellgauge.report.render import Renderer
from cellgauge.report.tables import Cell, Column, Row, Table, Tone

MOST_SHOWN = 40
"""More findings than this of one check become a number: the CSV has them all."""

NOT_YET = (
    "Leakage audits: not audited yet. Leakage classes rest on what is documented about training data; no overlap of "
    "cells was searched for.",
)
"""What a reader may expect here and does not find."""

_SIGNS: dict[Severity, tuple[str, Tone]] = {
    "serious": ("■ serious", "red"),
    "doubtful": ("◆ doubtful", "yellow"),
    "note": ("◌ note", "gray"),
}


def quality_page(renderer: Renderer) -> Page:
    """Draw the findings by check, what was checked, and what is silenced and why."""
    view, quality = renderer.view, renderer.quality
    path, title = "quality/", "Quality control"
    intro = "What the checks of a release found: expected, found, and where."
    everything = findings_table(view.cards, quality, quality.findings, "findings", "All findings")
    files = {"quality/findings.csv": everything.to_csv()} if everything.rows else {}
    silenced = [one for one in quality.findings if one.reason is not None]
    html = renderer.fragment(
        "quality.html",
        path,
        title=title,
        intro=intro,
        sentence=_sentence(quality, len(silenced)),
        found=_shortened(findings_table(view.cards, quality, quality.open, "found", _caption(quality))),
        silenced=findings_table(view.cards, quality, silenced, "silenced", "Known findings, with the reason"),
        checks=checks_table(quality),
        counts=counts_table(view, find_empties(view)),
        not_yet=NOT_YET,
        files=list(files),
    )
    return Page(path, title, intro, html, files=files)


def _sentence(quality: Quality, n_silenced: int) -> str:
    if not quality.checked:
        return "Nothing to check yet: there is no release."
    kinds: tuple[Severity, ...] = ("serious", "doubtful", "note")
    counts = {kind: quality.count(kind) for kind in kinds}
    words = [f"{counts[kind]:,} {kind}" for kind in ("serious", "doubtful") if counts[kind]]
    total = counts["serious"] + counts["doubtful"]
    said = f"{plural(total, 'finding')} ({listing(words)})" if total else "No findings"
    if counts["note"]:
        said += f"; {plural(counts['note'], 'note')}"
    return said + (f"; {n_silenced:,} more known, with a reason." if n_silenced else ".")


def _caption(quality: Quality) -> str:
    return f"{quality.summary[:1].upper()}{quality.summary[1:]}, by check"


def findings_table(cards: Cards, quality: Quality, findings: Sequence[Finding], id_: str, caption: str) -> Table:
    """Return findings as a table, grouped by check; silenced ones with their reason."""
    columns = (
        Column("where", "Where", ()),
        Column("severity", "Severity"),
        *(Column(place, place.capitalize(), shown=False) for place in ("check", "task", "dataset", "model", "metric")),
        Column("found", "Found"),
        Column("expected", "Expected"),
        Column("reason", "Known because", shown=any(one.reason for one in findings)),
        Column("page", "page", shown=False),
    )
    order: list[Severity] = ["serious", "doubtful", "note"]
    titles: dict[str, str] = {check.id: f"{check.title} ({check.id})" for check, _ in quality.checked}
    places = [check.id for check, _ in quality.checked]
    ordered = sorted(findings, key=lambda one: (places.index(one.check), order.index(one.severity)))
    rows = tuple(
        Row(
            (
                _where(cards, one),
                Cell(_SIGNS[one.severity][0], (one.severity,), tone=_SIGNS[one.severity][1]),
                *(Cell(x or "", (x,)) for x in (one.check, one.task, one.dataset, one.model, one.metric)),
                Cell(cells.sentence(one.found), (one.found,)),
                Cell(cells.sentence(one.expected), (one.expected,)),
                Cell(one.reason or "–", (one.reason,)),
                Cell(one.href, (one.href,)),
            ),
            group=one.check,
        )
        for one in ordered
    )
    return Table(id_, caption, columns, rows, titles)


def _where(cards: Cards, one: Finding) -> Cell:
    names = [
        getattr(cards, kind)[id_].name
        for kind, id_ in (("models", one.model), ("datasets", one.dataset), ("tasks", one.task))
        if id_ is not None
    ]
    metric = cards.metrics[one.metric].short_name if one.metric else ""
    return Cell(", ".join(names) or "the release", (one.href,), small=metric, href=one.href)


def _shortened(table: Table) -> Table:
    """Keep the most severe findings of each check; a last row says how many more there are."""
    rows: list[Row] = []
    for group, some in table.bodies:
        rows += some[:MOST_SHOWN]
        more = len(some) - MOST_SHOWN
        if more > 0:
            blank = tuple(Cell("…", (None,)) for _ in table.columns)
            rows.append(Row(blank, group=group, instead=f"{more:,} more of this kind: in the CSV."))
    return replace(table, rows=tuple(rows))


def checks_table(quality: Quality) -> Table:
    """Return how much each check looked at, and how often it found something."""
    columns = (
        Column("check", "Check"),
        Column("checked", "Checked"),
        Column("findings", "Findings", numeric=True),
        Column("notes", "Notes", numeric=True),
        Column("silenced", "Silenced", numeric=True),
    )
    rows = []
    for check, checked in quality.checked:
        mine = [one for one in quality.findings if one.check == check.id]
        still = [one for one in mine if one.reason is None]
        notes = sum(one.severity == "note" for one in still)
        counts = (len(still) - notes, notes, len(mine) - len(still))
        rows.append(
            Row(
                (
                    Cell(check.title, (check.id,), small=check.id),
                    Cell(checked.amount, small=checked.unchecked),
                    *(Cell(f"{count:,}", (count,)) for count in counts),
                )
            )
        )
    return Table("checks", plural(len(rows), "check"), columns, tuple(rows))
