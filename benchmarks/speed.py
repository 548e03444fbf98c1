"""Time and memory of the three embedding tasks beside cz-benchmarks, both as cold processes, in turn.

``python benchmarks/speed.py --peer PYTHON`` times both and writes ``speed.json``; PYTHON is the interpreter of an
environment with the packages of ``speed-peer.txt``. ``--growth`` times cellgauge alone, over cells, dimensions and
classes. Each run is a process of its own; ratios are medians over pairs of runs next to each other in time, so
that a machine that becomes slower weighs on both sides.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).resolve().parent
SEED = 42
USUAL = {"cells": 10_000, "dimensions": 512, "classes": 20}
AGREED = 5e-7
"""Numbers that differ by less are the same to six digits."""


_STEPS = (
    "imports",
    "clustering",
    "embedding",
    "logistic regression and kNN",
    "forest",
    "classification",
    "whole without forest",
    "whole",
)


def make_input(folder: Path, cells: int, dimensions: int, classes: int, seed: int = 0) -> tuple[Path, Path]:
    """Write an embedding and its labels: classes of unequal size (33 to 1) that lie in lineages and overlap.

    Returns
    -------
    The embedding (``.npy``, float32) and the data (``.h5ad``, with the label in obs and hardly any matrix).
    """
    import anndata
    import pandas as pd
    from scipy import sparse

    rng = np.random.default_rng(seed)
    share = np.geomspace(1, 0.03, classes)
    sizes = np.maximum(12, np.round(cells * share / share.sum()).astype(int))
    sizes[0] += cells - sizes.sum()
    codes = rng.permutation(np.repeat(np.arange(classes), sizes))
    latent = min(32, dimensions)
    lineages = rng.normal(size=(max(2, classes // 4), latent)) * 1.12
    centres = lineages[np.arange(classes) % len(lineages)] + rng.normal(size=(classes, latent)) * 0.525
    inner = centres[codes] + rng.normal(size=(cells, latent)) * np.linspace(1.6, 0.6, latent)
    embedding: NDArray[np.float32] = (inner @ rng.normal(size=(latent, dimensions)) / np.sqrt(latent)).astype(
        np.float32
    )
    embedding += 2 * rng.standard_normal(size=embedding.shape, dtype=np.float32)
    embedding += (rng.normal(size=dimensions) * 0.5).astype(np.float32)
    stem = folder / f"{cells}x{dimensions}x{classes}"
    np.save(stem.with_suffix(".npy"), embedding)
    labels = pd.DataFrame({"label": [f"type-{code}" for code in codes]}, index=[f"cell-{i}" for i in range(cells)])
    anndata.AnnData(sparse.eye_array(cells, 2, format="csr"), obs=labels).write_h5ad(stem.with_suffix(".h5ad"))
    return stem.with_suffix(".npy"), stem.with_suffix(".h5ad")


def run(side: str, python: str, made: tuple[Path, Path], options: Iterable[str] = ()) -> dict[str, Any]:
    """Run one side in a new process; return its steps, values and versions.

    ``whole`` is what the operating system counted for the process from its start to its end.
    """
    with tempfile.NamedTemporaryFile(suffix=".json") as report:
        # -P: what lies in this folder must not be taken for a package of the same name.
        words = [python, "-P", HERE / "speed_steps.py", side, report.name, *made, "label", SEED, *options]
        start = time.perf_counter()
        process = subprocess.Popen([str(word) for word in words], stdout=subprocess.DEVNULL)  # noqa: S603
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{side} ended with exit code {process.returncode}")
        found: dict[str, Any] = json.loads(Path(report.name).read_text())
    # ru_maxrss is in KiB on Linux, in bytes on macOS.
    peak = used.ru_maxrss / (2**30 if sys.platform == "darwin" else 2**20)
    found["steps"]["whole"] = {"wall": wall, "cpu": used.ru_utime + used.ru_stime, "peak_gb": peak}
    forest = found["steps"]["forest"]
    found["steps"]["whole without forest"] = {
        one: found["steps"]["whole"][one] - forest[one] for one in ("wall", "cpu")
    }
    return found


def compare(peer: str, runs: int, replicates: int, shape: dict[str, int]) -> dict[str, Any]:
    """Time both sides in turn, and hold their numbers against each other."""
    with tempfile.TemporaryDirectory() as folder:
        small, made = make_input(Path(folder), 1000, 32, 5), make_input(Path(folder), **shape)
        # Not counted: byte code and compiled functions are written to disk once.
        run("ours", sys.executable, small), run("peer", peer, small)
        pairs = []
        for number in range(runs):
            few = run("ours", sys.executable, made, ["--replicates", "100"])
            pair = {
                "ours": run("ours", sys.executable, made, ["--replicates", str(replicates)]),
                "ours, 100 replicates": few,
                "peer": run("peer", peer, made),
            }
            pairs.append(pair)
            walls = ", ".join(f"{side} {found['steps']['whole']['wall']:.1f} s" for side, found in pair.items())
            print(f"{number + 1} of {runs}: {walls}", file=sys.stderr)
        # In double precision, since in single precision where logistic regression stops depends on the number of
        # threads, and on which processor the sums are made.
        doubled = run("peer", peer, made, ["float64"])
    sides = list(pairs[0])
    return {
        "input": {**shape, "replicates": replicates},
        "runs": runs,
        "machine": machine(),
        "versions": {side: pairs[0][side]["versions"] for side in ("ours", "peer")},
        "steps": {side: _medians([pair[side]["steps"] for pair in pairs]) for side in sides},
        "peer / ours": _ratios(pairs, "peer", "ours"),
        "replicates / rest": _ratios(pairs, "ours", "ours, 100 replicates"),
        "numbers": numbers(pairs[0]["ours"]["values"], pairs[0]["peer"]["values"], doubled["values"]),
        "every run": [{side: pair[side]["steps"] for side in sides} for pair in pairs],
    }


def _medians(every: list[dict[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    return {
        step: {one: statistics.median(steps[step][one] for steps in every) for one in measures}
        for step, measures in every[0].items()
    }


def _ratios(pairs: list[dict[str, Any]], top: str, bottom: str) -> dict[str, dict[str, float]]:
    shared = [step for step in pairs[0][top]["steps"] if step in pairs[0][bottom]["steps"]]
    return {
        step: {
            one: statistics.median(pair[top]["steps"][step][one] / pair[bottom]["steps"][step][one] for pair in pairs)
            for one in pairs[0][top]["steps"][step]
        }
        for step in shared
    }


def numbers(ours: dict[str, float], peer: dict[str, float], doubled: dict[str, float]) -> dict[str, dict[str, Any]]:
    """Hold our numbers against the peer's, given the embedding in single and in double precision."""
    return {
        key: {
            "ours": ours[key],
            "peer": peer[key],
            "peer, float64": doubled[key],
            "same": min(abs(ours[key] - peer[key]), abs(ours[key] - doubled[key])) < AGREED,
        }
        for key in peer
        if key in ours
    }


def growth() -> dict[str, Any]:
    """Time cellgauge alone, with one of cells, dimensions and classes changed at a time, and on 100,000 cells."""
    usual = {"cells": 5000, "dimensions": 256, "classes": 20}
    varied = {"cells": (1000, 2000, 5000, 10_000, 20_000), "dimensions": (64, 256, 1024), "classes": (5, 20, 80)}
    every = [usual | {name: value} for name, values in varied.items() for value in values]
    every += [USUAL, USUAL | {"cells": 100_000}]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        run("ours", sys.executable, make_input(Path(folder), 1000, 32, 5))
        for shape in [shape for position, shape in enumerate(every) if shape not in every[:position]]:
            found = run("ours", sys.executable, make_input(Path(folder), **shape))
            rows.append({**shape, "steps": found["steps"]})
            print(f"{shape}: {found['steps']['whole']['wall']:.1f} s", file=sys.stderr)
    return {"machine": machine(), "rows": rows}


def machine() -> dict[str, Any]:
    """Say on what was measured."""
    names = []
    if Path("/proc/cpuinfo").is_file():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": names[0] if names else platform.processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": platform.platform(terse=True),
        "load_at_end": round(os.getloadavg()[0], 2),
        "date": datetime.now(UTC).date().isoformat(),
    }


def comparison_table(found: dict[str, Any]) -> str:
    """Return the medians as Markdown."""
    ours, peer, ratio = found["steps"]["ours"], found["steps"]["peer"], found["peer / ours"]
    lines = [
        "| step | peer wall s | ours wall s | ratio | peer CPU s | ours CPU s | ratio |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for step in _STEPS:
        cells = [f"{side[step][one]:.1f}" for one in ("wall", "cpu") for side in (peer, ours)]
        times = [f"{ratio[step][one]:.1f}×" for one in ("wall", "cpu")]
        lines.append(f"| {step} | {cells[0]} | {cells[1]} | {times[0]} | {cells[2]} | {cells[3]} | {times[1]} |")
    more, but_forest = (found["replicates / rest"][step]["wall"] for step in ("whole", "whole without forest"))
    lines += [
        "",
        f"Peak memory: peer {peer['whole']['peak_gb']:.2f} GB, ours {ours['whole']['peak_gb']:.2f} GB. "
        f"{found['input']['replicates']:,} replicates instead of 100 take {more - 1:+.0%} "
        f"({but_forest - 1:+.0%} without the forest).",
        "",
        f"Measured on {found['machine']['cores']} cores of {found['machine']['cpu']}, {found['machine']['date']}.",
        "",
        "| score | ours | peer | peer, float64 | same |",
        "|---|--:|--:|--:|---|",
    ]
    for key, one in found["numbers"].items():
        values = " | ".join(f"{one[side]:.6f}" for side in ("ours", "peer", "peer, float64"))
        lines.append(f"| {key} | {values} | {'yes' if one['same'] else '**no**'} |")
    return "\n".join(lines)


def growth_table(found: dict[str, Any]) -> str:
    """Return the costs as Markdown."""
    steps = ("clustering", "embedding", "logistic regression and kNN", "forest", "whole")
    lines = [f"| cells | dimensions | classes | {' | '.join(f'{step}, CPU s' for step in steps)} | peak GB |"]
    lines.append("|" + "--:|" * (len(steps) + 4))
    for row in found["rows"]:
        seconds = " | ".join(f"{row['steps'][step]['cpu']:.1f}" for step in steps)
        shape = " | ".join(f"{row[name]:,}" for name in ("cells", "dimensions", "classes"))
        lines.append(f"| {shape} | {seconds} | {row['steps']['whole']['peak_gb']:.2f} |")
    return "\n".join(lines)


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--peer", metavar="PYTHON", help="interpreter of the environment with cz-benchmarks")
    parser.add_argument("--runs", type=int, default=5, metavar="N", help="pairs of runs [default: 5]")
    parser.add_argument("--replicates", type=int, default=4000, metavar="N", help="resamples [default: 4000]")
    for name, value in USUAL.items():
        parser.add_argument(f"--{name}", type=int, default=value, metavar="N", help=f"[default: {value}]")
    parser.add_argument("--growth", action="store_true", help="cost by cells, dimensions and classes")
    parser.add_argument("--table", action="store_true", help="run nothing, print what was measured last as Markdown")
    parser.add_argument("--out", type=Path, default=HERE / "speed.json", metavar="FILE")
    asked = parser.parse_args()
    if not (asked.peer or asked.growth or asked.table):
        parser.error("give --peer, --growth or both, or --table")
    written = json.loads(asked.out.read_text()) if asked.out.is_file() else {}
    if asked.table:
        tables = {"comparison": comparison_table, "growth": growth_table}
        print("\n\n".join(table(written[name]) for name, table in tables.items() if name in written))
        return
    if asked.peer:
        written["comparison"] = compare(
            asked.peer, asked.runs, asked.replicates, {name: getattr(asked, name) for name in USUAL}
        )
        print(comparison_table(written["comparison"]))
    if asked.growth:
        written["growth"] = growth()
        print(growth_table(written["growth"]))
    asked.out.write_text(json.dumps(written, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    _main()
