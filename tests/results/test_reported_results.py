"""A reported result has what its source gives, and nothing that only a measurement here could have."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from pydantic import ValidationError

from cellgauge.cards import Cards
from cellgauge.cards.canonical import digest
from cellgauge.results.release import Release
from cellgauge.results.schema import Result
from cellgauge.results.store import seal
from cellgauge.results.table import table_rows

DIGEST = digest("x")
ORIGIN = {
    "source": "A source", "version": "1", "url": None, "licence": None, "published": None, "caveats": ["Single."],
}  # fmt: skip


@pytest.fixture
def values() -> dict[str, Any]:
    card = {"id": "a", "version": 1, "digest": DIGEST}
    score = {
        "metric": "ari", "version": 1, "direction": "higher", "value": 0.5, "by_seed": [0.5], "interval": None,
        "why_no_interval": "The source gives none", "n_units": None, "unit": "cell",
    }  # fmt: skip
    return {
        "key": DIGEST, "release": "r", "protocol": None, "status": "done", "reason": None, "task": card,
        "dataset": {**card, "content": None}, "model": card, "leakage": {"class": None, "evidence": "Unknown."},
        "seeds": [], "scores": [score], "replicates": None, "details": {}, "params": {}, "environment": None,
        "resources": None, "started_at": None, "finished_at": None,
        "reported": {**ORIGIN, "tool": None, "place": "file.json: [0]", "keys": {"model": "A"}},
    }  # fmt: skip


def with_score(values: dict[str, Any], **changed: Any) -> dict[str, Any]:
    return {**values, "scores": [{**values["scores"][0], **changed}]}


def test_it_needs_neither_seeds_nor_replicates_nor_a_time(values: dict[str, Any]):
    result = seal(values)
    assert (result.status, result.scores[0].value) == ("done", 0.5)
    (row,) = table_rows([result], Cards())
    assert (row["kind"], row["source"], row["value"], row["low"], row["n_units"]) == (
        "reported", "A source", 0.5, None, None,
    )  # fmt: skip


def test_who_measured_it_is_part_of_its_id(values: dict[str, Any]):
    other = {**values, "reported": {**values["reported"], "source": "Another source"}}
    assert seal(values).result_id != seal(other).result_id


@pytest.mark.parametrize("changed", [{"seeds": [42]}, {"protocol": DIGEST}])
def test_what_only_a_measurement_has_is_refused(values: dict[str, Any], changed: dict[str, Any]):
    with pytest.raises(ValidationError, match="a reported result has no protocol"):
        seal({**values, **changed})


def test_a_score_with_an_interval_or_without_a_reason_is_refused(values: dict[str, Any]):
    interval = {"low": 0.4, "high": 0.6, "level": 0.95, "method": "m"}
    for changed in ({"interval": interval}, {"why_no_interval": None}, {"by_seed": [0.4, 0.6]}):
        with pytest.raises(ValidationError, match="a reported score is one value without an interval, and says why"):
            seal(with_score(values, **changed))


def test_a_measured_result_still_needs_all_of_it(values: dict[str, Any]):
    with pytest.raises(ValidationError, match="says when it was finished"):
        seal({**values, "reported": None})
    finished = {**values, "reported": None, "finished_at": "2026-01-01T00:00:00Z"}
    with pytest.raises(ValidationError, match="says how many units were scored"):
        seal(finished)
    with pytest.raises(ValidationError, match="has scores and replicates"):
        seal(with_score(finished, n_units=3))


def test_an_empty_of_a_source_has_a_reason_and_no_score(values: dict[str, Any]):
    empty = {**values, "status": "failed", "reason": "exit code 1", "scores": []}
    assert seal(empty).reported is not None
    with pytest.raises(ValidationError, match="has a reason, and neither scores"):
        Result.model_validate({**empty, "reason": None, "result_id": DIGEST}, context="sealing")


def test_a_release_is_of_one_kind(values: dict[str, Any]):
    about = {"release": "r", "title": "R", "rehearsal": False, "protocol": None, "protocol_date": None}
    imported = {**ORIGIN, "retrieved": dt.date(2026, 1, 2)}
    assert Release(**about, kind="reported", reported=imported).day == dt.date(2026, 1, 2)
    for wrong in (
        {"kind": "measured", "reported": imported},
        {"kind": "reported", "reported": None},
        {"kind": "measured", "reported": None},
        {"kind": "reported", "reported": imported, "protocol": DIGEST},
    ):
        with pytest.raises(ValidationError):
            Release(**{**about, **wrong})
