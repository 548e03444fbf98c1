"""Any reader can recompute every interval and every difference from a result's two files, with numpy alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cellgauge.report.comparison import compare_task
from cellgauge.report.leaderboard import leaderboard
from cellgauge.report.numbers import significant
from cellgauge.report.release import load_release
from cellgauge.runner.execute import execute
from cellgauge.runner.plan import Filters, pairs_to_run, save_plan
from cellgauge.runner.steps import Context

TASKS = ["classification", "clustering", "embedding"]
ROUNDING = 2e-7  # replicates are kept in single precision


@pytest.fixture(params=TASKS)
def evaluated(request: pytest.FixtureRequest, tiny, in_process) -> tuple[Any, str]:
    """A model and the baseline, scored on cells whose types overlap, so that no score is at its bound."""
    task = request.param
    tiny.dataset(labels="abcdef")
    tiny.model("good")
    card = tiny.folder / f"site_src/tasks/{task}.md"
    text = card.read_text()
    assert "replicates: 4000" in text
    assert "seeds: [42, 43, 44, 45, 46]" in text
    text = text.replace("replicates: 4000", "replicates: 300").replace("n_trees: 100", "n_trees: 10")
    card.write_text(text.replace("seeds: [42, 43, 44, 45, 46]", "seeds: [42, 43]"))
    cards = tiny.cards()
    filters = Filters(["good", "pca"], ["tiny"], [task])
    plan = save_plan(tiny.project, cards, "r", filters, rehearsal=True)
    pairs = pairs_to_run(tiny.project.release("r"), plan, filters)
    context = Context(tiny.project, cards, "r", False, tiny.cache)
    assert dict(execute(context, pairs, in_process(), lambda event: None)) == {"done": 2}
    return tiny.project, task


def files_of(folder: Path, task: str, model: str) -> tuple[dict[str, Any], np.ndarray]:
    """What a reader downloads: one JSON file, and beside it the replicates, a row for each score."""
    place = folder / task / "tiny"
    result = json.loads((place / f"{model}.json").read_text())
    return result, np.load(place / result["replicates"]["file"], allow_pickle=False)


def percentiles(replicates: np.ndarray, level: float) -> np.ndarray:
    return np.quantile(replicates.astype(float), [(1 - level) / 2, (1 + level) / 2])


def name_of(score: dict[str, Any]) -> str:
    return score["metric"] + (f"@{score['view']}" if score["view"] else "")


def test_every_interval_is_that_of_the_stored_replicates(evaluated) -> None:
    project, task = evaluated
    for model in ("good", "pca"):
        result, rows = files_of(project.release("r"), task, model)
        assert rows.shape == (len(result["scores"]), 300)
        with_width = 0
        for score, row in zip(result["scores"], rows, strict=True):
            assert score["value"] == pytest.approx(np.mean(score["by_seed"]), abs=1e-12)
            stored = [score["interval"]["low"], score["interval"]["high"]]
            # Ends beyond what a metric can be are cut, as the page on methods says; these metrics end at 1.
            expected = np.minimum(percentiles(row, score["interval"]["level"]), 1)
            np.testing.assert_allclose(stored, expected, atol=ROUNDING, err_msg=name_of(score))
            with_width += stored[1] - stored[0] > 0.01
        assert with_width == len(rows)


def test_the_difference_to_the_baseline_is_that_of_the_stored_replicates_one_by_one(evaluated) -> None:
    project, task = evaluated
    (result, rows), (base, base_rows) = (files_of(project.release("r"), task, one) for one in ("good", "pca"))
    assert result["replicates"]["stream"] == base["replicates"]["stream"], "the same resamples for both"
    names, base_names = ([name_of(score) for score in one["scores"]] for one in (result, base))
    view = load_release(project, "r")
    comparison = compare_task(view, view.cards.tasks[task])
    row = comparison.on("tiny").row("good")
    record = next(one for one in leaderboard(view, comparison).records() if one["model"] == "good")
    shown = {comparison.task.primary.key: (row.difference, "difference")}
    for name, difference in row.in_views.items():
        shown[f"{comparison.metric.id}@{name}"] = (difference, f"difference@{name}")
    assert len(shown) == {"classification": 3, "clustering": 2, "embedding": 1}[task]
    for key, (difference, column) in shown.items():
        one, other = names.index(key), base_names.index(key)
        score, reference = result["scores"][one], base["scores"][other]
        sign = 1 if score["direction"] == "higher" else -1
        value = sign * (score["value"] - reference["value"])
        pairs = sign * (rows[one].astype(float) - base_rows[other].astype(float))
        low, high = percentiles(pairs, score["interval"]["level"])
        found = (difference.value, difference.low, difference.high)
        assert found == pytest.approx((value, low, high), abs=ROUNDING), key
        assert (record[column], record[f"{column}_low"], record[f"{column}_high"]) == tuple(map(significant, found))
        apart = percentiles(rows[one], 0.95), percentiles(base_rows[other], 0.95)
        assert high - low < np.ptp(apart[0]) + np.ptp(apart[1]), "paired, and not one interval less the other"
