"""Publishing: a release goes out once, whole, and never changes; the root leads to the newest."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import posixpath
import re
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import html5lib
import pytest
from click.testing import CliRunner

from cellgauge.cards import UserError, load_cards
from cellgauge.cli import main
from cellgauge.publish import publish as publishing_code
from cellgauge.publish.destination import open_destination
from cellgauge.publish.folder import Folder
from cellgauge.results.freeze import freeze
from cellgauge.results.manifest import read_index, sha256_of
from cellgauge.results.release import fault_of_name

pytestmark = [pytest.mark.site, pytest.mark.slow]
ROOT = "https://site.example/board/"


def files_in(folder: Path) -> dict[str, str]:
    """Return the digests of all files but hidden ones."""
    paths = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {path.relative_to(folder).as_posix(): sha256_of(path) for path in paths}


def links_in(page: Path, folder: Path) -> set[str]:
    """Return the files below ``folder`` that a page links to, loads or leads to."""
    tree = html5lib.parse(page.read_bytes(), namespaceHTMLElements=False)
    here = urljoin(ROOT, page.parent.relative_to(folder).as_posix() + "/")
    found = set()
    for element in tree.iter():
        for name in ("href", "src"):
            address = urljoin(here, element.get(name) or "#")
            if address.startswith(ROOT) and urlsplit(address).path != urlsplit(here).path:
                path = unquote(urlsplit(address).path.removeprefix("/board/"))
                found.add(path + "index.html" if path.endswith("/") or not path else path)
        if element.tag == "meta" and (element.get("http-equiv") or "").lower() == "refresh":
            there = urljoin(here, element.get("content").partition("url=")[2])
            found.add(urlsplit(there).path.removeprefix("/board/") + "index.html")
    return found


def dead_links(folder: Path) -> dict[str, set[str]]:
    there = files_in(folder)
    pages = {path: links_in(folder / path, folder) for path in there if path.endswith(".html")}
    return {path: gone for path, links in pages.items() if (gone := {one for one in links if one not in there})}


def test_links_of_a_release_still_work_after_the_next_two(publishing, tmp_path):
    site = tmp_path / "site"
    before = {}
    for release in ("2026.08", "2026.11", "2027.02"):
        (done,) = publishing(open_destination(str(site), None), release)
        assert (done.outcome, done.uploaded) == ("published", done.files)
        assert dead_links(site) == {}
        now = files_in(site)
        assert {path: now[path] for path in before} == before, "published files are as they were"
        before |= {path: digest for path, digest in now.items() if path.startswith(f"{release}/")}
    versions = json.loads((site / "versions.json").read_bytes())
    assert [(one["version"], one["aliases"]) for one in versions] == [
        ("2027.02", ["latest"]), ("2026.11", []), ("2026.08", []),
    ]  # fmt: skip
    # A page that the newest release has leads there; one that it lacks leads to the last that had it.
    for page, release in (("models/svd", "2027.02"), ("results/clustering/pbmc68k-reduced/svd", "2026.11")):
        text = (site / "latest" / page / "index.html").read_text("utf-8")
        assert f'<link rel="canonical" href="{ROOT}{release}/{page}/">' in text
        there = posixpath.normpath(posixpath.join("latest", page, re.search(r'url=([^"]+)"', text)[1]))
        assert there == f"{release}/{page}"


def test_pages_name_this_version_the_latest_and_the_previous(publishing, tmp_path):
    site = tmp_path / "site"
    publishing(open_destination(str(site), None), "2026.08", "2026.11")
    page = "results/clustering/pbmc68k-reduced"
    text = (site / "2026.11" / page / "pca/index.html").read_text("utf-8")
    for address in (f"2026.11/{page}/pca/", f"latest/{page}/pca/", f"2026.08/{page}/pca/"):
        assert f'<a href="{ROOT}{address}">{ROOT}{address}</a>' in text
    assert f'<link rel="canonical" href="{ROOT}2026.11/{page}/pca/">' in text
    new = (site / "2026.11" / page / "svd/index.html").read_text("utf-8")
    assert "Previous:" not in new, "the release before had no such page"


def test_the_root_lists_releases_with_what_each_found(publishing, tmp_path, frozen):
    site = tmp_path / "site"
    publishing(open_destination(str(site), None))
    assert all(fault_of_name(one.name) for one in site.iterdir() if one.name not in read_index(frozen).releases)
    text = (site / "index.html").read_text("utf-8")
    assert "{{" not in text
    assert "<b>wrong" not in text
    assert "labels were &lt;b&gt;wrong&lt;/b&gt;" in text
    tree = html5lib.parse(text, namespaceHTMLElements=False)
    rows = [" ".join(" ".join(row.itertext()).split()) for row in tree.find(".//table").iter("tr")]
    assert [row.split()[0] for row in rows[1:]] == ["2027.02", "2026.11", "2026.08"]
    assert "corrected by 2027.02" in rows[2]
    assert "the newest" in rows[1]
    assert "4 results 2 models · 1 dataset · 1 task" in rows[2], "neither the baseline nor the control is a model"
    (figure,) = (one for one in tree.iter("figure"))
    assert "2027.02: Raw expression 0.620" in figure.find(".//div[@role='img']").get("aria-label")
    known = json.loads((site / "releases.json").read_bytes())
    for one in known:
        assert one["published"]["properties"]["manifest"] == read_index(frozen).releases[one["release"]].manifest
        (trend,) = one["trends"]
        assert (trend["task"], trend["datasets"][0]["baseline"]["value"]) == ("clustering", 0.55)
        assert trend["verdict"] in text.replace("&#39;", "'")


def test_a_store_gets_what_a_folder_gets(publishing, store, tmp_path):
    (tmp_path / "site").mkdir()
    publishing(open_destination(str(tmp_path / "site"), None), "2026.08")
    publishing(bucket := open_destination(store.url, store.wire.url), "2026.08")
    expected = files_in(tmp_path / "site")
    stored = {key.removeprefix("board/") for key in store.tags()} - {".cellgauge-probe", ".nojekyll"}
    assert stored == set(expected)
    for name, digest in expected.items():
        (tmp_path / "one").write_bytes(bucket.read(name).data)
        assert sha256_of(tmp_path / "one") == digest, name
    puts = [path for method, path in store.wire.asked if method == "PUT"]
    assert puts[-1].endswith("board/versions.json")
    first = {kind: min(n for n, path in enumerate(puts) if re.search(kind, path)) for kind in (
        r"2026\.08/site\.json", r"2026\.08/.*\.css", r"2026\.08/.*\.html", "/latest/", "board/index.html",
    )}  # fmt: skip
    assert sorted(first.values()) == list(first.values())


def test_publishing_the_third_release_asks_no_more_than_the_second(publishing, store):
    destination, counts = open_destination(store.url, store.wire.url), []
    for release in ("2026.08", "2026.11", "2027.02"):
        store.wire.asked.clear()
        (done,) = publishing(destination, release)
        counts.append({
            method: sum(one == method for one, _ in store.wire.asked) - (done.uploaded if method == "PUT" else 0)
            for method in ("GET", "HEAD", "PUT")
        })  # fmt: skip
    pages = [len(json.loads(destination.read(f"{one}/site.json").data)["files"]) for one in ("2026.11", "2027.02")]
    assert counts[2]["GET"] == counts[1]["GET"]
    assert counts[2]["HEAD"] == counts[1]["HEAD"] == 0
    assert counts[2]["PUT"] <= counts[1]["PUT"] <= counts[2]["PUT"] + pages[0] - pages[1]


def command(project, store, *words: str, **more) -> subprocess.Popen:
    line = [sys.executable, "-m", "cellgauge", "--project", str(project.source), "publish", store.url]
    line += ["--endpoint-url", store.wire.url, "--site-url", ROOT, *words]
    return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)


@pytest.fixture(scope="module")
def published(publishing, open_store) -> list[dict[str, tuple[str, bytes]]]:
    """What a store holds after the first release, and after the second: tags and bytes by key."""
    with open_store() as store:
        destination, found = open_destination(store.url, store.wire.url), []
        for release in ("2026.08", "2026.11"):
            publishing(destination, release)
            found.append({key: (tag, store.bytes(key)) for key, tag in store.tags().items()})
    return found


STAGES = {
    "claim": r"/2026\.11/site\.json$",
    "first file": r"/2026\.11/.*\.(css|js|woff2|png|json)$",
    "first page": r"/2026\.11/.*\.html$",
    "latest": r"/latest/models/.*\.html$",
    "root": r"/board/index\.html$",
    "versions": r"/board/versions\.json$",
}


@pytest.mark.kill
@pytest.mark.parametrize("stage", STAGES)
def test_a_publisher_that_was_killed_goes_on(frozen, published, store, stage):
    destination = open_destination(store.url, store.wire.url)
    store.fill(published[0])
    before = store.tags()

    def kill(count: int, method: str, path: str) -> None:
        if method == "PUT" and re.search(STAGES[stage], path):
            victim.kill()

    store.wire.on_request = kill
    victim = command(frozen, store, "--release", "2026.11")
    victim.communicate()
    assert victim.returncode == -signal.SIGKILL
    store.wire.on_request = lambda *request: None
    after = store.tags()
    listed = json.loads(destination.read("versions.json").data)
    if stage != "versions":  # the request was on its way when its sender was killed
        assert [one["version"] for one in listed] == ["2026.08"]
    assert {key: after[key] for key in before if "/2026.08/" in key} == {
        key: tag for key, tag in before.items() if "/2026.08/" in key
    }
    again = command(frozen, store, "--release", "2026.11", "--json")
    said, error = again.communicate()
    assert again.returncode == 0, error
    (done,) = json.loads(said)["releases"]
    if stage in ("latest", "root"):
        assert done["uploaded"] == 0, "what was there is not sent again"
    assert store.tags() == {key: tag for key, (tag, _) in published[1].items()}


class Overtaken(Folder):
    """A folder in which another publisher finishes just before ``versions.json`` is replaced."""

    def __init__(self, path: Path, other) -> None:
        super().__init__(path)
        self.other = other

    def replace(self, key, delivery, tag):
        if key == "versions.json" and self.other is not None:
            other, self.other = self.other, None
            other()
        return super().replace(key, delivery, tag)


@pytest.mark.parametrize("order", [("2026.11", "2026.08"), ("2026.08", "2026.11")])
def test_of_two_publishers_at_once_the_later_one_leads_to_both(publishing, tmp_path, order, monkeypatch):
    monkeypatch.setattr(publishing_code, "previous_release", lambda project, about: None)  # neither waits for the other
    site, alone = tmp_path / "site", tmp_path / "alone"
    publishing(open_destination(str(alone), None), "2026.08", "2026.11")
    first, second = order
    other = lambda: publishing(open_destination(str(site), None), first)  # noqa: E731
    (done,) = publishing(Overtaken(site, other), second)
    assert done.outcome == "published"
    assert files_in(site) == files_in(alone)
    assert dead_links(site) == {}


@pytest.mark.kill
def test_two_commands_that_publish_one_release_at_once_publish_it_once(frozen, publishing, store):
    both = [command(frozen, store, "--release", "2026.08") for _ in range(2)]
    ended = [(*one.communicate(), one.returncode) for one in both]
    assert [code for *_, code in ended] == [0, 0], ended
    versions = json.loads(open_destination(store.url, store.wire.url).read("versions.json").data)
    assert [one["version"] for one in versions] == ["2026.08"]


def test_a_release_that_others_have_begun_with_other_contents_is_theirs(own, publishing, tmp_path):
    site = tmp_path / "site"
    destination = open_destination(str(site), None)
    with contextlib.suppress(StopPublishing):
        publishing(Stopped(site, "index.html"), "2026.08")
    begun = files_in(site)
    assert "versions.json" not in begun
    (own.site_src / "principles.md").write_text("# Other words\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"release 2026\.08 was begun there with other contents.*--start-over"):
        publishing(destination, "2026.08", project=own)
    with pytest.raises(UserError, match=r"principles/index\.html\n(.*\n)*release 2026\.08 was begun there"):
        publishing(destination, "2026.08", project=own, dry_run=True)
    assert files_in(site) == begun
    publishing(destination, "2026.08", project=own, start_over=True)
    assert "Other words" in (site / "2026.08/principles/index.html").read_text("utf-8")
    assert dead_links(site) == {}


class Meanwhile(Folder):
    """A folder in which another publisher does something when a file of some name is created."""

    def __init__(self, path: Path, at: str, other) -> None:
        super().__init__(path)
        self.at, self.other = at, other

    def create(self, key, delivery):
        if key.endswith(self.at) and self.other is not None:
            other, self.other = self.other, None
            other()
        return super().create(key, delivery)


@pytest.mark.parametrize("at", ["2026.08/tasks/clustering/index.html", "2026.08/index.html"])
def test_who_is_started_over_changes_nothing_of_what_is_published(own, publishing, tmp_path, at):
    site = tmp_path / "site"
    (own.site_src / "principles.md").write_text("# Other words\n", encoding="utf-8")
    published = {}

    def start_over() -> None:
        publishing(open_destination(str(site), None), "2026.08", project=own, start_over=True)
        published.update(files_in(site))

    with pytest.raises(UserError, match=r"not stored as they were uploaded|has started over meanwhile"):
        publishing(Meanwhile(site, at, start_over), "2026.08")
    assert files_in(site) == published
    assert "Other words" in (site / "2026.08/principles/index.html").read_text("utf-8")
    listed = json.loads((site / "versions.json").read_bytes())[0]["properties"]["site"]
    assert listed == f"sha256:{sha256_of(site / '2026.08/site.json')}"


class StopPublishing(Exception):
    """Stands for a publisher that comes to its end."""


class Stopped(Folder):
    """A folder in which a publisher ends at the first file of some name."""

    def __init__(self, path: Path, at: str) -> None:
        super().__init__(path)
        self.at = at

    def put(self, key, delivery):
        if key == self.at:
            raise StopPublishing
        super().put(key, delivery)


def test_what_is_published_stays_and_another_manifest_is_refused(own, publishing, tmp_path):
    destination = open_destination(str(tmp_path / "site"), None)
    publishing(destination, "2026.08", project=own)
    before = files_in(tmp_path / "site")
    (again,) = publishing(destination, "2026.08", project=own)
    assert again.outcome == "already published"
    assert files_in(tmp_path / "site") == before
    index = own.work / "results/releases.json"
    known = json.loads(index.read_bytes())
    (own.release("2026.08") / "manifest.json").unlink()
    (own.release("2026.08") / "plan.json").write_text('{"schema_version": 1, "release": "2026.08", "pairs": []}')
    del known["releases"]["2026.08"]
    index.write_text(json.dumps(known))
    freeze(own, load_cards(own, "2026.08"), "2026.08", day=dt.date(2026, 8, 20))
    with pytest.raises(UserError, match=r"release 2026\.08 is published with the manifest sha256:.*name a new one"):
        publishing(destination, "2026.08", project=own)
    assert files_in(tmp_path / "site") == before


def test_a_doi_that_comes_later_stands_at_the_root_and_no_page_changes(own, publishing, tmp_path):
    site = tmp_path / "site"
    destination = open_destination(str(site), None)
    publishing(destination, "2026.08", "2026.11", project=own)
    before = files_in(site)
    freeze(own, load_cards(own, "2026.08"), "2026.08", day=dt.date(2026, 8, 20), doi="10.5281/zenodo.1")
    publishing(destination, "2026.08", project=own, dry_run=True)
    assert files_in(site) == before
    publishing(destination, "2026.08", project=own)
    after = files_in(site)
    assert {path for path in before if after[path] != before[path]} == {
        "index.html", "releases.json", "versions.json",
    }  # fmt: skip
    assert "https://doi.org/10.5281/zenodo.1" in (site / "index.html").read_text("utf-8")
    assert [one["aliases"] for one in json.loads((site / "versions.json").read_bytes())] == [["latest"], []]


def test_bug_a_doi_that_comes_later_is_noted_without_naming_the_release(own, publishing, tmp_path):
    destination = open_destination(str(tmp_path / "site"), None)
    publishing(destination, project=own)
    assert publishing(destination, project=own) == []
    before = files_in(tmp_path / "site")
    freeze(own, load_cards(own, "2026.08"), "2026.08", day=dt.date(2026, 8, 20), doi="10.5281/zenodo.1")
    line = ["--project", str(own.source), "publish", str(tmp_path / "site"), "--site-url", ROOT]
    for more, said in ((["--dry-run"], "would be"), ([], "is")):
        assert files_in(tmp_path / "site") == before
        assert f"its DOI {said} noted at the root: 10.5281/zenodo.1" in CliRunner().invoke(main, [*line, *more]).output
    dois = {one["version"]: one["properties"]["doi"] for one in json.loads(destination.read("versions.json").data)}
    assert dois == {"2026.08": "10.5281/zenodo.1", "2026.11": None, "2027.02": None}
    assert publishing(destination, project=own) == []


def test_bug_a_project_that_knows_no_doi_takes_none_away(own, frozen, publishing, tmp_path):
    freeze(own, load_cards(own, "2026.08"), "2026.08", day=dt.date(2026, 8, 20), doi="10.5281/zenodo.1")
    destination = open_destination(str(tmp_path / "site"), None)
    publishing(destination, "2026.08", project=own)
    before = files_in(tmp_path / "site")
    publishing(destination, "2026.08", project=frozen)
    assert files_in(tmp_path / "site") == before


def test_bug_a_project_without_frozen_releases_has_nothing_to_publish(copy_of_project, tmp_path):
    project = copy_of_project(tmp_path / "project")
    line = ["--project", str(project.source), "publish", str(tmp_path / "site"), "--site-url", ROOT]
    done = CliRunner().invoke(main, line)
    assert (done.exit_code, "no release is frozen" in done.output) == (1, True), done.output
    assert not (tmp_path / "site").exists()


def test_bug_what_a_killed_publisher_left_half_written_is_removed(publishing, tmp_path):
    site = tmp_path / "site"
    publishing(open_destination(str(site), None), "2026.08")
    left = [
        ".index.html.abcd_123.tmp", ".probe.abcd1234.tmp", ".probe.abcd1234.second.tmp",
        "2026.11/.site.json.abcd1234.tmp", "2026.11/models/pca/.index.html.abcd1234.tmp",
        "latest/models/.index.html.abcd1234.tmp", "assets/.a.js.abcd1234.tmp",
    ]  # fmt: skip
    theirs = [".notes.tmp", "index.html.abcd1234.tmp", ".git/.index.abcd1234.tmp", "mine/.index.html.abcd1234.tmp"]
    for one in (*left, *theirs):
        (site / one).parent.mkdir(parents=True, exist_ok=True)
        (site / one).touch()
    new = site / "2026.11/.tasks.abcd1234.tmp"  # as of another publisher who is at work

    class Busy(Folder):
        def probe(self) -> None:
            super().probe()
            new.touch()

    publishing(Busy(site), "2026.11")
    assert not [one for one in left if (site / one).exists()]
    assert all((site / one).exists() for one in theirs)
    assert new.exists()


def test_what_was_damaged_on_its_way_is_named(publishing, tmp_path):
    class Damaging(Folder):
        def create(self, key, delivery):
            made = super().create(key, delivery)
            if key.endswith("models/pca/index.html"):
                (tmp_path / "site" / key).write_bytes(b"damaged")
            return made

    with pytest.raises(UserError, match=r"2026\.08/models/pca/index\.html\nthese files are not stored as they were up"):
        publishing(Damaging(tmp_path / "site"), "2026.08")
    assert not (tmp_path / "site/versions.json").exists()


def test_a_dry_run_writes_nothing_and_says_what_would_be(frozen, store):
    said = CliRunner().invoke(main, [
        "--project", str(frozen.source), "publish", store.url, "--endpoint-url", store.wire.url, "--site-url", ROOT,
        "--release", "2026.08", "--dry-run",
    ])  # fmt: skip
    assert said.exit_code == 0, said.output
    assert re.search(
        r"would be published at https://site\.example/board/2026\.08/: \d+ files of \d+ to upload", said.output
    )
    assert re.search(r"\d+ text/html", said.output)
    assert store.tags() == {}
    assert {method for method, _ in store.wire.asked} == {"GET"}


def test_what_cannot_be_published_is_refused_before_anything_is_written(own, publishing, release_builder, tmp_path):
    destination = open_destination(str(tmp_path / "site"), None)
    release_builder(own, "draft").finish()
    for wanted, said in (
        ("draft", r"release \"draft\" is not frozen\. Freeze it first: cellgauge freeze draft"),
        ("2026.09", r'release "2026\.09" is not frozen.*2026\.08'),
        ("2026.11", r"its pages lead to release 2026\.08, which is not published there\. Publish that first"),
    ):
        with pytest.raises(UserError, match=said):
            publishing(destination, wanted, project=own)
    path = own.release("2026.08") / "plan.json"
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(UserError, match=r"results/2026\.08/plan\.json: found sha256:.*\n.*frozen and has changed"):
        publishing(destination, "2026.08", project=own)
    assert files_in(tmp_path / "site") == {}


def test_a_downloaded_page_is_known_by_its_bytes(frozen, publishing, store, tmp_path, hosted):
    publishing(open_destination(str(tmp_path / "site"), None), "2026.08", "2026.11")
    publishing(open_destination(store.url, store.wire.url), "2026.08")
    page = tmp_path / "saved.html"
    page.write_bytes((tmp_path / "site/2026.11/models/pca/index.html").read_bytes())

    def verify(*words: str) -> tuple[int, str]:
        done = CliRunner().invoke(main, ["--project", str(frozen.source), "verify", "--file", str(page), *words])
        return done.exit_code, done.output

    for site in (str(tmp_path / "site"), hosted(tmp_path / "site")):
        assert verify("--site", site) == (0, f"{page}: 2026.11: models/pca/index.html\n")
    code, said = verify()
    assert code == 1, "the project holds results, and no pages"
    assert re.search(
        r"among \d+ files of 2026\.08, .* and \d+ files of 2027\.02\. It is a page: name .* --site URL", said
    )
    page.write_bytes(page.read_bytes() + b" ")
    code, said = verify("--site", str(tmp_path / "site"))
    assert (code, "files of 2026.11 at " in said, "as the host sent it (curl -O)" in said) == (1, True, True)
    # As the store hands it out: compressed.
    raw = store.client.get_object(Bucket=store.name, Key="board/2026.08/models/pca/index.html")["Body"].read()
    page.write_bytes(raw)
    where = ("--site", store.url, "--endpoint-url", store.wire.url)
    assert verify(*where) == (0, f"{page}: 2026.08: models/pca/index.html\n")
    page.write_bytes(raw[:-1])
    assert verify(*where)[0] == 1
    listed = tmp_path / "site/2026.11/site.json"
    listed.write_bytes(listed.read_bytes().replace(b'"bytes": 1', b'"bytes": 2', 1))
    code, said = verify("--site", str(tmp_path / "site"))
    assert (code, "2026.11/site.json: found sha256:" in said) == (1, True)
    assert "has no versions.json" in verify("--site", hosted(tmp_path / "site/2026.08"))[1]
    assert verify("--site", "http://127.0.0.1:9")[0] == 1


def test_every_release_that_is_not_there_yet_is_published_the_oldest_first(frozen, tmp_path):
    line = ["--project", str(frozen.source), "publish", str(tmp_path / "site"), "--site-url", ROOT, "--json"]
    done = CliRunner().invoke(main, line)
    assert done.exit_code == 0, done.output
    assert [one["release"] for one in json.loads(done.output)["releases"]] == ["2026.08", "2026.11", "2027.02"]
    assert json.loads(CliRunner().invoke(main, line).output)["releases"] == []


def test_a_published_release_that_is_built_again_is_the_same(frozen, publishing, tmp_path):
    publishing(open_destination(str(tmp_path / "site"), None), "2026.08")
    line = ["--project", str(frozen.source), "build", "--release", "2026.08", "--out", str(tmp_path / "again")]
    done = CliRunner().invoke(main, [*line, "--root-url", ROOT])
    assert done.exit_code == 0, done.output
    published = {name: one for name, one in files_in(tmp_path / "site/2026.08").items() if name != "site.json"}
    assert files_in(tmp_path / "again") == published
