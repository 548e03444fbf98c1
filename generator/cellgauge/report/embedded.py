"""What a page holds of a figure besides its drawing, for the script that makes it interactive and downloads it."""

from __future__ import annotations

import json
from collections.abc import Sequence

from markupsafe import Markup

from cellgauge.report.axes import Drawable, Layout


def for_scripts(figure: Drawable, layouts: Sequence[Layout]) -> Markup:
    """Return JSON for a ``<template>``: the specification in each layout, its data, and the table as CSV.

    The data are the table's records, and what follows an underscore is how they look. ``names`` says what the fields
    are called on the page.
    """
    specs = {layout: figure.spec(layout) for layout in layouts}
    table = figure.data
    document = {
        "title": figure.title or table.caption,
        "description": figure.description,
        "names": {
            name: suffix.replace("_", " ") or column.label
            for column in table.columns
            for name, suffix in zip(column.names, column.fields, strict=True)
        },
        "csv": table.to_csv().decode(),
        "datasets": specs[layouts[0]].datasets,
        "layouts": {layout: spec.chart for layout, spec in specs.items()},
    }
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for mark in "<>&":
        text = text.replace(mark, f"\\u{ord(mark):04x}")
    return Markup(text)  # noqa: S704 (no character in it means anything to HTML)
