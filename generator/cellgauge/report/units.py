"""A primary score of each cell type, perturbation or other part by itself, where the result keeps such values."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import JsonValue

from cellgauge.cards import TaskCard
from cellgauge.report.charts import Figure, Mark
from cellgauge.report.comparison import TaskComparison
from cellgauge.report.dataset_comparison import Row
from cellgauge.report.numbers import number, plural
from cellgauge.report.tables import Column
from cellgauge.results.schema import Result

MOST_DRAWN = 40
"""With more units there is a sentence: each has its line under the details."""


def values_by_unit(task: TaskCard, result: Result) -> dict[str, list[float]]:
    """Return the values of each unit, one a seed, or a single one over seeds; empty where the result keeps none.

    Tasks name them after the score: of each type (``silhouette_by_label``, or ``by_class_<view>``), of each
    perturbation (``pearson_delta``) or of each pair of species.
    """
    id_, key = task.primary.metric, task.primary.key
    by_class = result.details.get(f"by_class_{task.primary.view}" if task.primary.view else "by_class")
    if isinstance(by_class, dict):
        field = id_.removeprefix("macro-")
        return {unit: [value] for unit, value in _numbers({name: _inner(one, field) for name, one in by_class.items()})}
    stem = id_.replace("-", "_")
    names = (f"{stem}_by_label", f"{stem.removesuffix('_label')}_by_label", stem)
    by_seed = result.details.get("by_seed")
    found: dict[str, list[float]] = {}
    for seed in by_seed if isinstance(by_seed, list) else [result.details]:
        if not isinstance(seed, dict):
            continue
        one = next((inner for name in names if isinstance(inner := seed.get(name), dict)), None)
        for unit, value in _numbers(one or {name: _inner(inner, key) for name, inner in seed.items()}):
            found.setdefault(unit, []).append(value)
    return found


def _inner(value: JsonValue, key: str) -> JsonValue:
    return value.get(key) if isinstance(value, dict) else None


def _numbers(values: dict[str, JsonValue]) -> Iterator[tuple[str, float]]:
    for name, value in values.items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            yield name, float(value)


def by_unit(comparison: TaskComparison, row: Row, colour: str) -> tuple[Figure | None, str]:
    """Return a dot for each unit, best first, with a line at the score; without a figure, a sentence says why."""
    metric, score = comparison.metric, row.score
    found = values_by_unit(comparison.task, row.result)
    if score is None or not found:
        if metric.family == "cluster-agreement":
            return (
                None,
                f"{metric.short_name} is a score of the whole partition: no cell or type has a value of its own.",
            )
        return (
            None,
            f"Results of this task keep {metric.short_name} of everything together, and no values of single units.",
        )
    if len(found) > MOST_DRAWN:
        return None, f"Each of {plural(len(found), 'single value')} stands in a table under the details."
    sign = 1 if metric.direction == "higher" else -1
    means = {unit: sum(values) / len(values) for unit, values in found.items()}
    marks = [
        Mark(
            label=unit,
            value=means[unit],
            low=None,
            high=None,
            numbers=number(means[unit]),
            colour=colour,
            faint=tuple(values) if len(values) > 1 else (),
        )
        for unit, values in sorted(found.items(), key=lambda each: (-sign * means[each[0]], each[0]))
    ]
    ends = f"from {marks[-1].label} {marks[-1].numbers} to {marks[0].label} {marks[0].numbers}"
    figure = Figure(
        marks=tuple(marks),
        axis=f"{metric.short_name}; the line is the score of all together",
        short_axis=f"{metric.short_name}; line: all together",
        description=f"{metric.name} of {row.model.name} for each of {len(marks)}: {ends}.",
        reference=score.value,
        bounds=(metric.range.min, metric.range.max),
        id="units",
        title=f"{row.model.name}: {metric.name}, one by one",
        names=Column("unit", "Of"),
    )
    return figure, ""
