"""Maps: a sample of cells, the same for all models, laid out so that neighbours stay neighbours; no score needs one."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cellgauge.data.dataset import Dataset
from cellgauge.results.maps import MOST_CELLS, SPAN, EmbeddingMap, map_path, read_map
from cellgauge.results.store import read_results
from cellgauge.runner.execute import Event, execute
from cellgauge.runner.layout import plane_layout
from cellgauge.runner.mapping import LEAST_OF_A_TYPE, on_whole_numbers, sample_cells
from cellgauge.runner.maps import maps_to_make
from cellgauge.runner.plan import Filters, pairs_to_run, save_plan
from cellgauge.runner.progress import describe
from cellgauge.runner.steps import Context, loaded_dataset
from cellgauge.runner.workers import LocalWorkers
from cellgauge.tasks.neighbours import nearest


def blobs(n: int = 60, dimensions: int = 8, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Three clouds of cells far apart, in mixed order."""
    rng = np.random.default_rng(seed)
    of = rng.permutation(np.repeat(np.arange(3), n))
    return (rng.normal(size=(3 * n, dimensions)) + 12 * np.eye(3, dimensions)[of]).astype(np.float32), of


def same_neighbours(one: np.ndarray, other: np.ndarray, k: int = 15) -> float:
    found = [nearest(np.ascontiguousarray(each), k)[0].copy() for each in (one, other)]
    return float(np.mean([len(np.intersect1d(a, b)) / k for a, b in zip(*found, strict=True)]))


# ---- the layout


def test_clouds_that_are_apart_stay_apart() -> None:
    cells, of = blobs()
    placed = plane_layout(cells, np.random.default_rng(1))
    assert (of[nearest(placed, 10)[0]] == of[:, None]).all()
    assert placed.std() > 0.5


def test_neighbours_in_an_embedding_are_neighbours_on_its_map() -> None:
    """Held against places at random, of which as good as none agree; also after reduction to 50 components."""
    for dimensions in (8, 70):
        cells, _ = blobs(dimensions=dimensions)
        placed = plane_layout(cells, np.random.default_rng(1))
        anywhere = np.random.default_rng(2).normal(size=placed.shape)
        assert same_neighbours(cells, placed) > 3 * same_neighbours(cells, anywhere)


def test_a_ring_stays_a_ring() -> None:
    """The nearest on the map are those next to each other on a curve, not only those of the same cloud."""
    turn = np.linspace(0, 2 * np.pi, 300, endpoint=False)
    ring = np.stack([np.cos(turn), np.sin(turn), np.zeros(300)], axis=1).astype(np.float32)
    placed = plane_layout(ring, np.random.default_rng(1))
    away = np.abs(nearest(placed, 4)[0] - np.arange(300)[:, None])
    assert np.median(np.minimum(away, 300 - away)) <= 8


def test_the_same_generator_gives_the_same_places() -> None:
    cells, _ = blobs()
    once, again = (plane_layout(cells, np.random.default_rng(1)) for _ in range(2))
    assert (once == again).all()


ODD = {
    "one place": np.ones((40, 3)),
    "one dimension": np.arange(40.0)[:, None],
    "one cell": np.ones((1, 5)),
    "two cells": np.eye(2),
    "three cells": np.eye(3),
    "four cells": np.eye(4),
    "two places": np.repeat(np.eye(2), 30, axis=0),
    "more dimensions than cells": np.random.default_rng(0).normal(size=(10, 200)),
    "huge numbers": np.random.default_rng(0).uniform(-3e38, 3e38, size=(60, 8)),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("cells", ODD.values(), ids=ODD)
def test_any_embedding_has_a_map(cells: np.ndarray) -> None:
    placed = on_whole_numbers(plane_layout(cells.astype(np.float32), np.random.default_rng(0)))
    assert placed.shape == (len(cells), 2)
    assert placed.min() >= 0
    assert placed.max() <= SPAN


def test_a_map_has_one_scale_for_both_axes() -> None:
    found = on_whole_numbers(np.array([[0.0, 0.0], [4.0, 1.0], [2.0, 0.5]]))
    assert found.tolist() == [[0, 375], [SPAN, 625], [500, 500]]


# ---- the sample


@pytest.fixture
def of_types(tiny) -> Callable[..., Dataset]:
    """Makes a dataset with many cells, of which only the types matter."""
    tiny.dataset()
    context = Context(tiny.project, tiny.cards(), "r", False, tiny.cache)
    loaded = loaded_dataset(context.cards.datasets["tiny"], context)

    def make(sizes: dict[str, int], *, draw: str = "ab", with_labels: bool = True) -> Dataset:
        labels = np.repeat(list(sizes), list(sizes.values())).astype(str)
        content = replace(loaded.content, digest="sha256:" + draw * 32)
        columns = {"label": labels} if with_labels else {}
        return replace(loaded, cell_ids=np.arange(len(labels)).astype(str), columns=columns, content=content)

    return make


def test_a_sample_keeps_rare_types(of_types) -> None:
    dataset = of_types({"common": 9000, "less": 3000, "rare": 7, "scarce": 100})
    cells = sample_cells(dataset)
    names, counts = np.unique(dataset.columns["label"][cells], return_counts=True)
    drawn = dict(zip(names.tolist(), counts.tolist(), strict=True))
    assert len(cells) == MOST_CELLS == len(set(cells.tolist()))
    assert (np.diff(cells) > 0).all()
    assert drawn["rare"] == 7
    assert LEAST_OF_A_TYPE <= drawn["scarce"] < 60
    assert 2.6 < drawn["common"] / drawn["less"] < 3.4


def test_a_sample_of_very_many_types_has_some_of_each(of_types) -> None:
    dataset = of_types({f"t{n}": 4 for n in range(1500)})
    assert len(np.unique(dataset.columns["label"][sample_cells(dataset)])) == 1500


def test_a_sample_depends_on_the_cells_alone(of_types) -> None:
    sizes = {"a": 3000, "b": 3000}
    one, same, other = (sample_cells(of_types(sizes, draw=draw)).tolist() for draw in ("ab", "ab", "cd"))
    assert one == same != other
    assert len(sample_cells(of_types(sizes, with_labels=False))) == MOST_CELLS
    assert sample_cells(of_types({"a": 30, "b": 30})).tolist() == list(range(60))


# ---- the run


def run(tiny, workers, models, *, again=False, retry=(), tasks=("embedding",), events=None) -> dict[str, int]:
    cards, filters = tiny.cards(), Filters(models, ["tiny"], list(tasks))
    plan = save_plan(tiny.project, cards, "r", filters, rehearsal=True)
    pairs = pairs_to_run(tiny.project.release("r"), plan, filters, again=again, retry=retry)
    maps = maps_to_make(tiny.project, cards, plan, filters, pairs, again=again, retry=retry)
    context = Context(tiny.project, cards, "r", again, tiny.cache)
    told = events.append if events is not None else lambda event: None
    with workers as opened:
        return dict(execute(context, pairs, opened, told, maps=maps))


def the_map(tiny, model: str) -> EmbeddingMap:
    found = read_map(tiny.project.release("r"), "tiny", model)
    assert found is not None
    return found


@pytest.mark.slow
def test_each_model_gets_one_map_with_the_cells_of_the_dataset(tiny, in_process) -> None:
    tiny.dataset(n_donors=3)
    tiny.model("good")
    events: list[Event] = []
    ended = run(tiny, in_process(), ["good", "random"], tasks=("embedding", "clustering"), events=events)
    assert ended == {"done": 4, "map": 2}
    assert sum(len(event.pairs) + event.maps for event in events) == 6
    assert "map of good on tiny: done" in map(describe, events)
    good, random = the_map(tiny, "good"), the_map(tiny, "random")
    assert good.cells == random.cells == list(range(60))
    assert good.columns == random.columns
    label = good.columns["label"]
    assert [label.names[code] for code in label.codes] == list("abc" * 20)
    assert len(set(zip(good.x, good.y, strict=True))) > 30
    assert good.n_cells == 60
    assert len(list(read_results(tiny.project.release("r")))) == 4, "a map is no result"


def test_a_map_holds_nothing_of_expression(tiny, in_process) -> None:
    tiny.dataset()
    tiny.model("good")
    run(tiny, in_process(), ["good"])
    held = json.loads(map_path(tiny.project.release("r"), "tiny", "good").read_bytes())
    assert sorted(held) == [
        "cells", "columns", "dataset", "environment", "key", "map_version", "model", "n_cells", "reason", "seed",
        "status", "x", "y",
    ]  # fmt: skip
    assert set(held["columns"]) == {"label"}
    assert all(isinstance(place, int) for place in (*held["x"], *held["y"]))


def test_the_same_run_gives_the_same_file(tiny, in_process) -> None:
    tiny.dataset()
    tiny.model("good")
    run(tiny, in_process(), ["good"])
    path = map_path(tiny.project.release("r"), "tiny", "good")
    first = path.read_bytes()
    path.write_bytes(b"{}")
    assert run(tiny, in_process(), ["good"], again=True) == {"done": 1, "map": 1}
    assert path.read_bytes() == first


@pytest.mark.parametrize("damage", ["gone", "cut", "another's"])
def test_a_map_that_is_missing_is_all_that_is_made(tiny, in_process, damage: str) -> None:
    tiny.dataset()
    tiny.model("good")
    run(tiny, in_process(), ["good", "random"])
    assert run(tiny, in_process(), ["good", "random"]) == {}
    path = map_path(tiny.project.release("r"), "tiny", "good")
    whole = path.read_bytes()
    left = path.with_name(f".{path.name}.x.tmp")
    left.write_bytes(b"half")
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(whole[:-30] if damage == "cut" else path.with_name("random.json").read_bytes())
    assert run(tiny, in_process(), ["good", "random"]) == {"map": 1}
    assert path.read_bytes() == whole
    assert not left.exists()


def test_a_new_version_of_a_model_gets_a_new_map(tiny, in_process) -> None:
    tiny.dataset()
    tiny.model("good")
    run(tiny, in_process(), ["good"])
    before = the_map(tiny, "good")
    tiny.model("good", version=2)
    assert run(tiny, in_process(), ["good"]) == {"done": 1, "map": 1}
    assert the_map(tiny, "good").key != before.key
    assert the_map(tiny, "good").model.version == 2


def test_an_embedding_that_is_gone_is_made_again_for_its_map(tiny, in_process) -> None:
    tiny.dataset()
    tiny.model("good")
    run(tiny, in_process(), ["good"])
    path = map_path(tiny.project.release("r"), "tiny", "good")
    first = path.read_bytes()
    path.unlink()
    forget_embeddings(tiny.cache)
    assert run(tiny, in_process(), ["good"]) == {"map": 1}
    assert path.read_bytes() == first


def forget_embeddings(cache: Path) -> None:
    for path in (cache / "embeddings").rglob("*.*"):
        path.unlink()


def test_a_map_that_fails_leaves_a_reason_and_costs_no_score(tiny, in_process, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("NOTE", str(tmp_path / "note"))
    tiny.dataset()
    tiny.model("fickle")
    run(tiny, in_process(), ["fickle"])
    map_path(tiny.project.release("r"), "tiny", "fickle").unlink()
    forget_embeddings(tiny.cache)
    (tmp_path / "note").touch()
    events: list[Event] = []
    assert run(tiny, in_process(), ["fickle"], events=events) == {"map not drawn": 1}
    found = the_map(tiny, "fickle")
    assert (found.status, found.cells, found.columns) == ("failed", [], {})
    assert found.reason == "RuntimeError while embedding: not a second time"
    assert [describe(event) for event in events] == [f"map of fickle on tiny: failed: {found.reason}"]
    assert [result.status for result in read_results(tiny.project.release("r"))] == ["done"]
    assert run(tiny, in_process(), ["fickle"]) == {}, "not tried again unless asked"
    (tmp_path / "note").unlink()
    assert run(tiny, in_process(), ["fickle"], retry=("failed",)) == {"map": 1}


def test_a_model_that_cannot_embed_gets_no_map(tiny, in_process) -> None:
    tiny.dataset()
    tiny.model("raises")
    events: list[Event] = []
    assert run(tiny, in_process(), ["raises"], events=events) == {"failed": 1}
    assert sum(len(event.pairs) + event.maps for event in events) == 2, "progress comes to its end"
    assert not map_path(tiny.project.release("r"), "tiny", "raises").exists()
    assert run(tiny, in_process(), ["raises"]) == {}


def test_predictions_have_no_map(tiny, in_process) -> None:
    tiny.dataset()
    cards, filters = tiny.cards(), Filters(["no-change"], ["tiny"], [])
    plan = save_plan(tiny.project, cards, "r", filters, rehearsal=True)
    assert maps_to_make(tiny.project, cards, plan, filters, plan.pairs) == []


@pytest.mark.kill
@pytest.mark.slow
def test_a_map_whose_worker_dies_is_made_when_asked_again(tiny) -> None:
    """In real workers: the scores stand and the reason is kept."""
    tiny.dataset()
    tiny.model("good")
    assert run(tiny, LocalWorkers(1, 60), ["good"]) == {"done": 1, "map": 1}
    path = map_path(tiny.project.release("r"), "tiny", "good")
    first = path.read_bytes()
    path.unlink()
    forget_embeddings(tiny.cache)
    code = tiny.folder / "site_src/models/wrong.py"
    honest = code.read_text()
    code.write_text(
        honest.replace("def good(adata, *, seed):", "def good(adata, *, seed):\n    dies(adata, seed=seed)")
    )
    context = Context(tiny.project, tiny.cards(), "r", False, tiny.cache)
    with LocalWorkers(1, 60) as workers:
        assert execute(context, [], workers, lambda event: None, maps=[("tiny", "good")]) == {"map not drawn": 1}
    assert "killed by signal 9" in the_map(tiny, "good").reason
    assert [result.status for result in read_results(tiny.project.release("r"))] == ["done"]
    code.write_text(honest)
    assert run(tiny, LocalWorkers(1, 60), ["good"]) == {"map": 1}
    assert path.read_bytes() == first
