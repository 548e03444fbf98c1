"""Tables and figures that look across results: a model's scorecard, a dataset's scores, what controls measure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from statistics import quantiles

from cellgauge.cards import MetricCard, ModelCard
from cellgauge.report import cells
from cellgauge.report.charts import GREY, WORDS, Figure, Mark
from cellgauge.report.colours import in_one_chart
from cellgauge.report.comparison import TaskComparison
from cellgauge.report.dataset_comparison import BESIDE, DatasetComparison, Row
from cellgauge.report.leaderboard import mark_of, ranks_of, word_of
from cellgauge.report.numbers import SCORE_DECIMALS, interval, listing, number
from cellgauge.report.release import ReleaseView
from cellgauge.report.standing import MANY_DATASETS
from cellgauge.report.tables import Cell, Column, Table, alphabetical
from cellgauge.report.tables import Row as TableRow
from cellgauge.results.schema import Result, Score

Comparisons = dict[str, TaskComparison]


def colour_of(colours: dict[str, str], model: ModelCard) -> str:
    """Return a model's colour: its own, ink for a simple baseline, grey for a control or a repeat."""
    return GREY if model.counts_as in BESIDE else colours.get(model.id, "var(--cg-ink)")


def evaluations(
    view: ReleaseView,
    comparisons: Comparisons,
    results: Iterable[Result],
    id_: str,
    caption: str,
    *,
    without: Collection[str] = (),
) -> Table:
    """Return a table of evaluations, one row each, with primary score and difference.

    Parameters
    ----------
    without
        Columns that are the same in every row: ``task``, ``dataset`` or ``model``.
    """
    columns = [
        Column("task", "Task", choices=True),
        Column("dataset", "Dataset", choices=True),
        Column("model", "Model", choices=True),
        Column("score", "Primary score", ("", "low", "high"), numeric=True),
        Column("verdict", "Verdict", choices=True),
        Column("metric", "Which score"),
        Column("difference", "vs baseline", ("", "low", "high", "adjusted_p"), numeric=True, direction="higher",
               hover="Signed so that positive is better"),
        Column("ranks", "Ranks", ("first", "last"), numeric=True, direction="lower",
               hover="The ranks it may have among models and baseline on this dataset"),
        cells.WALL,
        cells.MEMORY,
        cells.GPU,
        cells.LEAKAGE_COLUMN,
        Column("result", "Result"),
    ]  # fmt: skip
    results = list(results)
    found = [comparisons[result.task.id].on(result.dataset.id) for result in results]
    decimals = max((one.decimals for one in found if one), default=SCORE_DECIMALS)
    rows = [_evaluation(view, comparisons[result.task.id], result, decimals) for result in results]
    rows.sort(key=lambda row: [alphabetical(cell.text) for cell in row.cells[:3]])
    if view.is_reported:
        has_cost = any(result.resources for result in results)
        without = [*without, *_NOT_REPORTED, *([] if has_cost else [cells.WALL.key, cells.MEMORY.key])]
        caption += f", reported by {view.meta.reported.source}" if view.meta and view.meta.reported else ""
    kept = [column.key for column in columns if column.key not in without]
    if any(result.leakage.leakage_class for result in results):
        caption += f". Leakage: {cells.NOT_AUDITED}"
    table = Table(id_, caption, tuple(columns), tuple(rows), sorted_by=(kept[0], "ascending"))
    return table.part(id_, caption, columns=kept)


_NOT_REPORTED = ("verdict", "difference", "ranks", "gpu_memory_mb")
"""Columns that results of others cannot fill."""


def _evaluation(view: ReleaseView, comparison: TaskComparison, result: Result, decimals: int) -> TableRow:
    cards, task = view.cards, comparison.task
    model = cards.models[result.model.id]
    one = comparison.on(result.dataset.id)
    row = one.row(model.id) if one else None
    href = cells.page_of(result)
    if row is None:
        status = Cell(cells.status_text(result.status), small=view.outdated(result) or "", tone="control")
        score = status if view.is_reported else cells.score_cell(None)
        said, apart, ranks = status, cells.difference_cell(None), Cell("–", (None, None))
    else:
        score = cells.score_cell(row.score)
        if view.is_reported and row.score is not None:
            score = score._replace(small="reported")
        said = word_of(row)._replace(small=row.note or "" if row.outdated else "")
        apart = cells.difference_cell(row.difference, p=row.adjusted_p, decimals=decimals)
        ranks = ranks_of(row, one.n_ranks if one else None)
    metric = cards.metrics[task.primary.metric]
    return TableRow(
        (
            cells.task_cell(task),
            cells.dataset_cell(cards.datasets[result.dataset.id]),
            cells.model_cell(model, role=row.role if row else None, fit=False, gates=result.gates),
            score,
            said,
            Cell(metric.short_name, (task.primary.key,), href=f"metrics/{metric.id}/"),
            apart,
            ranks,
            cells.wall_cell(result.resources),
            cells.memory_cell(result.resources),
            cells.gpu_cell(result),
            cells.leakage_cell(result),
            Cell("open", (result.result_id,), href=href),
        )
    )


def gates_table(view: ReleaseView, model: str) -> Table | None:
    """Return what the sanity gates found of a model, a row for each dataset; None where none was run."""
    by_dataset = {
        result.dataset.id: result.gates
        for result in view.select(model=model)
        if result.gates and view.outdated(result) is None
    }
    names = cells.gate_names(view.cards.models[model])
    columns = (
        Column("dataset", "Dataset"),
        *(Column(name, words.capitalize(), ("", "evidence")) for name, words in names.items()),
    )
    rows = []
    for dataset, gates in by_dataset.items():
        found = {gate.name: gate for gate in gates}
        rows.append(
            TableRow(
                (
                    cells.dataset_cell(view.cards.datasets[dataset]),
                    *(cells.gate_cell(found.get(name)) for name in names),
                )
            )
        )
    rows.sort(key=lambda row: alphabetical(row.cells[0].text))
    table = Table("gates", "Sanity checks, by dataset", columns, tuple(rows), sorted_by=("dataset", "ascending"))
    return table if rows else None


MOST_IN_SCORECARD = 40
"""Of a task with many datasets, a model that has more differences than this shows one row."""
MEDIAN_OF = ", median of "
"""Such a row is named by its task, this, and how many datasets there are."""


def scorecard(comparisons: Comparisons, model: ModelCard, colour: str) -> Figure | None:
    """Return a model's differences to the baseline, one row a task and dataset.

    Of more than 40 of them, those of a task with more than 12 measured datasets become one row: their median, and
    their middle half.
    """
    found = [
        (comparison, one, row)
        for comparison in comparisons.values()
        for one in comparison.datasets
        if (row := one.row(model.id)) and row.difference is not None
    ]
    decimals = max((one.decimals for _, one, _ in found), default=SCORE_DECIMALS)
    marks = []
    for comparison in comparisons.values():
        own = [each for each in found if each[0] is comparison]
        counted = {one.dataset.id for one in comparison.measured}
        many = [each for each in own if each[1].dataset.id in counted]
        if len(found) > MOST_IN_SCORECARD and len(many) > MANY_DATASETS:
            marks.append(_over_datasets(many, colour, decimals))
            own = [each for each in own if each[1].dataset.id not in counted]
        marks += [_against_baseline(*each, colour, decimals) for each in own]
    if not marks:
        return None
    said = [f"{mark.label} {mark.numbers} {mark.word}".strip() for mark in marks]
    return Figure(
        marks=tuple(marks),
        axis="Difference to the task's baseline in its primary score: right is better",
        short_axis="Difference to the baseline: right is better",
        description=f"{model.name}, difference to each task's baseline: {listing(said)}.",
        reference=0.0,
        id="scorecard",
        title=f"{model.name}: difference to the baseline of each task",
        names=Column("evaluation", "Task and dataset"),
        values=Column("difference", "vs baseline", ("", "low", "high"), numeric=True),
    )


def _over_datasets(some: list[tuple[TaskComparison, DatasetComparison, Row]], colour: str, decimals: int) -> Mark:
    values = [row.difference.value for _, _, row in some if row.difference is not None]
    low, middle, high = quantiles(values, n=4, method="inclusive")
    words = [row.word for _, _, row in some]
    return Mark(
        label=f"{some[0][0].task.name}{MEDIAN_OF}{len(some)} datasets",
        value=middle,
        low=low,
        high=high,
        numbers=f"{number(middle, decimals, signed=True)} {interval(low, high, decimals, signed=True)}",
        word=f"better on {words.count('better')}, worse on {words.count('worse')}",
        colour=colour,
    )


def _against_baseline(comparison: TaskComparison, one: DatasetComparison, row: Row, colour: str, decimals: int) -> Mark:
    several = len(comparison.datasets) > 1
    label = f"{comparison.task.name}, {one.dataset.name}" if several else comparison.task.name
    says_so = several and one.dataset.name.lower().startswith("simulated")
    label = label if one.dataset.evidence != "simulated" or says_so else f"{label} (simulated)"
    return mark_of(row, label, colour, decimals)


def scores_on(
    comparison: TaskComparison, one: DatasetComparison, colours: dict[str, str], *, few: bool = False
) -> Figure | None:
    """Return the primary score of every model on one dataset, with a line at the baseline.

    Parameters
    ----------
    few
        Leave out controls and keep to six models, for a small figure among others.
    """
    colours = in_one_chart(colours, [row.model.id for row in one.ranked])
    by = f", reported by {comparison.reported_by}" if comparison.reported_by else ""
    marks = []
    for row in one.ranked[:6] if few else one.rows:
        if row.score is None:
            continue
        low, high, numbers = _drawn(row.score)
        marks.append(
            Mark(
                id=row.model.id,
                label=row.model.name,
                value=row.score.value,
                low=low,
                high=high,
                numbers=numbers,
                word=row.role if row.role != "model" else row.word or "",
                colour=colour_of(colours, row.model),
                below=row.role in BESIDE,
                faint=tuple(row.score.by_seed) if len(row.score.by_seed) > 1 else (),
            )
        )
    if not marks:
        return None
    reference = comparison.reference
    base = one.row(reference.id) if reference else None
    line = base.score.value if base and base.score else None
    agreement = replicate_agreement(one, comparison.task.primary.key)
    said = [f"{mark.label} {number(mark.value)}" for mark in marks]
    if agreement is not None:
        said.append(f"agreement of replicates {number(agreement)}")
    direction = "right" if comparison.metric.direction == "higher" else "left"
    return Figure(
        marks=tuple(marks),
        axis=f"{comparison.score_name}{' (reported)' if by else ''}: {direction} is better"
        + (f"; the line is {reference.name}" if reference and line is not None else "")
        + ("; dashed, the agreement of replicates" if agreement is not None else ""),
        short_axis=f"{comparison.metric.short_name}{' (reported)' if by else ''}: {direction} is better",
        description=f"{comparison.score_name} on {one.dataset.name}{by}: {listing(said)}.",
        reference=line,
        dashed=agreement,
        bounds=(comparison.metric.range.min, comparison.metric.range.max),
        id=f"scores-{comparison.task.id}",
        title=f"{comparison.task.name} on {one.dataset.name}: {comparison.score_name}{by}",
        names=Column("model", "Model"),
        values=Column(comparison.task.primary.key, comparison.metric.short_name, ("", "low", "high"), numeric=True),
        words=Column("role", "Role") if by else WORDS,
    )


def replicate_agreement(one: DatasetComparison, key: str) -> float | None:
    """Return what one half of the measured cells scores against the other, the mean over seeds.

    It is the same for every model. A reference and no ceiling: a good model pools over more cells than one half.
    """
    values: list[float] = []
    for row in one.rows[:1]:
        by_seed = row.result.details.get("by_seed")
        for seed in [row.result.details, *(by_seed if isinstance(by_seed, list) else [])]:
            halves = seed.get("replicate_agreement") if isinstance(seed, dict) else None
            value = halves.get(key) if isinstance(halves, dict) else None
            values += [float(value)] if isinstance(value, int | float) else []
    return sum(values) / len(values) if values else None


def _drawn(score: Score) -> tuple[float | None, float | None, str]:
    """Return the ends of a score's bar and its numbers; without an interval there is no bar."""
    if score.interval is None:
        return None, None, f"{number(score.value)}, no interval"
    low, high = score.interval.low, score.interval.high
    return low, high, f"{number(score.value)} {interval(low, high)}"


def controls_by(view: ReleaseView, metric: MetricCard) -> Table | None:
    """Return what the controls measured by one metric in this release: the null that a score is read against."""
    columns = (
        Column("model", "Control", choices=True),
        Column("expected", "Expected", choices=True),
        Column("task", "Task", choices=True),
        Column("dataset", "Dataset", choices=True),
        Column("view", "View"),
        cells.header_of("score", metric.short_name, metric.direction, metric.id),
    )
    rows = []
    for result in view.done:
        model = view.cards.models[result.model.id]
        if not model.is_control or view.outdated(result) is not None:
            continue
        ends = {"best": metric.controls.best, "worst": metric.controls.worst}
        expected = next((end for end, controls in ends.items() if model.id in controls), "")
        task = view.cards.tasks[result.task.id]
        names = {one.id: one.name for one in task.views}
        for score in result.scores:
            if score.metric != metric.id:
                continue
            shown = names.get(score.view or "", "")
            rows.append(
                TableRow(
                    (
                        cells.model_cell(model, href=cells.page_of(result)),
                        Cell(expected or "–", (expected or None,)),
                        cells.task_cell(task),
                        cells.dataset_cell(view.cards.datasets[result.dataset.id]),
                        Cell(shown or "–", (score.view,)),
                        cells.own_score_cell(result, score),
                    )
                )
            )
    if not rows:
        return None
    keys = [column.key for column in columns]
    if all(row.cells[4].raw == (None,) for row in rows):
        keys.remove("view")
    rows.sort(key=lambda row: [alphabetical(row.cells[place].text) for place in (0, 2, 3)])
    caption = f"{metric.name} of the controls in this release"
    table = Table("controls", caption, columns, tuple(rows), sorted_by=("model", "ascending"))
    return table.part("controls", caption, columns=keys)
