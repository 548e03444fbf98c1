"""The drawings of a build: each one is drawn once, kept, and put into its pages when all are there."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import re
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from cellgauge.report import vega
from cellgauge.report.axes import Spec

_FEW = 16
"""Up to this many drawings, starting processes takes longer than drawing."""
_PLACE = re.compile(r"<!--drawing ([0-9a-f]{64})-->")


class Drawings:
    """Drawings in a folder, by the digest of what they are drawn from."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._missing: dict[str, str] = {}

    def place(self, spec: Spec) -> str:
        """Return a comment that ``fill`` replaces with the drawing."""
        digest = spec.digest(vega.DRAWN_BY)
        if not self._path(digest).is_file():
            self._missing[digest] = spec.to_json()
        return f"<!--drawing {digest}-->"

    def take(self) -> dict[str, str]:
        """Return what is still to be drawn, by its digest, and forget it."""
        taken, self._missing = self._missing, {}
        return taken

    def give(self, missing: dict[str, str]) -> None:
        """Note what another process has placed and taken."""
        self._missing |= missing

    def draw(self) -> int:
        """Draw what was placed and is not in the folder, on all cores, and return how many that were."""
        missing = self.take()
        for digest, svg in zip(missing, _drawn(list(missing.values())), strict=True):
            keep(self._path(digest), svg)
        return len(missing)

    def fill(self, fragment: str) -> str:
        """Put the drawings into a fragment of a page."""
        return _PLACE.sub(lambda place: self._read(place[1]), fragment)

    def hold(self, fragment: str) -> bool:
        """Say whether all drawings of a fragment are there."""
        return all(self._path(digest).is_file() for digest in _PLACE.findall(fragment))

    def _read(self, digest: str) -> str:
        # As in all of a fragment, nothing may be read as a template.
        return self._path(digest).read_text(encoding="utf-8").replace("{", "&#123;")

    def _path(self, digest: str) -> Path:
        return self._folder / f"{digest}.svg"


def kept_bundle(folder: Path) -> str:
    """Return the script that makes figures interactive, from the folder if it was made before."""
    path = folder / f"vega-{hashlib.sha256(vega.DRAWN_BY.encode()).hexdigest()[:16]}.js"
    if not path.is_file():
        keep(path, vega.bundle())
    return path.read_text(encoding="utf-8")


def _drawn(specs: list[str]) -> Iterable[str]:
    if len(specs) <= _FEW:
        yield from map(vega.to_svg, specs)
        return
    # Forms that are alike lie together, so that each process compiles few of them.
    with ProcessPoolExecutor(os.cpu_count(), mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(vega.to_svg, specs, chunksize=_FEW)


def keep(path: Path, text: str) -> None:
    """Write a file of what was made, so that it is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".tmp").write_text(text, encoding="utf-8")
    path.with_suffix(".tmp").replace(path)
