"""Which types a classifier takes for which: a shaded table of what a result counted."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from cellgauge.cards import TaskCard
from cellgauge.report.counted import SHADES
from cellgauge.report.numbers import percent
from cellgauge.report.tables import MISSING, Cell, Column, Row, Table
from cellgauge.results.schema import Result

MOST_COLUMNS = 20
"""With more types, a row says only what its cells are taken for most often."""


def confusion_of(task: TaskCard, result: Result, id_: str, who: str) -> Table | None:
    """Return the confusion matrix behind a result's primary score; None where the task counts none.

    Parameters
    ----------
    id_
        Of the table.
    who
        Whose predictions they are, for the caption.
    """
    named = next((one.name for one in task.views if one.id == task.primary.view), "")
    by = f"{who}, {named[0].lower()}{named[1:]}" if named else who
    return confusion_table(result.details, matrix_key(task), id_, by)


def matrix_key(task: TaskCard) -> str:
    """Return the key of a result's details that holds the confusion matrix behind its primary score."""
    return f"confusion_{task.primary.view}" if task.primary.view else "confusion"


def confusion_table(details: Mapping[str, JsonValue], key: str, id_: str, who: str) -> Table | None:
    """Return how many cells of each type were taken for which: shares of each row, with the counts in downloads.

    Rows are true types and columns what they were taken for. Counts are summed over seeds and folds, so that a row adds
    up to its cells times seeds.
    """
    names, counts = details.get("classes"), _matrix(details.get(key))
    if counts is None or not isinstance(names, list) or counts.shape != (len(names), len(names)):
        return None
    types = [str(name) for name in names]
    caption = f"{who}: which types are taken for which"
    totals = counts.sum(axis=1)
    if len(types) > MOST_COLUMNS:
        return _most_often(id_, caption, types, counts)
    columns = [Column("type", "Type"), Column("cells", "Cells × seeds", numeric=True)]
    columns += [Column(f"as-{name}", name, ("", "share"), numeric=True) for name in types]
    rows = []
    for place, (name, row) in enumerate(zip(types, counts, strict=True)):
        line = [_share(int(count), int(totals[place]), name, other) for other, count in zip(types, row, strict=True)]
        rows.append(Row((Cell(name), Cell(f"{totals[place]:,}", (int(totals[place]),)), *line)))
    return Table(id_, f"{caption}, in percent of each row", tuple(columns), tuple(rows))


def _matrix(value: JsonValue) -> NDArray[np.int64] | None:
    if (
        not isinstance(value, list)
        or not value
        or not all(isinstance(row, list) and len(row) == len(value) for row in value)
    ):
        return None
    return np.array(value, dtype=np.int64)


def _share(count: int, total: int, name: str, other: str) -> Cell:
    if not total:
        return Cell("–", (count, None))
    share = count / total
    text = "–" if not count else "<1" if share < 0.01 else ">99" if 0.99 < share < 1 else f"{100 * share:.0f}"
    return Cell(
        text,
        (count, share),
        hover=f"{name} as {other}: {count:,} of {total:,}" if count else "",
        shade=int(np.ceil(SHADES * share)),
        side="" if name == other else "below",
    )


def _most_often(id_: str, caption: str, types: list[str], counts: NDArray[np.int64]) -> Table:
    columns = (
        Column("type", "Type"),
        Column("cells", "Cells × seeds", numeric=True),
        Column("right", "Named rightly", numeric=True),
        Column("other", "Most often taken for"),
        Column("other_share", "Share", numeric=True),
    )
    rows = []
    for place, name in enumerate(types):
        total, wrong = int(counts[place].sum()), counts[place].copy()
        wrong[place] = 0
        other, taken = types[int(wrong.argmax())], int(wrong.max())
        right = int(counts[place, place]) / total if total else None
        rows.append(
            Row(
                (
                    Cell(name),
                    Cell(f"{total:,}", (total,)),
                    MISSING if right is None else Cell(percent(round(right, 3)), (right,)),
                    Cell(other, (other,)) if taken else MISSING,
                    Cell(percent(round(taken / total, 3)), (taken / total,)) if taken else MISSING,
                )
            )
        )
    return Table(id_, caption, columns, tuple(rows))
