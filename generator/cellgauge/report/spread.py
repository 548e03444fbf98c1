"""How a result's primary score, and its difference to the baseline, came out over the resamples."""

from __future__ import annotations

import numpy as np

from cellgauge.report.comparison import TaskComparison
from cellgauge.report.dataset_comparison import DatasetComparison, Row, replicates_of
from cellgauge.report.distribution import Distribution, histogram
from cellgauge.report.release import ReleaseView
from cellgauge.stats.paired import paired_replicates

_MOVED = "Resamples are centred on the score; those that this moved beyond the last possible value stand there."


def distributions(
    view: ReleaseView, comparison: TaskComparison, one: DatasetComparison, row: Row, colour: str
) -> list[Distribution]:
    """Return the figures of one result; none where groups were left out one at a time, which are no resamples."""
    score, result = row.score, row.result
    if score is None or score.interval is None or score.interval.n_groups is not None or result.replicates is None:
        return []
    ours = replicates_of(view, result, score)
    baseline = one.row(comparison.baseline.id)
    base = baseline.score if baseline and not baseline.outdated and not row.outdated else None
    where = f"{row.model.name} on {one.dataset.name}"
    least, most = comparison.metric.range.min, comparison.metric.range.max
    # Replicates are centred on the score, which can move some beyond what a score can be.
    inside = np.clip(ours, -np.inf if least is None else least, np.inf if most is None else most)
    found = [
        Distribution(
            bins=histogram(inside),
            value=score.value,
            low=score.interval.low,
            high=score.interval.high,
            axis=f"{comparison.metric.short_name} over {len(ours):,} resamples",
            id="resamples",
            title=f"{where}: {comparison.score_name} over {len(ours):,} resamples",
            reference=base.value if base and row.role != "baseline" else None,
            reference_name=comparison.baseline.name,
            colour=colour,
            note="" if np.array_equal(inside, ours) else _MOVED,
        )
    ]
    if row.difference is not None and base is not None and baseline is not None:
        sign = 1 if comparison.metric.direction == "higher" else -1
        apart = paired_replicates(ours, replicates_of(view, baseline.result, base), sign)
        found.append(
            Distribution(
                bins=histogram(apart),
                value=row.difference.value,
                low=row.difference.low,
                high=row.difference.high,
                axis=f"Difference to {comparison.baseline.name}: right is better",
                id="resampled-differences",
                title=f"{where}: difference to {comparison.baseline.name} over {len(ours):,} resamples",
                reference=0.0,
                reference_name=comparison.baseline.name,
                colour=colour,
                decimals=one.decimals,
                signed=True,
            )
        )
    return found
