"""Frozen releases in this repository are as they were when they were frozen."""

from __future__ import annotations

from pathlib import Path

import pytest

from cellgauge.cards import Project
from cellgauge.results.manifest import read_index
from cellgauge.results.verify import verify_releases

REPOSITORY = Path(__file__).parents[2]
PROJECT = Project(REPOSITORY, REPOSITORY)


@pytest.mark.parametrize("release", sorted(read_index(PROJECT).releases))
def test_no_file_of_a_frozen_release_was_changed(release: str) -> None:
    (found,) = verify_releases(PROJECT, [release])
    assert found.is_frozen
    assert found.problems == (), "\n".join(found.problems)
