"""What Open Problems publishes of one of its tasks: a folder of JSON files, in either of its two layouts.

The legacy layout of its website has ``dataset_id`` and ``method_id``, and the string "NA" where a metric has no value.
The later one (results_v4) has ``dataset_name``, ``method_name`` and a set of parameters, and lists of metrics that are
empty where a run failed. Cards are made from the source's own descriptions; its scaled scores are not read.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cellgauge.cards.problems import UserError
from cellgauge.exchange.drafting import Draft, Drafted, Key, as_card_file, release_name
from cellgauge.exchange.openproblems_cards import (
    SITE,
    SOURCE,
    Info,
    as_body,
    dataset_card,
    metric_card,
    model_card,
    name_of,
    one_line,
    slug_of,
    task_card,
)
from cellgauge.exchange.reading import Faults, Reader, read_json
from cellgauge.results.imported import LeftOut, SourceFile
from cellgauge.results.schema import Origin, Resources, Status

_FILES = ("results", "task_info", "dataset_info", "method_info", "metric_info")
_LICENCE_OF_LEGACY = "CC-BY-4.0"
_CAVEATS = (
    "Every score is a single value; the source gives no uncertainty, so that nothing here is ranked or judged.",
    "Values are the raw ones of each metric; the source's scaled scores and their mean are not imported.",
    "Which score stands first is the order of the source's list of metrics, which has no primary one.",
    "Controls are the source's own; their part in it is to mark the ends of each metric's scale.",
    "The source does not say which datasets share donors, and each one is counted as a study of its own.",
)
_OTHER_LICENCE = (
    "The files do not say under which licence the results are; the licence in them is that of the task's code."
)
_MOST = 1e9
"""A score beyond it is no score: the source says nothing of what its metrics range over."""


@dataclass(frozen=True)
class _Layout:
    """How one of the two layouts names things."""

    id: str
    dataset: str
    method: str
    label: str
    summary: str
    description: str


_LEGACY = _Layout("{}_id", "dataset_id", "method_id", "{}_name", "{}_summary", "{}_description")
_V4 = _Layout("name", "dataset_name", "method_name", "label", "summary", "description")


def read_openproblems(folder: Path, version: str | None, licence: str | None, published: dt.date | None) -> Draft:
    """Read the results of one task.

    Parameters
    ----------
    folder
        With ``results.json`` and the files that describe task, datasets, methods and metrics.

    Raises
    ------
    ImportProblems
        With every fault found.
    """
    if not folder.is_dir():
        raise UserError(f"{folder.name}: expected a folder with {', '.join(f'{one}.json' for one in _FILES)}")
    faults, values, files = Faults(), dict[str, Any](), list[SourceFile]()
    for name in _FILES:
        value, file = read_json(folder / f"{name}.json", faults)
        if file is not None:
            values[name] = value
            files.append(file)
    faults.refuse()
    return _Folder(values, files, faults).draft(version, licence, published)


class _Folder:
    """The files of one task, read."""

    def __init__(self, values: dict[str, Any], files: list[SourceFile], faults: Faults) -> None:
        self.faults, self.files, self.values = faults, files, values
        self.reader = {name: Reader(f"{name}.json", faults) for name in _FILES}
        rows = self.reader["results"].items(values["results"], "", least=1)
        keys = {key for row in rows if isinstance(row, dict) for key in row}
        self.is_legacy = "dataset_name" not in keys
        self.layout = _LEGACY if self.is_legacy else _V4
        task = self.reader["task_info"].record(values["task_info"], "") or {}
        self.task = self._described("task", [task], "task_info")
        self.datasets = self._described("dataset", values["dataset_info"], "dataset_info")
        self.methods = self._described("method", values["method_info"], "method_info")
        self.metrics = self._described("metric", values["metric_info"], "metric_info")
        self.left_out: list[LeftOut] = []
        self.models: dict[str, tuple[Info, str | None]] = {}
        faults.refuse()
        self.about = next(iter(self.task.values()))
        self.task_id = slug_of(self.about.id.removeprefix("task_"))

    def draft(self, version: str | None, licence: str | None, published: dt.date | None) -> Draft:
        """Return all that the files say."""
        rows = self.values["results"]
        results = list(self._results(rows))
        self.faults.refuse()
        version = version or self._version(rows)
        legacy = self.is_legacy
        origin = Origin(
            source=SOURCE,
            version=version,
            url=f"{SITE}/results/{self.about.id.removeprefix('task_')}",
            licence=licence or (_LICENCE_OF_LEGACY if legacy else None),
            published=published or self._published(),
            caveats=[*_CAVEATS, *([] if legacy or licence else [_OTHER_LICENCE])],
        )
        names = {
            "tasks": {self.about.id: self.task_id},
            "datasets": {one.id: slug_of(one.id) for one in self.datasets.values()},
            "models": {
                f"{info.id}{f' ({params})' if params else ''}": id_ for id_, (info, params) in self.models.items()
            },
            "metrics": {one.id: slug_of(one.id) for one in self.metrics.values()},
        }
        title = f"{SOURCE}: {self.about.name}{f', version {version}' if version else ''}"
        draft = Draft(
            "openproblems", origin, title, release_name(f"openproblems-{self.task_id}", version), self.files, results,
            names=names, left_out=self.left_out, records=len(rows),
        )  # fmt: skip
        draft.cards = dict(self._cards(results))
        return draft

    # -- what the source describes -------------------------------------------------------------------------------

    def _described(self, kind: str, values: Any, file: str) -> dict[str, Info]:
        reader, layout = self.reader[file], self.layout
        found: dict[str, Info] = {}
        slugs: dict[str, str] = {}
        for place, one in enumerate(reader.items(values, "", least=1)):
            key = "" if kind == "task" else f"[{place}]"
            record = reader.record(one, key)
            id_ = reader.text(record, layout.id.format(kind), key) if record is not None else None
            if record is None or id_ is None:
                continue
            slug = slug_of(id_)
            if not slug:
                reader.fault(key, id_, "an id with letters or digits")
            elif slug in slugs:
                reader.fault(key, id_, f"another id than {slugs[slug]}: both would be called {slug} here")
            else:
                slugs[slug] = id_
                name = one_line(record.get(layout.label.format(kind))) or id_
                summary = one_line(record.get(layout.summary.format(kind))) or f"{name}: the source gives no summary."
                body = as_body(record.get(layout.description.format(kind)))
                found[id_] = Info(id_, name, summary, body, record)
            if kind == "metric" and not isinstance(record.get("maximize"), bool):
                reader.fault(f"{key}.maximize", record.get("maximize"), "true or false: which way is better")
        return found

    def _version(self, rows: list[Any]) -> str | None:
        said = self.about.values.get("version")
        if isinstance(said, str) and (match := re.fullmatch(r"v?(\d+(?:\.\d+)*)", said)):
            return match[1]
        days = [day for row in rows if (day := _day_of(row.get("resources"))) is not None]
        return max(days).isoformat() if days else None

    def _published(self) -> dt.date | None:
        said = self.about.values.get("timestamp")
        try:
            return dt.datetime.fromisoformat(said).date() if isinstance(said, str) else None
        except ValueError:
            return None

    # -- rows ----------------------------------------------------------------------------------------------------

    def _results(self, rows: list[Any]) -> Iterator[Drafted]:
        reader = self.reader["results"]
        seen: dict[tuple[str, str], str] = {}
        for place, one in enumerate(rows):
            key = f"[{place}]"
            record = reader.record(one, key)
            if record is None:
                continue
            if record.get(self.layout.dataset, "") is None:
                why = f"{self.layout.dataset} is null"
                dropped = str(record.get(self.layout.method))[:80]
                self.left_out.append(LeftOut(where=f"results.json: {key}", what=dropped, why=why))
                continue
            dataset = reader.text(record, self.layout.dataset, key)
            method = reader.text(record, self.layout.method, key)
            params: str | None = None if self.is_legacy else reader.text(record, "paramset_name", key, may_lack=True)
            is_known = reader.known(dataset, f"{key}.{self.layout.dataset}", self.datasets, "dataset")
            is_known &= reader.known(method, f"{key}.{self.layout.method}", self.methods, "method")
            read = self._of_legacy(key, record) if self.is_legacy else self._of_v4(key, record)
            if not is_known or dataset is None or method is None or read is None:
                continue
            model = slug_of(f"{method}-{params}" if params else method)
            if (dataset, model) in seen:
                what = f"{name_of(method, params)} on {dataset}"
                reader.fault(key, what, f"one row of it; another is {seen[dataset, model]}")
                continue
            seen[dataset, model] = key
            if self.models.setdefault(model, (self.methods[method], params)) != (self.methods[method], params):
                reader.fault(key, method, f"another name: two methods would be called {model} here")
            values, undefined, exit_codes, resources = read
            status, reason = _ending(values, exit_codes)
            yield Drafted(
                self.task_id, slug_of(dataset), model, f"results.json: {key}",
                {"task": self.about.id, "dataset": dataset, "method": method, "paramset": params,
                 "metrics": [one for one in self.metrics if (slug_of(one), None) in values]},
                tool=_tool(self.methods[method]), values=values,
                undefined=undefined if status == "done" else {}, status=status, reason=reason, resources=resources,
            )  # fmt: skip

    def _of_legacy(self, key: str, record: dict[str, Any]) -> _Read | None:
        reader = self.reader["results"]
        given = reader.record(record.get("metric_values", {}), f"{key}.metric_values")
        if given is None:
            return None
        for name in given:
            reader.known(name, f"{key}.metric_values", self.metrics, "metric")
        values, undefined = self._values(given, f"{key}.metric_values")
        resources = record.get("resources")
        resources = resources if isinstance(resources, dict) else {}
        return values, undefined, [resources.get("exit_code")], _cost(
            resources.get("duration_sec"), resources.get("peak_memory_mb")
        )  # fmt: skip

    def _of_v4(self, key: str, record: dict[str, Any]) -> _Read | None:
        reader = self.reader["results"]
        names = reader.items(record.get("metric_names"), f"{key}.metric_names")
        given = reader.items(record.get("metric_values"), f"{key}.metric_values")
        if len(names) != len(given):
            reader.fault(f"{key}.metric_values", len(given), f"{len(names)} values, one for each of metric_names")
            return None
        if not all(isinstance(one, str) for one in names) or len(set(names)) != len(names):
            reader.fault(f"{key}.metric_names", names, "a list of different texts")
            return None
        if record.get("succeeded") is True and not names:
            reader.fault(f"{key}.metric_names", names, "metrics of a run that succeeded")
        for name in names:
            reader.known(name, f"{key}.metric_names", self.metrics, "metric")
        values, undefined = self._values(dict(zip(names, given, strict=True)), f"{key}.metric_values")
        codes = record.get("run_exit_code")
        return values, undefined, codes if isinstance(codes, list) else [codes], _cost(
            _only(record.get("run_duration_secs")), _only(record.get("run_peak_memory_mb"))
        )  # fmt: skip

    def _values(self, given: dict[str, Any], key: str) -> tuple[dict[Key, float], dict[Key, str]]:
        """Return the values of metrics, and why others have none: "NA", null, or not there at all."""
        values: dict[Key, float] = {}
        undefined: dict[Key, str] = {}
        for name in self.metrics:
            score: Key = (slug_of(name), None)
            value = given.get(name)
            if value is None or value == "NA":
                said = "does not name it" if name not in given else 'says "NA"' if value else "says null"
                undefined[score] = f"The source {said}"
            elif (number := self.reader["results"].number(value, f"{key}.{name}", -_MOST, _MOST)) is not None:
                values[score] = number
        return values, undefined

    # -- cards ---------------------------------------------------------------------------------------------------

    def _cards(self, results: list[Drafted]) -> Iterator[tuple[str, bytes]]:
        controls = [id_ for id_, (info, _) in sorted(self.models.items()) if self._is_control(info)]
        yield (
            f"tasks/{self.task_id}.md",
            as_card_file(*task_card(self.about, [slug_of(one) for one in self.metrics], controls)),
        )
        for one in self.metrics.values():
            yield f"metrics/{slug_of(one.id)}.md", as_card_file(*metric_card(one, self.is_legacy))
        names: set[str] = set()
        for id_, (info, chosen) in sorted(self.models.items()):
            yield f"models/{id_}.md", as_card_file(*model_card(info, chosen, self._is_control(info), names))
        used = {one.dataset for one in results}
        taken: set[str] = set()
        for one in self.datasets.values():
            if slug_of(one.id) in used:
                yield f"datasets/{slug_of(one.id)}.md", as_card_file(*dataset_card(one, taken))

    def _is_control(self, info: Info) -> bool:
        return info.values.get("is_baseline") is True or info.values.get("type") == "control_method"


_Read = tuple[dict[Key, float], dict[Key, str], list[Any], Resources | None]


def _ending(values: dict[Key, float], exit_codes: list[Any]) -> tuple[Status, str | None]:
    if values:
        return "done", None
    codes = [code for code in exit_codes if isinstance(code, int) and not isinstance(code, bool) and code != 0]
    if codes:
        return "failed", f"The source's run ended with exit code {', '.join(map(str, codes))}, and gave no scores"
    return "metric_undefined", "The source gives no value of any metric, and no exit code that would say why"


def _cost(seconds: Any, memory: Any) -> Resources | None:
    seconds, memory = (_positive(one) for one in (seconds, memory))
    if seconds is None and memory is None:
        return None
    made = 1 if seconds is not None else None
    return Resources(
        embedding_wall_s=seconds, n_embeddings=made, peak_memory_mb=memory, memory_method="as the source reports it"
    )


def _positive(value: Any) -> float | None:
    good = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e15
    return float(value) if good else None


def _only(values: Any) -> Any:
    return values[0] if isinstance(values, list) and len(values) == 1 else None


def _tool(method: Info) -> str | None:
    commit = method.values.get("commit_sha") or method.values.get("commit")
    return f"the source's code at commit {commit[:40]}" if isinstance(commit, str) and commit else None


def _day_of(resources: Any) -> dt.date | None:
    said = resources.get("submit") if isinstance(resources, dict) else None
    try:
        return dt.datetime.fromisoformat(said).date() if isinstance(said, str) else None
    except ValueError:
        return None
