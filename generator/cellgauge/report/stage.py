"""Writing what mkdocs reads: a Markdown stub and an HTML fragment for each page of the navigation, and for frames.

The stub holds the front matter and the text by which the page is found; the fragment holds what it
shows. Tables in Markdown would cost three times the build time and twenty times the search index.
"""

from __future__ import annotations

import hashlib
import html
import re
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from mkdocs.utils.yaml import yaml_load

from cellgauge.cards import Project, UserError
from cellgauge.cards.read import parse_yaml
from cellgauge.report import social
from cellgauge.report.drawings import Drawings, kept_bundle
from cellgauge.report.embedded import script
from cellgauge.report.frames import depth_of, frame
from cellgauge.report.links import dead_links
from cellgauge.report.many import draw_pages
from cellgauge.report.numbers import plural
from cellgauge.report.pages import page_works
from cellgauge.report.release import ReleaseView, load_release
from cellgauge.report.render import Page, Renderer

PROSE = ("principles.md", "methods.md", "speed.md", "fingerprints.md", "contribute.md", "containers.md")
"""Pages that are plain Markdown, and are handed to mkdocs as they are written."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Staged:
    """What was drawn of a release."""

    view: ReleaseView
    pages: tuple[Page, ...]
    drawings: Drawings

    @property
    def framed(self) -> list[Page]:
        """The pages that are put into frames once mkdocs is done; it makes those of the navigation itself."""
        return [page for page in self.pages if page.path not in _IN_NAV]

    def fragment(self, path: str) -> str:
        """Return what the page at an address shows, without its drawings."""
        return next(page.fragment for page in self.pages if page.path == path)


def stage(project: Project, release: str | None, *, site_url: str | None = None, say: Say = lambda _: None) -> Staged:
    """Write ``build/pages`` and ``build/overrides``, from which a plain ``mkdocs build`` makes what holds all pages.

    Everything is drawn before anything is written, so that a mistake in a card leaves the last stage as it was.

    Parameters
    ----------
    release
        The release to show; None for the newest.
    site_url
        Where the site will be; None for the address in ``mkdocs.yml``.

    Raises
    ------
    UserError
        When cards, results or pages cannot be used.
    """
    view = load_release(project, release)
    say(f"release {view.name}: {len(view.results)} results" if view.name else "no release yet: cards only")
    home = _read_home(project.site_src / "index.md")
    prose = {name: _prose(project.site_src / name) for name in PROSE}
    build = project.work / "build"
    drawings, bundle = Drawings(build / "charts"), script(kept_bundle(build / "charts")).encode()
    address = f"assets/vega.{hashlib.sha256(bundle).hexdigest()[:8]}.js"
    renderer = Renderer(
        view, project.site_src / "templates", drawings.place, address, site_url=site_url or _address(project)
    )
    pages = draw_pages(page_works(renderer, home), drawings)
    if dead := dead_links(pages, [f"{name.removesuffix('.md')}/" for name in prose]):
        raise UserError("\n".join(dead))
    say(f"{len(pages) + len(prose)} pages")
    around = {name: renderer.fragment(f"frame/{name}", "") for name in ("banner.html", "release.html", "quality.html")}
    picture = social.social_card(renderer, pages[0].title)
    if drawn := drawings.draw():
        say(f"{plural(drawn, 'drawing')} made, others kept from before")
    staged = Staged(view, tuple(pages), drawings)
    _write(project, build, staged, prose, around)
    _put(build / "pages" / address, bundle)
    _put(build / "pages" / social.PATH, picture)
    return staged


def _address(project: Project) -> str:
    """Return where ``mkdocs.yml`` says that the site will be, ending with a slash; empty where it says nothing."""
    path = project.source / "mkdocs.yml"
    try:
        address = str(yaml_load(path.read_text(encoding="utf-8")).get("site_url") or "")
    except (OSError, yaml.YAMLError, AttributeError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from None
    return address and f"{address.rstrip('/')}/"


def _write(project: Project, build: Path, staged: Staged, prose: dict[str, str], around: dict[str, str]) -> None:
    docs, overrides = build / "pages", build / "overrides"
    for folder, source in ((docs, None), (overrides, project.site_src / "overrides")):
        if folder.exists():
            shutil.rmtree(folder)
        if source is None:
            folder.mkdir(parents=True)
        else:
            shutil.copytree(source, folder)
    shutil.copytree(project.site_src / "assets", docs / "assets")
    for name, text in prose.items():
        (docs / name).write_text(text, encoding="utf-8")
    for name, fragment in around.items():
        _put(overrides / "fragments" / "frame" / name, fragment.encode())
    frames = [frame(depth) for depth in sorted({depth_of(page) for page in staged.framed})]
    for page in (*(page for page in staged.pages if page.path in _IN_NAV), *frames):
        stub, fragment = _places(page)
        _put(docs / stub, _stub(page, fragment).encode())
        _put(overrides / fragment, staged.drawings.fill(page.fragment).encode())


def put_files(site: Path, pages: Iterable[Page]) -> None:
    """Write the files beside pages into a built site; mkdocs would read and copy each of them."""
    for page in pages:
        for path, data in page.files.items():
            _put(site / path, data)


def _put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


_LISTS = ("", "tasks/", "datasets/", "models/", "metrics/", "results/", "compare/")
_IN_NAV = (*_LISTS, "quality/", "missing/")


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
        "hide": ["navigation", "toc"],
        "search": {"boost": page.boost} if page.searchable else {"exclude": True},
    }
    dumped = yaml.safe_dump(front, sort_keys=True, allow_unicode=True, width=1000)
    return f"---\n{dumped}---\n\n{as_plain_text(page.description)}\n\n{as_plain_text(page.search)}\n"


def as_plain_text(text: str) -> str:
    """Return text as Markdown that means nothing but itself: every mark of punctuation as an entity."""
    flat = " ".join(text.split())
    return re.sub(r"[!-/:-@\[-`{-~]", lambda match: f"&#{ord(match[0])};", flat)


def _read_home(path: Path) -> tuple[dict[str, Any], str]:
    text = _prose(path)
    match = re.match(r"---\r?\n(.*?\n)---\r?\n(.*)", text, flags=re.DOTALL)
    if match is None:
        return {}, text
    return parse_yaml(match[1], str(path), first_line=2)[0], match[2]


def _prose(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UserError(f"{path}: is missing; the site needs this page") from None
