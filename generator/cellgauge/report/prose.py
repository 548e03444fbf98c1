"""Markdown written by others, made into HTML that can do no harm."""

from __future__ import annotations

import posixpath
import re
from collections.abc import MutableMapping, Sequence
from functools import cache
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markupsafe import Markup

_SCHEME = re.compile(r"^[a-zA-Z][a-zA-Z0-9+.-]*:")


def to_html(text: str, *, folder: str, root: str, below: int = 2) -> Markup:
    """Render Markdown; HTML in it is shown as text, and links go to http(s) or into this site only.

    Parameters
    ----------
    folder
        Where in ``site_src`` the text lies, such as ``tasks``; relative links start there and may
        name ``.md`` files, so that they also work where cards are read as files.
    root
        The way from the page to the site's root, such as ``../../``.
    below
        The level of the heading that the text stands under; its own headings go below.
    """
    return Markup(_renderer().render(text, {"folder": folder, "root": root, "below": below}))  # noqa: S704 (html is off)


def inline(text: str) -> Markup:
    """Render one line of Markdown without a paragraph around it, and without links."""
    return Markup(_plain_renderer().renderInline(text))  # noqa: S704 (html is off)


def to_address(href: str, *, folder: str) -> str | None:
    """Return where a link leads: an absolute address, or one relative to the site's root; None if it is not allowed."""
    if href.startswith(("http://", "https://")):
        return href
    if _SCHEME.match(href) or href.startswith(("//", "\\")):
        return None
    path, mark, fragment = href.partition("#")
    if not path:
        return href
    target = posixpath.normpath(posixpath.join("/", folder, path)).lstrip("/")
    if target.endswith(".md"):
        target = re.sub(r"(^|/)index\.md$", r"\1", target)
        target = re.sub(r"\.md$", "/", target)
    elif path.endswith("/") and target:
        target += "/"
    return target + mark + fragment


@cache
def _renderer() -> MarkdownIt:
    markdown = MarkdownIt("commonmark", {"html": False, "typographer": False}).enable("table")
    markdown.add_render_rule("link_open", _link_open)
    # A card may not load anything: an image is shown as its description.
    markdown.add_render_rule("image", _image)
    markdown.add_render_rule("heading_open", _heading)
    markdown.add_render_rule("heading_close", _heading)
    return markdown


@cache
def _plain_renderer() -> MarkdownIt:
    return MarkdownIt("zero", {"html": False}).enable(["backticks", "emphasis", "escape"])


def _link_open(
    renderer: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: MutableMapping[str, Any]
) -> str:
    token = tokens[index]
    address = to_address(str(token.attrGet("href") or ""), folder=env["folder"])
    if address is None:
        token.attrs.pop("href", None)
    elif address.startswith(("http://", "https://", "#")):
        token.attrSet("href", address)
    else:
        token.attrSet("href", (env["root"] + address) or "./")
    return renderer.renderToken(tokens, index, options, env)


def _image(
    renderer: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: MutableMapping[str, Any]
) -> str:
    return str(Markup.escape(tokens[index].content))


def _heading(
    renderer: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: MutableMapping[str, Any]
) -> str:
    # Writers begin with ##, which becomes the next level below the heading that their text stands under.
    level = min(6, max(1, int(tokens[index].tag[1]) - 1) + env["below"])
    return f"<h{level}>" if tokens[index].nesting == 1 else f"</h{level}>\n"
