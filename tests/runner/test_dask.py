"""The same results over a real Dask cluster, and clear words when it cannot do the work."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

distributed = pytest.importorskip("distributed", reason="needs Dask: pip install 'cellgauge[dask]'")


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:
        yield cluster.scheduler_address


def cellgauge(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cellgauge", "--project", str(folder), *arguments]
    environment = {**os.environ, "CELLGAUGE_CACHE": str(folder / "cache")}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def ids(folder: Path, release: str) -> dict[str, str]:
    found = sorted((folder / "results" / release).glob("*/*/*.json"))
    return {
        path.name: json.loads(path.read_text())["key"] + str(json.loads(path.read_text())["scores"]) for path in found
    }


@pytest.mark.slow
def test_a_cluster_gives_the_same_scores_as_this_machine(tiny, cluster: str) -> None:
    tiny.dataset()
    for model in ("good", "raises", "dies"):
        tiny.model(model)
    command = ["--task", "embedding", "--dataset", "tiny", "--model", "good", "--model", "raises"]
    there = cellgauge(tiny.folder, "run", "--release", "there", *command, "--scheduler", cluster, "--json")
    assert json.loads(there.stdout)["computed"] == {"done": 1, "failed": 1}, there.stderr
    here = cellgauge(tiny.folder, "run", "--release", "here", *command, "--jobs", "1", "--json")
    assert json.loads(here.stdout)["computed"] == {"done": 1, "failed": 1}, here.stderr
    assert ids(tiny.folder, "there") == ids(tiny.folder, "here")


@pytest.mark.kill
@pytest.mark.slow
def test_a_model_that_kills_its_workers_does_not_take_the_others_along(tiny, cluster: str) -> None:
    tiny.dataset()
    tiny.model("good")
    tiny.model("dies")
    command = [
        "run",
        "--release",
        "r",
        "--task",
        "embedding",
        "--dataset",
        "tiny",
        "--model",
        "good",
        "--model",
        "dies",
    ]
    done = cellgauge(tiny.folder, *command, "--scheduler", cluster, "--json")
    # "already done" when a worker died after it had written a result that nobody had fetched yet.
    assert sorted(json.loads(done.stdout)["computed"].values()) == [1, 1], done.stderr
    written = {path.stem: json.loads(path.read_text()) for path in tiny.folder.glob("results/r/embedding/tiny/*.json")}
    assert written["good"]["status"] == "done"
    assert written["dies"]["status"] == "failed"
    assert "died" in written["dies"]["reason"]


@pytest.mark.slow
def test_no_scheduler_is_said_so(tiny) -> None:
    tiny.dataset()
    done = cellgauge(tiny.folder, "run", "--release", "r", "--model", "pca", "--scheduler", "tcp://127.0.0.1:9")
    assert done.returncode == 1
    assert "no Dask scheduler at tcp://127.0.0.1:9" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_workers_that_run_several_jobs_in_one_process_are_refused(tiny) -> None:
    tiny.dataset()
    with distributed.LocalCluster(n_workers=1, threads_per_worker=2, processes=True, dashboard_address=None) as cluster:
        done = cellgauge(
            tiny.folder, "run", "--release", "r", "--model", "pca", "--scheduler", cluster.scheduler_address
        )
    assert done.returncode == 1
    assert "start workers with: --nthreads 1" in done.stderr


def test_options_for_this_machine_do_not_go_with_a_scheduler(tiny) -> None:
    tiny.dataset()
    done = cellgauge(tiny.folder, "run", "--release", "r", "--jobs", "2", "--scheduler", "tcp://127.0.0.1:9")
    assert done.returncode == 2
    assert "--jobs and --time-limit are for workers on this machine" in done.stderr
