"""The commands about cards, releases and the site."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from cellgauge.cli.data import check_data, data
from cellgauge.cli.evaluate import evaluate
from cellgauge.cli.fingerprint import fingerprint
from cellgauge.cli.imports import import_results
from cellgauge.cli.model import model as models_here
from cellgauge.cli.new import new
from cellgauge.cli.publish import publish
from cellgauge.cli.releases import check_release, diff, freeze, verify
from cellgauge.cli.terminal import Group, fail, json_option, print_json, terminated_like_interrupted
from cellgauge.cli.transfers import transfers

Command = TypeVar("Command", bound=Callable[..., Any])

if TYPE_CHECKING:
    from cellgauge.cards.problems import Problem
    from cellgauge.cards.project import Cards, Project
    from cellgauge.runner.plan import Filters

_AS_EXPECTED = ("done", "already done", "not_applicable", "not_run", "needs_gpu", "weights_unavailable")
"""How an evaluation may end without anything being wrong: a task's rules exclude some data, as those of two donors, or
this machine lacks what a container needs, which is said."""


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="cellgauge", message="%(prog)s %(version)s")
@click.option(
    "--project",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The folder with mkdocs.yml and site_src/ [default: the nearest one upwards].",
)
@click.pass_context
def main(ctx: click.Context, project: Path | None) -> None:
    """Evaluate single-cell models offline and publish the results as a static site."""
    ctx.obj = project


def _release_option(*, required: bool) -> Callable[[Command], Command]:
    text = "Name of the release, a folder in results/."
    return click.option("--release", required=required, callback=check_release, metavar="R", help=text)


def _filters(command: Command) -> Command:
    for name, what in (("task", "ID"), ("dataset", "ID"), ("model", "ID|CARD.md")):
        text = f"Only this {name}; may be repeated."
        if name == "model":
            text += " A path to a card tries a model that is not in the project."
        command = click.option(f"--{name}", f"{name}s", multiple=True, metavar=what, help=text)(command)
    return command


main.add_command(data)
main.add_command(evaluate)
main.add_command(fingerprint)
main.add_command(models_here)
main.add_command(new)
main.add_command(freeze)
main.add_command(verify)
main.add_command(diff)
main.add_command(publish)
main.add_command(import_results)


@main.command()
@click.option("--data", "with_data", is_flag=True, help="Also load and check every dataset that is on this machine.")
@json_option
@click.pass_obj
def validate(start: Path | None, /, with_data: bool, as_json: bool) -> None:
    """Check all cards: every problem as FILE:LINE: key: what is wrong."""
    from cellgauge.cards.problems import CardProblems
    from cellgauge.cards.project import FOLDERS, find_project, load_cards

    project = find_project(start)
    problems: list[Problem] = []
    counts: dict[str, int] = {}
    checked: list[dict[str, Any]] = []
    try:
        cards = load_cards(project)
        counts = {kind: len(getattr(cards, kind)) for kind in FOLDERS}
        if with_data:
            checked, problems = check_data(project, cards, say=None if as_json else click.echo)
    except CardProblems as error:
        problems = error.problems
    if as_json:
        found = {"cards": counts, "problems": [vars(problem) for problem in problems]}
        print_json({**found, "data": checked} if with_data else found)
    elif problems:
        click.echo("\n".join(map(str, problems)), err=True)
        click.echo(f"{len(problems)} problem{'s' * (len(problems) != 1)}.", err=True)
    else:
        click.echo(
            "All cards are valid: "
            + ", ".join(f"{count} {kind[: -1 if count == 1 else None]}" for kind, count in counts.items())
            + "."
        )
    raise SystemExit(1 if problems else 0)


@main.command()
@_release_option(required=True)
@_filters
@json_option
@click.pass_obj
def plan(start: Path | None, /, release: str, as_json: bool, **chosen: tuple[str, ...]) -> None:
    """Show the matrix: what will run, what is done, what never will and why."""
    from cellgauge.runner.plan import make_plan, select, stored_for
    from cellgauge.runner.status import pair_name

    project, cards, filters = _open(start, release, **chosen)
    pairs = select(make_plan(project, cards, release, filters), filters)
    rows = []
    for pair in pairs:
        stored = stored_for(project.release(release), pair) if pair.status == "to_run" else None
        state, reason = (stored.state, stored.why) if stored else ("never", pair.reason)
        rows.append({**pair.model_dump(), "state": state, "reason": reason})
    if as_json:
        print_json({"release": release, "pairs": rows})
        return
    for row in rows:
        if row["state"] != "never":
            state = "will run" if row["state"] == "missing" else row["state"]
            click.echo(f"{pair_name(row)}: {state}{': ' + row['reason'] if row['reason'] else ''}")
    never = Counter(f"{row['status']}: {row['reason']}" for row in rows if row["state"] == "never")
    for why, count in never.items():
        click.echo(f"{count} pair{'s' * (count != 1)}: {why}")
    click.echo(_counted(Counter(str(row["state"]) for row in rows), {"missing": "to run", "never": "not to be run"}))


@main.command()
@_release_option(required=True)
@_filters
@click.option("--jobs", type=click.IntRange(min=1), metavar="N", help="Worker processes [default: one a core].")
@click.option(
    "--time-limit",
    type=click.FloatRange(min=0, min_open=True),
    metavar="MINUTES",
    help="Stop a single embedding or evaluation after this long [default: 60].",
)
@click.option("--scheduler", metavar="ADDRESS", help="Run on the workers of this Dask scheduler (tcp://HOST:PORT).")
@click.option("--again", is_flag=True, help="Compute also what is done, embeddings included.")
@click.option("--retry", multiple=True, metavar="STATUS", help="Try empties of this status again; may be repeated.")
@json_option
@click.pass_obj
def run(
    start: Path | None,
    /,
    release: str,
    jobs: int | None,
    time_limit: float | None,
    scheduler: str | None,
    again: bool,
    retry: tuple[str, ...],
    as_json: bool,
    **chosen: tuple[str, ...],
) -> None:
    """Evaluate what is missing. Resumes where it stopped; safe to kill."""
    from cellgauge.results.profile import profile_is_current
    from cellgauge.results.schema import EXPLANATION
    from cellgauge.runner.maps import maps_to_make
    from cellgauge.runner.plan import pairs_to_run, save_plan, select, stored_for

    for status in retry:
        if status not in EXPLANATION or status == "done":
            known = ", ".join(one for one in EXPLANATION if one != "done")
            raise click.BadParameter(f'unknown status "{status}"; known: {known}', param_hint="--retry")
    if scheduler and (jobs or time_limit):
        raise click.UsageError("--jobs and --time-limit are for workers on this machine, not for --scheduler.")
    project, cards, filters = _open(start, release, **chosen)
    folder = project.release(release)
    made = save_plan(project, cards, release, filters, rehearsal=_is_rehearsal(release))
    pairs = pairs_to_run(folder, made, filters, again=again, retry=retry)
    named = dict.fromkeys(pair.dataset for pair in select(made, filters))
    pinned = [cards.datasets[one] for one in named if cards.datasets[one].pinned]
    to_count = [card.id for card in pinned if not profile_is_current(folder, card)]
    maps = maps_to_make(project, cards, made, filters, pairs, again=again, retry=retry)
    if not pairs and not to_count and not maps:
        stored = [stored_for(folder, pair) for pair in select(made, filters) if pair.status == "to_run"]
        empty: Counter[str] = Counter(
            one.result.status
            for one in stored
            if one.result is not None and one.state == "empty" and one.result.status not in _AS_EXPECTED
        )
        if as_json:
            print_json({"release": release, "computed": {}, "without_scores": dict(empty)})
        elif not empty:
            click.echo(f"Nothing to do: release {release} is up to date.")
        if empty:
            retries = " ".join(f"--retry {name}" for name in empty)
            fail(f"Nothing new to do. Ended without scores: {_counted(empty)} To try them again add: {retries}")
        return
    try:
        from cellgauge.data.store import cache_folder
        from cellgauge.runner.calling import remove_abandoned_containers
        from cellgauge.runner.dask_workers import DaskWorkers
        from cellgauge.runner.execute import execute
        from cellgauge.runner.fetching import fetch_datasets
        from cellgauge.runner.progress import progress
        from cellgauge.runner.steps import Context
        from cellgauge.runner.workers import LocalWorkers, Workers
    except ModuleNotFoundError as error:
        fail(f"Evaluating needs more than building a site (no module named {error.name}): pip install 'cellgauge[run]'")

    cache = cache_folder()
    cache.mkdir(parents=True, exist_ok=True)
    context = Context(project, cards, release, again, cache)
    workers: Workers
    if scheduler:
        workers = DaskWorkers(scheduler, [project.source, project.work, cache])
    else:
        workers = LocalWorkers(
            min(jobs or os.cpu_count() or 1, len(pairs) or len(to_count) or len(maps)), 60 * (time_limit or 60)
        )
    try:
        with terminated_like_interrupted():
            with transfers(quiet=as_json) as show:
                needed = dict.fromkeys(
                    [*(pair.dataset for pair in pairs), *to_count, *(dataset for dataset, _ in maps)]
                )
                unobtained = fetch_datasets(context, needed, show)
            for dataset, why in unobtained.items():
                click.echo(f"{dataset}: {why}", err=True)
            pairs = [pair for pair in pairs if pair.dataset not in unobtained]
            to_count = [dataset for dataset in to_count if dataset not in unobtained]
            maps = [place for place in maps if place[0] not in unobtained]
            with progress(len(pairs) + len(maps), quiet=as_json) as report, workers:
                ended = execute(context, pairs, workers, report, to_count=to_count, maps=maps)
    except KeyboardInterrupt:
        remove_abandoned_containers(cards.models[pair.model] for pair in pairs)
        fail(f"Stopped. What had finished is kept; the same command{' without --again' * again} goes on.")
    not_counted, drawn, not_drawn = (ended.pop(one, 0) for one in ("dataset not counted", "map", "map not drawn"))
    counted = len(to_count) - sum(not profile_is_current(folder, cards.datasets[one]) for one in to_count)
    if as_json:
        print_json(
            {
                "release": release,
                "computed": dict(ended),
                "datasets_counted": counted,
                "maps_drawn": drawn,
                "not_obtained": unobtained,
            }
        )
    else:
        words = _counted(ended) if ended else "nothing to evaluate."
        more = f" Datasets counted: {counted}." * bool(counted) + f" Maps drawn: {drawn}." * bool(drawn)
        click.echo(f"Release {release}: {words}{more}")
    bad = sum(count for status, count in ended.items() if status not in _AS_EXPECTED)
    problems = []
    if bad:
        problems.append(f"{bad} evaluation{'s' * (bad != 1)} gave no scores; see: cellgauge status --release {release}")
    if not_counted:
        problems.append(f"{not_counted} dataset{'s' * (not_counted != 1)} could not be loaded.")
    if not_drawn:
        problems.append(f"{not_drawn} map{'s' * (not_drawn != 1)} could not be drawn; no score depends on them.")
    if unobtained:
        problems.append(f"Could not be obtained, and not run: {', '.join(unobtained)}. The same command tries again.")
    if problems:
        fail("\n".join(problems))


@main.command()
@_release_option(required=True)
@json_option
@click.pass_obj
def status(start: Path | None, /, release: str, as_json: bool) -> None:
    """Count results by status, and say what is missing and why."""
    from cellgauge.cards.project import find_project
    from cellgauge.runner.status import release_status

    found = release_status(find_project(start), release)
    if as_json:
        print_json(found.as_dict())
        return
    for line in found.lines():
        click.echo(line)


@main.command()
@_release_option(required=False)
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Where the site goes [default: site/].")
@click.option("--site-url", metavar="URL", help="Where the site will be, if by itself.")
@click.option(
    "--root-url",
    metavar="URL",
    help="Where all frozen releases are, each below its name [default: site_url in mkdocs.yml].",
)
@click.option("--again", is_flag=True, help="Also when nothing has changed since the site was built.")
@click.pass_obj
def build(
    start: Path | None,
    /,
    release: str | None,
    out: Path | None,
    site_url: str | None,
    root_url: str | None,
    again: bool,
) -> None:
    """Build the site of a release [default: the newest]."""
    from cellgauge.cards.project import find_project
    from cellgauge.report.build import build_site

    project = find_project(start)
    if site_url is not None and root_url is not None:
        raise click.UsageError("give --site-url for a site by itself, or --root-url for one of many releases")
    out = out or project.work / "site"
    build_site(project, release, out, site_url=site_url, root_url=root_url, again=again, say=click.echo)


@main.command()
@_release_option(required=False)
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True)
@click.pass_obj
def serve(start: Path | None, /, release: str | None, port: int) -> None:
    """Serve the site on this machine, and build it again whenever a source changes."""
    from cellgauge.cards.project import find_project
    from cellgauge.report.serve import serve as serve_site

    project = find_project(start)
    serve_site(project, release, port, say=click.echo)


_EXPORTED = ("csv", "json", "parquet", "croissant", "ro-crate", "huggingface")


@main.command()
@click.argument("release", callback=check_release)
@click.option("--format", "kind", type=click.Choice(_EXPORTED), required=True)
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), default=".", help="Folder to write to [default: here]."
)
@click.pass_obj
def export(start: Path | None, /, release: str, kind: str, out: Path) -> None:
    """Write all scores of RELEASE as one long table.

    Or the whole of it as a zip to deposit (ro-crate), or the primary scores of each model as the file that its
    repository on the Hugging Face Hub takes (huggingface).
    """
    from cellgauge.cards.project import find_project
    from cellgauge.exchange.crate import export_crate
    from cellgauge.exchange.croissant import export_croissant
    from cellgauge.exchange.described import cited_rows
    from cellgauge.exchange.huggingface import export_huggingface
    from cellgauge.exchange.table import export_table

    project = find_project(start)
    if kind == "huggingface":
        for path, n_entries in export_huggingface(project, release, out).items():
            click.echo(f"{path}: {n_entries} {'entry' if n_entries == 1 else 'entries'}")
        return
    if kind in ("croissant", "ro-crate"):
        cited, rows = cited_rows(project, release)
        made = export_crate(project, rows, cited, out) if kind == "ro-crate" else export_croissant(rows, cited, out)
        click.echo(f"{made}: {len(rows)} rows")
        return
    path, n_rows = export_table(project, release, kind, out)
    click.echo(f"{path}: {n_rows} rows")


def _open(
    start: Path | None, release: str, models: tuple[str, ...], datasets: tuple[str, ...], tasks: tuple[str, ...]
) -> tuple[Project, Cards, Filters]:
    """Find the project, read its cards, and turn filters into ids; a model from outside is adopted by the release."""
    from cellgauge.cards.project import find_project, load_cards
    from cellgauge.results.manifest import refuse_frozen, refuse_reported
    from cellgauge.runner.adopt import adopt
    from cellgauge.runner.plan import Filters

    project = find_project(start)
    refuse_frozen(project, release)
    refuse_reported(project, release)
    for model in models:
        if model.endswith(".md") and not Path(model).is_file():
            raise click.BadParameter(f"no card at {model}", param_hint="--model")
    ids = [adopt(Path(model), project.release(release)) if model.endswith(".md") else model for model in models]
    return project, load_cards(project, release), Filters(ids, list(datasets), list(tasks))


def _is_rehearsal(release: str) -> bool:
    """Whether a release is made to try things, not to be cited: any whose name is not a date."""
    return not release[:1].isdigit()


def _counted(counts: Counter[str], words: dict[str, str] | None = None) -> str:
    parts = [f"{count} {(words or {}).get(name, name.replace('_', ' '))}" for name, count in counts.most_common()]
    return ", ".join(parts) + "."
