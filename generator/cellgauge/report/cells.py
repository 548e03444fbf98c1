"""Cells that stand in several tables: a model's name, a score, a difference, a cost, a leakage class."""

from __future__ import annotations

import re
from collections.abc import Iterable

from cellgauge.cards import DatasetCard, ModelCard, TaskCard
from cellgauge.report.numbers import SCORE_DECIMALS, interval, number
from cellgauge.report.tables import MISSING, Badge, Cell, Column, Tone
from cellgauge.results.schema import EXPLANATION, Gate, GateName, Resources, Result, Score
from cellgauge.stats.paired import Difference

LEAKAGE: dict[str, tuple[str, str]] = {
    "green": ("●", "not seen in pretraining"),
    "yellow": ("◆", "seen in pretraining, without what the task asks for"),
    "red": ("■", "seen in training for this very task"),
    "gray": ("◌", "not enough is documented to tell"),
}
"""Shape and meaning of each leakage class; the colour is never alone. Triangles are kept for verdicts."""
NOT_AUDITED = "documented; not audited yet"
"""What every leakage class rests on: no overlap of cells was searched for."""

WALL = Column(
    "seconds_per_embedding", "Time (s)", ("", "evaluation"), numeric=True, direction="lower",
    hover="Wall time of obtaining the model's outputs once; the evaluation is the same work for all",
)  # fmt: skip
MEMORY = Column(
    "peak_memory_mb",
    "Memory (MiB)",
    numeric=True,
    direction="lower",
    hover="Peak memory, the larger of obtaining and evaluating",
)
GPU = Column(
    "gpu_memory_mb",
    "GPU (MiB)",
    ("", "name"),
    numeric=True,
    direction="lower",
    hover="Peak memory on a GPU; none: it ran without one",
)
GATE_OUTCOMES: dict[str, tuple[str, Tone]] = {
    "passed": ("✓ passed", ""),
    "failed": ("✕ failed", "failed"),
    "not applicable": ("– not applicable", "control"),
}
_GATES_OF_EMBEDDINGS: dict[GateName, str] = {
    "order": "order of cells",
    "batch-size": "batch size",
    "determinism": "determinism",
    "coverage": "gene coverage",
    "not-a-control": "telling from noise",
}
_GATES_OF_PREDICTIONS = _GATES_OF_EMBEDDINGS | {"order": "order of cells and genes", "batch-size": "number asked for"}
_WORD = re.compile(r"[a-z]+(?:['’-][a-z]+)*(?![^\s.,:;!?)])")
"""A word of small letters alone; names have capitals, digits or underscores inside."""
LEAKAGE_COLUMN = Column(
    "leakage",
    "Leakage",
    ("", "evidence"),
    hover=f"Whether the model saw these data in training: {NOT_AUDITED}",
    choices=True,
)


def page_of(result: Result) -> str:
    """Return the address of a result's page."""
    return f"results/{result.task.id}/{result.dataset.id}/{result.model.id}/"


def model_cell(
    model: ModelCard,
    *,
    href: str | None = None,
    role: str | None = None,
    fit: bool = True,
    gates: Iterable[Gate] = (),
) -> Cell:
    """Return a model's name with what a reader has to know beside it.

    Parameters
    ----------
    fit
        Whether to say that it was fitted on the evaluation data.
    gates
        Its sanity gates; those that it failed are named.
    """
    badges = []
    if role == "baseline":
        badges.append(Badge("baseline", "baseline", "Every other model is compared with this one"))
    if role == "control" or model.is_control:
        badges.append(Badge("control", "control", "Its outcome is known beforehand; it is never ranked"))
    elif role == "repeat" or (role is None and model.repeats is not None):
        badges.append(Badge("repeat", "control", "Another model, obtained in another way; neither ranked nor counted"))
    elif fit and model.fit == "dataset":
        badges.append(
            Badge("fitted on the evaluation data", "plain", "Fitted on these very cells, without their labels")
        )
    failed = {gate.name: gate.evidence for gate in gates if gate.outcome == "failed"}
    badges += [Badge(f"✕ {gate_names(model)[name]}", "failed", sentence(why)) for name, why in failed.items()]
    return Cell(model.name, (model.id,), href=href or f"models/{model.id}/", badges=tuple(badges))


def gate_names(model: ModelCard) -> dict[GateName, str]:
    """Return what the sanity gates are called: a model that predicts is shown other things in another order."""
    return _GATES_OF_PREDICTIONS if model.output == "prediction" else _GATES_OF_EMBEDDINGS


def gate_cell(gate: Gate | None) -> Cell:
    """Return what a sanity gate found, with the evidence below where it says something against the model."""
    if gate is None:
        return Cell("–", (None, None))
    word, tone = GATE_OUTCOMES[gate.outcome]
    small = sentence(gate.evidence) if gate.outcome == "failed" else ""
    return Cell(word, (gate.outcome, gate.evidence), tone=tone, small=small, hover=sentence(gate.evidence))


def dataset_cell(dataset: DatasetCard, *, href: str | None = None) -> Cell:
    """Return a dataset's name; a simulated one says so."""
    return Cell(dataset.name, (dataset.id,), href=href or f"datasets/{dataset.id}/", badges=dataset_badges(dataset))


def dataset_badges(dataset: DatasetCard) -> tuple[Badge, ...]:
    """Return what has to be said wherever a dataset is named: simulated, a demonstration, never opened."""
    badges = []
    if dataset.evidence == "simulated":
        badges.append(Badge("simulated", "simulated", "Made by a computer; never counted with measured data"))
    if dataset.demonstration is not None:
        badges.append(Badge("demonstration", "plain", dataset.demonstration))
    if not dataset.pinned:
        badges.append(
            Badge("not opened yet", "gray", "Its card names no digest, and cellgauge evaluates nothing on it")
        )
    return tuple(badges)


def task_cell(task: TaskCard) -> Cell:
    """Return a task's name."""
    return Cell(task.name, (task.id,), href=f"tasks/{task.id}/")


def score_cell(score: Score | None, *, href: str | None = None, why: str | None = None) -> Cell:
    """Return a score with its interval below; it downloads as value, low and high.

    Parameters
    ----------
    why
        Why there is no score, where that is known.
    """
    if score is None:
        return Cell("–", (None, None, None), hover=why or "", small="undefined" if why else "")
    if score.interval is None:
        why = score.why_no_interval or ""
        return Cell(number(score.value), (score.value, None, None), small="no interval", href=href, hover=why)
    low, high = score.interval.low, score.interval.high
    return Cell(number(score.value), (score.value, low, high), small=interval(low, high), href=href)


def own_score_cell(result: Result, score: Score) -> Cell:
    """Return a score of a result; one that others measured says so."""
    cell = score_cell(score)
    return cell._replace(small="reported") if result.reported else cell


def reported_cell(score: Score | None, why: str | None = None) -> Cell:
    """Return a score that others measured, with that said below it; it downloads as its value."""
    if score is None:
        return Cell("–", (None,), hover=why or "", small="undefined" if why else "")
    return Cell(number(score.value), (score.value,), small="reported", hover=score.why_no_interval or "")


def difference_cell(
    difference: Difference | None, *, why: str = "", p: float | None = None, decimals: int = SCORE_DECIMALS
) -> Cell:
    """Return a difference to the baseline with its interval below; it downloads with its adjusted p-value."""
    if difference is None:
        return Cell("–", (None, None, None, None), hover=why, small=why.partition(":")[0])
    low, high = difference.low, difference.high
    return Cell(
        number(difference.value, decimals, signed=True),
        (difference.value, low, high, p),
        small=interval(low, high, decimals, signed=True),
        hover=f"Holm-adjusted p = {p:.3g}" if p is not None else "",
    )


def word_cell(word: str | None, role: str) -> Cell:
    """Return what the comparison shows; baseline, controls and repeats are references.

    The stylesheet puts a shape before the word and gives it weight, but no hue: hues tell models and leakage apart.
    """
    if word is None:
        said = {"model": "not comparable", "repeat": "repeat"}.get(role, "reference")
        return Cell(said, (None,), tone="control")
    tones: dict[str, Tone] = {"better": "better", "worse": "worse"}
    return Cell(word, (word,), tone=tones.get(word, "plain"))


def wall_cell(resources: Resources | None) -> Cell:
    """Return the wall time of obtaining the outputs once, in seconds; the evaluation's stands behind it.

    Models that are made anew for each seed and models that are made once can be compared only so. Where it was not
    recorded how many the time covers, there is no such time.
    """
    if resources is None:
        return Cell("–", (None, None))
    total, made, evaluation = resources.embedding_wall_s, resources.n_embeddings, resources.evaluation_wall_s
    notes = []
    if total is not None and made is None:
        notes.append(f"{number(total, 2)} s for all embeddings together; how many was not recorded")
    elif total is not None and made is not None and made > 1:
        notes.append(f"the mean of {made} embeddings")
    if evaluation is not None:
        notes.append(f"and {number(evaluation, 1)} s for the evaluation")
    once = None if total is None or made is None else total / made
    return Cell("–" if once is None else number(once, 2), (once, evaluation), hover="; ".join(notes))


def memory_cell(resources: Resources | None) -> Cell:
    """Return the peak memory in MiB."""
    if resources is None or resources.peak_memory_mb is None:
        return MISSING
    return Cell(number(resources.peak_memory_mb, 0), (resources.peak_memory_mb,), hover=resources.memory_method or "")


def gpu_cell(*results: Result) -> Cell:
    """Return the memory of a GPU in MiB, the most of several results, and which GPU; "none" where there was none."""
    made = [
        one
        for result in results
        for one in (*result.embedding_environments, result.environment)
        if one is not None
    ]  # fmt: skip
    names = ", ".join(sorted({one.gpu for one in made if one.gpu}))
    used = [result.resources.gpu_memory_mb for result in results if result.resources]
    known = [memory for memory in used if memory is not None]
    if known:
        return Cell(number(max(known), 0), (max(known), names or None), hover=names)
    if names:
        return Cell("not recorded", (None, names), hover=f"{names}; how much of its memory was used was not recorded")
    return Cell("none" if made else "–", (None, None))


def leakage_cell(result: Result) -> Cell:
    """Return the leakage class as shape, word and colour, with its evidence."""
    kind = result.leakage.leakage_class
    if kind is None:
        return Cell("–", (None, result.leakage.evidence), hover=result.leakage.evidence)
    return Cell(f"{LEAKAGE[kind][0]} {kind}", (kind, result.leakage.evidence), hover=result.leakage.evidence, tone=kind)


def status_text(status: str) -> str:
    """Return a status as it is written on pages."""
    return status.replace("_", " ")


def why_empty(status: str, reason: str | None) -> str:
    """Return a sentence or two on why there are no scores; a reason says more than that nobody has run it."""
    if status == "not_run" and reason:
        return f"Not run: {sentence(reason)}"
    return f"{status_text(status).capitalize()}: {EXPLANATION[status]} {sentence(reason)}".strip()


def sentence(text: str | None) -> str:
    """Return text that begins and ends as a sentence does; a name at its beginning, such as scVI, stays as it is."""
    if not text:
        return ""
    first = text[0].upper() if _WORD.match(text) else text[0]
    return f"{first}{text[1:]}{'' if text.endswith(('.', '!', '?')) else '.'}"


def header_of(key: str, label: str, direction: str, metric: str) -> Column:
    """Return the column of a score."""
    better = "higher" if direction == "higher" else "lower"
    return Column(
        key,
        label,
        ("", "low", "high"),
        numeric=True,
        direction="higher" if direction == "higher" else "lower",
        hover=f"{better} is better; the interval stands below, with {SCORE_DECIMALS} decimals",
        href=f"metrics/{metric}/",
    )
