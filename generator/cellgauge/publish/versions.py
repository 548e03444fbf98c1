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
from cellgauge.report.address import folder_of_latest
from cellgauge.results.manifest import Frozen
from cellgauge.results.release import Correction, Release
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

    @property
    def latest_in(self) -> str:
        """The folder that leads to the newest release of its series."""
        return folder_of_latest(self.properties.series)


def published_as(meta: Release, frozen: Frozen, site: str) -> Version:
    """Return the entry of a release that is about to be published."""
    title = f"{meta.release} (reported)" if meta.kind == "reported" else meta.release
    properties = Properties(
        series=meta.series, kind=meta.kind, rehearsal=meta.rehearsal, frozen_on=frozen.frozen_on,
        manifest=frozen.manifest, site=site, corrects=meta.corrects, doi=frozen.doi,
    )  # fmt: skip
    return Version(version=meta.release, title=title, aliases=[], properties=properties)


def in_order(versions: Iterable[Version]) -> list[Version]:
    """Return releases as the file has them: the newest first, and the newest of each series with its alias.

    Of one day, those that were measured come first.
    """

    def age(one: Version) -> tuple[dt.date, bool, str]:
        return one.properties.frozen_on, one.properties.kind == "measured", one.version

    found = sorted(versions, key=age, reverse=True)
    newest = {one.properties.series: one.version for one in reversed(found)}
    return [
        one.model_copy(
            update={"aliases": [one.latest_in] if newest[one.properties.series] == one.version else []},
        )
        for one in found
    ]


def newest_of(versions: list[Version], series: str) -> Version | None:
    """Return the newest release of a series."""
    return next((one for one in versions if one.properties.series == series), None)


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
