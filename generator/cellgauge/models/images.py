"""Building the images that the project brings."""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from cellgauge.cards.image import image_files, image_folder, image_name
from cellgauge.cards.problems import UserError, did_you_mean
from cellgauge.models.docker_backend import DockerBackend

_ARG = re.compile(r"^ARG\s+(\w+)", re.MULTILINE)


def build_image(
    generator: Path,
    folder: str,
    on_line: Callable[[str], None],
    *,
    base: str | None,
    network: str | None,
    args: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """Build an image with Docker and return its name.

    Parameters
    ----------
    base
        Takes the place of the base image that the Dockerfile names.
    network
        Network of the build steps, such as ``host``; None: Docker's own choice.
    args
        Values for what the Dockerfile declares with ``ARG``.

    Raises
    ------
    UserError
        When it cannot be built; the message ends with what the build said last. When it declares no such ``ARG``.
    """
    name, given = image_name(generator, folder), dict(args) | ({} if base is None else {"BASE_IMAGE": base})
    dockerfile = image_folder(generator, folder) / "Dockerfile"
    declared = _ARG.findall(dockerfile.read_text(encoding="utf-8"))
    for one in given:
        if one not in declared:
            raise UserError(f"{dockerfile}: declares no ARG {one}{did_you_mean(one, declared)}")
    context = _context(image_files(generator, folder))
    with DockerBackend() as backend:
        for line in backend.build(context, f"images/{folder}/Dockerfile", name, given, network):
            on_line(line)
    return name


def _context(files: dict[str, Path]) -> io.BytesIO:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, path in files.items():
            entry = tarfile.TarInfo(name)  # without owner and time, so that layers are found again
            data = path.read_bytes()
            entry.size, entry.mode = len(data), 0o644
            tar.addfile(entry, io.BytesIO(data))
    packed.seek(0)
    return packed
