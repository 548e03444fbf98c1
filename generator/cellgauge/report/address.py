"""Where pages stand for good: each frozen release in a folder of its own, below one root."""

from __future__ import annotations

from dataclasses import dataclass

from cellgauge.cards import Project
from cellgauge.report.sources import site_address
from cellgauge.results.manifest import read_index
from cellgauge.results.store import read_release

LATEST = "latest"
"""The folder below the root that leads to the newest release."""


def folder_of_latest(series: str) -> str:
    """Return the folder below the root that leads to the newest release of a series: ``latest``, ``latest-vcp``."""
    return LATEST if series == "release" else f"{LATEST}-{series}"


@dataclass(frozen=True)
class Address:
    """Where the site of a release is."""

    site: str = ""
    """Ends with a slash; empty where it is not known."""
    root: str | None = None
    """Below which all releases stand, each in the folder of its name; None for a site by itself."""
    series: str = "release"

    def latest(self, path: str) -> str | None:
        """Return what leads to a page in the newest release of the series that has it; None for a site by itself."""
        return None if self.root is None else f"{self.root}{folder_of_latest(self.series)}/{path}"

    def in_release(self, release: str, path: str) -> str | None:
        """Return the address of a page in another release; None for a site by itself."""
        return None if self.root is None else f"{self.root}{release}/{path}"


def address_of(project: Project, release: str | None, site_url: str | None, root_url: str | None) -> Address:
    """Return where the site of a release is.

    Parameters
    ----------
    site_url
        The address of this site by itself; None where it is one of many.
    root_url
        The address below which all frozen releases stand; None for ``site_url`` in ``mkdocs.yml``.
    """
    if site_url is not None:
        return Address(_with_slash(site_url))
    root = _with_slash(root_url) if root_url is not None else site_address(project)
    if root and release is not None and release in read_index(project).releases:
        return Address(f"{root}{release}/", root, read_release(project.release(release)).series)
    return Address(root)


def _with_slash(address: str) -> str:
    return f"{address.rstrip('/')}/"
