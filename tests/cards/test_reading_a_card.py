"""A card that is wrong is refused with file, line, key, what was found and what was expected."""

from pathlib import Path

import pytest

from cellgauge.cards import CardProblems, DatasetCard, MetricCard, ModelCard, TaskCard
from cellgauge.cards.read import parse_yaml, read_card

MODEL = """\
---
name: PCA
summary: Principal components.
version: 1
role: baseline
obtain:
  kind: function
  function: cellgauge.models.linear:pca
  params: {n_components: 50}
output: embedding
fit: dataset
pretrained: false
seeded: false
input:
  values: [counts]
training_data:
  name: Census
  cells: 12
leakage:
  - dataset: baron
    class: red
    reason: Trained on it
    confidence: high
---
Prose.
"""


def write(folder: Path, text: str | bytes, name: str = "x.md") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def problems_of(folder: Path, text: str | bytes, name: str = "x.md") -> list[str]:
    with pytest.raises(CardProblems) as raised:
        read_card(write(folder, text, name), ModelCard, shown_as=f"site_src/models/{name}")
    return str(raised.value).splitlines()


def changed(before: str, after: str) -> str:
    assert MODEL.count(before) == 1, before
    return MODEL.replace(before, after)


def test_a_good_card_is_read(tmp_path: Path):
    card = read_card(write(tmp_path, MODEL, "pca.md"), ModelCard, shown_as="site_src/models/pca.md")
    assert (card.id, card.body, card.path) == ("pca", "Prose.", "site_src/models/pca.md")
    assert card.training_data is not None
    assert card.training_data.cells == 12
    assert card.leakage[0].leakage_class == "red"
    assert card.line_of(("leakage", 0, "class")) == 21
    assert card.line_of(("leakage", 0, "nothing", "here")) == 20
    assert card.line_of(()) == 2


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("cells: 12", "cells: many", '18: training_data.cells: expected an integer, found "many"'),
        ("cells: 12", "cells: 1.5", "18: training_data.cells: expected an integer, found 1.5"),
        ("cells: 12", "cells: true", "18: training_data.cells: expected an integer, found true"),
        ("cells: 12", "cells: [1]", "18: training_data.cells: expected an integer, found a list"),
        ("name: PCA", "name:", "2: name: expected text, found nothing"),
        ("name: PCA", "name: 3", "2: name: expected text, found 3"),
        ("name: PCA", 'name: "a\\nb"', '2: name: expected one line, found "a\nb"'),
        ("pretrained: false", "pretrained: 0", "12: pretrained: expected true or false, found 0"),
        ("values: [counts]", "values: counts", '15: input.values: expected a list, found "counts"'),
        (
            "values: [counts]",
            "values: [counts, count]",
            "15: input.values[1]: expected one of 'counts', 'log-normalise",
        ),
        (
            "  values: [counts]",
            "  values:\n  - counts\n  - 7",
            "17: input.values[1]: expected one of 'counts', 'log-no",
        ),
        (
            "role: baseline",
            "role: baselin",
            "5: role: expected one of 'model', 'baseline' or 'control', found \"baselin",
        ),
        (
            "kind: function",
            "kind: funktion",
            "6: obtain: expected one of 'function', 'container', 'precomputed', 'planned', 'reported', "
            "found keys and values",
        ),
        ("summary: ", "summary: TODO ", "3: summary: is still TODO"),
        ("  kind: function\n", "", "6: obtain: is required, but missing: kind"),
        (
            "linear:pca",
            "linear",
            '8: obtain.function: expected "package.module:function" or "file.py:function", found "cellgauge.models',
        ),
        (
            "{n_components: 50}",
            "{n_components: [50]}",
            "9: obtain.params.n_components: expected true or false, an inte",
        ),
        (
            "{n_components: 50}",
            "{bool: [50]}",
            "9: obtain.params.bool: expected true or false, an integer, a number or",
        ),
        (
            "{n_components: 50}",
            "{n: .nan}",
            "9: obtain.params.n: expected true or false, an integer, a finite number or",
        ),
        ("  params:", "  parms:", '9: obtain.parms: is not a known key; did you mean "params"?'),
        (
            "confidence: high",
            "confidence: sure",
            "23: leakage[0].confidence: expected one of 'high', 'medium' or 'low'",
        ),
        ("    confidence: high\n", "", "20: leakage[0].confidence: is required, but missing"),
        ("    class: red\n", "    clas: red\n", "20: leakage[0].class: is required, but missing"),
        ("dataset: baron", "dataset: Baron", '20: leakage[0].dataset: expected lower-case words joined by "-", found'),
        ("name: PCA", "nam: PCA", "2: name: is required, but missing"),
        ("version: 1", "version: 0", "4: version: input should be greater than or equal to 1, found 0"),
        ("version: 1", "version: 99999999999999999999", "4: not valid YAML: the integer is too large"),
        ("name: PCA", "name: PCA\n17: x", "3: 17: a key must be text; put it between quotes"),
        ("  cells: 12", "  no: 12", "18: training_data.no: a key must be text; put it between quotes"),
        ("name: PCA", "name: PCA\n? [a, b]\n: x", "3: not valid YAML: found unhashable key"),
        ("name: PCA", "name: PCA: linear", "2: not valid YAML: mapping values are not allowed in this context"),
        ("name: PCA", "name: PCA\n\tx: 1", "3: not valid YAML: found a tab character"),
        ("name: PCA", "name: \x00", "2: not valid YAML: control characters are not allowed"),
        ("role: baseline", "role: 2024-13-45", '5: not valid YAML: "2024-13-45" looks like a date, but is none'),
        ("role: baseline", "role: !!bool x", '5: not valid YAML: "x" looks like a bool, but is none'),
        ("role: baseline", "role: !!python/name:os.system x", "5: not valid YAML: could not determine a constructor"),
        ("role: baseline", "role: &a [*a]", "5: not valid YAML: an alias (*a) is not allowed; write the value out"),
        ("role: baseline", "role: " + "[" * 5000, "5: not valid YAML: nested more than 20 levels deep"),
        ("role: baseline", "role: " + "- " * 50000 + "x", "5: not valid YAML: "),
        ("version: 1", "version: 1\nversion: 2", "5: version: is set twice; the first time in line 4"),
        ("cells: 12", "cells: 12\n  name: B", "19: training_data.name: is set twice; the first time in line 17"),
    ],
)
def test_each_fault_names_its_line_and_key(tmp_path: Path, before: str, after: str, expected: str):
    found = "\n".join(problems_of(tmp_path, changed(before, after)))
    assert f"site_src/models/x.md:{expected}" in found


def test_one_fault_is_one_problem(tmp_path: Path):
    assert problems_of(tmp_path, changed("{n_components: 50}", "{n_components: [50]}")) == [
        "site_src/models/x.md:9: obtain.params.n_components: "
        "expected true or false, an integer, a number or text, found a list"
    ]


def test_all_faults_are_listed_at_once_in_the_order_of_the_lines(tmp_path: Path):
    text = changed("name: PCA", "name: 1").replace("cells: 12", "cells: x").replace("class: red", "class: pink")
    assert [problem.split(": ")[0] for problem in problems_of(tmp_path, text)] == [
        "site_src/models/x.md:2",
        "site_src/models/x.md:18",
        "site_src/models/x.md:21",
    ]


@pytest.mark.parametrize(
    ("before", "after", "suggestion"),
    [
        ("summary:", "sumary:", "summary"),
        ("  cells: 12", "  cels: 12", "cells"),
        ("    class: red", "    clas: red", "class"),
        ("  function: cellgauge", "  funktion: cellgauge", "function"),
        ("  kind: function\n", "  kind: planned\n  reasn: x\n", "reason"),
    ],
)
def test_an_unknown_key_is_answered_with_the_nearest_known_one(
    tmp_path: Path, before: str, after: str, suggestion: str
):
    assert f'is not a known key; did you mean "{suggestion}"?' in "\n".join(
        problems_of(tmp_path, changed(before, after))
    )


@pytest.mark.parametrize("key", ["id", "body", "path"])
def test_what_comes_from_the_file_cannot_be_set(tmp_path: Path, key: str):
    assert problems_of(tmp_path, changed("role: baseline", f"role: baseline\n{key}: y")) == [
        f"site_src/models/x.md:6: {key}: is taken from the file itself and cannot be set"
    ]


@pytest.mark.parametrize("name", ["PCA.md", "p_ca.md", "p--a.md", "-a.md", "a-.md", "ä.md", "a b.md", "a\n.md", ".md"])
def test_a_file_name_must_be_an_id(tmp_path: Path, name: str):
    with pytest.raises(CardProblems, match='is not an id: expected lower-case words joined by "-"'):
        read_card(write(tmp_path, MODEL, name), ModelCard)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", '1: expected "---" on the first line, before the front matter'),
        ("name: x\n", '1: expected "---" on the first line, before the front matter'),
        ("---\nname: x\n", '2: the front matter has no closing "---"'),
        ("---\n---\n", "2: expected keys and values, found nothing"),
        ("---\n- a\n---\n", "2: expected keys and values, found a list"),
        ("---\njust words\n---\n", '2: expected keys and values, found "just words"'),
        ("---\n--- a\n--- b\n---\n", "3: not valid YAML: but found another document"),
        (b"---\nname: \xff\n---\n", "1: not UTF-8 text: invalid start byte at byte 10"),
        (b"\xff\xfe-\x00-\x00", "1: not UTF-8 text"),
    ],
)
def test_what_is_not_a_card_at_all(tmp_path: Path, text: str | bytes, expected: str):
    assert f"site_src/models/x.md:{expected}" in problems_of(tmp_path, text)[0]


def test_a_missing_file_and_a_folder_are_problems_too(tmp_path: Path):
    with pytest.raises(CardProblems, match="cannot be read: No such file"):
        read_card(tmp_path / "x.md", ModelCard)
    (tmp_path / "y.md").mkdir()
    with pytest.raises(CardProblems, match="cannot be read: Is a directory"):
        read_card(tmp_path / "y.md", ModelCard)


@pytest.mark.parametrize("encode", [lambda t: t.encode("utf-8-sig"), lambda t: t.replace("\n", "\r\n").encode()])
def test_a_byte_order_mark_and_windows_line_ends_change_nothing(tmp_path: Path, encode):
    card = read_card(write(tmp_path, encode(MODEL)), ModelCard)
    plain = read_card(write(tmp_path, MODEL), ModelCard)
    assert card == plain
    assert card.digest == plain.digest
    assert problems_of(tmp_path, encode(changed("cells: 12", "cells: x")))[0].startswith("site_src/models/x.md:18: ")


def test_prose_and_order_of_keys_do_not_change_the_digest(tmp_path: Path):
    card = read_card(write(tmp_path, MODEL), ModelCard)
    reworded = changed("Prose.", "Other prose.").replace("summary: Principal", "summary: The principal")
    reworded = reworded.replace("fit: dataset\npretrained: false\n", "pretrained: false\nfit: dataset\n")
    assert read_card(write(tmp_path, reworded), ModelCard).digest == card.digest


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("version: 1", "version: 2"),
        ("components: 50", "components: 51"),
        ("seeded: false", "seeded: true"),
        ("[counts]", "[scaled]"),
        ("fit: dataset", "fit: none"),
    ],
)
def test_what_decides_a_score_changes_the_digest(tmp_path: Path, before: str, after: str):
    card = read_card(write(tmp_path, MODEL), ModelCard)
    assert read_card(write(tmp_path, changed(before, after)), ModelCard).digest != card.digest


def test_the_same_card_under_another_id_has_another_digest(tmp_path: Path):
    one, other = (read_card(write(tmp_path, MODEL, name), ModelCard) for name in ("a.md", "b.md"))
    assert one.digest != other.digest


def test_a_small_file_that_would_unfold_without_bound_is_refused():
    bomb = "\n".join(["a0: &a0 [x]", *(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 30))])
    with pytest.raises(CardProblems, match=r"x.md:2: not valid YAML: an alias"):
        parse_yaml(bomb, "x.md")


def test_an_anchor_that_nobody_refers_to_is_harmless():
    assert parse_yaml("a: &here 1", "x.md") == ({"a": 1}, {(): 1, ("a",): 1})


def test_lines_of_nested_lists():
    _, lines = parse_yaml("a:\n- - 1\n  - 2\n- {b: 3,\n   c: [4,\n 5]}\n", "x.md", first_line=10)
    assert lines == {
        (): 10,
        ("a",): 10,
        ("a", 0): 11,
        ("a", 0, 0): 11,
        ("a", 0, 1): 12,
        ("a", 1): 13,
        ("a", 1, "b"): 13,
        ("a", 1, "c"): 14,
        ("a", 1, "c", 0): 14,
        ("a", 1, "c", 1): 15,
    }


ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("schema", "card", "before", "after", "expected"),
    [
        (TaskCard, "tasks/clustering", "seeds: [42, 43,", "seeds: [43, 43,", "protocol: seeds must be distinct"),
        (
            TaskCard,
            "tasks/clustering",
            "level: 0.95",
            "level: .inf",
            "protocol.level: expected a finite number, found inf",
        ),
        (TaskCard, "tasks/clustering", "primary: {", "primary: {view: v, ", 'view "v" is not among the views'),
        (TaskCard, "tasks/clustering", "{metric: homogeneity}", "{metric: adjusted-rand-index}", "is listed twice"),
        (
            TaskCard,
            "tasks/clustering",
            "requires: [label]",
            "requires: [lable]",
            "requires[0]: expected one of 'label',",
        ),
        (MetricCard, "metrics/adjusted-rand-index", "min: -0.5", "min: 2", "range: min (2) must be below max (1)"),
        (MetricCard, "metrics/adjusted-rand-index", "min: -0.5", "min: -.inf", "range.min: expected a finite number"),
        (
            DatasetCard,
            "datasets/pbmc68k-reduced",
            "{label: bulk",
            "{lable: bulk",
            "columns.lable: expected one of 'label'",
        ),
        (
            DatasetCard,
            "datasets/pbmc68k-reduced",
            "taxon: 9606",
            "taxon: human",
            "organisms[0].taxon: expected an integer",
        ),
        (
            DatasetCard,
            "datasets/pbmc68k-reduced",
            "content: sha256:",
            "content: sha",
            'expected "sha256:" and 64 hexadec',
        ),
        (
            DatasetCard,
            "datasets/pbmc68k-reduced",
            "available_since: null",
            "available_since: 2017-01",
            "a date as YYYY-MM-DD",
        ),
        (
            DatasetCard,
            "datasets/pbmc68k-reduced",
            "doi: 10",
            "doi: https://doi.org/10",
            "citations[0].doi: expected a DOI",
        ),
    ],
)
def test_the_other_kinds_of_card(tmp_path: Path, schema, card: str, before: str, after: str, expected: str):
    text = (ROOT / "site_src" / f"{card}.md").read_text(encoding="utf-8")
    assert before in text
    with pytest.raises(CardProblems) as raised:
        read_card(write(tmp_path, text.replace(before, after, 1)), schema)
    assert len(raised.value.problems) == 1
    assert expected in str(raised.value)
