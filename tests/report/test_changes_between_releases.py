"""What moved between two releases is told with its interval and its cause; what is noise is called so."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
from collections.abc import Callable

import numpy as np
import pytest
from click.testing import CliRunner

from cellgauge.cards import Project, UserError, load_cards
from cellgauge.cli import main
from cellgauge.report.changes import Changes, changes_between
from cellgauge.report.changes_in_words import lines
from cellgauge.report.stage import stage
from cellgauge.results.freeze import freeze
from cellgauge.results.manifest import previous_release
from cellgauge.results.store import read_release, read_replicates, seal, to_json, write_result
from cellgauge.stats.rule import RULE

from .conftest import ReleaseBuilder

BLOOD = "pbmc68k-reduced"


def builder(project: Project, name: str) -> ReleaseBuilder:
    """Begin a release whose protocol is registered."""
    one = ReleaseBuilder(project, name)
    one.protocol = one.register()
    return one


@pytest.fixture
def first(project: Project) -> ReleaseBuilder:
    one = builder(project, "first")
    for model in ("pca", "svd"):
        one.add("clustering", BLOOD, model, 0.5)
    return one


@pytest.fixture
def compare(project: Project) -> Callable[[], Changes]:
    return lambda: changes_between(project.release("first"), project.release("second"))


def test_results_that_are_the_same_have_not_moved(project, first, compare):
    second = builder(project, "second")
    for model in ("pca", "svd"):
        second.add("clustering", BLOOD, model, 0.5)
    found = compare()
    assert (found.n_same, found.moves, found.endings, found.added, found.removed) == (2, (), (), (), ())
    assert found.n_scores == 2 * len(first.cards.tasks["clustering"].scores)


def test_a_move_on_the_same_resamples_has_their_paired_interval(project, first, compare):
    was = first.add("clustering", BLOOD, "svd", 0.5)
    now = builder(project, "second").add("clustering", BLOOD, "svd", 0.53, noise=0.012)
    moves = {one.score: one for one in compare().moves}
    assert set(moves) == {score.key for score in now.scores}
    for place, score in enumerate(now.scores):
        pairs = [read_replicates(project.release(one.release), one)[place].astype(float) for one in (was, now)]
        low, high = np.percentile(pairs[1] - pairs[0], [2.5, 97.5])
        move = moves[score.key]
        assert (move.low, move.high) == pytest.approx((low, high), abs=1e-6)
        assert move.difference == pytest.approx(0.03)
        assert move.inside_noise == (low <= 0 <= high)
        assert not move.inside_noise


def test_a_move_on_other_resamples_has_the_interval_of_two_independent_scores(project, first, compare):
    was = first.add("clustering", BLOOD, "svd", 0.5)
    now = builder(project, "second").add("clustering", BLOOD, "svd", 0.53, stream="other")
    move = compare().moves[0]
    halves = [(one.scores[0].interval.high - one.scores[0].interval.low) / 2 for one in (was, now)]
    half = float(np.sqrt(np.square(halves).sum()))
    assert (move.low, move.high) == pytest.approx((0.03 - half, 0.03 + half))
    assert move.inside_noise


def test_groups_that_were_left_out_are_paired_as_well(project, first, compare):
    deviations = np.random.default_rng(0).normal(0, 0.01, size=(8, 5))
    first.add_jackknife("clustering", BLOOD, "svd", 0.5, deviations)
    builder(project, "second").add_jackknife("clustering", BLOOD, "svd", 0.51, deviations)
    (move,) = [one for one in compare().moves if one.model == "svd"]
    assert (move.low, move.high) == pytest.approx((0.01, 0.01), abs=1e-6), "each group moved alike"
    assert move.inside_noise is False


@pytest.mark.parametrize(
    ("path", "old", "new", "cause"),
    [
        ("models/svd.md", "version: 1", "version: 2", "model revision 1 → 2"),
        ("tasks/clustering.md", "resolution: 1.0", "resolution: 0.9", "protocol of the task"),
        ("tasks/clustering.md", "seeds: [42, ", "seeds: [41, ", "seeds only"),
        ("metrics/adjusted-rand-index.md", "version: 1", "version: 2", "metric version 1 → 2"),
        (f"datasets/{BLOOD}.md", "version: 2", "version: 3", "dataset 2 → 3"),
        ("models/svd.md", "summary: ", "summary: Reworded. ", "nothing that is recorded"),
    ],
)
def test_the_cause_of_a_move_is_named(project, first, compare, edit, path: str, old: str, new: str, cause: str):
    edit(f"site_src/{path}", old, new)
    second = builder(project, "second")
    second.add("clustering", BLOOD, "svd", 0.6)
    primary = second.cards.tasks["clustering"].primary.key
    (move,) = [one for one in compare().moves if one.score == primary]
    assert move.causes == (cause,)


def test_seeds_that_changed_beside_the_rule_and_a_metric_are_seeds_only(project, first, compare, edit, monkeypatch):
    edit("site_src/tasks/clustering.md", "seeds: [42, ", "seeds: [41, ")
    edit("site_src/metrics/adjusted-rand-index.md", "version: 1", "version: 2")
    monkeypatch.setitem(RULE, "version", 99)
    second = builder(project, "second")
    second.add("clustering", BLOOD, "svd", 0.6)
    primary = second.cards.tasks["clustering"].primary.key
    (move,) = [one for one in compare().moves if one.score == primary]
    assert move.causes == ("metric version 1 → 2", "seeds only")


def test_a_version_of_a_task_alone_is_not_seeds_only(project, first, compare, edit):
    edit("site_src/tasks/clustering.md", "  version: 2", "  version: 3")
    builder(project, "second").add("clustering", BLOOD, "svd", 0.6)
    assert compare().moves[0].causes == ("protocol of the task 2 → 3",)


def test_code_and_software_are_causes_too(project, first, compare):
    second = builder(project, "second")
    made = json.loads(to_json(second.add("clustering", BLOOD, "svd", 0.6)))
    replicates = (project.release("second") / f"clustering/{BLOOD}/svd.npy").read_bytes()
    changed = {**made["environment"], "packages": {**made["environment"]["packages"], "numpy": "2.9.9"}}
    write_result(second.folder, seal({**made, "key": "sha256:" + "b" * 64, "environment": changed}), replicates)
    was = made["environment"]["packages"]["numpy"]
    assert compare().moves[0].causes == ("code of the task or the model", f"software: numpy {was} → 2.9.9")


def test_what_came_went_and_ended_otherwise(project, first, compare):
    second = builder(project, "second")
    second.add_empty("clustering", BLOOD, "svd", "timeout", "600 s")
    second.add("clustering", BLOOD, "nmf", 0.4)
    found = compare()
    assert found.added == (("clustering", BLOOD, "nmf"),)
    assert found.removed == (("clustering", BLOOD, "pca"),)
    (ending,) = found.endings
    assert (ending.model, ending.before, ending.after, ending.reason) == ("svd", "done", "timeout", "600 s")
    said = list(lines(found))
    assert said[0].startswith("first → second: 1 result in both, 1 added, 1 removed, 1 ended otherwise; 0 of 0 scores")
    assert f"clustering × {BLOOD} × svd: done → timeout (600 s); nothing that is recorded" in said


def test_the_command_prints_moves_beyond_noise_first_and_json(project, first):
    second = builder(project, "second")
    second.add("clustering", BLOOD, "pca", 0.501, stream="other")
    second.add("clustering", BLOOD, "svd", 0.9)
    words = ["--project", str(project.source), "diff", "first", "second"]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0
    said = result.output.splitlines()
    n_scores = len(load_cards(project).tasks["clustering"].scores)
    assert said[0].endswith(f"{2 * n_scores} of {2 * n_scores} scores moved, {n_scores} beyond noise")
    assert all("× svd, " in line and "inside noise" not in line for line in said[1 : n_scores + 1])
    assert all("× pca, " in line and ", inside noise)" in line for line in said[n_scores + 1 :])
    document = json.loads(CliRunner().invoke(main, [*words, "--json"]).output)
    assert {one["inside_noise"] for one in document["moves"] if one["model"] == "svd"} == {False}


def test_bug_a_certain_move_that_is_too_small_to_matter_was_shown_as_any_other(project, first, compare):
    """The protocol of clustering says that a difference of its primary score below 0.02 does not matter."""
    first.add("clustering", BLOOD, "svd", 0.5, noise=0.0002)
    second = builder(project, "second")
    second.add("clustering", BLOOD, "pca", 0.9)
    second.add("clustering", BLOOD, "svd", 0.505, noise=0.0002)
    second.finish()
    primary = second.cards.tasks["clustering"].primary.key
    found = compare()
    assert [one.score for one in found.moves if one.is_too_small] == [primary]
    moves = {(one.model, one.score): one for one in found.moves}
    assert moves["svd", primary].relevant == 0.02
    assert moves["svd", primary].inside_noise is False
    assert not moves["pca", primary].is_too_small
    assert found.ordered[-1] == moves["svd", primary], "it comes after those that matter"
    said = list(lines(found))
    assert said[0].endswith(f"{len(found.moves)} beyond noise (1 by less than matters)")
    assert "less than 0.02, which is too small to matter)" in said[-1]
    assert sum("too small" in line for line in said) == 1


def test_a_release_that_is_not_there_is_said(project, first):
    with pytest.raises(UserError, match="no such release"):
        changes_between(project.release("first"), project.release("third"))


def test_a_release_shows_what_changed_since_the_one_before(project, first):
    first.finish()
    freeze(project, load_cards(project), "first", day=dt.date(2026, 11, 1))
    second = builder(project, "second")
    second.add("clustering", BLOOD, "pca", 0.501, stream="other")
    second.add("clustering", BLOOD, "svd", 0.9)
    second.add("clustering", BLOOD, "nmf", 0.4)
    second.add_empty("clustering", "toy-blood", "svd", "timeout", "600 s")
    second.finish()
    page = next(page for page in stage(project, "second").pages if page.path == "changes/")
    n_scores = len(second.cards.tasks["clustering"].scores)
    said = f"2 evaluations added, 0 removed, 0 ended otherwise; {2 * n_scores} of {2 * n_scores} scores that both have "
    assert said + f"moved, {n_scores} of them beyond noise." in " ".join(page.fragment.split())
    rows = list(csv.DictReader(io.StringIO(page.files["changes/scores.csv"].decode())))
    assert [row["model"] for row in rows] == ["svd"] * n_scores + ["pca"] * n_scores
    assert float(rows[0]["difference"]) == pytest.approx(0.4)
    assert page.fragment.count('class="n t-control"') == 3 * n_scores, "what is noise is grey"
    none = next(page for page in stage(project, "first").pages if page.path == "changes/")
    assert "There is no release before this one." in none.fragment


def test_a_release_is_compared_with_the_one_it_corrects_or_the_newest_before_it(project, first):
    first.finish()
    freeze(project, load_cards(project), "first", day=dt.date(2026, 11, 1))
    for name, day in (("second", 5), ("third", 9)):
        other = builder(project, name)
        other.add("clustering", BLOOD, "pca", 0.5)
        other.finish()
        more = {"corrects": "first", "because": "a wrong split"} if name == "third" else {}
        freeze(project, load_cards(project), name, day=dt.date(2026, 11, day), **more)
    later = builder(project, "later")
    found = {name: previous_release(project, read_release(project.release(name))) for name in ("first", "second")}
    assert found == {"first": None, "second": "first"}
    assert previous_release(project, read_release(project.release("third"))) == "first"
    assert previous_release(project, read_release(later.folder)) == "third"
    measured = ReleaseBuilder(project, "measured", rehearsal=False)
    assert previous_release(project, read_release(measured.folder)) is None, "rehearsals are not compared with others"
