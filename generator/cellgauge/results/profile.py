"""A dataset in numbers: counted by the runner when it loads the data, shown on the dataset's page.

One file a dataset and release, ``results/R/datasets/<dataset>.json``. Nothing in it is typed in by a person.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import AwareDatetime, Field, ValidationError

from cellgauge.cards.base import Column, Digest, Id, Part
from cellgauge.cards.dataset import DatasetCard
from cellgauge.results.store import to_json, write_atomically

PROFILE_VERSION = 1


class Quartiles(Part):
    """The distribution of a number over cells."""

    least: float
    lower: float
    median: float
    upper: float
    most: float


class Composition(Part):
    """How many cells have each pair of values of two columns."""

    rows: Column
    columns: Column | None = Field(description="null: there is only one column to count by")
    row_names: list[str]
    column_names: list[str]
    cells: list[list[int]] = Field(description="(row_names × column_names)")


class DatasetProfile(Part):
    """What was counted in one dataset."""

    profile_version: int = PROFILE_VERSION
    dataset: Id
    card: Digest = Field(description="Of the card's fields that decide a score, when this was counted")
    content: Digest
    n_cells: int
    n_features: int
    n_features_seen: int = Field(description="Features that are not zero in at least one cell")
    n_stored: int = Field(description="Values of the matrix that are not zero")
    share_of_zeros: float
    whole_numbers: bool
    totals: Quartiles = Field(description="Sum of the matrix over each cell; for counts: molecules")
    detected: Quartiles = Field(description="Features that are not zero in each cell")
    values: dict[Column, int] = Field(description="How many different values each role's column has")
    compositions: list[Composition]
    split: dict[str, int] | None = Field(description="Cells in each part of the card's split")
    split_values: dict[str, int] | None = Field(description="Values of the split's role in each part")
    file_bytes: int | None = Field(description="Size of the original files; null where there are none")
    peak_memory_mb: float | None = Field(description="MiB, while loading and checking")
    memory_method: str | None
    counted_at: AwareDatetime


def profile_path(folder: Path, dataset: str) -> Path:
    """Return where a release keeps the profile of a dataset."""
    return folder / "datasets" / f"{dataset}.json"


def write_profile(folder: Path, profile: DatasetProfile) -> None:
    """Write a profile into a release's folder."""
    write_atomically(profile_path(folder, profile.dataset), to_json(profile))


def read_profile(folder: Path, dataset: str) -> DatasetProfile | None:
    """Return the profile of a dataset, or ``None`` when there is none that can be read."""
    try:
        return DatasetProfile.model_validate_json(profile_path(folder, dataset).read_bytes())
    except (OSError, ValidationError):
        return None


def current_profile(folder: Path, card: DatasetCard) -> DatasetProfile | None:
    """Return the profile of a dataset as its card is now, if a release has it."""
    profile = read_profile(folder, card.id)
    current = profile is not None and profile.card == card.digest and profile.profile_version == PROFILE_VERSION
    return profile if current else None


def profile_is_current(folder: Path, card: DatasetCard) -> bool:
    """Whether a release has a profile of a dataset as its card is now."""
    return current_profile(folder, card) is not None
