"""A family is several dataset cards written once: each member is the card it would be if written out."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cellgauge.cards import CardProblems, Cards, DatasetCard, Family, Project, load_cards
from cellgauge.cards.family import read_datasets
from cellgauge.cards.read import read_card

ROOT = Path(__file__).parents[2]

LUNG = "  - {id: lung, tissue: Lung, organ: lung}\n"
SKIN = "  - {id: skin-of-back, tissue: Skin, organ: skin, set: {licence: CC BY 4.0}}\n"
ATLAS = f"""\
---
name: "Atlas: {{tissue}}"
summary: "Cells of the {{organ}}."
family: {{name: Atlas, summary: All tissues.}}
members:
{LUNG}{SKIN}version: 1
evidence: measured
study: atlas
organisms: [{{name: Homo sapiens, taxon: 9606}}]
modality: scRNA-seq
tissues: ["{{tissue}}", Blood]
source:
  kind: file
  url: "s3://bucket/{{tissue}}/{{id}}.h5ad"
digest_of_content: null
matrix: {{location: X, values: unknown, features: unknown}}
columns: {{label: cell_type}}
citations:
  - {{text: The atlas.}}
  - {{text: "The paper on the {{organ}}."}}
licence: null
---
Written once.

About the {{organ}}.

A formula, $\\frac{{a}}{{b}}$, and {{braces around words}}.
"""


def changed(*replacements: tuple[str, str]) -> str:
    text = ATLAS
    for before, after in replacements:
        assert before in text, before
        text = text.replace(before, after)
    return text


def read(folder: Path, text: str = ATLAS) -> tuple[list[DatasetCard], Family | None]:
    (folder / "atlas.md").write_text(text)
    return read_datasets(folder / "atlas.md", shown_as="site_src/datasets/atlas.md")


def problems_of(folder: Path, *replacements: tuple[str, str]) -> list[str]:
    """Return the problems without the path, which is the same for all."""
    with pytest.raises(CardProblems) as raised:
        read(folder, changed(*replacements))
    found = str(raised.value).splitlines()
    assert all(one.startswith("site_src/datasets/atlas.md:") for one in found)
    return [one.removeprefix("site_src/datasets/atlas.md:") for one in found]


# What the members are


def test_a_members_id_is_that_of_the_file_and_its_own(tmp_path: Path):
    cards, family = read(tmp_path)
    assert [card.id for card in cards] == ["atlas-lung", "atlas-skin-of-back"]
    assert {card.family for card in cards} == {"atlas"}
    assert {card.path for card in cards} == {"site_src/datasets/atlas.md"}
    assert family is not None
    assert (family.id, family.name, family.summary) == ("atlas", "Atlas", "All tissues.")
    assert family.path == "site_src/datasets/atlas.md"
    assert family.members == tuple(cards)


def test_words_are_filled_into_every_text_of_the_front_matter(tmp_path: Path):
    (lung, skin), _ = read(tmp_path)
    assert (lung.name, lung.summary, lung.tissues) == ("Atlas: Lung", "Cells of the lung.", ["Lung", "Blood"])
    assert lung.files["data"].url == "s3://bucket/Lung/lung.h5ad"
    assert skin.files["data"].url == "s3://bucket/Skin/skin-of-back.h5ad"
    assert [one.text for one in skin.citations] == ["The atlas.", "The paper on the skin."]


def test_words_are_filled_into_the_body_and_other_braces_stay(tmp_path: Path):
    (lung, skin), _ = read(tmp_path)
    formula = r"A formula, $\frac{a}{b}$, and {braces around words}."
    assert lung.body == f"Written once.\n\nAbout the lung.\n\n{formula}"
    assert skin.body == f"Written once.\n\nAbout the skin.\n\n{formula}"


def test_the_familys_own_body_leaves_out_what_differs(tmp_path: Path):
    _, family = read(tmp_path)
    assert family is not None
    assert family.body == "Written once.\n\nA formula, $\\frac{a}{b}$, and {braces around words}."


def test_a_member_is_the_card_that_it_would_be_written_out(tmp_path: Path):
    (_, skin), _ = read(tmp_path)
    alone = changed(("family: {name: Atlas, summary: All tissues.}\n", ""), ("members:\n", ""), (LUNG, ""), (SKIN, ""))
    alone = alone.replace("{tissue}", "Skin").replace("{organ}", "skin").replace("{id}", "skin-of-back")
    path = tmp_path / "atlas-skin-of-back.md"
    path.write_text(alone.replace("licence: null", "licence: CC BY 4.0"))
    written_out = read_card(path, DatasetCard)
    differs = {"family", "path"}
    assert skin.model_dump(exclude=differs) == written_out.model_dump(exclude=differs)
    assert skin.digest == written_out.digest


def test_a_file_without_members_is_one_card(tmp_path: Path):
    alone = changed(("family: {name: Atlas, summary: All tissues.}\n", ""), ("members:\n", ""), (LUNG, ""), (SKIN, ""))
    (card,), family = read(tmp_path, alone)
    assert family is None
    assert (card.id, card.family, card.name) == ("atlas", None, "Atlas: {tissue}")


def test_set_replaces_whole_fields_of_one_member(tmp_path: Path):
    own = "{matrix: {location: raw, values: unknown, features: unknown}, version: 3, tissues: [], licence: CC0}"
    (lung, skin), _ = read(tmp_path, changed(("{licence: CC BY 4.0}", own)))
    assert (lung.matrix.location, lung.version, lung.tissues, lung.licence) == ("X", 1, ["Lung", "Blood"], None)
    assert (skin.matrix.location, skin.version, skin.tissues, skin.licence) == ("raw", 3, [], "CC0")


def test_set_may_add_a_field_that_the_others_lack(tmp_path: Path):
    (lung, skin), _ = read(tmp_path, changed(("{licence: CC BY 4.0}", "{limits: [Only nine cells.]}")))
    assert (lung.limits, skin.limits) == ([], ["Only nine cells."])


def test_set_does_not_keep_keys_of_the_field_it_replaces(tmp_path: Path):
    own = "{source: {kind: file, path: here.h5ad}}"
    (_, skin), _ = read(tmp_path, changed(("{licence: CC BY 4.0}", own)))
    assert (skin.files["data"].url, skin.files["data"].path) == (None, "here.h5ad")


def test_words_are_filled_into_what_a_member_sets(tmp_path: Path):
    own = '{summary: "Only {organ}.", limits: ["{tissue} alone"]}'
    (_, skin), _ = read(tmp_path, changed(("{licence: CC BY 4.0}", own)))
    assert (skin.summary, skin.limits) == ("Only skin.", ["Skin alone"])


def test_a_word_may_be_empty_or_hold_what_looks_like_code(tmp_path: Path):
    (lung, skin), _ = read(tmp_path, changed(("organ: lung", 'organ: ""'), ("organ: skin", r'organ: "\\1 {} {A} $x"')))
    assert lung.summary == "Cells of the ."
    assert skin.summary == r"Cells of the \1 {} {A} $x."


@pytest.mark.parametrize("word", ["own", "body", "path", "name", "set_", "x2"])
def test_a_word_may_be_called_like_a_field(tmp_path: Path, word: str):
    text = changed(("organ: ", f"{word}: "), ("{organ}", f"{{{word}}}"))
    (lung, _), _ = read(tmp_path, text)
    assert lung.summary == "Cells of the lung."
    assert "About the lung." in lung.body


def test_a_family_cites_each_work_of_its_members_once(tmp_path: Path):
    _, family = read(tmp_path)
    assert family is not None
    assert [one.text for one in family.citations] == ["The atlas.", "The paper on the lung.", "The paper on the skin."]


def test_lines_of_a_members_card_are_those_of_the_file(tmp_path: Path):
    (lung, skin), _ = read(tmp_path)
    assert lung.line_of(("source", "url")) == skin.line_of(("source", "url")) == 16
    assert (lung.line_of(("licence",)), skin.line_of(("licence",))) == (23, 7)
    assert (lung.line_of(("id",)), skin.line_of(("id",))) == (6, 7)
    assert lung.line_of(()) == 2


# Problems with the members themselves


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (
            ", organ: skin",
            "",
            ['7: members[1]: says nothing for "organ", which other members do'],
        ),
        (
            "organ: skin",
            "organ: skin, assay: nuclei",
            ['6: members[0]: says nothing for "assay", which other members do'],
        ),
        (
            "id: skin-of-back",
            "id: lung",
            ['7: members[1].id: "lung" is also the id of members[0]'],
        ),
        ("organ: skin", "organ: 12", ["7: members[1].organ: expected text; put it between quotes"]),
        ("organ: skin", "organ: yes", ["7: members[1].organ: expected text; put it between quotes"]),
        ("organ: skin", "organ: null", ["7: members[1].organ: expected text; put it between quotes"]),
        ("organ: skin", "organ: [skin]", ["7: members[1].organ: expected text; put it between quotes"]),
        (
            "organ: ",
            "Organ: ",
            [
                '3: summary: "{organ}" is no word of the members; did you mean "Organ"?',
                "6: members[0].Organ: expected a word of lower-case letters, digits and _",
                "7: members[1].Organ: expected a word of lower-case letters, digits and _",
                '22: citations[1].text: "{organ}" is no word of the members; did you mean "Organ"?',
            ],
        ),
        ("id: lung", "id: Lung", ['6: members[0].id: expected lower-case words joined by "-", found "Lung"']),
        ("id: lung, ", "", ["6: members[0].id: is required, but missing"]),
        (LUNG, "  - lung\n", ['6: members[0]: expected keys and values, found "lung"']),
        (
            "{licence: CC BY 4.0}",
            "CC BY 4.0",
            ['7: members[1].set: expected keys and values, found "CC BY 4.0"'],
        ),
        ("summary: All tissues.", "sumary: All tissues.", None),
        (LUNG + SKIN, "", ["5: members: expected a list, found nothing"]),
        ("members:\n" + LUNG + SKIN, "members: none\n", ['5: members: expected a list, found "none"']),
        ("members:\n" + LUNG + SKIN, "", ["2: members: is required, but missing"]),
        ("family: {name: Atlas, summary: All tissues.}\n", "", ["2: family: is required, but missing"]),
        (
            "{name: Atlas, summary: All tissues.}",
            "atlas",
            ['4: family: expected keys and values, found "atlas"'],
        ),
    ],
)
def test_what_is_wrong_with_members_is_said_at_their_line(
    tmp_path: Path, before: str, after: str, expected: list[str] | None
):
    expected = expected or [
        '4: family.sumary: is not a known key; did you mean "summary"?',
        "4: family.summary: is required, but missing",
    ]
    assert problems_of(tmp_path, (before, after)) == expected


def test_several_members_without_a_word_are_all_named(tmp_path: Path):
    more = "  - {id: ear, tissue: Ear}\n  - {id: eye, organ: eye}\n"
    assert problems_of(tmp_path, (SKIN, SKIN + more)) == [
        '8: members[2]: says nothing for "organ", which other members do',
        '9: members[3]: says nothing for "tissue", which other members do',
    ]


def test_an_id_given_three_times_is_said_twice(tmp_path: Path):
    again = LUNG.replace("Lung", "More lung")
    assert problems_of(tmp_path, (SKIN, again + again)) == [
        '7: members[1].id: "lung" is also the id of members[0]',
        '8: members[2].id: "lung" is also the id of members[0]',
    ]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (
            "Cells of the {organ}",
            "Cells of the {orgen}",
            '3: summary: "{orgen}" is no word of the members; did you mean "organ"?',
        ),
        ("/{id}", "/{ident}", '16: source.url: "{ident}" is no word of the members; known: id, organ, tissue'),
        ('["{tissue}"', '["{zzz}"', '13: tissues[0]: "{zzz}" is no word of the members; known: id, organ, tissue'),
        (
            "{licence: CC BY 4.0}",
            '{licence: "{licens}"}',
            '7: members[1].set.licence: "{licens}" is no word of the members; known: id, organ, tissue',
        ),
        (
            "All tissues.}",
            '"All of {tissue}."}',
            '4: family.summary: "{tissue}" is not filled in here, only in what becomes a member\'s card',
        ),
        (
            "organ: skin",
            'organ: "{tissue}"',
            '7: members[1].organ: "{tissue}" is not filled in here, only in what becomes a member\'s card',
        ),
    ],
)
def test_a_word_that_nobody_fills_in_is_refused_where_it_stands(tmp_path: Path, before: str, after: str, expected: str):
    assert problems_of(tmp_path, (before, after)) == [expected]


@pytest.mark.parametrize("key", ["id", "body", "path", "family", "members"])
def test_a_member_cannot_set_what_comes_from_the_file(tmp_path: Path, key: str):
    assert problems_of(tmp_path, ("{licence: CC BY 4.0}", f"{{{key}: x}}")) == [
        f"7: members[1].set.{key}: cannot be set for one member"
    ]


def test_the_front_matter_of_a_family_cannot_set_what_comes_from_the_file_either(tmp_path: Path):
    assert problems_of(tmp_path, ("version: 1", "version: 1\nid: atlas")) == [
        "9: id: is taken from the file itself and cannot be set"
    ]


# Problems with the cards that the members become


def test_a_problem_of_all_members_is_said_once_at_the_line_they_share(tmp_path: Path):
    assert problems_of(tmp_path, ("version: 1", "version: one"), ("evidence: measured\n", "")) == [
        "2: evidence: is required, but missing",
        '8: version: expected an integer, found "one"',
    ]


def test_a_problem_of_one_member_is_said_at_its_own_line(tmp_path: Path):
    own = "{matrix: {location: Y, values: unknown, features: unknown}, licens: x}"
    assert problems_of(tmp_path, ("{licence: CC BY 4.0}", own)) == [
        '7: licens: is not a known key; did you mean "licence"?',
        '7: matrix.location: expected X, raw or layers/NAME, found "Y"',
    ]


def test_a_key_set_over_many_lines_is_found_inside_them(tmp_path: Path):
    own = """\
  - id: skin
    tissue: Skin
    organ: skin
    set:
      version: 2
      matrix:
        location: X
        values: many
"""
    assert problems_of(tmp_path, (SKIN, own), ("version: 1\n", "version: one\n")) == [
        "12: matrix.features: is required, but missing",
        "14: matrix.values: expected one of 'counts', 'log-normalised', 'scaled', 'continuous' or 'unknown', "
        'found "many"',
        '15: version: expected an integer, found "one"',
    ]


def test_a_problem_that_a_word_makes_is_said_of_the_members_that_have_it(tmp_path: Path):
    assert problems_of(tmp_path, ("tissue: Skin", 'tissue: "Sk in"'), ("/{id}", "/{id} ")) == [
        '16: source.url: expected s3://BUCKET/KEY, or an http:// or https:// address, found "s3://bucket/Lung/lung '
        '.h5ad"',
        '16: source.url: expected s3://BUCKET/KEY, or an http:// or https:// address, found "s3://bucket/Sk in/'
        'skin-of-back .h5ad"',
    ]
    assert problems_of(tmp_path, ("tissue: Skin", 'tissue: "Sk in"')) == [
        '16: source.url: expected s3://BUCKET/KEY, or an http:// or https:// address, found "s3://bucket/Sk in/'
        'skin-of-back.h5ad"'
    ]


def test_an_id_that_gets_too_long_is_said_at_the_member(tmp_path: Path):
    (found,) = problems_of(tmp_path, ("id: skin-of-back", f"id: {'s' * 60}"))
    assert found.startswith("7: id: string should have at most 64 characters, found ")


def test_a_card_that_says_it_has_a_family_without_being_one(tmp_path: Path):
    family = "family: {name: Atlas, summary: All tissues.}\nmembers:\n" + LUNG + SKIN
    assert problems_of(tmp_path, (family, "family: atlas\n")) == [
        "2: members: is required, but missing",
        '4: family: expected keys and values, found "atlas"',
    ]


# Families among the other cards


@pytest.fixture
def project(tmp_path: Path, keep_light_models: Callable[[Path], None]) -> Project:
    """This project's models, tasks and metrics, and a family of datasets."""
    for kind in ("models", "tasks", "metrics"):
        shutil.copytree(ROOT / "site_src" / kind, tmp_path / "site_src" / kind)
    keep_light_models(tmp_path)
    (tmp_path / "site_src" / "datasets").mkdir()
    (tmp_path / "mkdocs.yml").touch()
    project = Project(tmp_path, tmp_path)
    write(project, "atlas", ATLAS)
    return project


def write(project: Project, dataset: str, text: str) -> None:
    (project.site_src / "datasets" / f"{dataset}.md").write_text(text)


def single(name: str, study: str = "atlas", joins: str = "[]") -> str:
    """Return a card of one dataset."""
    return changed(
        ("family: {name: Atlas, summary: All tissues.}\n", f"joins: {joins}\n"),
        ("members:\n", ""),
        (LUNG, ""),
        (SKIN, ""),
        ('"Atlas: {tissue}"', name),
        ("study: atlas", f"study: {study}"),
    )


def problems_together(project: Project) -> list[str]:
    with pytest.raises(CardProblems) as raised:
        load_cards(project)
    return [one.removeprefix("site_src/") for one in str(raised.value).splitlines()]


def judge(project: Project, dataset: str) -> int:
    """Let a model's card say something of a dataset; return the line."""
    path = project.site_src / "models" / "pca.md"
    text = path.read_text()
    judgement = f"leakage:\n  - {{dataset: {dataset}, class: red, reason: x, confidence: low}}\n"
    path.write_text(text.replace("hardware:", judgement + "hardware:", 1))
    return text[: text.index("hardware:")].count("\n") + 2


def test_members_are_among_the_datasets_in_the_order_of_their_ids(project: Project):
    write(project, "atlas-middle", single("Alone"))
    cards = load_cards(project)
    assert list(cards.datasets) == ["atlas-lung", "atlas-middle", "atlas-skin-of-back"]
    assert list(cards.families) == ["atlas"]
    assert cards.families["atlas"].members == (cards.datasets["atlas-lung"], cards.datasets["atlas-skin-of-back"])


def test_a_member_can_be_referred_to(project: Project):
    judge(project, "atlas-lung")
    write(project, "both", single("Both", joins="[atlas-lung, atlas-skin-of-back]"))
    assert load_cards(project).datasets["both"].joins == ["atlas-lung", "atlas-skin-of-back"]


def test_a_judgement_on_a_family_is_one_on_its_members_unless_they_have_their_own(project: Project):
    judge(project, "atlas")
    cards = load_cards(project)
    judged = cards.models["pca"]
    pca = judged.model_copy(update={"leakage": [judged.leakage[0].model_copy(update={"leakage_class": "green"})]})
    for member in ("atlas-lung", "atlas-skin-of-back"):
        found = pca.judgement(cards.datasets[member])
        assert found is not None
        assert found.dataset == "atlas"
    own = pca.leakage[0].model_copy(update={"dataset": "atlas-lung", "leakage_class": "yellow"})
    of_lung = pca.model_copy(update={"leakage": [*pca.leakage, own]})
    assert of_lung.judgement(cards.datasets["atlas-lung"]) == own
    assert of_lung.judgement(cards.datasets["atlas-skin-of-back"]).dataset == "atlas"
    red = own.model_copy(update={"dataset": "atlas", "leakage_class": "red"})
    of_red = pca.model_copy(update={"leakage": [own, red]})
    assert of_red.judgement(cards.datasets["atlas-lung"]) == red, "red before all else"


@pytest.mark.parametrize("dataset", ["atlas-lung", "atlas-skin-of-back", "atlas"])
def test_a_member_of_a_family_that_cannot_be_read_is_not_called_unknown(project: Project, dataset: str):
    judge(project, dataset)
    write(project, "atlas", changed(("version: 1", "version: one")))
    assert problems_together(project) == ['datasets/atlas.md:8: version: expected an integer, found "one"']


def test_what_is_no_member_by_its_id_is_called_unknown_all_the_same(project: Project):
    line = judge(project, "atlases-lung")
    write(project, "atlas", changed(("version: 1", "version: one")))
    assert problems_together(project) == [
        'datasets/atlas.md:8: version: expected an integer, found "one"',
        f'models/pca.md:{line}: leakage[0].dataset: unknown dataset "atlases-lung"; none is known',
    ]


def test_models_have_no_families(project: Project):
    path = project.site_src / "tasks" / "clustering.md"
    text = path.read_text()
    path.write_text(text.replace("baseline: pca", "baseline: pca-large", 1))
    line = text[: text.index("baseline: pca")].count("\n") + 1
    path = project.site_src / "models" / "pca.md"
    path.write_text(path.read_text().replace("version: 1", "version: one", 1))
    found = problems_together(project)
    assert any(one.startswith(f'tasks/clustering.md:{line}: baseline: unknown model "pca-large"') for one in found)


def test_a_family_cannot_have_the_id_of_a_dataset(project: Project):
    write(project, "big", changed(("{name: Atlas,", "{name: Big,"), ("id: lung", "id: atlas"), ("Atlas: ", "Big: ")))
    write(project, "big-atlas", changed(("{name: Atlas,", "{name: Other,"), ("Atlas: ", "Other: ")))
    assert problems_together(project) == [
        'datasets/big-atlas.md:2: "big-atlas" is the id of a family and of site_src/datasets/big.md'
    ]


def test_a_dataset_cannot_have_the_id_of_a_member(project: Project):
    write(project, "atlas-lung", single("Lungs again"))
    assert problems_together(project) == [
        'datasets/atlas.md:6: id "atlas-lung" is taken by site_src/datasets/atlas-lung.md'
    ]


def test_members_of_two_families_cannot_have_one_id(project: Project):
    write(project, "atlas-skin", changed(("id: skin-of-back", "id: of-back"), ("Atlas", "Other")))
    assert problems_together(project) == [
        'datasets/atlas.md:7: id "atlas-skin-of-back" is taken by site_src/datasets/atlas-skin.md'
    ]


def test_the_members_of_a_family_are_one_study(project: Project):
    write(project, "atlas", changed(("{licence: CC BY 4.0}", "{study: other}")))
    assert problems_together(project) == ["datasets/atlas.md:10: study: the members of a family are one study"]


def test_members_with_one_name_are_told_so_once(project: Project):
    write(project, "atlas", changed(('"Atlas: {tissue}"', "Atlas")))
    assert problems_together(project) == [
        'datasets/atlas.md:2: name: "Atlas" is also the name of site_src/datasets/atlas.md'
    ]


def test_a_missing_function_of_all_members_is_said_once(project: Project):
    source = 'source:\n  kind: file\n  url: "s3://bucket/{tissue}/{id}.h5ad"\n'
    write(project, "atlas", changed((source, 'source:\n  kind: function\n  function: "make.py:make"\n')))
    assert problems_together(project) == [
        'datasets/atlas.md:16: source.function: expected "make.py" beside the card, found no such file'
    ]


# Joins


def test_a_dataset_may_join_those_of_its_study(project: Project):
    write(project, "one", single("One"))
    write(project, "both", single("Both", joins="[one, atlas-lung]"))
    assert load_cards(project).datasets["both"].joins == ["one", "atlas-lung"]


@pytest.mark.parametrize(
    ("joins", "expected"),
    [
        (
            "[atlas-lung, atlas-lunk]",
            'joins[1]: unknown dataset "atlas-lunk"; did you mean "atlas-lung"?',
        ),
        ("[apart]", 'joins[0]: "apart" is of study "elsewhere", but this dataset says "atlas"'),
        ("[atlas-lung, both]", "joins[1]: a dataset cannot join itself"),
    ],
)
def test_joins_that_lead_nowhere_or_to_another_study(project: Project, joins: str, expected: str):
    write(project, "apart", single("Apart", study="elsewhere"))
    write(project, "both", single("Both", joins=joins))
    assert problems_together(project) == [f"datasets/both.md:4: {expected}"]


def test_a_join_with_a_card_that_cannot_be_read_is_not_called_unknown(project: Project):
    write(project, "one", single("One").replace("version: 1", "version: one"))
    write(project, "both", single("Both", joins="[one]"))
    assert problems_together(project) == ['datasets/one.md:5: version: expected an integer, found "one"']


# The families of this project


@pytest.fixture(scope="module")
def cards() -> Cards:
    return load_cards(Project(ROOT, ROOT))


@pytest.mark.parametrize(
    ("family", "n_members", "study"), [("tsv2", 26, "tabula-sapiens-v2"), ("spermatogenesis", 9, "murat-2023")]
)
def test_the_families_of_this_project_are_one_study_each(cards: Cards, family: str, n_members: int, study: str):
    members = cards.families[family].members
    assert len(members) == len({card.id for card in members}) == len({card.name for card in members}) == n_members
    assert {card.study for card in members} == {study}
    assert len({one.place for card in members for one in card.files.values()}) == n_members
    assert all(cards.datasets[card.id] is card and card.id.startswith(f"{family}-") for card in members)


def test_no_word_of_a_family_of_this_project_is_left_unfilled(cards: Cards):
    def texts(value: Any) -> list[str]:
        inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        return [value] if isinstance(value, str) else [text for one in inside for text in texts(one)]

    for family in cards.families.values():
        assert not [text for text in (family.name, family.summary, family.body) if "{" in text]
        for card in family.members:
            assert not [text for text in texts(card.model_dump(mode="json")) if "{" in text]
