"""How a release, or one of its pages, is cited: as text, as BibTeX and as CSL-JSON."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import yaml
from markupsafe import escape

from cellgauge.cards import Card
from cellgauge.cards.canonical import digest
from cellgauge.report.numbers import short_digest
from cellgauge.results.schema import Result

AUTHORS = "The cellgauge authors"
_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{mark: f"\\{mark}" for mark in "&%$#_"},
}


@dataclass(frozen=True)
class Cited:
    """What is cited."""

    release: str
    day: dt.date
    """On which the release was frozen; before that, on which its newest result was finished."""
    address: str
    """Where its page stands for good."""
    title: str = ""
    """What the page is about; empty for the release as a whole."""
    digest: str | None = None
    """Of what it shows; None where nothing is frozen that could be checked."""
    digest_of: str = "Content"
    doi: str | None = None
    latest: str | None = None
    """The address that leads to the same page of the newest release; None for a site of one release by itself."""
    previous: str | None = None
    """The address of the same page of the release before; None where that has no such page."""
    reported_by: str | None = None
    """Who measured it, where others did: they are to be cited first."""
    licence: str | None = None
    """Of what others measured, as they name it; None where they do not, or where it was measured here."""

    @property
    def name(self) -> str:
        """Its title, as a work's."""
        return self.title or f"cellgauge, release {self.release}"

    @property
    def key(self) -> str:
        """Its name in a list of references."""
        if not self.title:
            return f"cellgauge-{self.release}"
        return f"cellgauge-{self.release}-{short_digest(self.digest or digest(self.address))}"

    @property
    def text(self) -> str:
        """The reference as a sentence."""
        parts = [AUTHORS, self.title, f"cellgauge, release {self.release}, {self.day:%Y}"]
        parts += [f"Reported results, measured by {self.reported_by}"] if self.reported_by else []
        parts += [f"{self.digest_of} {self.digest}"] if self.digest else []
        parts += [f"https://doi.org/{self.doi}"] if self.doi else []
        return f"{'. '.join(filter(None, parts))}. {self.address}"

    @property
    def bibtex(self) -> str:
        """The reference as BibTeX."""
        fields = {
            "author": f"{{{AUTHORS}}}",
            "title": f"{{{_escaped(self.name)}}}",
            "year": f"{self.day:%Y}",
            "month": f"{self.day.month}",
            "howpublished": f"cellgauge, release {_escaped(self.release)}",
            "note": self._note(_escaped) or None,
            "doi": _escaped(self.doi) if self.doi else None,
            "url": self.address.replace("{", "%7B").replace("}", "%7D"),
        }
        lines = ",\n".join(f"  {name} = {{{value}}}" for name, value in fields.items() if value is not None)
        return f"@misc{{{self.key},\n{lines}\n}}"

    @property
    def csl(self) -> str:
        """The reference as CSL-JSON: a list of one item."""
        item: dict[str, Any] = {
            "id": self.key,
            "type": "dataset",
            "title": self.name,
            "author": [{"literal": AUTHORS}],
            "issued": {"date-parts": [[self.day.year, self.day.month, self.day.day]]},
            "publisher": "cellgauge",
            "version": self.release,
            "URL": self.address,
        }
        item |= {"note": note} if (note := self._note(str)) else {}
        item |= {"DOI": self.doi} if self.doi else {}
        return json.dumps([item], indent=2, ensure_ascii=False)

    def _note(self, write: Callable[[str], str]) -> str:
        said = [f"Reported results, measured by {write(self.reported_by)}"] if self.reported_by else []
        return ". ".join([*said, *([f"{self.digest_of} {write(self.digest)}"] if self.digest else [])])

    @property
    def cff(self) -> bytes:
        """The reference as a ``CITATION.cff`` file, in version 1.2.0 of that format."""
        values = {
            "cff-version": "1.2.0",
            "message": "If you use these results, please cite them as below, and the works that each page names.",
            "title": self.name,
            "type": "dataset",
            "authors": [{"name": AUTHORS}],
            "version": self.release,
            "date-released": self.day,
            "url": self.address,
            **({"doi": self.doi} if self.doi else {}),
        }
        return yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=1000).encode()

    def scholar(self) -> str:
        """Return the tags by which reference managers and scholarly search engines know a report."""
        tags = {
            "citation_title": self.name,
            "citation_author": AUTHORS,
            "citation_publication_date": f"{self.day:%Y/%m/%d}",
            "citation_doi": self.doi,
            "citation_public_url": self.address,
        }
        return "".join(f'<meta name="{name}" content="{escape(value)}">' for name, value in tags.items() if value)

    def head(self, description: str, files: Iterable[str] = ()) -> str:
        """Return what search engines and reference managers read in the head of the page.

        Parameters
        ----------
        files
            Whole addresses of what can be downloaded from it.
        """
        about: dict[str, Any] = {
            "@context": "https://schema.org",
            "@type": "Dataset",
            "name": self.name,
            "description": description,
            "url": self.address,
            "version": self.release,
            "datePublished": self.day.isoformat(),
            "creator": {"@type": "Organization", "name": AUTHORS},
        }
        about |= {"isBasedOn": self.reported_by} if self.reported_by else {}
        identifiers = [self.digest, f"https://doi.org/{self.doi}" if self.doi else None]
        about |= {"identifier": [one for one in identifiers if one]} if any(identifiers) else {}
        kinds = {"csv": "text/csv", "json": "application/json"}
        about |= {
            "distribution": [
                {"@type": "DataDownload", "contentUrl": file, "encodingFormat": kinds[file.rpartition(".")[2]]}
                for file in files
            ]
        }
        # Nothing in it may end the element that it stands in.
        said = json.dumps(about, ensure_ascii=False).replace("<", "\\u003c").replace("&", "\\u0026")
        return f'<script type="application/ld+json">{said}</script>'


def content_digest(card: Card, results: Iterable[Result]) -> str:
    """Return the digest of what the page of a card shows: the card's fields that decide a score, and its results."""
    return digest([card.digest, sorted(result.result_id for result in results)])


def _escaped(text: str) -> str:
    return "".join(_SPECIAL.get(letter, letter) for letter in text)
