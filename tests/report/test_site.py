"""The built site as a whole: reproducible, closed in itself, and safe against what cards say."""

from __future__ import annotations

import hashlib
import html
import itertools
import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import pytest

from cellgauge.report.build import build_site
from cellgauge.report.stage import stage
from cellgauge.results.schema import EXPLANATION
from cellgauge.results.store import result_path

pytestmark = pytest.mark.site

LOADING = {("link", "href"), ("script", "src"), ("img", "src"), ("iframe", "src"), ("source", "src"), ("use", "href")}
NOT_FETCHED = {"canonical", "prev", "next", "alternate"}


class Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.hrefs: list[str] = []
        self.loaded: list[str] = []

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        if attributes.get("id"):
            assert attributes["id"] not in self.anchors, f"id {attributes['id']} is there twice"
            self.anchors.add(attributes["id"])
        if tag == "a" and attributes.get("href") is not None:
            self.hrefs.append(attributes["href"])
        for element, attribute in LOADING:
            if tag == element and attributes.get(attribute) and attributes.get("rel") not in NOT_FETCHED:
                self.loaded.append(attributes[attribute])


def read(path: Path) -> Links:
    links = Links()
    links.feed(path.read_text(encoding="utf-8"))
    return links


def digests(site: Path) -> dict[str, str]:
    return {
        path.relative_to(site).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(site.rglob("*"))
        if path.suffix in (".html", ".csv", ".json", ".xml")
    }


def test_twice_gives_the_same_bytes(built, site):
    project, _ = built
    again = build_site(project, None, project.work / "again", say=lambda _: None)
    assert digests(again) == digests(site)


def test_plain_mkdocs_makes_the_pages_of_the_navigation_and_frames_for_all_others(built, site):
    project, _ = built
    subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "-q", "-f", "mkdocs.yml", "-d", "plain"],
        cwd=project.source, check=True, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, timeout=120,
    )  # fmt: skip
    plain, whole = digests(project.source / "plain"), digests(site)
    listing = {"search/search_index.json", "sitemap.xml"}
    frames = {path for path in plain if path.startswith("cgframe")}
    assert {path.count("/") for path in frames} == {2, 3, 4}
    shared = plain.keys() - listing - frames
    assert {"index.html", "models/index.html", "quality/index.html", "methods/index.html"} <= shared
    assert {path: plain[path] for path in shared} == {path: whole[path] for path in shared}


def test_every_link_leads_somewhere(site):
    pages = {path: read(path) for path in site.rglob("*.html")}
    dead = []
    for path, links in pages.items():
        base = "https://site.example/cellgauge/" + path.relative_to(site).as_posix()
        for href in links.hrefs:
            url = urlsplit(urljoin(base, href))
            if url.netloc != "site.example":
                continue
            inside = unquote(url.path).removeprefix("/cellgauge/")
            target = site / inside / "index.html" if not inside or inside.endswith("/") else site / inside
            if not target.is_file() or (url.fragment and url.fragment not in pages[target].anchors):
                dead.append(f"{path.relative_to(site)}: {href}")
    assert not dead


class Choosable(HTMLParser):
    """Collects what the script makes links of: where the pages of pairs are, and the models of a table's rows."""

    def __init__(self) -> None:
        super().__init__()
        self.tables: list[tuple[str, list[str]]] = []

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        if tag == "table":
            self.tables.append((attributes.get("data-compare"), []))
        elif tag == "tr" and "data-model" in attributes:
            self.tables[-1][1].append(attributes["data-model"])


def test_every_two_models_that_can_be_chosen_have_a_page(site):
    """A bug: models that share no dataset stand in one table of their task, and their choice led nowhere."""
    chosen: set[str] = set()
    for path in site.rglob("*.html"):
        reader = Choosable()
        reader.feed(path.read_text(encoding="utf-8"))
        for address, models in reader.tables:
            for pair in itertools.combinations(sorted(models), 2) if address else ():
                chosen.add("--".join(pair))
                assert (path.parent / address / "--".join(pair) / "index.html").is_file(), (path, pair)
    assert "centred-pca--harmony" in chosen


def test_vendored_files_are_what_they_are_said_to_be(built):
    folder = built[0].source / "site_src/assets/vendor"
    listed = {}
    for one in json.loads((folder / "vendor.json").read_text(encoding="utf-8")):
        assert one["licence_file"] in one["files"]
        listed |= one["files"]
    assert {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in listed} == listed
    code = {
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.suffix in (".js", ".css", ".woff2")
    }
    assert code <= set(listed)


def test_nothing_is_loaded_from_another_host(site):
    for path in site.rglob("*.html"):
        foreign = [address for address in read(path).loaded if re.match(r"(https?:)?//", address)]
        assert not foreign, path
    css = (site / "assets/cellgauge.css").read_text(encoding="utf-8")
    assert not re.search(r"url\(\"?(https?:)?//", css)


def test_every_page_has_one_title_and_a_feedback_link_with_its_id(site):
    for path in site.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert len(re.findall(r"<h1\b", text)) == 1, path
        found = re.findall(r'class="cg-feedback"[^>]*href="([^"]+)"', text)
        assert len(found) == 1, path
        page = path.relative_to(site).as_posix().removesuffix("index.html") or "home"
        assert f"Page: {page.removesuffix('.html')}" in unquote(found[0]), path


def test_pages_are_small(site):
    heavy = {path: path.stat().st_size for path in site.rglob("*.html") if path.stat().st_size > 250_000}
    assert not heavy


def test_raw_results_are_the_very_files(built, site):
    project, _ = built
    folder = project.release("trial")
    for path in folder.glob("*/*/*.json"):
        copy = result_path(site / "results", *path.parts[-3:-1], path.stem)
        assert copy.read_bytes() == path.read_bytes()


def test_empties_explain_themselves(site):
    text = (site / "results/classification/pbmc68k-reduced/nmf/index.html").read_text(encoding="utf-8")
    assert "Failed: The model or the evaluation stopped with an error." in text
    assert "ValueError: negative &lt;values&gt; &#123;&#123; 7*7 }}" in text
    assert "MemoryError: &#123;&#123; 7*7 }}" in text
    assert "--task classification --dataset pbmc68k-reduced --model nmf --again" in text
    planned = (site / "tasks/batch-integration/index.html").read_text(encoding="utf-8")
    assert EXPLANATION["not_applicable"] in planned
    assert "The dataset has no batch column." in planned


def test_simulated_data_and_rehearsals_are_labelled(site):
    for page in ("tasks/clustering/", "models/svd/", "datasets/", "datasets/toy-blood/", "results/",
                 "results/clustering/toy-blood/svd/"):  # fmt: skip
        assert re.search(
            r"cg-badge--simulated|\(simulated\)", (site / page / "index.html").read_text(encoding="utf-8")
        ), page
    for path in site.rglob("*.html"):
        assert "made to try the machinery, not to be cited" in path.read_text(encoding="utf-8"), path


def test_verdicts_are_found_in_text(site):
    docs = json.loads((site / "search/search_index.json").read_text(encoding="utf-8"))["docs"]
    by_place = {doc["location"]: doc for doc in docs}
    task, result = by_place["tasks/clustering/"], by_place["results/clustering/pbmc68k-reduced/svd/"]
    assert "is better than PCA on cell clustering" in task["text"]
    assert task["boost"] > result["boost"]


def text_of(site, page):
    text = (site / page / "index.html").read_text(encoding="utf-8")
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", text)).split())


def test_the_home_page_counts_what_has_scores(site):
    text = re.sub(r" (?=,)", "", text_of(site, ""))
    assert "40 evaluations, 38 with scores, of 5 models, 1 baseline and 2 controls · 3 datasets · 3 of 9 tasks" in text


def test_a_model_takes_one_of_its_values(site):
    assert "Takes counts or log-normalised values" in text_of(site, "models/nmf")
    assert "Takes counts, log-normalised, scaled or continuous values" in text_of(site, "models/svd")


def test_replicates_are_said_once(site):
    assert text_of(site, "results/clustering/pbmc68k-reduced/svd").count("400 replicates") == 1


def test_a_dataset_says_how_many_cells_were_scored(site):
    text = text_of(site, "datasets/pbmc68k-reduced")
    assert "Cells scored 700" in text
    assert "Cells per type Type Cells CD4 T 600 CD14+ Monocyte 100" in text


def test_the_list_of_results_is_split_by_task(site):
    index = (site / "results/index.html").read_text(encoding="utf-8")
    assert "results/clustering/pbmc68k-reduced/svd" not in index
    assert "Cell clustering PBMC 68k (reduced) 6 6" in text_of(site, "results")
    assert "Cell-type classification PBMC 68k (reduced) 6 4" in text_of(site, "results")
    page = read(site / "results/clustering/index.html")
    assert sum(href.endswith("pbmc68k-reduced/svd/") for href in page.hrefs) == 1
    page = read(site / "results/clustering/pbmc68k-reduced/index.html")
    assert sum(href.endswith("svd/") for href in page.hrefs) >= 1
    assert len((site / "results/clustering/pbmc68k-reduced.csv").read_text(encoding="utf-8").splitlines()) == 7
    assert len((site / "results/index.csv").read_text(encoding="utf-8").splitlines()) == 41
    assert len((site / "results/clustering.csv").read_text(encoding="utf-8").splitlines()) == 13


def test_a_task_with_many_evaluations_lists_its_datasets(built, monkeypatch):
    """A bug: the page of a task with hundreds of evaluations weighed 740 kB."""
    monkeypatch.setattr("cellgauge.report.pages._LISTED", 3)
    monkeypatch.setattr("cellgauge.report.pages._DRAWN", 3)
    staged = stage(built[0], "trial")
    page = next(page for page in staged.pages if page.path == "results/clustering/")
    assert {"results/clustering/pbmc68k-reduced/", "results/clustering/toy-blood/"} <= page.links
    assert "results/clustering/pbmc68k-reduced/svd/" not in page.links
    assert len(page.files["results/clustering.csv"].splitlines()) == 13, "all are in the file"
    dataset = next(page for page in staged.pages if page.path == "datasets/pbmc68k-reduced/")
    assert "tasks/clustering/pbmc68k-reduced/" in dataset.links
    assert "<figure" not in dataset.fragment.partition('id="results"')[2].partition("</section>")[0]
