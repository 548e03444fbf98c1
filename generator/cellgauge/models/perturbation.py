"""Simple predictions of perturbed expression, and the controls that check how predictions are scored.

Each function takes what `cellgauge.data.screen.training_file` makes and returns a data frame of mean log-normalised
profiles: a row for each held-out perturbation that it can predict, a column for each gene.
"""

from __future__ import annotations

from dataclasses import dataclass

import anndata as ad
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import Ridge

from cellgauge.data.screen import mean_profiles, shared_effect, targets
from cellgauge.models.linear import log_normalised


@dataclass(frozen=True)
class _Screen:
    """What the simple models use of a training file."""

    genes: pd.Index
    joined_by: str
    predict: list[str]
    control: NDArray[np.float64]
    """(n_genes,) mean of the controls."""
    training: list[str]
    effects: NDArray[np.float64]
    """(n_training × n_genes) difference of mean log-normalised expression to the controls."""

    @classmethod
    def of(cls, adata: ad.AnnData) -> _Screen:
        """Average the cells of a training file; those that are marked as held out do not count."""
        names = adata.obs["perturbation"].to_numpy(dtype=str)
        if "held_out" in adata.obs:
            names = np.where(adata.obs["held_out"].to_numpy(dtype=bool), "", names)
        control = str(adata.uns["control"])
        training = sorted(set(names.tolist()) - {control, ""})
        means = mean_profiles(log_normalised(adata).X, (np.flatnonzero(names == one) for one in (control, *training)))
        return cls(
            genes=adata.var_names,
            joined_by=str(adata.uns["joined_by"]),
            predict=list(adata.uns["predict"]),
            control=means[0],
            training=training,
            effects=means[1:] - means[0],
        )

    def genes_of(self, name: str) -> list[str]:
        """Return the genes of a perturbation."""
        return name.split(self.joined_by)

    def predicted(self, effects: dict[str, NDArray[np.float64]]) -> pd.DataFrame:
        """Return the controls changed by the effects, as a model does."""
        profiles = np.array([self.control + effect for effect in effects.values()]).reshape(-1, len(self.genes))
        return pd.DataFrame(profiles, index=list(effects), columns=self.genes)


def no_change(adata: ad.AnnData, *, seed: int) -> pd.DataFrame:
    """Predict the mean of the controls for every perturbation. The seed is not used."""
    screen = _Screen.of(adata)
    return screen.predicted(dict.fromkeys(screen.predict, np.zeros(len(screen.genes))))


def perturbation_mean(adata: ad.AnnData, *, seed: int) -> pd.DataFrame:
    """Predict for every perturbation the mean effect of those in training, each counted once.

    The change of a targeted gene does not count, see `cellgauge.data.screen.shared_effect`. The seed is not used.
    """
    screen = _Screen.of(adata)
    targeted = targets(screen.training, screen.joined_by, screen.genes.to_numpy(dtype=str))
    return screen.predicted(dict.fromkeys(screen.predict, shared_effect(screen.effects, targeted)))


def additive(adata: ad.AnnData, *, seed: int) -> pd.DataFrame:
    """Predict the sum of the effects of single genes, where all genes of a perturbation were seen alone.

    The seed is not used.
    """
    screen = _Screen.of(adata)
    single = dict(zip(screen.training, screen.effects, strict=True))
    return screen.predicted(
        {
            name: np.sum([single[gene] for gene in screen.genes_of(name)], axis=0)
            for name in screen.predict
            if all(gene in single for gene in screen.genes_of(name))
        }
    )


def ridge(adata: ad.AnnData, *, seed: int, alpha: float) -> pd.DataFrame:
    """Regress effects on which genes were perturbed, with an L2 penalty on all but the intercept.

    A perturbation is predicted where each of its genes occurs in training, alone or together with others; nothing is
    known of the coefficient of a gene that does not. The seed is not used.

    Parameters
    ----------
    alpha
        Weight of the penalty; each training perturbation counts as one observation.
    """
    screen = _Screen.of(adata)
    seen = sorted({gene for name in screen.training for gene in screen.genes_of(name)})

    def multi_hot(names: list[str]) -> NDArray[np.float64]:
        return np.array([[gene in screen.genes_of(name) for gene in seen] for name in names], dtype=float)

    known = [name for name in screen.predict if set(screen.genes_of(name)) <= set(seen)]
    if not known:
        return screen.predicted({})
    model = Ridge(alpha=alpha).fit(multi_hot(screen.training), screen.effects)
    return screen.predicted(dict(zip(known, model.predict(multi_hot(known)), strict=True)))


def measured_effect(adata: ad.AnnData, *, seed: int, noise: float) -> pd.DataFrame:
    """Return the measured effects, with Gaussian noise and rows in random order: a control that is shown the truth.

    The order of the rows shows on every run that names, not positions, carry the prediction.
    """
    screen, rng = _Screen.of(adata), np.random.default_rng(seed)
    names = np.where(adata.obs["held_out"], adata.obs["perturbation"].to_numpy(dtype=str), "")
    cells = [np.flatnonzero(names == one) for one in (str(adata.uns["control"]), *screen.predict)]
    measured = mean_profiles(log_normalised(adata).X, cells)
    effects = dict(zip(screen.predict, measured[1:] - measured[0], strict=True))
    return screen.predicted(
        {
            name: effects[name] + rng.normal(scale=noise, size=len(screen.genes))
            for name in rng.permutation(screen.predict).tolist()
        }
    )


def shuffled_effect(adata: ad.AnnData, *, seed: int) -> pd.DataFrame:
    """Predict the effect of a randomly drawn training perturbation, its values dealt to the genes at random."""
    screen, rng = _Screen.of(adata), np.random.default_rng(seed)
    return screen.predicted({name: rng.permutation(rng.choice(screen.effects)) for name in screen.predict})
