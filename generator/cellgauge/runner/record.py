"""The part of a result that is known before anything ran."""

from __future__ import annotations

from typing import Any

from cellgauge.cards.dataset import DatasetCard
from cellgauge.cards.model import ModelCard
from cellgauge.cards.project import Cards
from cellgauge.results.protocol import protocol_digest
from cellgauge.results.release import Pair
from cellgauge.results.schema import DatasetSubject, LeakageJudgement, Subject
from cellgauge.runner.plan import protocol_fields


def common_fields(cards: Cards, release: str, pair: Pair, *, checked: bool) -> dict[str, Any]:
    """Return what results and typed empties of a pair have in common.

    Parameters
    ----------
    checked
        Whether the dataset was loaded and found to be what its card says.
    """
    task, dataset, model = cards.tasks[pair.task], cards.datasets[pair.dataset], cards.models[pair.model]
    return {
        "key": pair.key,
        "release": release,
        "protocol": protocol_digest(protocol_fields(cards)),
        "task": Subject(id=task.id, version=task.protocol.version, digest=task.digest),
        "dataset": DatasetSubject(
            id=dataset.id,
            version=dataset.version,
            digest=dataset.digest,
            content=dataset.digest_of_content if checked else None,
        ),
        "model": Subject(id=model.id, version=model.version, digest=model.digest),
        "leakage": judge_leakage(model, dataset),
        "seeds": task.protocol.seeds,
        "params": task.protocol.params,
    }


def judge_leakage(model: ModelCard, dataset: DatasetCard) -> LeakageJudgement:
    """Say whether a model had seen a dataset before, and on what evidence.

    A judgement in the model's card comes first. Without one, a model that was never pretrained is green,
    and one that was is gray: nobody has said.
    """
    if model.is_control:
        return LeakageJudgement(**{"class": None}, evidence="A control: its outcome is known beforehand.")
    if (judgement := model.judgement(dataset)) is not None:
        return LeakageJudgement(
            **{"class": judgement.leakage_class},
            evidence=f"{judgement.reason} (confidence: {judgement.confidence})",
            split=judgement.split,
        )
    if model.pretrained is None:
        return LeakageJudgement(**{"class": "gray"}, evidence="The source does not say what the model was trained on.")
    if not model.pretrained:
        seen = "Not pretrained"
        if model.fit == "dataset":
            seen += "; fitted on the evaluation data without its labels"
        return LeakageJudgement(**{"class": "green"}, evidence=f"{seen}.")
    return LeakageJudgement(**{"class": "gray"}, evidence="The model's card says nothing about this dataset.")
