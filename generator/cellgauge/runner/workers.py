"""The one seam through which work is handed out: submit, then take what completes."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import pickle
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from types import TracebackType
from typing import Any, Protocol

_PR_SET_PDEATHSIG = 1
_THREAD_COUNTS = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "LOKY_MAX_CPU_COUNT",
)  # fmt: skip


def prepare_worker() -> None:
    """Make this process a worker, before numerical libraries are imported.

    It gets one thread, since workers share the cores and sums then do not depend on how many there are.
    What a model prints goes to standard error: standard output may belong to JSON. And where the system
    can, it dies with the process that started it, so that a killed run leaves nothing running.
    """
    os.environ.update(dict.fromkeys(_THREAD_COUNTS, "1"))
    os.dup2(2, 1)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def call_packed(packed: bytes) -> Any:
    """Unpack and call a function in a worker.

    Unpacking imports the function's module; were it left to the pool, a module that cannot be imported
    would lose the job without a word and the run would wait for ever.
    """
    function, arguments = pickle.loads(packed)  # noqa: S301 (made by submit, on this machine)
    return function(*arguments)


class Workers(Protocol):
    """Something that runs functions elsewhere. A future fails when its function raises, dies or takes too long."""

    time_limit: float | None
    """Seconds after which a job is killed; ``None``: never."""

    @property
    def capacity(self) -> int:
        """How many jobs to hand out at a time: enough to keep everyone busy, few enough to choose what is next."""

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Hand out one call. Function, arguments and return value must pickle."""

    def as_completed(self) -> Iterator[Future[Any]]:
        """Yield futures as they complete, also those that are submitted while this is being read."""

    def __enter__(self) -> Workers: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class LocalWorkers:
    """Worker processes on this machine. One that dies takes only its own job with it.

    Parameters
    ----------
    jobs
        How many processes.
    time_limit
        Seconds after which a job is killed; ``None``: never.
    """

    def __init__(self, jobs: int, time_limit: float | None = None) -> None:
        self.time_limit = time_limit
        self._jobs = jobs
        self._pending: set[Future[Any]] = set()

    @property
    def capacity(self) -> int:
        """Twice the workers."""
        return 2 * self._jobs

    def __enter__(self) -> LocalWorkers:
        from pebble import ProcessPool

        # Spawned, not forked: libraries with threads of their own do not survive a fork.
        self._pool: Any = ProcessPool(
            max_workers=self._jobs,
            context=multiprocessing.get_context("spawn"),
            initializer=prepare_worker,
        )
        return self

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Queue one call."""
        packed = pickle.dumps((function, arguments))
        future: Future[Any] = self._pool.schedule(call_packed, args=(packed,), timeout=self.time_limit)
        self._pending.add(future)
        return future

    def as_completed(self) -> Iterator[Future[Any]]:
        """Yield futures as they complete until none is pending."""
        while self._pending:
            done, _ = wait(self._pending, return_when=FIRST_COMPLETED)
            for future in done:
                self._pending.discard(future)
                yield future

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._pool.close()
        else:
            self._pool.stop()
        self._pool.join()
