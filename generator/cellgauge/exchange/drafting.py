"""From what a source reports to a release: results, cards and the report of the import, written whole or not at all."""

from __future__ import annotations

import datetime as dt
import os
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml
from filelock import FileLock

from cellgauge.cards.canonical import digest
from cellgauge.cards.problems import UserError
from cellgauge.cards.project import CARDS, IMPORT, Cards, Project, load_cards
from cellgauge.cards.task import TaskCard
from cellgauge.report.numbers import plural
from cellgauge.results.imported import ImportReport, LeftOut, SourceFile
from cellgauge.results.manifest import files_of, is_frozen
from cellgauge.results.release import Imported, Pair, Plan, Release, fault_of_name
from cellgauge.results.schema import (
    DatasetSubject,
    Origin,
    Reported,
    Resources,
    Result,
    Score,
    Status,
    Subject,
    Undefined,
    UtcTime,
)
from cellgauge.results.store import (
    read_release,
    seal,
    to_json,
    write_atomically,
    write_plan,
    write_release,
    write_result,
)
from cellgauge.runner.record import judge_leakage

NO_INTERVAL = "The source reports a single value without any uncertainty"
Format = Literal["vcp", "openproblems", "czbenchmarks"]
Key = tuple[str, str | None]
"""A metric, and a view where the task has several."""


@dataclass(frozen=True)
class Drafted:
    """One evaluation as a source reports it, under the names that things have here."""

    task: str
    dataset: str
    model: str
    place: str
    keys: Mapping[str, Any]
    tool: str | None = None
    values: Mapping[Key, float] = field(default_factory=dict)
    undefined: Mapping[Key, str] = field(default_factory=dict)
    status: Status = "done"
    reason: str | None = None
    finished_at: UtcTime | None = None
    resources: Resources | None = None


@dataclass
class Draft:
    """All that one source reports."""

    format: Format
    origin: Origin
    title: str
    name: str | None
    """The name of the release where none is given; None: the source does not say enough."""
    files: list[SourceFile]
    results: list[Drafted] = field(default_factory=list)
    cards: dict[str, bytes] = field(default_factory=dict)
    """Files of cards by their path below the folder of cards."""
    names: dict[str, dict[str, str]] = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)
    records: int = 0


@dataclass(frozen=True)
class Import:
    """What came of an import."""

    report: ImportReport
    is_new: bool
    """False where the release was there already, byte for byte."""


def write_draft(project: Project, draft: Draft, release: str | None, retrieved: dt.date | None) -> Import:
    """Write a release of what a source reports.

    It is written to a folder beside the others and then renamed: there is all of it or nothing, also after a kill.

    Parameters
    ----------
    release
        Its name; None for the one that follows from the source.
    retrieved
        When the source's files were obtained; None for the day that an earlier import of the same release noted, or
        today.

    Raises
    ------
    UserError
        When the name cannot be told or is none that a release can have, or there is another release of that name.
    """
    name = release or draft.name
    if name is None:
        raise UserError("the source does not say which version it is: name the release with --release R")
    if fault := fault_of_name(name):
        raise UserError(f'release "{name}": {fault}. Name it with --release R')
    if not draft.results:
        raise UserError("the source holds no result at all; nothing was imported")
    results = project.work / "results"
    results.mkdir(parents=True, exist_ok=True)
    with FileLock(results / ".import.lock"):
        for left in results.glob(".import-*"):  # of an import that was killed
            shutil.rmtree(left)
        temporary = Path(tempfile.mkdtemp(dir=results, prefix=".import-"))
        try:
            aside = Project(project.source, temporary)
            there = project.release(name)
            day = retrieved or _noted(there) or dt.datetime.now(dt.UTC).date()
            report = _write(aside, draft, name, day)
            if there.exists():
                _refuse_another(project, name, aside.release(name))
                return Import(report, is_new=False)
            _flush(aside.release(name))
            aside.release(name).rename(there)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return Import(report, is_new=True)


def _noted(there: Path) -> dt.date | None:
    try:
        about = read_release(there)
    except UserError:
        return None
    return about.reported.retrieved if about.reported else None


def _refuse_another(project: Project, name: str, new: Path) -> None:
    old = project.release(name)
    before, after = set(files_of(old)), set(files_of(new))
    differing = [one for one in sorted(before | after) if not _same(old / one, new / one)]
    if not differing:
        return
    frozen = " and is frozen" if is_frozen(project, name) else ""
    where = f"{plural(len(differing), 'file')}, such as {differing[0]}"
    raise UserError(
        f"release {name} is there already{frozen}, and differs in {where}; "
        "nothing was imported. The source, or the cards of this project, are others than they were. Name another "
        "release with --release R"
    )


def _same(one: Path, other: Path) -> bool:
    return one.is_file() and other.is_file() and one.read_bytes() == other.read_bytes()


def _flush(folder: Path) -> None:
    """See to it that the folder's entries are on disk before it gets its name."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write(project: Project, draft: Draft, name: str, retrieved: dt.date) -> ImportReport:
    folder = project.release(name)
    for path, data in draft.cards.items():
        write_atomically(folder / CARDS / path, data)
    imported = Imported(**draft.origin.model_dump(), retrieved=retrieved)
    about = Release(
        release=name, title=draft.title, kind="reported", rehearsal=False, protocol=None, protocol_date=None,
        reported=imported,
    )  # fmt: skip
    write_release(folder, about)
    (folder / IMPORT).touch()  # from now on the release's own cards are read
    cards = load_cards(project, name)
    results = [_result(cards, draft, name, one) for one in draft.results]
    for result in results:
        write_result(folder, result, None)
    pairs = list(_not_reported(cards, draft))
    write_plan(folder, Plan.of(name, pairs))
    report = ImportReport(
        release=name,
        format=draft.format,
        source=imported,
        files=draft.files,
        records=draft.records,
        results=dict(sorted(Counter(result.status for result in results).items())),
        scores=sum(len(result.scores) for result in results),
        not_reported=len(pairs),
        names={kind: dict(sorted(names.items())) for kind, names in draft.names.items()},
        left_out=draft.left_out,
    )
    write_atomically(folder / IMPORT, to_json(report))
    return report


def _result(cards: Cards, draft: Draft, release: str, one: Drafted) -> Result:
    task, dataset, model = cards.tasks[one.task], cards.datasets[one.dataset], cards.models[one.model]
    reported = Reported(**draft.origin.model_dump(), tool=one.tool, place=one.place, keys=dict(one.keys))
    return seal(
        {
            "key": _key(draft, one.task, one.dataset, one.model),
            "release": release,
            "protocol": None,
            "status": one.status,
            "reason": one.reason,
            "task": Subject(id=task.id, version=task.protocol.version, digest=task.digest),
            "dataset": DatasetSubject(id=dataset.id, version=dataset.version, digest=dataset.digest, content=None),
            "model": Subject(id=model.id, version=model.version, digest=model.digest),
            "leakage": judge_leakage(model, dataset),
            "seeds": [],
            "scores": list(_scores(cards, task, one.values)),
            "undefined": list(_undefined(task, one.undefined)),
            "replicates": None,
            "details": {},
            "params": {},
            "environment": None,
            "resources": one.resources,
            "started_at": None,
            "finished_at": one.finished_at,
            "reported": reported,
        }
    )


def _scores(cards: Cards, task: TaskCard, values: Mapping[Key, float]) -> Iterator[Score]:
    for ref in task.scores:
        value = values.get((ref.metric, ref.view))
        if value is not None:
            metric = cards.metrics[ref.metric]
            yield Score(
                metric=metric.id, view=ref.view, version=metric.version, direction=metric.direction, value=value,
                by_seed=[value], interval=None, why_no_interval=NO_INTERVAL, n_units=None, unit=task.unit,
            )  # fmt: skip


def _undefined(task: TaskCard, reasons: Mapping[Key, str]) -> Iterator[Undefined]:
    for ref in task.scores:
        if (reason := reasons.get((ref.metric, ref.view))) is not None:
            yield Undefined(metric=ref.metric, view=ref.view, reason=reason)


def _not_reported(cards: Cards, draft: Draft) -> Iterator[Pair]:
    """Yield what a task's own models and datasets leave open: a table of them has a cell for it."""
    there = {(one.task, one.dataset, one.model) for one in draft.results}
    for task in cards.tasks:
        datasets = sorted({dataset for known, dataset, _ in there if known == task})
        models = sorted({model for known, _, model in there if known == task})
        for dataset in datasets:
            for model in models:
                if (task, dataset, model) not in there:
                    yield Pair(
                        task=task, dataset=dataset, model=model, key=None,
                        status="not_reported", reason=f"{draft.origin.source} gives no result for it",
                    )  # fmt: skip


def _key(draft: Draft, task: str, dataset: str, model: str) -> str:
    return digest({"reported by": draft.origin.source, "version": draft.origin.version, "of": [task, dataset, model]})


def as_card_file(values: Mapping[str, Any], body: str) -> bytes:
    """Return a card's file: front matter and text."""
    front = yaml.safe_dump(dict(values), sort_keys=False, allow_unicode=True, width=1000)
    return f"---\n{front}---\n{body}\n".encode()


def release_name(source: str, version: str | None) -> str | None:
    """Return the name of a release of a source's version, such as ``vcp-0.54.1``; None where no version is known."""
    safe = re.sub(r"[^a-z0-9.]+", "-", version.lower()) if version else ""
    parts = [part.strip("-") for part in safe.split(".")]
    return f"{source}-{'.'.join(part for part in parts if part)}" if any(parts) else None
