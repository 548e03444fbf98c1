"""The commands about models: what each one needs to run here, building images and fetching weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cellgauge.cli.terminal import fail, json_option, print_json
from cellgauge.cli.transfers import transfers
from cellgauge.report.numbers import size_in_words

if TYPE_CHECKING:
    from cellgauge.cards.model import ModelCard
    from cellgauge.cards.project import Project

_models = click.argument("ids", nargs=-1, metavar="[ID]...")


@click.group(short_help="What models need to run here; build images, fetch weights.")
def model() -> None:
    """Models: what each one needs to run on this machine, building images, and fetching weights."""


@model.command("list")
@_models
@json_option
@click.pass_obj
def list_models(start: Path | None, /, ids: tuple[str, ...], as_json: bool) -> None:
    """Show how each model's outputs are obtained, and what is missing here."""
    project, chosen = _opened(start, ids)
    states = _States(project)
    rows = [{"model": card.id, "kind": card.obtain.kind, "missing": states.missing(card)} for card in chosen]
    if as_json:
        print_json(rows)
        return
    width = max(len(card.id) for card in chosen)
    for row in rows:
        click.echo(f"{row['model']:{width}}  {row['kind']:11}  {row['missing'] or 'ready'}")


@model.command(short_help="Build container images from the project's Dockerfiles.")
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@click.option("--base", metavar="IMAGE", help="In place of the base image that the Dockerfile names.")
@click.option("--network", metavar="MODE", help="Network of the build, such as host [default: Docker's own choice].")
@click.option(
    "--build-arg",
    "args",
    multiple=True,
    metavar="NAME=VALUE",
    help="For an ARG that the Dockerfile declares; repeatable.",
)
@click.option("--verbose", is_flag=True, help="Print all that the build says.")
@click.pass_obj
def build(
    start: Path | None,
    /,
    ids: tuple[str, ...],
    base: str | None,
    network: str | None,
    args: tuple[str, ...],
    verbose: bool,
) -> None:
    """Build the container images of models with Docker. What an image is built from is part of its name."""
    for one in args:
        if "=" not in one:
            raise click.UsageError(f"--build-arg {one}: expected NAME=VALUE")
    given = dict(one.split("=", 1) for one in args)
    project, chosen = _opened(start, ids)
    folders: dict[str, None] = {}
    for card in chosen:
        if card.obtain.kind != "container" or card.obtain.folder is None:
            fail(f"{card.id}: has no image that is built here")
        folders[card.obtain.folder] = None
    from cellgauge.models.images import build_image

    for folder in folders:
        click.echo(f"{folder}: building")

        def tell(line: str, folder: str = folder) -> None:
            if verbose:
                click.echo(f"{folder}: {line}")

        name = build_image(project.generator, folder, tell, base=base, network=network, args=given)
        click.echo(f"{folder}: {name}")


@model.command(short_help="Fetch the weights of container models.")
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@click.pass_obj
def fetch(start: Path | None, /, ids: tuple[str, ...]) -> None:
    """Fetch the weights that cards name into the cache; running never does. Prints what a card does not pin yet."""
    from cellgauge.cards.problems import UserError
    from cellgauge.data.store import FileStore, cache_folder, digest_of_file
    from cellgauge.models.weights import fetch_weights

    project, chosen = _opened(start, ids)
    failed = False
    for card in chosen:
        if card.obtain.kind != "container" or not card.obtain.weights:
            click.echo(f"{card.id}: needs no weights")
            continue
        try:
            with transfers() as report:
                folder = (project.source / card.path).parent
                found = fetch_weights(card, folder, FileStore(cache_folder()), report)
        except UserError as error:
            failed = True
            click.echo(f"{card.id}: {error}", err=True)
            continue
        n_bytes = sum(path.stat().st_size for path in found.values())
        click.echo(f"{card.id}: {size_in_words(n_bytes)} in {len(found)} files")
        for place, file in enumerate(card.obtain.weights):
            if file.sha256 is None:
                path = found[file.name]
                click.echo(f"  write into the card: obtain.weights[{place}].sha256: {digest_of_file(path)}")
                click.echo(f"  write into the card: obtain.weights[{place}].size: {path.stat().st_size}")
    raise SystemExit(1 if failed else 0)


def _opened(start: Path | None, ids: tuple[str, ...]) -> tuple[Project, list[ModelCard]]:
    from cellgauge.cards.project import find_project, load_cards

    project = find_project(start)
    cards = load_cards(project)
    return project, [cards.models[one] for one in cards.select("models", list(ids))]


class _States:
    """Says what is missing on this machine; a daemon is asked once."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self._backend: Any = None
        self._without_daemon: str | None = None

    def missing(self, card: ModelCard) -> str | None:
        """Return what keeps a model from running here, and the command that helps; None when nothing does."""
        how = card.obtain
        if how.kind == "planned":
            return f"planned: {how.reason}"
        if how.kind == "precomputed":
            unpinned = [one.dataset for one in how.outputs if one.sha256 is None]
            return f"no sha256 for its output on {', '.join(unpinned)}" if unpinned else None
        if how.kind == "function":
            from cellgauge.cards.packages import missing_package

            return missing_package(how.function, self.project.source / card.path)
        try:
            from cellgauge.data.store import FileStore, cache_folder
            from cellgauge.models.weights import WeightsMissing, weights_folder
        except ModuleNotFoundError as error:
            return f"needs the extra [run] (no module named {error.name})"
        try:
            weights_folder(card, (self.project.source / card.path).parent, FileStore(cache_folder()))
        except WeightsMissing as error:
            return f"weights: {error}"
        return self._missing_image(card)

    def _missing_image(self, card: ModelCard) -> str | None:
        from cellgauge.cards.image import image_of
        from cellgauge.models.docker_backend import DockerBackend
        from cellgauge.models.sandbox import BackendMissing, ImageMissing

        if self._backend is None and self._without_daemon is None:
            try:
                self._backend = DockerBackend()
            except BackendMissing as error:
                self._without_daemon = str(error)
        if self._without_daemon is not None:
            return self._without_daemon
        name, how = image_of(card, self.project.generator)
        try:
            self._backend.find(name)
        except ImageMissing:
            return f"image not here: {how}"
        return None
