"""What changed between two releases, as lines of text."""

from __future__ import annotations

from collections.abc import Iterator

from cellgauge.report.changes import Changes, Move
from cellgauge.report.numbers import interval, number, plural


def lines(found: Changes) -> Iterator[str]:
    """Yield a summary, then a line for each thing that changed; moves beyond noise come first."""
    n_both = found.n_same + len(found.endings) + len({(one.task, one.dataset, one.model) for one in found.moves})
    yield (
        f"{found.before} → {found.after}: {plural(n_both, 'result')} in both, {len(found.added):,} added, "
        f"{len(found.removed):,} removed, {len(found.endings):,} ended otherwise; "
        f"{len(found.moves):,} of {plural(found.n_scores, 'score')} moved, {found.n_beyond_noise:,} beyond noise"
        f"{found.too_small_in_words}"
    )
    yield from (f"added: {' × '.join(place)}" for place in found.added)
    yield from (f"removed: {' × '.join(place)}" for place in found.removed)
    for one in found.endings:
        why = f" ({one.reason})" if one.reason else ""
        place = f"{one.task} × {one.dataset} × {one.model}"
        yield f"{place}: {one.before} → {one.after}{why}; {'; '.join(one.causes)}"
    yield from (_move(one) for one in found.ordered)


def _move(one: Move) -> str:
    said = f"{one.task} × {one.dataset} × {one.model}, {one.score}: {number(one.before)} → {number(one.after)}"
    said += f" ({number(one.difference, signed=True)}"
    if one.low is not None and one.high is not None:
        said += f" {interval(one.low, one.high, signed=True)}"
    noise = {True: ", inside noise", False: "", None: ", no interval"}[one.inside_noise]
    if one.is_too_small:
        noise = f", less than {one.relevant:g}, which is too small to matter"
    return f"{said}{noise}): {'; '.join(one.causes)}"
