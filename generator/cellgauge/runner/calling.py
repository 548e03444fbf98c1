"""Calling a model, whichever way its card says that its outputs are obtained."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
from numpy.typing import NDArray

from cellgauge.cards.function import load_function
from cellgauge.cards.image import image_of
from cellgauge.cards.model import ContainerModel, FunctionModel, ModelCard, PrecomputedModel
from cellgauge.cards.packages import imports_of, not_installed
from cellgauge.cards.project import Project
from cellgauge.data.dataset import Dataset
from cellgauge.data.fetch import fetch_file
from cellgauge.data.screen import design
from cellgauge.data.store import FileStore
from cellgauge.models.cache import Cost, Genes
from cellgauge.models.containers import call_container
from cellgauge.models.embedding import accept_embedding
from cellgauge.models.precomputed import read_output
from cellgauge.models.prediction import accept_prediction
from cellgauge.models.sandbox import BackendMissing, ImageMissing
from cellgauge.models.weights import weights_folder
from cellgauge.results.schema import Environment
from cellgauge.runner.cost import measured
from cellgauge.runner.environment import environment
from cellgauge.runner.shown import accept
from cellgauge.tasks.contract import NotApplicableError


@dataclass(frozen=True)
class Called:
    """What a model gave, and what that took."""

    output: Any
    """For one call as the model returned it; taken together an array in the order of the dataset."""
    cost: Cost
    environment: Environment
    genes: Genes | None = None
    log: str | None = None


Call = Callable[[ad.AnnData, int], Called]


@contextmanager
def caller(model: ModelCard, dataset: Dataset, project: Project, cache: Path) -> Iterator[Call]:
    """Open whatever a model needs, and yield a function of the cells that it is shown and a seed.

    Raises
    ------
    NotApplicableError
        When too few of the genes that the model knows are among those of the dataset.
    UserError
        When something that it needs is not on this machine.
    """
    card_path = project.source / model.path
    listed = _listed_genes(model, dataset, card_path)
    if isinstance(model.obtain, FunctionModel):
        here = environment(imports_of(model.obtain.function, card_path))
        yield partial(_call_function, model_function(model, card_path), here, listed)
        return
    assert isinstance(model.obtain, ContainerModel)  # noqa: S101 (the plan keeps other kinds out)
    from cellgauge.models.docker_backend import DockerBackend  # here, since most workers never need it

    weights = weights_folder(model, card_path.parent, FileStore(cache))
    with DockerBackend() as backend:
        name, how = image_of(model, project.generator)
        try:
            image = backend.find(name)
        except ImageMissing as error:
            raise ImageMissing(f"{error}: {how}") from None

        def call(part: ad.AnnData, seed: int) -> Called:
            found = call_container(
                model,
                dataset.card,
                part,
                seed=seed,
                backend=backend,
                image=image,
                weights=weights,
                work=cache / "containers",
                threads=threads(),
                on_line=lambda line: print(f"{model.id}: {line}", file=sys.stderr, flush=True),
            )
            _need_genes(model, found.genes)
            return Called(found.output, found.cost, found.environment, found.genes or listed, found.log)

        yield call


def remove_abandoned_containers(models: Iterable[ModelCard]) -> None:
    """Remove the containers of workers that are gone, if any of these models is a container.

    A worker that was killed did not stop its container, which would go on beside whatever is measured next.
    """
    if not any(isinstance(model.obtain, ContainerModel) for model in models):
        return
    from cellgauge.models.docker_backend import DockerBackend

    with suppress(BackendMissing), DockerBackend():
        pass


def model_function(model: ModelCard, card_path: Path) -> Callable[..., Any]:
    """Return the model's function with its parameters; what importing it costs is not the model's cost.

    Raises
    ------
    PackageMissing
        Now or when it is called, where it imports a package that is not installed here.
    UserError
        When the function is not there.
    """
    assert isinstance(model.obtain, FunctionModel)  # noqa: S101 (callers ask for functions)
    target, params = model.obtain.function, model.obtain.params
    function = load_function(target, card_path)

    def call(adata: ad.AnnData, *, seed: int) -> Any:
        try:
            return function(adata, seed=seed, **params)
        except ModuleNotFoundError as error:  # what is large is imported only where it is needed
            raise (not_installed(error.name, ours=target.startswith("cellgauge.")) or error) from None

    return call


def _call_function(
    function: Callable[..., Any], here: Environment, genes: Genes | None, part: ad.AnnData, seed: int
) -> Called:
    with measured() as meter:
        output = function(part.copy(), seed=seed)
    assert meter.cost is not None  # noqa: S101 (the block has ended)
    return Called(output, meter.cost, here, genes)


def threads() -> int:
    """How many processors a model may use: as many as a worker of this run has for itself."""
    return max(1, int(os.environ.get("OMP_NUM_THREADS", "0") or 0) or (os.cpu_count() or 1))


def together(model: ModelCard, dataset: Dataset, shown: list[ad.AnnData], calls: list[Called]) -> Called:
    """Check what a model gave in each call and put it into the order of the dataset; costs add up.

    Raises
    ------
    InvalidOutputError
    """
    output = accept(model, dataset, shown, [one.output for one in calls])
    costs = [one.cost for one in calls]
    peaks = [one.peak_memory_mb for one in costs if one.peak_memory_mb is not None]
    cost = Cost(
        wall_s=round(sum(one.wall_s for one in costs), 4),
        cpu_s=round(sum(one.cpu_s for one in costs), 4),
        peak_memory_mb=max(peaks, default=None),
        memory_method=costs[0].memory_method,
    )
    genes = [one.genes for one in calls if one.genes is not None]
    least = min(genes, key=lambda one: one.coverage, default=None)
    logs = [one.log for one in calls if one.log]
    return Called(output, cost, calls[0].environment, least, "\n".join(logs) or None)


def read_precomputed(model: ModelCard, dataset: Dataset, project: Project, cache: Path) -> Called:
    """Fetch and read an output that was computed elsewhere.

    Raises
    ------
    FetchError, InvalidOutputError
    """
    assert isinstance(model.obtain, PrecomputedModel)  # noqa: S101 (the caller asks for one)
    source = model.obtain.for_dataset(dataset.card.id)
    assert source is not None  # noqa: S101 (the plan keeps other datasets out)
    with measured() as meter:
        path = fetch_file(source, (project.source / model.path).parent, FileStore(cache))
        frame = read_output(path, source.place)
        output: NDArray[np.float32]
        if model.output == "prediction":
            output = accept_prediction(frame, list(design(dataset).held_out), dataset.feature_ids)
        else:
            output = accept_embedding(frame, dataset.cell_ids)
    assert meter.cost is not None  # noqa: S101 (the block has ended)
    return Called(output, meter.cost, environment())


def _listed_genes(model: ModelCard, dataset: Dataset, card_path: Path) -> Genes | None:
    if model.input.genes is None:
        return None
    known = set(card_path.with_name(model.input.genes).read_text(encoding="utf-8").split())
    genes = Genes(known=max(1, len(known)), found=len(known & set(dataset.feature_ids.tolist())))
    _need_genes(model, genes)
    return genes


def _need_genes(model: ModelCard, genes: Genes | None) -> None:
    least = model.input.least_coverage
    if least is not None and genes is not None and genes.coverage < least:
        raise NotApplicableError(
            f"{genes.found:,} of the {genes.known:,} genes that {model.name} knows are in the data "
            f"({genes.coverage:.0%}); its card asks for {least:.0%}"
        )
