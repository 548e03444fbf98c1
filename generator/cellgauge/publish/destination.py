"""Where a site is published: a folder, or a bucket of an S3 store. Both can refuse to overwrite."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cellgauge.cards.problems import UserError
from cellgauge.publish.delivery import Delivery


@dataclass(frozen=True)
class Stored:
    """A file as it is at the destination."""

    data: bytes
    """As a reader gets it: not compressed."""
    tag: str
    """Names exactly this version of it."""


class Destination(Protocol):
    """What holds the published site. Keys are addresses below its root, such as ``2026.11/index.html``."""

    name: str
    """As it was given, for messages."""

    @property
    def folder(self) -> Path | None:
        """Where it lies on this machine; None for a store."""

    def probe(self) -> None:
        """Raise ``UserError`` unless it refuses to overwrite what it should not."""

    def read(self, key: str) -> Stored | None:
        """Return a file; None where there is none."""

    def keys(self, prefix: str) -> list[str]:
        """Return the keys of all files below ``prefix``, but of those that are just being written."""

    def create(self, key: str, delivery: Delivery) -> bool:
        """Write a file that is not there yet; False where there is one, which is left as it is."""

    def replace(self, key: str, delivery: Delivery, tag: str | None) -> bool:
        """Write a file in place of the version with this tag, or, with None, of none; False where another is there."""

    def put(self, key: str, delivery: Delivery) -> None:
        """Write a file, whatever is there."""

    def sweep(self, folders: Iterable[str]) -> None:
        """Remove what publishers that were killed before ``probe`` left half-written at the root and below folders."""

    def differing(self, prefix: str, files: Mapping[str, Delivery], seen: Callable[[int], None]) -> dict[str, bool]:
        """Return which files below ``prefix`` are not there as they should be.

        Parameters
        ----------
        files
            What should be there, by key.
        seen
            Called with how many were compared since the last call.

        Returns
        -------
        True for a key that holds something else, False for one that holds nothing.
        """


def open_destination(name: str, endpoint_url: str | None) -> Destination:
    """Return the destination with a name: ``s3://bucket/prefix``, or a folder.

    Raises
    ------
    UserError
        When there is no such kind of destination, or it cannot be used.
    """
    if not name.strip():
        raise UserError(
            "the destination is empty: expected a folder or s3://bucket/prefix. Check the variable that should name it"
        )
    if name.startswith("s3://"):
        from cellgauge.publish.s3 import Bucket

        return Bucket(name, endpoint_url)
    if "://" in name:
        raise UserError(f"{name}: expected a folder or s3://bucket/prefix")
    if endpoint_url is not None:
        raise UserError(f"--endpoint-url is for s3:// destinations, and {name} is a folder")
    from cellgauge.publish.folder import Folder

    return Folder(Path(name))
