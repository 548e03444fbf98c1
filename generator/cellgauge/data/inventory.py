"""What of a project's datasets is on this machine, and what no card asks for any more."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cellgauge.cards.dataset import DatasetCard, FileSource, SourceFile
from cellgauge.data.fetch import find_file
from cellgauge.data.obtain import built_path
from cellgauge.data.store import FileStore

State = Literal["here", "to fetch", "to make", "not pinned"]


@dataclass(frozen=True)
class Holding:
    """One dataset and what of it is here."""

    card: DatasetCard
    files: dict[str, Path | None]
    """The original files by name; ``None`` for one that is not here."""
    built: Path | None
    """What a function made of them, if it was made and kept."""

    @property
    def state(self) -> State:
        """``here``: it can be loaded without a network."""
        if not self.card.pinned:
            return "not pinned"
        if None in self.files.values():
            return "here" if self.built is not None else "to fetch"
        return "here" if self.built is not None or isinstance(self.card.source, FileSource) else "to make"

    @property
    def loadable(self) -> bool:
        """Whether it can be loaded without a network, also where it has to be made first."""
        return self.built is not None or None not in self.files.values()

    @property
    def h5ad(self) -> Path | None:
        """The dataset as one ``.h5ad`` file."""
        return self.files["data"] if isinstance(self.card.source, FileSource) else self.built

    @property
    def wanted_bytes(self) -> int | None:
        """Bytes still to fetch; ``None`` where the card does not say how large a file is."""
        return total_size(one for name, one in self.card.files.items() if self.files[name] is None)


def holding(card: DatasetCard, source_root: Path, store: FileStore) -> Holding:
    """Say what of a dataset is here; nothing is fetched, made or read."""
    card_path = source_root / card.path
    built = built_path(card, card_path, store)
    return Holding(
        card,
        {name: find_file(one, card_path.parent, store) for name, one in card.files.items()},
        built if built is not None and built.is_file() else None,
    )


def unwanted(
    cards: Iterable[DatasetCard], source_root: Path, store: FileStore, others: Iterable[SourceFile] = ()
) -> list[Path]:
    """Return what no card asks for: files, what was made of them by older recipes, and broken-off downloads.

    Parameters
    ----------
    others
        What models ask for, such as weights.
    """
    wanted: set[Path | None] = {find_file(one, source_root, store) for one in others}
    for card in cards:
        card_path = source_root / card.path
        wanted.add(built_path(card, card_path, store))
        wanted.update(find_file(one, card_path.parent, store) for one in card.files.values())
    kept = [*store.blobs(), *built_files(store), *store.partials()]
    return sorted(path for path in kept if path not in wanted)


def built_files(store: FileStore) -> list[Path]:
    """Return everything that functions made and that was kept, half-written files included."""
    folder = store.folder / "built"
    return sorted(path for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []


def total_size(files: Iterable[SourceFile]) -> int | None:
    """Return the bytes of original files, or ``None`` where one's size is not known."""
    sizes = [one.size for one in files]
    return None if None in sizes else sum(size for size in sizes if size is not None)
