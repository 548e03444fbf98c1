"""What a task with several datasets shows across them: differences to the baseline, other views, worse data.

Everything takes measured datasets that count, with equal weight for each study, and says over how many it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from statistics import quantiles

from cellgauge.report.charts import Figure, Mark
from cellgauge.report.colours import in_one_chart
from cellgauge.report.dataset_comparison import DatasetComparison, Row
from cellgauge.report.leaderboard import bounds_of_differences, mark_of
from cellgauge.report.numbers import SCORE_DECIMALS, interval, listing, number, plural
from cellgauge.report.standing import Standing, Standings
from cellgauge.report.standing_figure import MOST_DRAWN
from cellgauge.report.standing_tables import studies_of
from cellgauge.report.tables import Cell, Column, Direction, Table
from cellgauge.report.tables import Row as TableRow
from cellgauge.results.schema import score_key
from cellgauge.stats.studies import FEWEST_STUDIES, Entry, StudyComparison, aggregate, compare_over_studies

MOST_SINGLE = 40
"""Up to so many differences on single datasets are drawn one by one."""

_FEWER = {"fewer": "Not on all of these datasets: means over fewer cannot be compared with those above"}

Value = Callable[[Row], float | None]


def are_single(found: Standings) -> bool:
    """Whether differences are drawn on single datasets: too few studies for an interval of a mean, and not too many."""
    n = sum(len(_compared(found, one)) for one in found.models)
    return _n_studies(found) < FEWEST_STUDIES and n <= MOST_SINGLE and not found.has_many


def _n_studies(found: Standings) -> int:
    return len({on.dataset.study for rows in found.compared.values() for on, _ in rows})


def differences_figure(found: Standings, colours: dict[str, str]) -> Figure | None:
    """Return the paired differences to the baseline: on each dataset, or their mean where those are too many.

    A mean has an interval from six independent studies on, made by `compare_over_studies`. With fewer, its bar holds
    the middle half of the datasets.
    """
    models = [one for one in found.models if _compared(found, one)]
    single = are_single(found)
    if not models:
        return None
    models = models if single else models[:MOST_DRAWN]
    colours = in_one_chart(colours, [one.model.id for one in models])
    make, whole = _single if single else _of_mean, {on.dataset.id for one in models for on, _ in _compared(found, one)}
    marks = [
        replace(mark, below=len(_compared(found, one)) < len(whole))
        for one in models
        for mark in make(found, one, colours.get(one.model.id, "var(--cg-ink)"))
    ]
    marks.sort(key=lambda mark: mark.below)
    points = [0.0, *(x for mark in marks for x in mark.points)]
    margin = max(0.04 * (max(points) - min(points)), 0.005)
    baseline, comparison = found.comparison.baseline.name, found.comparison
    return Figure(
        marks=tuple(marks),
        axis=f"Difference to {baseline} ({comparison.score_name}): right is better",
        short_axis=f"Difference to {baseline}: right is better",
        description=f"{comparison.task.name}, difference to {baseline} in {comparison.score_name}: "
        + listing([f"{mark.label} {mark.numbers} ({mark.word})" for mark in marks])
        + ".",
        reference=0.0,
        domain=(min(points) - margin, max(points) + margin),
        bounds=bounds_of_differences(comparison.metric),
        id="differences",
        title=f"{comparison.task.name}: difference to {baseline}, {comparison.score_name}",
        names=Column("model", "Model: dataset", ("", "dataset")) if single else Column("model", "Model"),
        values=Column("difference", f"vs {baseline}", ("", *_ends(found)), numeric=True),
        words=Column("verdict", "Verdict") if single else Column("studies", "Studies"),
        below_name="not on all datasets",
    )


def _ends(found: Standings) -> tuple[str, str]:
    has_interval = are_single(found) or _n_studies(found) >= FEWEST_STUDIES
    return ("low", "high") if has_interval else ("first_quartile", "third_quartile")


def differences_key(found: Standings, figure: Figure) -> str:
    """Return what each form in the figure of differences is."""
    level, baseline = found.comparison.terms.level, found.comparison.baseline.name
    if are_single(found):
        said = f"Dot: difference to {baseline} on one dataset. Bar: its {level} paired interval there."
    elif _n_studies(found) >= FEWEST_STUDIES:
        said = f"Dot: mean difference to {baseline}. Bar: its {level} t interval over independent studies, from "
        said += f"{FEWEST_STUDIES} on."
    else:
        said = f"Dot: mean difference to {baseline}. Bar: the middle half of the datasets, no interval: that takes "
        said += f"{FEWEST_STUDIES} independent studies."
    said += f" Line: no difference. {plural(_n_studies(found), 'independent study', 'independent studies')}"
    said += ": the order of models is descriptive." if _n_studies(found) < FEWEST_STUDIES else "."
    if any(mark.below for mark in figure.marks):
        said += " Below the dashes: models that are not on all of these datasets."
    n_models = sum(bool(_compared(found, one)) for one in found.models)
    if n_models > len(figure.marks):
        said += f" Drawn are the first {len(figure.marks)} of {n_models} models."
    return said


def _compared(found: Standings, one: Standing) -> list[tuple[DatasetComparison, Row]]:
    return found.compared[one.model.id]


def _single(found: Standings, one: Standing, colour: str) -> list[Mark]:
    return [
        mark_of(row, f"{one.model.name}: {on.dataset.name}", colour, on.decimals, id_=(one.model.id, on.dataset.id))
        for on, row in _compared(found, one)
    ]


def mean_difference(found: Standings, one: Standing) -> StudyComparison:
    """Compare a model with the baseline over the studies in which both have the primary score."""
    entries = _entries(found, one, lambda row: row.difference.value if row.difference else None)
    level = found.comparison.task.protocol.confidence
    return compare_over_studies(entries, [replace(entry, value=0.0) for entry in entries], level=level)


def _of_mean(found: Standings, one: Standing, colour: str) -> list[Mark]:
    compared = mean_difference(found, one)
    value, low, high = compared.difference.value, compared.low, compared.high
    assert value is not None  # noqa: S101 (some row has a difference)
    if _n_studies(found) < FEWEST_STUDIES:
        values = [row.difference.value for _, row in _compared(found, one) if row.difference]
        low, _, high = quantiles(values, n=4, method="inclusive") if len(values) > 1 else (None, None, None)
    said = number(value, SCORE_DECIMALS, signed=True)
    if low is not None and high is not None:
        said += f" {interval(low, high, SCORE_DECIMALS, signed=True)}"
    word = studies_of(compared.difference)
    return [Mark(one.model.name, value, low, high, said, word, colour, id=one.model.id)]


def views_table(found: Standings) -> Table | None:
    """Return the mean of the primary metric in each of its views; None where it has one alone."""
    task, names = found.comparison.task, {view.id: view.name for view in found.comparison.task.views}
    refs = [ref for ref in task.scores if ref.metric == task.primary.metric]
    if len(refs) < 2:
        return None
    metric = found.comparison.metric
    values = {ref.key: (names.get(ref.view or "", metric.short_name), _score(ref.key)) for ref in refs}
    caption = f"Mean {metric.short_name} in each view, over measured datasets, studies with equal weight"
    return _means(found, "views", caption, values, metric.direction)


def losses_table(found: Standings) -> Table | None:
    """Return what models lose in the primary score when they are shown worse data; None where that was not asked."""
    task, metric = found.comparison.task, found.comparison.metric
    sign = 1 if metric.direction == "higher" else -1

    def lost(key: str) -> Value:
        def value(row: Row) -> float | None:
            score = row.result.score(key)
            return None if score is None or row.score is None else sign * (row.score.value - score.value)

        return value

    keys = {stress.id: score_key(task.primary.metric, task.primary.view, stress.id) for stress in task.stress}
    values = {f"loss:{one.id}": (one.name, lost(keys[one.id])) for one in task.stress}
    caption = f"Mean loss of {metric.short_name} on worse data, over measured datasets, studies with equal weight"
    return _means(found, "worse-data", caption, values, "lower", signed=True)


def _score(key: str) -> Value:
    def value(row: Row) -> float | None:
        score = row.result.score(key)
        return None if score is None else score.value

    return value


def _means(
    found: Standings,
    id_: str,
    caption: str,
    values: dict[str, tuple[str, Value]],
    direction: str,
    *,
    signed: bool = False,
) -> Table | None:
    """Return one row for each model and a mean in each column; models on fewer datasets than others stand below."""
    better: Direction = "higher" if direction == "higher" else "lower"
    columns = (
        Column("model", "Model"),
        Column("datasets", "Datasets", ("", "studies"), numeric=True, hover="Measured datasets, of those of any model"),
        *(
            Column(key, label, ("", "datasets"), numeric=True, direction=better, by_text=True)
            for key, (label, _) in values.items()
        ),
    )
    scored = [(one, [_known(found, one, value) for _, value in values.values()]) for one in found.models]
    whole = max((len(some) for _, entries in scored for some in entries), default=0)
    rows = []
    for one, entries in scored:
        most = max(entries, key=len, default=[])
        if not most:
            continue
        n = len(most)
        cells = (
            Cell(one.model.name, (one.model.id,), href=f"models/{one.model.id}/"),
            Cell(f"{n} of {whole}", (n, len({entry.study for entry in most}))),
            *(_mean_cell(some, n, signed=signed) for some in entries),
        )
        rows.append(TableRow(cells, group="" if n == whole else "fewer"))
    rows.sort(key=lambda row: row.group)
    return Table(id_, caption, columns, tuple(rows), _FEWER) if rows else None


def _mean_cell(entries: list[Entry], most: int, *, signed: bool) -> Cell:
    mean, n = aggregate(entries).value if entries else None, len(entries)
    if mean is None:
        return Cell("–", (None, 0), hover="not scored")
    small = "" if n == most else f"on {plural(n, 'dataset')}"
    return Cell(number(mean, SCORE_DECIMALS, signed=signed), (mean, n), small=small)


def _known(found: Standings, one: Standing, value: Value) -> list[Entry]:
    return [entry for entry in _entries(found, one, value) if entry.value is not None]


def _entries(found: Standings, one: Standing, value: Value) -> list[Entry]:
    """Return an entry for each measured dataset; without a value where the model has no row there."""
    rows = [(on.dataset, one.rows.get(on.dataset.id)) for on in found.comparison.measured]
    return [
        Entry(on.study, on.id, "primary", "primary", simulated=False, value=value(row) if row else None)
        for on, row in rows
    ]
