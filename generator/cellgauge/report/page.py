"""What is drawn of a page."""

from __future__ import annotations

from dataclasses import dataclass, field

CARD_BOOST = 4.0
"""By how much the pages of cards come before others in a search."""


@dataclass(frozen=True)
class Page:
    """One page, before the frame is put around it."""

    path: str
    """Its address below the site's root, ending with a slash; empty for the home page."""
    title: str
    description: str
    fragment: str
    """HTML, safe to include in a template."""
    search: str = ""
    """Text by which the page is found; its description is found anyway."""
    boost: float = 1.0
    searchable: bool = True
    """False for a page that lists lead to and that would crowd others out of a search."""
    head: str = ""
    """HTML for the head of the page, safe as it is: what it is about, for search engines and reference managers."""
    source: str = ""
    """The file of the card it is made from, which errors name."""
    files: dict[str, bytes] = field(default_factory=dict)
    """Files beside it, by their address below the site's root."""
    links: frozenset[str] = frozenset()
    """What its fragment links to, by the address below the site's root."""
