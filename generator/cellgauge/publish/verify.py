"""Which page of which published release a downloaded file is."""

from __future__ import annotations

import gzip
import hashlib
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cellgauge.cards.problems import UserError
from cellgauge.cards.project import Project
from cellgauge.publish.contents import CONTENTS, Contents, digest_of, read_contents
from cellgauge.publish.destination import open_destination
from cellgauge.publish.versions import VERSIONS, read_versions
from cellgauge.results.manifest import INDEX, read_index

_PATIENCE_S = 60


@dataclass(frozen=True)
class PublishedSite:
    """What a published site says that its releases consist of."""

    name: str
    releases: dict[str, Contents]

    def places_of(self, file: Path) -> list[str]:
        """Return where the site has a file, byte for byte: ``2026.11: models/pca/index.html``.

        A file that was saved compressed, as a store hands it out, is compared with what it holds.

        Raises
        ------
        UserError
            When it cannot be read.
        """
        try:
            data = file.read_bytes()
        except OSError as error:
            raise UserError(f"{file}: cannot be read: {error.strerror}") from None
        wanted = {hashlib.sha256(one).hexdigest() for one in (data, _unpacked(data))}
        return [
            f"{release}: {name}"
            for release, contents in self.releases.items()
            for name, one in contents.files.items()
            if one.sha256 in wanted
        ]


def read_site(project: Project, name: str, endpoint_url: str | None) -> PublishedSite:
    """Read what the releases of a published site consist of.

    Parameters
    ----------
    name
        Where it is: an ``https://`` address, a folder or ``s3://bucket/prefix``.

    Raises
    ------
    UserError
        When it is no published site, a list of files is not the one that was published, or the project knows a
        release by another manifest.
    """
    read = _reader(name, endpoint_url)
    listed = read(VERSIONS)
    if listed is None:
        raise UserError(f"{name}: has no {VERSIONS}; expected a site that cellgauge publish has made")
    known, found = read_index(project).releases, {}
    for one in read_versions(listed, name):
        key = f"{one.version}/{CONTENTS}"
        data = read(key)
        if data is None or digest_of(data) != one.properties.site:
            state = "is missing" if data is None else f"found {digest_of(data)}"
            raise UserError(f"{name}/{key}: {state}, expected {one.properties.site} (in {VERSIONS})")
        mine = known.get(one.version)
        if mine is not None and mine.manifest != one.properties.manifest:
            raise UserError(
                f"{name}: release {one.version} is published with the manifest {one.properties.manifest}, "
                f"expected {mine.manifest} (in results/{INDEX})"
            )
        found[one.version] = read_contents(data, f"{name}/{key}")
    return PublishedSite(name, found)


def _reader(name: str, endpoint_url: str | None) -> Callable[[str], bytes | None]:
    if name.startswith(("http://", "https://")):
        return lambda key: _fetched(f"{name.rstrip('/')}/{key}")
    destination = open_destination(name, endpoint_url)

    def read(key: str) -> bytes | None:
        stored = destination.read(key)
        return None if stored is None else stored.data

    return read


def _fetched(address: str) -> bytes | None:
    request = urllib.request.Request(address, headers={"User-Agent": "cellgauge"})  # noqa: S310 (http and https only)
    try:
        with urllib.request.urlopen(request, timeout=_PATIENCE_S) as answer:  # noqa: S310
            return _unpacked(answer.read())
    except urllib.error.HTTPError as error:
        if error.code in (403, 404):
            return None
        raise UserError(f"{address}: the host answers {error.code} {error.reason}") from None
    except (urllib.error.URLError, OSError) as error:
        raise UserError(f"{address}: cannot be asked: {error}") from None


def _unpacked(data: bytes) -> bytes:
    try:
        return gzip.decompress(data)
    except (OSError, EOFError):
        return data
