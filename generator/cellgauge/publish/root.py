"""The root of the site: which releases there are, what each task showed in them, and where programs find that."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from cellgauge.cards.project import Project
from cellgauge.publish.delivery import ASK_AGAIN, Delivery
from cellgauge.publish.versions import Version, newest_of
from cellgauge.report import charts
from cellgauge.report.axes import Layout
from cellgauge.report.build import run_mkdocs
from cellgauge.report.charts import Figure, Mark
from cellgauge.report.numbers import SCORE_DECIMALS, interval, listing, number, plural
from cellgauge.report.render import templates_in, to_include
from cellgauge.report.sources import Sources, put
from cellgauge.report.tables import Column

RELEASES = "releases.json"
"""What is known of all releases, for programs."""
ASSETS = "assets"
"""The folder of what the root's pages load."""
About = dict[str, Any]
"""What ``api/v1/release.json`` of a release says."""

_ASSETS = ("cellgauge.css", "favicon.svg", "frame.js", "logo.svg", "vendor/inter")
_NEEDLESS = ("assets/javascripts/lunr", "assets/javascripts/workers", "sitemap.xml", "sitemap.xml.gz")
"""What mkdocs puts into a site that has no search and one page."""
_MOST_SHOWN = 6
"""Releases in a figure."""


@dataclass(frozen=True)
class Trend:
    """A task on one dataset over the releases that have it, the newest first."""

    task: str
    name: str
    heading: str
    figure: Figure
    note: str
    """What keeps the numbers from being compared; empty where nothing does."""


def root_files(project: Project, versions: list[Version], about: Mapping[str, About], root_url: str) -> list[Delivery]:
    """Return the files at the root of the site but ``versions.json``, in the order in which they are written.

    Parameters
    ----------
    versions
        All releases, the newest first.
    about
        What each one says of itself, by its name.
    root_url
        Where they stand; ends with a slash.
    """
    document = [{**about[one.version], "published": one.model_dump(mode="json")} for one in versions]
    found = {
        RELEASES: (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode(),
        "sitemap.xml": _site_map(versions, root_url),
        "robots.txt": f"Sitemap: {root_url}sitemap.xml\n".encode(),
        ".nojekyll": b"",
    }
    with tempfile.TemporaryDirectory() as folder:
        site = Path(folder) / "site"
        _build(project, Path(folder), site, _page(project, versions, about), root_url)
        for path in sorted(site.rglob("*")):
            if path.is_file() and path.suffix != ".map":
                found[path.relative_to(site).as_posix()] = path.read_bytes()
    pages_last = sorted(found, key=lambda name: (name.endswith(".html"), name))
    return [Delivery(name, found[name], ASK_AGAIN) for name in pages_last]


def _build(project: Project, folder: Path, site: Path, fragment: str, root_url: str) -> None:
    sources = Sources(folder / "pages", folder / "overrides")
    shutil.copytree(project.site_src / "root", sources.overrides)
    for name in _ASSETS:
        source, copy = project.site_src / ASSETS / name, sources.docs / ASSETS / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, copy) if source.is_dir() else shutil.copy(source, copy)
    put(sources.overrides / "fragments/root.html", fragment.encode())
    put(sources.docs / "index.md", b"---\ntitle: Releases\nhide: [navigation, toc]\n---\n")
    more = {
        "site_url": root_url, "nav": [{"Releases": "index.md"}], "not_in_nav": "", "plugins": [],
        "extra_javascript": ["assets/frame.js"],
    }  # fmt: skip
    run_mkdocs(project, sources, site, more)
    for name in _NEEDLESS:
        path = site / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def _page(project: Project, versions: list[Version], about: Mapping[str, About]) -> str:
    newest = newest_of(versions, "release")
    corrected: dict[str, list[Version]] = {}
    for one in versions:
        if one.properties.corrects is not None:
            corrected.setdefault(one.properties.corrects.release, []).append(one)
    html = (
        templates_in(project.site_src / "templates")
        .get_template("root.html")
        .render(
            versions=versions,
            about=about,
            corrected=corrected,
            latest=newest.version if newest else None,
            trends=_trends(versions, about),
            plural=plural,
            draw=_drawing,
        )
    )
    return to_include(html)


def _drawing(figure: Figure) -> Markup:
    drawn = (Markup('<div class="cg-{}">{}</div>').format(one, Markup(charts.to_svg(figure, one))) for one in _LAYOUTS)  # noqa: S704 (Vega escapes text)
    return Markup('<div role="img" aria-label="{}">{}</div>').format(escape(figure.description), Markup("").join(drawn))


_LAYOUTS: tuple[Layout, ...] = ("wide", "narrow")


def _trends(versions: list[Version], about: Mapping[str, About]) -> list[Trend]:
    """Return the trends of measured releases: of each task on the dataset that most of them have."""
    names = [one.version for one in versions if one.properties.kind == "measured"][:_MOST_SHOWN]
    by_task: dict[str, dict[str, About]] = {}
    for name in names:
        for entry in about[name]["trends"]:
            by_task.setdefault(entry["task"], {})[name] = entry
    found = (_trend(entries) for _, entries in sorted(by_task.items()))
    return [one for one in found if one is not None]


def _trend(entries: dict[str, About]) -> Trend | None:
    newest = next(iter(entries.values()))
    on: dict[str, dict[str, About]] = {}
    for release, entry in entries.items():
        for one in entry["datasets"]:
            if one["baseline"] or one["best"]:
                on.setdefault(one["dataset"], {})[release] = one
    if not on:
        return None
    rows = max(on.values(), key=len)
    name = next(iter(rows.values()))["name"]
    marks = [mark for release, row in rows.items() for mark in _marks(release, row)]
    changed = [
        what
        for what, values in (
            ("the protocol", {entries[release]["protocol"] for release in rows}),
            ("the cells of the dataset", {row["content"] for row in rows.values()}),
        )
        if len(values) > 1
    ]
    note = f"Numbers of these releases cannot be compared: {listing(changed)} changed." if changed else ""
    said = listing([f"{mark.label} {mark.numbers}" for mark in marks])
    figure = Figure(
        marks=tuple(marks),
        axis=f"{newest['score']} on {name}",
        short_axis=newest["score"],
        description=f"{newest['name']} on {name}, {newest['score']} by release: {said}.",
        id=f"trend-{newest['task']}",
        title=f"{newest['name']} on {name} by release",
        names=Column("release", "Release and model", ("release", "model")),
    )
    return Trend(newest["task"], newest["name"], f"{newest['score']} on {name}", figure, note)


def _marks(release: str, row: About) -> Iterable[Mark]:
    for role, colour in (("best", "var(--cg-accent)"), ("baseline", "var(--cg-ink)")):
        if (one := row[role]) is not None:
            numbers = number(one["value"], SCORE_DECIMALS)
            if one["low"] is not None:
                numbers += f" {interval(one['low'], one['high'], SCORE_DECIMALS)}"
            word = "baseline" if role == "baseline" else "best score"
            label = f"{release}: {one['name']}"
            yield Mark(label, one["value"], one["low"], one["high"], numbers, word, colour, id=(release, one["model"]))


def _site_map(versions: list[Version], root_url: str) -> bytes:
    lines = "".join(f"<sitemap><loc>{escape(root_url)}{one.version}/sitemap.xml</loc></sitemap>\n" for one in versions)
    text = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<sitemapindex xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n'
    )
    return f"{text}{lines}</sitemapindex>\n".encode()
