"""Tables as HTML.

Written here and not in a template: a release of thousands of results has a million cells, and a macro for each of them
takes several times as long.
"""

from __future__ import annotations

import functools
import html
from collections.abc import Callable

from markupsafe import Markup

from cellgauge.report.tables import Badge, Cell, Column, Direction, Row, Strip, Table

To = Callable[[str], str]
"""Returns an address as the page at hand has to write it."""

_text = functools.lru_cache(maxsize=65536)(html.escape)
"""Escapes a text; most come again and again, such as names, and numbers in a column that is sorted by them."""


def table(one: Table, to: To, sortable: bool = True) -> Markup:
    """Return a table, whole and in order before any script.

    Scripts add the controls, for which the place is kept free.
    """
    shown = one.shown
    sorts = sortable and len(one.rows) > 2
    tools = sorts and (len(one.rows) > 8 or len(shown) > 8)
    compares = one.compare and sum(bool(row.model) for row in one.rows) > 1
    id_ = _text(one.id)
    parts = [
        '<div class="cg-tabled">\n',
        '<div class="cg-tools"></div>\n' if tools else "",
        f'<div class="cg-scroll" tabindex="0" role="region" aria-labelledby="{id_}-caption">\n',
        f'<table class="cg-table{" cg-table--sortable" if sorts else ""}" id="{id_}"',
        f' data-compare="{_text(to("compare/"))}"' if compares else "",
        f'>\n<caption id="{id_}-caption">{_text(one.caption)}</caption>\n<thead><tr>\n',
        *(_head(column, one, to) for _, column in shown),
        "</tr></thead>\n",
    ]
    for group, rows in one.bodies:
        parts.append(f'<tbody data-group="{_text(group)}">\n' if group else "<tbody>\n")
        if name := one.groups.get(group):
            spans = f'<th scope="rowgroup" colspan="{len(shown)}"><span>{_text(name)}</span></th>'
            parts.append(f'<tr class="cg-group">{spans}</tr>\n')
        for row in rows:
            parts.append(f'<tr data-model="{_text(row.model)}">' if row.model else "<tr>")
            _cells(parts, row, shown, to, sorts)
            parts.append("</tr>\n")
        parts.append("</tbody>\n")
    parts.append("</table>\n</div>\n</div>\n")
    return Markup("".join(parts))  # noqa: S704 (every text in it was escaped)


def badge(one: Badge) -> Markup:
    """Return a short label."""
    tone = f" cg-badge--{_text(one.tone)}" if one.tone else ""
    return Markup(f'<span class="cg-badge{tone}"{_title(one.hover)}>{_text(one.text)}</span>')  # noqa: S704 (escaped)


def _head(column: Column, one: Table, to: To) -> str:
    kind = ' class="n"' if column.numeric else ""
    choices = " data-choices" if column.choices else ""
    by = one.sorted_by
    order = f' aria-sort="{by[1]}"' if by and column.key == by[0] else ""
    label = _text(column.label)
    if column.href:
        label = f'<a href="{_text(to(column.href))}">{label}</a>'
    label += _arrow(column.direction)
    key = _text(column.key)
    return f'<th scope="col" data-key="{key}"{kind}{choices}{order}{_title(column.hover)}>{label}</th>\n'


def _cells(parts: list[str], row: Row, shown: list[tuple[int, Column]], to: To, sorts: bool) -> None:
    for place, (i, column) in enumerate(shown):
        if place and row.instead:
            parts.append(f'<td class="cg-why" colspan="{len(shown) - 1}">{_text(row.instead)}</td>')
            return
        cell = row.cells[i]
        begin, end = ("<td", "</td>") if place else ('<th scope="row"', "</th>")
        sort = f' data-sort="{_text(str(cell.sorted_as))}"' if sorts and column.numeric and not column.by_text else ""
        if cell.is_plain:
            numeric = ' class="n"' if column.numeric else ""
            parts.append(f"{begin}{numeric}{sort}>{_text(cell.text)}{end}")
        else:
            parts.append(f"{begin}{_classes(cell, column)}{sort}{_title(cell.hover)}>{_content(cell, to)}{end}")


def _classes(cell: Cell, column: Column) -> str:
    names = [
        "n" if column.numeric else "",
        f"t-{cell.tone}" if cell.tone else "",
        f"s-{cell.shade}" if cell.shade else "",
        "is-below" if cell.side == "below" else "",
    ]
    found = " ".join(filter(None, names))
    return f' class="{found}"' if found else ""


def _content(cell: Cell, to: To) -> str:
    text = _text(cell.text)
    said = text if cell.href is None else f'<a href="{_text(to(cell.href))}">{text}</a>'
    said += _arrow(cell.direction)
    if cell.strip:
        unseen = f'{_strip(cell.strip)}<span class="cg-unseen">{text}</span>'
        said = unseen if cell.href is None else unseen + said
    if cell.band:
        said += f" {_band(*cell.band)}"
    if cell.bar is not None:
        bar = f'<rect width="{100 * cell.bar:.1f}" height="10"/>'
        said += f' <svg class="cg-amount" viewBox="0 0 100 10" preserveAspectRatio="none" {_SILENT}>{bar}</svg>'
    for one in cell.badges:
        said += f" {badge(one)}"
    return f"{said}<small>{_text(cell.small)}</small>" if cell.small else said


def _arrow(direction: Direction | None) -> str:
    if direction is None:
        return ""
    better, arrow = f"{direction} is better", "↑" if direction == "higher" else "↓"
    return f' <span class="cg-arrow" title="{better}" aria-label="{better}" role="img">{arrow}</span>'


_SILENT = 'aria-hidden="true" focusable="false"'


def _strip(strip: Strip) -> str:
    """Draw a dot and its interval, 160 units wide; the numbers stand in another cell of the row."""
    bar = ""
    if strip.high >= 0 and strip.low <= 1:
        bar = f'<path class="cg-strip__bar" d="M{_along(max(strip.low, 0))} 8H{_along(min(strip.high, 1))}"/>'
    if strip.beyond:
        mark = f'<path d="{"M10 3V13L3 8Z" if strip.beyond < 0 else "M150 3V13L157 8Z"}"/>'
    else:
        mark = f'<circle cx="{_along(strip.value)}" cy="8" r="3.6"/>'
    zero = f'<path class="cg-strip__zero" d="{"".join(f"M{_along(line)} 0V16" for line in strip.lines)}"/>'
    return f'<svg class="cg-strip" viewBox="0 0 160 16" width="160" height="16" {_SILENT}>{zero}{bar}{mark}</svg>'


def _along(share: float) -> str:
    return f"{4 + 152 * share:.1f}"


def _band(first: int, last: int, of: int) -> str:
    """Draw a range of ranks."""
    bar = f'<path d="M0 4h{10 * of}"/><rect x="{10 * first - 10}" width="{10 * (last - first + 1)}" height="8"/>'
    return f'<svg class="cg-band" viewBox="0 0 {10 * of} 8" preserveAspectRatio="none" {_SILENT}>{bar}</svg>'


def _title(hover: str) -> str:
    return f' title="{_text(hover)}"' if hover else ""
