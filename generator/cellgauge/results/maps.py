"""An embedding in two dimensions: drawn by the runner from a sample of cells, shown on pages as a picture.

One file for each dataset and model of a release, ``results/R/datasets/<dataset>/maps/<model>.json``. It holds places in
the plane and what the cells are; nothing of their expression.
"""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import Field, ValidationError, model_validator

from cellgauge.cards.base import Column, Digest, Part
from cellgauge.results.schema import DatasetSubject, Environment, Status, Subject
from cellgauge.results.store import to_json, write_atomically

MAP_VERSION = 1
"""Raised whenever a map could come out otherwise."""
MOST_CELLS = 2000
SPAN = 1000
"""Places are whole numbers from 0 to this, on the longer axis."""


class Codes(Part):
    """What each cell is by one column."""

    names: list[str]
    codes: list[int] = Field(description="(n_cells,) places in names")

    @model_validator(mode="after")
    def _in_range(self) -> Self:
        if not all(0 <= code < len(self.names) for code in self.codes):
            raise ValueError(f"expected codes from 0 to {len(self.names) - 1}")
        return self


class EmbeddingMap(Part):
    """Where one model places a sample of a dataset's cells, or why that is not known."""

    map_version: int = MAP_VERSION
    key: Digest = Field(description="Of all that the map follows from")
    dataset: DatasetSubject
    model: Subject
    status: Status
    reason: str | None
    seed: int = Field(description="Of the model")
    n_cells: int | None = Field(description="Of the whole dataset")
    cells: list[int] = Field(max_length=MOST_CELLS, description="Positions of the drawn cells in the dataset, in order")
    x: list[int]
    y: list[int]
    columns: dict[Column, Codes]
    environment: Environment | None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.status == "done") != (self.reason is None) or (self.status == "done") != bool(self.cells):
            raise ValueError("expected cells and no reason, or a reason and no cells")
        if {len(self.x), len(self.y), *(len(one.codes) for one in self.columns.values())} != {len(self.cells)}:
            raise ValueError(f"expected {len(self.cells)} places, and as many codes for each column")
        if not all(0 <= place <= SPAN for place in (*self.x, *self.y)):
            raise ValueError(f"expected places from 0 to {SPAN}")
        return self


def map_path(folder: Path, dataset: str, model: str) -> Path:
    """Return where a release keeps the map of a model on a dataset."""
    return folder / "datasets" / dataset / "maps" / f"{model}.json"


def write_map(folder: Path, one: EmbeddingMap) -> None:
    """Write a map into a release's folder. The caller holds the lock on it: what a killed writer left is removed."""
    path = map_path(folder, one.dataset.id, one.model.id)
    for left in path.parent.glob(f".{path.name}.*.tmp"):
        left.unlink(missing_ok=True)
    write_atomically(path, to_json(one, indent=None))


def read_map(folder: Path, dataset: str, model: str) -> EmbeddingMap | None:
    """Return the map of a model on a dataset, or ``None`` when there is none that can be read."""
    try:
        found = EmbeddingMap.model_validate_json(map_path(folder, dataset, model).read_bytes())
    except (OSError, ValidationError):
        return None
    is_own = (found.dataset.id, found.model.id, found.map_version) == (dataset, model, MAP_VERSION)
    return found if is_own else None
