"""The commands that make a release one that can be cited."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import click

from cellgauge.cli.terminal import fail, json_option, print_json


def check_release(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """Refuse what cannot be the name of a release."""
    if value is None:
        return None
    from cellgauge.results.release import fault_of_name

    if fault := fault_of_name(value):
        raise click.BadParameter(f'{fault}, found "{value}"')
    return value


def check_releases(ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse what cannot be the names of releases."""
    for value in values:
        check_release(ctx, parameter, value)
    return values


@click.command()
@click.argument("release", callback=check_release, metavar="R")
@click.option("--date", "day", type=click.DateTime(["%Y-%m-%d"]), help="The date of the release [default: today].")
@click.option("--doi", metavar="DOI", help="Under which it is deposited; a frozen release may be given one later.")
@click.option("--corrects", callback=check_release, metavar="R", help="The frozen release that this one corrects.")
@click.option("--because", metavar="REASON", help="Why it corrects it.")
@click.pass_obj
def freeze(
    start: Path | None,
    /,
    release: str,
    day: dt.datetime | None,
    doi: str | None,
    corrects: str | None,
    because: str | None,
) -> None:
    """Freeze a release: list every file with its digest, and keep the cards as they are. It never changes again."""
    from cellgauge.cards.project import find_project, load_cards
    from cellgauge.report.numbers import plural, size_in_words
    from cellgauge.results.freeze import freeze as freeze_release
    from cellgauge.results.freeze import n_without_result
    from cellgauge.results.store import read_release

    if because is not None and corrects is None:
        raise click.UsageError("--because says why a release corrects another one: name that with --corrects R")
    on = day.date() if day else None
    if on is not None and on > dt.datetime.now(dt.UTC).date() + dt.timedelta(days=1):
        raise click.BadParameter(f"{on} is in the future; expected the day of the freeze", param_hint="--date")
    project = find_project(start)
    cards = load_cards(project, release)
    manifest = freeze_release(project, cards, release, day=on, doi=doi, corrects=corrects, because=because)
    size = size_in_words(sum(one.bytes for one in manifest.files.values()))
    counts = ", ".join(f"{count:,} {status}" for status, count in manifest.counts.items())
    click.echo(f"release {release} is frozen as of {manifest.frozen_on}: {counts}")
    if correction := read_release(project.release(release)).corrects:
        click.echo(f"it corrects release {correction.release}: {correction.reason}")
    click.echo(f"{plural(len(manifest.files), 'file')}, {size}; commit results/{release} and results/releases.json")
    if missing := n_without_result(project.release(release)):
        planned = plural(missing, "planned evaluation")
        click.echo(f"note: without a result: {planned}; see them with: cellgauge status --release {release}")
    if manifest.code.clean is False:
        click.echo("note: files outside results/ differed from the commit that the manifest names")


@click.command()
@click.argument("releases", nargs=-1, callback=check_releases, metavar="[R ...]")
@click.option(
    "--file", "files", multiple=True, type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Say which frozen release a downloaded file is of; may be repeated.",
)  # fmt: skip
@click.option("--site", metavar="URL|FOLDER|s3://…", help="Look also among the pages that are published there.")
@click.option("--endpoint-url", metavar="URL", help="The S3 store of --site [default: what boto3 is set up for].")
@json_option
@click.pass_obj
def verify(
    start: Path | None,
    /,
    releases: tuple[str, ...],
    files: tuple[Path, ...],
    site: str | None,
    endpoint_url: str | None,
    as_json: bool,
) -> None:
    """Check every file of releases [default: of all]: its format, and in a frozen release its digest."""
    from cellgauge.cards.project import find_project
    from cellgauge.report.numbers import listing, plural
    from cellgauge.results.verify import numbers_of_files, places_of, verify_releases

    if files and releases:
        raise click.UsageError("name releases or files, not both")
    if site is not None and not files:
        raise click.UsageError("--site says where else to look for a --file")
    if files:
        project = find_project(start)
        places = {str(file): places_of(project, file) for file in files}
        searched = numbers_of_files(project)
        if site is not None:
            from cellgauge.publish.verify import read_site

            published = read_site(project, site, endpoint_url)
            places = {name: [*found, *published.places_of(Path(name))] for name, found in places.items()}
            searched |= {f"{name} at {site}": len(one.files) for name, one in published.releases.items()}
        if as_json:
            print_json({"files": places})
        else:
            among = listing([f"{plural(count, 'file')} of {name}" for name, count in searched.items()]) or "no files"
            for file, where in places.items():
                unknown = f"no frozen release has this file, byte for byte, among {among}{_hint(Path(file), site)}"
                click.echo(f"{file}: {'; '.join(where) or unknown}")
        if not all(places.values()):
            fail(f"{plural(sum(not where for where in places.values()), 'file')} of no frozen release")
        return
    found = verify_releases(find_project(start), list(releases))
    if as_json:
        print_json({"releases": [one.as_dict() for one in found]})
    else:
        for one in found:
            state = "frozen" if one.is_frozen else "not frozen"
            said = plural(len(one.problems), "problem") if one.problems else "as it should be"
            click.echo(f"{one.release}: {state}, {plural(one.n_files, 'file')}: {said}")
            for problem in one.problems:
                click.echo(f"  {problem}")
    if problems := sum(len(one.problems) for one in found):
        fail(plural(problems, "problem"))


def _hint(file: Path, site: str | None) -> str:
    """Say how a page of a site is known; nothing of another file."""
    with file.open("rb") as opened:
        if not opened.read(1_000).lstrip().lower().startswith(b"<!doctype html"):
            return ""
    if site is None:
        return ". It is a page: name the site that it is from with --site URL"
    return ". A page has to be as the host sent it (curl -O): browsers change what they save"


@click.command()
@click.argument("before", callback=check_release, metavar="R1")
@click.argument("after", callback=check_release, metavar="R2")
@json_option
@click.pass_obj
def diff(start: Path | None, /, before: str, after: str, as_json: bool) -> None:
    """Say what is new in R2, what is gone, and which scores moved since R1, by how much and why."""
    from cellgauge.cards.project import find_project
    from cellgauge.report.changes import changes_between
    from cellgauge.report.changes_in_words import lines
    from cellgauge.results.manifest import refuse_changed

    project = find_project(start)
    for release in (before, after):
        refuse_changed(project, release)
    found = changes_between(project.release(before), project.release(after))
    if as_json:
        print_json(found.as_dict())
        return
    for line in lines(found):
        click.echo(line)
