"""Cards that refer to each other: every reference leads somewhere, and all problems come at once."""

import shutil
from pathlib import Path

import pytest

from cellgauge.cards import CardProblems, Project, UserError, find_project, load_cards
from cellgauge.cards.function import load_function

ROOT = Path(__file__).parents[2]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A copy of this project's cards, to be broken."""
    for kind in ("models", "datasets", "tasks", "metrics"):
        shutil.copytree(ROOT / "site_src" / kind, tmp_path / "site_src" / kind)
    (tmp_path / "generator").symlink_to(ROOT / "generator")
    (tmp_path / "mkdocs.yml").touch()
    return Project(tmp_path, tmp_path)


def edit(project: Project, card: str, before: str, after: str) -> int:
    """Replace a piece of a card that is there once or more, and return its first line."""
    path = project.site_src / f"{card}.md"
    text = path.read_text(encoding="utf-8")
    assert before in text
    path.write_text(text.replace(before, after, 1), encoding="utf-8")
    return text[: text.index(before)].count("\n") + 1


def problems_of(project: Project, **options) -> list[str]:
    with pytest.raises(CardProblems) as raised:
        load_cards(project, **options)
    return str(raised.value).splitlines()


def test_the_cards_of_this_project_are_valid():
    cards = load_cards(Project(ROOT, ROOT))
    assert {"pca", "random", "oracle"} <= set(cards.models)
    assert list(cards.models) == sorted(cards.models)


@pytest.mark.parametrize(
    ("card", "before", "after", "expected"),
    [
        ("tasks/clustering", "baseline: pca", "baseline: pcs", 'baseline: unknown model "pcs"; did you mean "pca"?'),
        (
            "models/scvi-container",
            "repeats: scvi",
            "repeats: scv1",
            'repeats: unknown model "scv1"; did you mean "scvi"?',
        ),
        (
            "models/scvi-container",
            "repeats: scvi",
            "repeats: scvi-container",
            "repeats: a model repeats one that repeats none, and not itself",
        ),
        (
            "models/scvi-container",
            "repeats: scvi",
            "repeats: pca-container",
            'repeats: a model repeats one that repeats none, and not "pca-container", which repeats "pca"',
        ),
        ("tasks/clustering", "[oracle, ", "[orakle, ", 'controls[0]: unknown model "orakle"; did you mean "oracle"?'),
        (
            "tasks/clustering",
            "primary: {metric: adjusted-rand-index}",
            "primary: {metric: adjusted-rand-indx}",
            'primary.metric: unknown metric "adjusted-rand-indx"; did you mean "adjusted-rand-index"?',
        ),
        (
            "tasks/clustering",
            "- {metric: homogeneity}",
            "- {metric: homogenity}",
            'complementary[1].metric: unknown metric "homogenity"; did you mean "homogeneity"?',
        ),
        (
            "metrics/accuracy",
            "controls: {best: [oracle], worst: [random]}",
            "controls: {best: [oracle], worst: [randon]}",
            'controls.worst[0]: unknown model "randon"; did you mean "random"?',
        ),
    ],
)
def test_a_reference_that_leads_nowhere(project: Project, card: str, before: str, after: str, expected: str):
    line = edit(project, card, before, after)
    assert f"site_src/{card}.md:{line}: {expected}" in problems_of(project)


def test_a_baseline_repeats_nothing(project: Project):
    edit(project, "models/pca", "role: baseline", "role: baseline\nrepeats: svd")
    (said,) = problems_of(project)
    assert said.endswith("repeats: only a card with role: model may repeat another; this is a baseline")


def test_a_leakage_judgement_on_an_unknown_dataset(project: Project):
    judgement = "leakage:\n  - {dataset: pbmc-68k, class: red, reason: x, confidence: low}\n"
    line = edit(project, "models/pca", "hardware:", judgement + "hardware:") + 1
    expected = 'leakage[0].dataset: unknown dataset "pbmc-68k"; did you mean "pbmc68k-reduced"?'
    assert problems_of(project) == [f"site_src/models/pca.md:{line}: {expected}"]


def test_a_baseline_that_delivers_something_else_than_the_task_needs(project: Project):
    edit(project, "models/pca", "output: embedding", "output: prediction")
    line = edit(project, "tasks/clustering", "baseline: pca", "baseline: pca")
    expected = f'clustering.md:{line}: baseline: "pca" delivers predictions, but the task needs embeddings'
    assert any(expected in problem for problem in problems_of(project))


def test_problems_of_several_cards_come_at_once(project: Project):
    edit(project, "models/pca", "version: 2", "version: one")
    edit(project, "datasets/pbmc68k-reduced", "version: 2", "version: two")
    edit(project, "tasks/clustering", "homogeneity}", "homogenity}")
    assert [problem.split(":")[0] for problem in problems_of(project)] == [
        "site_src/datasets/pbmc68k-reduced.md",
        "site_src/models/pca.md",
        "site_src/tasks/clustering.md",
    ]


def test_one_broken_card_is_not_reported_again_as_unknown(project: Project):
    edit(project, "models/pca", "version: 2", "version: one")
    assert [problem.split(" ", 1)[1] for problem in problems_of(project)] == [
        'version: expected an integer, found "one"'
    ]


def test_a_release_keeps_models_from_outside_and_the_projects_own_go_before(project: Project):
    kept = project.release("try") / "models"
    kept.mkdir(parents=True)
    card = (project.site_src / "models" / "pca.md").read_text()
    (kept / "my-pca.md").write_text(card.replace("name: PCA", "name: My PCA"))
    (kept / "pca.md").write_text(card.replace("name: PCA", "name: Not this one"))
    assert "my-pca" not in load_cards(project).models
    models = load_cards(project, "try").models
    assert models["my-pca"].name == "My PCA"
    assert models["pca"].name == "PCA"


def test_two_cards_may_not_have_one_name(project: Project):
    card = (project.site_src / "models" / "pca.md").read_text()
    (project.site_src / "models" / "twice.md").write_text(card)
    assert problems_of(project) == [
        'site_src/models/twice.md:2: name: "PCA" is also the name of site_src/models/pca.md'
    ]


def test_choosing_cards_by_id(project: Project):
    cards = load_cards(project)
    assert cards.select("models", ["random", "pca", "random"]) == ["random", "pca"]
    assert cards.select("models", []) == list(cards.models)
    with pytest.raises(UserError, match=r'^unknown model "rndom"; did you mean "random"\?$'):
        cards.select("models", ["rndom"])
    with pytest.raises(UserError, match=r'^unknown dataset "zzz"; known: .*pbmc68k-reduced'):
        cards.select("datasets", ["zzz"])


def test_the_project_is_the_nearest_folder_upwards(project: Project):
    deep = project.source / "site_src" / "models"
    assert find_project(deep) == find_project(project.source) == project


def test_no_project_anywhere(tmp_path: Path):
    try:
        packaged = find_project(tmp_path)
    except UserError as error:
        assert f"no cellgauge project at {tmp_path}" in str(error)
    else:  # a wheel carries one
        assert packaged.work == tmp_path


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("nowhere_at_all:f", 'cannot import "nowhere_at_all"'),
        ("json:lods", '"json" has no function "lods"; did you mean "loads"?'),
        ("mine.py:f", 'expected "mine.py" beside the card, found no such file'),
    ],
)
def test_a_function_that_is_not_there(tmp_path: Path, target: str, expected: str):
    with pytest.raises(UserError) as raised:
        load_function(target, tmp_path / "x.md")
    assert str(raised.value).startswith(f"{tmp_path / 'x.md'}: ")
    assert expected in str(raised.value)


def test_a_function_beside_the_card(tmp_path: Path):
    (tmp_path / "mine.py").write_text("def f():\n    return 7\n")
    assert load_function("mine.py:f", tmp_path / "x.md")() == 7


def test_reading_cards_runs_no_code_of_theirs(project: Project):
    (project.site_src / "models" / "evil.py").write_text("def f(): ...\nraise SystemExit('ran')")
    edit(project, "models/pca", "cellgauge.models.linear:pca", "evil.py:f")
    assert load_cards(project).models["pca"].obtain.function == "evil.py:f"
