"""One result to be written, changed and broken."""

import datetime as dt
from typing import Any

import numpy as np
import pytest

from cellgauge.results.store import describe_replicates, encode_replicates

SHA = "sha256:" + "a" * 64


@pytest.fixture
def replicates() -> bytes:
    return encode_replicates(np.linspace(0, 1, 200).reshape(2, 100))


@pytest.fixture
def values(replicates: bytes) -> dict[str, Any]:
    """Every key of a result that is done, but its id."""
    moment = dt.datetime(2026, 3, 4, 5, 6, 7, tzinfo=dt.UTC)
    score = {
        "metric": "adjusted-rand-index",
        "version": 1,
        "direction": "higher",
        "value": 0.5,
        "by_seed": [0.4, 0.6],
        "interval": {"low": 0.3, "high": 0.7, "level": 0.95, "method": "percentile"},
        "n_units": 700,
        "unit": "cell",
    }
    return {
        "key": SHA,
        "release": "demo",
        "status": "done",
        "reason": None,
        "task": {"id": "clustering", "version": 1, "digest": SHA},
        "dataset": {"id": "pbmc", "version": 2, "digest": SHA, "content": SHA},
        "model": {"id": "pca", "version": 3, "digest": SHA},
        "leakage": {"class": "green", "evidence": "Not pretrained."},
        "seeds": [42, 43],
        "scores": [score, {**score, "metric": "accuracy", "view": "knn", "value": 1}],
        "replicates": describe_replicates(replicates, "pca", (2, 100), SHA),
        "details": {"clusters": [9, 10], "dropped": {"a": 0.5}, "note": None},
        "gates": [{"name": "order", "passed": True}],
        "params": {"resolution": 1.0, "n_neighbors": 15, "exact": True, "algorithm": "leiden"},
        "environment": {
            "python": "3.11.7",
            "cellgauge": "0.1.0",
            "packages": {"numpy": "2"},
            "platform": "p",
            "cpu": "c",
        },
        "resources": {"embedding_wall_s": 1.5, "cpu_s": 2},
        "log": None,
        "started_at": moment,
        "finished_at": moment + dt.timedelta(seconds=3),
    }


@pytest.fixture
def empty_values(values: dict[str, Any]) -> dict[str, Any]:
    """Every key of a result that has none, but its id."""
    nothing = {"scores": [], "replicates": None, "resources": None, "environment": None, "started_at": None}
    return {**values, **nothing, "status": "failed", "reason": "It stopped with an error."}
