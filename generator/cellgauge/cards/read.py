"""Reading one card: YAML front matter with line numbers, checked against its schema."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from cellgauge.cards.base import FROM_FILE, ID_PATTERN, Card, Keys, Lines, dotted, nearest_line
from cellgauge.cards.problems import CardProblems, Problem, did_you_mean

CardT = TypeVar("CardT", bound=Card)
ModelT = TypeVar("ModelT", bound=BaseModel)

_TODO = "TODO"
_FENCE = re.compile(r"^---[ \t]*$")


def read_card(path: Path, schema: type[CardT], *, shown_as: str | None = None) -> CardT:
    """Read one card.

    Parameters
    ----------
    path
        The Markdown file. Its stem is the card's id.
    schema
        The kind of card it must be.
    shown_as
        The path to print in problems and to store in the card; default: ``path`` itself.

    Raises
    ------
    CardProblems
        With every problem found: each names file, line, key, what was found and what was expected.
    """
    return as_card(schema, read_front(path, shown_as or str(path)))


@dataclass(frozen=True)
class Front:
    """A card's file, read but not yet checked."""

    id: str
    values: dict[str, Any]
    lines: Lines
    body: str
    shown: str
    """The path to print in problems."""


def read_front(path: Path, shown: str) -> Front:
    """Read a card's front matter and body.

    Raises
    ------
    CardProblems
        When the file cannot be read, is not named like a card, or sets what comes from the file itself.
    """
    if not re.fullmatch(ID_PATTERN, path.stem):
        raise CardProblems(
            [Problem(shown, 1, "", f'file name "{path.stem}" is not an id: expected lower-case words joined by "-"')]
        )
    front, body = _split(read_text(path, shown), shown)
    values, lines = parse_yaml(front, shown, first_line=2)
    problems = [
        Problem(shown, lines.get((key,), 2), key, "is taken from the file itself and cannot be set")
        for key in FROM_FILE
        if key in values
    ]
    if problems:
        raise CardProblems(problems)
    return Front(path.stem, values, lines, body, shown)


def as_card(schema: type[CardT], front: Front, **more: Any) -> CardT:
    """Check a card's front matter against its schema.

    Raises
    ------
    CardProblems
    """
    values = {**front.values, "id": front.id, "body": front.body, "path": front.shown, **more}
    card = check(schema, values, front.lines, front.shown)
    problems = [
        Problem(front.shown, nearest_line(keys, front.lines), dotted(keys), "is still TODO")
        for keys, text in _texts(front.values)
        if text.startswith(_TODO)
    ]
    if front.body.lstrip().startswith(_TODO):
        problems.append(Problem(front.shown, max(front.lines.values(), default=1) + 1, "", "the text is still TODO"))
    if problems:
        raise CardProblems(problems)
    card._lines.update(front.lines)
    return card


def _texts(value: Any, keys: Keys = ()) -> Iterator[tuple[Keys, str]]:
    if isinstance(value, str):
        yield keys, value
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield from _texts(one, (*keys, key))


def check(schema: type[ModelT], values: dict[str, Any], lines: Lines, shown: str) -> ModelT:
    """Validate ``values`` against ``schema``; every problem names its line.

    Parameters
    ----------
    lines
        The line of each key path, as ``parse_yaml`` returns it.

    Raises
    ------
    CardProblems
    """
    try:
        return schema.model_validate(values)
    except ValidationError as invalid:
        errors = invalid.errors(include_url=False)
    # Pydantic reports a value that fits no member of a union once for each member.
    places: dict[Keys, tuple[type[BaseModel] | None, list[Any]]] = {}
    for error in errors:
        keys, around = _as_written(error, values, schema)
        places.setdefault(keys, (around, []))[1].append(error)
    raise CardProblems(
        Problem(shown, nearest_line(keys, lines), dotted(keys), message)
        for keys, (around, at_place) in places.items()
        for message in _explain(at_place, keys, around)
    )


class _Loader(yaml.CSafeLoader):
    """Names the line of a value that looks like a date or a number and is none."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            value = super().construct_object(node, deep=deep)
        except (ValueError, LookupError, AttributeError, TypeError):
            kind = node.tag.rsplit(":", 1)[-1].replace("timestamp", "date")
            raise _refusal(f"{_show(node.value)} looks like a {kind}, but is none", node) from None
        if isinstance(value, int) and value.bit_length() > _MAX_BITS:
            raise _refusal("the integer is too large", node)
        return value


_MAX_BITS = 63
_MAX_DEPTH = 20


def parse_yaml(text: str, shown: str, *, first_line: int = 1) -> tuple[dict[str, Any], Lines]:
    """Return the mapping in ``text`` and the line of every key path in it.

    Parameters
    ----------
    first_line
        The line of the file on which ``text`` begins.

    Raises
    ------
    CardProblems
        When it is not YAML, not a mapping, names a key twice, or uses aliases.
    """
    try:
        _refuse_bombs(text)
        loader = _Loader(text)
        node = loader.get_single_node()
        values = None if node is None else loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = first_line + (mark.line if mark else 0)
        raise CardProblems([Problem(shown, line, "", f"not valid YAML: {error.problem}")]) from None
    except yaml.reader.ReaderError as error:
        line = first_line + text.encode()[: error.position].count(b"\n")
        raise CardProblems([Problem(shown, line, "", f"not valid YAML: {error.reason}")]) from None
    if not isinstance(node, yaml.MappingNode) or not isinstance(values, dict):
        raise CardProblems([Problem(shown, first_line, "", f"expected keys and values, found {_show(values)}")])
    lines: Lines = {(): first_line}
    problems: list[Problem] = []
    _index(node, (), lines, problems, shown, first_line)
    if problems:
        raise CardProblems(problems)
    return values, lines


def _refuse_bombs(text: str) -> None:
    """Refuse what lets a small file grow without bound: aliases and deep nesting. Cards need neither."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise _refusal(f"an alias (*{event.anchor}) is not allowed; write the value out", event)
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > _MAX_DEPTH:
            raise _refusal(f"nested more than {_MAX_DEPTH} levels deep", event)


def _refusal(problem: str, at: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=at.start_mark)


def read_text(path: Path, shown: str) -> str:
    """Return a file's text, or raise ``CardProblems`` when it cannot be read or is not UTF-8."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise CardProblems([Problem(shown, 1, "", f"not UTF-8 text: {error.reason} at byte {error.start}")]) from None
    except OSError as error:
        raise CardProblems([Problem(shown, 1, "", f"cannot be read: {error.strerror}")]) from None


def _split(text: str, shown: str) -> tuple[str, str]:
    lines = text.splitlines()
    if not lines or not _FENCE.match(lines[0]):
        raise CardProblems([Problem(shown, 1, "", 'expected "---" on the first line, before the front matter')])
    for number, line in enumerate(lines[1:], start=1):
        if _FENCE.match(line):
            return "\n".join(lines[1:number]), "\n".join(lines[number + 1 :]).strip()
    raise CardProblems([Problem(shown, len(lines), "", 'the front matter has no closing "---"')])


def _index(node: yaml.Node, keys: Keys, lines: Lines, problems: list[Problem], shown: str, first_line: int) -> None:
    """Walk the YAML tree: note where each key path stands, and which keys are there twice."""
    if isinstance(node, yaml.MappingNode):
        for key_node, value_node in node.value:
            key = (*keys, str(key_node.value))
            line = first_line + key_node.start_mark.line
            if key_node.tag != "tag:yaml.org,2002:str":
                problems.append(Problem(shown, line, dotted(key), "a key must be text; put it between quotes"))
            if key in lines:
                problems.append(Problem(shown, line, dotted(key), f"is set twice; the first time in line {lines[key]}"))
            lines[key] = line
            _index(value_node, key, lines, problems, shown, first_line)
    elif isinstance(node, yaml.SequenceNode):
        for position, item in enumerate(node.value):
            key = (*keys, position)
            lines[key] = first_line + item.start_mark.line
            _index(item, key, lines, problems, shown, first_line)


_EXPECTED = {
    "int_type": "an integer",
    "float_type": "a number",
    "finite_number": "a finite number",
    "string_type": "text",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "keys and values",
    "model_type": "keys and values",
    "model_attributes_type": "keys and values",
    "date_type": "a date as YYYY-MM-DD",
    "none_required": "null",
}

_PATTERNS = {
    ID_PATTERN: 'lower-case words joined by "-"',
    r"^[^\n]*$": "one line",
    r"^sha256:[0-9a-f]{64}$": '"sha256:" and 64 hexadecimal digits',
    r"^https?://[^\s<>\"]+$": "an address that starts with http:// or https://",
    r"^(s3://[A-Za-z0-9][A-Za-z0-9.-]+/[^\s/]\S*|https?://[^\s<>\"]+)$": (
        "s3://BUCKET/KEY, or an http:// or https:// address"
    ),
    r"^(X|raw|layers/[^/\s]+|unknown)$": "X, raw or layers/NAME",
    r"^[a-z][a-z0-9_]*$": "a name of lower-case letters, digits and _",
    r"^10\.\d{4,9}/\S+$": 'a DOI such as "10.1038/s41592-019-0425-8"',
    r"^([A-Za-z_]\w*(\.\w+)*|[\w-]+\.py):[A-Za-z_]\w*$": '"package.module:function" or "file.py:function"',
}


def _explain(errors: list[Any], keys: Keys, around: type[BaseModel] | None) -> list[str]:
    """Turn what pydantic says about one place into sentences."""
    kinds = list(dict.fromkeys(error["type"] for error in errors))
    if all(kind in _EXPECTED for kind in kinds):
        *others, last = (_EXPECTED[kind] for kind in kinds)
        expected = f"{', '.join(others)} or {last}" if others else last
        return [f"expected {expected}, found {_show(errors[0].get('input'))}"]
    return [_sentence(error, keys, around) for error in errors]


def _sentence(error: Any, keys: Keys, around: type[BaseModel] | None) -> str:
    kind, context, found = error["type"], error.get("ctx", {}), _show(error.get("input"))
    if kind == "missing":
        return "is required, but missing"
    if kind == "extra_forbidden":
        known = {info.alias or name for name, info in around.model_fields.items()} if around else set()
        from_file = FROM_FILE if around and issubclass(around, Card) else ()
        return f"is not a known key{did_you_mean(str(keys[-1]), known - set(from_file))}"
    if kind in ("literal_error", "union_tag_invalid"):
        return f"expected one of {context.get('expected') or context.get('expected_tags')}, found {found}"
    if kind == "union_tag_not_found":
        return f"is required, but missing: {context['discriminator'].strip(chr(39))}"
    if kind == "string_pattern_mismatch":
        return f"expected {_PATTERNS.get(context['pattern'], 'text like ' + context['pattern'])}, found {found}"
    if kind == "value_error":
        return str(context["error"])
    return f"{error['msg'][0].lower()}{error['msg'][1:]}, found {found}"


def _as_written(error: Any, values: Any, schema: type[BaseModel]) -> tuple[Keys, type[BaseModel] | None]:
    """Return where in the file an error is, and the schema of the part around it.

    Drops what pydantic adds to a location and is not in the file: union tags, members of a union, ``[key]``.
    """
    keys: list[str | int] = []
    here, model, around = values, schema, schema
    members: dict[Any, Any] = {}
    named = False
    for position, key in enumerate(error["loc"]):
        if key in members:
            model, members = members[key], {}
            continue
        missing = error["type"] == "missing" and position == len(error["loc"]) - 1
        if not missing and not (key in here if isinstance(here, dict) else _is_index(key, here)):
            continue
        keys.append(key)
        here = None if missing else here[key]
        if named:  # the key is a name that the card gives to a part
            named = False
        elif isinstance(key, str):
            field = _field(model, key)
            named = field is not None and get_origin(field.annotation) is dict
            around, model, members = model, *_below(field)
    return tuple(keys), around


def _is_index(key: Any, here: Any) -> bool:
    return isinstance(key, int) and isinstance(here, list) and key < len(here)


def _field(model: Any, key: str) -> Any:
    fields = model.model_fields.items() if model else ()
    return next((info for name, info in fields if (info.alias or name) == key), None)


def _below(field: Any) -> tuple[Any, dict[Any, Any]]:
    """Return the schema under a key, or, where a tag chooses among several, each by its tag."""
    if field is None:
        return None, {}
    models = _models_in(field.annotation)
    if not isinstance(field.discriminator, str):
        return next(iter(models), None), {}
    return None, {tag: one for one in models for tag in get_args(one.model_fields[field.discriminator].annotation)}


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in getattr(annotation, "__args__", ()) for model in _models_in(part)]


def _show(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, str):
        return f'"{value}"' if len(value) <= 60 else f'"{value[:57]}…"'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "keys and values"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    return str(value)
