"""Publishing: a frozen release goes into a folder of its own, once; then the small root beside it is written anew.

The order never leaves a page that points at a missing file, whenever it is interrupted. ``R/site.json`` comes first: it
can be created only once, and says what the folder will hold, so that of two publishers with different contents one is
refused, and one that goes on after a kill knows what is there already. Then come files that pages load, then pages;
all of them are compared with what is stored. The root leads to the release only then, and ``versions.json`` is last:
it is replaced only in the version that the root was made from.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from cellgauge.cards.problems import UserError, did_you_mean
from cellgauge.cards.project import Project
from cellgauge.publish.contents import CONTENTS, Contents, contents_of, digest_of, listed_contents
from cellgauge.publish.delivery import ASK_AGAIN, FOR_EVER, Delivery, kind_of
from cellgauge.publish.destination import Destination, Stored
from cellgauge.publish.latest import leading_pages
from cellgauge.publish.refusals import refuse_foreign, refuse_other_address, refuse_project, root_address
from cellgauge.publish.root import ASSETS, RELEASES, About, root_files
from cellgauge.publish.s3 import CONNECTIONS
from cellgauge.publish.versions import (
    VERSIONS,
    Version,
    in_order,
    newest_of,
    published_as,
    read_versions,
    write_versions,
)
from cellgauge.report.address import Address, address_of
from cellgauge.report.build import build_site, published_folder
from cellgauge.report.numbers import plural, size_in_words
from cellgauge.results.manifest import INDEX, Frozen, first_lines, previous_release, read_index, refuse_changed
from cellgauge.results.store import read_release

_ABOUT = "api/v1/release.json"
_MOST_ATTEMPTS = 20


class Report(Protocol):
    """Shows how far it is."""

    def say(self, line: str) -> None:
        """Show a line."""

    def step(self, what: str, total: int) -> Callable[[int], None]:
        """Begin a step of ``total`` parts, and return what is called with how many more are done."""


@dataclass
class Published:
    """What was done, or would be."""

    release: str
    outcome: str
    """``published``, ``already published``, or ``would be published``."""
    files: int = 0
    uploaded: int = 0
    bytes: int = 0
    """Of the files that were uploaded, or would be, before they are compressed."""
    address: str = ""
    kinds: dict[str, int] = field(default_factory=dict)
    """How many files of each media type it has."""


def publish(
    project: Project,
    destination: Destination,
    releases: list[str],
    *,
    root_url: str | None,
    dry_run: bool = False,
    start_over: bool = False,
    report: Report,
) -> list[Published]:
    """Publish frozen releases to a destination.

    Parameters
    ----------
    releases
        Their names; none for all that are meant to be cited and are not there yet, the oldest first.
    root_url
        Where readers will find the destination; None for ``site_url`` in ``mkdocs.yml``.
    dry_run
        Build and compare, and write nothing.
    start_over
        Take the place of a publisher that left a release unfinished with other contents.

    Raises
    ------
    UserError
        When a release cannot be published, is there with other contents, or the destination cannot be used.
    """
    refuse_project(project, destination)
    root = root_address(project, root_url)
    known, stored = _known(destination)
    if not releases:
        releases = _waiting(project, known)
        if not releases:
            report.say("every frozen release that is meant to be cited is published")
    there = {one.version: one for one in known}
    ordered = _oldest_first(project, releases)
    new = [one for one in ordered if one not in there]
    if root:
        refuse_other_address(destination, [one.version for one in known], new, root, start_over=start_over)
    refuse_foreign(project, destination, new, is_begun=stored is not None, start_over=start_over)
    if not dry_run:
        destination.probe()
    found = []
    for release in ordered:
        _refuse_unfit(project, release, there)
        if release in there:
            found.append(_already(project, destination, there[release], dry_run=dry_run, report=report))
            continue
        ready = _prepare(project, release, root_url, report)
        there[release] = ready.version
        if dry_run:
            found.append(_would(destination, ready, report))
            continue
        _claim(destination, ready, start_over=start_over)
        done = _upload(destination, ready, report)
        _refuse_started_over(destination, ready)
        _lead_to(project, destination, ready.version, ready.contents, report)
        found.append(done)
        report.say(f"release {release} is published: {ready.address.site}")
    return found


@dataclass(frozen=True)
class _Ready:
    """A release that was built."""

    version: Version
    site: Path
    contents: Contents
    address: Address

    @property
    def name(self) -> str:
        return self.version.version

    @property
    def listed(self) -> bytes:
        return self.contents.to_json()

    def deliveries(self) -> dict[str, Delivery]:
        """Return its files by key: what pages load first, then pages."""
        names = sorted(self.contents.files, key=lambda name: (name.endswith(".html"), name))
        return {f"{self.name}/{name}": Delivery(name, self.site / name, FOR_EVER) for name in names}

    def told(self, outcome: str, keys: Iterable[str]) -> Published:
        """Return what was done with it, where the files with these keys were or would be uploaded."""
        files, uploaded = self.contents.files, [key.removeprefix(f"{self.name}/") for key in keys]
        kinds = Counter(map(kind_of, files))
        n_bytes = sum(files[name].bytes for name in uploaded)
        return Published(
            self.name, outcome, len(files), len(uploaded), n_bytes, self.address.site, dict(sorted(kinds.items()))
        )


def _known(destination: Destination) -> tuple[list[Version], Stored | None]:
    stored = destination.read(VERSIONS)
    return ([] if stored is None else read_versions(stored.data, destination.name)), stored


def _waiting(project: Project, known: list[Version]) -> list[str]:
    """Return the releases that are to be cited and not published yet, and those that were given a DOI since."""
    published = {one.version for one in known}
    index = read_index(project).releases
    if not index:
        raise UserError(f"no release is frozen (in {project.work / 'results' / INDEX}). Freeze one: cellgauge freeze R")
    new = [name for name, one in index.items() if not one.rehearsal and name not in published]
    return new + [one.version for one in known if one.version in index and _new_doi(index[one.version], one)]


def _new_doi(mine: Frozen, there: Version) -> str | None:
    """Return the DOI that a release was given since it was published; a project without one takes none away."""
    return mine.doi if mine.doi != there.properties.doi else None


def _oldest_first(project: Project, releases: Iterable[str]) -> list[str]:
    index = read_index(project).releases
    for one in releases:
        if one not in index:
            frozen = f"Freeze it first: cellgauge freeze {one}" if (project.release(one)).is_dir() else ""
            raise UserError(f'release "{one}" is not frozen{did_you_mean(one, index) if not frozen else ". " + frozen}')
    return sorted(dict.fromkeys(releases), key=lambda one: (index[one].frozen_on, one))


def _refuse_unfit(project: Project, release: str, there: Mapping[str, Version]) -> None:
    refuse_changed(project, release)
    before = previous_release(project, read_release(project.release(release)))
    if before is not None and before not in there and release not in there:
        raise UserError(
            f"release {release}: its pages lead to release {before}, which is not published there. Publish that first: "
            f"cellgauge publish DEST --release {before}"
        )


def _already(project: Project, destination: Destination, one: Version, *, dry_run: bool, report: Report) -> Published:
    """Leave a release as it is; a DOI that it was given since is noted at the root."""
    mine = read_index(project).releases[one.version]
    if mine.manifest != one.properties.manifest:
        raise UserError(
            f"release {one.version} is published with the manifest {one.properties.manifest}, but results/{INDEX} "
            f"has {mine.manifest}. A published release never changes: name a new one"
        )
    report.say(f"release {one.version} is published already, and stays as it is")
    doi = _new_doi(mine, one)
    if doi is not None and dry_run:
        report.say(f"its DOI would be noted at the root: {doi}")
    elif doi is not None:
        report.say(f"its DOI is noted at the root: {doi}")
        known = one.model_copy(update={"properties": one.properties.model_copy(update={"doi": doi})})
        _lead_to(project, destination, known, listed_contents(destination, one.version), report)
    return Published(one.version, "already published")


def _prepare(project: Project, release: str, root_url: str | None, report: Report) -> _Ready:
    address = address_of(project, release, None, root_url)
    if address.root is None:
        raise UserError("it is not known where the site will be: set site_url in mkdocs.yml, or give --site-url")
    site = published_folder(project, release)
    build_site(project, release, site, root_url=root_url, say=report.say)
    meta, frozen = read_release(project.release(release)), read_index(project).releases[release]
    contents = contents_of(site, release, address.site, frozen.manifest)
    return _Ready(published_as(meta, frozen, digest_of(contents.to_json())), site, contents, address)


def _would(destination: Destination, ready: _Ready, report: Report) -> Published:
    files = ready.deliveries()
    differing = destination.differing(f"{ready.name}/", files, report.step("comparing files", len(files)))
    missing = [key for key, other in differing.items() if not other]
    if changed := [key for key, other in differing.items() if other]:
        raise UserError("\n".join([*first_lines(changed), _UNFINISHED.format(ready.name)]))
    found, n_pages = ready.told("would be published", missing), len(ready.contents.pages())
    report.say(
        f"release {ready.name} would be published at {ready.address.site}: {plural(len(missing), 'file')} of "
        f"{len(files):,} to upload, {size_in_words(found.bytes)}; then {plural(n_pages, 'page')} in "
        f"{ready.version.latest_in}/ and the root"
    )
    for kind, count in found.kinds.items():
        report.say(f"  {count:>6,} {kind}")
    return found


_UNFINISHED = (
    "release {} was begun there with other contents, and is not finished: perhaps by another publisher who is at work "
    "now, or with another version of the code. If nobody is, take its place with --start-over"
)


_QUICKER = "release {}: another publisher was quicker, with other contents; what is there stays"


def _claim(destination: Destination, ready: _Ready, *, start_over: bool) -> None:
    """Say what the release's folder will hold; the one who is first decides."""
    key = f"{ready.name}/{CONTENTS}"
    delivery = Delivery(key, ready.listed, FOR_EVER)
    if destination.create(key, delivery):
        return
    there = destination.read(key)
    if there is not None and there.data == ready.listed:
        return
    finished = any(one.version == ready.name for one in _known(destination)[0])
    if finished or not start_over:
        raise UserError(_QUICKER.format(ready.name) if finished else _UNFINISHED.format(ready.name))
    if not destination.replace(key, delivery, there.tag if there else None):
        raise UserError(f"release {ready.name}: another publisher has just begun; it is theirs")


def _upload(destination: Destination, ready: _Ready, report: Report) -> Published:
    files = ready.deliveries()
    prefix = f"{ready.name}/"
    differing = destination.differing(prefix, files, report.step("looking for what is there", len(files)))
    pages = {key for key in differing if key.endswith(".html")}
    done = report.step("uploading", len(differing))
    for some in (differing.keys() - pages, pages):
        _on_many(lambda key: _put_once(destination, key, files[key], other=differing[key]), sorted(some), done)
    wrong = destination.differing(prefix, files, report.step("verifying", len(files)))
    if wrong:
        raise UserError("\n".join([*first_lines(list(wrong)), "these files are not stored as they were uploaded"]))
    return ready.told("published", differing)


def _put_once(destination: Destination, key: str, delivery: Delivery, *, other: bool) -> None:
    """Write a file; one that a publisher left unfinished with other contents is written over."""
    if other:
        destination.put(key, delivery)
    else:
        destination.create(key, delivery)


def _on_many(write: Callable[[str], object], keys: Iterable[str], done: Callable[[int], None]) -> None:
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        for _ in pool.map(write, keys):
            done(1)


def _refuse_started_over(destination: Destination, ready: _Ready) -> None:
    claim = destination.read(f"{ready.name}/{CONTENTS}")
    if claim is None or claim.data != ready.listed:
        raise UserError(f"release {ready.name}: another publisher has started over meanwhile; it is theirs")


def _lead_to(project: Project, destination: Destination, version: Version, contents: Contents, report: Report) -> None:
    """Write the root anew, with ``versions.json`` last; again where another publisher was quicker."""
    root = contents.address.removesuffix(f"{version.version}/")
    for attempt in range(_MOST_ATTEMPTS):
        known, stored = _known(destination)
        there = {one.version: one for one in known}
        if version.version in there and there[version.version].properties.site != version.properties.site:
            raise UserError(_QUICKER.format(version.version))
        versions = in_order({**there, version.version: version}.values())
        _lead_to_newest(destination, version, contents, versions, root, again=attempt > 0, report=report)
        about = _about(destination, versions)
        files = root_files(project, versions, about, root)
        step = report.step("writing the root", len(files))
        for one in files:
            destination.put(one.path, one)
            step(1)
        new = Delivery(VERSIONS, write_versions(versions), ASK_AGAIN)
        if destination.replace(VERSIONS, new, stored.tag if stored else None):
            destination.sweep([version.version, version.latest_in, ASSETS])
            return
        report.say("another publisher was quicker; the root is written again, with their release in it")
    raise UserError(f"{destination.name}: {VERSIONS} was changed by others {_MOST_ATTEMPTS} times; try again")


def _lead_to_newest(
    destination: Destination,
    version: Version,
    contents: Contents,
    versions: list[Version],
    root: str,
    *,
    again: bool,
    report: Report,
) -> None:
    """Let the pages of ``latest/`` lead to the newest release of the series; to this one what that has not.

    Parameters
    ----------
    again
        Also where that is another release: this publisher, or the one that was quicker, may have led them elsewhere.
    """
    folder, newest = version.latest_in, newest_of(versions, version.properties.series)
    own = pages = leading_pages(folder, version.version, contents.pages(), root)
    if newest is not None and newest.version != version.version:
        _on_many(lambda key: destination.create(key, own[key]), own, lambda more: None)
        if not again:
            return
        pages = leading_pages(folder, newest.version, listed_contents(destination, newest.version).pages(), root)
    _on_many(lambda key: destination.put(key, pages[key]), pages, report.step(f"writing {folder}/", len(pages)))


def _about(destination: Destination, versions: list[Version]) -> dict[str, About]:
    """Return what releases say of themselves: of those that the root knew before, what it has kept."""
    stored = destination.read(RELEASES)
    try:
        kept = {one["release"]: one for one in json.loads(stored.data)} if stored else {}
    except (ValueError, TypeError, KeyError):
        kept = {}
    found = {}
    for one in versions:
        known = kept.get(one.version)
        if known is None or known.get("published", {}).get("properties", {}).get("site") != one.properties.site:
            key = f"{one.version}/{_ABOUT}"
            page = destination.read(key)
            if page is None:
                raise UserError(
                    f"{destination.name}/{key}: is missing, though {VERSIONS} lists the release; restore it"
                )
            known = json.loads(page.data)
        found[one.version] = {key: value for key, value in known.items() if key != "published"}
    return found
