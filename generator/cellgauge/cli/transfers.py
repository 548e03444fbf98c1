"""Progress of downloads: bars on a terminal, plain lines when piped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from cellgauge.report.numbers import size_in_words

if TYPE_CHECKING:
    from cellgauge.data.fetch import Progress, Report


@contextmanager
def transfers(*, quiet: bool = False) -> Iterator[Report]:
    """Yield a function that shows how far downloads are: a bar on a terminal, lines when piped."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as Bars

    console = Console(quiet=quiet, stderr=True)
    if not console.is_terminal:
        yield _Lines(console.print)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=console, transient=True) as bars:
        tasks: dict[str, Any] = {}

        def show(progress: Progress) -> None:
            if progress.stage == "done":
                if progress.place in tasks:
                    bars.remove_task(tasks.pop(progress.place))
                return
            if progress.place not in tasks:
                tasks[progress.place] = bars.add_task("", total=progress.total)
            name = progress.place.rpartition("/")[2]
            words = f"{progress.stage} {name}" + (f" ({progress.note})" if progress.note else "")
            bars.update(tasks[progress.place], completed=progress.done, total=progress.total, description=words)

        yield show


class _Lines:
    """Says in a line what begins; says nothing of a file that is simply there."""

    def __init__(self, say: Callable[..., None]) -> None:
        self.say = say
        self.said: set[tuple[str, str, str]] = set()

    def __call__(self, progress: Progress) -> None:
        key = (progress.place, progress.stage, progress.note)
        if progress.stage in ("done", "searching") or key in self.said:
            return
        self.said.add(key)
        amount = f" ({size_in_words(progress.total)})" if progress.total is not None else ""
        note = f": {progress.note}" if progress.note else ""
        self.say(f"{progress.stage} {progress.place}{amount}{note}", markup=False, highlight=False, soft_wrap=True)
