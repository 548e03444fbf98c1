"""Every page is valid HTML: by the parser of the standard, and by the rules of what may stand in what."""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree.ElementTree import Element

import html5lib
import pytest

pytestmark = pytest.mark.site

HEADINGS = {"h1", "h2", "h3", "h4", "h5", "h6"}
BLOCKS = HEADINGS | set(
    "address article aside blockquote details dialog div dl fieldset figure footer form header hr main nav ol p pre "  # noqa: SIM905
    "search section table ul".split()
)
"""What may stand only where a block may."""
INLINE = HEADINGS | set(
    "abbr b bdi bdo button cite code data dfn em i kbd label legend mark output p pre q s samp small span strong sub "  # noqa: SIM905
    "summary sup time u var".split()
)
"""What may hold no block; a heading may stand in a legend and in a summary."""
CHILDREN = {
    "ul": {"li", "script", "template"},
    "ol": {"li", "script", "template"},
    "dl": {"dt", "dd", "div", "script", "template"},
    "tr": {"th", "td"},
    "thead": {"tr"},
    "tbody": {"tr"},
    "table": {"caption", "colgroup", "thead", "tbody", "tfoot"},
    "select": {"option", "optgroup", "hr"},
}
PARENTS = {
    "li": {"ul", "ol", "menu"},
    "dt": {"dl", "div"},
    "dd": {"dl", "div"},
    "figcaption": {"figure"},
    "summary": {"details"},
    "legend": {"fieldset"},
    "caption": {"table"},
}
OBSOLETE = {"acronym", "basefont", "big", "center", "font", "marquee", "strike", "tt"}
OBSOLETE_ATTRIBUTES = {"align", "bgcolor", "border", "cellpadding", "cellspacing", "valign", "nowrap"}
IDS = ("aria-labelledby", "aria-describedby", "aria-controls", "for", "headers", "list")


def faults_of(text: str) -> set[str]:
    """Return what is wrong with a page."""
    parser = html5lib.HTMLParser(namespaceHTMLElements=False)
    tree = parser.parse(text)
    lines = text.splitlines()
    syntax = {f"line {line}: {code}: {lines[line - 1][:100].strip()}" for (line, _), code, _ in parser.errors}
    return syntax | set(_misplaced(tree, ())) | set(_named_wrongly(tree))


def _misplaced(element: Element, above: tuple[str, ...]) -> Iterator[str]:
    for child in element:
        if not isinstance(child.tag, str) or child.tag in ("svg", "math") or "}" in child.tag:
            continue
        name, parent = child.tag, element.tag
        around = INLINE - ({"legend", "summary"} if name in HEADINGS else set())
        if name in BLOCKS and (outer := next((one for one in reversed(above) if one in around), None)):
            yield f"<{name}> in <{outer}>"
        if parent in CHILDREN and name not in CHILDREN[parent]:
            yield f"<{name}> as a child of <{parent}>"
        if name in PARENTS and parent not in PARENTS[name]:
            yield f"<{name}> as a child of <{parent}>"
        if name in ("a", "button") and {"a", "button"} & set(above):
            yield f"<{name}> in something that is pressed itself"
        if name in OBSOLETE:
            yield f"<{name}> is obsolete"
        yield from (f"{key}= of <{name}> is obsolete" for key in child.attrib if key in OBSOLETE_ATTRIBUTES)
        if name == "img" and "alt" not in child.attrib:
            yield "<img> without alt"
        if name == "th" and child.get("scope", "col") not in ("row", "col", "rowgroup", "colgroup"):
            yield f"scope={child.get('scope')}"
        yield from _misplaced(child, (*above, name))


def _named_wrongly(tree: Element) -> Iterator[str]:
    ids = [element.get("id") for element in tree.iter() if element.get("id") is not None]
    yield from (f"id {one!r} twice" for one in {one for one in ids if ids.count(one) > 1})
    yield from (f"id {one!r}" for one in ids if not one or re.search(r"\s", one))
    for element in tree.iter():
        for attribute in IDS:
            for id_ in (element.get(attribute) or "").split():
                if id_ not in ids:
                    yield f"{attribute}={id_!r} names nothing"


def test_every_page_is_valid(site):
    pages = {path: path.read_text(encoding="utf-8") for path in site.rglob("*.html")}
    faults = {path.relative_to(site).as_posix(): faults_of(text) for path, text in pages.items()}
    assert not {path: found for path, found in faults.items() if found}


@pytest.mark.parametrize(
    "wrong",
    ["<p><div>x</div></p>", "<a href=x><a href=y>x</a></a>", "<span><p>x</p></span>", "<table><p>x</p></table>",
     "<ul><p>x</p></ul>", "<b id=x></b><i id=x></i>", "<p aria-labelledby=y>x</p>", "a & b &copy",
     "<p class=a class=b>x",
         "<center>x</center>", "<img src=x>", "<h2><ul><li>x</ul></h2>", "<button><a href=x>x</a></button>"],
)  # fmt: skip
def test_faults_are_found(wrong):
    page = "<!doctype html><html lang=en><head><title>x</title></head><body>{}</body></html>"
    assert not faults_of(page.format("<p>Right &amp; good.</p>"))
    assert faults_of(page.format(wrong))
