"""How models are compared and ranked on a task, in words: from the very values that the comparison used."""

from __future__ import annotations

from cellgauge.report.comparison import TaskComparison
from cellgauge.report.numbers import listing


def how_ranked(comparison: TaskComparison) -> list[str]:
    """Describe a comparison, from the primary score to what is not counted; each line is a sentence or more."""
    task, metric, terms, baseline = comparison.task, comparison.metric, comparison.terms, comparison.baseline.name
    better = "higher" if metric.direction == "higher" else "lower"
    sizes = sorted({len(one.judged) for one in comparison.datasets if one.judged})
    family = f" (here {' or '.join(str(size) for size in sizes)})" if sizes else ""
    lines = [
        f"Only the primary score counts: {comparison.score_name}; {better} is better. The task's card declares "
        f"it (protocol version {terms.version}); no result can change it.",
        f"Each model is compared with one declared baseline, {baseline}, on the same dataset, the same "
        f"seeds ({terms.seeds}) and the same {terms.resamples}.",
        "The difference is the model's score minus the baseline's, signed so that positive is better. Its "
        f"{terms.level} interval is {terms.interval}.",
        f"“Better” and “worse” need a two-sided p-value of {terms.alpha} or less after Holm's "
        f"adjustment for all models compared on that dataset{family}, and the whole interval on that side of zero; "
        "all else is “not separated”. Intervals are drawn unadjusted, so that one may just miss zero and still be "
        "called not separated.",
    ]
    if task.guard is not None and comparison.guard is not None:
        lines.append(
            f"A gain is called “better” only where {comparison.guard.name} is not worse than {baseline}'s by more than "
            f"{task.guard.margin:g}: the interval of that difference has to lie above "
            f"−{task.guard.margin:g}. Otherwise the gain is “in doubt”."
        )
    if task.relevant_difference is not None:
        lines.append(
            f"A difference below {task.relevant_difference:g} is too small to matter, however certain it "
            "is, and called “slightly better” or “slightly worse”. The task's card declares that size."
        )
    if how := _ranks_from(comparison):
        lines.append(
            "The range of ranks of a model runs from 1 plus the number of models that are better to the number of "
            f"models minus those that are worse, the baseline included, comparing every pair. {how} are adjusted "
            f"by Holm's method over all pairs of a dataset.{_left_out_of_ranks(comparison)}"
        )
    lines.append(
        "The order of rows is the order of the scores, and no claim by itself. Controls are reference points: "
        f"their outcome is known beforehand, and they are neither ranked nor counted.{_repeats_of(comparison)} "
        "Simulated data and demonstrations never count towards measured data, and datasets of one study count as one."
    )
    return lines


def _left_out_of_ranks(comparison: TaskComparison) -> str:
    if comparison.guard is None:
        return ""
    return f" Models that are not shown to keep {comparison.guard.name} have no rank."


def _repeats_of(comparison: TaskComparison) -> str:
    rows = [row for one in comparison.datasets for row in one.rows if row.role == "repeat"]
    names = list(dict.fromkeys(row.model.name for row in rows))
    return f" Nor is a model that repeats another in a second way: {listing(names)}." if names else ""


def _ranks_from(comparison: TaskComparison) -> str:
    kinds = {one.ranking.p_values for one in comparison.datasets if one.ranking}
    words = {
        "counted": "p-values counted among resamples",
        "normal": "p-values from the normal distribution (there are too few resamples to count them)",
        "t": "p-values from the t distribution",
    }
    said = listing([words[kind] for kind in sorted(kinds)])
    return said[:1].upper() + said[1:]
