"""The picture that is shown where somebody shares a link to a release: one for all of its pages."""

from __future__ import annotations

import textwrap

import vl_convert

from cellgauge.report.lists import counts_in_words
from cellgauge.report.numbers import plural
from cellgauge.report.render import Renderer

PATH = "assets/social.png"
"""Below the site's root."""
SIZE = (1200, 630)
"""Pixels, as the sites that show such pictures ask for."""
_LETTERS_OF_TITLE = 42
_LETTERS, _MOST_LINES = 84, 3
"""Of one finding: what is longer is left out, since half of it may say the opposite."""
_LINE, _GAP = 33, 17
"""Pixels from line to line, and between findings."""
_TOP, _BOTTOM = 316, 524
"""Where findings begin below a title of one line, and where they end."""


def social_card(renderer: Renderer, title: str) -> bytes:
    """Return a PNG that says what is measured, what was found first, and on how much.

    Parameters
    ----------
    title
        Of the home page.
    """
    view, meta = renderer.view, renderer.view.meta
    head = textwrap.wrap(textwrap.shorten(title, 2 * _LETTERS_OF_TITLE, placeholder=" …"), _LETTERS_OF_TITLE)[:2]
    kind = "" if meta is None else ", rehearsal" if meta.rehearsal else ", reported" if meta.kind == "reported" else ""
    day = f", {view.data_date}" if view.data_date else ""
    counts = counts_in_words(view)
    svg = renderer.fragment(
        "social.svg",
        "",
        release=f"release {view.name}{kind}{day}" if view.name else "no release yet",
        title=head,
        findings=_placed(_findings(renderer), _TOP if len(head) < 2 else _TOP + 30),
        counts=f"{plural(len(view.done), 'result')} of {counts['models']} · {counts['datasets']} · {counts['tasks']}",
    )
    return bytes(vl_convert.svg_to_png(svg, scale=1))


def _findings(renderer: Renderer) -> list[list[str]]:
    """Return the verdicts of tasks as lines, whole ones alone: of measured data first, and short ones first."""
    found = []
    for one in renderer.comparisons.values():
        verdict = one.verdict()
        lines = textwrap.wrap(verdict.sentence, _LETTERS)
        if verdict.basis and len(lines) <= _MOST_LINES:
            found.append((not any(each.judged for each in one.measured), len(lines), lines))
    return [lines for *_, lines in sorted(found, key=lambda each: each[:2])]


def _placed(findings: list[list[str]], top: int) -> list[tuple[int, list[str]]]:
    """Return the findings that there is room for, each with the place of its first line."""
    placed = []
    for lines in findings:
        if top + _LINE * (len(lines) - 1) <= _BOTTOM:
            placed.append((top, lines))
            top += _LINE * len(lines) + _GAP
    return placed
