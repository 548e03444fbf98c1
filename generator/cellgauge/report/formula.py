"""Formulas: LaTeX in a card, MathML on the page."""

from __future__ import annotations

import re
from functools import cache
from xml.etree import ElementTree as ET

from latex2mathml.converter import convert
from markupsafe import Markup

from cellgauge.cards import UserError

_NAMESPACE = "http://www.w3.org/1998/Math/MathML"
_LEAVES = {"mi", "mo", "mn", "mtext", "mspace"}
_ELEMENTS = _LEAVES | {
    "math", "mrow", "mfrac", "msqrt", "mroot", "msub", "msup", "msubsup", "munder", "mover", "munderover",
    "mtable", "mtr", "mtd", "mpadded", "mphantom", "mstyle",
}  # fmt: skip
_ATTRIBUTES = {
    "display", "mathvariant", "stretchy", "fence", "form", "lspace", "rspace", "minsize", "maxsize", "linethickness",
    "columnalign", "rowalign", "columnspacing", "rowspacing", "displaystyle", "scriptlevel", "width", "accent",
    "movablelimits", "separator", "symmetric", "largeop",
}  # fmt: skip
_VALUE = re.compile(r"[\w.+ %-]*", re.ASCII)
_MARKUP_IN_TEXT = re.compile(r"\\(?:text\w*|[mhf]box|operatorname\*?)\s*\{[^{}]*[<&]")
"""The converter hands on what stands in these as it is, so that it would be read as markup."""


@cache
def to_mathml(latex: str, shown: str) -> Markup:
    """Return a displayed formula as MathML.

    Only elements and attributes that are known to be harmless may come out: the converter puts text into its
    output as it is, and passes on styles, classes and links.

    Parameters
    ----------
    shown
        The card it comes from, named in the error.

    Raises
    ------
    UserError
        When it is not LaTeX that can be converted, or makes anything else than such MathML.
    """
    if found := _MARKUP_IN_TEXT.search(latex):
        raise UserError(f"{shown}: formula: {found[0][-1]} is not allowed in the text of a formula ({found[0]!r})")
    try:
        root = ET.fromstring(convert(latex, display="block"))  # noqa: S314 (checked below, and entities are refused)
    except Exception as error:
        raise UserError(f"{shown}: formula: cannot be read as LaTeX ({type(error).__name__}: {error})") from None
    for node in root.iter():
        if problem := _problem(node):
            raise UserError(f"{shown}: formula: makes {problem}, which is not allowed")
    root.set("alttext", latex)
    ET.register_namespace("", _NAMESPACE)
    return Markup(ET.tostring(root, encoding="unicode"))  # noqa: S704 (serialised from checked nodes)


def _problem(node: ET.Element) -> str | None:
    """Return what a node of the converter's output is that no formula needs; None for a good one."""
    space, _, name = str(node.tag).rpartition("}")
    if space != f"{{{_NAMESPACE}" or name not in _ELEMENTS:
        return f"<{name}>"
    for key, value in node.attrib.items():
        if key not in _ATTRIBUTES or not _VALUE.fullmatch(value):
            return f'<{name} {key}="{value}">'
    if name in _LEAVES and len(node):
        return f"<{node[0].tag.rpartition('}')[2]}> inside <{name}>"
    if name not in _LEAVES and (node.text or "").strip():
        return f"bare text in <{name}>"
    return "bare text between elements" if (node.tail or "").strip() else None


def symbol(line: str) -> Markup:
    """Return a line about a symbol, with subscripts (``n_ij``) set as such."""
    escaped = str(Markup.escape(line))
    return Markup(re.sub(r"\b([A-Za-z]{1,2})_(\w{1,3})\b", r"<i>\1</i><sub>\2</sub>", escaped))  # noqa: S704 (escaped before)
