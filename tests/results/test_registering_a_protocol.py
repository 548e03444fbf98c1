"""A protocol is written down before there are results, and what was changed later can be told."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pytest

from cellgauge.results.protocol import PROTOCOL, differences, read_protocols, register
from cellgauge.results.store import BrokenResult, seal, write_result

MORNING = dt.datetime(2026, 11, 2, 8, 0, tzinfo=dt.UTC)


def fields(seeds: tuple[int, ...] = (42,), rule: int = 1) -> dict[str, object]:
    primary, other = {"metric": "ari", "view": None}, {"metric": "nmi", "view": None}
    task = {"protocol": {"seeds": list(seeds)}, "primary": primary, "complementary": [other]}
    metrics = {name: {"direction": "higher"} for name in ("ari", "nmi", "kbet")}
    return {"tasks": {"clustering": task}, "metrics": metrics, "rule": {"version": rule}}


def test_what_holds_already_is_not_written_again(tmp_path: Path):
    first = register(tmp_path, fields(), MORNING)
    assert register(tmp_path, fields(), MORNING + dt.timedelta(hours=1)) == first
    assert read_protocols(tmp_path) == [first]


def test_a_change_is_appended_with_how_many_results_had_been_seen(tmp_path: Path, values, replicates):
    register(tmp_path, fields(), MORNING)
    write_result(tmp_path, seal(values), replicates)
    later = register(tmp_path, fields(seeds=(42, 43)), MORNING + dt.timedelta(days=1))
    before, after = read_protocols(tmp_path)
    assert (before.results, after.results) == ({}, {"clustering": 1})
    assert after == later
    assert differences(before.of_task("clustering"), after.of_task("clustering")) == ["protocol.seeds: [42] → [42, 43]"]


def test_the_protocol_of_a_task_holds_its_metrics_and_not_the_rule_that_all_tasks_share(tmp_path: Path):
    one = register(tmp_path, fields(), MORNING).of_task("clustering")
    assert set(one["metrics"]) == {"ari", "nmi"}
    assert "rule" not in one
    assert register(tmp_path, fields(rule=2), MORNING).of_task("unknown") == {}


def test_differences_name_what_came_and_went():
    assert differences({"a": {"b": 1}}, {"a": {"c": "x" * 90}}) == [
        "a.b: 1 → nothing",
        f'a.c: nothing → "{"x" * 57} …',
    ]


def test_a_history_that_was_rewritten_is_refused(tmp_path: Path):
    register(tmp_path, fields(), MORNING)
    path = tmp_path / PROTOCOL
    document = json.loads(path.read_bytes())
    document["registered"][0]["tasks"]["clustering"]["protocol"]["seeds"] = [7]
    path.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(BrokenResult, match=r"protocol\.json: registered\.0\.digest: found sha256:.*but the fields"):
        read_protocols(tmp_path)
    path.write_text("{}", encoding="utf-8")
    with pytest.raises(BrokenResult, match=r"protocol\.json: registered: Field required"):
        read_protocols(tmp_path)
