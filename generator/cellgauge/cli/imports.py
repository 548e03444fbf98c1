"""The command that brings in what others measured."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cellgauge.cli.releases import check_release
from cellgauge.cli.terminal import json_option, print_json

if TYPE_CHECKING:
    from cellgauge.exchange.drafting import Draft, Import

_DAY = click.DateTime(["%Y-%m-%d"])
_MOST_NAMED = 20


@click.command("import")
@click.argument("kind", type=click.Choice(["vcp", "openproblems", "czbenchmarks"]), metavar="FORMAT")
@click.argument("source", type=click.Path(exists=True, path_type=Path), metavar="SRC")
@click.option(
    "--release", callback=check_release, metavar="R", help="Name of the release [default: FORMAT-VERSION, if known]."
)
@click.option("--source-version", metavar="V", help="Version of what was published [default: as the source says].")
@click.option("--licence", metavar="L", help="Licence of the published results [default: as the source says].")
@click.option("--published", type=_DAY, help="When they were published [default: as the source says].")
@click.option("--retrieved", type=_DAY, help="When SRC was obtained [default: today].")
@json_option
@click.pass_obj
def import_results(
    start: Path | None,
    /,
    kind: str,
    source: Path,
    release: str | None,
    source_version: str | None,
    licence: str | None,
    published: dt.datetime | None,
    retrieved: dt.datetime | None,
    as_json: bool,
) -> None:
    """Bring in what others measured, as reported results: shown as theirs, and never ranked.

    FORMAT is vcp (the list of records that the Virtual Cells Platform publishes), openproblems (a folder of JSON
    files of one task, in either layout) or czbenchmarks (what "czbenchmarks run" of versions 0.7 to 0.9 writes as
    JSON). Every fault of SRC is listed, and then nothing is imported.
    """
    from cellgauge.cards.project import find_project
    from cellgauge.exchange.czi import read_czbenchmarks, read_vcp
    from cellgauge.exchange.drafting import write_draft
    from cellgauge.exchange.openproblems import read_openproblems
    from cellgauge.exchange.reading import ImportProblems

    project = find_project(start)
    said = (source_version, licence, published.date() if published else None)
    draft: Draft
    try:
        if kind == "openproblems":
            draft = read_openproblems(source, *said)
        elif kind == "vcp":
            draft = read_vcp(project, source, *said)
        else:
            draft = read_czbenchmarks(project, source, *said)
    except ImportProblems as error:
        if not as_json:
            raise
        print_json({"imported": None, "problems": error.problems})
        raise SystemExit(1) from None
    done = write_draft(project, draft, release, retrieved.date() if retrieved else None)
    if as_json:
        report = done.report.model_dump(mode="json")
        print_json({"imported": report["release"], "new": done.is_new, "report": report, "problems": []})
        return
    for line in _lines(done):
        click.echo(line)


def _lines(done: Import) -> list[str]:
    from cellgauge.report.numbers import plural

    report = done.report
    counts = ", ".join(f"{count:,} {status}" for status, count in report.results.items())
    lines = [
        f"read {', '.join(one.name for one in report.files)}: {plural(report.records, 'record')}",
        f"from {report.source.source}, version {report.source.version or 'not known'}, "
        f"licence {report.source.licence or 'not known'}",
        f"results: {counts}; {plural(report.scores, 'score')}",
        f"not reported: {plural(report.not_reported, 'combination')} of the source's own models and datasets",
    ]
    lines += [f"left out: {one.where}: {one.what}: {one.why}" for one in report.left_out[:_MOST_NAMED]]
    if (more := len(report.left_out) - _MOST_NAMED) > 0:
        lines.append(f"and {more} more left out; all are in results/{report.release}/import.json")
    if not done.is_new:
        return [*lines, f"release {report.release} is there already, and the same: nothing to do"]
    return [
        *lines,
        f"results/{report.release}: reported results; show them with: cellgauge build --release {report.release}",
    ]
