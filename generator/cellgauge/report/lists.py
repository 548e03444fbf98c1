"""The lists of datasets, models and metrics."""

from __future__ import annotations

from dataclasses import replace

from cellgauge.cards import DatasetCard, Family, MetricCard, ModelCard
from cellgauge.report import cells
from cellgauge.report.comparison import TaskComparison
from cellgauge.report.leaderboard import GROUPS
from cellgauge.report.numbers import listing, plural
from cellgauge.report.release import ReleaseView
from cellgauge.report.tables import MISSING, Cell, Column, Table, alphabetical
from cellgauge.report.tables import Row as TableRow


def datasets_and_families(view: ReleaseView) -> Table:
    """Return the list of datasets; a family is one row."""
    alone = [card for card in view.cards.datasets.values() if card.family is None]
    rows = [_dataset_row(view, card) for card in alone]
    rows += [_family_row(view, family) for family in view.cards.families.values()]
    n_datasets, n_studies = len(view.cards.datasets), len({card.study for card in view.cards.datasets.values()})
    caption = f"{plural(n_datasets, 'dataset')} of {plural(n_studies, 'study', 'studies')}"
    # What has been opened comes first, then what nobody has opened yet, then what no experiment made.
    order = {"opened": 0, "closed": 1, "simulated": 2}
    groups = {
        "closed": "Not opened yet: no digest says which bytes are meant",
        "simulated": "Simulated: never counted with measured data",
    }
    rows.sort(key=lambda row: (order[row.group], alphabetical(row.cells[0].text)))
    return Table("datasets", caption, _DATASET_COLUMNS, tuple(rows), groups, ("dataset", "ascending"))


def datasets_table(view: ReleaseView, cards: list[DatasetCard], caption: str) -> Table:
    """Return a list of single datasets."""
    in_order = sorted(cards, key=lambda card: alphabetical(card.name))
    rows = [replace(_dataset_row(view, card), group="") for card in in_order]
    return Table("datasets", caption, _DATASET_COLUMNS, tuple(rows), sorted_by=("dataset", "ascending"))


_DATASET_COLUMNS = (
    Column("dataset", "Dataset"),
    Column("organism", "Organism", choices=True),
    Column("modality", "Modality", choices=True),
    Column("cells", "Cells", numeric=True, hover="Counted in the data; – where nobody has loaded them"),
    Column("columns", "Annotated"),
    Column("licence", "Licence"),
    Column("results", "Evaluations", numeric=True),
)


_LICENCE_LETTERS = 24


def _dataset_row(view: ReleaseView, card: DatasetCard) -> TableRow:
    profile = view.profiles.get(card.id)
    group = "simulated" if card.evidence == "simulated" else "opened" if card.pinned else "closed"
    return TableRow(
        (
            cells.dataset_cell(card)._replace(small=card.summary),
            Cell(listing([organism.name for organism in card.organisms])),
            Cell(card.modality),
            Cell(f"{profile.n_cells:,}", (profile.n_cells,)) if profile else MISSING,
            Cell(", ".join(card.columns) or "–"),
            _licence(card),
            _count(view, card),
        ),
        group=group,
    )


def _family_row(view: ReleaseView, family: Family) -> TableRow:
    members = family.members
    names = list(dict.fromkeys(organism.name for card in members for organism in card.organisms))
    counted = [view.profiles[card.id].n_cells for card in members if card.id in view.profiles]
    evaluations = sum(len(view.select(dataset=card.id)) for card in members)
    badges = cells.dataset_badges(members[0]) if not any(card.pinned for card in members) else ()
    return TableRow(
        (
            Cell(
                family.name,
                (family.id,),
                small=f"{plural(len(members), 'dataset')}. {family.summary}",
                href=f"datasets/{family.id}/",
                badges=badges,
            ),
            Cell(listing(names) if len(names) < 4 else plural(len(names), "species", "species")),
            Cell(listing(list(dict.fromkeys(card.modality for card in members)))),
            Cell(f"{sum(counted):,}", (sum(counted),)) if counted else MISSING,
            Cell(", ".join(dict.fromkeys(role for card in members for role in card.columns)) or "–"),
            _licence(members[0]),
            Cell(f"{evaluations}", (evaluations,)),
        ),
        group="opened" if any(card.pinned for card in members) else "closed",
    )


def _licence(card: DatasetCard) -> Cell:
    """Return a licence; one that takes explaining is explained on the dataset's page."""
    if card.licence is None:
        return Cell("not known", (None,))
    short = card.licence.split(";")[0].split(" (")[0]
    return Cell(short if len(short) <= _LICENCE_LETTERS else "see card", (card.licence,), hover=card.licence)


def models_table(view: ReleaseView, comparisons: dict[str, TaskComparison]) -> Table:
    """Return the list of models, then of controls."""
    columns = (
        Column("model", "Model"),
        Column("kind", "Kind", choices=True),
        Column("output", "Delivers", choices=True),
        Column("parameters", "Parameters", numeric=True),
        Column(
            "better",
            "Better than the baseline",
            numeric=True,
            hover="In how many pairs of task and measured dataset; simulated data and demonstrations are not counted",
        ),
        Column("results", "Evaluations", numeric=True),
    )
    order = {"model": 0, "repeat": 1, "baseline": 2, "control": 3}
    rows = []
    for card in sorted(view.cards.models.values(), key=lambda card: (order[card.counts_as], alphabetical(card.name))):
        rows_of = [one.row(card.id) for task in comparisons.values() for one in task.measured]
        judged = [row.word for row in rows_of if row is not None and row.word is not None]
        better = judged.count("better")
        rows.append(
            TableRow(
                (
                    cells.model_cell(card, gates=view.gates_of(card.id))._replace(small=card.summary),
                    Cell("pretrained model" if card.pretrained else card.counts_as),
                    Cell(card.output if card.output != "unknown" else "–", (card.output,)),
                    Cell(f"{card.parameters:,}" if card.parameters is not None else "–", (card.parameters,)),
                    Cell(f"{better} of {len(judged)}" if judged else "–", (better if judged else None,)),
                    _count(view, card),
                ),
                group=card.counts_as,
            )
        )
    groups = {
        "repeat": GROUPS["repeat"],
        "baseline": "Baselines: what models have to beat",
        "control": GROUPS["control"],
    }
    caption = "Models, baselines and controls" + (f"; with scores: {models_in_words(view)}" if view.done else "")
    table = Table("models", caption, columns, tuple(rows), groups, ("model", "ascending"))
    kept = [column.key for column in columns if not (view.is_reported and column.key == "better")]
    return table.part("models", caption, columns=kept)


def models_in_words(view: ReleaseView) -> str:
    """Return how many models, baselines, controls and repeats have scores; how many there are, before any has."""
    scored = {result.model.id for result in view.done}
    roles = [card.counts_as for card in view.cards.models.values() if not scored or card.id in scored]
    said = [plural(roles.count(role), role) for role in ("model", "baseline", "control") if role in roles]
    n_repeats = roles.count("repeat")
    return listing(said + ([plural(n_repeats, "repeat of a model", "repeats of models")] if n_repeats else []))


def metrics_table(view: ReleaseView) -> Table:
    """Return the list of metrics by family."""
    columns = (
        Column("metric", "Metric"),
        Column("short", "Short"),
        Column("family", "Family", choices=True),
        Column("range", "Range"),
        Column("direction", "Better", choices=True),
        Column("tasks", "Tasks"),
    )
    rows = []
    for card in sorted(view.cards.metrics.values(), key=lambda card: (card.family, alphabetical(card.name))):
        tasks = [task.name for task in view.cards.tasks.values() if any(ref.metric == card.id for ref in task.scores)]
        rows.append(
            TableRow(
                (
                    Cell(card.name, (card.id,), small=card.summary, href=f"metrics/{card.id}/"),
                    Cell(card.short_name),
                    Cell(card.family.replace("-", " "), (card.family,)),
                    Cell(range_text(card)),
                    Cell("↑\u00a0higher" if card.direction == "higher" else "↓\u00a0lower", (card.direction,)),
                    Cell(", ".join(tasks) or "–"),
                )
            )
        )
    return Table("metrics", plural(len(rows), "metric"), columns, tuple(rows), sorted_by=("family", "ascending"))


def results_table(view: ReleaseView, task: str | None = None) -> Table:
    """Return how many evaluations each task, or one of them, has on each dataset, with the way to their lists."""
    columns = (
        Column("task", "Task", choices=True),
        Column("dataset", "Dataset", choices=task is None),
        Column("results", "Evaluations", numeric=True),
        Column("done", "With scores", numeric=True),
    )
    rows, every = [], view.select(task=task)
    for one, dataset in dict.fromkeys((result.task.id, result.dataset.id) for result in every):
        results = view.select(task=one, dataset=dataset)
        done, href = sum(result.status == "done" for result in results), f"results/{one}/{dataset}/"
        rows.append(
            TableRow(
                (
                    Cell(view.cards.tasks[one].name, (one,), href=f"results/{one}/"),
                    cells.dataset_cell(view.cards.datasets[dataset]),
                    Cell(f"{len(results):,}", (len(results),), href=href),
                    Cell(f"{done:,}", (done,)),
                )
            )
        )
    rows.sort(key=lambda row: [alphabetical(cell.text) for cell in row.cells[:2]])
    table = Table("results", plural(len(every), "evaluation"), columns, tuple(rows), sorted_by=("task", "ascending"))
    if task is None:
        return table
    kept = [column.key for column in columns if column.key != "task"]
    return replace(table.part("results", table.caption, columns=kept), sorted_by=("dataset", "ascending"))


def range_text(metric: MetricCard) -> str:
    """Return the values that a metric's definition allows."""
    bounds = (metric.range.min, metric.range.max)
    if metric.reported and bounds == (None, None):
        return "not stated by the source"
    low, high = (None if bound is None else f"{bound:g}".replace("-", "−") for bound in bounds)
    if low is None:
        return "any number" if high is None else f"at most {high}"
    return f"{low} or more" if high is None else f"{low} to {high}"


def taken_values(model: ModelCard) -> str:
    """Return what values a model can be given: any one of those that its card names."""
    values = sorted(model.input.values, key=lambda value: value != "counts")
    return listing(list(values), "or") + ("" if values == ["counts"] else " values")


def counts_in_words(view: ReleaseView) -> dict[str, str]:
    """Return what a release holds, each with the part of the site that lists it."""
    done = view.done
    evaluations = plural(len(view.results), "evaluation")
    datasets = {result.dataset.id for result in done} or set(view.cards.datasets)
    tasks = plural(len(view.cards.tasks), "task")
    return {
        "results": f"{evaluations}, {len(done):,} with scores," if view.results else evaluations,
        "models": models_in_words(view),
        "datasets": plural(len(datasets), "dataset"),
        "tasks": f"{len({result.task.id for result in done}):,} of {tasks} evaluated" if view.results else tasks,
    }


def _count(view: ReleaseView, card: DatasetCard | ModelCard) -> Cell:
    results = view.select(dataset=card.id) if isinstance(card, DatasetCard) else view.select(model=card.id)
    return Cell(f"{len(results)}", (len(results),))
