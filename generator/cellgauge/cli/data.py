"""The commands about datasets and the files they are made of."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cellgauge.cli.terminal import fail, json_option, print_json
from cellgauge.cli.transfers import transfers
from cellgauge.report.numbers import plural, size_in_words

if TYPE_CHECKING:
    from cellgauge.cards.dataset import DatasetCard
    from cellgauge.cards.family import Family
    from cellgauge.cards.problems import Problem
    from cellgauge.cards.project import Cards, Project
    from cellgauge.data.fetch import Report
    from cellgauge.data.inventory import Holding
    from cellgauge.data.store import FileStore

_datasets = click.argument("ids", nargs=-1, metavar="[ID]...")


@click.group(short_help="What datasets are here; fetch, verify and clear them up.")
def data() -> None:
    """Datasets: what is here, fetching it, checking it, and clearing up."""


@data.command("list")
@_datasets
@json_option
@click.pass_obj
def list_datasets(start: Path | None, /, ids: tuple[str, ...], as_json: bool) -> None:
    """Show what of each dataset is on this machine.

    A family of datasets that are all in the same state is one line; name it to see them all.
    """
    opened = _Opened(start, ids)
    held = opened.held()
    if as_json:
        print_json([_as_dict(one) for one in held])
        return
    states = {one.card.id: _state_in_words(one) for one in held}
    lines = {one.card.id: (one.card.id, states[one.card.id], one.card.name) for one in held}
    for family in opened.families if not ids else ():
        members = [card.id for card in family.members]
        if len(alike := {states[member] for member in members}) == 1:
            lines = {name: line for name, line in lines.items() if name not in members}
            lines[family.id] = (f"{family.id}-*", alike.pop(), f"{family.name}: {len(members)} datasets")
    width = max(len(name) for name, _, _ in lines.values())
    for name, state, words in (lines[one] for one in sorted(lines)):
        click.echo(f"{name:{width}}  {state:20}  {words}")


@data.command(short_help="Bring datasets onto this machine and check them.")
@_datasets
@json_option
@click.pass_obj
def fetch(start: Path | None, /, ids: tuple[str, ...], as_json: bool) -> None:
    """Bring datasets onto this machine, make what recipes make, and check the content.

    Without ids: every dataset whose card pins its bytes. $CELLGAUGE_MIRROR may name a folder in which
    files are found by their digest before any network is asked.
    """
    from cellgauge.cards.problems import UserError

    opened = _Opened(start, ids)
    chosen = [card for card in opened.cards if ids or card.pinned]
    rows, failed = [], 0
    with transfers(quiet=as_json) as report:
        for card in chosen:
            row: dict[str, Any] = {"dataset": card.id}
            try:
                row |= opened.fetch(card, report)
            except UserError as error:
                failed += 1
                row["problem"] = str(error)
            except Exception as error:  # a recipe may raise anything, and the other datasets are still wanted
                failed += 1
                row["problem"] = unexpected(error)
            rows.append(row)
            if not as_json:
                click.echo(_fetched_in_words(row), err="problem" in row)
    skipped = len(opened.cards) - len(chosen)
    if as_json:
        print_json(rows)
    elif skipped:
        click.echo(f"{_are(skipped)} not pinned yet and left out; name one to try it.")
    raise SystemExit(1 if failed else 0)


@data.command(short_help="Read every file again and compare digests.")
@_datasets
@json_option
@click.pass_obj
def verify(start: Path | None, /, ids: tuple[str, ...], as_json: bool) -> None:
    """Read every file that is here again, and compare it with the digest in its card."""
    opened = _Opened(start, ids)
    rows = []
    for one in opened.held():
        for name, problem in opened.damages(one).items():
            rows.append({"dataset": one.card.id, "file": name, "problem": problem})
            if not as_json:
                click.echo(f"{one.card.id}: {name}: {problem or 'ok'}", err=problem is not None)
    if as_json:
        print_json(rows)
    elif not rows:
        click.echo("No file is here yet; fetch with: cellgauge data fetch")
    raise SystemExit(1 if any(row["problem"] for row in rows) else 0)


@data.command()
@click.argument("dataset", metavar="ID")
@click.option("--files", is_flag=True, help="The original files instead of the dataset.")
@click.pass_obj
def where(start: Path | None, /, dataset: str, files: bool) -> None:
    """Print where a dataset lies, as an .h5ad file."""
    held = _Opened(start, (dataset,)).held()
    paths = [path for one in held for path in (one.files.values() if files else [one.h5ad])]
    if files and not paths:
        fail(f"{dataset} has no original files: it is made by a function.")
    absent = [one.card.id for one in held if (None in one.files.values() if files else one.h5ad is None)]
    if absent:
        are = "is" if len(absent) == 1 else "are"
        fail(f"{', '.join(absent)} {are} not here; get it with: cellgauge data fetch {dataset}")
    for path in paths:
        click.echo(path)


@data.command(short_help="Remove files that no card asks for.")
@click.option("--all", "everything", is_flag=True, help="Also files that cards still ask for.")
@click.option("--dry-run", is_flag=True, help="Say what would go.")
@json_option
@click.pass_obj
def clean(start: Path | None, /, everything: bool, dry_run: bool, as_json: bool) -> None:
    """Remove files that no card asks for, older versions of made datasets, and broken-off downloads."""
    from cellgauge.data.inventory import built_files, unwanted

    opened = _Opened(start, ())
    store = opened.store
    paths = [*store.blobs(), *built_files(store), *store.partials()] if everything else None
    if paths is None:
        paths = unwanted(opened.cards, opened.project.source, store, opened.model_files)
    freed = sum(path.stat().st_size for path in paths)
    if not dry_run:
        for path in set(paths) - set(store.partials()):
            path.unlink(missing_ok=True)
        store.remove_partials()  # but for those that somebody is fetching just now
    if as_json:
        print_json({"removed": [] if dry_run else [str(path) for path in paths], "bytes": freed, "dry_run": dry_run})
    else:
        click.echo(f"{len(paths)} files, {size_in_words(freed)}, {'would be' if dry_run else 'were'} removed.")


def check_data(
    project: Project, cards: Cards, say: Callable[[str], None] | None
) -> tuple[list[dict[str, Any]], list[Problem]]:
    """Load and check every dataset that is on this machine.

    Returns
    -------
    What was found of each dataset, and the problems of all.
    """
    from cellgauge.cards.problems import Problem, UserError
    from cellgauge.data.dataset import load_dataset
    from cellgauge.data.inventory import holding
    from cellgauge.data.obtain import InvalidDatasetError
    from cellgauge.data.store import FileStore, cache_folder
    from cellgauge.runner.cost import measured

    store = FileStore(cache_folder())
    rows, problems = [], []
    absent = 0
    for card in cards.datasets.values():
        beside = any(file.path for file in card.files.values())
        if not beside and not holding(card, project.source, store).loadable:
            absent += 1
            continue
        row: dict[str, Any] = {"dataset": card.id}
        found: list[str] = []
        with measured() as meter:
            try:
                row["cells"] = load_dataset(card, project.source, store).n_cells
            except InvalidDatasetError as error:
                found = error.problems
            except UserError as error:
                found = [str(error)]
            except Exception as error:  # a recipe may raise anything
                found = [unexpected(error)]
        cost = meter.cost
        peak = cost.peak_memory_mb if cost else None
        budget = card.feasibility.memory_gb if card.feasibility else None
        if peak is not None and budget is not None and peak / 1000 > budget:
            found.append(f"feasibility: loading needed {peak:,.0f} MiB, the card allows {budget:g} GB")
        row |= {"peak_memory_mb": peak, "problems": found}
        rows.append(row)
        problems += [Problem(card.path, 1, card.id, one) for one in found]
        if say is not None:
            memory = f", peak memory {peak:,.0f} MiB" if peak is not None else ""
            n_cells = f"{row['cells']:,} cells, " if "cells" in row else ""
            say(f"{card.id}: {n_cells}{plural(len(found), 'problem') if found else 'no problems'}{memory}")
    if say is not None:
        say(f"{_are(absent)} not on this machine and not checked.")
    return rows, problems


class _Opened:
    """The project's datasets that a command is about."""

    def __init__(self, start: Path | None, ids: tuple[str, ...]) -> None:
        from cellgauge.cards.project import find_project, load_cards
        from cellgauge.data.store import FileStore, cache_folder

        self.project: Project = find_project(start)
        cards = load_cards(self.project)
        self.families: list[Family] = list(cards.families.values())
        members = {family.id: [card.id for card in family.members] for family in self.families}
        named = [one for each in ids for one in members.get(each, [each])]
        self.cards: list[DatasetCard] = [cards.datasets[one] for one in cards.select("datasets", named)]
        self.model_files = [file for model in cards.models.values() for file in model.files]
        self.store: FileStore = FileStore(cache_folder())
        if self.store.folder.exists() and not self.store.folder.is_dir():
            fail(f"{self.store.folder}: expected a folder, found a file. Set CELLGAUGE_CACHE to another place.")

    def held(self) -> list[Holding]:
        from cellgauge.data.inventory import holding

        return [holding(card, self.project.source, self.store) for card in self.cards]

    def fetch(self, card: DatasetCard, report: Report) -> dict[str, Any]:
        """Fetch, make and check one dataset; return what was found."""
        try:
            from cellgauge.data.dataset import NO_DIGEST, check, load_dataset
            from cellgauge.data.obtain import InvalidDatasetError, fetch_files, obtain
            from cellgauge.data.store import digest_of_file
        except ModuleNotFoundError as error:
            fail(f"Reading datasets needs more than building a site (no {error.name}): pip install 'cellgauge[run]'")

        card_path = self.project.source / card.path
        paths = fetch_files(card, card_path, self.store, report)
        pins: dict[str, str | int] = {}
        if card.pinned:
            dataset = load_dataset(card, self.project.source, self.store)
        else:
            opened, problems = check(card, obtain(card, card_path, self.store).contents)
            if opened is None or len(problems) > 1 or not problems[0].startswith(NO_DIGEST):
                raise InvalidDatasetError(card.id, problems)
            dataset = opened
            for name, path in paths.items():
                where = "source" if card.source.kind == "file" else f"source.files.{name}"
                pins |= {f"{where}.sha256": digest_of_file(path), f"{where}.size": path.stat().st_size}
            pins["digest_of_content"] = dataset.digest
        return {
            "cells": dataset.n_cells,
            "features": len(dataset.feature_ids),
            "content": dataset.digest,
            "bytes": sum(path.stat().st_size for path in paths.values()),
            "to_pin": pins,
        }

    def damages(self, one: Holding) -> dict[str, str | None]:
        """Return for each file that is here what is wrong with it, or ``None``."""
        from cellgauge.cards.problems import UserError
        from cellgauge.data.contents import open_h5ad
        from cellgauge.data.dataset import check
        from cellgauge.data.fetch import fetch_file

        found: dict[str, str | None] = {}
        for name, path in one.files.items():
            expected = one.card.files[name].sha256
            if path is not None and expected is not None:
                try:
                    if one.card.files[name].url:
                        self.store.verify(expected)
                    else:
                        fetch_file(one.card.files[name], (self.project.source / one.card.path).parent, self.store)
                    found[name] = None
                except UserError as error:
                    found[name] = str(error)
        if one.built is not None:
            try:
                problems = check(one.card, open_h5ad(one.built, one.card.matrix))[1]
            except UserError as error:
                problems = [str(error)]
            found["made dataset"] = "; ".join(problems) or None
        return found


def unexpected(error: Exception) -> str:
    """Say what went wrong in somebody's code, and where."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{Path(last.filename).name}:{last.lineno}: {type(error).__name__}: {error}"


def _are(n_datasets: int) -> str:
    return f"{plural(n_datasets, 'dataset')} {'is' if n_datasets == 1 else 'are'}"


def _state_in_words(one: Holding) -> str:
    if one.state != "to fetch":
        return one.state
    wanted = one.wanted_bytes
    return "to fetch" + (f", {size_in_words(wanted)}" if wanted is not None else "")


def _as_dict(one: Holding) -> dict[str, Any]:
    return {
        "dataset": one.card.id,
        "name": one.card.name,
        "study": one.card.study,
        "evidence": one.card.evidence,
        "state": one.state,
        "bytes_to_fetch": one.wanted_bytes,
        "h5ad": str(one.h5ad) if one.h5ad else None,
        "files": {
            name: {
                "place": file.place,
                "sha256": file.sha256,
                "size": file.size,
                "path": str(one.files[name]) if one.files[name] else None,
            }
            for name, file in one.card.files.items()
        },
    }


def _fetched_in_words(row: dict[str, Any]) -> str:
    if "problem" in row:
        return f"{row['dataset']}: {row['problem']}"
    made_of = f" from {size_in_words(row['bytes'])}" if row["bytes"] else ""
    said = f"{row['dataset']}: {row['cells']:,} cells × {row['features']:,} features{made_of}"
    if not row["to_pin"]:
        return f"{said}, content as pinned"
    lines = [f"  {key}: {value}" for key, value in row["to_pin"].items()]
    return "\n".join([f"{said}, not pinned yet. If these are the cells you mean, write into the card:", *lines])
