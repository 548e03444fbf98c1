"""The table of one result: each score with its interval, drawn on a scale they share, and the value of each seed."""

from __future__ import annotations

import math

from cellgauge.cards import TaskCard
from cellgauge.report import cells
from cellgauge.report.numbers import number
from cellgauge.report.release import ReleaseView
from cellgauge.report.tables import Badge, Cell, Column, Strip, Table
from cellgauge.report.tables import Row as TableRow
from cellgauge.results.schema import Result, Score


def scores_table(view: ReleaseView, task: TaskCard, result: Result, names: dict[str, str]) -> Table:
    """Return all scores of one result with their intervals, drawn on one scale, and the value of each seed.

    The scale ends at 1 and begins at 0, or at the next tenth below the least that is drawn; scores that can lie beyond
    -1 or 1 are not drawn.
    """
    several = len(result.seeds) > 1
    drawn = [score for score in result.scores if _is_drawn(view, score)]
    ends = [0.0, *(end for score in drawn for end in (score.value, *_ends(score)))]
    least = math.floor(10 * min(ends)) / 10
    columns = [
        Column("score", "Score"),
        Column("value", "Value", ("", "low", "high"), numeric=True),
        Column(
            "drawn",
            "0 to 1" if not least else f"{number(least, 1)} to 1",
            (),
            hover="Dot: score; bar: interval. Lines: 0 and 1. Scores that have another range are not drawn",
        ),
        Column("units", "Units", numeric=True),
        *(Column(f"seed_{seed}", f"seed {seed}", numeric=True) for seed in result.seeds if several),
    ]
    rows = []
    for score in result.scores:
        primary = (Badge("primary", "baseline"),) if score.key == task.primary.key else ()
        rows.append(
            TableRow(
                (
                    Cell(
                        names[score.key],
                        (score.key,),
                        href=f"metrics/{score.metric}/",
                        badges=primary,
                        direction=score.direction,
                    ),
                    cells.own_score_cell(result, score),
                    _on_scale(score, least) if _is_drawn(view, score) else Cell("–"),
                    _units(score),
                    *(Cell(number(value), (value,)) for value in score.by_seed if several),
                )
            )
        )
    caption = "All scores, with the value of each seed" if several else "All scores"
    return Table("scores-table", caption, tuple(columns), tuple(rows))


def _units(score: Score) -> Cell:
    if score.n_units is None:
        return Cell("–", (None,), hover="The source does not say how many")
    return Cell(f"{score.n_units:,}", (score.n_units,), small=f"{score.unit}s")


def _ends(score: Score) -> tuple[float, ...]:
    return (score.interval.low, score.interval.high) if score.interval else ()


def _is_drawn(view: ReleaseView, score: Score) -> bool:
    """Whether a score cannot lie beyond the scale on which the scores of a result are drawn."""
    bounds = view.cards.metrics[score.metric].range
    return bounds.min is not None and bounds.max is not None and bounds.min >= -1 and bounds.max <= 1


def _on_scale(score: Score, least: float) -> Cell:
    low, high = _ends(score) or (score.value, score.value)
    value, low, high, zero = ((end - least) / (1 - least) for end in (score.value, low, high, 0.0))
    return Cell(cells.score_cell(score).text, strip=Strip(value, low, high, lines=(zero, 1.0)))
