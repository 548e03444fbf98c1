"""What an evaluation ran on: recorded in the result, never part of its key."""

from __future__ import annotations

import os
import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from cellgauge import __version__
from cellgauge.results.schema import Environment

_PACKAGES = ("anndata", "igraph", "numba", "numpy", "pandas", "scanpy", "scikit-learn", "scipy", "umap-learn")
"""The packages whose versions can move a score."""


@cache
def environment() -> Environment:
    """Return the versions and the machine."""
    return Environment(
        python=platform.python_version(),
        cellgauge=__version__,
        packages={name: found for name in _PACKAGES if (found := _version(name))},
        platform=f"{platform.system()} {platform.machine()}",
        cpu=f"{_cpu_name()}, {os.cpu_count()} cores",
    )


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
