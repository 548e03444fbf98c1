"""The picture that is shown where somebody shares a link to a release: one for all of its pages."""

from __future__ import annotations

import textwrap

import vl_convert

from cellgauge.report.axes import shorten
from cellgauge.report.lists import counts_in_words
from cellgauge.report.numbers import plural
from cellgauge.report.render import Renderer

PATH = "assets/social.png"
"""Below the site's root."""
SIZE = (1200, 630)
"""Pixels, as the sites that show such pictures ask for."""
_LETTERS_OF_TITLE = 42
_LETTERS = 78
_MOST_FINDINGS = 4


def social_card(renderer: Renderer, title: str) -> bytes:
    """Return a PNG that says what is measured, what was found first, and on how much.

    Parameters
    ----------
    title
        Of the home page.
    """
    view = renderer.view
    verdicts = [one.verdict() for one in renderer.comparisons.values()]
    found = [one.sentence.partition(";")[0].rstrip(".") for one in verdicts if one.basis]
    found.sort(key=lambda sentence: len(sentence) > _LETTERS)  # those that need not be cut come first
    meta = view.meta
    kind = "" if meta is None else ", rehearsal" if meta.rehearsal else ", reported" if meta.kind == "reported" else ""
    counts = counts_in_words(view)
    svg = renderer.fragment(
        "social.svg",
        "",
        release=f"release {view.name}{kind}" if view.name else "no release yet",
        title=textwrap.wrap(shorten(title, 2 * _LETTERS_OF_TITLE), _LETTERS_OF_TITLE)[:2],
        findings=[shorten(sentence, _LETTERS) for sentence in found[:_MOST_FINDINGS]],
        counts=f"{plural(len(view.done), 'result')} of {counts['models']} · {counts['datasets']} · {counts['tasks']}",
    )
    return bytes(vl_convert.svg_to_png(svg, scale=1))
