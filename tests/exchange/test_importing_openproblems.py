"""Both layouts of Open Problems come in as reported, with their failures as failures."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cellgauge.cards import Project, load_cards
from cellgauge.exchange.drafting import Import, write_draft
from cellgauge.exchange.openproblems import read_openproblems
from cellgauge.exchange.reading import ImportProblems
from cellgauge.results.schema import Result
from cellgauge.results.store import read_results

Folder = Callable[..., Path]


def bring_in(project: Project, folder: Path) -> Import:
    return write_draft(project, read_openproblems(folder, None, None, None), "op", None)


def results_of(project: Project) -> dict[tuple[str, str], Result]:
    return {(result.dataset.id, result.model.id): result for result in read_results(project.release("op"))}


@pytest.mark.parametrize("task", ["batch_integration", "perturbation_prediction"])
def test_the_legacy_layout_gives_every_value_that_is_no_na(project: Project, shared_data: Path, task: str):
    folder = shared_data / "openproblems/legacy" / task
    done = bring_in(project, folder)
    rows = json.loads((folder / "results.json").read_bytes())
    theirs = sorted(v for row in rows for v in row["metric_values"].values() if v != "NA")
    scores = [score for result in results_of(project).values() for score in result.scores]
    assert sorted(score.value for score in scores) == theirs
    failed = sum(all(value == "NA" for value in row["metric_values"].values()) for row in rows)
    assert done.report.results.get("failed", 0) == failed
    assert done.report.source.licence == "CC-BY-4.0"
    directions = {one["metric_id"]: one["maximize"] for one in json.loads((folder / "metric_info.json").read_bytes())}
    for score in scores:
        assert (score.direction == "higher") == directions[score.metric.replace("-", "_")]
    controls = {
        one["method_id"] for one in json.loads((folder / "method_info.json").read_bytes()) if one["is_baseline"]
    }
    models = load_cards(project, "op").models
    assert {id_ for id_, card in models.items() if card.is_control} == {one.replace("_", "-") for one in controls}


def test_the_later_layout_keeps_parameter_sets_apart_and_failures_typed(project: Project, shared_data: Path):
    folder = shared_data / "openproblems/results_v4/label_projection/v2.0.0"
    draft = read_openproblems(folder, None, None, None)
    assert draft.name == "openproblems-label-projection-2.0.0"
    done = write_draft(project, draft, "op", None)
    rows = json.loads((folder / "results.json").read_bytes())
    assert done.report.results == {
        "done": sum(row["succeeded"] for row in rows), "failed": sum(not row["succeeded"] for row in rows),
    }  # fmt: skip
    assert done.report.source.licence is None  # the files name that of the code alone
    found = results_of(project)
    assert {model for _, model in found if model.startswith("scgpt")} == {"scgpt-zero-shot", "scgpt-fine-tuned"}
    failed = next(result for result in found.values() if result.status == "failed")
    assert failed.reason is not None
    assert "exit code" in failed.reason
    assert failed.scores == []


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """Write a small task in the legacy layout; keywords replace whole files, and None leaves one out."""

    def written(**changed: Any) -> Path:
        files = {
            "task_info": {"task_id": "task_toy", "task_name": "Toy", "task_summary": "A toy.", "task_description": "D"},
            "dataset_info": [{"dataset_id": "a/b", "dataset_name": "B"}],
            "method_info": [{"method_id": "m_1", "method_name": "M", "is_baseline": False}],
            "metric_info": [
                {"metric_id": "up", "metric_name": "Up", "maximize": True},
                {"metric_id": "down", "metric_name": "Down", "maximize": False},
            ],
            "results": [{"dataset_id": "a/b", "method_id": "m_1", "metric_values": {"up": 1, "down": "NA"}}],
        }
        place = tmp_path / "toy"
        place.mkdir()
        for name, value in (files | changed).items():
            if value is not None:
                (place / f"{name}.json").write_text(json.dumps(value), encoding="utf-8")
        return place

    return written


def row(**changed: Any) -> dict[str, Any]:
    return {"dataset_id": "a/b", "method_id": "m_1", "metric_values": {"up": 1}} | changed


def test_what_has_no_value_is_typed_and_never_zero(project: Project, folder: Folder):
    bring_in(project, folder())
    result = results_of(project)["a-b", "m-1"]
    assert [score.key for score in result.scores] == ["up"]
    assert [(one.key, one.reason) for one in result.undefined] == [("down", 'The source says "NA"')]


def test_a_row_without_values_or_exit_code_does_not_claim_a_failure(project: Project, folder: Folder):
    bring_in(project, folder(results=[row(metric_values={})]))
    assert results_of(project)["a-b", "m-1"].status == "metric_undefined"


def test_a_row_without_a_dataset_is_dropped_and_listed(project: Project, folder: Folder):
    done = bring_in(project, folder(results=[row(), row(dataset_id=None)]))
    assert [(one.where, one.why) for one in done.report.left_out] == [("results.json: [1]", "dataset_id is null")]


MALFORMED: dict[str, tuple[dict[str, Any], str]] = {
    "a file is missing": ({"metric_info": None}, r"metric_info\.json: found .*expected a file that can be read"),
    "unknown method": ({"results": [row(method_id="m_2")]}, r'results\.json: \[0\]\.method_id: found "m_2"'),
    "unknown dataset": ({"results": [row(dataset_id="c")]}, r'\[0\]\.dataset_id: found "c"'),
    "unknown metric": ({"results": [row(metric_values={"x": 1})]}, r'\[0\]\.metric_values: found "x"'),
    "a text that is no NA": ({"results": [row(metric_values={"up": "n/a"})]}, r'metric_values\.up: found "n/a"'),
    "not finite": ({"results": [row(metric_values={"up": float("nan")})]}, r"metric_values\.up: found .*NaN"),
    "beyond any score": ({"results": [row(metric_values={"up": 1e10})]}, r"metric_values\.up: found 1.*from -1e\+09"),
    "values that are none": ({"results": [row(metric_values=[1])]}, r"metric_values: found \[1\], expected an object"),
    "a row twice": ({"results": [row(), row()]}, r"\[1\]: found .*one row of it; another is \[0\]"),
    "no direction": ({"metric_info": [{"metric_id": "up"}]}, r"\[0\]\.maximize: found null, expected true or false"),
    "two of one id": (
        {"dataset_info": [{"dataset_id": "a/b"}, {"dataset_id": "a_b"}]}, r"\[1\]: found .*both would be called a-b",
    ),
    "an id without letters": ({"dataset_info": [{"dataset_id": "///"}]}, r"expected an id with letters or digits"),
    "a later row of other lengths": (
        {
            "task_info": {"name": "toy", "label": "Toy"}, "dataset_info": [{"name": "a/b"}],
            "method_info": [{"name": "m_1"}], "metric_info": [{"name": "up", "maximize": True}],
            "results": [{"dataset_name": "a/b", "method_name": "m_1", "metric_names": ["up"], "metric_values": []}],
        },
        r"\[0\]\.metric_values: found 0, expected 1 values",
    ),
    "success without metrics": (
        {
            "task_info": {"name": "toy", "label": "Toy"}, "dataset_info": [{"name": "a/b"}],
            "method_info": [{"name": "m_1"}], "metric_info": [{"name": "up", "maximize": True}],
            "results": [{"dataset_name": "a/b", "method_name": "m_1", "succeeded": True,
                         "metric_names": [], "metric_values": []}],
        },
        r"\[0\]\.metric_names: found \[\], expected metrics of a run that succeeded",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MALFORMED)
def test_each_fault_is_named_and_nothing_is_imported(project: Project, folder: Folder, name: str):
    changed, expected = MALFORMED[name]
    with pytest.raises(ImportProblems, match=expected):
        bring_in(project, folder(**changed))
    assert not (project.work / "results").exists()


def test_text_of_the_source_cannot_break_a_card(project: Project, folder: Folder):
    nasty = 'x: "y"\n---\n*a {b} <script>alert(1)</script> \x00\x85 ' + "z" * 400
    bring_in(
        project,
        folder(method_info=[{"method_id": "m_1", "method_name": nasty, "method_summary": "TODO",
                             "method_description": nasty, "references_doi": "nonsense", "code_url": "javascript:1"}]),
    )  # fmt: skip
    card = load_cards(project, "op").models["m-1"]
    assert card.name.startswith('x: "y" --- *a {b} <script>')
    assert len(card.name) <= 280
    assert (card.summary, card.code, card.paper) == ("“TODO”", None, None)
