"""A result file is complete, finite and says what its id says, or it is refused."""

import copy
import datetime as dt
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from cellgauge.results.schema import EXPLANATION, Result, Status
from cellgauge.results.store import BrokenResult, read_result, seal, to_json, write_result

SAYS_NOTHING_ABOUT_THE_SCORE = {
    "resources", "log", "started_at", "finished_at", "environment.platform", "environment.cpu", "environment.gpu"
}  # fmt: skip


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    if isinstance(value, dict | list) and value:
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(inner, (*path, key))
    else:
        yield path, value


def altered(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, str):
        return value[:-1] + ("b" if value[-1] != "b" else "c")
    return "something" if value is None else {"something": 1}


def with_leaf(values: dict[str, Any], path: tuple[Any, ...], leaf: Any) -> dict[str, Any]:
    changed = copy.deepcopy(values)
    here = changed
    for key in path[:-1]:
        here = here[key]
    here[path[-1]] = leaf
    return changed


def test_every_status_is_explained():
    assert set(EXPLANATION) == {word for part in get_args(Status) for word in get_args(part) or (part,)}


def test_times_resources_log_and_host_are_not_in_the_id(values: dict[str, Any]):
    elsewhere = {
        **values,
        "started_at": values["started_at"] + dt.timedelta(days=9),
        "finished_at": values["finished_at"] + dt.timedelta(days=9),
        "resources": {"embedding_wall_s": 99, "gpu_memory_mb": 7},
        "environment": {**values["environment"], "cpu": "other", "platform": "other", "gpu": "one"},
        "log": "slow today",
    }
    assert seal(elsewhere).result_id == seal(values).result_id


def test_package_versions_are_in_the_id(values: dict[str, Any]):
    upgraded = {**values, "environment": {**values["environment"], "packages": {"numpy": "3"}}}
    assert seal(upgraded).result_id != seal(values).result_id


def test_spelling_does_not_change_the_id(values: dict[str, Any]):
    """1 and 1.0, a default that is left out or written: one result."""
    spelled = {**values, "schema_version": 4, "scores": [dict(score) for score in values["scores"]]}
    spelled["scores"][0]["view"] = None
    spelled["scores"][1]["value"] = 1.0
    assert seal(spelled).result_id == seal(values).result_id


def test_every_change_of_what_a_result_says_is_noticed(tmp_path: Path, values: dict[str, Any], replicates: bytes):
    path = write_result(tmp_path, seal(values), replicates)
    good = json.loads(path.read_text(encoding="utf-8"))
    unnoticed = set()
    for keys, leaf in leaves(good):
        path.write_text(json.dumps(with_leaf(good, keys, altered(leaf))), encoding="utf-8")
        try:
            read_result(path)
        except BrokenResult as error:
            assert str(path) in str(error)
        else:
            unnoticed.add(".".join(map(str, keys)))
    allowed = {key for key in unnoticed if {key, key.split(".")[0]} & SAYS_NOTHING_ABOUT_THE_SCORE}
    assert unnoticed == allowed
    assert {"environment.cpu", "log", "resources.cpu_s"} <= unnoticed  # the check does run on keys that are free


def test_every_key_is_needed_or_has_a_default_that_changes_nothing(values: dict[str, Any]):
    good = json.loads(to_json(seal(values)))
    for key in good:
        rest = {name: value for name, value in good.items() if name != key}
        if key in ("schema_version", "log", "embedding_environments", "undefined", "reported"):
            assert Result.model_validate(rest) == seal(values)
        else:
            with pytest.raises(ValidationError):
                Result.model_validate(rest)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(
    "path",
    [
        ("scores", 0, "value"),
        ("scores", 0, "by_seed", 1),
        ("scores", 0, "interval", "low"),
        ("details", "dropped", "a"),
        ("details", "clusters", 0),
        ("gates", 0, "measured", "overlap"),
        ("params", "resolution"),
        ("resources", "cpu_s"),
    ],
)
def test_a_number_that_is_none_is_refused(
    tmp_path: Path, values: dict[str, Any], replicates: bytes, path, number: float
):
    with pytest.raises(ValidationError):
        seal(with_leaf(values, path, number))
    file = write_result(tmp_path, seal(values), replicates)
    good = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps(with_leaf(good, path, number)), encoding="utf-8")
    with pytest.raises(BrokenResult):
        read_result(file)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"scores": []}, "a result that is done has scores and replicates, and no reason"),
        ({"replicates": None}, "a result that is done has scores and replicates, and no reason"),
        ({"reason": "none"}, "a result that is done has scores and replicates, and no reason"),
        (
            {"status": "failed", "reason": "x"},
            "a result that is failed has a reason, and neither scores nor replicates",
        ),
        ({"seeds": [42]}, "2 values for 1 seeds"),
        ({"release": "Demo"}, "String should match pattern"),
        ({"release": "../demo"}, "String should match pattern"),
        ({"status": "crashed"}, "Input should be"),
        ({"finished_at": dt.datetime(2026, 1, 1)}, "expected a time in UTC"),
        ({"finished_at": "2026-01-01T00:00:00+02:00"}, "expected a time in UTC"),
        ({"surprise": 1}, "Extra inputs are not permitted"),
        ({"key": "sha256:short"}, "String should match pattern"),
    ],
)
def test_what_contradicts_itself_is_refused(values: dict[str, Any], change: dict[str, Any], expected: str):
    with pytest.raises(ValidationError, match=expected):
        seal({**values, **change})


def test_an_interval_has_its_ends_in_order(values: dict[str, Any]):
    with pytest.raises(ValidationError, match=r"low \(0.9\) is above high \(0.7\)"):
        seal(with_leaf(values, ("scores", 0, "interval", "low"), 0.9))


def test_rows_of_replicates_are_the_scores(values: dict[str, Any]):
    with pytest.raises(ValidationError, match="1 scores, but 2 rows of replicates"):
        seal({**values, "scores": values["scores"][:1]})


def test_the_replicates_of_another_model_are_not_taken(values: dict[str, Any]):
    with pytest.raises(ValidationError, match=r"the replicates are in pca.npy, expected nmf.npy"):
        seal({**values, "model": {**values["model"], "id": "nmf"}})


@pytest.mark.parametrize("status", [word for word in EXPLANATION if word != "done"])
def test_an_empty_has_a_reason_and_no_scores(empty_values: dict[str, Any], status: str):
    assert seal({**empty_values, "status": status}).scores == []
    for reason in (None, ""):
        with pytest.raises(ValidationError, match="has a reason"):
            seal({**empty_values, "status": status, "reason": reason})


def test_a_score_is_found_by_its_name(values: dict[str, Any]):
    result = seal(values)
    assert result.score("accuracy@knn") is result.scores[1]
    assert result.score("accuracy") is None
