"""Building the images that the project brings."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

from cellgauge.cards.image import image_files, image_name
from cellgauge.models.docker_backend import DockerBackend


def build_image(
    generator: Path, folder: str, on_line: Callable[[str], None], *, base: str | None, network: str | None
) -> str:
    """Build an image with Docker and return its name.

    Parameters
    ----------
    base
        Takes the place of the base image that the Dockerfile names.
    network
        Network of the build steps, such as ``host``; None: Docker's own choice.

    Raises
    ------
    UserError
        When it cannot be built; the message ends with what the build said last.
    """
    name, args = image_name(generator, folder), {} if base is None else {"BASE_IMAGE": base}
    context = _context(image_files(generator, folder))
    with DockerBackend() as backend:
        for line in backend.build(context, f"images/{folder}/Dockerfile", name, args, network):
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
