"""The dataset card: which cells, from where, and which column plays which role."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints, model_validator

from cellgauge.cards.base import Card, Citation, Column, Digest, FunctionPath, Id, Part, Scalar, Sentence, Text

FileUrl = Annotated[str, StringConstraints(pattern=r"^(s3://[A-Za-z0-9][A-Za-z0-9.-]+/[^\s/]\S*|https?://[^\s<>\"]+)$")]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]


class SourceFile(Part):
    """One file of original bytes: at a public URL, or on this machine.

    ``sha256`` pins it. A URL without one may be fetched, but nothing is evaluated on it: nobody has
    said which bytes are meant.
    """

    url: FileUrl | None = None
    path: str | None = Field(default=None, min_length=1, description="A relative path starts at the card's folder")
    sha256: Digest | None = None
    size: int | None = Field(default=None, ge=0, description="Bytes")
    etag: str | None = Field(default=None, description="As the source gives it; says whether a download may go on")

    @model_validator(mode="after")
    def _one_place(self) -> SourceFile:
        if (self.url is None) == (self.path is None):
            raise ValueError("expected either a url or a path")
        return self

    @property
    def place(self) -> str:
        """The URL, or the path as the card writes it."""
        return self.url or self.path or ""


class FileSource(SourceFile):
    """A dataset that is one ``.h5ad`` file."""

    kind: Literal["file"]


class FunctionSource(Part):
    """A dataset made by a Python function: one that ships inside a package, a simulation, or a recipe.

    A recipe turns original files into an AnnData. It is called with ``files``, a mapping from the names
    below to paths, besides ``params``; without files a function gets ``params`` only.
    """

    kind: Literal["function"]
    function: FunctionPath
    params: dict[str, Scalar] = {}
    files: dict[Name, SourceFile] = {}


class ReportedSource(Part):
    """Cells that others used: here are only the scores that they report."""

    kind: Literal["reported"]
    note: Sentence = Field(description="What the source says of where the cells are")


Source = Annotated[FunctionSource | FileSource | ReportedSource, Field(discriminator="kind")]
"""Where the bytes come from. A new kind of source is a new member here and a reader in ``data``."""


class Organism(Part):
    """A species by its scientific name and NCBI taxon number."""

    name: Sentence
    taxon: int = Field(ge=1)


class Matrix(Part):
    """Which matrix of the file holds the measurements, and what its numbers are.

    The words fit any modality: the features of an expression set are genes, of an imaging set
    image features, of a DNA set sequence windows. ``unknown`` is for files that nobody has opened.
    """

    location: Annotated[str, StringConstraints(pattern=r"^(X|raw|layers/[^/\s]+|unknown)$")]
    values: Literal["counts", "log-normalised", "scaled", "continuous", "unknown"]
    features: Literal["gene symbols", "Ensembl genes", "image features", "sequence windows", "unknown"]
    feature_column: str | None = Field(default=None, description="Column of var with the feature ids; null: the index")


class Perturbations(Part):
    """How the perturbation column is to be read."""

    control: str = Field(min_length=1, description="The value of cells that were not perturbed")
    joined_by: str = Field(default="+", min_length=1, description="Between the genes of a double perturbation")


class Split(Part):
    """Which cells a model may learn from and which it is tested on; what is not named is for training."""

    column: str | None = Field(default=None, description="Column of obs that holds train, validation and test")
    by: Column | None = Field(default=None, description="Role whose values are listed below")
    validation: list[str] = []
    test: list[str] = []
    reason: Sentence

    @model_validator(mode="after")
    def _column_or_list(self) -> Split:
        if (self.column is None) == (self.by is None):
            raise ValueError("expected either a column or a role to split by")
        if self.by is None and (self.validation or self.test):
            raise ValueError("validation and test list values of the role to split by, and need one")
        if self.by is not None and not self.test:
            raise ValueError("test needs at least one value of the role to split by")
        if both := sorted(set(self.validation) & set(self.test)):
            raise ValueError(f"both for validation and for test: {', '.join(both)}")
        return self


class Orthologs(Part):
    """The table that says which genes of two species correspond."""

    file: Name = Field(description="One of the source's files")
    release: Sentence
    relation: Literal["one-to-one"]


class Provenance(Part):
    """What identifies the cells elsewhere: how one finds out whether a model has seen them."""

    accessions: list[str] = []
    donors: list[str] = Field(default=[], description="As the study names them")
    note: Sentence | None = None


class Shift(Part):
    """How often such data occur in what single-cell models are commonly pretrained on."""

    degree: Literal["common", "rare", "absent", "unknown"]
    why: Sentence


class DistributionShift(Part):
    """Relative to common pretraining data."""

    modality: Shift
    species: Shift
    context: Shift


SIZE_CLASSES: dict[str, int] = {"tiny": 1_000, "small": 10_000, "medium": 100_000, "large": 1_000_000}
"""Size class: the number of cells it stays below. What has more is ``huge``."""


def size_class(n_cells: int) -> str:
    """Return the size class of a number of cells."""
    return next((name for name, below in SIZE_CLASSES.items() if n_cells < below), "huge")


class Feasibility(Part):
    """What an evaluation may need at most, so that a contributor knows where it can run."""

    size: Literal["tiny", "small", "medium", "large", "huge"] | None = Field(description="null: not known")
    memory_gb: float | None = Field(default=None, gt=0, description="Loading and checking must stay below it")
    minutes: float | None = Field(default=None, gt=0, description="One simple baseline on two cores")


class Reported(Part):
    """A number that others published about these data. Shown as theirs, never as counted by us."""

    what: Sentence
    value: Sentence
    source: Sentence


class DatasetCard(Card):
    """A dataset."""

    COMPUTE: ClassVar[tuple[str, ...]] = (
        "version",
        "digest_of_content",
        "matrix",
        "columns",
        "label_of",
        "perturbations",
        "split",
    )

    version: int = Field(ge=1)
    evidence: Literal["measured", "simulated"] = Field(description="Simulated sets never enter an aggregate")
    demonstration: Sentence | None = Field(default=None, description="Why it shows a procedure and ranks nothing")
    known_answer: Text | None = Field(default=None, description="Of a simulated set: what is true in it")
    study: Id = Field(description="Datasets of one study share donors and count as one")
    family: Id | None = Field(default=None, description="The card this one was written in, with its siblings")
    joins: list[Id] = Field(default=[], description="Datasets whose cells this one puts together")
    organisms: list[Organism] = Field(description="Empty only where others used the cells and do not say")
    modality: Literal["scRNA-seq", "snRNA-seq", "Perturb-seq", "scATAC-seq", "spatial", "imaging", "DNA", "unknown"]
    assay: Sentence | None = None
    tissues: list[Sentence] = []
    source: Source
    digest_of_content: Digest | None = Field(
        description="Of the matrix, cell ids, feature ids and role columns; null while nobody has verified the bytes"
    )
    matrix: Matrix
    columns: dict[Column, str] = Field(description="Role of a column: its name in obs")
    label_of: Literal["cell", "sample"] = Field(
        default="cell", description="sample: the label, such as a disease, is that of all cells of a sample"
    )
    not_used: dict[str, Sentence] = Field(default={}, description="Columns that look usable and are not: why")
    perturbations: Perturbations | None = None
    split: Split | None = None
    orthologs: Orthologs | None = None
    provenance: Provenance = Provenance()
    shift: DistributionShift | None = None
    feasibility: Feasibility | None = None
    reported: list[Reported] = []
    licence: Sentence | None = Field(default=None, description="null where it is not known")
    citations: list[Citation] = []
    available_since: dt.date | None = Field(default=None, description="When the data became public; null: not known")
    limits: list[Sentence] = []

    @property
    def pinned(self) -> bool:
        """Whether the card says by digest which cells are meant; only then are they evaluated."""
        return self.digest_of_content is not None

    @property
    def files(self) -> dict[str, SourceFile]:
        """The original files by name; ``data`` for a source that is one file."""
        if isinstance(self.source, ReportedSource):
            return {}
        return {"data": self.source} if isinstance(self.source, FileSource) else dict(self.source.files)

    @model_validator(mode="after")
    def _fits_together(self) -> DatasetCard:
        if not isinstance(self.source, ReportedSource):
            if not self.organisms:
                raise ValueError("organisms: at least one is needed")
            if "unknown" in (self.modality, self.matrix.location):
                raise ValueError("modality and matrix: location may be unknown only of cells that others used")
        elif self.pinned:
            raise ValueError("digest_of_content: cells that others used cannot be pinned")
        if self.pinned and "unknown" in (self.matrix.values, self.matrix.features):
            raise ValueError("matrix: what it holds cannot be unknown once digest_of_content is given")
        if self.pinned and any(one.url and one.sha256 is None for one in self.files.values()):
            raise ValueError("source: each file at a URL needs its sha256 once digest_of_content is given")
        if ("perturbation" in self.columns) != (self.perturbations is not None):
            raise ValueError("perturbations: needed with, and only with, a perturbation column")
        if self.split is not None and self.split.by is not None and self.split.by not in self.columns:
            raise ValueError(f"split: there is no {self.split.by} column to split by")
        if self.orthologs is not None and self.orthologs.file not in self.files:
            known = ", ".join(self.files) or "none"
            raise ValueError(f'orthologs: "{self.orthologs.file}" is not a file of the source ({known})')
        if self.evidence == "simulated" and self.known_answer is None:
            raise ValueError("known_answer: say of simulated data what is true in them")
        return self
