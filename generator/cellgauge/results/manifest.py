"""What a frozen release consists of: a manifest names every file with its digest, and none may change.

``results/R/manifest.json`` lists the files of a release. ``results/releases.json`` holds the digest of each manifest,
so that a changed manifest is named, too. Hidden files, such as locks, belong to no release.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import Field, ValidationError

from cellgauge.cards.base import Digest, Doi, Id
from cellgauge.cards.problems import UserError
from cellgauge.cards.project import IMPORT, MANIFEST, Project
from cellgauge.results.release import Release, series_of
from cellgauge.results.schema import Record, Status
from cellgauge.results.store import BrokenResult, fault_of, read_release

INDEX = "releases.json"
_UNKNOWN = (
    "does not know {0}. Restore this file from the repository; only where a freeze of {0} was interrupted, complete "
    "that: cellgauge freeze {0}"
)
_MOST_NAMED = 20
"""Files that an error names one by one."""

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
    protocol: Digest | None = Field(description="null: reported by others, and not registered here")
    protocol_date: dt.date | None
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


def refuse_reported(project: Project, release: str) -> None:
    """Refuse to compute in a release of what others measured.

    Raises
    ------
    UserError
        When it was imported.
    """
    if (project.release(release) / IMPORT).is_file():
        raise UserError(f"release {release} holds what others measured and reported; measure in another release")


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
        found.append(Change(f"results/{INDEX}", _UNKNOWN.format(release)))
    elif said := _differs(path, known.manifest):
        found.append(Change(f"{shown}/{MANIFEST}", said))
    try:
        manifest = read_manifest(folder)
    except UserError as error:
        return [*found, Change(f"{shown}/{MANIFEST}", str(error))]
    expected, there = manifest.files, set(files_of(folder))
    for name in sorted(there | set(expected)):
        if name not in expected:
            found.append(Change(f"{shown}/{name}", "is not in the manifest; it was added later. Remove it"))
        elif name not in there:
            found.append(Change(f"{shown}/{name}", f"is missing; expected sha256:{expected[name].sha256}"))
        elif (one := frozen_file(folder / name)) != expected[name]:
            found.append(
                Change(f"{shown}/{name}", f"found sha256:{one.sha256}, expected sha256:{expected[name].sha256}")
            )
    if known is not None and not found:
        found += _said_otherwise(known, frozen_as(read_release(folder), manifest, path, known.doi), release)
    return found


def frozen_as(about: Release, manifest: Manifest, path: Path, doi: str | None) -> Frozen:
    """Return what the index has to say of a release.

    Parameters
    ----------
    path
        Of the manifest.
    doi
        The one that is known by now; that in the manifest goes before.
    """
    return Frozen(
        manifest=f"sha256:{sha256_of(path)}",
        frozen_on=manifest.frozen_on,
        kind=about.kind,
        rehearsal=about.rehearsal,
        corrects=about.corrects.release if about.corrects else None,
        doi=manifest.doi or doi,
    )


def _said_otherwise(known: Frozen, expected: Frozen, release: str) -> Iterator[Change]:
    """Yield what the index says of a release that is otherwise as it was, and what the release says of itself."""
    own = expected.model_dump(mode="json")
    for key, found in known.model_dump(mode="json").items():
        if own[key] != found:
            said = f"releases.{release}.{key}: found {found}, expected {own[key]}, as {release} says itself"
            yield Change(f"results/{INDEX}", said)


def refuse_changed(project: Project, release: str, *, may_be_unknown: bool = False) -> None:
    """Refuse to go on with a frozen release that is not as it was; one that is not frozen may be as it is.

    Parameters
    ----------
    may_be_unknown
        Whether it may be missing in the index, as where a freeze was killed.

    Raises
    ------
    UserError
        Naming the files that differ.
    """
    found = changes(project, release) if is_frozen(project, release) else []
    if may_be_unknown:
        found = [one for one in found if one.path != f"results/{INDEX}"]
    if not found:
        return
    restore = (
        f"release {release} is frozen and has changed. Restore from the repository what differs or is missing, and "
        "remove what was added"
    )
    raise UserError("\n".join([*first_lines(found), restore]))


def first_lines(found: Sequence[object]) -> list[str]:
    """Return the first of many things as lines, and how many more there are."""
    more = [f"and {len(found) - _MOST_NAMED} more"] if len(found) > _MOST_NAMED else []
    return [*map(str, found[:_MOST_NAMED]), *more]


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
    if said := _differs(path, expected):
        raise UserError(f"{path}: {said}. Restore it")
    return manifest


def _differs(manifest: Path, expected: str) -> str | None:
    """Say how a manifest differs from what the index knows; None where it does not."""
    found = f"sha256:{sha256_of(manifest)}"
    return None if found == expected else f"found {found}, expected {expected} (in results/{INDEX})"


def read_index(project: Project) -> Index:
    """Read the index of all frozen releases; an empty one where there is none.

    Raises
    ------
    BrokenResult
        When it is not valid.
    """
    path = index_path(project)
    return _read(path, Index) if path.is_file() else Index()


def previous_release(project: Project, about: Release) -> str | None:
    """Return the frozen release that one is compared with: the one it corrects, or the newest before it, if any.

    Releases of one series are compared alone: not measured with reported ones, nor rehearsals with others.
    """
    if about.corrects is not None:
        return about.corrects.release
    known = read_index(project).releases
    own = known.get(about.release)
    alike = [
        (one.frozen_on, name)
        for name, one in known.items()
        if name != about.release and series_of(name, one.kind, rehearsal=one.rehearsal) == about.series
    ]
    earlier = [one for one in alike if own is None or one < (own.frozen_on, about.release)]
    return max(earlier)[1] if earlier else None


def _read(path: Path, schema: type[RecordT]) -> RecordT:
    try:
        return schema.model_validate_json(path.read_bytes())
    except OSError as error:
        raise BrokenResult(f"{path}: cannot be read: {error.strerror}") from None
    except ValidationError as error:
        raise BrokenResult(f"{path}: {fault_of(error)}. Restore the file from the repository.") from None


def index_path(project: Project) -> Path:
    """Return where the index of all frozen releases lies."""
    return project.work / "results" / INDEX


def files_of(folder: Path) -> Iterator[str]:
    """Yield the paths of a release's files but the manifest, in order."""
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if not path.is_dir() and parts != (MANIFEST,) and not any(part.startswith(".") for part in parts):
            yield "/".join(parts)


def frozen_file(path: Path) -> FrozenFile:
    """Return the digest and the size of a file."""
    return FrozenFile(sha256=sha256_of(path), bytes=path.stat().st_size)


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
