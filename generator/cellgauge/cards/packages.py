"""Which packages a card's function imports, and what to do where one is not installed."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from cellgauge.cards.problems import UserError

EXTRAS = {"harmonypy": "methods", "scanorama": "scanorama", "scvi": "scvi", "torch": "scvi"}
"""Module → the extra of cellgauge that brings it; whatever else its own functions import is in ``run``."""


class PackageMissing(UserError):
    """A function needs a package that this machine does not have."""


def not_installed(module: str | None, *, ours: bool = False) -> PackageMissing | None:
    """Return what to say of a module that cannot be found; None where its package is here and lacks it.

    Parameters
    ----------
    module
        As a ``ModuleNotFoundError`` names it.
    ours
        Whether code of cellgauge imports it, and not somebody's own.
    """
    top = (module or "").split(".")[0]
    if not top or find_spec(top) is not None:
        return None
    if top in EXTRAS:
        how = f"pip install 'cellgauge[{EXTRAS[top]}]', or in a clone: make methods"
    else:
        how = "pip install 'cellgauge[run]'" if ours else "install its package, or check the spelling"
    return PackageMissing(f'no module named "{module}" on this machine: {how}')


def imports_of(target: str, card_path: Path) -> frozenset[str]:
    """Return the packages that a function imports by itself, found without running anything.

    Looked for in its own file: at the top, in the function, and in the functions there that it names. What is only
    tried, or imported under a condition, is not needed and left out. Empty where there is no such file.

    Parameters
    ----------
    target
        ``package.module:function`` or ``file.py:function``, as it stands in the card.
    """
    where, name = target.rsplit(":", 1)
    path = card_path.parent / where if where.endswith(".py") else _file_of(where)
    if path is None or not path.is_file():
        return frozenset()
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (SyntaxError, ValueError):
        return frozenset()
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    found = {package for node in tree.body for package in _imported(node)}
    seen: set[str] = set()
    waiting = {name}
    while waiting := (waiting & functions.keys()) - seen:
        seen |= waiting
        nodes = [node for one in waiting for node in _needed(functions[one])]
        found |= {package for node in nodes for package in _imported(node)}
        waiting = {node.id for node in nodes if isinstance(node, ast.Name)}
    return frozenset(found)


def missing_package(target: str, card_path: Path) -> str | None:
    """Say which package a function needs that is not here, and how it is installed; None when nothing is missing."""
    where = target.rsplit(":", 1)[0]
    names = imports_of(target, card_path) | (frozenset() if where.endswith(".py") else {where.split(".")[0]})
    ours = where.startswith("cellgauge.")
    # Those with an extra of their own first, since that command brings the others as well.
    for name in sorted(names, key=lambda one: (one not in EXTRAS, one)):
        if lack := not_installed(name, ours=ours):
            return str(lack)
    return None


def _file_of(module: str) -> Path | None:
    """Return where a module lies; only its outermost package is looked up, since looking further would import it."""
    top, *inner = module.split(".")
    spec = find_spec(top)
    if spec is None:
        return None
    if not inner:
        return Path(spec.origin) if spec.origin else None
    for folder in spec.submodule_search_locations or []:
        base = Path(folder, *inner)
        for path in (base.with_suffix(".py"), base / "__init__.py"):
            if path.is_file():
                return path
    return None


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name.split(".")[0] for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        return [node.module.split(".")[0]]
    return []


def _needed(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.Try | ast.If):
            yield child
            yield from _needed(child)
