"""Running the sanity gates of a model that predicts, on a small part of a training file."""

from __future__ import annotations

from collections import Counter

import anndata as ad
import numpy as np
from numpy.typing import NDArray

from cellgauge.cards.model import ModelCard
from cellgauge.data.screen import mean_profiles
from cellgauge.models import gates, prediction_gates
from cellgauge.models.linear import log_normalised
from cellgauge.models.prediction import accept_prediction
from cellgauge.results.schema import Gate
from cellgauge.runner.calling import Call, Called
from cellgauge.stats.resampling import generator

MOST_PREDICTED = 16
MOST_TRAINING = 64
MOST_CELLS = 16
"""Of each training perturbation."""
MOST_CONTROLS = 128


def run_prediction_gates(model: ModelCard, part: ad.AnnData, call: Call, seed: int, drawn_by: str) -> list[Gate]:
    """Call a model several times with the same small screen in ways that must not matter, and judge what comes out.

    Parameters
    ----------
    part
        The training file as the model is shown it.
    drawn_by
        Decides what the small screen is made of.
    """
    rng = generator(drawn_by, "gates")
    screen = smaller(part, rng)
    asked, genes = list(screen.uns["predict"]), screen.var_names.to_numpy(dtype=str)

    def predict(shown: ad.AnnData, with_seed: int) -> tuple[NDArray[np.float32], Called]:
        called = call(shown, with_seed)
        names = [name for name in asked if name in shown.uns["predict"]]
        return accept_prediction(called.output, names, genes), called

    first, called = predict(screen, seed)
    few = _few_alike(first)
    turned = screen[rng.permutation(screen.n_obs)][:, rng.permutation(screen.n_vars)].copy()
    turned.uns["predict"] = rng.permutation(asked).tolist()
    fewer = screen.copy()
    fewer.uns["predict"] = [asked[row] for row in few]
    unperturbed = np.flatnonzero(screen.obs["perturbation"] == screen.uns["control"])
    found = prediction_gates.Predicted(
        first=first,
        again=predict(screen, seed)[0],
        turned=predict(turned, seed)[0],
        other_seed=predict(screen, seed + 1)[0] if model.seeded else None,
        few=few,
        alone=predict(fewer, seed)[0] if len(few) else None,
        control=mean_profiles(log_normalised(screen).X, [unperturbed])[0],
    )
    return [
        prediction_gates.order(found),
        prediction_gates.batch_size(found),
        prediction_gates.determinism(found),
        gates.coverage(called.genes, part.n_vars),
        prediction_gates.not_a_control(found),
    ]


def smaller(part: ad.AnnData, rng: np.random.Generator) -> ad.AnnData:
    """Return a small screen out of a training file, with all genes.

    What is asked for is spread over kinds: by how many genes there are, and how many of them were seen alone. First
    among the training perturbations are those of genes that are asked for, since some models know no others.
    """
    names = part.obs["perturbation"].to_numpy(dtype=str)
    control, joined_by = str(part.uns["control"]), str(part.uns["joined_by"])
    training = set(names.tolist()) - {control}
    of_kind: Counter[tuple[int, int]] = Counter()
    turn = {}
    for name in rng.permutation(part.uns["predict"]).tolist():
        genes = name.split(joined_by)
        kind = len(genes), sum(gene in training for gene in genes)
        turn[name] = of_kind[kind]
        of_kind[kind] += 1
    asked = sorted(sorted(turn, key=turn.__getitem__)[:MOST_PREDICTED])
    wanted = {gene for name in asked for gene in name.split(joined_by)}

    def strangeness(name: str) -> tuple[int, int]:
        genes = set(name.split(joined_by))
        return len(genes - wanted), len(genes)

    kept = sorted(rng.permutation(sorted(training)).tolist(), key=strangeness)[:MOST_TRAINING]
    rows = []
    for name, most in [(control, MOST_CONTROLS), *((name, MOST_CELLS) for name in kept)]:
        rows.append(rng.permutation(np.flatnonzero(names == name))[:most])
    screen = part[np.sort(np.concatenate(rows))].copy()
    screen.uns["predict"] = asked
    screen.uns["validation"] = [name for name in part.uns["validation"] if name in kept]
    return screen


def _few_alike(profiles: NDArray[np.float32]) -> NDArray[np.intp]:
    """Return a third of the predicted profiles that lie at one end of what tells most of them apart; none of one alone.

    What such profiles have in common is not what all have in common.
    """
    predicted = np.flatnonzero(np.isfinite(profiles).all(axis=1))
    if len(predicted) < 2:
        return predicted[:0]
    known = profiles[predicted].astype(np.float64)
    along = np.linalg.svd(known - known.mean(axis=0), full_matrices=False)[0][:, 0]
    end = along[np.abs(along).argmax()]
    return np.sort(predicted[np.argsort(-end * along, kind="stable")[: max(1, len(predicted) // 3)]])
