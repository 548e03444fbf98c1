"""Calling a model that is a container image."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import anndata as ad
import pandas as pd

from cellgauge import __version__
from cellgauge.cards.dataset import DatasetCard
from cellgauge.cards.model import ContainerModel, ModelCard
from cellgauge.cards.problems import UserError
from cellgauge.models.cache import Cost, Genes
from cellgauge.models.contract import (
    MEANINGS,
    Request,
    Response,
    read_embedding,
    read_prediction,
    read_response,
    reason_of,
    write_input,
)
from cellgauge.models.embedding import InvalidOutputError
from cellgauge.models.sandbox import Backend, Ended, Image, Sandbox
from cellgauge.results.schema import Empty, Environment

_GB = 10**9


class ContainerStopped(UserError):
    """A container that ended without output, or was killed.

    Parameters
    ----------
    status
        Of the evaluations that waited.
    log
        The end of what it printed.
    """

    def __init__(self, status: Empty, reason: str, log: str) -> None:
        super().__init__(reason)
        self.status, self.log = status, log


@dataclass(frozen=True)
class Called:
    """What a container gave for one call."""

    output: pd.DataFrame
    """Of an embedding cells × values, of a prediction perturbations × genes."""
    cost: Cost
    environment: Environment
    genes: Genes | None
    log: str


def call_container(
    model: ModelCard,
    dataset: DatasetCard,
    adata: ad.AnnData,
    *,
    seed: int,
    backend: Backend,
    image: Image,
    weights: Path | None,
    work: Path,
    threads: int,
    on_line: Callable[[str], None],
) -> Called:
    """Hand cells to a container and read what it gives.

    Parameters
    ----------
    adata
        What the model may see.
    weights
        A folder that becomes ``/weights``.
    work
        Where the folders of the run are made; nothing stays there.
    threads
        How many processors it may use.

    Raises
    ------
    ContainerStopped
        With the status that its exit code means, or what stopped it.
    InvalidOutputError
        For output that is not what the contract says.
    """
    assert isinstance(model.obtain, ContainerModel)  # noqa: S101 (callers ask for containers)
    limits = model.obtain.limits
    request = Request(
        output="prediction" if model.output == "prediction" else "embedding",
        seed=seed,
        params=model.obtain.params,
        values=dataset.matrix.values,
        features=dataset.matrix.features,
        taxa=[int(taxon) for taxon in adata.uns["taxa"]],
        n_cells=adata.n_obs,
        n_genes=adata.n_vars,
        threads=threads,
        gpu=model.obtain.gpu,
    )
    work.mkdir(parents=True, exist_ok=True)
    # Closed to others, since the folder inside is open to anybody.
    folder = Path(tempfile.mkdtemp(prefix=f"{model.id}-", dir=work))
    try:
        given, written = folder / "input", folder / "output"
        # Whatever the umask is, since the container is another user.
        for path, mode in ((given, 0o755), (written, 0o777)):
            path.mkdir()
            path.chmod(mode)
        write_input(given, adata, request)
        ended = backend.run(
            Sandbox(
                image=image,
                input=given,
                output=written,
                weights=weights,
                memory_bytes=int(limits.memory_gb * _GB),
                seconds=limits.minutes * 60,
                processes=limits.processes,
                output_bytes=int(limits.output_gb * _GB),
                cpus=float(threads),
                gpu=model.obtain.gpu,
            ),
            on_line,
        )
        response = _explained(ended, written)
        if model.output == "prediction":
            output = read_prediction(written, len(adata.uns["predict"]), adata.n_vars)
        else:
            output = read_embedding(written, adata.n_obs)
    finally:
        # Folders in folders can be made faster than they are counted, and deeper than shutil.rmtree goes.
        subprocess.run(["rm", "-rf", "--", folder], stderr=subprocess.DEVNULL, check=False)  # noqa: S603, S607
    return Called(
        output=output,
        cost=Cost(
            wall_s=ended.wall_s,
            cpu_s=ended.cpu_s or 0.0,
            peak_memory_mb=ended.peak_memory_mb,
            memory_method=ended.memory_method,
        ),
        environment=_environment(image, response),
        genes=response.genes,
        log=ended.log,
    )


def _explained(ended: Ended, written: Path) -> Response:
    """Return what a container that succeeded says of itself."""
    if ended.stopped is not None:
        status: Empty = "timeout" if "time limit" in ended.stopped else "failed"
        raise ContainerStopped(status, f"the container was {ended.stopped}", ended.log)
    if ended.out_of_memory:
        raise ContainerStopped("out_of_memory", "the container used more memory than its card allows", ended.log)
    try:
        response = read_response(written)
    except InvalidOutputError:
        if ended.exit_code == 0:
            raise
        response = None
    if ended.exit_code != 0:
        meaning = MEANINGS.get(ended.exit_code, "failed")
        code = "" if ended.exit_code in MEANINGS else f"the container ended with exit code {ended.exit_code}: "
        raise ContainerStopped(meaning, f"{code}{reason_of(response, ended.log)}", ended.log)  # type: ignore[arg-type]
    if response is None:
        raise InvalidOutputError("wrote no response.json")
    return response


def _environment(image: Image, response: Response) -> Environment:
    versions = dict(response.versions)
    return Environment(
        python=versions.pop("python", "not said"),
        cellgauge=__version__,
        packages=versions,
        platform="container",
        cpu="as of the evaluation",
        image=image.name,
        image_id=image.id,
        image_digest=image.repo_digest,
    )
