"""Work on all cores, by processes that are forked: a release takes longer to read than what is drawn from it."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any, TypeVar

Item = TypeVar("Item")
Found = TypeVar("Found")

_shared: tuple[Callable[[Any], Any], Sequence[Any], int] | None = None
"""What forked processes find in their memory: the function, its items, and how many are worked on at once."""


def on_all_cores(
    function: Callable[[Item], Found], items: Sequence[Item], *, few: int, at_once: int
) -> Iterator[Found]:
    """Yield what a function returns for each item, in their order.

    Where a system cannot fork, or has one core, items are worked on one after the other.

    Parameters
    ----------
    function
        What it returns is handed from process to process, and should be small.
    few
        Up to this many items, starting processes takes longer than the work.
    at_once
        How many items a process takes at one time.
    """
    global _shared
    if len(items) <= few or not _can_fork():
        yield from map(function, items)
        return
    _shared = (function, items, at_once)
    try:
        with ProcessPoolExecutor(os.cpu_count(), mp_context=multiprocessing.get_context("fork")) as pool:
            for found in pool.map(_some, range(0, len(items), at_once)):
                yield from found
    finally:
        _shared = None


@contextmanager
def beside(function: Callable[[], Found]) -> Iterator[Callable[[], Found]]:
    """Begin to call a function in a process of its own, and give what waits for the value that it returns.

    What it raises is raised to who waits. Who leaves without waiting ends it. Where a system cannot fork, or has one
    core, it is called by who waits.

    Parameters
    ----------
    function
        What it returns or raises is handed from process to process.
    """
    if not _can_fork():
        yield function
        return
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_send, args=(sender, function), daemon=True)
    process.start()
    sender.close()

    def wait() -> Found:
        try:
            is_returned, found = receiver.recv()
        except EOFError:
            process.join()
            raise RuntimeError(f"a process ended with {process.exitcode} and said nothing") from None
        if not is_returned:
            raise found
        return found  # type: ignore[no-any-return]

    try:
        yield wait
    finally:
        process.terminate()
        process.join()
        receiver.close()


def _send(sender: Connection, function: Callable[[], Any]) -> None:
    try:
        said = (True, function())
    except Exception as error:
        said = (False, error)
    sender.send(said)


def _can_fork() -> bool:
    return (os.cpu_count() or 1) > 1 and "fork" in multiprocessing.get_all_start_methods()


def _some(first: int) -> list[Any]:
    assert _shared is not None  # noqa: S101 (set before this process was forked)
    function, items, at_once = _shared
    return [function(item) for item in items[first : first + at_once]]
