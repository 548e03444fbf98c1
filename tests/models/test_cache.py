"""Embeddings are found by what they were made from, and never trusted when damaged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cellgauge.cards import DatasetCard, ModelCard
from cellgauge.models.cache import Cost, EmbeddingCache, embedding_key
from cellgauge.results.schema import Environment

COST = Cost(wall_s=1.5, cpu_s=2.0, peak_memory_mb=10.0, memory_method="guessed for a test")
HERE = Environment(python="3.12.1", cellgauge="0.1.0", packages={"numpy": "2.0"}, platform="Linux", cpu="a CPU")
KEY = "sha256:" + "ab" * 32
MakeCard = Callable[..., DatasetCard]
VALUES = np.arange(6, dtype=np.float32).reshape(3, 2)


def model(**changes: object) -> ModelCard:
    values = {
        "id": "m",
        "name": "M",
        "summary": "Made for a test.",
        "version": 1,
        "role": "model",
        "obtain": {"kind": "function", "function": "a.b:c"},
        "output": "embedding",
        "fit": "none",
        "pretrained": False,
        "seeded": True,
        "input": {"values": ["counts"]},
    }
    return ModelCard.model_validate({**values, **changes})


def test_what_is_written_is_read(tmp_path: Path) -> None:
    cache = EmbeddingCache(tmp_path)
    assert cache.read(KEY) is None
    cache.write(KEY, VALUES, COST, HERE)
    found = cache.read(KEY)
    assert found is not None
    np.testing.assert_array_equal(found[0], VALUES)
    assert found[1].cost == COST
    assert found[1].environment == HERE


@pytest.mark.parametrize("suffix", [".npy", ".json"])
@pytest.mark.parametrize("damage", ["cut", "change", "remove"])
def test_a_damaged_entry_is_no_entry(tmp_path: Path, suffix: str, damage: str) -> None:
    cache = EmbeddingCache(tmp_path)
    cache.write(KEY, VALUES, COST, HERE)
    (path,) = tmp_path.rglob(f"*{suffix}")
    data = path.read_bytes()
    if damage == "remove":
        path.unlink()
    else:
        path.write_bytes(data[:-3] if damage == "cut" else data[:-3] + b"\x01\x02\x03")
    assert cache.read(KEY) is None


def test_the_seed_counts_only_where_the_model_takes_one(dataset_card: MakeCard) -> None:
    assert embedding_key(model(), dataset_card(), 1, "") != embedding_key(model(), dataset_card(), 2, "")
    unseeded = model(seeded=False)
    assert embedding_key(unseeded, dataset_card(), 1, "") == embedding_key(unseeded, dataset_card(), 2, "")


def test_data_version_parameters_and_code_count_and_prose_does_not(dataset_card: MakeCard) -> None:
    original = embedding_key(model(), dataset_card(), 1, "")
    assert embedding_key(model(summary="Reworded.", limits=["One more."]), dataset_card(), 1, "") == original
    other = {"kind": "function", "function": "a.b:c", "params": {"n": 2}}
    for changed in (
        embedding_key(model(version=2), dataset_card(), 1, ""),
        embedding_key(model(obtain=other), dataset_card(), 1, ""),
        embedding_key(model(), dataset_card(digest_of_content="sha256:" + "1" * 64), 1, ""),
        embedding_key(model(), dataset_card(), 1, "sha256:1"),
    ):
        assert changed != original


def test_a_corrected_card_makes_a_new_embedding(dataset_card: MakeCard) -> None:
    """The same cells said to be counts, not logarithms, go another way through a model."""
    logged = {**dataset_card().matrix.model_dump(), "values": "log-normalised"}
    assert embedding_key(model(), dataset_card(matrix=logged), 1, "") != embedding_key(model(), dataset_card(), 1, "")
