"""Freezing a release: a manifest names every file with its digest, and from then on none may change.

``results/R/manifest.json`` lists the files of a release. ``results/releases.json`` holds the digest of each manifest,
so that a changed manifest is named, too. Hidden files, such as locks, belong to no release.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import platform
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal, TypeVar

from filelock import FileLock
from pydantic import Field, ValidationError

from cellgauge import __version__
from cellgauge.cards.base import Digest, Doi, Id
from cellgauge.cards.problems import UserError
from cellgauge.cards.project import CARDS, FOLDERS, MANIFEST, Cards, Project
from cellgauge.results.outdated import CardsNow
from cellgauge.results.schema import SCHEMA_VERSION, Correction, Record, Release, Status
from cellgauge.results.store import (
    BrokenResult,
    read_release,
    read_replicates,
    read_results,
    to_json,
    write_atomically,
    write_release,
)

INDEX = "releases.json"
_PACKAGES = ("altair", "anndata", "jinja2", "numpy", "pydantic", "scanpy", "scib-metrics", "scikit-learn", "scipy")
_SHOWN = 20

RecordT = TypeVar("RecordT", bound=Record)


class FrozenFile(Record):
    """One file of a frozen release."""

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    bytes: int = Field(ge=0)


class FrozenCard(Record):
    """A card as it was when its release was frozen."""

    version: int = Field(ge=1, description="For a task, its protocol's")
    digest: Digest = Field(description="Of the card's fields that decide a score")


class Code(Record):
    """What wrote the manifest."""

    version: str
    commit: str | None = Field(description="null: it did not run from a clone")
    clean: bool | None = Field(description="Whether every file outside results/ was as in the commit")


class Software(Record):
    """What was installed where the manifest was written; each result names what it was computed with."""

    python: str
    packages: dict[str, str]


class Manifest(Record):
    """``manifest.json``: what a frozen release consists of."""

    manifest_version: Literal[1] = 1
    release: str
    frozen_on: dt.date
    doi: Doi | None = Field(description="Under which the release was deposited; null: none was known")
    result_schema: int = Field(description="The version of the format of the results")
    protocol: Digest
    protocol_date: dt.date
    code: Code
    environment: Software
    counts: dict[Status, int] = Field(description="How many evaluations ended how")
    cards: dict[str, dict[Id, FrozenCard]]
    files: dict[str, FrozenFile] = Field(description="By their path in the release's folder")


class Frozen(Record):
    """A frozen release as the index of all releases knows it."""

    manifest: Digest = Field(description="sha256 of manifest.json")
    frozen_on: dt.date
    kind: Literal["measured", "reported"]
    rehearsal: bool
    corrects: str | None
    doi: Doi | None = Field(description="Given when it was frozen or, without any change to the release, later")


class Index(Record):
    """``releases.json``: the digest of every manifest."""

    index_version: Literal[1] = 1
    releases: dict[str, Frozen] = {}


@dataclass(frozen=True)
class Change:
    """A file of a frozen release that is not as it was."""

    path: str
    """Below the project's folder."""
    what: str
    """What was found, and what was expected."""

    def __str__(self) -> str:
        return f"{self.path}: {self.what}"


def is_frozen(project: Project, release: str) -> bool:
    """Whether a release may no longer change; also where its manifest is gone but the index knows it."""
    return (project.release(release) / MANIFEST).is_file() or release in read_index(project).releases


def refuse_frozen(project: Project, release: str) -> None:
    """Refuse to write into a frozen release.

    Raises
    ------
    UserError
        When it is frozen.
    """
    if is_frozen(project, release):
        raise UserError(
            f"release {release} is frozen and never changes. Name a new release; one that corrects it says so with: "
            f"cellgauge freeze NEW --corrects {release} --because REASON"
        )


def freeze(
    project: Project,
    cards: Cards,
    release: str,
    *,
    day: dt.date,
    doi: str | None = None,
    corrects: str | None = None,
    because: str | None = None,
) -> Manifest:
    """Write the manifest of a release, and the cards as they are; from then on it never changes.

    A release that was frozen before and is as it was can be given a DOI; else it is left alone. A freeze that was
    killed is completed.

    Parameters
    ----------
    cards
        The project's cards, with which the results were computed.
    day
        The date of the release.
    corrects, because
        A frozen release that this one corrects, and why.

    Raises
    ------
    UserError
        When results are broken, unreadable or outdated, the frozen release has changed, or the one corrected is not
        frozen.
    """
    folder = project.release(release)
    about = read_release(folder)
    with FileLock(_index_path(project).with_name(".releases.lock")):
        if (folder / MANIFEST).is_file() or release in read_index(project).releases:
            return _freeze_again(project, about, doi, corrects)
        about = _correcting(project, folder, about, corrects, because)
        counts = _checked(folder, cards)
        _copy_cards(project, folder)
        manifest = Manifest(
            release=release,
            frozen_on=day,
            doi=doi,
            result_schema=SCHEMA_VERSION,
            protocol=about.protocol,
            protocol_date=about.protocol_date,
            code=_code(project.source),
            environment=Software(python=platform.python_version(), packages=dict(_versions())),
            counts=counts,
            cards=_as_they_are(cards),
            files={path: _frozen_file(folder / path) for path in files_of(folder)},
        )
        write_atomically(folder / MANIFEST, to_json(manifest))
        _enter(project, about, manifest, doi)
    return manifest


def changes(project: Project, release: str) -> list[Change]:
    """Return what differs in a frozen release: in its manifest, and in every file.

    Raises
    ------
    UserError
        When the release is not frozen.
    """
    folder, shown = project.release(release), f"results/{release}"
    known = read_index(project).releases.get(release)
    path = folder / MANIFEST
    if not path.is_file():
        if known is None:
            raise UserError(f"release {release} is not frozen. Freeze it with: cellgauge freeze {release}")
        return [Change(f"{shown}/{MANIFEST}", f"is missing; expected {known.manifest}. Restore it from the repository")]
    found = []
    if known is None:
        found.append(Change(f"results/{INDEX}", f"does not know {release}. Complete it: cellgauge freeze {release}"))
    elif (digest := f"sha256:{_sha256(path)}") != known.manifest:
        found.append(Change(f"{shown}/{MANIFEST}", f"found {digest}, expected {known.manifest} (in results/{INDEX})"))
    try:
        expected = read_manifest(folder).files
    except UserError as error:
        return [*found, Change(f"{shown}/{MANIFEST}", str(error))]
    there = set(files_of(folder))
    for name in sorted(there | set(expected)):
        if name not in expected:
            found.append(Change(f"{shown}/{name}", "is not in the manifest; it was added after the release was frozen"))
        elif name not in there:
            found.append(Change(f"{shown}/{name}", f"is missing; expected sha256:{expected[name].sha256}"))
        elif (one := _frozen_file(folder / name)) != expected[name]:
            found.append(
                Change(f"{shown}/{name}", f"found sha256:{one.sha256}, expected sha256:{expected[name].sha256}")
            )
    return found


def refuse_changed(project: Project, release: str) -> None:
    """Refuse to go on with a frozen release that is not as it was; one that is not frozen may be as it is.

    Raises
    ------
    UserError
        Naming the files that differ.
    """
    if not is_frozen(project, release) or not (found := changes(project, release)):
        return
    more = [f"and {len(found) - _SHOWN} more"] if len(found) > _SHOWN else []
    lines = [str(one) for one in found[:_SHOWN]] + more
    raise UserError(
        "\n".join([*lines, f"release {release} is frozen and has changed. Restore these files from the repository"])
    )


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest in a release's folder.

    Raises
    ------
    BrokenResult
        When it is not there, or is not valid.
    """
    return _read(folder / MANIFEST, Manifest)


def verified_manifest(project: Project, release: str) -> Manifest:
    """Read the manifest of a release that the index knows, and compare its digest with the one there.

    Raises
    ------
    UserError
        When it is not there, or is another one.
    """
    path, expected = project.release(release) / MANIFEST, read_index(project).releases[release].manifest
    manifest = read_manifest(project.release(release))
    if (found := f"sha256:{_sha256(path)}") != expected:
        raise UserError(f"{path}: found {found}, expected {expected} (in results/{INDEX}). Restore it")
    return manifest


def read_index(project: Project) -> Index:
    """Read the index of all frozen releases; an empty one where there is none.

    Raises
    ------
    BrokenResult
        When it is not valid.
    """
    path = _index_path(project)
    return _read(path, Index) if path.is_file() else Index()


def previous_release(project: Project, about: Release) -> str | None:
    """Return the frozen release that one is compared with: the one it corrects, or the newest before it, if any.

    Measured and reported releases are not compared with each other, nor rehearsals with others.
    """
    if about.corrects is not None:
        return about.corrects.release
    known = read_index(project).releases
    own = known.get(about.release)
    alike = [
        (one.frozen_on, name)
        for name, one in known.items()
        if name != about.release and (one.kind, one.rehearsal) == (about.kind, about.rehearsal)
    ]
    earlier = [one for one in alike if own is None or one < (own.frozen_on, about.release)]
    return max(earlier)[1] if earlier else None


def _read(path: Path, schema: type[RecordT]) -> RecordT:
    try:
        return schema.model_validate_json(path.read_bytes())
    except OSError as error:
        raise BrokenResult(f"{path}: cannot be read: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise BrokenResult(f"{path}: {where}: {first['msg']}. Restore the file from the repository.") from None


def _freeze_again(project: Project, about: Release, doi: str | None, corrects: str | None) -> Manifest:
    """Complete a freeze that was killed, and enter a DOI that is known by now."""
    folder, index = project.release(about.release), read_index(project)
    known = index.releases.get(about.release)
    if corrects is not None and corrects != (about.corrects.release if about.corrects else None):
        raise UserError(f"release {about.release} is frozen: what it corrects cannot be said any more")
    if known is None:
        _enter(project, about, read_manifest(folder), doi)
    refuse_changed(project, about.release)
    if known is not None and doi is not None and doi != known.doi:
        if known.doi is not None:
            raise UserError(f"release {about.release} has the DOI {known.doi} already, and keeps it")
        _enter(project, about, read_manifest(folder), doi)
    return read_manifest(folder)


def _correcting(project: Project, folder: Path, about: Release, corrects: str | None, because: str | None) -> Release:
    """Write into a release which one it corrects, and why."""
    if corrects is None:
        return about
    if not because:
        raise UserError(f"why does {about.release} correct {corrects}? Say it with: --because REASON")
    if corrects == about.release or not is_frozen(project, corrects):
        raise UserError(f"{about.release} cannot correct {corrects}, which is not a frozen release")
    corrected = about.model_copy(update={"corrects": Correction(release=corrects, reason=because)})
    write_release(folder, corrected)
    return corrected


def _checked(folder: Path, cards: Cards) -> dict[Status, int]:
    """Read every result and its replicates once more; return how many evaluations ended how."""
    counts: Counter[Status] = Counter()
    now, outdated = CardsNow(cards), []
    for result in read_results(folder):
        if result.replicates is not None:
            read_replicates(folder, result)
        counts[result.status] += 1
        place = f"{result.task.id}/{result.dataset.id}/{result.model.id}.json"
        if kinds := now.changed_since(result):
            outdated.append(f"results/{folder.name}/{place}: computed with an earlier {' and '.join(kinds)}")
    if not counts:
        raise UserError(f"release {folder.name} has no results; there is nothing to freeze")
    if outdated:
        more = [f"and {len(outdated) - _SHOWN} more"] if len(outdated) > _SHOWN else []
        run = f"{len(outdated)} results are outdated. Compute them again: cellgauge run --release {folder.name}"
        raise UserError("\n".join([*outdated[:_SHOWN], *more, run]))
    return dict(sorted(counts.items()))


def _copy_cards(project: Project, folder: Path) -> None:
    """Copy cards, and the files beside them, into a release."""
    place = folder / CARDS
    if place.exists():
        shutil.rmtree(place)
    for kind in FOLDERS:
        shutil.copytree(project.site_src / kind, place / kind, ignore=shutil.ignore_patterns(".*", "__pycache__"))
    silences = project.site_src / "quality.yaml"
    if silences.is_file():
        shutil.copy(silences, place)


def _as_they_are(cards: Cards) -> dict[str, dict[str, FrozenCard]]:
    versions = {
        "models": {id_: card.version for id_, card in cards.models.items()},
        "datasets": {id_: card.version for id_, card in cards.datasets.items()},
        "tasks": {id_: card.protocol.version for id_, card in cards.tasks.items()},
        "metrics": {id_: card.version for id_, card in cards.metrics.items()},
    }
    return {
        kind: {id_: FrozenCard(version=one, digest=getattr(cards, kind)[id_].digest) for id_, one in of_kind.items()}
        for kind, of_kind in versions.items()
    }


def _enter(project: Project, about: Release, manifest: Manifest, doi: str | None) -> None:
    path = project.release(about.release) / MANIFEST
    entry = Frozen(
        manifest=f"sha256:{_sha256(path)}",
        frozen_on=manifest.frozen_on,
        kind=about.kind,
        rehearsal=about.rehearsal,
        corrects=about.corrects.release if about.corrects else None,
        doi=doi or manifest.doi,
    )
    releases = {**read_index(project).releases, about.release: entry}
    write_atomically(_index_path(project), to_json(Index(releases=releases)))


def _index_path(project: Project) -> Path:
    return project.work / "results" / INDEX


def files_of(folder: Path) -> Iterator[str]:
    """Yield the paths of a release's files but the manifest, in order."""
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if not path.is_dir() and parts != (MANIFEST,) and not any(part.startswith(".") for part in parts):
            yield "/".join(parts)


def _frozen_file(path: Path) -> FrozenFile:
    return FrozenFile(sha256=_sha256(path), bytes=path.stat().st_size)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _versions() -> Iterator[tuple[str, str]]:
    for name in _PACKAGES:
        try:
            yield name, version(name)
        except PackageNotFoundError:
            continue


def _code(source: Path) -> Code:
    """Return which commit the project stands at, and whether anything else than results differs from it."""
    commit = _git(source, "rev-parse", "HEAD")
    status = _git(source, "status", "--porcelain", "--", ".", ":(exclude)results")
    return Code(version=__version__, commit=commit or None, clean=None if status is None or not commit else not status)


def _git(folder: Path, *words: str) -> str | None:
    if not (folder / ".git").exists():
        return None
    try:
        command = ["git", "-C", str(folder), *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)  # noqa: S603 (our own)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
