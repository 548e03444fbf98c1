"""Embeddings on disk, addressed by what they were made from."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from cellgauge.cards.base import Digest, Part
from cellgauge.cards.canonical import digest
from cellgauge.cards.dataset import DatasetCard
from cellgauge.cards.model import ModelCard
from cellgauge.cards.task import Stress
from cellgauge.results.schema import Environment
from cellgauge.results.store import to_json, write_atomically


def embedding_key(
    model: ModelCard,
    dataset: DatasetCard,
    seed: int,
    code: Sequence[str],
    stress: Stress | None = None,
    parts: Sequence[DatasetCard] = (),
) -> str:
    """Return the digest of all that a model's output is made from.

    Parameters
    ----------
    dataset
        Its card counts as well as its cells: what the matrix is said to hold decides what a model does with it.
    seed
        Ignored where another seed gives the same output: for an embedding by a model that takes no seed. What a
        predicting model is shown, and what a stress condition takes away, depend on it.
    code
        Digests of the model's own files, where they lie beside its card.
    stress
        The condition under which the model was called; None: the data as they are.
    parts
        Other datasets that the model was shown in place of this one.
    """
    made_from: dict[str, Any] = {
        "model": model.compute_fields(),
        "dataset": dataset.compute_fields(),
        "seed": seed if needs_each_seed(model, stress) else None,
        "code": list(code),
    }
    if stress is not None:
        made_from["stress"] = {"kind": stress.kind, "keep": stress.keep}
    if parts:
        made_from["parts"] = [part.compute_fields() for part in parts]
    return digest(made_from)


def needs_each_seed(model: ModelCard, stress: Stress | None) -> bool:
    """Whether another seed gives another output."""
    return model.seeded or model.output == "prediction" or stress is not None


class Genes(Part):
    """How many of the genes that a model knows are in the data."""

    known: int = Field(ge=1)
    found: int = Field(ge=0)

    @property
    def coverage(self) -> float:
        """The share that is found."""
        return self.found / self.known


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
    genes: Genes | None = None
    log: str | None = None
    """The end of what a container printed."""


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

    def write(
        self,
        key: str,
        embedding: NDArray[np.float32],
        cost: Cost,
        environment: Environment,
        genes: Genes | None = None,
        log: str | None = None,
    ) -> Entry:
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
            genes=genes,
            log=log,
        )
        array_path, entry_path = self._paths(key)
        write_atomically(array_path, data)
        write_atomically(entry_path, to_json(entry))
        return entry
