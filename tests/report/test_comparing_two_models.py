"""Two models against each other: the numbers are those of the files, and the pages say no more than they show."""

from __future__ import annotations

import csv
import html
import io
import json
import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats as reference

from cellgauge.report.compare import MOST_LISTED, compare_works
from cellgauge.report.compare_table import Sides, _ratio, pair_table
from cellgauge.report.page import Page
from cellgauge.report.pairs import ModelPair
from cellgauge.report.stage import stage
from cellgauge.report.tables import Cell
from cellgauge.stats.jackknife import paired_jackknife, superiority_jackknife
from cellgauge.stats.paired import superiority

BLOOD, TOY = "pbmc68k-reduced", "toy-blood"


@pytest.fixture
def pair_of(render) -> Callable[..., ModelPair]:
    """Returns how two models of a project compare."""
    return lambda project, first, second: render(project).pairs[first, second]


def replicates(project, task, dataset, model, key):
    folder = project.release("trial") / task / dataset
    keys = [
        score["metric"] + (f"@{score['view']}" if score["view"] else "")
        for score in json.loads((folder / f"{model}.json").read_text(encoding="utf-8"))["scores"]
    ]
    return np.load(folder / f"{model}.npy")[keys.index(key)].astype(float)


def value(project, task, dataset, model, key):
    scores = json.loads((project.release("trial") / task / dataset / f"{model}.json").read_text(encoding="utf-8"))
    return next(s["value"] for s in scores["scores"] if s["metric"] + (f"@{s['view']}" if s["view"] else "") == key)


def test_differences_and_superiority_are_those_of_the_files(release, render):
    for model, score in {"nmf": 0.505, "svd": 0.5, "pca": 0.4}.items():
        release.add("clustering", BLOOD, model, score)
        release.add("embedding", BLOOD, model, 1 - score)
    project = release.finish()
    seen = 0
    for pair in render(project).pairs.values():
        for row in pair.rows:
            task, key = row.comparison.task.id, row.comparison.task.primary.key
            ours, theirs = (replicates(project, task, BLOOD, one.id, key) for one in (pair.first, pair.second))
            differences = ours - theirs
            expected = np.quantile(differences, [0.025, 0.975])
            values = [value(project, task, BLOOD, one.id, key) for one in (pair.first, pair.second)]
            assert row.difference.value == pytest.approx(values[0] - values[1], abs=1e-12)
            assert [row.difference.low, row.difference.high] == pytest.approx(expected, abs=2e-3)
            share = ((differences > 0) + 0.5 * (differences == 0)).mean()
            assert row.superiority == pytest.approx(share, abs=1e-12)
            seen += 1
    assert seen == 6


def test_lower_is_better_turns_difference_and_superiority(release, edit, pair_of):
    metric = release.cards.tasks["clustering"].primary.metric
    edit(f"site_src/metrics/{metric}.md", "direction: higher", "direction: lower")
    release.__init__(release.project)  # the cards have changed
    release.add("clustering", BLOOD, "nmf", 0.4)
    release.add("clustering", BLOOD, "svd", 0.6)
    (row,) = pair_of(release.finish(), "nmf", "svd").rows
    assert row.difference.value == pytest.approx(0.2)
    assert (row.superiority, row.word) == (1.0, "better")


def test_ties_count_half():
    assert superiority(np.array([1.0, 2, 3, 4]), np.array([[1.0, 1, 4, 4]]), 1) == [0.5]
    assert superiority(np.array([1.0, 2, 3, 4]), np.array([[1.0, 1, 3, 4]]), 1) == [0.625]
    assert superiority(np.array([1.0, 2, 3, 4]), np.array([[1.0, 1, 3, 4]]), -1) == [0.375]
    with pytest.raises(ValueError, match="cannot be paired"):
        superiority(np.ones(2), np.ones((1, 3)), 1)


def test_superiority_of_groups_is_the_mass_of_the_t_distribution():
    rng = np.random.default_rng(3)
    ours, theirs = rng.normal(0.51, 0.01, (8, 1)), rng.normal(0.5, 0.01, (8, 1))
    one, other = ours.mean(axis=0), theirs.mean(axis=0)
    difference = paired_jackknife(one, other, ours, theirs, 8, level=0.95, sign=1)
    error = (difference.high - difference.value) / reference.t.ppf(0.975, 7)
    assert superiority_jackknife(difference) == pytest.approx(reference.t.cdf(difference.value / error, 7))
    turned = paired_jackknife(one, other, ours, theirs, 8, level=0.95, sign=-1)
    assert superiority_jackknife(turned) == pytest.approx(1 - superiority_jackknife(difference))
    same = paired_jackknife(one, one, ours, ours, 8, level=0.95, sign=1)
    assert superiority_jackknife(same) == 0.5


def test_words_are_adjusted_over_the_rows_of_the_page(release, pair_of):
    """Each row's p-value alone would count; times the number of rows it does not."""
    tasks = ("clustering", "classification", "embedding")
    for task in tasks:
        for model in ("nmf", "svd"):
            release.add(task, BLOOD, model, 0.5 + 0.022 * (model == "svd"), noise=0.0075)
    pair = pair_of(release.finish(), "nmf", "svd")
    p_values = np.array([row.difference.p for row in pair.rows])
    order = np.argsort(p_values)
    adjusted = np.empty(3)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p_values[order] * [3, 2, 1]))
    assert [row.adjusted_p for row in pair.rows] == pytest.approx(list(adjusted))
    for row in pair.rows:
        apart = row.adjusted_p <= 0.05 and row.difference.high < 0
        assert (row.word == "worse") == apart


def test_simulated_data_stand_apart_and_change_no_word(release, pair_of):
    for model in ("nmf", "svd"):
        release.add("clustering", BLOOD, model, 0.5)
        release.add("clustering", TOY, model, 0.9 if model == "nmf" else 0.2)
    pair = pair_of(release.finish(), "nmf", "svd")
    assert [(row.kind, row.word) for row in pair.rows] == [("measured", "not separated"), ("simulated", "better")]
    assert pair.verdict().sentence == (
        "NMF and Truncated SVD could not be told apart on PBMC 68k (reduced) in cell clustering."
    )
    assert "1 more on simulated data shown apart and not counted" in pair.verdict().basis
    assert "1 independent study, descriptive" in pair.verdict().basis
    table = pair_table(pair, Sides())
    assert [group for group, _ in table.bodies] == ["", "simulated"]


def test_a_verdict_names_places(release, pair_of):
    for task, nmf in {"clustering": 0.9, "embedding": 0.1}.items():
        release.add(task, BLOOD, "nmf", nmf)
        release.add(task, BLOOD, "svd", 0.5)
    assert pair_of(release.finish(), "nmf", "svd").verdict().sentence == (
        "NMF is better than Truncated SVD in cell clustering; worse in embedding quality (on PBMC 68k (reduced))."
    )


@pytest.fixture
def batches(release, edit):
    """A release whose measured dataset has batches, so that integration is guarded there."""
    assert release.cards.tasks["batch-integration"].guard is not None
    return release


def test_a_gain_that_may_cost_what_is_guarded_is_in_doubt_for_either(batches, render, pair_of):
    guard = batches.cards.tasks["batch-integration"].guard
    batches.add("batch-integration", BLOOD, "nmf", 0.9, scores={guard.key: 0.3})
    batches.add("batch-integration", BLOOD, "svd", 0.5, scores={guard.key: 0.8})
    batches.add("batch-integration", BLOOD, "raw-expression", 0.95, scores={guard.key: 0.8})
    project = batches.finish()
    words = {ids: pair.rows[0].word for ids, pair in render(project).pairs.items()}
    assert words == {
        ("nmf", "raw-expression"): "worse",
        ("nmf", "svd"): "better, in doubt",
        ("raw-expression", "svd"): "better",
    }
    pair = pair_of(project, "nmf", "svd")
    assert pair.rows[0].guarded.value == pytest.approx(-0.5)
    assert "a gain of NMF is in doubt" in pair.verdict().sentence
    batches.add("batch-integration", BLOOD, "svd", 0.97, scores={guard.key: 0.1})
    assert pair_of(batches.finish(), "nmf", "svd").rows[0].word == "worse, in doubt"


def test_controls_and_what_shares_no_resamples_are_not_compared(release, render):
    for model in ("pca", "oracle", "random"):
        release.add("clustering", BLOOD, model, 0.5)
    release.add("clustering", BLOOD, "svd", 0.9, stream="another")
    release.add("embedding", BLOOD, "nmf", 0.9)
    pairs = render(release.finish()).pairs
    assert list(pairs) == [("pca", "svd")], "no control, and no pair without a common task"
    (row,) = pairs["pca", "svd"].rows
    assert (row.word, row.note) == (None, "they were not evaluated on the same resamples")
    assert "cannot be compared on any common dataset" in pairs["pca", "svd"].verdict().sentence


def test_bug_two_models_of_one_table_that_share_no_dataset_had_no_page(other_blood, release, render):
    for dataset, models in {BLOOD: ("pca", "nmf"), "other-blood": ("pca", "svd")}.items():
        for model in models:
            release.add("clustering", dataset, model, 0.5)
    release.add("embedding", BLOOD, "nmf", 0.5)
    renderer = render(release.finish())
    pair = renderer.pairs["nmf", "svd"]
    assert pair.rows == ()
    assert [one.comparison.task.id for one in pair.apart] == ["clustering"], "only one of them has embeddings"
    page = next(page for page in draw(renderer) if page.path == pair.path)
    assert "NMF and Truncated SVD were never scored on the same dataset" in page.fragment
    (row,) = csv.DictReader(io.StringIO(page.files["compare/nmf--svd.csv"].decode()))
    assert row == {"task": "clustering", "first": BLOOD, "second": "other-blood"}
    assert "PBMC 68k (reduced)" in page.fragment
    assert "Other blood" in page.fragment
    assert renderer.pairs["nmf", "pca"].apart == ()


def test_page_and_csv_are_one_table(release, render):
    for model, score in {"nmf": 0.9, "svd": 0.5}.items():
        for dataset in (BLOOD, TOY):
            release.add("clustering", dataset, model, score)
    project = release.finish()
    page = next(page for page in draw(render(project)) if page.path == "compare/nmf--svd/")
    records = list(csv.DictReader(io.StringIO(page.files["compare/nmf--svd.csv"].decode())))
    shown = re.findall(r"[+−]\d\.\d{3}(?=<small>)", page.fragment)
    assert shown == [f"{float(one['difference']):+.3f}".replace("-", "−") for one in records]
    circles = [float(x) for x in re.findall(r'<circle cx="([\d.]+)"', page.fragment)]
    scale = max(abs(float(records[0][f"difference{end}"])) for end in ("", "_low", "_high"))
    assert circles == pytest.approx([80 + 76 * float(one["difference"]) / scale for one in records], abs=0.06)
    assert [one["kind"] for one in records] == ["measured", "simulated"]
    assert float(records[0]["superiority"]) == 1.0
    assert "&gt; 99.9 %" in page.fragment, "what no resample contradicts is still not certain"


@pytest.mark.parametrize(
    ("ours", "theirs", "text"),
    [(30, 2, "15 ×"), (1, 2, "0.50 ×"), (1, 10, "0.10 ×"), (0.67, 126.06, "0.0053 ×"), (0, 3, "0.00 ×")],
)
def test_a_small_ratio_keeps_two_digits(ours, theirs, text):
    """A bug: a model that needed a thousandth of the memory needed 0.00 times as much."""
    assert _ratio([Cell("", (ours,)), Cell("", (theirs,))], same_machine=True).text == text


def test_memory_that_is_next_to_nothing_has_no_ratio():
    for ours, theirs in ((0, 1), (132, 1), (9.9, 500)):
        cell = _ratio([Cell("", (ours,)), Cell("", (theirs,))], same_machine=True, least=10)
        assert (cell.text, cell.raw, cell.small) == ("–", (None,), "too small to compare")
    assert _ratio([Cell("", (20,)), Cell("", (10,))], same_machine=True, least=10).text == "2.00 ×"


def test_a_cost_that_is_the_same_for_every_task_stands_once(release, render):
    for task in ("clustering", "embedding"):
        for model in ("nmf", "svd"):
            release.add(task, BLOOD, model, 0.5)
    for model in ("nmf", "svd"):
        release.add("clustering", TOY, model, 0.5)
    page = next(page for page in draw(render(release.finish())) if page.path == "compare/nmf--svd/")
    cost = page.fragment.partition('id="cost"')[2].partition("</table>")[0]
    assert cost.count('<th scope="row"') == 2
    assert "<small>Cell clustering and Embedding quality</small>" in cost


def test_pairs_of_simulated_data_alone_are_marked(release, render):
    for model in ("nmf", "svd"):
        release.add("clustering", TOY, model, 0.5)
    release.add("clustering", BLOOD, "svd", 0.5)
    release.add("clustering", BLOOD, "pca", 0.5)
    index = next(page for page in draw(render(release.finish())) if page.path == "compare/").fragment
    assert index.count("simulated data only") == 1
    assert re.search(r'nmf--svd/">NMF and Truncated SVD</a> <span[^>]*>simulated data only<', index)


def test_costs_of_different_machines_have_no_ratio(release, pair_of):
    for model in ("nmf", "svd"):
        release.add("clustering", BLOOD, model, 0.5)
    project = release.finish()
    pair = pair_of(project, "nmf", "svd")
    costs = {"embedding_wall_s": 3.0, "n_embeddings": 2, "peak_memory_mb": 400.0}
    same = measured(pair, resources=costs)
    (record,) = pair_table(same, Sides()).records()
    assert (record["first_seconds"], record["second_seconds"], record["memory_ratio"]) == (None, 1.5, 812 / 400)
    assert record["seconds_ratio"] is None, "how many embeddings the first time covers was not recorded"
    assert record["machine"] == "a CPU"
    (record,) = pair_table(measured(pair, resources=costs, environment={"cpu": "another CPU"}), Sides()).records()
    assert (record["second_seconds"], record["memory_ratio"]) == (1.5, None)
    assert (record["machine"], record["machine_second"]) == ("a CPU", "another CPU")


def measured(pair: ModelPair, **changes) -> ModelPair:
    """Return a pair whose second result cost something else."""
    (row,) = pair.rows
    result = row.second.result
    parts = {name: getattr(result, name).model_copy(update=values) for name, values in changes.items()}
    return replace(pair, rows=(replace(row, second=replace(row.second, result=result.model_copy(update=parts))),))


def draw(renderer) -> list[Page]:
    return [work() for work in compare_works(renderer)]


def many_models(project, count: int) -> list[str]:
    """Copy a model's card until there are many."""
    card = (project.site_src / "models/svd.md").read_text(encoding="utf-8")
    ids = [f"pretrained-model-number-{i:03}" for i in range(count)]
    for i, id_ in enumerate(ids):
        text = card.replace("name: Truncated SVD", f"name: A pretrained model with a long name, number {i}")
        (project.site_src / f"models/{id_}.md").write_text(text, encoding="utf-8")
    return ids


def test_pages_stay_light_with_many_models(project, release, render):
    ids = many_models(project, 60)
    release.__init__(project)  # there are more cards now
    for id_ in ids:
        release.add("clustering", BLOOD, id_, 0.5, n_replicates=40)
    pages = {page.path: page for page in draw(render(release.finish()))}
    n_pairs = 60 * 59 // 2
    assert n_pairs > MOST_LISTED
    assert len(pages) == 1 + 60 + n_pairs
    heaviest = max(len(page.fragment.encode()) for page in pages.values())
    assert heaviest < 60_000
    assert not any(page.searchable for path, page in pages.items() if path != "compare/")
    linked = set(re.findall(r'href="\.\./\.\./(compare/[^"]+--[^"]+/)"', pages[f"compare/{ids[7]}/"].fragment))
    assert len(linked) == 59
    assert linked <= set(pages)


@pytest.mark.site
def test_pairs_are_reached_and_not_searched(built, site, render):
    project, _ = built
    pairs = render(project).pairs
    assert pairs
    index = json.loads((site / "search/search_index.json").read_text(encoding="utf-8"))["docs"]
    found = {doc["location"].partition("#")[0] for doc in index}
    assert "compare/" in found
    assert not any("--" in place for place in found)
    for (first, second), pair in pairs.items():
        text = (site / pair.path / "index.html").read_text(encoding="utf-8")
        assert html.escape(pair.verdict().sentence, quote=False) in text
        assert f"/compare/{first}/" in text
        assert f'href="../../compare/{first}--{second}/"' in (site / f"compare/{first}/index.html").read_text("utf-8")
    leaderboard = (site / "tasks/clustering/index.html").read_text(encoding="utf-8")
    ids = set(re.findall(r'data-model="([^"]+)"', leaderboard))
    assert ids == {"nmf", "pca", "raw-expression", "svd"}, "controls cannot be chosen"
    assert 'data-compare="../../compare/"' in leaderboard


@pytest.mark.site
def test_two_rows_of_a_leaderboard_lead_to_their_page(page, address):
    page.goto(address + "tasks/clustering/")
    page.get_by_label("Choose Truncated SVD for a comparison").first.check()
    page.get_by_label("Choose NMF for a comparison").first.check()
    link = page.get_by_role("link", name=re.compile("^Compare .* with "))
    assert link.inner_text() == "Compare Truncated SVD with NMF"
    assert "/compare/nmf--svd/" in link.evaluate("e => e.href")
    assert page.get_by_label("Choose PCA for a comparison").first.is_disabled(), "a third has no place"


def test_cards_alone_have_nothing_to_compare(project):
    assert "There is nothing to compare yet" in stage(project, None).fragment("compare/")
