"""Drawing all pages of a release, and staging them for mkdocs."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cellgauge.cards import Project, UserError
from cellgauge.cards.read import parse_yaml
from cellgauge.report import Say, social
from cellgauge.report.address import Address, address_of
from cellgauge.report.drawings import Drawings, kept_bundle
from cellgauge.report.embedded import script
from cellgauge.report.frames import frames
from cellgauge.report.kept import KeptPages
from cellgauge.report.links import dead_links
from cellgauge.report.many import draw_pages
from cellgauge.report.numbers import plural
from cellgauge.report.page import Page
from cellgauge.report.pages import page_works
from cellgauge.report.release import ReleaseView, load_release
from cellgauge.report.render import Renderer
from cellgauge.report.sources import IN_NAV, PROSE, Sources, banner, put, read_prose
from cellgauge.report.unchanged import Inputs


@dataclass(frozen=True)
class Staged:
    """What was drawn of a release."""

    view: ReleaseView
    pages: tuple[Page, ...]
    drawings: Drawings
    around: dict[str, str]
    """Fragments that stand on every page, by their name."""
    assets: dict[str, bytes]
    """What pages of this release load, by its address below the site's root."""

    def fragment(self, path: str) -> str:
        """Return what the page at an address shows, without its drawings."""
        return next(page.fragment for page in self.pages if page.path == path)

    def put_assets(self, site: Path) -> None:
        """Write what pages load into a site, or into what it is made from."""
        for path, data in self.assets.items():
            put(site / path, data)


def stage(
    project: Project,
    release: str | None,
    *,
    address: Address | None = None,
    inputs: Inputs | None = None,
    say: Say = lambda _: None,
) -> Staged:
    """Draw all pages, and write ``build/pages`` and ``build/overrides``.

    From these, a plain ``mkdocs build`` makes the pages of the navigation, and frames for all others.
    Everything is drawn before anything is written, so that a mistake in a card leaves the last stage as it was.

    Parameters
    ----------
    release
        The release to show; None for the newest.
    address
        Where the site will be; None for where ``mkdocs.yml`` says.
    inputs
        Digests of everything that the site is made from: pages that follow from the same are not drawn again.

    Raises
    ------
    UserError
        When cards, results or pages cannot be used.
    """
    view = load_release(project, release)
    say(f"release {view.name}: {len(view.results)} results" if view.name else "no release yet: cards only")
    home = _read_home(project.site_src / "index.md")
    build = project.work / "build"
    drawings, bundle = Drawings(build / "charts"), script(kept_bundle(build / "charts")).encode()
    vega = f"assets/vega.{hashlib.sha256(bundle).hexdigest()[:8]}.js"
    address = address or address_of(project, view.name, None, None)
    renderer = Renderer(view, project.site_src / "templates", drawings.place, vega, address=address)
    kept = None if inputs is None else KeptPages(build / "results" / f"{view.name}", view, inputs, drawings)
    pages = draw_pages(page_works(renderer, home, kept), drawings)
    if dead := dead_links(pages, [f"{name.removesuffix('.md')}/" for name in PROSE]):
        raise UserError("\n".join(dead))
    say(f"{len(pages) + len(PROSE)} pages")
    around = {name: renderer.fragment(f"frame/{name}.html", "") for name in ("release", "quality")}
    around["banner"] = banner(view.meta)
    picture = social.social_card(renderer, pages[0].title)
    if drawn := drawings.draw():
        say(f"{plural(drawn, 'drawing')} made, others kept from before")
    staged = Staged(view, tuple(pages), drawings, around, {vega: bundle, social.PATH: picture})
    own = [replace(page, fragment=drawings.fill(page.fragment)) for page in pages if page.path in IN_NAV]
    sources = Sources(build / "pages", build / "overrides")
    sources.write(project, [*own, *frames(of_navigation=False)], around)
    staged.put_assets(sources.docs)
    return staged


def _read_home(path: Path) -> tuple[dict[str, Any], str]:
    text = read_prose(path)
    match = re.match(r"---\r?\n(.*?\n)---\r?\n(.*)", text, flags=re.DOTALL)
    if match is None:
        return {}, text
    return parse_yaml(match[1], str(path), first_line=2)[0], match[2]
