"""The list of published releases, and the small pages that lead to the newest of a series."""

from __future__ import annotations

import datetime as dt
import json
import re
from urllib.parse import urljoin

import pytest

from cellgauge.cards import UserError
from cellgauge.publish.latest import leading_pages
from cellgauge.publish.versions import Properties, Version, in_order, newest_of, read_versions, write_versions
from cellgauge.results.release import fault_of_name, series_of

DAYS = {"2026.08": 1, "2026.11": 3, "trial": 9, "vcp-0.54.1": 4, "vcp-0.60": 8, "openproblems-2": 5}


def version(name: str) -> Version:
    kind = "reported" if "-" in name else "measured"
    rehearsal = name == "trial"
    properties = Properties(
        series=series_of(name, kind, rehearsal=rehearsal), kind=kind, rehearsal=rehearsal,
        frozen_on=dt.date(2026, 11, DAYS[name]), manifest="sha256:1", site="sha256:2", corrects=None, doi=None,
    )  # fmt: skip
    return Version(version=name, title=name, aliases=["latest"], properties=properties)


def test_the_newest_of_each_series_has_its_own_alias():
    found = in_order(version(name) for name in DAYS)
    assert {one.version: one.aliases for one in found if one.aliases} == {
        "trial": ["latest-rehearsal"],
        "vcp-0.60": ["latest-vcp"],
        "openproblems-2": ["latest-openproblems"],
        "2026.11": ["latest"],
    }
    assert [one.version for one in found] == sorted(DAYS, key=DAYS.get, reverse=True)
    assert newest_of(found, "vcp").version == "vcp-0.60"
    assert newest_of(found, "other") is None
    assert in_order(reversed(found)) == found
    assert read_versions(write_versions(found), "here") == found


def test_bug_what_others_reported_was_of_a_series_of_measured_releases():
    assert [series_of(f"{one}-2027", "reported", rehearsal=False) for one in ("release", "rehearsal", "vcp")] == [
        "reported-release", "reported-rehearsal", "vcp",
    ]  # fmt: skip


NOT_NAMES = (
    "latest", "latest-vcp", "index.html", "404.html", "versions.json", "releases.json", "robots.txt", "sitemap.xml",
    "sitemap.xml.gz", "api", "assets", "2026.11.yaml", "x" * 61, "../x", "A", "", ".hidden",
)  # fmt: skip


@pytest.mark.parametrize("name", NOT_NAMES)
def test_bug_a_release_could_have_the_name_of_what_lies_beside_it(name: str):
    assert fault_of_name(name)


@pytest.mark.parametrize("name", ["demo", "2026.11", "vcp-0.54.1", "html", "latest2026", "x" * 60])
def test_other_names_are_those_of_releases(name: str):
    assert fault_of_name(name) is None


def test_of_one_day_what_was_measured_comes_first(monkeypatch):
    monkeypatch.setitem(DAYS, "vcp-0.54.1", DAYS["2026.11"])
    assert [one.version for one in in_order([version("vcp-0.54.1"), version("2026.11")])] == ["2026.11", "vcp-0.54.1"]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (
            b"{}",
            r"here/versions\.json: the file: Input should be a valid array\. It was not written by cellgauge publish",
        ),
        (b"[", r"here/versions\.json: the file: Invalid JSON"),
        (json.dumps([{"version": "1", "title": "1", "aliases": []}]).encode(), r"0\.properties: Field required"),
    ],
)
def test_a_list_that_others_wrote_is_refused(data, said):
    with pytest.raises(UserError, match=said):
        read_versions(data, "here")


@pytest.mark.parametrize("path", ["", "models/pca/", "results/a/b/c/"])
def test_a_leading_page_leads_to_the_same_page_of_the_release(path):
    root = "https://site.example/board/"
    ((key, one),) = leading_pages("latest", "2026.11", [path], root).items()
    text = one.plain().decode()
    assert key == f"latest/{path}index.html"
    assert f'rel="canonical" href="{root}2026.11/{path}"' in text
    there = {
        urljoin(f"{root}latest/{path}", one) for one in re.findall(r'(?:url=|href="|replace\(")(\.\.[^"]*)"', text)
    }
    assert there == {f"{root}2026.11/{path}"}
