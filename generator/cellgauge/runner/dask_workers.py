"""The same seam over a Dask cluster. Needs ``cellgauge[dask]``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any

from cellgauge.cards.problems import UserError

_CONNECT_S = 10
_JOBS_PER_WORKER = 2
"""How many jobs a worker is given at a time: when it dies, Dask suspects all of them, the innocent too."""


class DaskWorkers:
    """Workers that a Dask scheduler knows. A job whose worker dies is given to another one, three times at most.

    Parameters
    ----------
    address
        Of the scheduler, such as ``tcp://10.0.0.1:8786``.
    shared
        Folders that every worker must see: results, cards and the cache.
    """

    time_limit: float | None = None
    """Dask does not stop a job that takes long."""

    def __init__(self, address: str, shared: list[Path]) -> None:
        self._address, self._shared = address, shared
        self._running: dict[Any, Future[Any]] = {}

    @property
    def capacity(self) -> int:
        """Known once it is connected."""
        return self._capacity

    def __enter__(self) -> DaskWorkers:
        """Connect.

        Raises
        ------
        UserError
            When no scheduler answers, it has no workers, or they cannot do this work.
        """
        try:
            distributed: Any = import_module("distributed")
        except ModuleNotFoundError:
            raise UserError("--scheduler needs Dask: pip install 'cellgauge[dask]'") from None
        try:
            self._client = distributed.Client(self._address, timeout=_CONNECT_S)
        except (OSError, TimeoutError, ValueError) as error:
            raise UserError(f"no Dask scheduler at {self._address}: {error}") from None
        try:
            self._capacity = _JOBS_PER_WORKER * self._check_workers()
        except BaseException:
            self._client.close()
            raise
        self._finished = distributed.as_completed()
        return self

    def _check_workers(self) -> int:
        """Return how many workers there are, all of them fit for this."""
        workers = self._client.scheduler_info(n_workers=-1)["workers"]
        if not workers:
            raise UserError(f"the Dask scheduler at {self._address} has no workers; start some with: dask worker")
        crowded = [name for name, worker in workers.items() if worker["nthreads"] != 1]
        if crowded:
            raise UserError(f"{crowded[0]} runs several jobs in one process; start workers with: --nthreads 1")
        for folder in self._shared:
            seen: dict[str, bool] = self._client.run(Path.is_dir, folder)
            blind = [name for name, there in seen.items() if not there]
            if blind:
                raise UserError(f"{blind[0]} does not see {folder}: workers need the same file system")
        return len(workers)

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Hand out one call."""
        future: Future[Any] = Future()
        # Not pure: the same call again is meant to be made again.
        there = self._client.submit(function, *arguments, pure=False)
        self._running[there] = future
        self._finished.add(there)
        return future

    def as_completed(self) -> Iterator[Future[Any]]:
        """Yield futures as they complete until none is pending.

        Raises
        ------
        UserError
            When the scheduler is lost. What had finished is kept, and the same command goes on.
        """
        while self._running:
            there = next(self._finished)
            future = self._running.pop(there)
            if there.status not in ("finished", "error"):
                raise UserError(f"lost the Dask scheduler at {self._address}; run the same command to go on")
            if there.status == "error":
                future.set_exception(there.exception())
            else:
                future.set_result(there.result())
            yield future

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close(timeout=_CONNECT_S)
