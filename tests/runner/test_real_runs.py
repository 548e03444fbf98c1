"""Whole runs with real worker processes, and models that end them in every way."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [
        sys.executable,
        "-m",
        "cellgauge",
        "--project",
        str(folder),
        "run",
        "--release",
        "r",
        "--task",
        "embedding",
    ]
    environment = {**os.environ, "CELLGAUGE_CACHE": str(folder / "cache"), "NOTE": str(folder / "note")}
    return subprocess.Popen([*command, *arguments], env=environment, stdout=subprocess.PIPE, text=True)


def wait_until(condition: Callable[[], object], seconds: float) -> None:
    """Wait for something to be true, and no longer than so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.1)


@pytest.mark.kill
@pytest.mark.slow
def test_models_that_die_quit_or_hang_leave_the_others_alone(tiny) -> None:
    tiny.dataset()
    models = ["good", "dies", "quits", "hangs", "short"]
    for model in models:
        tiny.model(model)
    chosen = [argument for model in models for argument in ("--model", model)]
    run = start(tiny.folder, *chosen, "--jobs", "2", "--time-limit", "0.4", "--json")
    computed = json.loads(run.communicate()[0])["computed"]
    assert computed == {"done": 1, "failed": 2, "timeout": 1, "invalid_output": 1}
    reasons = {path.stem: json.loads(path.read_text())["reason"] for path in tiny.folder.glob("results/r/*/*/*.json")}
    assert "killed by signal 9" in reasons["dies"]
    assert reasons["quits"] == "SystemExit while embedding: 3"
    assert reasons["hangs"] == "stopped after its time limit of 24 s"
    assert reasons["good"] is None


@pytest.mark.kill
@pytest.mark.slow
@pytest.mark.skipif(
    sys.platform != "linux", reason="needs Linux: elsewhere workers are not told that their run has died"
)
def test_bug_a_killed_run_left_its_workers_running(tiny) -> None:
    tiny.dataset()
    tiny.model("hangs")
    run = start(tiny.folder, "--model", "hangs", "--jobs", "1")
    note = tiny.folder / "note"
    wait_until(lambda: note.exists() and note.read_text(), 120)
    worker = Path("/proc") / note.read_text()
    assert worker.exists()
    run.send_signal(signal.SIGKILL)
    run.wait()
    wait_until(lambda: not worker.exists(), 30)
    assert not worker.exists()


@pytest.fixture
def hanging_container(tiny, containers: Callable[[str], list[str]]) -> Callable[[], list[str]]:
    """A model whose container never ends; returns what lists the containers of its image."""
    from cellgauge.models.images import build_image

    tiny.dataset()
    tiny.model("good")
    folder = tiny.folder / "generator/images/hangs"
    folder.mkdir(parents=True)
    shutil.copyfile(REPOSITORY / "generator/images/adapter.py", folder.parent / "adapter.py")
    (folder / "Dockerfile").write_text(
        "ARG BASE_IMAGE=python:3.11-slim\nFROM ${BASE_IMAGE}\n"
        'ENTRYPOINT ["python3", "-c", "import time; time.sleep(600)"]\n'
    )
    tiny.obtained("boxed", 'kind: container, folder: hangs, params: {}, tried_with: "no weights needed"')
    base = os.environ.get("CELLGAUGE_BASE_IMAGE", "local/python:3.11")
    image = build_image(tiny.project.generator, "hangs", lambda line: None, base=base, network="host")
    return lambda: containers(image)


@pytest.mark.kill
@pytest.mark.slow
def test_bug_the_container_of_a_run_that_was_terminated_went_on(
    tiny, hanging_container: Callable[[], list[str]]
) -> None:
    run = start(tiny.folder, "--model", "boxed", "--jobs", "1")
    wait_until(hanging_container, 120)
    assert len(hanging_container()) == 1
    run.send_signal(signal.SIGTERM)
    assert run.wait(60) == 1
    assert hanging_container() == []
    assert list(tiny.folder.glob("results/r/*/*/*.json")) == [], "it can be run again"


@pytest.mark.kill
@pytest.mark.slow
def test_bug_the_container_of_an_evaluation_that_took_too_long_went_on_beside_the_others(
    tiny, hanging_container: Callable[[], list[str]]
) -> None:
    """Its worker is killed, and nothing else would stop it before another container is called."""
    run = start(tiny.folder, "--model", "boxed", "--model", "good", "--jobs", "1", "--time-limit", "0.4", "--json")
    assert json.loads(run.communicate()[0])["computed"] == {"done": 1, "timeout": 1}
    assert hanging_container() == []
