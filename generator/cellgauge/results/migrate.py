"""Reading results and plans of earlier formats: each step from one version to the next is written down, and stays.

A result that was read so keeps the ``result_id`` under which it may have been cited: it is checked by the rule of the
version that it was written in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from cellgauge.results.release import Pair, Plan
from cellgauge.results.schema import SCHEMA_VERSION, Record

Values = dict[str, Any]


def _to_second(values: Values) -> Values:
    """Version 2 says how replicates were made, and what a container ran from; up to then all were resamples."""
    replicates = values["replicates"]
    return {**values, "replicates": replicates and {**replicates, "method": "bootstrap"}}


def _to_third(values: Values) -> Values:
    """Version 3 names the protocol that was registered when the result was computed."""
    return {**values, "protocol": None}


def _to_fourth(values: Values) -> Values:
    """Version 4 can hold what others measured and reported; up to then everything was measured here."""
    return {**values, "reported": None}


STEPS: dict[int, Callable[[Values], Values]] = {1: _to_second, 2: _to_third, 3: _to_fourth}
"""From each earlier version to the next."""


def migrated(values: Values) -> Values:
    """Return a result's values in the current format.

    Parameters
    ----------
    values
        Of a result of any version.
    """
    for version in range(values["schema_version"], SCHEMA_VERSION):
        values = {**STEPS[version](values), "schema_version": version + 1}
    return values


class _FirstPlan(Record):
    """A plan as it was up to version 1: every pair by itself, and with a key also where nothing is to be run."""

    schema_version: Literal[1]
    release: str
    pairs: list[Pair]


_PLANS: TypeAdapter[Plan | _FirstPlan] = TypeAdapter(
    Annotated[Plan | _FirstPlan, Field(discriminator="schema_version")]
)


def plan_of(data: bytes) -> Plan:
    """Return the plan in a file of any version.

    Raises
    ------
    pydantic.ValidationError
        When it is not valid.
    """
    found = _PLANS.validate_json(data)
    return Plan.of(found.release, found.pairs) if isinstance(found, _FirstPlan) else found
