"""What a task shows across its datasets agrees with the files, and says over how many it is."""

from __future__ import annotations

import re
from collections.abc import Callable
from statistics import fmean

import pytest
from scipy import stats as reference

from cellgauge.report.across import differences_figure, differences_key, losses_table, views_table
from cellgauge.report.comparison import compare_task
from cellgauge.report.numbers import significant
from cellgauge.report.release import load_release
from cellgauge.report.standing import Standings, standings
from cellgauge.report.standing_figure import figure_key, standings_figure
from cellgauge.report.standing_tables import about_ranks, standings_table
from cellgauge.report.task_pages import task_page

PBMC, OTHER, TOY = "pbmc68k-reduced", "other-blood", "toy-blood"
PRIMARY = "macro-f1@logistic-regression"


def load(release, task: str = "classification") -> Standings:
    view = load_release(release.finish(), None)
    return standings(view, compare_task(view, view.cards.tasks[task]))


@pytest.fixture
def studies(project) -> Callable[[int], list[str]]:
    """Adds cards of measured datasets, each of its own study; asked for before the release is made."""

    def add(n: int) -> list[str]:
        folder = project.source / "site_src/datasets"
        text = (folder / f"{PBMC}.md").read_text(encoding="utf-8")
        study = next(line for line in text.splitlines() if line.startswith("study: "))
        ids = [f"blood-{place}" for place in range(n)]
        for id_ in ids:
            card = text.replace(study, f"study: {id_}").replace("PBMC 68k (reduced)", id_.replace("-", " "))
            (folder / f"{id_}.md").write_text(card, encoding="utf-8")
        return ids

    return add


def test_differences_of_few_studies_are_those_of_single_datasets(other_blood, release) -> None:
    for dataset in (PBMC, OTHER, TOY):
        release.add("classification", dataset, "pca", 0.5)
        release.add("classification", dataset, "svd", 0.6)
    release.add("classification", OTHER, "nmf", 0.9)
    found = load(release)
    figure = differences_figure(found, {})
    records = {(one["model"], one["model_dataset"]): one for one in figure.data.records()}
    assert set(records) == {("svd", PBMC), ("svd", OTHER), ("nmf", OTHER)}, "simulated cells are no row"
    for (model, dataset), record in records.items():
        difference = found.comparison.on(dataset).row(model).difference
        assert (record["difference"], record["difference_low"]) == (
            significant(difference.value),
            significant(difference.low),
        )
        assert record["verdict"] == "better"
    assert [mark.id[0] for mark in figure.marks if mark.below] == ["nmf"]
    low, high = figure.span
    assert all(low < x < high for mark in figure.marks for x in mark.points), "below the line, too"
    assert "2 independent studies: the order of models is descriptive" in differences_key(found, figure)


def test_from_six_studies_on_the_mean_difference_has_a_t_interval(studies, release) -> None:
    ids = studies(6)
    release.__init__(release.project)  # there are more cards now
    values = dict(zip(ids, (0.52, 0.61, 0.55, 0.58, 0.57, 0.6), strict=True))
    for dataset, value in values.items():
        release.add("classification", dataset, "pca", 0.5, n_replicates=40)
        release.add("classification", dataset, "svd", value, n_replicates=40)
    found = load(release)
    (mark,) = differences_figure(found, {}).marks
    gains = [value - 0.5 for value in values.values()]
    expected = reference.ttest_1samp(gains, 0).confidence_interval(0.95)
    assert mark.value == pytest.approx(fmean(gains))
    assert (mark.low, mark.high) == pytest.approx((expected.low, expected.high))
    assert mark.word == "6 of 6 studies"
    table = standings_table(load_release(release.project, None), found)
    ranks = {record["model"]: (record["ranks_first"], record["ranks_last"]) for record in table.records()}
    assert ranks == {"svd": (1, 1), "pca": (2, 2)}
    assert "over 6 independent studies" in about_ranks(found)


def test_views_and_losses_are_means_of_the_files(other_blood, release) -> None:
    for dataset, shift in {PBMC: 0.0, OTHER: 0.1}.items():
        for model, value in {"pca": 0.5, "svd": 0.6}.items():
            release.add("classification", dataset, model, value + shift, scores={"macro-f1@knn": 0.2 + shift})
    release.add("classification", OTHER, "nmf", 0.9)
    found = load(release)
    rows = {one["model"]: one for one in views_table(found).records()}
    assert rows["svd"][PRIMARY] == pytest.approx(0.65)
    assert rows["svd"]["macro-f1@knn"] == pytest.approx(0.25)
    assert (rows["svd"]["datasets"], rows["nmf"]["datasets"]) == (2, 1)
    assert [row.cells[0].text for row in views_table(found).rows if row.group] == ["NMF"]
    assert losses_table(found) is None, "these results have no scores on worse data"


def test_a_loss_is_how_far_the_score_falls(other_blood, release) -> None:
    for dataset in (PBMC, OTHER):
        release.add("classification", dataset, "pca", 0.5)
    found = load(release)
    (one,) = found.models
    stressed = f"{PRIMARY}~thinned-10"
    row = one.rows[PBMC]
    score = row.score.model_copy(update={"condition": "thinned-10", "value": row.score.value - 0.2})
    assert score.key == stressed
    row.result.scores.append(score)
    (record,) = losses_table(found).records()
    assert record["loss:thinned-10"] == pytest.approx(0.2)
    assert (record["datasets"], record["loss:thinned-10_datasets"]) == (1, 1)
    assert record["loss:genes-80"] is None


def test_bug_a_model_on_one_dataset_stood_above_models_on_all(other_blood, release) -> None:
    for dataset in (PBMC, OTHER):
        release.add("classification", dataset, "pca", 0.5)
        release.add("classification", dataset, "svd", 0.6)
    release.add("classification", PBMC, "nmf", 0.95)
    release.add("classification", TOY, "raw-expression", 0.95)
    found = load(release)
    assert [one.model.id for one in found.models] == ["svd", "pca", "nmf", "raw-expression"]
    assert [one.coverage for one in found.models] == ["all", "all", "some", "none"]
    table = standings_table(load_release(release.project, None), found)
    assert [group for group, _ in table.bodies] == ["all", "some", "none"]
    figure = standings_figure(found, {})
    assert [(mark.id, mark.below) for mark in figure.marks] == [("svd", False), ("nmf", True)]
    (separator,) = figure.spec("wide").datasets["separators"]
    assert separator["_name"] == "not on all datasets"
    assert "their mean is over fewer" in figure_key(found, figure)
    assert "cannot be compared with theirs" in " ".join(found.how_ordered())
    assert "that takes 6 independent studies, and here are 2" in about_ranks(found)


def test_a_model_on_one_dataset_has_no_blank_cell(other_blood, release) -> None:
    for dataset in (PBMC, OTHER):
        for model, value in {"pca": 0.5, "svd": 0.6}.items():
            release.add("classification", dataset, model, value)
    release.add("classification", PBMC, "nmf", 0.95)
    data = standings_figure(load(release), {}).data
    assert [column.label for column in data.columns] == ["Model", "Mean skill", "Studies", "Single datasets"]
    assert len({column.key for column in data.columns}) == 4
    assert [row.cells[2].text for row in data.rows] == ["2 of 2 studies", "1 of 2 studies"]
    assert all(cell.text for row in data.rows for cell in row.cells)


def test_the_raw_score_stands_below_its_skill(release) -> None:
    for model, value in {"pca": 0.5, "svd": 0.6}.items():
        release.add("classification", PBMC, model, value)
    found = load(release)
    table = standings_table(load_release(release.project, None), found)
    assert [row.cells[2].small for row in table.rows] == ["0.600, rank 1", "0.500, rank 2"]
    assert table.records()[0][f"skill:{PBMC}_score"] == pytest.approx(0.6)


def test_a_gpu_is_named_with_its_memory(release) -> None:
    release.add("classification", PBMC, "pca", 0.5)
    release.add("classification", PBMC, "svd", 0.6)
    project, place = release.finish(), ("classification", PBMC, "svd")

    def gpu(**resources: object) -> tuple[str, dict[str, object]]:
        view = load_release(project, None)
        without = view.results[place]
        view.results[place] = without.model_copy(
            update={
                "environment": without.environment.model_copy(update={"gpu": "A GPU"}),
                "resources": without.resources.model_copy(update=resources),
            }
        )
        table = standings_table(view, standings(view, compare_task(view, view.cards.tasks["classification"])))
        column = [column.key for column in table.columns].index("gpu_memory_mb")
        assert table.rows[1].cells[column].text == "none", "the baseline ran without one"
        return table.rows[0].cells[column].text, table.records()[0]

    text, record = gpu()
    assert (text, record["gpu_memory_mb"], record["gpu_memory_mb_name"]) == ("not recorded", None, "A GPU")
    text, record = gpu(gpu_memory_mb=1234.0)
    assert (text, record["gpu_memory_mb"]) == ("1,234", 1234.0)


def test_a_table_of_many_skills_stays_light(other_blood, release, render, monkeypatch) -> None:
    """64 models on 31 datasets have to fit into a page of 250 kB."""
    for dataset in (PBMC, OTHER):
        for model, value in {"pca": 0.5, "svd": 0.6, "nmf": 0.4}.items():
            release.add("classification", dataset, model, value)
    renderer = render(release.finish())
    monkeypatch.setattr("cellgauge.report.standing_tables.MOST_LINKED", 5)
    page = task_page(renderer, renderer.view.cards.tasks["classification"])
    table = page.fragment.partition('id="standing"')[2].partition("</table>")[0]
    skills = re.findall(r"<td[^>]*>[+−]0[.][0-9]{2}</td>", table)
    assert len(skills) == 4
    assert max(map(len, skills)) < 45
    assert "data-sort" not in table
    csv = page.files["tasks/classification-standing.csv"].decode()
    assert "classification/other-blood/" in table, "the head of the column leads to what was left out"
    assert f"skill:{OTHER}_score" in csv
