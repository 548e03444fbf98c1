"""Whether a site would come out as it is: nothing that it is made from has changed, and nothing in it."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

from cellgauge.cards import Project
from cellgauge.cards.canonical import digest
from cellgauge.report.address import Address
from cellgauge.results.manifest import previous_release, read_index, sha256_of
from cellgauge.results.store import read_release

_PACKAGES = (
    "altair",
    "jinja2",
    "latex2mathml",
    "markdown-it-py",
    "mkdocs",
    "mkdocs-material",
    "numpy",
    "vl-convert-python",
)
_OWN = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Inputs:
    """Everything that a site is made from."""

    around: str
    """Digest of cards, pages, templates, code, libraries and settings."""
    files: Mapping[str, str]
    """sha256 of each file of the release, by its path in the release's folder."""

    @cached_property
    def digest(self) -> str:
        """The digest of all."""
        return digest([self.around, dict(self.files)])

    def of(self, task: str, dataset: str) -> str:
        """Return the digest of what one task on one dataset follows from: no results of others, and not the plan."""
        return digest([self.around, self._apart.get((), {}), self._apart.get((task, dataset), {}), self._data(dataset)])

    def _data(self, dataset: str) -> dict[str, str]:
        return {**self._apart.get(("datasets", dataset), {}), **self._apart.get(("datasets", f"{dataset}.json"), {})}

    @cached_property
    def _apart(self) -> dict[tuple[str, ...], dict[str, str]]:
        """Files by the first two parts of their path; those that concern all results under ``()``."""
        found: dict[tuple[str, ...], dict[str, str]] = {}
        for path, sha256 in self.files.items():
            parts = tuple(path.split("/"))
            if parts != ("plan.json",):
                is_of_some = len(parts) > 1 and parts[0] not in ("cards", "models")
                found.setdefault(parts[:2] if is_of_some else (), {})[path] = sha256
        return found


def read_inputs(project: Project, release: str | None, address: Address) -> Inputs:
    """Return the digests of everything that a site is made from: cards, pages, results, this code and its libraries.

    Parameters
    ----------
    release
        The release that is shown; None for cards alone.
    address
        Where the site will be.
    """
    index = read_index(project).releases
    known = index.get(release or "")
    before = previous_release(project, read_release(project.release(release))) if release is not None else None
    around = {
        "files": [_digests(project.site_src), _digests(_OWN)],
        "mkdocs.yml": sha256_of(project.source / "mkdocs.yml"),
        "release": release,
        "frozen": None if known is None else known.model_dump(mode="json"),
        "before": None if before is None else [before, index[before].manifest],
        "address": [address.site, address.root],
        "epoch": os.environ.get("SOURCE_DATE_EPOCH"),
        "versions": {name: version(name) for name in _PACKAGES} | {"python": sys.version},
    }
    return Inputs(digest(around), {} if release is None else _digests(project.release(release)))


def _digests(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): sha256_of(path) for path in _files(folder)}


class Built:
    """What was built where, and from what."""

    def __init__(self, build: Path, out: Path) -> None:
        self._out = out
        name = hashlib.sha256(str(out).encode()).hexdigest()[:16]
        self._record = build / "built" / f"{name}.json"

    def inputs(self) -> str | None:
        """Return the digest of what the site that is there was made from; None where a file of it was touched since."""
        try:
            known = json.loads(self._record.read_text(encoding="utf-8"))
            inputs, stamp = known["inputs"], known["site"]
        except (OSError, ValueError, TypeError, KeyError):
            return None
        return str(inputs) if stamp == self._stamp() else None

    def note(self, inputs: str) -> None:
        """Remember what the site that is there now was made from."""
        self._record.parent.mkdir(parents=True, exist_ok=True)
        self._record.write_text(json.dumps({"inputs": inputs, "site": self._stamp()}), encoding="utf-8")

    def _stamp(self) -> str:
        found = ((path, path.stat()) for path in _files(self._out))
        return digest(
            [[path.relative_to(self._out).as_posix(), stat.st_size, stat.st_mtime_ns] for path, stat in found]
        )


def _files(folder: Path) -> Iterator[Path]:
    """Yield the files of a folder in the order of their names; locks and what Python compiled are not among them."""
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(_kept(folders))
        yield from (Path(parent) / name for name in sorted(_kept(names)))


def _kept(names: Iterable[str]) -> list[str]:
    return [name for name in names if not name.startswith(".") and name != "__pycache__"]
