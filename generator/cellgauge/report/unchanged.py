"""Whether a site would come out as it is: nothing that it is made from has changed, and nothing in it."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from pathlib import Path

from cellgauge.cards import Project
from cellgauge.cards.canonical import digest

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


def inputs_digest(project: Project, release: str | None, site_url: str | None) -> str:
    """Return the digest of everything that a site is made from: cards, pages, results, this code and its libraries.

    Parameters
    ----------
    release
        The release that is shown; None for cards alone.
    """
    folders = [project.site_src, _OWN]
    folders += [] if release is None else [project.release(release)]
    return digest(
        {
            "files": {
                f"{place}/{path.relative_to(folder).as_posix()}": _sha256(path)
                for place, folder in enumerate(folders)
                for path in _files(folder)
            },
            "mkdocs.yml": _sha256(project.source / "mkdocs.yml"),
            "release": release,
            "site_url": site_url,
            "epoch": os.environ.get("SOURCE_DATE_EPOCH"),
            "versions": {name: version(name) for name in _PACKAGES} | {"python": sys.version},
        }
    )


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


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
