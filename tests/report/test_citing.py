"""What pages say about how they are cited, to readers and to programs."""

from __future__ import annotations

import datetime as dt
import json
import re

import bibtexparser
import yaml
from bibtexparser.middlewares import LatexDecodingMiddleware

from cellgauge.cards import load_cards
from cellgauge.report.address import Address
from cellgauge.report.cite import Cited
from cellgauge.report.stage import stage
from cellgauge.results.freeze import freeze
from cellgauge.results.manifest import read_index
from cellgauge.results.store import read_release, write_release

STRANGE = r"50 % of A_1 & {B} \end{x} # $x$ ~ ^ </script><b>"


def cited(title: str = "PCA on PBMC 68k (reduced): Cell clustering", **more: object) -> Cited:
    about = {"digest": "sha256:" + "a" * 64, "digest_of": "Result"}
    return Cited("trial", dt.date(2026, 11, 28), "https://site.example/a/", title, **{**about, **more})


def parsed(bibtex: str) -> dict[str, str]:
    """Read BibTeX as programs do, with the marks of LaTeX taken out."""
    library = bibtexparser.parse_string(bibtex, append_middleware=[LatexDecodingMiddleware()])
    assert not library.failed_blocks
    (entry,) = library.entries
    assert entry.entry_type == "misc"
    return {"key": entry.key, **{field.key: field.value for field in entry.fields}}


def test_every_form_names_the_release_the_digest_and_the_address() -> None:
    one = cited(doi="10.5281/zenodo.1")
    entry, (item,) = parsed(one.bibtex), json.loads(one.csl)
    for said in (one.text, " ".join(entry.values()), json.dumps(item)):
        for part in (one.digest, "trial", "https://site.example/a/", "2026", "10.5281/zenodo.1", one.title):
            assert part in said, part
    assert (entry["year"], entry["month"], entry["key"]) == ("2026", "11", f"cellgauge-trial-{'a' * 12}")
    assert (item["type"], item["issued"], item["DOI"]) == (
        "dataset", {"date-parts": [[2026, 11, 28]]}, "10.5281/zenodo.1",
    )  # fmt: skip


def test_a_release_is_cited_as_a_whole() -> None:
    one = cited(title="", digest=None)
    assert one.text == "The cellgauge authors. cellgauge, release trial, 2026. https://site.example/a/"
    assert parsed(one.bibtex)["key"] == "cellgauge-trial"
    cff = yaml.safe_load(one.cff)
    assert cff["cff-version"] == "1.2.0"
    assert (cff["type"], cff["version"], cff["date-released"]) == ("dataset", "trial", dt.date(2026, 11, 28))


def test_no_form_is_broken_by_what_a_card_says() -> None:
    one = cited(title=STRANGE)
    # The parser takes braces out, and reads LaTeX's circumflex as the letter.
    title = parsed(one.bibtex)["title"].replace("\u02c6", "^")
    assert re.sub("[{}]", "", title) == re.sub("[{}]", "", STRANGE)
    assert json.loads(one.csl)[0]["title"] == STRANGE
    head = one.head("</script>")
    assert head.count("</script>") == 1
    assert (
        json.loads(head.removeprefix('<script type="application/ld+json">').removesuffix("</script>"))["name"]
        == STRANGE
    )
    assert "<b>" not in one.scholar()


def test_pages_say_what_they_are_to_programs(release) -> None:
    release.add("clustering", "pbmc68k-reduced", "pca", 0.5)
    pages = {
        page.path: page for page in stage(release.finish(), None, address=Address("https://other.example/x/")).pages
    }
    result = "results/clustering/pbmc68k-reduced/pca/"
    for path in ("", "tasks/clustering/", "datasets/pbmc68k-reduced/", "models/pca/", result):
        said = re.search(r'<script type="application/ld\+json">(.*?)</script>', pages[path].head)
        about = json.loads(said[1])
        assert (about["@type"], about["version"]) == ("Dataset", "trial"), path
        assert about["url"] == f"https://other.example/x/{path}"
        for file in about["distribution"]:
            name = file["contentUrl"].removeprefix("https://other.example/x/")
            assert any(name in page.files for page in pages.values()), name
    tags = dict(re.findall(r'<meta name="(citation_\w+)" content="([^"]*)">', pages[""].head))
    assert tags == {
        "citation_title": "cellgauge, release trial",
        "citation_author": "The cellgauge authors",
        "citation_publication_date": "2026/11/02",
        "citation_public_url": "https://other.example/x/",
    }
    assert yaml.safe_load(pages[""].files["CITATION.cff"])["version"] == "trial"


def test_a_frozen_release_is_cited_by_its_date_its_manifest_and_its_doi(release) -> None:
    release.add("clustering", "pbmc68k-reduced", "pca", 0.5)
    project = release.finish()
    release.register()
    freeze(project, load_cards(project), "trial", day=dt.date(2027, 1, 9), doi="10.5281/zenodo.1")
    staged = stage(project, None)
    home = staged.fragment("")
    assert f"2027. Manifest {read_index(project).releases['trial'].manifest}" in home
    assert "https://doi.org/10.5281/zenodo.1" in home
    assert "https://doi.org/10.5281/zenodo.1" in staged.fragment("models/pca/")


def test_the_address_is_that_of_the_site_to_be(release) -> None:
    release.add("clustering", "pbmc68k-reduced", "pca", 0.5)
    project = release.finish()
    path = "results/clustering/pbmc68k-reduced/pca/"
    assert f"https://cellgauge.github.io/cellgauge/{path}" in stage(project, None).fragment(path)
    assert f"https://other.example/x/{path}" in stage(
        project, None, address=Address("https://other.example/x/")
    ).fragment(path)


def test_the_home_page_says_when_the_release_was_made_and_whether_it_may_be_cited(release) -> None:
    release.add("clustering", "pbmc68k-reduced", "pca", 0.5)
    home = stage(release.finish(), None, address=Address("https://other.example/x/")).fragment("")
    hero, rest = home.split("</header>")
    assert '<time datetime="2026-11-02">' in hero
    assert "a rehearsal, not meant to be cited" in hero
    assert 'href="#cite"' in hero
    assert "release trial, 2026. https://other.example/x/" in rest
    assert "@misc&#123;cellgauge-trial," in rest


def test_bug_a_release_that_was_not_frozen_was_called_meant_to_be_cited(release) -> None:
    release.add("clustering", "pbmc68k-reduced", "pca", 0.5)
    project = release.finish()
    write_release(release.folder, read_release(release.folder).model_copy(update={"rehearsal": False}))

    def hero() -> str:
        return stage(project, None).fragment("").partition("</header>")[0]

    assert "measured, and not frozen yet: its numbers may change" in hero()
    release.register()
    freeze(project, load_cards(project), "trial", day=dt.date(2026, 11, 28))
    assert "measured, and meant to be cited" in hero()


def test_every_leakage_class_says_that_nobody_has_audited_it(release) -> None:
    release.add("clustering", "pbmc68k-reduced", "svd", 0.5)
    release.add("clustering", "pbmc68k-reduced", "random", 0.1)
    staged = stage(release.finish(), None)
    for page in ("results/clustering/pbmc68k-reduced/svd/", "models/svd/", "datasets/pbmc68k-reduced/"):
        assert "documented; not audited yet" in staged.fragment(page), page
    assert "audited" not in staged.fragment("results/clustering/pbmc68k-reduced/random/"), "a control claims nothing"
