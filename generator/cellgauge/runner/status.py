"""What a release has, and what it lacks and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cellgauge.cards.project import Project
from cellgauge.results.imported import read_import
from cellgauge.results.schema import EXPLANATION
from cellgauge.results.store import read_plan
from cellgauge.runner.plan import stored_for


@dataclass(frozen=True)
class ReleaseStatus:
    """Counts, time spent, and the pairs without scores."""

    release: str
    counts: dict[str, int]
    """Status → number of pairs; ``not_run`` includes what nobody has attempted."""
    evaluation_s: float
    embedding_s: float
    without_scores: list[dict[str, str]]
    is_reported: bool = False
    """Whether others measured it: then nothing of it was planned."""

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return vars(self)

    def lines(self) -> list[str]:
        """Return what a person reads."""
        what = "combinations, as others report them" if self.is_reported else "planned evaluations"
        out = [f"Release {self.release}: {sum(self.counts.values())} {what}"]
        out += [f"  {count:5d}  {name}: {EXPLANATION[name]}" for name, count in self.counts.items()]
        if not self.is_reported:
            out.append(
                f"  time of the evaluations {self.evaluation_s:.1f} s; of their embeddings {self.embedding_s:.1f} s"
            )
        grouped: dict[str, list[dict[str, str]]] = {}
        for row in self.without_scores:
            grouped.setdefault(f"{row['status']}: {row['reason']}", []).append(row)
        for why, rows in grouped.items():
            out.append(f"{pair_name(rows[0])}: {why}" if len(rows) == 1 else f"{len(rows)} pairs: {why}")
        return out


def release_status(project: Project, release: str) -> ReleaseStatus:
    """Compare a release's plan with its result files.

    Raises
    ------
    UserError
        When the release has no plan.
    """
    folder = project.release(release)
    imported = read_import(folder)
    counts: Counter[str] = Counter(imported.results if imported else {})
    evaluation_s, embeddings, without = 0.0, {}, []
    for pair in read_plan(folder).pairs:
        found: str = pair.status
        reason = pair.reason
        if pair.status == "to_run":
            stored = stored_for(folder, pair)
            if stored.result is None:
                found, reason = "not_run", stored.why or "waits to be run"
            else:
                found, reason = stored.result.status, stored.result.reason
                cost = stored.result.resources
                if cost is not None:
                    evaluation_s += cost.evaluation_wall_s or 0
                    embeddings[pair.dataset, pair.model] = cost.embedding_wall_s or 0
        counts[found] += 1
        if found != "done":
            row = {"task": pair.task, "dataset": pair.dataset, "model": pair.model}
            without.append({**row, "status": found, "reason": reason or ""})
    return ReleaseStatus(
        release, dict(counts.most_common()), evaluation_s, sum(embeddings.values()), without, imported is not None
    )


def pair_name(row: Mapping[str, str]) -> str:
    """Return a pair as people write it: ``task × dataset × model``."""
    return f"{row['task']} × {row['dataset']} × {row['model']}"
