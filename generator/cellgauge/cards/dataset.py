"""The dataset card: which cells, from where, and which column plays which role."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from cellgauge.cards.base import Card, Citation, Column, Digest, FunctionPath, Id, Part, Scalar, Sentence


class FunctionSource(Part):
    """A dataset made by a Python function, such as one that ships inside scanpy."""

    kind: Literal["function"]
    function: FunctionPath
    params: dict[str, Scalar] = {}


class FileSource(Part):
    """An ``.h5ad`` file on this machine; a relative path starts at the card's folder."""

    kind: Literal["file"]
    path: str = Field(min_length=1)


Source = Annotated[FunctionSource | FileSource, Field(discriminator="kind")]
"""Where the bytes come from. A new kind of source is a new member here and a reader in ``data``."""


class Organism(Part):
    """A species by its scientific name and NCBI taxon number."""

    name: Sentence
    taxon: int = Field(ge=1)


class Matrix(Part):
    """Which matrix of the file holds the measurements, and what its numbers are.

    The words fit any modality: the features of an expression set are genes, of an imaging set
    image features, of a DNA set sequence windows.
    """

    location: Literal["X", "raw", "layers/counts"]
    values: Literal["counts", "log-normalised", "scaled", "continuous"]
    features: Literal["gene symbols", "Ensembl genes", "image features", "sequence windows"]


class DatasetCard(Card):
    """A dataset."""

    COMPUTE: ClassVar[tuple[str, ...]] = ("version", "digest_of_content", "matrix", "columns")

    version: int = Field(ge=1)
    evidence: Literal["measured", "simulated"] = Field(description="Simulated sets never enter an aggregate")
    study: Id = Field(description="Datasets of one study share donors and count as one")
    organisms: list[Organism] = Field(min_length=1)
    modality: Literal["scRNA-seq", "snRNA-seq", "Perturb-seq", "scATAC-seq", "spatial", "imaging", "DNA"]
    assay: Sentence | None = None
    tissues: list[Sentence] = []
    source: Source
    digest_of_content: Digest = Field(description="Of the matrix, cell ids, feature ids and role columns")
    matrix: Matrix
    columns: dict[Column, str] = Field(description="Role of a column: its name in obs")
    not_used: dict[str, Sentence] = Field(default={}, description="Columns that look usable and are not: why")
    licence: Sentence | None = Field(default=None, description="null where it is not known")
    citations: list[Citation] = []
    accessions: list[str] = []
    available_since: dt.date | None = Field(default=None, description="When the data became public; null: not known")
    limits: list[Sentence] = []
