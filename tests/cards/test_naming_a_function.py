"""A card names a function; what is not there is said so."""

from __future__ import annotations

from pathlib import Path

import pytest

from cellgauge.cards import UserError
from cellgauge.cards.function import code_digest, load_function, missing_function


def test_a_function_of_a_package_and_of_a_file_beside_the_card(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def double(x):\n    return 2 * x\n")
    assert load_function("math:sqrt", tmp_path / "card.md")(9) == 3
    assert load_function("mine.py:double", tmp_path / "card.md")(9) == 18


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("maths:sqrt", r'no module named "maths" \(check the spelling\)'),
        ("jsson.decoder:x", r'no module named "jsson" \(check the spelling\)'),
        ("math:sqr", 'has no function "sqr"; did you mean "sqrt"'),
        ("math:pi", 'has no function "pi"'),
        ("absent.py:f", 'expected "absent.py" beside the card'),
        ("needs.py:f", r'no module named "not_installed" on this machine: install its package, or check the spelling'),
        ("needs_part.py:f", r'cannot import "needs_part.py": no module named "json.dekoder" \(check the spelling\)'),
    ],
)
def test_what_is_not_there_is_named(tmp_path: Path, target: str, said: str) -> None:
    (tmp_path / "needs.py").write_text("import not_installed\n")
    (tmp_path / "needs_part.py").write_text("import json.dekoder\n")
    with pytest.raises(UserError, match=said):
        load_function(target, tmp_path / "card.md")


def test_the_code_beside_a_card_counts(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def f(): ...\n")
    first = code_digest("mine.py:f", tmp_path / "card.md")
    (tmp_path / "mine.py").write_text("def f(): return 1\n")
    assert first != code_digest("mine.py:f", tmp_path / "card.md")
    assert code_digest("math:sqrt", tmp_path / "card.md") == ""


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("def embed(x): ...\n", None),
        ("from math import sqrt as embed\n", None),
        (None, 'expected "mine.py" beside the card, found no such file'),
        ("def embedd(x): ...\n", '"mine.py" defines no function "embed"; did you mean "embedd"?'),
        ("def embed(x: ...\n", '"mine.py" is not valid Python'),
    ],
)
def test_a_function_beside_the_card_is_looked_for_without_running_it(
    tmp_path: Path, source: str | None, said: str | None
) -> None:
    if source is not None:
        (tmp_path / "mine.py").write_text(source + "raise SystemExit('this file was run')\n" * (said is None))
    found = missing_function("mine.py:embed", tmp_path / "card.md")
    assert found == said or (found is not None and said is not None and found.startswith(said))
