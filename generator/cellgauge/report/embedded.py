"""What a page holds of a figure besides its drawing, for the script that makes it interactive and downloads it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from cellgauge.report import charts, distribution
from cellgauge.report.axes import FORMS, Drawable, Layout

__all__ = ["charts", "distribution", "for_scripts", "script"]  # the two name their forms when they are imported


def for_scripts(figure: Drawable, layouts: Sequence[Layout]) -> Markup:
    """Return JSON for a ``<template>``: what fills the figure's form in each layout, and its data.

    The data are the table's records, and what follows an underscore is how they look. ``names`` says what the fields
    are called on the page, in their order in downloads.
    """
    specs = {layout: figure.spec(layout) for layout in layouts}
    table = figure.data
    document = {
        "title": figure.title or table.caption,
        "names": {
            name: suffix.replace("_", " ") or column.label
            for column in table.columns
            for name, suffix in zip(column.names, column.fields, strict=True)
        },
        "datasets": specs[layouts[0]].datasets,
        "layouts": {layout: {"form": spec.form, "values": spec.values} for layout, spec in specs.items()},
    }
    return Markup(_safe(document))  # noqa: S704 (no character in it means anything to HTML)


def script(bundle: str) -> str:
    """Return the script that figures load when they come near: Vega, and every form."""
    forms = {name: build() for name, build in FORMS.items() if "mini" not in name}
    return f"{bundle}window.cgVega.forms = {_safe(forms)};\n"


def _safe(document: Any) -> str:
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for mark in "<>&\u2028\u2029":
        text = text.replace(mark, f"\\u{ord(mark):04x}")
    return text
