"""Whole runs with real worker processes, and models that end them in every way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest


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
    deadline = time.monotonic() + 120
    while not (note.exists() and note.read_text()) and time.monotonic() < deadline:
        time.sleep(0.1)
    worker = Path("/proc") / note.read_text()
    assert worker.exists()
    run.send_signal(signal.SIGKILL)
    run.wait()
    deadline = time.monotonic() + 30
    while worker.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not worker.exists()
