"""Whatever a file holds, reading it gives a card or a list of problems, never another exception."""

import string
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cellgauge.cards import CardProblems, DatasetCard, MetricCard, ModelCard, TaskCard
from cellgauge.cards.canonical import canonical_json
from cellgauge.cards.read import parse_yaml, read_card

SITE_SRC = Path(__file__).parents[2] / "site_src"
EXAMPLES = {
    ModelCard: SITE_SRC / "models/pca.md",
    DatasetCard: SITE_SRC / "datasets/pbmc68k-reduced.md",
    TaskCard: SITE_SRC / "tasks/clustering.md",
    MetricCard: SITE_SRC / "metrics/adjusted-rand-index.md",
}

YAML_PIECES = st.sampled_from(
    ["a", "b: ", "- ", "? ", ": ", "\n", "\n  ", "{", "}", "[", "]", ",", "&x ", "*x", "!!int ", "!!timestamp ", "!x ",
     "!!binary ", "!!set ", "!!omap ", "!!pairs ", "|\n ", ">\n ", "'", '"', "\\", "#", "%", "@", "`", "<<: ", "=", "~",
     "0x_", "0b_", "1:99", "2024-99-99", ".nan", "-.inf", "1e999", "0o8", "null", "yes", "\t", "\0", "\x85", "\u2028",
     "\ufeff", "---", "...", "é", "😀", "9" * 5000, "0x" + "f" * 5000]
)  # fmt: skip
YAML_LIKE = st.lists(YAML_PIECES | st.text(max_size=3), max_size=25).map("".join)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.dates() | st.datetimes() | st.binary(max_size=4)
    | st.text(max_size=8) | st.sampled_from(["planned", "function", "model", "sha256:" + "0" * 64]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(string.ascii_lowercase, max_size=6), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip

FUZZ = settings(max_examples=2000, suppress_health_check=list(HealthCheck))


def check_is_card_or_problems(path: Path, schema: type) -> None:
    try:
        card = read_card(path, schema)
    except CardProblems as error:
        assert error.problems
        for problem in error.problems:
            assert problem.line >= 1
            assert problem.message
            str(problem)
    else:
        canonical_json(card.model_dump(mode="json"))
        assert card.digest.startswith("sha256:")


@pytest.mark.fuzz
@FUZZ
@given(YAML_LIKE)
def test_yaml_like_text(text: str):
    try:
        values, lines = parse_yaml(text, "x.md")
    except CardProblems as error:
        assert str(error)
    else:
        assert isinstance(values, dict)
        assert max(lines.values()) <= len(text.splitlines())


@pytest.mark.fuzz
@FUZZ
@given(st.binary(max_size=200) | YAML_LIKE.map(lambda text: f"---\n{text}\n---\n".encode()))
def test_any_bytes(tmp_path_factory: pytest.TempPathFactory, data: bytes):
    path = tmp_path_factory.getbasetemp() / "fuzz.md"
    path.write_bytes(data)
    check_is_card_or_problems(path, ModelCard)


@pytest.mark.fuzz
@pytest.mark.parametrize("schema", EXAMPLES)
@settings(FUZZ, max_examples=700)
@given(data=st.data())
def test_a_good_card_with_one_value_replaced(
    tmp_path_factory: pytest.TempPathFactory, schema: type, data: st.DataObject
):
    front = yaml.safe_load(EXAMPLES[schema].read_text(encoding="utf-8").split("---\n")[1])
    around, key = front, data.draw(st.sampled_from(sorted(front)))
    while isinstance(around[key], dict | list) and around[key] and data.draw(st.booleans()):
        around = around[key]
        key = data.draw(st.sampled_from(sorted(around) if isinstance(around, dict) else range(len(around))))
    if isinstance(around, dict) and data.draw(st.booleans()):
        key = data.draw(st.text(string.ascii_lowercase, min_size=1, max_size=8))
    around[key] = data.draw(VALUES)
    path = tmp_path_factory.getbasetemp() / "fuzz.md"
    path.write_text(f"---\n{yaml.safe_dump(front, allow_unicode=True)}---\n", encoding="utf-8")
    check_is_card_or_problems(path, schema)
