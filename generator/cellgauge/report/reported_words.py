"""What is said of reported results in a sentence: how many there are, and that nothing follows from their order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cellgauge.report.numbers import listing, plural

if TYPE_CHECKING:
    from cellgauge.report.comparison import TaskComparison


def reported_sentence(comparison: TaskComparison, task: str) -> tuple[str, str]:
    """Return what is reported on what, and what it rests on: no model is called better.

    Parameters
    ----------
    task
        Its name as it stands inside a sentence.
    """
    models = {row.model.id for one in comparison.datasets for row in one.rows if row.role == "model"}
    controls = {row.model.id for one in comparison.datasets for row in one.controls}
    scored = [one for one in comparison.datasets if one.rows]
    if not scored:
        return f"{comparison.reported_by} reports no score of this task.", ""
    where = scored[0].dataset.name if len(scored) == 1 else plural(len(scored), "dataset")
    beside = [plural(len(models), "model")]
    if comparison.reference and any(one.row(comparison.reference.id) for one in scored):
        beside.append("a baseline")
    if controls:
        beside.append(plural(len(controls), "control"))
    whole = sum(all(one.row(model) for one in scored) for model in models)
    partly = "" if whole == len(models) or len(scored) == 1 else f", {whole or 'none'} of the models on all"
    sentence = (
        f"Reported, not measured here: {task} by {listing(beside)} on {where}{partly}. The source gives no "
        "uncertainty, so that no model is called better or worse."
    )
    studies = plural(
        len({one.dataset.study for one in comparison.measured if one.rows}), "independent study", "independent studies"
    )
    amount = f"{plural(len(scored), 'dataset')} of {studies}" if len(scored) > 1 else "one dataset"
    basis = [comparison.score_name, f"reported by {comparison.reported_by}", f"{amount}: the order is descriptive"]
    return sentence, "; ".join(basis)
