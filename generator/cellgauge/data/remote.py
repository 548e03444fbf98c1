"""A file elsewhere: what a protocol has to offer so that a download can be resumed and verified."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from cellgauge.cards.problems import UserError

CHUNK = 1 << 16
"""Bytes read at a time. A dropped connection loses less than this."""

SECONDS_BETWEEN_REPORTS = 0.1


class FetchError(UserError):
    """A file that could not be had, or is not the one that the card means."""


class Interrupted(Exception):
    """What may go better next time: a dropped connection, a time-out, a server that is busy.

    ``after`` are the seconds that the server asks to wait; ``reached`` is whether anybody answered at all.
    """

    def __init__(self, why: str, *, after: float = 0.0, reached: bool = True) -> None:
        super().__init__(why)
        self.after, self.reached = after, reached


@dataclass(frozen=True)
class Progress:
    """What is happening to one file. The last report of a file that was had is ``done``, with its digest if known."""

    place: str
    stage: Literal["waiting", "searching", "copying", "resuming", "downloading", "retrying", "done"]
    done: int = 0
    total: int | None = None
    note: str = ""
    sha256: str | None = None


Report = Callable[[Progress], None]


@dataclass(frozen=True)
class Patience:
    """How long to try: ``retries`` in a row that bring nothing new; times in seconds.

    Where nobody has answered yet, ``retries_unreached`` are enough: most often there is no network.
    """

    retries: int = 5
    retries_unreached: int = 2
    first_wait: float = 1.0
    longest_wait: float = 30.0
    connect: float = 10.0
    read: float = 60.0


@dataclass(frozen=True)
class Head:
    """What a source says before the bytes."""

    start: int
    """Offset of the first byte that follows: what was asked for, or 0."""
    total: int | None
    """Bytes of the whole file."""
    etag: str | None
    """A strong one, which changes with any byte."""
    weak_etag: str | None
    ends_surely: bool
    """Whether a connection that breaks can be told from the end of the file."""
    media_type: str


@dataclass(frozen=True)
class Answer:
    """A source's answer; ``chunks`` raises ``Interrupted`` where the connection breaks."""

    head: Head
    chunks: Iterator[bytes]
    close: Callable[[], None]


class Remote(Protocol):
    """A file elsewhere."""

    def open(self, offset: int, etag: str | None) -> Answer:
        """Ask for the bytes from an offset on, if the file still has this ETag; else for all of them.

        Raises
        ------
        FetchError
            When it will not be had by trying again.
        Interrupted
            When it may be.
        """


def read_head(status: int, headers: Mapping[str, str], offset: int) -> Head | None:
    """Read the headers of a 200 or 206; None for a part that is not the one that was asked for."""
    etag = headers.get("etag") or None
    weak = etag is not None and etag.startswith("W/")
    length = headers.get("content-length", "")
    chunked = "chunked" in headers.get("transfer-encoding", "").lower()
    total = int(length) if re.fullmatch(r"[0-9]+", length) and not chunked else None
    ends_surely = chunked or total is not None
    start = 0
    if status == 206:
        part = re.fullmatch(r"bytes ([0-9]+)-[0-9]+/([0-9]+|\*)", headers.get("content-range", "").strip())
        if part is None or int(part[1]) != offset:
            return None
        start, total = offset, None if part[2] == "*" else int(part[2])
    return Head(
        start=start,
        total=total,
        etag=None if weak else etag,
        weak_etag=etag if weak else None,
        ends_surely=ends_surely,
        media_type=headers.get("content-type", "").split(";")[0].strip().lower(),
    )


def root_cause(error: BaseException) -> str:
    """Return in a few words what is at the bottom of a network library's exception."""
    deepest = error
    while (below := deepest.__cause__ or deepest.__context__) is not None:
        deepest = below
    if isinstance(deepest, OSError) and deepest.strerror:
        return deepest.strerror
    return str(deepest) or type(deepest).__name__
