"""``site.json``: every file of a published release with its sha256, by which a downloaded page is known."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cellgauge.cards.problems import UserError
from cellgauge.publish.destination import Destination
from cellgauge.publish.versions import VERSIONS
from cellgauge.results.manifest import FrozenFile, frozen_file
from cellgauge.results.store import fault_of

CONTENTS = "site.json"
_PAGE = "index.html"


class Contents(BaseModel):
    """What the site of a release consists of."""

    model_config = ConfigDict(frozen=True)

    release: str
    address: str = Field(description="Where it stands")
    manifest: str = Field(description="sha256 of the manifest of the results that it shows")
    files: dict[str, FrozenFile] = Field(description="By their address in the release")

    def pages(self) -> list[str]:
        """Return the addresses of pages, each of which ends with a slash but that of the home page."""
        return [name.removesuffix(_PAGE) for name in self.files if name == _PAGE or name.endswith(f"/{_PAGE}")]

    def to_json(self) -> bytes:
        """Return the file's bytes."""
        return (json.dumps(self.model_dump(mode="json"), sort_keys=True, indent=1) + "\n").encode()


def contents_of(site: Path, release: str, address: str, manifest: str) -> Contents:
    """Return what the site in a folder consists of."""
    paths = sorted(path for path in site.rglob("*") if path.is_file())
    files = {path.relative_to(site).as_posix(): frozen_file(path) for path in paths}
    return Contents(release=release, address=address, manifest=manifest, files=files)


def read_contents(data: bytes, where: str) -> Contents:
    """Read the file.

    Raises
    ------
    UserError
        When it is something else.
    """
    try:
        return Contents.model_validate_json(data)
    except ValidationError as error:
        raise UserError(f"{where}: {fault_of(error)}. It was not written by cellgauge publish.") from None


def published_contents(destination: Destination, release: str) -> Contents | None:
    """Return what a release at a destination consists of, or will; None where nobody has begun it."""
    key = f"{release}/{CONTENTS}"
    stored = destination.read(key)
    return None if stored is None else read_contents(stored.data, f"{destination.name}/{key}")


def listed_contents(destination: Destination, release: str) -> Contents:
    """Return what a release that the destination lists consists of.

    Raises
    ------
    UserError
        When that is missing.
    """
    found = published_contents(destination, release)
    if found is None:
        raise UserError(
            f"{destination.name}/{release}/{CONTENTS}: is missing, though {VERSIONS} lists the release; restore it"
        )
    return found


def digest_of(data: bytes) -> str:
    """Return the sha256 of bytes, as digests are written."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
