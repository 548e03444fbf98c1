"""How one result is cited: the release, the result and its digest, as text and as BibTeX."""

from __future__ import annotations

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
        "url": address.replace("{", "%7B").replace("}", "%7D"),
    }
    lines = ",\n".join(f"  {name} = {{{value}}}" for name, value in fields.items())
    key = f"cellgauge-{result.release}-{short_digest(result.result_id)}"
    return Citation(text + address, f"@misc{{{key},\n{lines}\n}}")


def _escaped(text: str) -> str:
    return "".join(_SPECIAL.get(letter, letter) for letter in text)
