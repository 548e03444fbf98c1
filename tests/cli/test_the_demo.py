"""The demo's own evaluations, on the real cells: what its pages rest on."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cellgauge.cards import Project, load_cards
from cellgauge.results.store import read_results

REPOSITORY = Path(__file__).parents[2]
MODELS = {"nmf", "oracle", "pca", "random", "raw-expression", "svd"}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory, keep_light_models: Callable[[Path], None]) -> Project:
    folder = tmp_path_factory.mktemp("demo")
    for kind in ("models", "datasets", "tasks", "metrics"):
        shutil.copytree(REPOSITORY / "site_src" / kind, folder / "site_src" / kind)
    keep_light_models(folder)
    (folder / "mkdocs.yml").touch()
    command = [sys.executable, "-m", "cellgauge", "run", "--release", "demo", "--dataset", "pbmc68k-reduced", "--json"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["computed"] == {"done": 18}
    return Project(folder, folder)


@pytest.mark.slow
def test_six_models_have_scores_on_three_tasks(demo: Project) -> None:
    results = list(read_results(demo.release("demo")))
    assert {result.model.id for result in results} == MODELS
    assert {result.task.id for result in results} == {"clustering", "embedding", "classification"}
    for result in results:
        assert len(result.seeds) > 1
        for score in result.scores:
            assert score.interval.low <= score.value <= score.interval.high, (result.model.id, score.key)


@pytest.mark.slow
def test_the_controls_are_best_and_worst_where_the_metric_cards_say_so(demo: Project) -> None:
    cards = load_cards(demo)
    by_score: dict[tuple[str, str], dict[str, float]] = {}
    for result in read_results(demo.release("demo")):
        for score in result.scores:
            if score.condition is None:  # controls are not shown worse data
                by_score.setdefault((score.metric, score.key), {})[result.model.id] = score.value
    checked = 0
    for (metric, key), values in by_score.items():
        expected = cards.metrics[metric].controls
        sign = 1 if cards.metrics[metric].direction == "higher" else -1
        ranked = sorted(values, key=lambda model: sign * values[model])
        assert ranked[-1] in expected.best, key
        if expected.worst:
            assert ranked[0] in expected.worst, key
            checked += 1
    assert checked >= 20
