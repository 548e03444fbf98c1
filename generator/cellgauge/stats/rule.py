"""How models are compared and ranked: part of what a release registers before it has results."""

from __future__ import annotations

from typing import Final

from cellgauge.stats.jackknife import FEWEST_GROUPS
from cellgauge.stats.ranks import REPLICATES_PER_COMPARISON
from cellgauge.stats.studies import FEWEST_STUDIES

RULE: Final[dict[str, str | int]] = {
    "version": 2,
    "against the baseline": "paired differences on the same resamples or groups; Holm over the models of a dataset",
    "models": "each method once; what repeats one, obtained in another way, is neither ranked nor counted",
    "ranks": "1 + models shown to be better, to k - models shown to be worse; paired differences, Holm over all pairs",
    "intervals of ranks": "simultaneous over all pairs, at the level of the task",
    "skill": "(score - baseline) / (ceiling - baseline), never clipped; the ceiling is the best score there is",
    "means": "equal weight at each step: metric, family, dataset, study, task; simulated data and demonstrations apart",
    "fewest groups of a jackknife": FEWEST_GROUPS,
    "fewest studies of an interval": FEWEST_STUDIES,
    "resamples for each comparison, over alpha": REPLICATES_PER_COMPARISON,
}
"""Its version is raised whenever the same replicates could give another verdict, rank or mean."""
