"""What ``czbenchmarks run`` writes comes in under the names of the platform.

``data/czbenchmarks_run.json`` was written by ``write_results`` of cz-benchmarks 0.8.0 from its own ``TaskResult`` and
``MetricResult``; the values in it are made up.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.exchange.conftest import Write

from cellgauge.cards import Project
from cellgauge.exchange.czi import read_czbenchmarks
from cellgauge.exchange.drafting import write_draft
from cellgauge.exchange.reading import ImportProblems
from cellgauge.results.store import read_results

RUN = Path(__file__).parent / "data/czbenchmarks_run.json"


def test_models_are_known_by_their_type_and_variant(project: Project):
    draft = read_czbenchmarks(project, RUN, None, None, None)
    assert draft.name == "czbenchmarks-0.8.0"
    write_draft(project, draft, None, None)
    results = {
        (result.task.id, result.dataset.id, result.model.id): result
        for result in read_results(project.release("czbenchmarks-0.8.0"))
    }
    assert set(results) == {
        ("clustering", "tsv2-blood", "uce-33l"),
        ("clustering", "tsv2-blood", "czbenchmarks-baseline"),
        ("classification", "tsv2-lung", "aido-cell-3m"),
        # The command line of 0.8.0 leaves the variant out of tasks of several datasets.
        ("cross-species-integration", "spermatogenesis-human-mouse-macaque", "transcriptformer-unknown-variant"),
    }
    scores = {score.key: score.value for score in results["classification", "tsv2-lung", "aido-cell-3m"].scores}
    assert len(scores) == 20
    assert scores["weighted-auroc@knn"] == 0.84


def test_later_layouts_and_foreign_models_are_refused_by_name(project: Project, write: Write):
    value = json.loads(RUN.read_bytes())
    value["task_results"][0]["model_args"] = {"model_variant": "99l"}
    with pytest.raises(ImportProblems, match=r'task_results\[0\]\.model_key: found "UCE-v1-99l"'):
        read_czbenchmarks(project, write(value), None, None, None)
    later = json.loads(RUN.read_bytes()) | {"czbenchmarks_version": "0.10.1"}
    with pytest.raises(ImportProblems, match=r'found "0\.10\.1", expected a version before 0\.10'):
        read_czbenchmarks(project, write(later), None, None, None)
    with pytest.raises(ImportProblems, match=r"czbenchmarks_version: found nothing"):
        read_czbenchmarks(project, write({"task_results": []}), None, None, None)
    with pytest.raises(ImportProblems, match=r"found \[\], expected an object"):
        read_czbenchmarks(project, write([]), None, None, None)
