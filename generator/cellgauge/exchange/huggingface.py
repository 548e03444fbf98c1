"""Primary scores as evaluation results of the Hugging Face Hub: a YAML file for the repository of each model.

The format is https://huggingface.co/docs/hub/eval-results: a list of entries, each one value for a task of a benchmark.
A benchmark is a dataset on the Hub that declares its tasks; ours is named in ``mkdocs.yml``, and each of its tasks is a
task here on a dataset here, so that no dataset is said to be on the Hub that is not.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from cellgauge.cards.problems import UserError
from cellgauge.cards.project import Project
from cellgauge.exchange.described import described, refuse_unfrozen
from cellgauge.report.address import address_of
from cellgauge.report.cells import page_of
from cellgauge.report.cite import Cited
from cellgauge.report.numbers import plural, significant
from cellgauge.report.sources import hub_benchmark
from cellgauge.results.release import series_of
from cellgauge.results.schema import Result, Score
from cellgauge.results.store import write_atomically

_PART = r"[A-Za-z0-9_]+([.-][A-Za-z0-9_]+)*"


def export_huggingface(project: Project, release: str, out: Path) -> dict[Path, int]:
    """Write ``<model>/.eval_results/cellgauge-<release>.yaml`` into ``out`` for each model that has primary scores.

    Controls get no file: what they score is known beforehand, and no repository holds them. Nor do repeats of a model.

    Returns
    -------
    The files, and how many entries each has.

    Raises
    ------
    UserError
        When the release may still change, is not meant to be cited or has no such scores, or ``mkdocs.yml`` names
        neither a benchmark nor the address at which results stand.
    """
    view, cited = described(project, release)
    refuse_unfrozen(project, release)
    if view.meta is not None and view.meta.rehearsal:
        raise UserError(f"release {release} is a rehearsal: its scores are not meant for the pages of models")
    benchmark, site = _benchmark(project), address_of(project, release, None, None).site
    if not site:
        raise UserError(f"{project.source / 'mkdocs.yml'}: site_url: is not set; each entry names its result's page")
    entries: dict[str, list[dict[str, Any]]] = {}
    for result in view.done:
        score = result.score(view.cards.tasks[result.task.id].primary.key)
        if score is not None and view.cards.models[result.model.id].counts_as in ("model", "baseline"):
            entries.setdefault(result.model.id, []).append(_entry(result, score, cited, benchmark, site))
    if not entries:
        raise UserError(f"release {release} has no primary score of a model; there is nothing to export")
    made = {}
    for model, some in sorted(entries.items()):
        path = out / model / ".eval_results" / f"cellgauge-{release}.yaml"
        write_atomically(path, yaml.safe_dump(some, sort_keys=False, allow_unicode=True, width=1000).encode())
        made[path] = len(some)
    return made


def _benchmark(project: Project) -> str:
    found = hub_benchmark(project)
    if re.fullmatch(f"{_PART}/{_PART}", found) is None:
        said = f'found "{found}"' if found else "is not set"
        raise UserError(
            f"{project.source / 'mkdocs.yml'}: extra.hub_benchmark: {said}; expected OWNER/NAME of the dataset on the "
            "Hugging Face Hub that is registered as the benchmark"
        )
    return found


def _entry(result: Result, score: Score, cited: Cited, benchmark: str, site: str) -> dict[str, Any]:
    return {
        "dataset": {"id": benchmark, "task_id": _task_id(result)},
        "value": score.value,
        "date": cited.day.isoformat(),
        "source": {"url": f"{site}{page_of(result)}", "name": cited.name},
        "notes": " ".join("; ".join(_notes(result, score)).split()),
    }


def _task_id(result: Result) -> str:
    """Return the leaderboard of a score: what another protocol, other cells or others measured has another one."""
    task, dataset = result.task, result.dataset
    name = f"{task.id}_v{task.version}_{dataset.id}_v{dataset.version}"
    return name if result.reported is None else f"{series_of(result.release, 'reported', rehearsal=False)}_{name}"


def _notes(result: Result, score: Score) -> list[str]:
    reported, interval = result.reported, score.interval
    notes = [f"{score.key}, {score.direction} is better"]
    if reported is not None:
        version = f", {reported.version}" if reported.version else ""
        notes += [f"reported: measured by {reported.source}{version}, not by cellgauge, and never ranked"]
    else:
        notes += [f"mean over {plural(len(result.seeds), 'seed')}"]
    if interval is not None:
        low, high = significant(interval.low), significant(interval.high)
        notes += [f"{100 * interval.level:g} % interval {low} to {high} ({interval.method})"]
    else:
        notes += [f"no interval: {score.why_no_interval or 'none was made'}"]
    notes += [plural(score.n_units, score.unit)] if score.n_units is not None else []
    notes += [f"leakage: {result.leakage.leakage_class}"] if result.leakage.leakage_class else []
    return [*notes, f"result {result.result_id}"]
