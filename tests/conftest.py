"""What tests may ask of the machine: a browser, a container daemon, reference data.

A test asks for the fixture (`chromium`, `docker`, `shared_data`) and gets the mark of the same capability with it.
Where the machine lacks it, the test is skipped with what would provide it; CELLGAUGE_REQUIRE=docker,browser,data
turns the skips of those capabilities into failures, so that CI cannot pass by skipping.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

MARK_OF_FIXTURE = {"chromium": "browser", "docker": "docker", "shared_data": "data"}
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for fixture, mark in MARK_OF_FIXTURE.items():
            if fixture in getattr(item, "fixturenames", ()):
                item.add_marker(mark)


def missing(capability: str, what_to_do: str) -> NoReturn:
    """Skip, or fail where CELLGAUGE_REQUIRE names the capability."""
    message = f"needs {what_to_do}"
    if capability in os.environ.get("CELLGAUGE_REQUIRE", "").replace(",", " ").split():
        pytest.fail(f"{message} (required by CELLGAUGE_REQUIRE)", pytrace=False)
    pytest.skip(message)


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium or Chrome."""
    for name in BROWSERS:
        if found := shutil.which(name):
            return found
    missing("browser", "a browser: apt-get install chromium")


@pytest.fixture(scope="session")
def docker() -> str:
    """The path of a Docker client whose daemon answers."""
    client = shutil.which("docker")
    if client is None:
        missing("docker", "Docker: apt-get install docker.io")
    try:
        answer = subprocess.run([client, "info"], capture_output=True, text=True, timeout=30, check=False)
    except subprocess.TimeoutExpired:
        missing("docker", "a Docker daemon that answers within 30 s: restart it")
    if answer.returncode != 0 or "Server Version" not in answer.stdout:
        missing("docker", "a running Docker daemon: systemctl start docker, or set DOCKER_HOST")
    return client


@pytest.fixture(scope="session")
def shared_data(request: pytest.FixtureRequest) -> Path:
    """The folder of reference data: $CELLGAUGE_SHARED/data, or ../shared/data beside the clone."""
    beside = request.config.rootpath.parent / "shared"
    folder = Path(os.environ.get("CELLGAUGE_SHARED") or beside) / "data"
    if not folder.is_dir():
        missing("data", f"reference data at {folder}: set CELLGAUGE_SHARED to the folder that holds data/")
    return folder


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep the user's cache out of it, in this process and in those that tests start."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CELLGAUGE_CACHE", str(folder))
        yield folder
