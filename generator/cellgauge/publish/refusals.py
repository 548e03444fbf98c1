"""What is refused before anything is written: places that hold something else, and another address than before."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

from cellgauge.cards.problems import UserError
from cellgauge.cards.project import Project
from cellgauge.publish.contents import CONTENTS, listed_contents, published_contents
from cellgauge.publish.destination import Destination
from cellgauge.publish.root import ASSETS, RELEASES
from cellgauge.report.address import address_of, folder_of_latest
from cellgauge.results.manifest import first_lines, read_index
from cellgauge.results.store import read_release

_ROOT = ("404.html", "index.html", RELEASES, "robots.txt", "sitemap.xml")


def refuse_project(project: Project, destination: Destination) -> None:
    """Refuse a folder in which files of the project would be overwritten, or would lie beside published ones.

    Raises
    ------
    UserError
        When it is the project's folder, or lies in or above a part of it that people write or git keeps.
    """
    if destination.folder is None:
        return
    folder = destination.folder.resolve()
    sources = (project.source / name for name in ("site_src", "generator", ".git"))
    parts = (part.resolve() for part in (*sources, project.work / "results", project.work / ".git"))
    for part in parts:
        if part.is_relative_to(folder) or folder.is_relative_to(part):
            where = "is" if part == folder else "lies in" if folder.is_relative_to(part) else "holds"
            raise UserError(
                f"{destination.name}: {where} {part}, a part of the project; expected a folder for the site alone, "
                f"such as {project.work / 'site'}"
            )


def root_address(project: Project, root_url: str | None) -> str:
    """Return where all releases will stand, ending with a slash; empty where that is not known.

    Raises
    ------
    UserError
        When it is no address.
    """
    address = address_of(project, None, None, root_url).site
    if address and not _is_address(address):
        where = "site_url in mkdocs.yml" if root_url is None else "--site-url"
        found = address if root_url is None else root_url
        raise UserError(f'{where}: expected an address such as https://board.example.org/, found "{found}"')
    return address


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    is_plain = not (parts.query or parts.fragment or any(one.isspace() for one in text))
    return parts.scheme in ("http", "https") and bool(parts.hostname) and is_plain


def refuse_other_address(
    destination: Destination, known: Sequence[str], new: Iterable[str], root: str, *, start_over: bool
) -> None:
    """Refuse to publish for another address than before: pages name it for ever.

    Parameters
    ----------
    known
        The releases that are published there, the newest first.
    new
        Those that are about to be; an unfinished one may be taken over for another address.
    root
        Where all releases will stand.

    Raises
    ------
    UserError
        Naming both addresses.
    """
    begun = [] if start_over else [one for one in new if published_contents(destination, one) is not None]
    for release in (*known[:1], *begun):
        there = listed_contents(destination, release).address.removesuffix(f"{release}/")
        if there != root:
            state, hint = "published", "For a site at another address, publish all releases to an empty destination"
            if release in begun:
                state, hint = "begun", "To move what is not finished, give --start-over"
            raise UserError(
                f"{destination.name}: release {release} was {state} there for {there}, and the address is now {root}. "
                f"Its pages name the first: give --site-url {there}. {hint}."
            )


def refuse_foreign(
    project: Project, destination: Destination, releases: Sequence[str], *, is_begun: bool, start_over: bool
) -> None:
    """Refuse to write over, or around, files that do not belong to the site.

    What a publisher was interrupted at is not foreign: it has said first, in ``R/site.json``, what it would write.
    Therefore that is read after looking what is there.

    Parameters
    ----------
    releases
        Those that are about to be published.
    is_begun
        Whether the destination has a list of releases, so that the root is ours.
    start_over
        Whether a release may hold what was left of other contents.

    Raises
    ------
    UserError
        Naming the files.
    """
    foreign = [] if is_begun else _foreign_root(project, destination, releases)
    for release in releases:
        there = destination.keys(f"{release}/")
        claim = published_contents(destination, release)
        if claim is None or not start_over:
            own = {CONTENTS, *claim.files} if claim else set()
            foreign += [key for key in there if key.removeprefix(f"{release}/") not in own]
    if foreign:
        raise UserError(
            "\n".join([
                *first_lines(foreign),
                f"{destination.name}: holds these files, which cellgauge publish has not written, where the site would "
                "be. Publish to an empty folder or prefix, or move them away",
            ])
        )  # fmt: skip


def _foreign_root(project: Project, destination: Destination, releases: Iterable[str]) -> list[str]:
    series = {read_release(project.release(one)).series for one in releases}
    there = [key for key in _ROOT if destination.read(key) is not None]
    for folder in (ASSETS, *sorted(map(folder_of_latest, series))):
        there += destination.keys(f"{folder}/")
    begun = (published_contents(destination, one) for one in read_index(project).releases)
    return [] if there and any(one is not None for one in begun) else there
