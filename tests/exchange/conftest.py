"""A project to import into: the cards and pages of this one, with results of its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cellgauge.cards import Project

REPO = Path(__file__).resolve().parents[2]
Write = Callable[[Any], Path]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    folder = tmp_path / "project"
    folder.mkdir()
    for name in ("mkdocs.yml", "site_src", "generator"):
        (folder / name).symlink_to(REPO / name)
    return Project(folder, folder)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a value as JSON, NaN and all, and return the file."""

    def written(value: Any) -> Path:
        path = tmp_path / "results.json"
        path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
        return path

    return written


def record(task: str, model: str, *datasets: str, **metrics: float) -> dict[str, Any]:
    """A record as the Virtual Cells Platform publishes it."""
    return {
        "task_key": task,
        "model_key": model,
        "dataset_keys": list(datasets),
        "metrics": [{"metric_key": key, "value": value, "params": {}} for key, value in metrics.items()],
        "czbenchmarks_version": "0.8.0",
        "timestamp": "",
        "model_name_display": model.title(),
    }


def some_records() -> list[dict[str, Any]]:
    """Two models and the baseline on one tissue, one of them on another, and a result of three species."""
    clustering = [
        record("clustering", "UCE-v1-33l", "tsv2_blood", adjusted_rand_index=0.4, normalized_mutual_info=0.6),
        record("clustering", "AIDO-v1-cell_3m", "tsv2_blood", adjusted_rand_index=0.2, normalized_mutual_info=0.5),
        record("clustering", "BASELINE-v1", "tsv2_blood", adjusted_rand_index=0.3, normalized_mutual_info=0.55),
        record("clustering", "UCE-v1-33l", "tsv2_ear", adjusted_rand_index=0.7, normalized_mutual_info=0.8),
    ]
    species = ("human_spermatogenesis", "mouse_spermatogenesis", "rhesus_macaque_spermatogenesis")
    crossed = record("cross_species", "TRANSCRIPTFORMER-v1", *species, entropy_per_cell=0.01, batch_silhouette=0.5)
    named = record("label_prediction", "UCE-v1-33l", "tsv2_blood")
    named["metrics"] = [
        {"metric_key": f"mean_fold_{name}", "value": value, "params": {"classifier": classifier} if classifier else {}}
        for classifier in (None, "lr", "knn", "rf")
        for name, value in (("f1", 0.7), ("accuracy", 0.8), ("precision", 0.75), ("recall", 0.65), ("auroc", 0.99))
    ]
    return [*clustering, crossed, named]
