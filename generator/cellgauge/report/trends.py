"""What a release says of each task in a few numbers, from which the root of the site draws how it went on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from cellgauge.report.comparison import TaskComparison
from cellgauge.report.dataset_comparison import DatasetComparison, Row


def trends(comparisons: Iterable[TaskComparison]) -> list[dict[str, Any]]:
    """Return each task that has scores: its verdict, and on each measured dataset the baseline and the best model.

    Scores of two releases may be compared where ``protocol`` and the dataset's ``content`` are the same in both.
    """
    found = []
    for one in comparisons:
        datasets = [_on(on) for on in one.measured if on.ranked]
        if datasets:
            found.append(
                {
                    "task": one.task.id,
                    "name": one.task.name,
                    "protocol": one.task.digest,
                    "score": one.score_name,
                    "direction": one.metric.direction,
                    "verdict": one.verdict().sentence,
                    "datasets": datasets,
                }
            )
    return found


def _on(one: DatasetComparison) -> dict[str, Any]:
    baseline = next((row for row in one.ranked if row.role == "baseline"), None)
    best = next((row for row in one.ranked if row.role == "model" and row.score is not None), None)
    return {
        "dataset": one.dataset.id,
        "name": one.dataset.name,
        "content": one.dataset.digest_of_content,
        "models": len(one.judged),
        "better": one.count("better"),
        "baseline": _row(baseline),
        "best": _row(best),
    }


def _row(row: Row | None) -> dict[str, Any] | None:
    if row is None or row.score is None:
        return None
    interval = row.score.interval
    return {
        "model": row.model.id,
        "name": row.model.name,
        "value": row.score.value,
        "low": interval and interval.low,
        "high": interval and interval.high,
        "verdict": row.word,
    }
