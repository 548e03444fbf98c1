"""What is refused before anything is written: the project's own folders, others' files, and another address."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from cellgauge.cards import UserError
from cellgauge.cli import main
from cellgauge.publish.delivery import ASK_AGAIN, Delivery
from cellgauge.publish.destination import open_destination
from cellgauge.publish.folder import Folder
from cellgauge.publish.refusals import root_address

pytestmark = [pytest.mark.site, pytest.mark.slow]
ROOT = "https://site.example/board/"
OTHER = "https://other.example/"


def bytes_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def file_of(key: str) -> Delivery:
    return Delivery(key, b"mine", ASK_AGAIN)


class StopPublishing(Exception):
    """Stands for a publisher that comes to its end."""


class Stopped(Folder):
    """A folder in which a publisher ends at the first file of some name."""

    def __init__(self, path: Path, at: str) -> None:
        super().__init__(path)
        self.at = at

    def replace(self, key, delivery, tag):
        if key == self.at:
            raise StopPublishing
        return super().replace(key, delivery, tag)

    def create(self, key, delivery):
        if key == self.at:
            raise StopPublishing
        return super().create(key, delivery)


@pytest.mark.parametrize("name", ["", " "])
def test_an_empty_destination_is_no_folder(frozen, name):
    said = CliRunner().invoke(main, ["--project", str(frozen.source), "publish", name])
    assert (said.exit_code, said.output.startswith("the destination is empty: expected a folder or s3://")) == (1, True)


@pytest.mark.parametrize(
    ("place", "how"),
    [
        (".", "holds"), ("..", "holds"), ("site_src", "is"), ("site_src/new/site", "lies in"), ("results", "is"),
        ("results/2026.08", "lies in"), ("generator/site", "lies in"), (".git/site", "lies in"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("dry_run", [False, True])
def test_folders_of_the_project_are_no_destination(own, publishing, place, how, dry_run):
    before = bytes_in(own.work)
    with pytest.raises(UserError, match=rf"{how} /.*a part of the project; expected a folder for the site alone"):
        publishing(open_destination(str(own.work / place), None), "2026.08", project=own, dry_run=dry_run)
    assert bytes_in(own.work) == before


def test_a_folder_of_its_own_in_the_project_is_a_destination(own, publishing):
    (done,) = publishing(open_destination(str(own.work / "site"), None), "2026.08", project=own)
    assert done.outcome == "published"


@pytest.fixture(params=["folder", "s3"])
def place(request, tmp_path, store):
    if request.param == "folder":
        return open_destination(str(tmp_path / "site"), None)
    return open_destination(store.url, store.wire.url)


@pytest.mark.parametrize("dry_run", [False, True])
def test_files_of_others_are_named_and_stay(publishing, place, store, tmp_path, dry_run):
    theirs = (
        "404.html", "index.html", "releases.json", "robots.txt", "sitemap.xml", "assets/logo.svg",
        "latest/models/pca/index.html", "2026.08/note.txt",
    )  # fmt: skip
    for key in (*theirs, "CNAME", "about/index.html"):
        place.put(key, file_of(key))
    before = bytes_in(tmp_path), store.tags()
    with pytest.raises(UserError) as refused:
        publishing(place, "2026.08", dry_run=dry_run)
    *named, said = str(refused.value).splitlines()
    assert sorted(named) == sorted(theirs)
    assert "holds these files, which cellgauge publish has not written" in said
    assert (bytes_in(tmp_path), store.tags()) == before


def test_all_that_a_first_publication_writes_is_looked_for(publishing, tmp_path):
    publishing(open_destination(str(tmp_path / "site"), None), "2026.08")
    (tmp_path / "site/versions.json").unlink()
    for path in sorted((tmp_path / "site/2026.08").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    written = {key for key in bytes_in(tmp_path / "site") if not key.startswith(".")}
    for key in sorted(written):
        place = open_destination(str(tmp_path / f"with {key.replace('/', ' ')}"), None)
        place.put(key, file_of(key))
        with pytest.raises(UserError, match="has not written, where the site would be"):
            publishing(place, "2026.08", dry_run=True)


def test_what_does_not_hinder_stays(publishing, tmp_path):
    place = open_destination(str(tmp_path), None)
    for key in ("CNAME", "README.md", ".nojekyll", "about/index.html", ".git/config"):
        place.put(key, file_of(key))
    publishing(place, "2026.08")
    place.put("2026.11/note.txt", file_of("2026.11/note.txt"))
    with pytest.raises(UserError, match=r"^2026\.11/note\.txt\n.*has not written"):
        publishing(place, "2026.11")
    (tmp_path / "2026.11/note.txt").unlink()
    publishing(place, "2026.11")
    assert {(tmp_path / key).read_bytes() for key in ("CNAME", "README.md", "about/index.html")} == {b"mine"}


@pytest.mark.parametrize("taken", ["2026.08", "latest", "assets"])
def test_a_file_in_the_place_of_a_folder_is_named(publishing, tmp_path, taken):
    (tmp_path / taken).write_text("mine", encoding="utf-8")
    with pytest.raises(UserError, match=rf"^{taken}\n.*has not written"):
        publishing(open_destination(str(tmp_path), None), "2026.08")


@pytest.mark.parametrize("at", ["2026.08/index.html", "versions.json"])
def test_a_first_publication_that_was_interrupted_goes_on_but_not_around_files_of_others(publishing, tmp_path, at):
    with pytest.raises(StopPublishing):
        publishing(Stopped(tmp_path, at), "2026.08")
    place = open_destination(str(tmp_path), None)
    (tmp_path / "2026.08/note.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(UserError, match=r"^2026\.08/note\.txt\n.*has not written"):
        publishing(place, "2026.08")
    (tmp_path / "2026.08/note.txt").unlink()
    (done,) = publishing(place, "2026.08")
    assert done.outcome == "published"


@pytest.mark.parametrize("dry_run", [False, True])
def test_another_address_than_before_is_refused(publishing, place, store, tmp_path, dry_run):
    publishing(place, "2026.08", root_url=OTHER)
    before = bytes_in(tmp_path), json.loads(place.read("versions.json").data)
    for releases in (["2026.11"], []):
        said = rf"2026\.08 was published there for {OTHER}, and the address is now {ROOT}.*give --site-url {OTHER}\. "
        with pytest.raises(UserError, match=said):
            publishing(place, *releases, dry_run=dry_run)
    assert (bytes_in(tmp_path), json.loads(place.read("versions.json").data)) == before
    publishing(place, "2026.11", root_url=OTHER.removesuffix("/"), dry_run=dry_run)


def test_a_publication_that_goes_on_for_another_address_names_both(publishing, tmp_path):
    with pytest.raises(StopPublishing):
        publishing(Stopped(tmp_path, "versions.json"), "2026.08", root_url=OTHER)
    place = open_destination(str(tmp_path), None)
    with pytest.raises(UserError, match=rf"2026\.08 was begun there for {OTHER}, and .* now {ROOT}.*--start-over"):
        publishing(place, "2026.08")
    publishing(place, "2026.08", start_over=True)
    assert OTHER not in (tmp_path / "2026.08/index.html").read_text("utf-8")
    assert json.loads((tmp_path / "2026.08/site.json").read_bytes())["address"] == f"{ROOT}2026.08/"


@pytest.mark.parametrize(
    "address", ["not a url", "", "site.example", "ftp://site.example/", "https://a b/", "http://["]
)
def test_what_is_no_address_is_refused(frozen, address):
    with pytest.raises(UserError, match=r"^--site-url: expected an address such as https://board"):
        root_address(frozen, address)


@pytest.mark.parametrize("name", ["versions.json", "index.html", "2026.08/site.json"])
def test_bug_a_folder_in_the_place_of_a_file_is_told_in_a_line(frozen, tmp_path, name):
    (tmp_path / name).mkdir(parents=True)
    line = ["--project", str(frozen.source), "publish", str(tmp_path), "--site-url", ROOT, "--release", "2026.08"]
    done = CliRunner().invoke(main, line)
    assert (done.exit_code, done.output) == (1, f"{tmp_path / name}: Is a directory\n")
