"""Formulas: LaTeX in a card, MathML on the page."""

from __future__ import annotations

import re
from functools import cache
from xml.etree import ElementTree as ET

from latex2mathml.converter import convert
from markupsafe import Markup

from cellgauge.cards import UserError


@cache
def to_mathml(latex: str, shown: str) -> Markup:
    """Return a displayed formula as MathML.

    Parameters
    ----------
    shown
        The card it comes from, named in the error.

    Raises
    ------
    UserError
        When it is not LaTeX that can be converted.
    """
    try:
        mathml = convert(latex, display="block")
        root = ET.fromstring(mathml)  # noqa: S314 (made by the converter, not read from outside)
    except Exception as error:
        raise UserError(f"{shown}: formula: cannot be read as LaTeX ({type(error).__name__}: {error})") from None
    # The converter puts the formula's text into nodes as it is: only MathML elements may come out.
    for node in root.iter():
        name = node.tag.rpartition("}")[2]
        if not name.startswith("m") or any(key.startswith("on") or "href" in key for key in node.attrib):
            raise UserError(f"{shown}: formula: makes <{name}>, which is not allowed")
    root.set("alttext", latex)
    ET.register_namespace("", "http://www.w3.org/1998/Math/MathML")
    return Markup(ET.tostring(root, encoding="unicode"))  # noqa: S704 (serialised from checked nodes)


def symbol(line: str) -> Markup:
    """Return a line about a symbol, with subscripts (``n_ij``) set as such."""
    escaped = str(Markup.escape(line))
    return Markup(re.sub(r"\b([A-Za-z]{1,2})_(\w{1,3})\b", r"<i>\1</i><sub>\2</sub>", escaped))  # noqa: S704 (escaped before)
