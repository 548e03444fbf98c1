"""Whether a result was computed with the cards as they are now."""

from __future__ import annotations

from collections.abc import Mapping

from cellgauge.cards.base import Card
from cellgauge.cards.project import Cards
from cellgauge.results.schema import Result


class CardsNow:
    """What the cards of a project are computed from now: thousands of results are compared with them."""

    def __init__(self, cards: Cards) -> None:
        kinds: tuple[Mapping[str, Card], ...] = (cards.tasks, cards.datasets, cards.models)
        self._digests = [{id_: card.digest for id_, card in of_kind.items()} for of_kind in kinds]
        self._metrics = {id_: (metric.version, metric.direction) for id_, metric in cards.metrics.items()}

    def changed_since(self, result: Result) -> list[str]:
        """Return which cards have changed since a result was computed; one that is gone has changed."""
        tasks, datasets, models = self._digests
        changed = {
            "task protocol": result.task.digest != tasks.get(result.task.id),
            "dataset card": result.dataset.digest != datasets.get(result.dataset.id),
            "model card": result.model.digest != models.get(result.model.id),
            "metric cards": any(
                (score.version, score.direction) != self._metrics.get(score.metric) for score in result.scores
            ),
        }
        return [kind for kind, is_other in changed.items() if is_other]
