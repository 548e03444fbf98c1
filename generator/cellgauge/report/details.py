"""What a task reports beside its scores, made readable whatever its form."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pydantic import JsonValue

from cellgauge.report.confusion import confusion_table
from cellgauge.report.numbers import number
from cellgauge.report.tables import Cell, Column, Row, Table

_MANY = 24
_SHORT = {"auroc": "AUROC"}


@dataclass(frozen=True)
class Details:
    """Facts of one line each, and small tables for the rest."""

    facts: tuple[tuple[str, str], ...]
    tables: tuple[Table, ...]


def read_details(
    details: Mapping[str, JsonValue], seeds: Sequence[int], views: Mapping[str, str] | None = None
) -> Details:
    """Sort a result's details into facts and tables; a list with one entry a seed becomes columns.

    Parameters
    ----------
    views
        Id → name of the task's views, for details that end with the id of one.
    """
    facts: list[tuple[str, str]] = []
    tables: list[Table] = []
    for key, value in details.items():
        table = confusion_table(details, key, f"details-{_slug(key)}", _label(key)) or _table(key, value)
        if isinstance(value, list) and len(value) == len(seeds) and all(isinstance(inner, dict) for inner in value):
            tables += _by_seed(key, [inner for inner in value if isinstance(inner, dict)], seeds)
        elif table is not None:
            tables.append(table)
        else:
            facts.append((_label(key) if _is_alone(key, details) else f"Number of {_label(key).lower()}", _text(value)))
    return Details(tuple(facts), _with_own_ids([_named_by_view(table, views or {}) for table in tables]))


def _named_by_view(table: Table, views: Mapping[str, str]) -> Table:
    """Write the name of a view in a caption in place of its id."""
    for view, name in views.items():
        head, found, rest = table.caption.partition(f" {view}")
        if found and rest[:1] in ("", ":"):
            return replace(table, caption=f"{head}, {name.lower()}{rest}")
    return table


def _with_own_ids(tables: list[Table]) -> tuple[Table, ...]:
    """Number tables whose names differ only in what an id cannot hold."""
    taken: set[str] = set()
    out = []
    for table in tables:
        id_, place = table.id, 1
        while id_ in taken:
            place += 1
            id_ = f"{table.id}-{place}"
        taken.add(id_)
        out.append(replace(table, id=id_))
    return tuple(out)


def _table(key: str, value: JsonValue) -> Table | None:
    if isinstance(value, dict) and value:
        if all(isinstance(inner, dict) for inner in value.values()):
            records = [{"name": name, **inner} for name, inner in value.items() if isinstance(inner, dict)]
            return _of_records(key, records)
        if len(value) > 1 and not any(isinstance(inner, list | dict) for inner in value.values()):
            return _of_records(key, [{"name": name, "value": inner} for name, inner in value.items()])
    if isinstance(value, list) and value and all(isinstance(inner, dict) for inner in value):
        return _of_records(key, [inner for inner in value if isinstance(inner, dict)])
    return None


def _by_seed(key: str, records: list[dict[str, JsonValue]], seeds: Sequence[int]) -> list[Table]:
    """Return a table of what is one value a seed, and one for each thing that is several."""
    groups: dict[str, dict[str, list[JsonValue]]] = {}
    for place, record in enumerate(records):
        for name, value in record.items():
            parts = value if isinstance(value, dict) else {name: value}
            group = groups.setdefault(name if isinstance(value, dict) else key, {})
            for part, inner in parts.items():
                group.setdefault(part, [None] * len(records))[place] = inner
    single = len(seeds) == 1
    names = ["Value"] if single else [f"seed {seed}" for seed in seeds]
    tables = []
    for title, lines in groups.items():
        columns = (Column("name", "Name"), *(Column(name, name, numeric=True) for name in names))
        rows = (
            Row((Cell(_label(line) if title == key else line), *map(_cell, values))) for line, values in lines.items()
        )
        tables.append(Table(f"details-{_slug(title)}", _label(title), columns, tuple(rows)))
    return tables


def _of_records(key: str, records: list[dict[str, JsonValue]]) -> Table:
    names = list(dict.fromkeys(name for record in records for name in record))
    columns = []
    for name in names:
        values = [record[name] for record in records if record.get(name) is not None]
        columns.append(Column(name, _label(name), numeric=bool(values) and all(_is_number(value) for value in values)))
    rows = tuple(Row(tuple(_cell(record.get(name)) for name in names)) for record in records)
    return Table(f"details-{_slug(key)}", _label(key), tuple(columns), rows)


def _cell(value: JsonValue) -> Cell:
    raw = value if isinstance(value, str | int | float | bool) or value is None else json.dumps(value)
    return Cell(_text(value), (raw,))


def _text(value: JsonValue) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return number(value, 0)
    if isinstance(value, float):
        return number(value)
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        shown = ", ".join(_text(inner) for inner in value[:_MANY])
        more = f" … ({len(value)} in all)" if len(value) > _MANY else ""
        return (shown + more) or "none"
    return ", ".join(f"{name}: {_text(inner)}" for name, inner in value.items()) or "none"


def _is_number(value: JsonValue) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_alone(key: str, details: Mapping[str, JsonValue]) -> bool:
    """Whether no other key would be called the same: "folds" beside "n_folds"."""
    return key.removeprefix("n_") == key or key.removeprefix("n_") not in details


def _label(key: str) -> str:
    words = key.removeprefix("n_").replace("_", " ").strip() or key
    return _SHORT.get(words) or words[:1].upper() + words[1:]


def _slug(key: str) -> str:
    return "".join(letter if letter.isalnum() and letter.isascii() else "-" for letter in key.lower())
