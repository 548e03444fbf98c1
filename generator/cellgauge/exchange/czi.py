"""What cz-benchmarks computes, as the Virtual Cells Platform publishes it and as its own command line writes it."""

from __future__ import annotations

import datetime as dt
import json
import re
import string
from pathlib import Path
from typing import Any

from cellgauge.cards.project import Project
from cellgauge.cards.task import TaskCard
from cellgauge.exchange.czi_cards import Names, Vocabulary
from cellgauge.exchange.drafting import Draft, Drafted, Format, Key, release_name
from cellgauge.exchange.reading import Faults, Reader, read_json
from cellgauge.results.imported import LeftOut, SourceFile
from cellgauge.results.schema import Origin

JOINED = " + "
_VERSION = re.compile(r"v?(\d+)\.(\d+)\.\d+(\+[0-9a-f]+)?([.+]dirty)?")


def _opened(project: Project, path: Path) -> tuple[Vocabulary, Any, SourceFile, Reader]:
    """Return what names mean, what a file holds, what it is, and what reads it."""
    words, faults = Vocabulary(project), Faults()
    value, file = read_json(path, faults)
    faults.refuse()
    assert file is not None  # noqa: S101 (a file that could not be read was refused)
    return words, value, file, Reader(file.name, faults)


def read_vcp(
    project: Project, path: Path, version: str | None, licence: str | None, published: dt.date | None
) -> Draft:
    """Read what the Virtual Cells Platform publishes: a list of records, each one model, task and dataset.

    Raises
    ------
    ImportProblems
        With every fault found.
    """
    words, value, file, reader = _opened(project, path)
    draft = _draft("vcp", words, file, version, licence, published)
    records = reader.items(value, "", least=1)
    _read_records(words, reader, draft, [(f"[{place}]", record) for place, record in enumerate(records)])
    return draft


def read_czbenchmarks(
    project: Project, path: Path, version: str | None, licence: str | None, published: dt.date | None
) -> Draft:
    """Read what ``czbenchmarks run`` of versions 0.7 to 0.9 writes as JSON.

    Its records name a model's type and arguments, and are given the keys under which the Virtual Cells Platform
    publishes them.

    Raises
    ------
    ImportProblems
        With every fault found.
    """
    words, value, file, reader = _opened(project, path)
    whole = reader.record(value, "") or {}
    tool = reader.text(whole, "czbenchmarks_version", "") if whole else None
    records = reader.items(whole.get("task_results"), "task_results", least=1) if whole else []
    found = []
    for place, one in enumerate(records):
        key = f"task_results[{place}]"
        if (record := reader.record(one, key)) is not None and tool is not None:
            found.append((key, _as_published(reader, key, record, tool)))
    bare = re.sub(r"^v|\+.*$", "", tool) if tool else None
    draft = _draft("czbenchmarks", words, file, version or bare, licence, published)
    _read_records(words, reader, draft, found)
    return draft


def _as_published(reader: Reader, key: str, record: dict[str, Any], tool: str) -> dict[str, Any]:
    """Return a record of the command line under the keys that the platform publishes."""
    kind = reader.text(record, "model_type", key)
    args = record.get("model_args", {})
    if not isinstance(args, dict):
        reader.fault(f"{key}.model_args", args, "an object")
        args = {}
    variant = args.get("model_variant")
    if isinstance(variant, str) and kind and variant.lower().startswith(kind.lower()):
        variant = variant[len(kind) :].lstrip(string.punctuation)
    metrics = record.get("metrics")
    return {
        "task_key": record.get("task_name"),
        "dataset_keys": record.get("dataset_names"),
        "model_key": f"{kind}-v1-{variant}" if variant else f"{kind}-v1",
        "model_name_display": record.get("model_name_display"),
        "czbenchmarks_version": tool,
        "metrics": [_renamed(one) for one in metrics] if isinstance(metrics, list) else metrics,
    }


def _renamed(metric: Any) -> Any:
    return {**metric, "metric_key": metric.get("metric_type")} if isinstance(metric, dict) else metric


def _draft(
    kind: Format,
    words: Vocabulary,
    file: SourceFile,
    version: str | None,
    licence: str | None,
    published: dt.date | None,
) -> Draft:
    source, known = words.names.sources[kind], words.names.files.get(file.sha256)
    version = version or (known.version if known else None)
    origin = Origin(
        source=source.name,
        version=version,
        url=source.url,
        licence=licence or (known.licence if known else None),
        published=published,
        caveats=source.caveats,
    )
    title = f"{source.name}{f', version {version}' if version else ''}"
    return Draft(kind, origin, title, release_name(kind, version), [file])


_READ = {
    "task_key", "dataset_keys", "model_key", "metrics", "czbenchmarks_version", "timestamp",
    "task_name_display", "dataset_names_display", "model_name_display",
}  # fmt: skip

_READ_OF_METRIC = {"metric_key", "metric_type", "value", "params"}


def _read_records(words: Vocabulary, reader: Reader, draft: Draft, records: list[tuple[str, Any]]) -> None:
    """Read all records into a draft, and its cards.

    Raises
    ------
    ImportProblems
        With every fault found.
    """
    first: dict[tuple[str, str, str], Drafted] = {}
    draft.records = len(records)
    for key, one in records:
        record = reader.record(one, key)
        drafted = _read_record(words, reader, draft, key, record) if record is not None else None
        if drafted is None:
            continue
        place = (drafted.task, drafted.dataset, drafted.model)
        before = first.setdefault(place, drafted)
        if before is drafted:
            draft.results.append(drafted)
        elif before.values == drafted.values:
            why = f"the same values stand in {before.place}"
            draft.left_out.append(LeftOut(where=drafted.place, what=" × ".join(place), why=why))
        else:
            reader.fault(key, " × ".join(place), f"one record of it; {before.place} has other values")
    reader.faults.refuse()
    draft.cards = words.cards(draft.results)


def _read_record(words: Vocabulary, reader: Reader, draft: Draft, key: str, record: dict[str, Any]) -> Drafted | None:
    n_faults, names = len(reader.faults.found), words.names
    _leave_out(reader, draft, key, set(record) - _READ)
    metrics = record.get("metrics")
    for place, metric in enumerate(metrics if isinstance(metrics, list) else []):
        if isinstance(metric, dict):
            _leave_out(reader, draft, f"{key}.metrics[{place}]", set(metric) - _READ_OF_METRIC)
    task = reader.text(record, "task_key", key)
    model = reader.text(record, "model_key", key)
    listed = reader.items(record.get("dataset_keys"), f"{key}.dataset_keys", least=1)
    if not all(isinstance(one, str) for one in listed):
        reader.fault(f"{key}.dataset_keys", listed, "a list of texts")
        listed = []
    if len(set(listed)) != len(listed):
        reader.fault(f"{key}.dataset_keys", listed, "each dataset once")
    dataset = JOINED.join(sorted(listed)) or None
    task_known = reader.known(task, f"{key}.task_key", names.tasks, "task")
    model_known = reader.known(model, f"{key}.model_key", names.models, "model")
    dataset_known = reader.known(dataset, f"{key}.dataset_keys", names.datasets, "dataset")
    card = words.tasks[names.tasks[task]] if task is not None and task_known else None
    if card and dataset and dataset_known and words.joins(names.datasets[dataset]) != ("species" in card.requires):
        wanted = "several datasets, one a species" if "species" in card.requires else "one dataset"
        reader.fault(f"{key}.dataset_keys", listed, f"{wanted} for {task}")
    tool = _tool(reader, key, record, names)
    finished_at = _time(reader, key, record.get("timestamp"))
    values = _values(words, reader, key, record, card)
    if len(reader.faults.found) > n_faults or not (task and model and dataset and task_known and model_known):
        return None
    drafted = Drafted(
        names.tasks[task],
        names.datasets[dataset],
        names.models[model],
        f"{reader.file}: {key}",
        {
            "task_key": task,
            "model_key": model,
            "dataset_keys": listed,
            "model_name_display": record.get("model_name_display"),
            "metric_keys": sorted({one["metric_key"] for one in record["metrics"]}),
        },
        tool=tool,
        values=values,
        finished_at=finished_at,
    )
    for kind, name, id_ in (("models", model, drafted.model), ("tasks", task, drafted.task)):
        draft.names.setdefault(kind, {})[name] = id_
    draft.names.setdefault("datasets", {})[dataset] = drafted.dataset
    for one in record["metrics"]:
        draft.names.setdefault("metrics", {})[one["metric_key"]] = names.metrics[one["metric_key"]]
    return drafted


def _leave_out(reader: Reader, draft: Draft, key: str, names: set[str]) -> None:
    """Say of keys that nothing reads that they were left out."""
    draft.left_out += [
        LeftOut(where=f"{reader.file}: {key}", what=str(name)[:80], why="not read: an unknown key")
        for name in sorted(names)
    ]


def _tool(reader: Reader, key: str, record: dict[str, Any], names: Names) -> str | None:
    """Return what computed a record; later versions than those that the cards describe are refused."""
    version = reader.text(record, "czbenchmarks_version", key)
    match = _VERSION.fullmatch(version) if version else None
    below = ".".join(map(str, names.weighted_below))
    if version is not None and (match is None or [int(match[1]), int(match[2])] >= names.weighted_below):
        reader.fault(f"{key}.czbenchmarks_version", version, f"a version before {below}, whose AUROC is weighted")
    return f"cz-benchmarks {version}" if version else None


def _time(reader: Reader, key: str, value: Any) -> dt.datetime | None:
    if value in (None, ""):
        return None
    try:
        moment = dt.datetime.fromisoformat(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).astimezone(dt.UTC)
    except (TypeError, ValueError, OverflowError):
        reader.fault(f"{key}.timestamp", value, "a time as 2025-05-12T10:00:00Z, or an empty text")
        return None


def _values(
    words: Vocabulary, reader: Reader, key: str, record: dict[str, Any], card: TaskCard | None
) -> dict[Key, float]:
    names = words.names
    wanted = {(ref.metric, ref.view) for ref in card.scores} if card else set()
    found: dict[Key, float] = {}
    for place, one in enumerate(reader.items(record.get("metrics"), f"{key}.metrics", least=1)):
        here = f"{key}.metrics[{place}]"
        metric = reader.record(one, here)
        name = reader.text(metric, "metric_key", here) if metric is not None else None
        if metric is None or name is None or not reader.known(name, f"{here}.metric_key", names.metrics, "metric"):
            continue
        view, is_known = _view(words, reader, here, metric, card)
        bounds = words.metrics[names.metrics[name]].range
        value = reader.number(metric.get("value"), f"{here}.value", bounds.min, bounds.max)
        score: Key = (names.metrics[name], view)
        if card is not None and is_known and score not in wanted:
            reader.fault(f"{here}.metric_key", name, f"a metric of {card.id}")
        elif value is not None and is_known and found.setdefault(score, value) != value:
            reader.fault(here, value, f"one value of {name}; an earlier one is {found[score]}")
    return found


def _view(
    words: Vocabulary, reader: Reader, key: str, metric: dict[str, Any], card: TaskCard | None
) -> tuple[str | None, bool]:
    """Return the classifier that a value is of, and whether that could be told."""
    params = metric.get("params")
    params = {} if params is None else params
    if not isinstance(params, dict):
        reader.fault(f"{key}.params", params, "an object")
        return None, False
    for name in sorted(set(params) - {"classifier"}):
        reader.fault(f"{key}.params", json.dumps(name), "no parameter but classifier")
        return None, False
    classifier = params.get("classifier")
    if classifier is None:
        return (words.names.no_classifier if card is not None and card.views else None), True
    if not isinstance(classifier, str):
        reader.fault(f"{key}.params.classifier", classifier, "text")
        return None, False
    is_known = reader.known(classifier, f"{key}.params.classifier", words.names.classifiers, "classifier")
    return (words.names.classifiers[classifier] if is_known else None), is_known
