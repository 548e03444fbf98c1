"""Real worker processes: one that dies or hangs takes only its own job with it."""

from __future__ import annotations

import operator
import os
import signal
import sys
import time

import pytest

from cellgauge.runner.failures import lost
from cellgauge.runner.workers import LocalWorkers


class Unloadable:
    """Cannot be unpacked in a worker, as a function whose module cannot be imported there."""

    def __reduce__(self):
        return (int, ("no number",))


def outcomes(workers: LocalWorkers) -> list[object]:
    found = []
    for future in workers.as_completed():
        try:
            found.append(future.result())
        except (Exception, SystemExit) as error:
            found.append(lost(error, workers.time_limit))
    return found


def test_jobs_are_answered_also_those_submitted_while_reading() -> None:
    with LocalWorkers(2) as workers:
        workers.submit(operator.add, 1, 1)
        found = []
        for future in workers.as_completed():
            found.append(future.result())
            if len(found) < 3:
                workers.submit(operator.add, found[-1], 1)
    assert found == [2, 3, 4]


def test_a_worker_has_one_thread() -> None:
    with LocalWorkers(1) as workers:
        workers.submit(os.getenv, "OMP_NUM_THREADS")
        assert outcomes(workers) == ["1"]


def test_bug_a_model_that_quit_ended_the_run() -> None:
    with LocalWorkers(1) as workers:
        workers.submit(sys.exit, 3)
        workers.submit(operator.add, 1, 1)
        found = outcomes(workers)
    found.remove(2)
    assert found[0].status == "failed"


@pytest.mark.kill
def test_a_killed_worker_loses_only_its_job() -> None:
    with LocalWorkers(1) as workers:
        workers.submit(signal.raise_signal, signal.SIGKILL)
        workers.submit(operator.add, 1, 1)
        found = outcomes(workers)
    found.remove(2)
    (failure,) = found
    assert failure.status == "failed"
    assert "killed by signal 9; signal 9 most often means that memory ran out" in failure.reason


@pytest.mark.kill
def test_a_job_that_hangs_is_stopped() -> None:
    with LocalWorkers(1, time_limit=1.5) as workers:
        workers.submit(time.sleep, 600)
        (failure,) = outcomes(workers)
    assert (failure.status, failure.reason) == ("timeout", "stopped after its time limit of 1.5 s")


def test_bug_a_job_that_cannot_be_unpacked_hung_the_run() -> None:
    """The worker died before it had acknowledged the job, and the pool waited for it for ever."""
    with LocalWorkers(1) as workers:
        workers.submit(operator.add, 1, Unloadable())
        (failure,) = outcomes(workers)
    assert failure.status == "failed"
    assert "ValueError" in failure.reason
