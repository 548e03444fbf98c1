"""What a piece of work costs: wall time, CPU time, peak memory."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cellgauge.models.cache import Cost

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


@dataclass
class Meter:
    """Filled when the measured block ends."""

    cost: Cost | None = None


@contextmanager
def measured() -> Iterator[Meter]:
    """Measure the block, also when it raises."""
    meter = Meter()
    start = _memory("VmRSS") if _reset_peak() else None
    wall, cpu = time.perf_counter(), time.process_time()
    try:
        yield meter
    finally:
        peak, method = _peak(start)
        meter.cost = Cost(
            wall_s=round(time.perf_counter() - wall, 4),
            cpu_s=round(time.process_time() - cpu, 4),
            peak_memory_mb=peak,
            memory_method=method,
        )


def _reset_peak() -> bool:
    """Make Linux forget the process's peak, so that the next reading belongs to this block."""
    try:
        _CLEAR.write_text("5")
    except OSError:
        return False
    return True


def _peak(start: float | None) -> tuple[float, str]:
    """Return the peak resident memory in MiB and how it was read.

    Parameters
    ----------
    start
        Resident memory when the block began, where the system forgets earlier peaks. The difference is
        the block's own need; libraries and what earlier jobs of the worker left behind are not in it.
    """
    if start is not None:
        return round(max(0.0, _memory("VmHWM") - start), 1), "peak resident memory above that at the start of the step"
    unit = 2**20 if sys.platform == "darwin" else 2**10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    return round(peak, 1), "peak resident memory of the worker process since it started, libraries included"


def _memory(name: str) -> float:
    """Return a line of this process's status in MiB."""
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) / 1024
