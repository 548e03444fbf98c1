"""A frozen release as an RO-Crate: the zip to deposit, with what it is and the digest of every file."""

from __future__ import annotations

import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

from cellgauge.cards.problems import UserError
from cellgauge.cards.project import MANIFEST, Project
from cellgauge.exchange.croissant import licence_of
from cellgauge.exchange.described import refuse_unfrozen
from cellgauge.report.cite import AUTHORS, Cited
from cellgauge.results.manifest import read_manifest
from cellgauge.results.store import write_atomically
from cellgauge.results.table import Row, table_csv

_FORMATS = {
    ".json": "application/json",
    ".npy": "application/octet-stream",
    ".csv": "text/csv",
    ".md": "text/markdown",
    ".yaml": "application/yaml",
    ".py": "text/x-python",
    ".txt": "text/plain",
    ".cff": "application/yaml",
}
_ABOUT = (
    "Every file of one release: results with their replicates, the cards of models, datasets, tasks and metrics as they"
    " were, the protocol, the plan, and a manifest with the sha256 of each. results.csv holds all scores as one table."
)


def export_crate(project: Project, rows: list[Row], cited: Cited, out: Path) -> Path:
    """Write ``<release>.ro-crate.zip`` into ``out``.

    Parameters
    ----------
    rows
        Of the release's long table.

    Raises
    ------
    UserError
        When the release is not frozen, or rocrate is not installed.
    """
    refuse_unfrozen(project, cited.release)
    crate = _described(cited)
    folder = project.release(cited.release)
    files = read_manifest(folder).files
    with tempfile.TemporaryDirectory() as place:
        made = {"results.csv": table_csv(rows), "CITATION.cff": cited.cff}
        for name, data in made.items():
            (Path(place) / name).write_bytes(data)
            _add(crate, Path(place) / name, name)
        _add(crate, folder / MANIFEST, f"release/{MANIFEST}")
        for name, one in files.items():
            _add(crate, folder / name, f"release/{name}", sha256=one.sha256)
        crate.write_zip(str(Path(place) / "crate.zip"))
        path = out / f"{cited.release}.ro-crate.zip"
        write_atomically(path, (Path(place) / "crate.zip").read_bytes())
    return path


def _described(cited: Cited) -> Any:
    crate = _library().ROCrate()
    by = f"Reported results: measured by {cited.reported_by}, not by cellgauge. " if cited.reported_by else ""
    crate.name, crate.description = cited.name, by + _ABOUT
    if (licence := licence_of(cited)) is not None:
        crate.license = licence
    crate.datePublished = cited.day
    authors = {"@id": "#authors", "@type": "Organization", "name": AUTHORS}
    crate.creator = crate.add_jsonld(authors)
    root = crate.root_dataset
    root["version"], root["url"] = cited.release, cited.address
    root["citation"] = cited.text
    root["identifier"] = [one for one in (f"https://doi.org/{cited.doi}" if cited.doi else None, cited.digest) if one]
    return crate


def _add(crate: Any, path: Path, name: str, **more: str) -> None:
    properties = {"contentSize": str(path.stat().st_size), **more}
    if kind := _FORMATS.get(path.suffix):
        properties["encodingFormat"] = kind
    crate.add_file(str(path), name, properties=properties)


def _library() -> Any:
    try:
        return import_module("rocrate.rocrate")
    except ModuleNotFoundError:
        raise UserError("RO-Crate needs rocrate: pip install 'cellgauge[export]'") from None
