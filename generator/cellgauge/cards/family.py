"""A family of datasets: cards that differ in a few words, written once.

A dataset card with ``family`` and ``members`` in its front matter stands for one card per member. In its text,
``{key}`` becomes what the member says for ``key``; ``set`` gives a member whole fields of its own::

    name: "Atlas: {tissue}"
    source: {kind: file, url: "s3://bucket/{file}.h5ad"}
    family: {name: Atlas, summary: All tissues of the atlas.}
    members:
      - {id: lung, tissue: Lung, file: Lung_v2}
      - {id: skin, tissue: Skin, file: Skin_v2, set: {licence: CC BY 4.0}}

in ``atlas.md`` gives the datasets ``atlas-lung`` and ``atlas-skin``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, Field

from cellgauge.cards.base import FROM_FILE, Citation, Id, Keys, Lines, Part, Sentence, dotted, nearest_line
from cellgauge.cards.dataset import DatasetCard
from cellgauge.cards.problems import CardProblems, Problem, did_you_mean
from cellgauge.cards.read import Front, as_card, check, read_front

_WORD = r"[a-z][a-z0-9_]*"
_PLACE = re.compile(rf"\{{({_WORD})\}}")


class FamilyFacts(Part):
    """What the front matter says of a family as a whole."""

    name: Sentence
    summary: Sentence


class _Member(Part):
    """One member: its id, its words for the text, and fields of its own."""

    model_config = ConfigDict(extra="allow")

    id: Id
    own: dict[str, Any] = Field(default={}, alias="set")


class _Header(Part):
    family: FamilyFacts
    members: list[_Member] = Field(min_length=1)


@dataclass(frozen=True)
class Family:
    """A family and its members' cards."""

    id: str
    name: str
    summary: str
    body: str
    path: str
    members: tuple[DatasetCard, ...]

    @property
    def citations(self) -> list[Citation]:
        """What its members cite, each work once."""
        return list({one.text: one for card in self.members for one in card.citations}.values())


def read_datasets(path: Path, *, shown_as: str | None = None) -> tuple[list[DatasetCard], Family | None]:
    """Read a file of ``site_src/datasets``: one card, or a family of them.

    Raises
    ------
    CardProblems
        With every problem found. One that all members have is said once.
    """
    front = read_front(path, shown_as or str(path))
    if not {"family", "members"} & set(front.values):
        return [as_card(DatasetCard, front)], None
    header: dict[str, Any] = {key: front.values[key] for key in ("family", "members") if key in front.values}
    facts = check(_Header, header, front.lines, front.shown)
    problems = _faults_of(facts.members, front)
    if problems:
        raise CardProblems(problems)
    cards = []
    for position, member in enumerate(facts.members):
        try:
            cards.append(as_card(DatasetCard, _front_of(member, position, front), family=front.id))
        except CardProblems as error:
            problems += error.problems
    if problems:
        raise CardProblems(set(problems))
    words = facts.family
    body = _shared(front.body, _known(facts.members))
    return cards, Family(front.id, words.name, words.summary, body, front.shown, tuple(cards))


def _front_of(member: _Member, position: int, front: Front) -> Front:
    """Return the front matter of one member as if it had been written out."""
    words = {**_words(member), "id": member.id}
    shared = {key: value for key, value in front.values.items() if key not in ("family", "members")}
    lines: Lines = {keys: line for keys, line in front.lines.items() if keys[:1] not in (("family",), ("members",))}
    here: Keys = ("members", position)
    lines["id",] = nearest_line((*here, "id"), front.lines)
    for key in member.own:
        inside = (*here, "set", key)
        lines = {keys: line for keys, line in lines.items() if keys[:1] != (key,)}
        lines |= {keys[3:]: line for keys, line in front.lines.items() if keys[:4] == inside}
    return Front(
        id=f"{front.id}-{member.id}",
        values=_filled({**shared, **member.own}, words),
        lines=lines,
        body=_filled(front.body, words),
        shown=front.shown,
    )


def _filled(value: Any, words: dict[str, str]) -> Any:
    """Replace ``{key}`` in every text of a value; braces around anything else stay."""
    if isinstance(value, str):
        return _PLACE.sub(lambda match: words.get(match[1], match[0]), value)
    if isinstance(value, dict):
        return {key: _filled(one, words) for key, one in value.items()}
    if isinstance(value, list):
        return [_filled(one, words) for one in value]
    return value


def _words(member: _Member) -> dict[str, Any]:
    return dict(member.__pydantic_extra__ or {})


def _known(members: list[_Member]) -> list[str]:
    return sorted({"id", *(word for member in members for word in _words(member))})


def _faults_of(members: list[_Member], front: Front) -> list[Problem]:
    """Return what is wrong with members' ids, words and fields of their own, and with the words in the text."""
    problems = []

    def problem(keys: Keys, key: str, message: str) -> None:
        problems.append(Problem(front.shown, nearest_line(keys, front.lines), key, message))

    known = _known(members)
    seen: dict[str, int] = {}
    for position, member in enumerate(members):
        here = f"members[{position}]"
        keys: Keys = ("members", position)
        if member.id in seen:
            problem((*keys, "id"), f"{here}.id", f'"{member.id}" is also the id of members[{seen[member.id]}]')
        seen.setdefault(member.id, position)
        words = _words(member)
        for word in known:
            if word != "id" and word not in words:
                problem(keys, here, f'says nothing for "{word}", which other members do')
        for word, value in words.items():
            if not re.fullmatch(_WORD, word):
                problem((*keys, word), f"{here}.{word}", "expected a word of lower-case letters, digits and _")
            elif not isinstance(value, str):
                problem((*keys, word), f"{here}.{word}", "expected text; put it between quotes")
        for key in member.own:
            if key in (*FROM_FILE, "family", "members"):
                problem((*keys, "set", key), f"{here}.set.{key}", "cannot be set for one member")
    for keys, place in _places(front.values):
        if keys[0] == "family" or (keys[0] == "members" and keys[2] != "set"):
            problem(keys, dotted(keys), f'"{{{place}}}" is not filled in here, only in what becomes a member\'s card')
        elif place not in known:
            problem(keys, dotted(keys), f'"{{{place}}}" is no word of the members{did_you_mean(place, known)}')
    return problems


def _places(value: Any, keys: Keys = ()) -> Iterator[tuple[Keys, str]]:
    """Yield every ``{word}`` in the texts of a value, and where it stands."""
    if isinstance(value, str):
        yield from ((keys, place) for place in dict.fromkeys(_PLACE.findall(value)))
    elif isinstance(value, dict | list):
        for key, one in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _places(one, (*keys, key))


def _shared(body: str, known: list[str]) -> str:
    """Return the paragraphs of a body that are the same for every member."""
    parts = body.split("\n\n")
    return "\n\n".join(part for part in parts if not set(known) & set(_PLACE.findall(part)))
