"""How a file is handed to those who ask for it: what it is, how long it may be kept, whether it is compressed."""

from __future__ import annotations

import gzip
import mimetypes
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

FOR_EVER = "public, max-age=31536000, immutable"
"""What belongs to a release never changes."""
ASK_AGAIN = "no-cache"
"""What leads to releases changes with each: a browser keeps it, and asks each time whether it is still so."""

_KINDS = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".map": "application/json",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".xml": "application/xml",
    ".csv": "text/csv",
    ".txt": "text/plain",
    ".cff": "application/yaml",
    ".yaml": "application/yaml",
    ".md": "text/markdown",
    ".woff2": "font/woff2",
    ".png": "image/png",
    ".npy": "application/octet-stream",
}
_TEXT = ("text/", "application/json", "application/xml", "application/yaml", "image/svg+xml")
_FOR_BROWSERS = (".html", ".css", ".js", ".map", ".svg", ".xml")
"""Compressed. Not so what programs read: many do not undo it."""
_SEARCH = "search/search_index.json"
_WORTH_IT = 1_000
"""Smaller files fit into one packet anyway."""


def kind_of(path: str) -> str:
    """Return the media type of a file, which the ending of its name tells."""
    return _KINDS.get(PurePosixPath(path).suffix) or mimetypes.guess_type(path)[0] or "application/octet-stream"


@dataclass(frozen=True)
class Body:
    """What is stored where a header can say how it is packed."""

    data: bytes
    encoding: str | None
    """``gzip``, or None where it is stored as it is."""


@dataclass(frozen=True)
class Delivery:
    """A file, and what is said about it to those who ask for it."""

    path: str
    """Its address, whose ending says what it is."""
    source: Path | bytes
    cache: str

    @property
    def type(self) -> str:
        """The media type, with the encoding of text."""
        kind = kind_of(self.path)
        return f"{kind}; charset=utf-8" if kind.startswith(_TEXT) else kind

    def plain(self) -> bytes:
        """Return what a reader gets."""
        return self.source if isinstance(self.source, bytes) else self.source.read_bytes()

    def body(self) -> Body:
        """Return what is stored: always the same bytes for the same file."""
        plain = self.plain()
        if not self.path.endswith((*_FOR_BROWSERS, _SEARCH)) or len(plain) < _WORTH_IT:
            return Body(plain, None)
        packed = gzip.compress(plain, mtime=0)
        return Body(packed, "gzip") if len(packed) < len(plain) else Body(plain, None)
