"""A dataset card that does not fit together is refused in words that say what to write instead."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cellgauge.cards import CardProblems, DatasetCard
from cellgauge.cards.dataset import SIZE_CLASSES, size_class
from cellgauge.cards.read import read_card

SHA = "sha256:" + "a" * 64
CARD = f"""\
---
name: Tiny
summary: Made for a test.
version: 1
evidence: measured
study: tiny
organisms: [{{name: Homo sapiens, taxon: 9606}}]
modality: scRNA-seq
source:
  kind: file
  url: "s3://bucket/tiny.h5ad"
  sha256: {SHA}
digest_of_content: {SHA}
matrix: {{location: X, values: counts, features: gene symbols}}
columns: {{label: cell_type, donor: donor_id}}
---
Prose.
"""
SOURCE = CARD[CARD.index("source:") : CARD.index("digest_of_content")]
PINNED = f"digest_of_content: {SHA}"
COLUMNS = "columns: {label: cell_type, donor: donor_id}\n"


def read(folder: Path, *replacements: tuple[str, str]) -> DatasetCard:
    text = CARD
    for before, after in replacements:
        assert before in text, before
        text = text.replace(before, after)
    (folder / "tiny.md").write_text(text)
    return read_card(folder / "tiny.md", DatasetCard, shown_as="tiny.md")


def problems_of(folder: Path, *replacements: tuple[str, str]) -> list[str]:
    """Return the problems without the name of the file."""
    with pytest.raises(CardProblems) as raised:
        read(folder, *replacements)
    return [one.removeprefix("tiny.md:") for one in str(raised.value).splitlines()]


def test_a_card_as_it_should_be(tmp_path: Path):
    card = read(tmp_path)
    assert (card.id, card.path, card.body, card.family, card.joins) == ("tiny", "tiny.md", "Prose.", None, [])
    assert card.pinned
    assert card.files["data"].place == "s3://bucket/tiny.h5ad"


# The source


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("url: s3://my-bucket.eu/a/b/c.h5ad", "s3://my-bucket.eu/a/b/c.h5ad"),
        ("url: https://example.org/x?download=1&file=a%20b", "https://example.org/x?download=1&file=a%20b"),
        ("url: http://localhost:8000/x", "http://localhost:8000/x"),
        ("path: tiny.h5ad", "tiny.h5ad"),
        ("path: ../elsewhere/tiny.h5ad", "../elsewhere/tiny.h5ad"),
    ],
)
def test_a_file_is_at_a_url_or_a_path(tmp_path: Path, place: str, expected: str):
    card = read(tmp_path, ('url: "s3://bucket/tiny.h5ad"', place))
    assert card.files["data"].place == expected


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ('url: "s3://bucket/x"\n  path: x.h5ad', "9: source: expected either a url or a path"),
        ("size: 3", "9: source: expected either a url or a path"),
        ("url: null\n  path: null", "9: source: expected either a url or a path"),
        ('path: ""', "11: source.path: string should have at least 1 character, found an empty text"),
    ],
)
def test_a_file_is_at_one_place_only(tmp_path: Path, place: str, expected: str):
    (found,) = problems_of(tmp_path, ('url: "s3://bucket/tiny.h5ad"', place))
    assert found == expected.replace("an empty text", '""')


@pytest.mark.parametrize(
    "url",
    [
        "s3://",
        "s3://bucket",
        "s3://bucket/",
        "s3:///key",
        "s3://bucket//key",
        "s3://buck et/key",
        "s3://bucket/a key",
        "s3://-bucket/key",
        "S3://bucket/key",
        "https://",
        "https://exa mple.org/",
        "ftp://example.org/x",
        "file:///etc/passwd",
        "bucket/key",
        "",
    ],
)
def test_a_url_that_leads_nowhere_is_refused_in_words(tmp_path: Path, url: str):
    assert problems_of(tmp_path, ("s3://bucket/tiny.h5ad", url)) == [
        f'11: source.url: expected s3://BUCKET/KEY, or an http:// or https:// address, found "{url}"'
    ]


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("size: -1", "11: source.size: input should be greater than or equal to 0, found -1"),
        ("size: many", '11: source.size: expected an integer, found "many"'),
        ("sha256: abc", '12: source.sha256: expected "sha256:" and 64 hexadecimal digits, found "abc"'),
        ("md5: abc", "is not a known key"),
    ],
)
def test_what_is_said_of_a_file_is_checked(tmp_path: Path, key: str, expected: str):
    before = f"  sha256: {SHA}\n" if key.startswith("sha") else '  url: "s3://bucket/tiny.h5ad"\n'
    after = f"  {key}\n" if key.startswith("sha") else f"  {key}\n{before}"
    (found,) = problems_of(tmp_path, (before, after))
    assert expected in found
    assert found.startswith(("11: source.", "12: source."))


def test_a_kind_of_source_that_there_is_not(tmp_path: Path):
    assert problems_of(tmp_path, ("kind: file", "kind: ftp")) == [
        "9: source: expected one of 'function', 'file', 'reported', found keys and values"
    ]
    assert problems_of(tmp_path, ("  kind: file\n", "")) == ["9: source: is required, but missing: kind"]


def function(files: str) -> tuple[str, str]:
    return SOURCE, f"source:\n  kind: function\n  function: recipe.py:make\n  files:\n{files}"


def test_a_recipe_names_its_files(tmp_path: Path):
    card = read(tmp_path, function(f"    counts_1: {{url: 's3://bucket/x', sha256: {SHA}}}\n    types: {{path: y}}\n"))
    assert {name: file.place for name, file in card.files.items()} == {"counts_1": "s3://bucket/x", "types": "y"}


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        (
            "Counts: {path: x}",
            ['13: source.files.Counts: expected a name of lower-case letters, digits and _, found "Counts"'],
        ),
        (
            "my-file: {path: x}",
            ['13: source.files.my-file: expected a name of lower-case letters, digits and _, found "my-file"'],
        ),
        ("counts: {}", ["13: source.files.counts: expected either a url or a path"]),
        ("counts: {path: x, url: 'https://example.org'}", ["13: source.files.counts: expected either a url or a path"]),
        ("counts: x", ['13: source.files.counts: expected keys and values, found "x"']),
        (
            "counts: {path: x, kind: file}",
            ["13: source.files.counts.kind: is not a known key; known: etag, path, sha256, size, url"],
        ),
    ],
)
def test_what_is_wrong_with_a_file_of_a_recipe_is_said_at_its_line(tmp_path: Path, file: str, expected: list[str]):
    assert problems_of(tmp_path, function(f"    {file}\n")) == expected


# What is pinned


@pytest.mark.parametrize("unknown", ["values: unknown, features: gene symbols", "values: counts, features: unknown"])
def test_a_pinned_card_knows_what_its_matrix_holds(tmp_path: Path, unknown: str):
    matrix = ("values: counts, features: gene symbols", unknown)
    assert problems_of(tmp_path, matrix) == [
        "2: matrix: what it holds cannot be unknown once digest_of_content is given"
    ]
    assert not read(tmp_path, matrix, (PINNED, "digest_of_content: null")).pinned


def test_a_pinned_card_knows_the_bytes_at_its_url(tmp_path: Path):
    without = (f"  sha256: {SHA}\n", "")
    assert problems_of(tmp_path, without) == [
        "2: source: each file at a URL needs its sha256 once digest_of_content is given"
    ]
    assert not read(tmp_path, without, (PINNED, "digest_of_content: null")).pinned
    assert read(tmp_path, without, ('url: "s3://bucket/tiny.h5ad"', "path: tiny.h5ad")).pinned


def test_a_pinned_card_knows_the_bytes_of_every_file_of_its_recipe(tmp_path: Path):
    one = f"    one: {{url: 'https://example.org/1', sha256: {SHA}}}\n"
    assert read(tmp_path, function(one)).pinned
    assert problems_of(tmp_path, function(one + "    two: {url: 'https://example.org/2'}\n")) == [
        "2: source: each file at a URL needs its sha256 once digest_of_content is given"
    ]
    assert read(tmp_path, function(one + "    two: {path: two.tsv}\n")).pinned


def test_whether_content_is_pinned_must_be_said(tmp_path: Path):
    assert problems_of(tmp_path, (PINNED + "\n", "")) == ["2: digest_of_content: is required, but missing"]


# The matrix and the columns


@pytest.mark.parametrize("location", ["X", "raw", "layers/counts", "layers/raw_counts-2"])
def test_where_a_matrix_may_be(tmp_path: Path, location: str):
    assert read(tmp_path, ("location: X", f"location: {location}")).matrix.location == location


@pytest.mark.parametrize("location", ["x", "raw/X", "layers", "layers/", "layers/a/b", "layers/a b", "obsm/X_pca"])
def test_where_a_matrix_cannot_be(tmp_path: Path, location: str):
    assert problems_of(tmp_path, ("location: X", f"location: {location}")) == [
        f'14: matrix.location: expected X, raw or layers/NAME, found "{location}"'
    ]


def test_a_role_that_there_is_not(tmp_path: Path):
    (found,) = problems_of(tmp_path, ("donor: donor_id", "patient: donor_id"))
    assert found.startswith("15: columns.patient: expected one of 'label', 'batch', 'donor', ")


def test_a_perturbation_column_needs_a_control(tmp_path: Path):
    column = ("label: cell_type", "perturbation: guide")
    said = "2: perturbations: needed with, and only with, a perturbation column"
    assert problems_of(tmp_path, column) == [said]
    control = (COLUMNS, COLUMNS + "perturbations: {control: control}\n")
    assert problems_of(tmp_path, control) == [said]
    card = read(tmp_path, control, column)
    assert card.perturbations is not None
    assert (card.perturbations.control, card.perturbations.joined_by) == ("control", "+")


def test_a_control_has_a_name(tmp_path: Path):
    (found,) = problems_of(
        tmp_path, (COLUMNS, "columns: {perturbation: guide}\nperturbations: {control: '', joined_by: ''}\n")
    )[:1]
    assert found.startswith("16: perturbations.control: ")
    assert problems_of(tmp_path, (COLUMNS, "columns: {perturbation: guide}\nperturbations: {}\n")) == [
        "16: perturbations.control: is required, but missing"
    ]


# The split


def split(text: str) -> tuple[str, str]:
    return COLUMNS, f"{COLUMNS}split: {{{text}, reason: As published.}}\n"


@pytest.mark.parametrize(
    "text",
    ["column: part", "by: donor, test: [d1]", "by: donor, test: [d1], validation: [d2]", "by: label, test: [T cell]"],
)
def test_a_split_is_a_column_or_values_of_a_role(tmp_path: Path, text: str):
    assert read(tmp_path, split(text)).split is not None


NOT_BOTH = "16: split: expected either a column or a role to split by"
NO_ROLE = "16: split: validation and test list values of the role to split by, and need one"
NO_TEST = "16: split: test needs at least one value of the role to split by"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("column: part, by: donor, test: [d1]", NOT_BOTH),
        ("test: [d1]", NOT_BOTH),
        ("column: part, test: [d1]", NO_ROLE),
        ("column: part, validation: [d1]", NO_ROLE),
        ("by: donor", NO_TEST),
        ("by: donor, test: []", NO_TEST),
        ("by: donor, validation: [d1]", NO_TEST),
        (
            "by: donor, test: [d1, d2, d3], validation: [d3, d0, d1]",
            "16: split: both for validation and for test: d1, d3",
        ),
        ("by: batch, test: [b1]", "2: split: there is no batch column to split by"),
        ("by: donor, test: [1]", "16: split.test[0]: expected text, found 1"),
    ],
)
def test_a_split_that_cannot_be(tmp_path: Path, text: str, expected: str):
    assert problems_of(tmp_path, split(text)) == [expected]


def test_a_split_says_why(tmp_path: Path):
    assert problems_of(tmp_path, (COLUMNS, f"{COLUMNS}split: {{column: part}}\n")) == [
        "16: split.reason: is required, but missing"
    ]


# Orthologs, simulations and feasibility


def test_orthologs_are_in_a_file_of_the_source(tmp_path: Path):
    orthologs = (COLUMNS, f"{COLUMNS}orthologs: {{file: pairs, release: Ensembl 113, relation: one-to-one}}\n")
    two = f"    counts: {{path: x}}\n    pairs: {{url: 'https://example.org', sha256: {SHA}}}\n"
    assert read(tmp_path, orthologs, function(two)).orthologs is not None
    assert problems_of(tmp_path, orthologs, function("    counts: {path: x}\n    mouse: {path: y}\n")) == [
        '2: orthologs: "pairs" is not a file of the source (counts, mouse)'
    ]
    without = (SOURCE, "source: {kind: function, function: 'a:b'}\n")
    assert problems_of(tmp_path, orthologs, without) == ['2: orthologs: "pairs" is not a file of the source (none)']


def test_a_simulation_says_what_is_true_in_it(tmp_path: Path):
    simulated = ("evidence: measured", "evidence: simulated")
    assert problems_of(tmp_path, simulated) == ["2: known_answer: say of simulated data what is true in them"]
    card = read(tmp_path, ("evidence: measured", "evidence: simulated\nknown_answer: Two groups."))
    assert card.known_answer == "Two groups."
    assert problems_of(tmp_path, ("evidence: measured", "evidence: guessed")) == [
        "5: evidence: expected one of 'measured' or 'simulated', found \"guessed\""
    ]


@pytest.mark.parametrize(
    ("n_cells", "expected"),
    [
        (0, "tiny"),
        (999, "tiny"),
        (1_000, "small"),
        (9_999, "small"),
        (10_000, "medium"),
        (99_999, "medium"),
        (100_000, "large"),
        (999_999, "large"),
        (1_000_000, "huge"),
    ],
)
def test_size_classes(n_cells: int, expected: str):
    assert size_class(n_cells) == expected


@pytest.mark.parametrize("size", [*SIZE_CLASSES, "huge", "null"])
def test_every_size_class_can_be_written_down(tmp_path: Path, size: str):
    card = read(tmp_path, (COLUMNS, f"{COLUMNS}feasibility: {{size: {size}}}\n"))
    assert card.feasibility is not None
    assert card.feasibility.size == (None if size == "null" else size)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("memory_gb: 2", "16: feasibility.size: is required, but missing"),
        ("size: tiny, memory_gb: 0", "16: feasibility.memory_gb: input should be greater than 0, found 0"),
        ("size: tiny, minutes: soon", '16: feasibility.minutes: expected a number, found "soon"'),
        ("size: big", "16: feasibility.size: expected one of 'tiny', "),
    ],
)
def test_feasibility_that_cannot_be(tmp_path: Path, text: str, expected: str):
    (found,) = problems_of(tmp_path, (COLUMNS, f"{COLUMNS}feasibility: {{{text}}}\n"))
    assert found.startswith(expected)


def test_faults_of_single_fields_are_said_all_at_once(tmp_path: Path):
    found = problems_of(
        tmp_path,
        ("version: 1", "version: 0"),
        ("taxon: 9606", "taxon: human"),
        ("s3://bucket/tiny.h5ad", "s3://bucket"),
        ("label: cell_type", "lable: cell_type"),
    )
    assert [one.split(":")[0] for one in found] == ["4", "7", "11", "15"]


# The digest of the card


@pytest.mark.parametrize(
    ("changes", "moves"),
    [
        ([("name: Tiny", "name: Other")], False),
        ([("Prose.", "Other prose.")], False),
        ([("modality: scRNA-seq", "modality: scRNA-seq\nlicence: CC0\njoins: [a]")], False),
        ([("s3://bucket/tiny.h5ad", "s3://bucket/moved.h5ad")], False),
        ([("version: 1", "version: 2")], True),
        ([(PINNED, f"digest_of_content: sha256:{'b' * 64}")], True),
        ([("label: cell_type", "label: other")], True),
        ([("values: counts", "values: scaled")], True),
        ([split("by: donor, test: [d1]")], True),
    ],
)
def test_a_cards_digest_moves_with_what_decides_a_score(tmp_path: Path, changes: Any, moves: bool):
    assert (read(tmp_path, *changes).digest != read(tmp_path).digest) == moves
