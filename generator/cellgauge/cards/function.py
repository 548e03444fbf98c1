"""Finding the function that a card names."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from cellgauge.cards.packages import not_installed
from cellgauge.cards.problems import UserError, did_you_mean


def load_function(target: str, card_path: Path) -> Callable[..., Any]:
    """Import what a card names as ``package.module:function`` or ``file.py:function``.

    Only worker processes call this: reading a card never runs a contributor's code.

    Parameters
    ----------
    target
        The name as it stands in the card. A file is looked for beside the card.
    card_path
        Where the card lies.

    Raises
    ------
    PackageMissing
        When it imports a package that is not installed here.
    UserError
        When the module or the function is not there.
    """
    where, name = target.rsplit(":", 1)
    try:
        module = _load_file(card_path.parent / where, card_path) if where.endswith(".py") else import_module(where)
    except ModuleNotFoundError as error:
        misspelt = f"{where}.".startswith(f"{error.name}.")
        lack = None if misspelt else not_installed(error.name, ours=where.startswith("cellgauge."))
        wrong = f'{card_path}: cannot import "{where}": no module named "{error.name}" (check the spelling)'
        raise (lack or UserError(wrong)) from None
    function = getattr(module, name, None)
    if not callable(function):
        public = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        raise UserError(f'{card_path}: "{where}" has no function "{name}"{did_you_mean(name, public)}')
    return function  # type: ignore[no-any-return]


def _load_file(path: Path, card_path: Path) -> Any:
    if not path.is_file():
        raise UserError(f'{card_path}: expected "{path.name}" beside the card, found no such file')
    name = f"cellgauge_card_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None  # noqa: S101 (a .py file always has one)
    assert spec.loader is not None  # noqa: S101
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def code_digest(target: str, card_path: Path) -> str:
    """Return the digest of a function's file, where the card brings its own; else the empty string.

    Code in a package is covered by the card's version instead.
    """
    where = target.rsplit(":", 1)[0]
    path = card_path.parent / where
    if not where.endswith(".py") or not path.is_file():
        return ""
    return file_digest(path)


def file_digest(path: Path) -> str:
    """Return ``sha256:<hex>`` of a small file."""
    return "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()


def missing_function(target: str, card_path: Path) -> str | None:
    """Say what is missing of a function in a file beside its card, without running the file.

    A package may be absent where cards are only checked, so functions of packages are not looked for.
    """
    where, name = target.rsplit(":", 1)
    if not where.endswith(".py"):
        return None
    path = card_path.parent / where
    if not path.is_file():
        return f'expected "{where}" beside the card, found no such file'
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (SyntaxError, ValueError) as error:
        return f'"{where}" is not valid Python: {error}'
    names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    imported = [
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    ]
    if name in names or name in imported:
        return None
    return f'"{where}" defines no function "{name}"{did_you_mean(name, names)}'
