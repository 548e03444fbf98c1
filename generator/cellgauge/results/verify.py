"""Checking releases: the format of every file, and in a frozen release its digest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cellgauge.cards.problems import UserError, did_you_mean
from cellgauge.cards.project import IMPORT, Project
from cellgauge.results.imported import read_import
from cellgauge.results.manifest import changes, files_of, is_frozen, read_index, sha256_of, verified_manifest
from cellgauge.results.protocol import read_protocols
from cellgauge.results.store import read_plan, read_release, read_replicates, read_result, result_files


@dataclass(frozen=True)
class Verified:
    """What was found in one release."""

    release: str
    is_frozen: bool
    n_files: int
    problems: tuple[str, ...]
    """Each names a file, what was found and what was expected."""

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "release": self.release, "frozen": self.is_frozen, "files": self.n_files, "problems": list(self.problems),
        }  # fmt: skip


def verify_releases(project: Project, releases: list[str]) -> list[Verified]:
    """Check releases.

    Parameters
    ----------
    releases
        Their names; none for all, also those of which only the index of frozen releases knows.

    Raises
    ------
    UserError
        For a name that nobody knows.
    """
    there = (path.parent.name for path in (project.work / "results").glob("*/release.yaml"))
    known = sorted({*there, *read_index(project).releases})
    for one in releases:
        if one not in known:
            raise UserError(f'unknown release "{one}"{did_you_mean(one, known)}')
    return [_verify(project, one) for one in releases or known]


def places_of(project: Project, file: Path) -> list[str]:
    """Return where frozen releases have a file, byte for byte: ``2026.11: clustering/pbmc68k-reduced/pca.json``.

    Whatever its name is now, a file that was downloaded long ago is known by its digest alone.

    Raises
    ------
    UserError
        When it cannot be read, or a manifest differs from the one that the index of releases knows.
    """
    try:
        digest = sha256_of(file)
    except OSError as error:
        raise UserError(f"{file}: cannot be read: {error.strerror}") from None
    found = []
    for release in read_index(project).releases:
        manifest = verified_manifest(project, release)
        found += [f"{release}: {name}" for name, one in manifest.files.items() if one.sha256 == digest]
    return found


def numbers_of_files(project: Project) -> dict[str, int]:
    """Return how many files each frozen release has, among which ``places_of`` looks."""
    return {release: len(verified_manifest(project, release).files) for release in read_index(project).releases}


def _verify(project: Project, release: str) -> Verified:
    folder, frozen = project.release(release), is_frozen(project, release)
    differing = [str(one) for one in changes(project, release)] if frozen else []
    return Verified(release, frozen, len(list(files_of(folder))), tuple(differing or _unreadable(folder)))


def _unreadable(folder: Path) -> Iterator[str]:
    """Yield what is wrong with the format of a release's files, whatever its manifest says."""
    readers: list[tuple[Path, Callable[[Path], object]]] = [
        (folder / "release.yaml", lambda path: read_release(path.parent)),
        (folder / "plan.json", lambda path: read_plan(path.parent)),
        (folder / IMPORT, lambda path: read_import(path.parent)),
        (folder / "protocol.json", lambda path: read_protocols(path.parent)),
        *((path, _read_with_replicates) for path in result_files(folder)),
    ]
    for path, read in readers:
        if path.is_file():
            try:
                read(path)
            except UserError as error:
                yield str(error)


def _read_with_replicates(path: Path) -> None:
    result = read_result(path)
    if result.replicates is not None:
        read_replicates(path.parents[2], result)
