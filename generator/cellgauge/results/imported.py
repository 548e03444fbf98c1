"""``import.json``: what an import read, what it called by which name, and what it left out and why."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from cellgauge.cards.project import IMPORT
from cellgauge.results.release import Imported
from cellgauge.results.schema import Record
from cellgauge.results.store import BrokenResult, fault_of


class SourceFile(Record):
    """One file that was read."""

    name: str = Field(description="Without the folder that it lay in")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    bytes: int = Field(ge=0)


class LeftOut(Record):
    """Something of the source that is not in the release."""

    where: str = Field(description="Its place in the source's files")
    what: str
    why: str


class ImportReport(Record):
    """``import.json``."""

    schema_version: Literal[1] = 1
    release: str
    format: Literal["vcp", "openproblems", "czbenchmarks"]
    source: Imported
    files: list[SourceFile]
    records: int = Field(description="Records that were read")
    results: dict[str, int] = Field(description="Results of the release by their status")
    scores: int
    not_reported: int = Field(description="Combinations of the source's own models and datasets without any record")
    names: dict[str, dict[str, str]] = Field(description="The source's names of models, datasets, tasks and metrics")
    left_out: list[LeftOut]


def read_import(folder: Path) -> ImportReport | None:
    """Return what was imported into a release's folder; None where it was measured here.

    Raises
    ------
    BrokenResult
        When the file is not valid.
    """
    path = folder / IMPORT
    if not path.is_file():
        return None
    try:
        return ImportReport.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise BrokenResult(f"{path}: {fault_of(error)}. Restore the file from the repository.") from None
