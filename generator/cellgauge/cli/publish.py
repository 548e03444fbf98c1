"""The command that publishes releases."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from cellgauge.cli.releases import check_releases
from cellgauge.cli.terminal import json_option, print_json


@click.command()
@click.argument("destination", metavar="DEST")
@click.option(
    "--release", "releases", multiple=True, callback=check_releases, metavar="R",
    help="A frozen release; may be repeated [default: all that are meant to be cited and not there yet].",
)  # fmt: skip
@click.option("--endpoint-url", metavar="URL", help="The S3 store [default: what boto3 is set up for].")
@click.option(
    "--site-url", "root_url", metavar="URL", help="Where readers will find DEST [default: site_url in mkdocs.yml]."
)
@click.option("--dry-run", is_flag=True, help="Build and compare, say what would be done, and write nothing.")
@click.option("--start-over", is_flag=True, help="Take over a release that was left unfinished with other contents.")
@json_option
@click.pass_obj
def publish(
    start: Path | None,
    /,
    destination: str,
    releases: tuple[str, ...],
    endpoint_url: str | None,
    root_url: str | None,
    dry_run: bool,
    start_over: bool,
    as_json: bool,
) -> None:
    """Publish frozen releases to DEST, a folder or s3://bucket/prefix. A published release is never overwritten.

    Each release goes into a folder of its own; latest/, the list of releases and versions.json follow. Interrupted,
    the same command goes on where it was.
    """
    from cellgauge.cards.project import find_project
    from cellgauge.publish.destination import open_destination
    from cellgauge.publish.publish import publish as publish_releases

    with _progress(quiet=as_json) as report:
        found = publish_releases(
            find_project(start), open_destination(destination, endpoint_url), list(releases), root_url=root_url,
            dry_run=dry_run, start_over=start_over, report=report,
        )  # fmt: skip
    if as_json:
        print_json({"destination": destination, "dry_run": dry_run, "releases": [asdict(one) for one in found]})


class _Lines:
    """Says in a line what begins."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet

    def say(self, line: str) -> None:
        if not self._quiet:
            click.echo(line)

    def step(self, what: str, total: int) -> Callable[[int], None]:
        self.say(f"{what}: {total:,}")
        return lambda more: None


class _Bars:
    """A bar for each step, and lines above it."""

    def __init__(self, bars: Any) -> None:
        self._bars = bars

    def say(self, line: str) -> None:
        self._bars.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def step(self, what: str, total: int) -> Callable[[int], None]:
        task = self._bars.add_task(what, total=total)
        return lambda more: self._bars.advance(task, more)


@contextmanager
def _progress(*, quiet: bool) -> Iterator[_Lines | _Bars]:
    from rich.console import Console
    from rich.progress import Progress

    console = Console()
    if quiet or not console.is_terminal:
        yield _Lines(quiet=quiet)
        return
    with Progress(console=console) as bars:
        yield _Bars(bars)
