"""Models that are obtained in several ways, such as a function and a container: whether all give the same scores."""

from __future__ import annotations

from dataclasses import dataclass

from cellgauge.cards import ModelCard
from cellgauge.report.numbers import plural
from cellgauge.report.release import ReleaseView
from cellgauge.report.score_names import name_of_score
from cellgauge.results.schema import Result


@dataclass(frozen=True)
class OnceMore:
    """Another way to obtain a model, or the model itself where this is the other way."""

    model: ModelCard
    agreement: str
    """How far the scores of the two agree, in a sentence; empty where no evaluation has scores of both."""


def once_more(view: ReleaseView, model: ModelCard) -> list[OnceMore]:
    """Return the model that a card repeats, or those that repeat it, each with what the scores of both say."""
    others = [one for one in view.cards.models.values() if one.id == model.repeats or one.repeats == model.id]
    return [OnceMore(one, _agreement(view, model, one)) for one in others]


def _agreement(view: ReleaseView, model: ModelCard, other: ModelCard) -> str:
    ours, theirs = _evaluated(view, model), _evaluated(view, other)
    apart = [
        (abs(score.value - same.value), score.key, place)
        for place in ours.keys() & theirs.keys()
        for score in ours[place].scores
        if (same := theirs[place].score(score.key)) is not None
    ]
    if not apart:
        return ""
    n_both = len(ours.keys() & theirs.keys())
    both = f"{'one evaluation that has' if n_both == 1 else f'{n_both:,} evaluations that have'} scores of both"
    largest, key, (task_id, dataset_id) = max(apart)
    if not largest:
        return f"All {plural(len(apart), 'score')} of the {both} are the same to the last digit."
    task, dataset = view.cards.tasks[task_id], view.cards.datasets[dataset_id]
    n_same = sum(not difference for difference, _, _ in apart)
    return (
        f"Of the {plural(len(apart), 'score')} of the {both}, {n_same:,} are the same to the last digit; the largest "
        f"difference is {largest:.2g}, in {name_of_score(view.cards, task, key)} ({task.name}, {dataset.name})."
    )


def _evaluated(view: ReleaseView, model: ModelCard) -> dict[tuple[str, str], Result]:
    """Return the scored results of a model by task and dataset; those of earlier cards are left out."""
    found = view.select(model=model.id)
    return {(one.task.id, one.dataset.id): one for one in found if one.status == "done" and view.outdated(one) is None}
