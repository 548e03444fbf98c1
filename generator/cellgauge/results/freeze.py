"""Freezing a release: its manifest is written, and its cards are kept as they are; from then on it never changes."""

from __future__ import annotations

import datetime as dt
import platform
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from filelock import FileLock
from pydantic import TypeAdapter, ValidationError

from cellgauge import __version__
from cellgauge.cards.base import Doi
from cellgauge.cards.problems import UserError
from cellgauge.cards.project import CARDS, FOLDERS, IMPORT, MANIFEST, Cards, Project
from cellgauge.results.manifest import (
    Code,
    Frozen,
    FrozenCard,
    Index,
    Manifest,
    Software,
    files_of,
    first_lines,
    frozen_as,
    frozen_file,
    index_path,
    is_frozen,
    read_index,
    read_manifest,
    refuse_changed,
    sha256_of,
)
from cellgauge.results.outdated import CardsNow
from cellgauge.results.protocol import PROTOCOL, read_protocols
from cellgauge.results.release import Correction, Release
from cellgauge.results.schema import SCHEMA_VERSION, Status
from cellgauge.results.store import (
    read_plan,
    read_release,
    read_replicates,
    read_results,
    result_path,
    to_json,
    write_atomically,
    write_release,
)

_PACKAGES = ("altair", "anndata", "jinja2", "numpy", "pydantic", "scanpy", "scib-metrics", "scikit-learn", "scipy")
_BEFORE_A_DOI = r"^(https?://(dx\.)?doi\.org/|doi:\s*)"


def freeze(
    project: Project,
    cards: Cards,
    release: str,
    *,
    day: dt.date | None = None,
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
        The date of the release; None for today, or for the one that it was frozen with.
    doi
        Under which it is deposited, by itself or as an address.
    corrects, because
        A frozen release that this one corrects, and why.

    Raises
    ------
    UserError
        When results are broken, unreadable, outdated or of another release, the plan or the protocol is missing, the
        frozen release has changed, the one corrected is not frozen or of another kind, or the DOI is none.
    """
    doi = None if doi is None else _doi_in(doi)
    folder = project.release(release)
    refuse_changed(project, release, may_be_unknown=release not in read_index(project).releases)
    about = read_release(folder)
    _refuse_of_another(folder, "release.yaml", about.release)
    with FileLock(index_path(project).with_name(".releases.lock")):
        if is_frozen(project, release):
            manifest = read_manifest(folder)
            _refuse_to_say_otherwise(manifest, about, day, corrects, because)
            _complete(project, about, manifest, doi)
            return manifest
        about = _correcting(project, about, corrects, because)
        counts = _checked(folder, cards)
        _refuse_without_protocol(folder, about)
        if corrects is not None:
            write_release(folder, about)
        if not (folder / IMPORT).is_file():  # an imported release has its own cards from the beginning
            _copy_cards(project, folder)
        manifest = Manifest(
            release=release,
            frozen_on=day or dt.datetime.now(dt.UTC).date(),
            doi=doi,
            result_schema=SCHEMA_VERSION,
            protocol=about.protocol,
            protocol_date=about.protocol_date,
            code=_code(project.source),
            environment=Software(python=platform.python_version(), packages=dict(_versions())),
            counts=counts,
            cards=_as_they_are(cards),
            files={path: frozen_file(folder / path) for path in files_of(folder)},
        )
        write_atomically(folder / MANIFEST, to_json(manifest))
        _enter(project, about, manifest, doi)
    return manifest


def _doi_in(text: str) -> str:
    """Return the DOI in what people paste: by itself, after ``doi:``, or as an address of doi.org."""
    try:
        found: str = TypeAdapter(Doi).validate_python(re.sub(_BEFORE_A_DOI, "", text.strip(), flags=re.IGNORECASE))
    except ValidationError:
        raise UserError(f'--doi: expected a DOI such as 10.5281/zenodo.1234567, found "{text}"') from None
    return found


def _refuse_to_say_otherwise(
    manifest: Manifest, about: Release, day: dt.date | None, corrects: str | None, because: str | None
) -> None:
    """Refuse to say anything of a frozen release that it does not say itself."""
    known = about.corrects
    for option, said, holds in (
        ("--date", day, manifest.frozen_on),
        ("--corrects", corrects, known.release if known else None),
        ("--because", because, known.reason if known else None),
    ):
        if said is not None and said != holds:
            found = f"it has {holds}" if holds else "it has none"
            raise UserError(f"release {about.release} is frozen: its {option} cannot change any more; {found}")


def _complete(project: Project, about: Release, manifest: Manifest, doi: str | None) -> None:
    """Complete a freeze that was killed, and enter a DOI that is known by now."""
    known = read_index(project).releases.get(about.release)
    has = manifest.doi or (known.doi if known else None)
    if doi is not None and has is not None and doi != has:
        raise UserError(f"release {about.release} has the DOI {has} already, and keeps it")
    if known is None or doi not in (None, has):
        _enter(project, about, manifest, doi)


def _correcting(project: Project, about: Release, corrects: str | None, because: str | None) -> Release:
    """Return what a release says of itself, with which one it corrects and why."""
    if corrects is not None:
        if not because:
            raise UserError(f"why does {about.release} correct {corrects}? Say it with: --because REASON")
        about = about.model_copy(update={"corrects": Correction(release=corrects, reason=because)})
    if about.corrects is None:
        return about
    other = about.corrects.release
    if other == about.release or not is_frozen(project, other):
        raise UserError(f"{about.release} cannot correct {other}, which is not a frozen release")
    if (kind := read_release(project.release(other)).kind) != about.kind:
        raise UserError(
            f"{about.release} is {about.kind} and {other} is {kind}: a release corrects one of its own kind. Name "
            "another one with --corrects"
        )
    return about


def _refuse_of_another(folder: Path, name: str, release: str) -> None:
    """Refuse a file that belongs to another release than the one whose folder it lies in."""
    if release != folder.name:
        raise UserError(
            f'results/{folder.name}/{name}: found release "{release}", expected "{folder.name}". A release is neither '
            f"copied nor renamed: compute a new one with: cellgauge run --release {folder.name}"
        )


def _checked(folder: Path, cards: Cards) -> dict[Status, int]:
    """Read every result and its replicates once more; return how many evaluations ended how."""
    counts: Counter[Status] = Counter()
    now, outdated = CardsNow(cards), []
    for result in read_results(folder):
        if result.replicates is not None:
            read_replicates(folder, result)
        counts[result.status] += 1
        place = f"{result.task.id}/{result.dataset.id}/{result.model.id}.json"
        _refuse_of_another(folder, place, result.release)
        if kinds := now.changed_since(result):
            outdated.append(f"results/{folder.name}/{place}: computed with an earlier {' and '.join(kinds)}")
    if not counts:
        raise UserError(f"release {folder.name} has no results; there is nothing to freeze")
    if outdated:
        run = f"{len(outdated)} results are outdated. Compute them again: cellgauge run --release {folder.name}"
        raise UserError("\n".join([*first_lines(outdated), run]))
    return dict(sorted(counts.items()))


def _refuse_without_protocol(folder: Path, about: Release) -> None:
    """Refuse a release that lacks its plan, or the protocol that it names; one that was imported names none."""
    read_plan(folder)
    if about.protocol is not None and about.protocol not in (one.digest for one in read_protocols(folder)):
        raise UserError(
            f"results/{folder.name}/{PROTOCOL}: expected the protocol {about.protocol}, which release.yaml names, and "
            f"found none. Restore the file, or register it again: cellgauge run --release {folder.name}"
        )


def n_without_result(folder: Path) -> int:
    """Return how many evaluations of a release were planned and have no result."""
    planned = (pair for pair in read_plan(folder).pairs if pair.status == "to_run")
    return sum(not result_path(folder, one.task, one.dataset, one.model).is_file() for one in planned)


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
    entry = frozen_as(about, manifest, project.release(about.release) / MANIFEST, doi)
    releases = {**read_index(project).releases, about.release: entry}
    write_atomically(index_path(project), to_json(Index(releases=releases)))


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
