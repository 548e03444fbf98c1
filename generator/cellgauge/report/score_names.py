"""What a score is called on pages and in the terminal, from its key."""

from __future__ import annotations

from cellgauge.cards import Cards, TaskCard
from cellgauge.results.schema import parts_of


def name_of_score(cards: Cards, task: TaskCard | None, key: str) -> str:
    """Return the name of a score: "F1, logistic regression, half the cells". What no card knows keeps its id.

    Parameters
    ----------
    task
        Whose views and stress conditions have names; None where the task has no card any more.
    key
        ``metric``, ``metric@view``, ``metric~condition`` or ``metric@view~condition``.
    """
    metric, view, condition = parts_of(key)
    card = cards.metrics.get(metric)
    views = {one.id: one.name for one in task.views} if task else {}
    conditions = {one.id: one.name for one in task.stress} if task else {}
    parts = [
        card.short_name if card else metric,
        views.get(view, view) if view else None,
        conditions.get(condition, condition) if condition else None,
    ]
    return ", ".join(filter(None, parts))
