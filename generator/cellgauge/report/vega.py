"""From specifications to drawings: Vega-Lite JSON to SVG, and the one script that makes figures interactive.

Imports nothing of the report, so that a process which only draws starts quickly.
"""

from __future__ import annotations

import functools
import hashlib
import html
import json
import re
from importlib.metadata import version
from pathlib import Path
from string import ascii_letters
from typing import Any

import vl_convert

_CONVERTER = f"vl-convert-python {version('vl-convert-python')}"
DRAWN_BY = f"{_CONVERTER}, tidied {hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:16]}"
"""What draws: what another version or other code drew is drawn again."""

_SNIPPET = "window.cgVega = vegaEmbed;"


def to_svg(text: str) -> str:
    """Draw a Vega-Lite specification, given as JSON with its data in ``datasets``.

    Returns
    -------
    An SVG that is the same on every call and can stand inline in a page: its ids are its own, and it holds no parts
    that only a file needs.
    """
    spec = json.loads(text)
    datasets = spec.pop("datasets")
    values: list[Any] = []
    form, texts = _compiled(json.dumps(_without(spec, "", values), sort_keys=True), tuple(sorted(datasets)))
    vega = _with(form, values)
    standing_in = _StandIns()
    for one in vega["data"]:
        if one["name"] in datasets:
            one["values"] = [standing_in.row(row, texts) for row in datasets[one["name"]]]
    svg = standing_in.replaced(str(vl_convert.vega_to_svg(vega)))
    return _tidy(svg, prefix=f"f{hashlib.sha256(text.encode()).hexdigest()[:8]}")


_OWN = {("scale", "domain"), ("axis", "values"), ("axis", "title"), ("axis", "labelExpr")}
"""What each figure has of its own, and is written into what is compiled as it stands."""
_FIRST = 7_340_001.5
"""Stand-ins of numbers are counted from here, as no figure does."""


def _without(part: Any, inside: str, values: list[Any]) -> Any:
    """Return a part of a specification with stand-ins for what is a figure's own, and add that to ``values``."""
    if isinstance(part, dict):
        return {
            key: _stand_in(value, values) if (inside, key) in _OWN and isinstance(value, str | list) else
            _without(value, key, values)
            for key, value in part.items()
        }  # fmt: skip
    return [_without(one, inside, values) for one in part] if isinstance(part, list) else part


def _stand_in(value: str | list[Any], values: list[Any]) -> str | list[float]:
    if value not in values:
        values.append(value)
    place = values.index(value)
    return f"cgown{place}q" if isinstance(value, str) else [_FIRST + 2 * place, _FIRST + 2 * place + 1]


def _with(part: Any, values: list[Any]) -> Any:
    """Return a part of what was compiled with a figure's own values."""
    if isinstance(part, str):
        return re.sub(r"cgown(\d+)q", lambda place: str(values[int(place[1])]), part) if "cgown" in part else part
    if isinstance(part, dict):
        return {key: _with(value, values) for key, value in part.items()}
    if isinstance(part, list):
        if len(part) == 2 and isinstance(part[0], float) and part[0] >= _FIRST:
            return values[int(part[0] - _FIRST) // 2]
        return [_with(one, values) for one in part]
    return part


@functools.lru_cache(maxsize=64)
def _compiled(spec: str, datasets: tuple[str, ...]) -> tuple[dict[str, Any], frozenset[str]]:
    """Compile a specification without its data and values of its own: figures that differ in these are compiled once.

    Returns
    -------
    The Vega specification, and the fields whose values are written into the drawing as they are.
    """
    empty = {**json.loads(spec), "datasets": {name: [] for name in datasets}}
    vega: dict[str, Any] = vl_convert.vegalite_to_vega(empty)
    written = [mark["encode"]["update"]["text"].get("signal", "") for mark in vega["marks"] if mark["type"] == "text"]
    if any(_LETTERS.search(_FIELD.sub("", one)) for one in written):
        raise ValueError(f"expected texts that are written as they stand in the data, found: {'; '.join(written)}")
    return vega, frozenset(name for one in written for name in _FIELD.findall(one))


_FIELD = re.compile(r"""datum(?:\.|\[["'])(\w+)(?:["']\])?""")
_LETTERS = re.compile(r"""(["'])[^"']*[A-Za-z][^"']*\1""")
_WRITTEN = re.compile(r'<g class="mark-text role-mark.*?</g>')
_STAND_IN = re.compile(r"(?<=[> ])[A-Za-z]+(?=(?: [A-Za-z]+)?</text>)")


class _StandIns:
    """A letter or two in place of each text that is drawn.

    The converter looks every letter up in a font file, several times, to learn how wide a text is. That takes most of
    the time of a drawing, and our figures have their places from numbers alone.
    """

    def __init__(self) -> None:
        self._letters: dict[str, str] = {}

    def row(self, row: dict[str, Any], fields: frozenset[str]) -> dict[str, Any]:
        """Return a row of data with stand-ins in these fields."""
        return {key: self._for(value) if key in fields else value for key, value in row.items()}

    def _for(self, value: Any) -> Any:
        if not isinstance(value, str) or not value.strip():
            return value
        if value not in self._letters:
            more, last = divmod(len(self._letters), len(ascii_letters))
            self._letters[value] = ascii_letters[more - 1 : more] + ascii_letters[last]
        return self._letters[value]

    def replaced(self, svg: str) -> str:
        """Return a drawing with the texts themselves."""
        texts = {letters: html.escape(text, quote=False) for text, letters in self._letters.items()}
        return _WRITTEN.sub(lambda marks: _STAND_IN.sub(lambda one: texts[one[0]], marks[0]), svg)


_IN_FILES = re.compile(r"<\?xml[^>]*\?>|<!DOCTYPE[^>]*>")
_UNSEEN = re.compile(r'<path class="(?:foreground|background)"[^>]*/>')
_TAG = re.compile(r"<[^>]*>")
# Vega adds roles of its own to groups, while the figure around them speaks for all of it; the others are defaults.
_NEEDLESS = re.compile(
    r' (?:role|aria-[a-z]+|xmlns:xlink)="[^"]*"'
    r'| (?:pointer-events="none"|opacity="1"|font-family="sans-serif"|text-anchor="start"|stroke-miterlimit="10")'
    r'| stroke-dasharray=""'
)
_MARKS = re.compile(
    r'<g class="mark-\w+ role-(?:mark )?([\w-]+?)(?:_marks)?">((?:<(?:line|path|rect|text)\b[^<]*(?:</text>)?)+)</g>'
)
_INHERITED = re.compile(
    r' (?:fill|fill-opacity|font-(?:size|weight)|stroke|stroke-(?:dasharray|linecap|opacity|width)|text-anchor)="[^"]*"'
)
_DOT = re.compile(r'<path( transform="[^"]*")? d="M([\d.]+),0A\2,\2,0,1,1,-\2,0A\2,\2,0,1,1,\2,0"')
_LONG = re.compile(r"-?\d+\.\d{3,}")


def _tidy(svg: str, *, prefix: str) -> str:
    def tidied(tag: re.Match[str]) -> str:
        text = _LONG.sub(_rounded, _NEEDLESS.sub("", tag[0]))
        text = re.sub(r' id="([^"]+)"', rf' id="{prefix}-\1"', text)
        return re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}-\1)", text)

    svg = _TAG.sub(tidied, _UNSEEN.sub("", _IN_FILES.sub("", svg)))
    svg = _DOT.sub(r'<circle\1 r="\2"', _MARKS.sub(_gathered, svg))
    return svg.replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1)


def _gathered(group: re.Match[str]) -> str:
    """Write once, on the group, what all its marks have."""
    tags = re.findall(r"<[a-z][^>]*>", group[2])
    common = set.intersection(*(set(_INHERITED.findall(tag)) for tag in tags))
    marks = _TAG.sub(lambda tag: _INHERITED.sub(lambda one: "" if one[0] in common else one[0], tag[0]), group[2])
    return f'<g class="{group[1]}"{"".join(sorted(common))}>{marks}</g>'


def _rounded(match: re.Match[str]) -> str:
    text = f"{float(match[0]):.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


@functools.cache
def bundle() -> str:
    """Return Vega, Vega-Lite and Vega-Embed as one script that needs no other; making it takes a few seconds.

    It sets ``window.cgVega`` to what Vega-Embed exports, and nothing else.
    """
    code = vl_convert.javascript_bundle(_SNIPPET)
    about = (
        f"Vega {vl_convert.get_vega_version()}, Vega-Lite {vl_convert.get_vegalite_versions()[-1]} and Vega-Embed "
        f"{vl_convert.get_vega_embed_version()} (BSD-3-Clause), and what they are made of, as bundled by {_CONVERTER}. "
        "Licences: vendor/vega/LICENCES.txt"
    )
    return f'/*! {about} */\n(function () {{\n"use strict";\n{code}\n}})();\n'
