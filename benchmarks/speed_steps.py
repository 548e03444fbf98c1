"""Run one side of the comparison in this process, and write what each step took.

``python speed_steps.py ours|peer REPORT.json EMBEDDING.npy DATA.h5ad KEY SEED [OPTION ...]``. It is started by
`speed.py` in the environment of the side that runs, so at the top it imports the standard library alone.
"""

from __future__ import annotations

import functools
import importlib
import json
import resource
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from importlib.metadata import PackageNotFoundError, version
from io import StringIO
from pathlib import Path
from typing import Any

_STARTED = time.perf_counter()
_CLASSIFIERS = {
    ("sklearn.linear_model", "LogisticRegression"): "logistic regression and kNN",
    ("sklearn.neighbors", "KNeighborsClassifier"): "logistic regression and kNN",
    ("sklearn.ensemble", "RandomForestClassifier"): "forest",
}
_PACKAGES = (
    "cellgauge",
    "cz-benchmarks",
    "igraph",
    "jax",
    "numpy",
    "pynndescent",
    "scanpy",
    "scib-metrics",
    "scikit-learn",
    "scipy",
    "umap-learn",
)


class Clock:
    """Adds up wall and CPU seconds by step; calls of one step that overlap in threads count once."""

    def __init__(self) -> None:
        self.steps: dict[str, dict[str, float]] = {}
        self._running: dict[str, tuple[int, float, float]] = {}
        self._lock = threading.Lock()

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Count what happens inside; CPU seconds are those of the whole process."""
        with self._lock:
            n, wall, cpu = self._running.get(name, (0, time.perf_counter(), time.process_time()))
            self._running[name] = (n + 1, wall, cpu)
        try:
            yield
        finally:
            with self._lock:
                n, wall, cpu = self._running.pop(name)
                if n > 1:
                    self._running[name] = (n - 1, wall, cpu)
                else:
                    self.add(name, time.perf_counter() - wall, time.process_time() - cpu)

    def add(self, name: str, wall: float, cpu: float) -> None:
        """Add seconds to a step, and note the greatest memory that the process had by then."""
        so_far = self.steps.setdefault(name, {"wall": 0.0, "cpu": 0.0, "peak_gb": 0.0})
        so_far["wall"] += wall
        so_far["cpu"] += cpu
        so_far["peak_gb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20

    def timed(self, owner: Any, attribute: str, name: str) -> None:
        """Replace a function by one that counts as a step."""
        original: Callable[..., Any] = getattr(owner, attribute)

        @functools.wraps(original)
        def counted(*args: Any, **kwargs: Any) -> Any:
            with self.step(name):
                return original(*args, **kwargs)

        setattr(owner, attribute, counted)


def _time_classifiers(clock: Clock) -> None:
    for (module, name), step in _CLASSIFIERS.items():
        classifier = getattr(importlib.import_module(module), name)
        for method in ("fit", "predict", "predict_proba"):
            clock.timed(classifier, method, step)


def _peer(clock: Clock, embedding: str, data: str, key: str, seed: int, *options: str) -> dict[str, float]:
    """Run the three tasks of cz-benchmarks; the option ``float64`` hands the same numbers over in double precision."""
    import logging
    import warnings

    import anndata
    import numpy as np

    tasks: Any = importlib.import_module("czbenchmarks.tasks")
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    _time_classifiers(clock)
    clock.add("imports", time.perf_counter() - _STARTED, time.process_time())
    cells = np.load(embedding).astype("float64" if "float64" in options else "float32")
    obs = anndata.read_h5ad(data, backed="r").obs
    labels = obs[key].astype(str)
    asked = {
        "clustering": (tasks.ClusteringTask, tasks.ClusteringTaskInput(obs=obs, input_labels=labels)),
        "embedding": (tasks.EmbeddingTask, tasks.EmbeddingTaskInput(input_labels=labels)),
        "classification": (tasks.MetadataLabelPredictionTask, tasks.MetadataLabelPredictionTaskInput(labels=labels)),
    }
    names = {
        "adjusted_rand_index": "adjusted-rand-index",
        "normalized_mutual_info": "normalized-mutual-information",
        "silhouette_score": "silhouette-label",
        "mean_fold_accuracy": "accuracy",
        "mean_fold_f1": "macro-f1",
        "mean_fold_precision": "macro-precision",
        "mean_fold_recall": "macro-recall",
        "mean_fold_auroc": "macro-auroc",
    }
    views = {"lr": "logistic-regression", "knn": "knn", "rf": "random-forest"}
    values = {}
    for name, (task, task_input) in asked.items():
        with clock.step(name):
            found = task(random_seed=seed).run(cells, task_input)
        for one in found:
            classifier = (one.params or {}).get("classifier", "")
            metric = names[one.metric_type.value]
            if not classifier:
                values[metric] = float(one.value)
            elif classifier in views:
                values[f"{metric}@{views[classifier]}"] = float(one.value)
    return values


def _ours(clock: Clock, embedding: str, data: str, key: str, seed: int, *options: str) -> dict[str, float]:
    """Run ``cellgauge evaluate`` on the three tasks; options are passed on."""
    from cellgauge.cli import main

    trial: Any = importlib.import_module("cellgauge.runner.trial")
    _time_classifiers(clock)
    clock.add("imports", time.perf_counter() - _STARTED, time.process_time())
    scored = trial.evaluate

    def by_task(task: Any, *args: Any, **kwargs: Any) -> Any:
        with clock.step(task.id):
            return scored(task, *args, **kwargs)

    trial.evaluate = by_task
    tasks = [word for task in ("clustering", "embedding", "classification") for word in ("--task", task)]
    rest = ["--labels", key, "--seed", str(seed), "--no-baselines", "--json", *options]
    with redirect_stdout(StringIO()) as printed, suppress(SystemExit):
        main(["evaluate", embedding, data, *tasks, *rest])
    every = [score for task in json.loads(printed.getvalue())["tasks"] for score in task["scores"]]
    return {score["metric"] + (f"@{score['view']}" if score["view"] else ""): score["value"] for score in every}


def _versions() -> dict[str, str]:
    found = {"python": sys.version.split()[0]}
    for package in _PACKAGES:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def _main() -> None:
    side, report, embedding, data, key, seed, *options = sys.argv[1:]
    clock = Clock()
    values = {"ours": _ours, "peer": _peer}[side](clock, embedding, data, key, int(seed), *options)
    whole = {"wall": time.perf_counter() - _STARTED, "cpu": time.process_time()}
    clock.add("whole", **whole)
    Path(report).write_text(json.dumps({"steps": clock.steps, "values": values, "versions": _versions()}))


if __name__ == "__main__":
    _main()
