"""How a result is cited, or a whole release: as text and as BibTeX."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from cellgauge.report.numbers import short_digest
from cellgauge.results.schema import Result

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{mark: f"\\{mark}" for mark in "&%$#_"},
}


@dataclass(frozen=True)
class Citation:
    """A reference in the forms that people paste."""

    text: str
    bibtex: str


def cite_result(result: Result, title: str, address: str) -> Citation:
    """Return how a result is cited.

    Parameters
    ----------
    title
        What was evaluated: model, dataset and task in words.
    address
        Where its page will stand.
    """
    day = result.finished_at.date()
    text = f"The cellgauge authors. {title}. cellgauge, release {result.release}, {day:%Y}. Result {result.result_id}. "
    fields = {
        "author": "{The cellgauge authors}",
        "title": _escaped(title),
        "year": f"{day:%Y}",
        "howpublished": f"cellgauge, release {_escaped(result.release)}",
        "note": f"Result {_escaped(result.result_id)}",
        "url": _address(address),
    }
    return Citation(text + address, _bibtex(f"cellgauge-{result.release}-{short_digest(result.result_id)}", fields))


def cite_release(release: str, day: dt.date, address: str) -> Citation:
    """Return how a whole release is cited.

    Parameters
    ----------
    day
        On which its newest result was finished.
    address
        Where its home page will stand.
    """
    text = f"The cellgauge authors. cellgauge, release {release}, {day:%Y}. "
    fields = {
        "author": "{The cellgauge authors}",
        "title": f"cellgauge, release {_escaped(release)}",
        "year": f"{day:%Y}",
        "url": _address(address),
    }
    return Citation(text + address, _bibtex(f"cellgauge-{release}", fields))


def _bibtex(key: str, fields: dict[str, str]) -> str:
    lines = ",\n".join(f"  {name} = {{{value}}}" for name, value in fields.items())
    return f"@misc{{{key},\n{lines}\n}}"


def _address(address: str) -> str:
    return address.replace("{", "%7B").replace("}", "%7D")


def _escaped(text: str) -> str:
    return "".join(_SPECIAL.get(letter, letter) for letter in text)
