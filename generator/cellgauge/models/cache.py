"""Embeddings on disk, addressed by what they were made from."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from cellgauge.cards.base import Digest, Part
from cellgauge.cards.canonical import digest
from cellgauge.cards.dataset import DatasetCard
from cellgauge.cards.model import ModelCard
from cellgauge.results.schema import Environment
from cellgauge.results.store import to_json, write_atomically


def embedding_key(model: ModelCard, dataset: DatasetCard, seed: int, code: str) -> str:
    """Return the digest of all that an embedding is made from.

    Parameters
    ----------
    dataset
        Its card counts as well as its cells: what the matrix is said to hold decides what a model does with it.
    seed
        Ignored for a model that takes no seed.
    code
        Digest of the model's own code, where it lies beside its card.
    """
    used = seed if model.seeded else None
    return digest({"model": model.compute_fields(), "dataset": dataset.compute_fields(), "seed": used, "code": code})


class Cost(Part):
    """What making an embedding cost."""

    wall_s: float
    cpu_s: float
    peak_memory_mb: float | None
    memory_method: str | None


class Entry(Part):
    """What the cache knows of one embedding."""

    key: Digest
    sha256: str
    shape: list[int]
    cost: Cost
    environment: Environment


class EmbeddingCache:
    """A folder of embeddings. An entry is there whole or not at all, and is checked whenever it is read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "embeddings"

    def _paths(self, key: str) -> tuple[Path, Path]:
        name = key.removeprefix("sha256:")
        folder = self.folder / name[:2]
        return folder / f"{name}.npy", folder / f"{name}.json"

    def read(self, key: str) -> tuple[NDArray[np.float32], Entry] | None:
        """Return an embedding and its entry, or ``None`` when it is absent or damaged."""
        array_path, entry_path = self._paths(key)
        try:
            entry = Entry.model_validate_json(entry_path.read_bytes())
            data = array_path.read_bytes()
        except (FileNotFoundError, ValidationError):
            return None
        if entry.key != key or hashlib.sha256(data).hexdigest() != entry.sha256:
            return None
        return np.load(io.BytesIO(data), allow_pickle=False), entry

    def write(self, key: str, embedding: NDArray[np.float32], cost: Cost, environment: Environment) -> Entry:
        """Store an embedding. The entry goes last, so that one that is there is complete."""
        buffer = io.BytesIO()
        np.save(buffer, np.ascontiguousarray(embedding), allow_pickle=False)
        data: Any = buffer.getvalue()
        entry = Entry(
            key=key,
            sha256=hashlib.sha256(data).hexdigest(),
            shape=list(embedding.shape),
            cost=cost,
            environment=environment,
        )
        array_path, entry_path = self._paths(key)
        write_atomically(array_path, data)
        write_atomically(entry_path, to_json(entry))
        return entry
