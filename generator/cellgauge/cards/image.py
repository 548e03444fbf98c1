"""Images that the project brings: which files they are built from."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from cellgauge.cards.function import file_digest
from cellgauge.cards.model import ContainerModel, ModelCard
from cellgauge.cards.problems import UserError

_COPY = re.compile(r"^COPY\s+(?!--)(.+)$", re.MULTILINE)
_TAG_DIGITS = 16
_PACKAGES = Path(__file__).parents[2]
"""Where this package lies: in a clone the same folder as that of the images."""


def image_folder(generator: Path, folder: str) -> Path:
    """Return where an image's Dockerfile lies.

    Parameters
    ----------
    generator
        The folder that images are built in: Dockerfiles name files relative to it.

    Raises
    ------
    UserError
        When there is no such Dockerfile.
    """
    path = generator / "images" / folder
    if not (path / "Dockerfile").is_file():
        raise UserError(f'{path / "Dockerfile"}: expected a Dockerfile for the image "{folder}", found none')
    return path


def image_files(generator: Path, folder: str) -> dict[str, Path]:
    """Return everything that an image is built from: its Dockerfile and what that copies, by name in the context.

    A module of cellgauge is taken from the installed package where the folder of the images has no copy of it.

    Raises
    ------
    UserError
        When a file that is to be copied is not there.
    """
    dockerfile = image_folder(generator, folder) / "Dockerfile"
    files = {f"images/{folder}/Dockerfile": dockerfile}
    for found in _COPY.findall(dockerfile.read_text(encoding="utf-8")):
        for source in found.split()[:-1]:
            base = generator if (generator / source).exists() or not source.startswith("cellgauge/") else _PACKAGES
            path = base / source
            if not path.exists():
                raise UserError(f'{dockerfile}: expected "{source}" below {generator.name}/ to copy, found none')
            inside = sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]
            files |= {one.relative_to(base).as_posix(): one for one in inside if "__pycache__" not in one.parts}
    return dict(sorted(files.items()))


def image_digest(generator: Path, folder: str) -> str:
    """Return the digest of everything that an image is built from, but not of its base and of packages."""
    digest = hashlib.sha256()
    for name, path in image_files(generator, folder).items():
        digest.update(f"{name}\0{file_digest(path)}\n".encode())
    return f"sha256:{digest.hexdigest()}"


def image_of(card: ModelCard, generator: Path) -> tuple[str, str]:
    """Return the name of a container model's image, and the command that brings it onto this machine."""
    assert isinstance(card.obtain, ContainerModel)  # noqa: S101 (callers ask for containers)
    if card.obtain.folder is None:
        return str(card.obtain.image), f"docker pull {card.obtain.image}"
    return image_name(generator, card.obtain.folder), f"cellgauge model build {card.id}"


def image_name(generator: Path, folder: str) -> str:
    """Return the name that an image gets here; it changes with every file that it is built from."""
    return f"cellgauge/{folder}:{image_digest(generator, folder).removeprefix('sha256:')[:_TAG_DIGITS]}"
