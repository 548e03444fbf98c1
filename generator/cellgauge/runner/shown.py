"""What a model is shown of a dataset, and how what it returns is put together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anndata as ad
import numpy as np
from numpy.typing import NDArray

from cellgauge.cards.model import ModelCard
from cellgauge.cards.task import Stress
from cellgauge.data.dataset import Dataset
from cellgauge.data.screen import training_file
from cellgauge.data.stress import stressed
from cellgauge.models.embedding import InvalidOutputError, accept_embedding
from cellgauge.models.prediction import accept_prediction
from cellgauge.stats.resampling import generator


def shown_to(
    model: ModelCard, dataset: Dataset, seed: int, stress: Stress | None, load: Callable[[str], Dataset]
) -> list[ad.AnnData]:
    """Return what a model is called with, one call each.

    A model that predicts gets the training cells alone. A model that was trained elsewhere gets the species of a
    dataset one by one, each with its own genes where the dataset joins others; a model that is fitted here gets all
    cells together, on the genes they share, since axes that were fitted apart have nothing to do with each other.

    Parameters
    ----------
    seed
        Of this evaluation; it also decides what a stress condition takes away.
    load
        Returns a dataset by its id.
    """
    if model.output == "prediction":
        parts = [training_file(dataset, seed, with_held_out=model.input.held_out)]
    else:
        parts = [dataset.for_model(model.input.given)]
        if model.is_fitted_elsewhere and "species" in dataset.columns:
            parts = _by_species(parts[0], dataset, load)
    if stress is None:
        return parts
    drawn = (dataset.digest, stress.kind, str(stress.keep), seed)
    return [stressed(part, stress, generator(*drawn, position)) for position, part in enumerate(parts)]


def _by_species(shown: ad.AnnData, dataset: Dataset, load: Callable[[str], Dataset]) -> list[ad.AnnData]:
    if not dataset.card.joins:
        species = dataset.columns["species"]
        parts = [shown[species == one].copy() for one in np.unique(species)]
        for part, name in zip(parts, np.unique(species), strict=True):
            own = [organism.taxon for organism in dataset.card.organisms if organism.name == name]
            part.uns["taxa"] = own or part.uns["taxa"]
        return parts
    parts = []
    for joined in dataset.card.joins:
        whole = load(joined).for_model([])
        part = whole[whole.obs_names.isin(shown.obs_names)].copy()
        part.obs = shown.obs.loc[part.obs_names].copy()
        parts.append(part)
    return parts


def accept(model: ModelCard, dataset: Dataset, shown: list[ad.AnnData], outputs: list[Any]) -> NDArray[np.float32]:
    """Check what a model returned for each call, and put it into the order of the dataset.

    Returns
    -------
    (n_cells × n_dimensions); of a prediction (n_held_out × n_genes), with a row of NaN for what was not predicted.

    Raises
    ------
    InvalidOutputError
    """
    if model.output == "prediction":
        (part,), (output,) = shown, outputs
        predicted: NDArray[np.float32] = accept_prediction(output, list(part.uns["predict"]), dataset.feature_ids)
        return predicted
    ids = [part.obs_names.to_numpy(dtype=str) for part in shown]
    accepted = [accept_embedding(output, one) for output, one in zip(outputs, ids, strict=True)]
    widths = sorted({one.shape[1] for one in accepted})
    if len(widths) > 1:
        raise InvalidOutputError(
            f"embeds species into spaces of different sizes ({' and '.join(map(str, widths))} dimensions)"
        )
    if len(accepted) == 1:
        return accepted[0]
    if sorted(np.concatenate(ids)) != sorted(dataset.cell_ids):
        raise InvalidOutputError("the cells of the joined datasets are not the cells of this one")
    order = np.argsort(np.concatenate(ids))
    place = np.empty(len(order), dtype=np.intp)
    place[np.argsort(dataset.cell_ids)] = order
    return np.asarray(np.concatenate(accepted)[place])
