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
    _mend(root)
    root.set("alttext", latex)
    ET.register_namespace("", _NAMESPACE)
    return Markup(ET.tostring(root, encoding="unicode"))  # noqa: S704 (serialised from checked nodes)


def _mend(root: ET.Element) -> None:
    """Write as browsers set it well what the converter writes otherwise.

    An upright word is one identifier and no row of letters, a prime is an operator, a bar over one letter is an accent
    and not a line as wide as it likes, and the limit of a minimum stands below it.
    """
    for node in root.iter():
        kind = _kind(node)
        if kind == "mrow" and len(node) > 1 and all(_is_upright_letter(child) for child in node):
            word = "".join(child.text or "" for child in node)
            node[:] = [ET.Element(node[0].tag)]
            node[0].text = word
        elif kind == "mi" and node.text == "′":
            node.tag = f"{{{_NAMESPACE}}}mo"
        elif kind == "mover" and node[1].text == "¯":
            node.set("accent", "true")
            node[1].set("stretchy", "false")
        elif kind == "msub" and _kind(node[0]) == "mo" and node[0].text in ("min", "max"):
            node.tag = f"{{{_NAMESPACE}}}munder"


def _kind(node: ET.Element) -> str:
    return str(node.tag).rpartition("}")[2]


def _is_upright_letter(node: ET.Element) -> bool:
    return _kind(node) == "mi" and node.get("mathvariant") == "normal" and len(node.text or "") == 1


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


_LETTER = r"[A-Za-zα-ωℓÀ-ž][\u0302\u0304²]?"
_ALONE = r"[B-HJ-Zb-zα-ωℓ][\u0302\u0304]?|[aA](?=[(,;])|I(?= (?:is|are)\b)"
_SYMBOL = re.compile(rf"(?<![\w'’.;-])(?:({_LETTER}|[A-Z]{{2}})_(\w{{1,3}})|({_ALONE})(?![\w'’.-]))")
"""A letter with a subscript, or alone where it is no word."""


def symbol(line: str) -> Markup:
    """Return a line about a symbol, set as in the formula: single letters italic, subscripts (``n_ij``) low."""
    return Markup(_SYMBOL.sub(_set, str(Markup.escape(line))))  # noqa: S704 (escaped before)


def _set(found: re.Match[str]) -> str:
    base, below, alone = found.groups()
    if alone:
        return f"<i>{alone}</i>"
    low = below if below.isdigit() else f"<i>{below}</i>"
    return f"{base if len(base) == 2 and base.isascii() else f'<i>{base}</i>'}<sub>{low}</sub>"
