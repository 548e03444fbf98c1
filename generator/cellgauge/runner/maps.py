"""Which maps a release still needs: one for each dataset and model with scores."""

from __future__ import annotations

from collections.abc import Collection

from cellgauge.cards.canonical import digest
from cellgauge.cards.project import Cards, Project
from cellgauge.results.maps import MAP_VERSION, EmbeddingMap, read_map
from cellgauge.results.release import Pair, Plan
from cellgauge.runner.plan import SEED_OF_CHECKS, Filters, key_of_embedding, select, stored_for

Place = tuple[str, str]
"""Dataset and model."""


def map_key(project: Project, cards: Cards, dataset: str, model: str) -> str:
    """Return the digest of all that a map follows from: the embedding, and how maps are made."""
    made_from = key_of_embedding(project, cards, cards.models[model], cards.datasets[dataset], SEED_OF_CHECKS)
    return digest({"embedding": made_from, "map": MAP_VERSION})


def current_map(project: Project, cards: Cards, release: str, place: Place) -> EmbeddingMap | None:
    """Return the map that a release holds, also one that only says why there is none; ``None`` when it is of before."""
    found = read_map(project.release(release), *place)
    return found if found is not None and found.key == map_key(project, cards, *place) else None


def maps_to_make(
    project: Project,
    cards: Cards,
    plan: Plan,
    filters: Filters,
    to_run: Collection[Pair],
    *,
    again: bool = False,
    retry: Collection[str] = (),
) -> list[Place]:
    """Return the datasets and models whose map is missing, of those that have scores or are about to get some.

    Parameters
    ----------
    to_run
        The pairs that will be computed.
    again
        Also the maps that are there.
    retry
        Statuses to try again: of maps that were tried in vain.
    """
    by_place: dict[Place, list[Pair]] = {}
    for pair in select(plan, filters):
        if pair.status == "to_run" and cards.models[pair.model].output == "embedding":
            by_place.setdefault((pair.dataset, pair.model), []).append(pair)
    chosen = []
    for place, pairs in by_place.items():
        found = current_map(project, cards, plan.release, place)
        if found is not None and not again and found.status not in retry:
            continue
        folder = project.release(plan.release)
        if any(pair in to_run for pair in pairs) or any(stored_for(folder, pair).state == "done" for pair in pairs):
            chosen.append(place)
    return chosen
