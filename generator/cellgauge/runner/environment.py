"""What an evaluation ran on: recorded in the result, never part of its key."""

from __future__ import annotations

import os
import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path

from cellgauge import __version__
from cellgauge.results.schema import Environment

_PACKAGES = ("anndata", "igraph", "numba", "numpy", "pandas", "scanpy", "scikit-learn", "scipy", "umap-learn")
"""The packages whose versions can move a score."""


@cache
def environment(modules: frozenset[str] = frozenset()) -> Environment:
    """Return the versions and the machine.

    Parameters
    ----------
    modules
        What a model imports: the versions of the packages that hold these are told as well.
    """
    of_model = {package for one in modules - {"cellgauge"} for package in packages_distributions().get(one, [])}
    return Environment(
        python=platform.python_version(),
        cellgauge=__version__,
        packages={name: found for name in sorted({*_PACKAGES, *of_model}) if (found := _version(name))},
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
