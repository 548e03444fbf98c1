"""A container image that does whatever a test asks of it, well or badly, and what is needed to run it."""

from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from cellgauge.models.docker_backend import DockerBackend
    from cellgauge.models.sandbox import Ended, Sandbox

IMAGE = Path(__file__).parent / "image"
SCRIPT = IMAGE / "misbehave.py"
BASES = ("python:3.11-slim", "local/python:3.11")


@dataclass(frozen=True)
class Asked:
    """What came of one run."""

    ended: Ended
    output: Path
    lines: list[str]
    """Of standard error, as they were handed on."""


@pytest.fixture(scope="session")
def backend(docker: str) -> Iterator[DockerBackend]:
    """A backend for the daemon of this machine."""
    from cellgauge.models.docker_backend import DockerBackend

    with DockerBackend() as opened:
        yield opened


@pytest.fixture(scope="session")
def base_image(backend: DockerBackend) -> str:
    """An image with Python that others can be built from, without asking a registry."""
    from cellgauge.models.sandbox import ImageMissing

    chosen = os.environ.get("CELLGAUGE_TEST_IMAGE")
    for name in (chosen,) if chosen else BASES:
        try:
            return backend.find(name).name
        except ImageMissing:
            continue
    message = "needs an image with Python: docker pull python:3.11-slim, or name another one in CELLGAUGE_TEST_IMAGE"
    if "docker" in os.environ.get("CELLGAUGE_REQUIRE", "").replace(",", " ").split():
        pytest.fail(f"{message} (required by CELLGAUGE_REQUIRE)", pytrace=False)
    pytest.skip(message)


@pytest.fixture(scope="session")
def build(backend: DockerBackend, docker: str) -> Iterator[Callable[..., str]]:
    """Builds an image from a Dockerfile and the files of ``image/``, and returns its name."""
    built: list[str] = []

    def make(dockerfile: str, args: dict[str, str]) -> str:
        context = io.BytesIO()
        with tarfile.open(fileobj=context, mode="w") as tar:
            # The label makes it this session's own: its containers are told from those of others by their image.
            recipe = f"{dockerfile}LABEL session={uuid.uuid4().hex}\n".encode()
            for name, data in {"Dockerfile": recipe, "misbehave.py": SCRIPT.read_bytes()}.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))
        context.seek(0)
        name = f"cellgauge-test/misbehaving:{uuid.uuid4().hex}"
        for _ in backend.build(context, "Dockerfile", name, args, None):
            pass
        built.append(name)
        return name

    yield make
    if built:
        subprocess.run([docker, "rmi", "--force", *built], capture_output=True, check=True)


@pytest.fixture(scope="session")
def misbehaving(build: Callable[..., str], base_image: str) -> str:
    """The name of the image that does what it is asked."""
    return build((IMAGE / "Dockerfile").read_text(encoding="utf-8"), {"BASE_IMAGE": base_image})


@pytest.fixture(scope="session")
def sandbox(
    backend: DockerBackend, misbehaving: str, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Sandbox]:
    """Makes the sandbox of one run: what it does, parameters of that, and by ``limits`` what else differs."""
    from cellgauge.models.sandbox import Sandbox

    def make(do: str, limits: dict[str, Any] | None = None, **params: Any) -> Sandbox:
        folder = tmp_path_factory.mktemp(do, numbered=True)
        for name in ("input", "output"):
            (folder / name).mkdir()
            (folder / name).chmod(0o777)  # so that nothing but how it is mounted keeps the container from writing
        request = {"params": {"do": do, **params}, "n_cells": 4, "n_genes": 3, "seed": 7}
        (folder / "input" / "request.json").write_text(json.dumps(request))
        (folder / "input" / "request.json").chmod(0o666)
        usual: dict[str, Any] = {
            "image": backend.find(misbehaving),
            "input": folder / "input",
            "output": folder / "output",
            "weights": None,
            "memory_bytes": 256 * 10**6,
            "seconds": 60,
            "processes": 64,
            "output_bytes": 10**8,
            "cpus": 1.0,
            "gpu": False,
        }
        return Sandbox(**{**usual, **(limits or {})})

    return make


@pytest.fixture(scope="session")
def ask(backend: DockerBackend, sandbox: Callable[..., Sandbox]) -> Callable[..., Asked]:
    """Runs the image in the way that ``sandbox`` takes."""

    def run(do: str, limits: dict[str, Any] | None = None, **params: Any) -> Asked:
        made, lines = sandbox(do, limits, **params), []
        ended = backend.run(made, lines.append)
        return Asked(ended, made.output, lines)

    return run
