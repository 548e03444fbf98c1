"""An image is built with the values that are given for what its Dockerfile declares, and with no others."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from cellgauge.cards import UserError
from cellgauge.models.images import build_image

DOCKERFILE = """ARG BASE_IMAGE=python:3.11-slim
FROM ${BASE_IMAGE}
ARG PIP_FIND_LINKS
RUN echo "links: ${PIP_FIND_LINKS-not set}"
"""


@pytest.fixture
def generator(tmp_path: Path) -> Path:
    (tmp_path / "images/saying").mkdir(parents=True)
    (tmp_path / "images/saying/Dockerfile").write_text(DOCKERFILE)
    return tmp_path


@pytest.mark.parametrize(("args", "said"), [({}, "not set"), ({"PIP_FIND_LINKS": "http://127.0.0.1:8000/"}, None)])
def test_values_reach_the_build(generator: Path, base_image: str, docker: str, args: dict[str, str], said: str | None):
    lines: list[str] = []
    name = build_image(generator, "saying", lines.append, base=base_image, network="host", args=args)
    try:
        assert f"links: {said or args['PIP_FIND_LINKS']}" in lines
    finally:
        subprocess.run([docker, "image", "rm", "--force", name], capture_output=True, check=True)


def test_a_value_for_what_the_dockerfile_does_not_declare_is_refused(generator: Path):
    with pytest.raises(UserError, match='declares no ARG PIP_FIND_LINK; did you mean "PIP_FIND_LINKS"'):
        build_image(generator, "saying", print, base=None, network=None, args={"PIP_FIND_LINK": "x"})
