"""Progress of a run: a bar on a terminal, plain lines when piped."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TimeElapsedColumn

from cellgauge.runner.execute import Event


@contextmanager
def progress(total: int, *, quiet: bool = False) -> Iterator[Callable[[Event], None]]:
    """Yield a function that shows what ended.

    Parameters
    ----------
    total
        How many evaluations and maps there are.
    quiet
        Show nothing, since standard output belongs to JSON.
    """
    console = Console(quiet=quiet)
    if not console.is_terminal:
        done, began = 0, time.monotonic()

        def line(event: Event) -> None:
            nonlocal done
            done += len(event.pairs) + event.maps
            elapsed = time.monotonic() - began
            text = f"[{done}/{total}, {elapsed:.0f} s] {describe(event)}"
            console.print(text, markup=False, highlight=False, soft_wrap=True)

        yield line
        return
    columns = (
        SpinnerColumn(),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("", total=total)

        def step(event: Event) -> None:
            bar.update(task, advance=len(event.pairs) + event.maps)
            if event.reason:
                bar.console.print(escape(describe(event)), highlight=False)

        yield step


def describe(event: Event) -> str:
    """Say in one line how evaluations ended, or a map."""
    if event.map_of is not None:
        return f"map of {event.map_of} on {event.dataset}: {event.status}{f': {event.reason}' if event.reason else ''}"
    if not event.pairs:
        return f"{event.dataset} could not be counted: {event.reason}"
    first = event.pairs[0]
    what = f"{first.task} × {first.dataset} × {first.model}"
    if len(event.pairs) > 1:
        one_model = all(pair.model == first.model for pair in event.pairs)
        what = f"{len(event.pairs)} evaluations on {first.dataset}{f' of {first.model}' if one_model else ''}"
    return f"{what}: {event.status}{f': {event.reason}' if event.reason else ''}"
