"""What all four kinds of card share."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, StringConstraints

from cellgauge.cards.canonical import digest

ID_PATTERN = r"^[a-z0-9]+(-[a-z0-9]+)*$"

Id = Annotated[str, StringConstraints(pattern=ID_PATTERN, max_length=64)]
Sentence = Annotated[str, StringConstraints(min_length=1, max_length=280, pattern=r"^[^\n]*$")]
Text = Annotated[str, StringConstraints(min_length=1)]
Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
Url = Annotated[str, StringConstraints(pattern=r"^https?://[^\s<>\"]+$")]
Doi = Annotated[str, StringConstraints(pattern=r"^10\.\d{4,9}/\S+$")]
FunctionPath = Annotated[str, StringConstraints(pattern=r"^([A-Za-z_]\w*(\.\w+)*|[\w-]+\.py):[A-Za-z_]\w*$")]
"""``package.module:function``, or ``file.py:function`` for a file beside the card."""

Keys = tuple[str | int, ...]
"""A path into a card: ``("leakage", 0, "class")``."""
Lines = dict[Keys, int]
"""The line on which each key path of a file stands; ``()`` is the file's beginning."""

Scalar = bool | int | float | str
Column = Literal["label", "batch", "donor", "species", "perturbation", "time", "sample"]
"""The roles a column of a dataset can have; tasks ask for roles, datasets say which column plays them."""


class Part(BaseModel):
    """A piece of a card. Unknown keys are refused, and values are not silently converted."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Citation(Part):
    """A work to cite."""

    text: Sentence = Field(description="Authors, title, venue and year, as they are to be printed")
    doi: Doi | None = None
    url: Url | None = None

    @property
    def link(self) -> str | None:
        """Where the work is found, if that is known."""
        return f"https://doi.org/{self.doi}" if self.doi else self.url


class Card(Part):
    """One Markdown file: front matter for the machine, body for the reader.

    ``id``, ``body`` and ``path`` come from the file itself, never from the front matter.
    """

    COMPUTE: ClassVar[tuple[str, ...]] = ()
    """The fields that change a score; everything else may be reworded without a re-run."""

    id: Id
    body: str = ""
    path: str = Field(default="", description="The card's path relative to the project")
    name: Sentence
    summary: Sentence = Field(description="One sentence, shown in lists and search results")
    _lines: Lines = PrivateAttr(default_factory=dict)

    def compute_fields(self) -> dict[str, Any]:
        """Return the fields that decide a score, as plain JSON values."""
        return {"id": self.id, **self.model_dump(mode="json", include=set(self.COMPUTE))}

    def line_of(self, keys: Keys) -> int:
        """Return the line of a key path in the card's file, or of the nearest thing around it."""
        return nearest_line(keys, self._lines)

    @property
    def digest(self) -> str:
        """``sha256:<hex>`` of the fields that decide a score."""
        return digest(self.compute_fields())


FROM_FILE = ("id", "body", "path")
"""Fields of a card that the reader fills in and the front matter may not set."""


def nearest_line(keys: Keys, lines: Lines) -> int:
    """Return the line of a key path, or of the nearest thing around it that has one."""
    while keys and keys not in lines:
        keys = keys[:-1]
    return lines.get(keys, 1)


def dotted(keys: Keys) -> str:
    """Return a key path as people write it: ``leakage[0].class``."""
    out = ""
    for key in keys:
        out += f"[{key}]" if isinstance(key, int) else (f".{key}" if out else key)
    return out
