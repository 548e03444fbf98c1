"""Running the sanity gates of a model that embeds on a few cells of a dataset, and keeping what they gave."""

from __future__ import annotations

import json
from pathlib import Path

import anndata as ad
import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError
from sklearn.decomposition import PCA

from cellgauge.cards.canonical import digest
from cellgauge.cards.model import ModelCard
from cellgauge.models import gates
from cellgauge.models.embedding import accept_embedding
from cellgauge.models.linear import log_normalised
from cellgauge.results.schema import Gate
from cellgauge.results.store import write_atomically
from cellgauge.runner.calling import Call, Called
from cellgauge.stats.resampling import generator

MOST_CELLS = 512
_COMPONENTS = 30
_GATES = TypeAdapter(list[Gate])


def run_gates(model: ModelCard, part: ad.AnnData, call: Call, seed: int, drawn_by: str) -> list[Gate]:
    """Call a model several times with the same few cells in ways that must not matter, and judge what comes out.

    Parameters
    ----------
    part
        Cells as the model is shown them.
    drawn_by
        Decides which cells are taken.
    """
    rng = generator(drawn_by, "gates")
    chosen = np.sort(rng.choice(part.n_obs, min(MOST_CELLS, part.n_obs), replace=False))
    cells = part[chosen].copy()

    def embed(shown: ad.AnnData, with_seed: int) -> tuple[NDArray[np.float32], Called]:
        called = call(shown, with_seed)
        return accept_embedding(called.output, shown.obs_names.to_numpy(dtype=str)), called

    first, called = embed(cells, seed)
    known = gates.coverage(called.genes, part.n_vars)
    if cells.n_obs < gates.ENOUGH:
        why = f"{cells.n_obs} cells are too few; {gates.ENOUGH} are needed"
        names = ("order", "batch-size", "determinism", "not-a-control")
        return [*(Gate(name=name, outcome="not applicable", evidence=why) for name in names), known]
    turned = rng.permutation(cells.n_obs)
    misordered, _ = embed(cells[turned].copy(), seed)
    permuted = np.empty_like(misordered)
    permuted[turned] = misordered
    expression = _expression(cells)
    few = _close_together(expression, min(gates.FEW, cells.n_obs // 2), rng)
    found = gates.Embedded(
        first=first,
        again=embed(cells, seed)[0],
        permuted=permuted,
        misordered=misordered,
        other_seed=embed(cells, seed + 1)[0] if model.seeded else None,
        few=few,
        alone=None if model.fit == "dataset" else embed(cells[few].copy(), seed)[0],
        expression=expression,
    )
    return [
        gates.order(found),
        gates.batch_size(found),
        gates.determinism(found),
        known,
        gates.not_a_control(found),
    ]


def _expression(cells: ad.AnnData) -> NDArray[np.float32]:
    matrix = log_normalised(cells).X
    dense = np.asarray(matrix.toarray() if hasattr(matrix, "toarray") else matrix, dtype=np.float64)
    components = min(_COMPONENTS, *(size - 1 for size in dense.shape))
    fitted = PCA(n_components=max(1, components), svd_solver="full").fit_transform(dense)
    return np.asarray(fitted, dtype=np.float32)


def _close_together(expression: NDArray[np.float32], n: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return a cell and those nearest to it: what differs between such cells is not what differs between all."""
    centre = expression[rng.integers(len(expression))]
    return np.sort(np.argsort(np.linalg.norm(expression - centre, axis=1))[:n])


class GateCache:
    """What the gates of an embedding or a prediction gave, by its key."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "gates"

    def read(self, key: str) -> list[Gate] | None:
        """Return what was found; None when nothing is there that can be read."""
        try:
            return _GATES.validate_json(self._path(key).read_bytes())
        except (FileNotFoundError, ValidationError):
            return None

    def write(self, key: str, found: list[Gate]) -> None:
        """Keep what was found."""
        text = json.dumps([one.model_dump(mode="json") for one in found], sort_keys=True)
        write_atomically(self._path(key), text.encode())

    def _path(self, key: str) -> Path:
        name = digest({"embedding": key, "gates": gates.VERSION}).removeprefix("sha256:")
        return self.folder / name[:2] / f"{name}.json"
