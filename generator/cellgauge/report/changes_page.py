"""The page of what changed since the release before: what is new, gone, ended otherwise or moved, and why."""

from __future__ import annotations

from cellgauge.report import cells
from cellgauge.report.changes import Changes, Move, changes_between
from cellgauge.report.numbers import interval, number, plural
from cellgauge.report.page import Page
from cellgauge.report.release import Place
from cellgauge.report.render import Renderer
from cellgauge.report.score_names import name_of_score
from cellgauge.report.tables import Cell, Column, Row, Table, Tone

MOST_SHOWN = 150
"""Rows of moves that the page shows; all are in its file."""


def changes_page(renderer: Renderer) -> Page:
    """Draw the comparison with the release before; every move is in the file beside it."""
    view = renderer.view
    path, title = "changes/", "What changed"
    intro = "What is new, gone or moved since the release before, by how much, and why."
    found = None
    if view.folder is not None and view.previous is not None:
        found = changes_between(view.folder.parent / view.previous, view.folder)
    moves = _moves(renderer, found) if found else None
    files = {"changes/scores.csv": moves.to_csv()} if moves and moves.rows else {}
    html = renderer.fragment(
        "changes.html",
        path,
        title=title,
        intro=intro,
        found=found,
        sentence=_sentence(found) if found else "",
        moves=moves and Table(moves.id, moves.caption, moves.columns, moves.rows[:MOST_SHOWN], moves.groups),
        more=max(0, len(moves.rows) - MOST_SHOWN) if moves else 0,
        came=_places(renderer, found) if found else None,
        files=list(files),
    )
    return Page(path, title, intro, html, files=files)


def _sentence(found: Changes) -> str:
    added = plural(len(found.added), "evaluation")
    return (
        f"Since release {found.before}: {added} added, {len(found.removed):,} removed, "
        f"{len(found.endings):,} ended otherwise; {len(found.moves):,} of {plural(found.n_scores, 'score')} that both "
        f"have moved, {found.n_beyond_noise:,} of them beyond noise{found.too_small_in_words}."
    )


def _moves(renderer: Renderer, found: Changes) -> Table:
    columns = (
        Column("evaluation", "Evaluation", ()),
        *(Column(name, name.capitalize(), shown=False) for name in ("task", "dataset", "model", "score")),
        Column("before", found.before, numeric=True),
        Column("after", found.after, numeric=True),
        Column("difference", "Difference", ("", "low", "high"), numeric=True),
        Column("noise", "Noise"),
        Column("causes", "Why"),
    )
    return Table("moves", "Scores that moved", columns, tuple(_move(renderer, one) for one in found.ordered))


_NOISE = {True: "inside noise", False: "beyond noise", None: "no interval"}


def _move(renderer: Renderer, one: Move) -> Row:
    has_ends = one.low is not None and one.high is not None
    ends = interval(one.low or 0.0, one.high or 0.0, signed=True) if has_ends else "no interval"
    quiet: Tone = "control" if one.inside_noise or one.is_too_small else ""
    name = name_of_score(renderer.view.cards, renderer.view.cards.tasks.get(one.task), one.score)
    where = _evaluation(renderer, one.task, one.dataset, one.model)
    return Row(
        (
            where._replace(small=f"{where.small}; {name}"),
            *(Cell(text, (text,)) for text in (one.task, one.dataset, one.model, one.score)),
            Cell(number(one.before), (one.before,), tone=quiet),
            Cell(number(one.after), (one.after,), tone=quiet),
            Cell(
                number(one.difference, signed=True),
                (one.difference, one.low, one.high),
                small=ends,
                tone=quiet,
            ),
            Cell(
                _NOISE[one.inside_noise],
                (one.inside_noise,),
                small=f"less than {one.relevant:g}: too small to matter" if one.is_too_small else "",
                tone=quiet,
            ),
            Cell(cells.sentence("; ".join(one.causes)), ("; ".join(one.causes),)),
        )
    )


def _evaluation(renderer: Renderer, task: str, dataset: str, model: str) -> Cell:
    cards = renderer.view.cards
    known = (cards.tasks.get(task), cards.datasets.get(dataset), cards.models.get(model))
    names = [card.name if card else id_ for card, id_ in zip(known, (task, dataset, model), strict=True)]
    there = (task, dataset, model) in renderer.view.results
    href = f"results/{task}/{dataset}/{model}/" if there else None
    return Cell(names[2], (model,), href=href, small=f"{names[1]}; {names[0]}")


def _places(renderer: Renderer, found: Changes) -> Table:
    """Return evaluations that came, went or ended otherwise."""
    rows: list[tuple[Place, str, str, tuple[str, ...]]] = [(place, "added", "", ()) for place in found.added]
    rows += [(place, "removed", "", ()) for place in found.removed]
    rows += [
        ((one.task, one.dataset, one.model), f"{one.before} → {one.after}", one.reason or "", one.causes)
        for one in found.endings
    ]
    columns = (
        Column("evaluation", "Evaluation"),
        Column("what", "What happened", choices=True),
        Column("why", "Why"),
    )
    table = tuple(
        Row(
            (
                _evaluation(renderer, *place),
                Cell(cells.status_text(what), (what,)),
                Cell(cells.sentence("; ".join(filter(None, [reason, *causes]))) or "–", (reason or None,)),
            )
        )
        for place, what, reason, causes in rows
    )
    return Table("came", "Evaluations that came, went or ended otherwise", columns, table[:MOST_SHOWN])
