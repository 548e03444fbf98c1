"""What tests may ask of the machine: a browser, a container daemon, reference data.

A test asks for the fixture (`chromium`, `docker`, `shared_data`) and gets the mark of the same capability with it.
Where the machine lacks it, the test is skipped with what would provide it; CELLGAUGE_REQUIRE=docker,browser,data
turns the skips of those capabilities into failures, so that CI cannot pass by skipping.
"""

from __future__ import annotations

import datetime as dt
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

if TYPE_CHECKING:
    from cellgauge.cards import DatasetCard

MARK_OF_FIXTURE = {"chromium": "browser", "docker": "docker", "shared_data": "data"}
SLOW_S = 1200
"""What a slow test may take before it counts as hung: on a busy machine it takes several times as long as alone."""
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


with suppress(ModuleNotFoundError):  # the environments of pretrained models do without it
    from hypothesis import settings

    # How long an example takes depends on what else the machine does.
    settings.register_profile("untimed", deadline=None)
    settings.load_profile("untimed")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for fixture, mark in MARK_OF_FIXTURE.items():
            if fixture in getattr(item, "fixturenames", ()):
                item.add_marker(mark)
        if item.get_closest_marker("slow") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(SLOW_S))


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
def containers(docker: str) -> Callable[[str], list[str]]:
    """Return the containers of an image, running or not."""

    def found(image: str) -> list[str]:
        command = [docker, "ps", "--all", "--quiet", "--filter", f"ancestor={image}"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()

    return found


@pytest.fixture(scope="session")
def shared_data(request: pytest.FixtureRequest) -> Path:
    """The folder of reference data: $CELLGAUGE_SHARED/data, or ../shared/data beside the clone."""
    beside = request.config.rootpath.parent / "shared"
    folder = Path(os.environ.get("CELLGAUGE_SHARED") or beside) / "data"
    if not folder.is_dir():
        missing("data", f"reference data at {folder}: set CELLGAUGE_SHARED to the folder that holds data/")
    return folder


@pytest.fixture(scope="session")
def moto_endpoint() -> Iterator[str]:
    """An S3 store on loopback, which honours conditional writes."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep the user's cache out of it, in this process and in those that tests start."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CELLGAUGE_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def dataset_card() -> Callable[..., DatasetCard]:
    """Makes the card of a small dataset, called tiny, with whole fields changed by keyword."""
    from cellgauge.cards import DatasetCard

    facts = {
        "id": "tiny",
        "path": "tiny.md",
        "name": "Tiny",
        "summary": "Made for a test.",
        "version": 1,
        "evidence": "measured",
        "study": "tiny",
        "organisms": [{"name": "Homo sapiens", "taxon": 9606}],
        "modality": "scRNA-seq",
        "source": {"kind": "file", "path": "tiny.h5ad"},
        "digest_of_content": "sha256:" + "0" * 64,
        "matrix": {"location": "X", "values": "counts", "features": "gene symbols"},
        "columns": {"label": "type"},
    }
    return lambda **changes: DatasetCard.model_validate({**facts, **changes})


@pytest.fixture(scope="session")
def keep_light_models() -> Callable[[Path], None]:
    """Leaves in a copy of the project the models that `make demo` installs everything for.

    Containers name datasets and images that the copy does not have; what needs ``make methods`` has no score
    on one machine and takes minutes on another.
    """

    from cellgauge.cards.packages import imports_of

    def keep(project: Path) -> None:
        for card in (project / "site_src/models").glob("*.md"):
            text = card.read_text(encoding="utf-8")
            function = re.search(r"^  function: (.+)$", text, re.MULTILINE)
            if "kind: container" in text or (function and imports_of(function[1], card) & {"scanorama", "scvi"}):
                card.unlink()

    return keep


# One result, to be written, changed, broken and exported.
SHA = "sha256:" + "a" * 64


@pytest.fixture
def replicates() -> bytes:
    import numpy as np

    from cellgauge.results.store import encode_replicates

    return encode_replicates(np.linspace(0, 1, 200).reshape(2, 100))


@pytest.fixture
def values(replicates: bytes) -> dict[str, Any]:
    """Every key of a result that is done, but its id."""
    from cellgauge.results.store import describe_replicates

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
        "protocol": SHA,
        "reason": None,
        "task": {"id": "clustering", "version": 1, "digest": SHA},
        "dataset": {"id": "pbmc", "version": 2, "digest": SHA, "content": SHA},
        "model": {"id": "pca", "version": 3, "digest": SHA},
        "leakage": {"class": "green", "evidence": "Not pretrained."},
        "seeds": [42, 43],
        "scores": [score, {**score, "metric": "accuracy", "view": "knn", "value": 1}],
        "replicates": describe_replicates(replicates, "pca", (2, 100), SHA),
        "details": {"clusters": [9, 10], "dropped": {"a": 0.5}, "note": None},
        "gates": [
            {"name": "order", "outcome": "passed", "evidence": "Rows follow their cells.", "measured": {"overlap": 1}}
        ],
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
