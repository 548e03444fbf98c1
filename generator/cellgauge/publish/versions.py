"""``versions.json``: the releases that were published, for the theme's selector and for what pages say about others.

The format is that of mike, which the theme reads; what else is known about a release stands in ``properties``.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from cellgauge.cards.problems import UserError
from cellgauge.report.address import LATEST
from cellgauge.results.manifest import Frozen
from cellgauge.results.schema import Correction, Release
from cellgauge.results.store import fault_of

VERSIONS = "versions.json"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class Properties(_Part):
    """What pages of other releases, and the root, say about a release."""

    series: str
    """Releases of one series follow one another."""
    kind: Literal["measured", "reported"]
    rehearsal: bool
    frozen_on: dt.date
    manifest: str
    """sha256 of ``results/R/manifest.json``."""
    site: str
    """sha256 of ``R/site.json``, which names every file of the release's site."""
    corrects: Correction | None
    doi: str | None


class Version(_Part):
    """A published release."""

    version: str
    title: str
    aliases: list[str]
    properties: Properties


def published_as(meta: Release, frozen: Frozen, site: str) -> Version:
    """Return the entry of a release that is about to be published."""
    # A reported release is named by its source and its version.
    series = meta.release.partition("-")[0] if meta.kind == "reported" else "rehearsal" if meta.rehearsal else "release"
    title = f"{meta.release} (reported)" if meta.kind == "reported" else meta.release
    properties = Properties(
        series=series, kind=meta.kind, rehearsal=meta.rehearsal, frozen_on=frozen.frozen_on, manifest=frozen.manifest,
        site=site, corrects=meta.corrects, doi=frozen.doi,
    )  # fmt: skip
    return Version(version=meta.release, title=title, aliases=[], properties=properties)


def in_order(versions: Iterable[Version]) -> list[Version]:
    """Return releases as the file has them: the newest first, and the one that ``latest`` leads to marked.

    That is the newest one that was measured and is meant to be cited, if there is one.
    """
    found = sorted(versions, key=lambda one: (one.properties.frozen_on, one.version), reverse=True)
    best = max(found, key=lambda one: (one.properties.kind == "measured", not one.properties.rehearsal), default=None)
    return [one.model_copy(update={"aliases": [LATEST] if one is best else []}) for one in found]


def latest(versions: list[Version]) -> str | None:
    """Return the release that ``latest`` leads to."""
    return next((one.version for one in versions if LATEST in one.aliases), None)


def read_versions(data: bytes, where: str) -> list[Version]:
    """Read the file.

    Raises
    ------
    UserError
        When it is something else.
    """
    try:
        return TypeAdapter(list[Version]).validate_json(data)
    except ValidationError as error:
        raise UserError(f"{where}/{VERSIONS}: {fault_of(error)}. It was not written by cellgauge publish.") from None


def write_versions(versions: list[Version]) -> bytes:
    """Return the file's bytes."""
    document: list[dict[str, Any]] = [one.model_dump(mode="json") for one in versions]
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()
