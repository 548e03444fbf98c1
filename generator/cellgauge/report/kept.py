"""Pages of results that were drawn before: nearly all are as they were when a few results are new."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from cellgauge.cards.canonical import digest
from cellgauge.report.drawings import Drawings, keep
from cellgauge.report.links import links_of
from cellgauge.report.page import Page
from cellgauge.report.release import Place, ReleaseView
from cellgauge.report.unchanged import Inputs


class KeptPages:
    """Pages of results in a folder, by the digest of all that each is drawn from."""

    def __init__(self, folder: Path, view: ReleaseView, inputs: Inputs, drawings: Drawings) -> None:
        """Prepare for looking up.

        Parameters
        ----------
        inputs
            Of the site that is built.
        drawings
            Where the drawings of pages are: a page that lacks one is drawn again.
        """
        self._folder, self._inputs, self._drawings = folder, inputs, drawings
        self._day = None if view.day is None else view.day.isoformat()
        self._planned: dict[tuple[str, str], list[tuple[str, str, str | None]]] = {}
        for pair in view.pairs:
            self._planned.setdefault((pair.task, pair.dataset), []).append((pair.model, pair.status, pair.reason))
        self._groups: dict[tuple[str, str], str] = {}

    def key(self, place: Place, colour: str) -> str:
        """Return the digest of all that the page of a result is drawn from.

        Parameters
        ----------
        colour
            Of its model, which what other tasks have found decides as well.
        """
        group = place[:2]
        if group not in self._groups:
            # The date of the release, by which every page is cited, may be that of the newest result of all.
            self._groups[group] = digest([self._inputs.of(*group), self._planned.get(group, []), self._day])
        return digest([self._groups[group], place[2], colour])

    def page(self, key: str, files: dict[str, bytes], draw: Callable[[], Page]) -> Page:
        """Return a page that was kept under a key, or draw and keep it.

        Parameters
        ----------
        files
            Those beside it that are there already, and are not kept twice.
        """
        path = self._path(key)
        try:
            known = json.loads(path.read_bytes())
        except (OSError, ValueError):
            known = None
        if known is not None and self._drawings.hold(known["fragment"]):
            more = {name: text.encode() for name, text in known.pop("files").items()}
            return Page(**{**known, "links": frozenset(known["links"])}, files={**files, **more})
        page = draw()
        page = replace(page, links=links_of(page))
        values = {name: getattr(page, name) for name in ("path", "title", "description", "fragment", "boost", "head")}
        more = {name: data.decode() for name, data in page.files.items() if name not in files}
        keep(path, json.dumps({**values, "files": more, "links": sorted(page.links)}))
        return page

    def forget_all_but(self, keys: set[str]) -> None:
        """Remove the pages that were kept under other keys."""
        wanted = {self._path(key) for key in keys}
        for path in self._folder.glob("*.json"):
            if path not in wanted:
                path.unlink()

    def _path(self, key: str) -> Path:
        return self._folder / f"{key.rpartition(':')[2]}.json"
