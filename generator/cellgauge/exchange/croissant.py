"""A release described in Croissant, the format by which machine-learning libraries load datasets."""

from __future__ import annotations

import hashlib
import json
import re
from importlib import import_module
from pathlib import Path
from typing import Any

from cellgauge.cards.problems import UserError
from cellgauge.report.cite import AUTHORS, Cited
from cellgauge.results.store import write_atomically
from cellgauge.results.table import COLUMNS, Row, table_csv

LICENCE = "https://spdx.org/licenses/MIT"
_ABOUT = (
    "Scores of single-cell models on one release of cellgauge: a row for each score with its interval, and a row for "
    "each attempt without scores. It holds no expression values."
)

_REPORTED = "Reported results: measured by {}, not by cellgauge, and never ranked."


def licence_of(cited: Cited) -> str | None:
    """Return the licence of a release's scores: ours, or that of the source of reported ones; None: not known."""
    if cited.reported_by is None:
        return LICENCE
    is_short = cited.licence is not None and re.fullmatch(r"[A-Za-z0-9.+-]+", cited.licence)
    return f"https://spdx.org/licenses/{cited.licence}" if is_short else cited.licence


def export_croissant(rows: list[Row], cited: Cited, out: Path) -> Path:
    """Write ``<release>.csv`` and ``<release>.croissant.json``, which describes it, into ``out``.

    Parameters
    ----------
    rows
        Of the release's long table.

    Returns
    -------
    The description.

    Raises
    ------
    UserError
        When mlcroissant is not installed, or does not find the description valid.
    """
    mlc = _library()
    data, name = table_csv(rows), f"{cited.release}.csv"
    metadata = _described(mlc, cited, name, data)
    path = out / f"{cited.release}.croissant.json"
    write_atomically(out / name, data)
    write_atomically(path, (json.dumps(metadata, indent=2, ensure_ascii=False) + "\n").encode())
    try:
        mlc.Dataset(jsonld=str(path))
    except mlc.ValidationError as error:
        raise UserError(f"{path}: is not valid Croissant: {error}") from None
    return path


def _described(mlc: Any, cited: Cited, name: str, data: bytes) -> dict[str, Any]:
    types = {"string": mlc.DataType.TEXT, "int64": mlc.DataType.INTEGER, "float64": mlc.DataType.FLOAT}
    fields = [
        mlc.Field(
            id=f"scores/{column}",
            name=column,
            description=one.description,
            data_types=types[one.type],
            source=mlc.Source(file_object=name, extract=mlc.Extract(column=column)),
        )
        for column, one in COLUMNS.items()
    ]
    table = mlc.FileObject(
        id=name,
        name=name,
        description="All scores, as CSV with a header",
        content_url=name,
        content_size=f"{len(data)} B",
        encoding_formats=["text/csv"],
        sha256=hashlib.sha256(data).hexdigest(),
    )
    metadata = mlc.Metadata(
        name=f"cellgauge-{cited.release}",
        description=_ABOUT if cited.reported_by is None else f"{_REPORTED.format(cited.reported_by)} {_ABOUT}",
        url=cited.address,
        license=[licence] if (licence := licence_of(cited)) else None,
        cite_as=cited.bibtex,
        creators=[mlc.Organization(name=AUTHORS, url=cited.address)],
        date_published=cited.day.isoformat(),
        version=cited.release,
        distribution=[table],
        record_sets=[mlc.RecordSet(id="scores", name="scores", fields=fields)],
    )
    found: dict[str, Any] = metadata.to_json()
    return found


def _library() -> Any:
    try:
        return import_module("mlcroissant")
    except ModuleNotFoundError:
        raise UserError("Croissant needs mlcroissant: pip install 'cellgauge[export]'") from None
