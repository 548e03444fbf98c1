"""Progress of a run: a bar on a terminal, plain lines when piped."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from cellgauge.runner.execute import Event


@contextmanager
def progress(total: int, *, quiet: bool = False) -> Iterator[Callable[[Event], None]]:
    """Yield a function that shows one ended evaluation.

    Parameters
    ----------
    total
        How many evaluations there are.
    quiet
        Show nothing, since standard output belongs to JSON.
    """
    console = Console(quiet=quiet)
    if not console.is_terminal:
        done, began = 0, time.monotonic()

        def line(event: Event) -> None:
            nonlocal done
            done += 1
            elapsed = time.monotonic() - began
            console.print(
                f"[{done}/{total}, {elapsed:.0f} s] {describe(event)}", markup=False, highlight=False, soft_wrap=True
            )

        yield line
        return
    columns = (
        SpinnerColumn(),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("evaluating", total=total)

        def step(event: Event) -> None:
            bar.update(task, advance=1, description=f"{event.pair.task} × {event.pair.model}")
            if event.reason:
                bar.console.print(escape(describe(event)), highlight=False)

        yield step


def describe(event: Event) -> str:
    """Say in one line how an evaluation ended."""
    pair = f"{event.pair.task} × {event.pair.dataset} × {event.pair.model}"
    return f"{pair}: {event.status}{f': {event.reason}' if event.reason else ''}"
