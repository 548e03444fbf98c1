"""What a page holds of a figure besides its drawing, for the script that makes it interactive and downloads it."""

from __future__ import annotations

from collections.abc import Mapping

from markupsafe import Markup

from cellgauge.report import charts, distribution
from cellgauge.report.axes import FORMS, Drawable, Layout, Spec, compact_json

__all__ = ["charts", "distribution", "for_scripts", "script"]  # the two name their forms when they are imported


def for_scripts(figure: Drawable, specs: Mapping[Layout, Spec]) -> Markup:
    """Return JSON for a ``<template>``: what fills the figure's form in each layout, and its data.

    The data are the table's records, and what follows an underscore is how they look. ``names`` says what the fields
    are called on the page, in their order in downloads.
    """
    table = figure.data
    names = {
        name: suffix.replace("_", " ") or column.label
        for column in table.columns
        for name, suffix in zip(column.names, column.fields, strict=True)
    }
    layouts = ",".join(
        f'"{layout}":{{"form":{compact_json(spec.form)},"values":{spec.values_json}}}' for layout, spec in specs.items()
    )
    text = (
        f'{{"title":{compact_json(figure.title or table.caption)},"names":{compact_json(names)},'
        f'"datasets":{next(iter(specs.values())).datasets_json},"layouts":{{{layouts}}}}}'
    )
    return Markup(_safe(text))  # noqa: S704 (no character in it means anything to HTML)


def script(bundle: str) -> str:
    """Return the script that figures load when they come near: Vega, and every form."""
    forms = {name: build() for name, build in FORMS.items() if "mini" not in name}
    return f"{bundle}window.cgVega.forms = {_safe(compact_json(forms))};\n"


def _safe(text: str) -> str:
    for mark in "<>&\u2028\u2029":
        text = text.replace(mark, f"\\u{ord(mark):04x}")
    return text
