"""Writing what mkdocs reads: a Markdown stub and an HTML fragment for each page of the navigation, and for frames.

The stub holds the front matter and the text by which the page is found; the fragment holds what it
shows. Tables in Markdown would cost three times the build time and twenty times the search index.
"""

from __future__ import annotations

import html
import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from markupsafe import Markup

from cellgauge.cards import Project, UserError
from cellgauge.report.page import Page
from cellgauge.results.release import Release

PROSE = (
    "principles.md",
    "methods.md",
    "method-changes.md",
    "speed.md",
    "fingerprints.md",
    "contribute.md",
    "containers.md",
    "publish.md",
)
"""Pages that are plain Markdown, and are handed to mkdocs as they are written."""
_LISTS = ("", "tasks/", "datasets/", "models/", "metrics/", "results/", "compare/")
IN_NAV = (*_LISTS, "data/", "changes/", "quality/", "missing/")
"""The pages of the navigation that are drawn, by their address."""


@dataclass(frozen=True)
class Sources:
    """Two folders that mkdocs makes a site from: its pages, and what they are put into."""

    docs: Path
    overrides: Path

    def write(self, project: Project, pages: Iterable[Page], around: Mapping[str, str]) -> None:
        """Write both anew.

        Parameters
        ----------
        pages
            What mkdocs makes beside pages of plain Markdown; their fragments have their drawings.
        around
            Fragments that stand on every page, by their name.

        Raises
        ------
        UserError
            When a page of plain Markdown is missing.
        """
        prose = {name: read_prose(project.site_src / name) for name in PROSE}
        for folder in (self.docs, self.overrides):
            if folder.exists():
                shutil.rmtree(folder)
        shutil.copytree(project.site_src / "overrides", self.overrides)
        shutil.copytree(project.site_src / "assets", self.docs / "assets")
        for name, text in prose.items():
            (self.docs / name).write_text(text, encoding="utf-8")
        for name, fragment in around.items():
            put(self.overrides / "fragments" / "frame" / f"{name}.html", fragment.encode())
        for page in pages:
            stub, fragment = _places(page)
            put(self.docs / stub, _stub(page, fragment).encode())
            put(self.overrides / fragment, page.fragment.encode())


def banner(meta: Release | None) -> Markup:
    """Return what stands above every page of a release that is not what readers take it for; empty for all others."""
    said = []
    if meta is not None and meta.rehearsal:
        said.append(("Rehearsal release", "made to try the machinery, not to be cited."))
    if meta is not None and meta.kind == "reported":
        by = meta.reported.source if meta.reported else "others"
        said.append(("Reported results", f"measured by {by}, not by cellgauge; nothing here is ranked."))
    return Markup("\n").join(Markup("<strong>{}:</strong> {}").format(*one) for one in said)


def site_address(project: Project) -> str:
    """Return where ``mkdocs.yml`` says that the site will be, ending with a slash; empty where it says nothing."""
    address = _setting(project, "site_url")
    return address and f"{address.rstrip('/')}/"


def hub_benchmark(project: Project) -> str:
    """Return which dataset of the Hugging Face Hub ``mkdocs.yml`` names as our benchmark; empty where none."""
    return _setting(project, "extra", "hub_benchmark")


def _setting(project: Project, *keys: str) -> str:
    from mkdocs.utils.yaml import yaml_load

    path = project.source / "mkdocs.yml"
    try:
        found = yaml_load(path.read_text(encoding="utf-8"))
        for key in keys:
            found = found.get(key) or {}
    except (OSError, yaml.YAMLError, AttributeError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from None
    return str(found or "")


def read_prose(path: Path) -> str:
    """Return the text of a page of plain Markdown."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UserError(f"{path}: is missing; the site needs this page") from None


def put(path: Path, data: bytes) -> None:
    """Write a file and the folders that it lies in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def as_plain_text(text: str) -> str:
    """Return text as Markdown that means nothing but itself: every mark of punctuation as an entity."""
    flat = " ".join(text.split())
    return re.sub(r"[!-/:-@\[-`{-~]", lambda match: f"&#{ord(match[0])};", flat)


def _places(page: Page) -> tuple[str, str]:
    """Return where a page's stub and its fragment go."""
    name = f"{page.path}index" if page.path in _LISTS else page.path.rstrip("/")
    return f"{name}.md", f"fragments/{name}.html"


def _stub(page: Page, fragment: str) -> str:
    # The theme writes title and description into the page as they are, so they are escaped here.
    front: dict[str, Any] = {
        "title": html.escape(page.title),
        "description": html.escape(page.description),
        "fragment": fragment,
        "page_id": page.path or "home",
        **({"head": page.head} if page.head else {}),
        "hide": ["navigation", "toc"],
        "search": {"boost": page.boost} if page.searchable else {"exclude": True},
    }
    dumped = yaml.safe_dump(front, sort_keys=True, allow_unicode=True, width=1000)
    return f"---\n{dumped}---\n\n{as_plain_text(page.description)}\n\n{as_plain_text(page.search)}\n"
