"""Time, memory and weight of the site of a release of made-up results, beside bare mkdocs-material.

``python benchmarks/site_build.py`` writes ``site_build.json``; ``--table`` prints its tables. Each build is a process
of its own. The result files are simulated: real cards, real files, numbers that were drawn at random. What is timed is
what a maintainer waits for: the first build, one with all figures and the pages of results drawn already, and one where
nothing has changed.
Bare mkdocs-material builds as many pages with one table of 10 × 8 in Markdown each and a short navigation, in place of
the site that was there, as ours. How long pages take to open is measured by ``page_load.py``.
"""

from __future__ import annotations

import argparse
import datetime as dt
import gzip
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from cellgauge.cards import Cards, Project, load_cards
from cellgauge.cards.canonical import digest
from cellgauge.results.release import Plan, Release
from cellgauge.results.schema import Interval, Score
from cellgauge.results.store import (
    describe_replicates,
    encode_replicates,
    seal,
    write_plan,
    write_release,
    write_result,
)

HERE = Path(__file__).resolve().parent
CLONE = HERE.parent
RECORD = HERE / "site_build.json"
TASKS = ("clustering", "embedding", "classification")
N_DATASETS = 31
SIZES = (480, 2000)
MADE = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)


def simulate(folder: Path, n_results: int) -> Project:
    """Copy the project and fill a release with made-up results.

    Returns
    -------
    A project with ``n_results`` results of the three tasks on 31 datasets, or as many models as that takes.
    """
    for name in ("site_src", "generator"):
        shutil.copytree(CLONE / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(CLONE / "mkdocs.yml", folder)
    project = Project(folder, folder)
    cards = load_cards(project)
    release = project.release("made-up")
    write_release(
        release,
        Release(
            release="made-up", title="Made-up numbers", kind="measured", rehearsal=True, protocol=digest("made up"),
            protocol_date=MADE.date(),
        ),
    )  # fmt: skip
    ordered = sorted(cards.models.values(), key=lambda card: (card.id != "pca", card.is_control, card.id))
    models = [card.id for card in ordered if card.output == "embedding"]
    datasets = sorted(one.id for one in cards.datasets.values() if not one.joins)[:N_DATASETS]
    places = [(task, dataset, model) for model, dataset, task in product(models, datasets, TASKS)][:n_results]
    if len(places) < n_results:
        raise SystemExit(f"the cards allow {len(places)} results, not {n_results}")
    for task, dataset, model in places:
        _write(cards, release, task, dataset, model)
    write_plan(release, Plan(release="made-up", pairs=[]))
    return project


def _write(cards: Cards, release: Path, task: str, dataset: str, model: str) -> None:
    card = cards.tasks[task]
    rng = np.random.default_rng(int(digest([task, dataset, model])[7:15], 16))
    shared = np.random.default_rng(int(digest([task, dataset])[7:15], 16)).normal(0, 0.02, card.protocol.replicates)
    skill, scores, rows = rng.uniform(0.3, 0.8), [], []
    for ref in card.scores:
        metric = cards.metrics[ref.metric]
        row = np.clip(skill + rng.normal(0, 0.02) + shared + rng.normal(0, 0.01, len(shared)), 0, 1)
        low, high = np.quantile(row, [0.025, 0.975])
        by_seed = [float(np.mean(row)) + shift for shift in np.linspace(-0.004, 0.004, len(card.protocol.seeds))]
        scores.append(
            Score(
                metric=metric.id, view=ref.view, version=metric.version, direction=metric.direction,
                value=float(np.mean(by_seed)), by_seed=by_seed, n_units=5000, unit=card.unit,
                interval=Interval(low=float(low), high=float(high), level=0.95, method="made up"),
            )
        )  # fmt: skip
        rows.append(row)
    replicates = encode_replicates(np.array(rows))
    result = seal(
        {
            "key": digest([task, dataset, model]),
            "release": "made-up",
            "status": "done",
            "protocol": digest("made up"),
            "reason": None,
            **{
                kind: {"id": one.id, "version": version, "digest": one.digest}
                for kind, one, version in (
                    ("task", card, card.protocol.version),
                    ("model", cards.models[model], cards.models[model].version),
                )
            },
            "dataset": {
                "id": dataset,
                "version": cards.datasets[dataset].version,
                "digest": cards.datasets[dataset].digest,
                "content": None,
            },
            "leakage": {"class": None if cards.models[model].is_control else "green", "evidence": "made up"},
            "seeds": card.protocol.seeds,
            "scores": scores,
            "replicates": describe_replicates(
                replicates, model, (len(rows), len(shared)), digest([task, dataset, "stream"])
            ),
            "details": {"n_cells": 5000, "label_counts": {f"type {one}": 100 + one for one in range(20)}},
            "params": card.protocol.params,
            "environment": {
                "python": "3.11", "cellgauge": "0", "packages": {"numpy": "2"}, "platform": "made up", "cpu": "made up",
            },
            "resources": {
                "embedding_wall_s": 10.0, "n_embeddings": 1, "evaluation_wall_s": 20.0, "peak_memory_mb": 900.0,
            },
            "log": None,
            "started_at": MADE,
            "finished_at": MADE,
        }
    )  # fmt: skip
    write_result(release, result, replicates)


def bare(folder: Path, pages: int) -> None:
    """Write what bare mkdocs-material is given: pages with one table each, and a navigation of one page."""
    docs = folder / "docs"
    docs.mkdir(parents=True)
    (docs / "index.md").write_text("# Home\n", encoding="utf-8")
    rng = np.random.default_rng(0)
    head = "|" + "|".join(f" column {place} " for place in range(8)) + "|\n|" + "---|" * 8 + "\n"
    for page in range(pages):
        rows = "".join("|" + "|".join(f" {value:.3f} " for value in row) + "|\n" for row in rng.random((10, 8)))
        (docs / f"page-{page}.md").write_text(f"# Page {page}\n\n{head}{rows}", encoding="utf-8")
    (folder / "mkdocs.yml").write_text(
        "site_name: bare\nnav: [index.md]\nnot_in_nav: /page-*.md\n"
        "theme: {name: material, font: false}\nplugins: [search]\nmarkdown_extensions: [tables]\n",
        encoding="utf-8",
    )


def timed(command: list[str | Path], folder: Path, **more: str) -> dict[str, float]:
    """Run a command to its end; return wall and CPU seconds with those of its children, and the peak of one process."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    process = subprocess.Popen(  # noqa: S603 (our own commands)
        [str(part) for part in command], cwd=folder, stdout=subprocess.DEVNULL, env={**os.environ, **more}
    )
    _, status, used = os.wait4(process.pid, 0)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if status != 0:
        raise SystemExit(f"{' '.join(map(str, command))} ended with {os.waitstatus_to_exitcode(status)}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall_s": round(wall, 2), "cpu_s": round(cpu, 2), "peak_gb": round(used.ru_maxrss / 2**20, 3)}


def weigh(site: Path) -> dict[str, Any]:
    """Return how heavy the pages are: kilobytes of HTML, as they lie there and compressed, and the search index."""
    pages = {path.relative_to(site).as_posix(): path.read_bytes() for path in site.rglob("*.html")}
    sizes = {path: len(text) / 1000 for path, text in pages.items()}
    heaviest = max(sizes, key=sizes.__getitem__)
    results = [size for path, size in sizes.items() if path.startswith("results/") and path.count("/") == 4]
    return {
        "pages": len(pages),
        "heaviest": heaviest,
        "heaviest_kb": round(sizes[heaviest], 1),
        "heaviest_gz_kb": round(max(len(gzip.compress(text)) for text in pages.values()) / 1000, 1),
        "median_result_kb": round(float(np.median(results)), 1),
        "search_index_kb": round((site / "search/search_index.json").stat().st_size / 1000, 1),
    }


def measure(sizes: Iterable[int]) -> dict[str, Any]:
    """Build sites of several sizes, and a bare one with as many pages as the largest."""
    from page_load import measure as open_pages

    found: dict[str, Any] = {"cpus": os.cpu_count(), "sizes": []}
    build = [sys.executable, "-m", "cellgauge", "build"]
    for n_results in sizes:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            simulate(folder, n_results)
            one: dict[str, Any] = {"results": n_results, "cold": timed(build, folder)}
            one["cached"] = timed([*build, "--again"], folder)
            one["unchanged"] = timed(build, folder)
            one |= weigh(folder / "site")
            one["opened"] = open_pages(folder / "site", ["", *_one_of_each(folder / "site"), _address(one["heaviest"])])
            with tempfile.TemporaryDirectory() as other:
                bare(Path(other), one["pages"])
                for _ in range(2):
                    one["bare"] = timed(
                        [sys.executable, "-m", "mkdocs", "build", "-q"], Path(other), NO_MKDOCS_2_WARNING="1"
                    )
            found["sizes"].append(one)
            print(json.dumps(one), file=sys.stderr, flush=True)
    return found


def _one_of_each(site: Path) -> list[str]:
    """Return the address of a task, a task on a dataset, a dataset, a model, a result and a comparison."""
    kinds = ("tasks/*", "tasks/*/*", "datasets/*", "models/pca", "results/*/*/pca", "compare/*")
    first = (sorted(path for path in site.glob(kind) if path.is_dir())[0] for kind in kinds)
    return [f"{path.relative_to(site).as_posix()}/" for path in first]


def _address(file: str) -> str:
    return file.removesuffix("index.html")


def tables(found: Mapping[str, Any]) -> str:
    """Return the tables as they stand on the page about speed."""
    lines = [
        "| made-up results | pages | cold s | cold CPU s | cached s | bare s | cached / bare | unchanged s | peak GB |",
        "|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for one in found["sizes"]:
        ratio = one["cached"]["wall_s"] / one["bare"]["wall_s"]
        peak = max(one["cold"]["peak_gb"], one["cached"]["peak_gb"])
        lines.append(
            f"| {one['results']:,} | {one['pages']:,} | {one['cold']['wall_s']:.0f} | {one['cold']['cpu_s']:.0f} | "
            f"{one['cached']['wall_s']:.0f} | {one['bare']['wall_s']:.0f} | {ratio:.2f}× | "
            f"{one['unchanged']['wall_s']:.1f} | {peak:.2f} |"
        )
    lines += ["", "| made-up results | heaviest page kB | compressed kB | median result page kB | search index kB |"]
    lines += ["|--:|--:|--:|--:|--:|"]
    lines += [
        f"| {one['results']:,} | {one['heaviest_kb']:.0f} (`{one['heaviest']}`) | {one['heaviest_gz_kb']:.0f} | "
        f"{one['median_result_kb']:.0f} | {one['search_index_kb']:.0f} |"
        for one in found["sizes"]
    ]
    opened = found["sizes"][-1].get("opened", [])
    if not opened:
        return "\n".join(lines)
    lines += ["", "| page, of the largest release | first visit kB | seen after s | chart interactive after s |"]
    lines += ["|--|--:|--:|--:|"]
    lines += [
        f"| `{page['path'] or 'home'}` | {page['kb']:.0f} | {page['painted_s']:.2f} | "
        + (f"{page['live_s']:.2f} |" if page["live_s"] is not None else "no chart in view |")
        for page in opened
    ]
    return "\n".join(lines)


def main() -> None:
    """Measure and write, or print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", action="store_true", help="print the tables of what was measured before")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="numbers of results")
    options = parser.parse_args()
    if not options.table:
        found = measure(options.sizes) | {"measured": f"{dt.datetime.now(dt.UTC):%Y-%m-%d}"}
        RECORD.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(tables(json.loads(RECORD.read_text(encoding="utf-8"))))


if __name__ == "__main__":
    main()
