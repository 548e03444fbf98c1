"""Work on all cores, by processes that are forked: a release takes longer to read than what is drawn from it."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
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
    cores = os.cpu_count() or 1
    if len(items) <= few or cores == 1 or "fork" not in multiprocessing.get_all_start_methods():
        yield from map(function, items)
        return
    _shared = (function, items, at_once)
    try:
        with ProcessPoolExecutor(cores, mp_context=multiprocessing.get_context("fork")) as pool:
            for found in pool.map(_some, range(0, len(items), at_once)):
                yield from found
    finally:
        _shared = None


def _some(first: int) -> list[Any]:
    assert _shared is not None  # noqa: S101 (set before this process was forked)
    function, items, at_once = _shared
    return [function(item) for item in items[first : first + at_once]]
