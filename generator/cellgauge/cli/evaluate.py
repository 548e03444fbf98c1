"""The command that scores an embedding of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cellgauge.cli.terminal import fail, json_option, print_json
from cellgauge.report.numbers import interval, number

if TYPE_CHECKING:
    from cellgauge.cards.base import Column
    from cellgauge.cards.project import Cards
    from cellgauge.cards.task import TaskCard
    from cellgauge.results.schema import Score
    from cellgauge.runner.scoring import Scored
    from cellgauge.runner.trial import Trial
    from cellgauge.stats.paired import Difference

_ROLES = {
    "label": "Column of obs with the cell types.",
    "batch": "Column with the batches.",
    "donor": "Column with the donors, who are then kept apart.",
    "species": "Column with the species.",
    "time": "Column with the sampling times, as numbers.",
    "sample": "Column with the samples.",
}
_DECIMALS = 6


def _role_options(command: Any) -> Any:
    for role, text in reversed(_ROLES.items()):
        name = "--labels" if role == "label" else f"--{role}"
        command = click.option(name, role, metavar="KEY", help=text)(command)
    return command


@click.command()
@click.argument("embedding", metavar="EMBEDDING")
@click.argument("path", metavar="DATA.h5ad", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--task", "tasks", multiple=True, metavar="ID", help="May be repeated [default: all that apply].")
@_role_options
@click.option("--seed", "seeds", multiple=True, type=int, default=[42], show_default=True, help="May be repeated.")
@click.option("--matrix", default="X", show_default=True, metavar="X|raw|layers/NAME", help="What baselines use.")
@click.option(
    "--values",
    type=click.Choice(["counts", "log-normalised", "scaled"]),
    help="What the matrix holds [default: told by its numbers].",
)
@click.option("--replicates", type=click.IntRange(min=100), metavar="N", help="Resamples [default: the task's].")
@click.option("--no-baselines", is_flag=True, help="Score the embedding alone.")
@json_option
@click.pass_obj
def evaluate(
    start: Path | None,
    /,
    embedding: str,
    path: Path,
    tasks: tuple[str, ...],
    seeds: tuple[int, ...],
    matrix: str,
    values: Any,
    replicates: int | None,
    no_baselines: bool,
    as_json: bool,
    **roles: str | None,
) -> None:
    """Score EMBEDDING on the cells of DATA.h5ad beside the baselines. No cards are needed.

    EMBEDDING is a .npy file with rows in the order of the data, a .npz file with the arrays embedding and cell_ids, a
    .csv or .tsv file whose first column holds cell ids, an .h5ad file with the embedding in X, or obsm/KEY for one
    that is in the data.
    """
    from cellgauge.cards.project import find_project, load_cards

    project = find_project(start)
    cards = load_cards(project)
    columns: dict[Column, str] = {role: name for role, name in roles.items() if name is not None}  # type: ignore[misc]
    chosen = _tasks(cards, tasks, set(columns), seeds, replicates)
    try:
        from cellgauge.runner.trial import open_data, read_embedding, try_tasks
    except ModuleNotFoundError as error:
        fail(f"Evaluating needs more than building a site (no module named {error.name}): pip install 'cellgauge[run]'")

    of_samples = all(task.unit == "sample" for task in chosen)
    data = open_data(path, columns, matrix=matrix, values=values, label_of="sample" if of_samples else "cell")
    cells, with_ids = read_embedding(embedding, path, data.contents.cell_ids)
    if not as_json:
        click.echo(f"{embedding}: {cells.shape[0]:,} cells × {cells.shape[1]:,} dimensions")
        if not with_ids:
            click.echo("It brings no cell ids: its rows are taken to be in the order of the data.")
        if not no_baselines:
            told = "" if values else ", as its numbers tell; --values says otherwise"
            click.echo(f"Baselines are made from {matrix} ({data.card.matrix.values} values{told}).")
    found = []
    for trial in try_tasks(project, cards, data, cells, chosen, beside=not no_baselines):
        found.append(trial)
        if not as_json:
            click.echo("\n" + "\n".join(_lines(cards, trial)))
    if as_json:
        about = {"embedding": embedding, "data": str(path), "matched_by": "cell id" if with_ids else "position"}
        print_json({**about, "tasks": [_as_dict(trial) for trial in found]})
    if (tasks and any(trial.scored is None for trial in found)) or all(trial.scored is None for trial in found):
        raise SystemExit(1)


def _tasks(
    cards: Cards, ids: tuple[str, ...], given: set[str], seeds: tuple[int, ...], replicates: int | None
) -> list[TaskCard]:
    """Return the tasks to evaluate, with the seeds that were asked for."""
    usable = [one for one in cards.tasks.values() if one.implementation and one.input == "embedding"]
    if ids:
        usable = [cards.tasks[one] for one in cards.select("tasks", ids)]
    else:
        # Labels are taken for those of cells; whoever means samples asks for the task.
        usable = [one for one in usable if set(one.requires) <= given and one.unit != "sample"]
    option = {"label": "labels"}
    for task in usable:
        lacking = [f"--{option.get(role, role)}" for role in task.requires if role not in given]
        if task.input != "embedding":
            raise click.UsageError(f"{task.id} scores {task.input}s, not embeddings.")
        if task.implementation is None:
            raise click.UsageError(f"{task.id} is planned and cannot be run yet.")
        if lacking:
            raise click.UsageError(f"{task.id} needs {' and '.join(lacking)}.")
    if not usable:
        raise click.UsageError("No task can be evaluated without annotation: give --labels, or another column.")
    changed: dict[str, Any] = {"seeds": list(dict.fromkeys(seeds))}
    if replicates is not None:
        changed["replicates"] = replicates
    return [one.model_copy(update={"protocol": one.protocol.model_copy(update=changed)}) for one in usable]


def _lines(cards: Cards, trial: Trial) -> list[str]:
    """Return a trial as text: a line a score, the baselines beside it."""
    from cellgauge.report.details import read_details
    from cellgauge.report.score_names import name_of_score

    task, seeds = trial.task, ", ".join(map(str, trial.task.protocol.seeds))
    head = f"{task.name} (protocol version {task.protocol.version}, seed{'s' * (',' in seeds)} {seeds})"
    if trial.scored is None:
        return [head, f"  no scores: {trial.why}"]
    names = {ref.key: name_of_score(cards, task, ref.key) for ref in task.scores}
    beside = {cards.models[model].name: _by_key(scores) for model, scores in trial.references.items()}
    rows = [["", "yours", "interval", *beside]]
    for score in trial.scored.scores:
        others = [one.get(score.key) for one in beside.values()]
        mark = " (primary)" if score.key == task.primary.key else ""
        rows.append(
            [
                f"{names[score.key]}{mark}",
                _number(score),
                interval(score.interval.low, score.interval.high) if score.interval else "none",
                *(_number(one) if one else "–" for one in others),
            ]
        )
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    lines = [head]
    for name, *cells in rows:
        padded = "  ".join(cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True))
        lines.append(f"  {name.ljust(widths[0])}  {padded}".rstrip())
    lines += [f"  {names[one.key]}: no value: {one.reason}" for one in trial.scored.undefined]
    lines += [f"  {cards.models[model].name}: {why}" for model, why in trial.absent.items()]
    primary = next((one for one in trial.scored.scores if one.key == task.primary.key), None)
    if primary is not None and primary.interval is not None:
        lines.append(f"  interval: {primary.interval.method}")
    lines += [f"  {name}: {text}" for name, text in read_details(trial.details, task.protocol.seeds).facts]
    baseline = cards.models[task.compared_with].name
    if trial.difference is not None:
        shown = _difference(trial.difference)
        lines.append(f"  {names[task.primary.key]}, difference to {baseline} (positive: yours is better): {shown}")
    if task.guard is not None and trial.guarded is not None:
        kept = "does" if task.guard.is_kept(trial.guarded.low) else "does not: a gain is in doubt"
        lines.append(
            f"  {names[task.guard.key]}, difference to {baseline}: {_difference(trial.guarded)}; "
            f"its interval has to lie above −{task.guard.margin:g} for a gain to count, and {kept}"
        )
    return lines


def _difference(found: Difference) -> str:
    between = interval(found.low, found.high, signed=True)
    return f"{number(found.value, signed=True)} {between}, p = {found.p:.3g}"


def _number(score: Score) -> str:
    return f"{score.value:.{_DECIMALS}f}"


def _by_key(scores: Scored) -> dict[str, Score]:
    return {score.key: score for score in scores.scores}


def _as_dict(trial: Trial) -> dict[str, Any]:
    found = trial.scored
    return {
        "task": trial.task.id,
        "protocol_version": trial.task.protocol.version,
        "seeds": trial.task.protocol.seeds,
        "primary": trial.task.primary.key,
        "no_scores": trial.why,
        "scores": [one.model_dump(mode="json") for one in found.scores] if found else [],
        "undefined": [one.model_dump(mode="json") for one in found.undefined] if found else [],
        "details": trial.details,
        "baselines": {
            model: {score.key: score.value for score in scores.scores} for model, scores in trial.references.items()
        },
        "baselines_without_scores": trial.absent,
        "difference_to_baseline": None if trial.difference is None else vars(trial.difference),
        "guarded_difference_to_baseline": None if trial.guarded is None else vars(trial.guarded),
    }
