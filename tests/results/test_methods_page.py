"""The methods page documents the result file key by key; it must not fall behind."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from cellgauge.results.maps import EmbeddingMap
from cellgauge.results.profile import DatasetProfile
from cellgauge.results.schema import EXPLANATION, Resources, Result, Score

PAGE = (Path(__file__).parents[2] / "site_src/methods.md").read_text(encoding="utf-8")
ROWS = [line for line in PAGE.splitlines() if line.startswith("| `")]


def documented(prefix: str) -> set[str]:
    """The keys in the first column that begin with a prefix; "a.b", "c" stands for a.b and a.c."""
    found = set()
    for row in ROWS:
        names = re.findall(r"`([^`]+)`", row.split("|")[1])
        if names and names[0].startswith(prefix):
            found |= {names[0].removeprefix(prefix), *names[1:]}
    return found


@pytest.mark.parametrize(
    ("record", "prefix"),
    [
        (Result, ""),
        (Score, "scores[]."),
        (Resources, "resources."),
        (DatasetProfile, "profile."),
        (EmbeddingMap, "map."),
    ],
    ids=["result", "score", "cost", "profile", "map"],
)
def test_every_key_of_the_result_file_is_documented(record: type[BaseModel], prefix: str) -> None:
    keys = {field.alias or name for name, field in record.model_fields.items()}
    missing = keys - documented(prefix) - {"scores"}
    assert not missing


@pytest.mark.parametrize("status", EXPLANATION)
def test_every_status_is_explained_in_the_words_of_the_pages(status: str) -> None:
    assert f"| `{status}` | {EXPLANATION[status]} |" in PAGE
