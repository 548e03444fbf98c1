"""Models from outside the project: a release keeps their cards, so that its pages can be built anywhere."""

from __future__ import annotations

import shutil
from pathlib import Path

from cellgauge.cards.model import FunctionModel, ModelCard
from cellgauge.cards.read import read_card


def adopt(card_path: Path, release: Path) -> str:
    """Copy a model card, and the file with its function, into ``<release>/models``; return the model's id.

    Raises
    ------
    CardProblems
        When it is not a valid model card.
    """
    card = read_card(card_path, ModelCard)
    folder = release / "models"
    folder.mkdir(parents=True, exist_ok=True)
    sources = [card_path]
    if isinstance(card.obtain, FunctionModel):
        beside = card_path.parent / card.obtain.function.rsplit(":", 1)[0]
        sources += [beside] if beside.is_file() else []
    for source in sources:
        if source.resolve() != (folder / source.name).resolve():
            shutil.copyfile(source, folder / source.name)
    return card.id
