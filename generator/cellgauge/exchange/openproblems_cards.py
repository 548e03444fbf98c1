"""Cards of what Open Problems publishes, made from its own descriptions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

SOURCE = "Open Problems in Single-Cell Analysis"
SITE = "https://openproblems.bio"
_LONGEST, _MOST_TEXT = 280, 20_000

Card = tuple[dict[str, Any], str]
"""Front matter and text."""


@dataclass
class Info:
    """One dataset, method or metric as the source describes it."""

    id: str
    name: str
    summary: str
    body: str
    values: dict[str, Any] = field(default_factory=dict)


def task_card(about: Info, metrics: Sequence[str], controls: Sequence[str]) -> Card:
    """Return the card of a task.

    Parameters
    ----------
    metrics
        Ids of its metrics here, in the source's order.
    controls
        Ids of its controls here.
    """
    first, *others = metrics
    repository = _url(about.values.get("repo")) or _url(about.values.get("repository")) or SITE
    return {
        "name": about.name,
        "summary": _cut(f"{about.summary} Reported by Open Problems."),
        "reported": "The protocol of Open Problems.",
        "question": about.summary,
        "procedure": [
            "What is computed, and how, is described by the source: see below, and its repository.",
            "The source names no primary metric and no baseline; its control methods are shown apart.",
        ],
        "input": "unknown",
        "requires": [],
        "protocol": {"version": 1, "seeds": [], "replicates": 0, "level": None},
        "unit": "unknown",
        "primary": {"metric": first},
        "complementary": [{"metric": one} for one in others],
        "baseline": None,
        "controls": list(controls),
        "references": [{"text": f"Open Problems, repository of the task {about.name}"[:_LONGEST], "url": repository}],
    }, about.body


def metric_card(one: Info, is_legacy: bool) -> Card:
    """Return the card of a metric, which lies in one of two layouts."""
    where = _url(one.values.get("implementation_url" if is_legacy else "link_implementation")) or SITE
    return {
        "name": one.name,
        "short_name": one.name,
        "summary": one.summary,
        "version": 1,
        "family": "other",
        "reported": "Defined and computed by Open Problems.",
        "formula": None,
        "range": {"min": None, "max": None},
        "direction": "higher" if one.values["maximize"] else "lower",
        "controls": {"best": [], "worst": []},
        "implementation": _cut(f"The source's component {one.values.get('component_name') or one.id}"),
        "misleads": None,
        "sources": [{"text": "Open Problems, source code of the metric", "url": where}, *_dois(one.values)],
    }, one.body


def model_card(info: Info, params: str | None, is_control: bool, names: set[str]) -> Card:
    """Return the card of a method with a set of parameters, and add its name to those that are taken."""
    code = _url(info.values.get("code_url")) or _url(info.values.get("link_code"))
    run = _url(info.values.get("implementation_url")) or _url(info.values.get("link_implementation"))
    works = _dois(info.values)
    return {
        "name": _unique(name_of(info.name, one_line(params)), names),
        "summary": info.summary,
        "version": 1,
        "role": "control" if is_control else "model",
        "obtain": {"kind": "reported", "note": _cut(f"Run by Open Problems: {run or 'the source names no code'}")},
        "output": "unknown",
        "fit": "unknown",
        "pretrained": None,
        "seeded": None,
        "input": {"values": []},
        **({"paper": works[0]} if works else {}),
        **({"code": code} if code else {}),
    }, info.body


def dataset_card(one: Info, names: set[str]) -> Card:
    """Return the card of a dataset, and add its name to those that are taken."""
    urls = one.values.get("source_urls")
    url = _url(one.values.get("data_url")) or (_url(urls[0]) if isinstance(urls, list) and urls else None)
    return {
        "name": _unique(one.name, names),
        "summary": one.summary,
        "version": 1,
        "evidence": "measured",
        "study": slug_of(one.id),
        "organisms": [],
        "modality": "unknown",
        "source": {
            "kind": "reported",
            "note": _cut(f"As Open Problems prepared it from {url or 'a source it does not name'}"),
        },
        "digest_of_content": None,
        "matrix": {"location": "unknown", "values": "unknown", "features": "unknown"},
        "columns": {},
        "citations": [{"text": _cut(f"The data of {one.name}, as the source names them"), "url": url}] if url else [],
        "limits": [
            "That cells were measured, and not simulated, is read from the source's description.",
            "The source says neither how many cells were scored nor which donors they are of.",
        ],
    }, one.body


def name_of(method: str, params: str | None) -> str:
    """Return what a method with a set of parameters is called."""
    return f"{method} ({params})" if params else method


def slug_of(name: str) -> str:
    """Return an id as names of files hold it; empty where nothing of it may stay."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:64].strip("-")


def one_line(text: Any) -> str:
    """Return text of a source as one line that a card may hold, without what no page can show."""
    flat = " ".join(_clean(text).split()) if isinstance(text, str) else ""
    return _cut(f"“{flat}”" if flat.startswith("TODO") else flat)


def as_body(text: Any) -> str:
    """Return a description of a source as the text of a card."""
    clean = _clean(text).strip()[:_MOST_TEXT] if isinstance(text, str) else ""
    return f"The source says:\n\n{clean}" if clean else "The source gives no further description."


def _clean(text: str) -> str:
    """Drop characters that YAML and pages cannot hold: controls, and halves of pairs."""
    kept = "".join(letter for letter in text if letter in "\n\t" or letter.isprintable() or letter.isspace())
    return kept.encode("utf-8", "ignore").decode()


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 2].rstrip()} …"


def _unique(name: str, taken: set[str]) -> str:
    """Return a name that no other card has: names are how people tell cards apart."""
    made, count = name, 2
    while made in taken:
        made, count = f"{name} ({count})", count + 1
    taken.add(made)
    return made


def _url(value: Any) -> str | None:
    return value if isinstance(value, str) and re.fullmatch(r"https?://[^\s<>\"]+", value) else None


def _dois(values: dict[str, Any]) -> list[dict[str, Any]]:
    references = values.get("references")
    given = references.get("doi") if isinstance(references, dict) else values.get("references_doi")
    listed = given if isinstance(given, list) else re.split(r"[\s,;]+", given) if isinstance(given, str) else []
    dois = [one for one in listed if isinstance(one, str) and re.fullmatch(r"10\.\d{4,9}/\S+", one)]
    return [{"text": "A work that the source names", "doi": one} for one in dois]
