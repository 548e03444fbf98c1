"""The numbers on a dataset's page are those that counting cell by cell gives."""

from __future__ import annotations

import datetime as dt
import json
import statistics
from collections import Counter
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from cellgauge.cards import DatasetCard
from cellgauge.data.contents import from_anndata
from cellgauge.data.dataset import Dataset, check
from cellgauge.data.profile import count_dataset
from cellgauge.results.profile import (
    DatasetProfile,
    Quartiles,
    profile_is_current,
    profile_path,
    read_profile,
    write_profile,
)


def checked(card: DatasetCard, adata: ad.AnnData) -> Dataset:
    dataset, _ = check(card, from_anndata(adata, card.matrix))
    assert dataset is not None
    return dataset


def count(dataset: Dataset) -> DatasetProfile:
    return count_dataset(dataset, file_bytes=123, peak_memory_mb=45.5, memory_method="guessed")


def quartiles(values: list[float]) -> Quartiles:
    """Quartiles as the standard library has them: linear between the two nearest values."""
    if len(values) == 1:
        lower = median = upper = float(values[0])
    else:
        lower, median, upper = statistics.quantiles(values, n=4, method="inclusive")
    five = (min(values), lower, median, upper, max(values))
    return Quartiles(**dict(zip(Quartiles.model_fields, (round(float(one), 6) for one in five), strict=True)))


def random_cells(seed: int, n_cells: int, n_genes: int, stored: Any, roles: dict[str, int]) -> ad.AnnData:
    rng = np.random.default_rng(seed)
    values = rng.poisson(0.7, (n_cells, n_genes)).astype(np.float32)
    obs = {role: [f"{role} {i}" for i in rng.integers(0, n, n_cells)] for role, n in roles.items()}
    return ad.AnnData(
        stored(values),
        obs=pd.DataFrame(obs, index=[f"c{i}" for i in range(n_cells)]),
        var=pd.DataFrame(index=[f"g{i}" for i in range(n_genes)]),
    )


def roles_card(trial, roles: dict[str, int], **changes: Any) -> DatasetCard:
    if "perturbation" in roles:
        changes["perturbations"] = {"control": "none"}
    return trial.card(columns={role: role for role in roles}, **changes)


ROLES = ["label", "batch", "donor", "species", "perturbation", "time", "sample"]
STORED = pytest.mark.parametrize("stored", [sparse.csr_matrix, sparse.csc_matrix, np.asarray])


@STORED
def test_every_number_is_what_counting_one_by_one_gives(trial, stored: Any) -> None:
    @settings(max_examples=60, database=None)
    @given(
        seed=st.integers(0, 10**6),
        n_cells=st.integers(1, 40),
        n_genes=st.integers(1, 12),
        roles=st.dictionaries(st.sampled_from(ROLES), st.integers(1, 5), max_size=4),
    )
    def agrees(seed: int, n_cells: int, n_genes: int, roles: dict[str, int]) -> None:
        adata = random_cells(seed, n_cells, n_genes, stored, roles)
        profile = count(checked(roles_card(trial, roles), adata))
        rows = adata.to_df().to_numpy().astype(int).tolist()
        flat = [value for row in rows for value in row]
        assert (profile.n_cells, profile.n_features) == (n_cells, n_genes)
        assert profile.n_stored == sum(value != 0 for value in flat)
        assert profile.share_of_zeros == pytest.approx(flat.count(0) / len(flat))
        assert profile.n_features_seen == sum(any(column) for column in zip(*rows, strict=True))
        assert profile.whole_numbers
        assert profile.totals == quartiles([sum(row) for row in rows])
        assert profile.detected == quartiles([sum(value != 0 for value in row) for row in rows])
        assert profile.values == {role: len(set(adata.obs[role])) for role in roles}
        for one in profile.compositions:
            across = adata.obs[one.columns] if one.columns else ["cells"] * n_cells
            pairs = Counter(zip(adata.obs[one.rows], across, strict=True))
            assert one.row_names == sorted(set(adata.obs[one.rows]))
            assert one.column_names == sorted(set(across))
            assert one.cells == [[pairs[row, column] for column in one.column_names] for row in one.row_names]

    agrees()


@pytest.mark.parametrize(
    ("roles", "expected"),
    [
        ([], []),
        (["label"], [("label", None)]),
        (["donor"], [("donor", None)]),
        (["time", "batch"], [("batch", None), ("time", None)]),
        (["label", "donor"], [("label", "donor")]),
        (["label", "donor", "batch"], [("label", "donor"), ("label", "batch")]),
        (["perturbation"], [("perturbation", None)]),
        (["label", "perturbation"], [("label", None), ("perturbation", None)]),
        (
            ["perturbation", "label", "sample", "species"],
            [("label", "species"), ("label", "sample"), ("perturbation", "species"), ("perturbation", "sample")],
        ),
    ],
)
def test_what_cells_are_is_crossed_with_where_they_come_from(
    trial, roles: list[str], expected: list[tuple[str, str | None]]
) -> None:
    counts = dict.fromkeys(roles, 2)
    profile = count(checked(roles_card(trial, counts), random_cells(0, 30, 3, np.asarray, counts)))
    assert [(one.rows, one.columns) for one in profile.compositions] == expected
    assert all(sum(map(sum, one.cells)) == 30 for one in profile.compositions)


def test_numbers_that_are_no_counts_are_said_to_be_none(trial) -> None:
    adata = trial.cells()
    adata.X = np.log1p(adata.X.toarray())
    profile = count(checked(trial.card(matrix={"values": "log-normalised"}), adata))
    assert not profile.whole_numbers
    assert profile.totals.most == pytest.approx(adata.X.sum(axis=1).max(), rel=1e-5)


def test_totals_of_many_large_counts_are_exact(trial) -> None:
    """In float32 the sum would lose the ones: 2**24 + 1 is not a float32."""
    adata = trial.cells(3, 3)
    adata.X = np.float32([[2**24, 1, 1], [2**24, 0, 1], [0, 0, 0]])
    profile = count(checked(trial.card(), adata))
    assert (profile.totals.most, profile.totals.median, profile.totals.least) == (2**24 + 2, 2**24 + 1, 0)


def test_a_matrix_of_zeros(trial) -> None:
    adata = trial.cells(3, 2)
    adata.X = sparse.csr_matrix((3, 2), dtype=np.float32)
    profile = count(checked(trial.card(), adata))
    assert (profile.n_stored, profile.n_features_seen, profile.share_of_zeros) == (0, 0, 1)
    assert profile.totals == profile.detected == Quartiles(least=0, lower=0, median=0, upper=0, most=0)


def test_what_is_passed_on_is_in_the_profile(trial) -> None:
    dataset = checked(trial.card(), trial.cells())
    profile = count(dataset)
    assert (profile.file_bytes, profile.peak_memory_mb, profile.memory_method) == (123, 45.5, "guessed")
    assert (profile.dataset, profile.card, profile.content) == ("tiny", dataset.card.digest, dataset.digest)
    assert profile.counted_at.tzinfo is not None
    assert abs(dt.datetime.now(dt.UTC) - profile.counted_at) < dt.timedelta(minutes=5)


# Splits


def split_cells(trial) -> ad.AnnData:
    adata = trial.cells(12)
    adata.obs["donor"] = ["d1"] * 5 + ["d2"] * 4 + ["d3"] * 2 + ["d4"]
    adata.obs["part"] = ["train"] * 7 + ["test"] * 5
    return adata


@pytest.mark.parametrize(
    ("split", "cells", "values"),
    [
        (None, None, None),
        ({"by": "donor", "test": ["d2"]}, {"test": 4, "train": 8}, {"test": 1, "train": 3}),
        (
            {"by": "donor", "test": ["d2", "d4"], "validation": ["d3"]},
            {"test": 5, "train": 5, "validation": 2},
            {"test": 2, "train": 1, "validation": 1},
        ),
        ({"column": "part"}, {"test": 5, "train": 7}, None),
    ],
)
def test_cells_and_values_of_each_part_of_the_split_are_counted(
    trial, split: dict[str, Any] | None, cells: dict[str, int] | None, values: dict[str, int] | None
) -> None:
    columns = {"label": "type", "donor": "donor"}
    card = trial.card(columns=columns, split=split and {**split, "reason": "Made up."})
    profile = count(checked(card, split_cells(trial)))
    assert (profile.split, profile.split_values) == (cells, values)


# The file


@pytest.fixture
def profile(trial) -> DatasetProfile:
    columns = {"label": "type", "donor": "donor"}
    card = trial.card(columns=columns, split={"by": "donor", "test": ["d2"], "reason": "Made up."})
    return count(checked(card, split_cells(trial)))


def test_a_profile_comes_back_as_it_was_written(tmp_path: Path, profile: DatasetProfile) -> None:
    write_profile(tmp_path, profile)
    assert profile_path(tmp_path, "tiny") == tmp_path / "datasets" / "tiny.json"
    assert read_profile(tmp_path, "tiny") == profile
    before = profile_path(tmp_path, "tiny").read_bytes()
    write_profile(tmp_path, profile)
    assert profile_path(tmp_path, "tiny").read_bytes() == before
    assert list(json.loads(before)) == sorted(json.loads(before))


@pytest.mark.parametrize("empty", ["file_bytes", "peak_memory_mb", "memory_method", "split", "split_values"])
def test_what_is_not_known_comes_back_as_not_known(tmp_path: Path, profile: DatasetProfile, empty: str) -> None:
    write_profile(tmp_path, profile.model_copy(update={empty: None}))
    found = read_profile(tmp_path, "tiny")
    assert found is not None
    assert getattr(found, empty) is None


def test_there_is_no_profile(tmp_path: Path) -> None:
    assert read_profile(tmp_path, "tiny") is None
    assert read_profile(tmp_path / "no such folder", "tiny") is None


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"null", b"[]", b"{}", b'{"dataset": "tiny"}', b"\xff\xfe", b'{"n_cells": NaN}'],
)
def test_a_profile_that_cannot_be_read_is_none(tmp_path: Path, content: bytes) -> None:
    path = profile_path(tmp_path, "tiny")
    path.parent.mkdir()
    path.write_bytes(content)
    assert read_profile(tmp_path, "tiny") is None


def test_a_folder_in_place_of_a_profile_is_none(tmp_path: Path) -> None:
    profile_path(tmp_path, "tiny").mkdir(parents=True)
    assert read_profile(tmp_path, "tiny") is None


@pytest.mark.parametrize(
    ("key", "value"),
    [("n_cells", "12"), ("n_cells", 1.5), ("content", "none"), ("typo", 1), ("counted_at", "2026-01-01T00:00:00")],
)
def test_a_profile_with_a_wrong_value_is_none(tmp_path: Path, profile: DatasetProfile, key: str, value: object) -> None:
    write_profile(tmp_path, profile)
    path = profile_path(tmp_path, "tiny")
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    assert read_profile(tmp_path, "tiny") is None


def test_a_profile_is_current_until_what_decides_a_score_changes(
    trial, tmp_path: Path, profile: DatasetProfile
) -> None:
    columns = {"label": "type", "donor": "donor"}
    facts: dict[str, Any] = {"columns": columns, "split": {"by": "donor", "test": ["d2"], "reason": "Made up."}}
    assert not profile_is_current(tmp_path, trial.card(**facts))
    write_profile(tmp_path, profile)
    assert profile_is_current(tmp_path, trial.card(**facts))
    assert profile_is_current(tmp_path, trial.card(**facts, summary="Other words.", licence="CC BY 4.0"))
    assert not profile_is_current(tmp_path, trial.card(**facts, version=2))
    assert not profile_is_current(tmp_path, trial.card(**facts, digest_of_content="sha256:" + "1" * 64))
    assert not profile_is_current(tmp_path, trial.card(columns=columns))
    assert not profile_is_current(tmp_path, trial.card(**facts, id="other"))


def test_a_profile_of_an_older_cellgauge_is_counted_again(trial, tmp_path: Path) -> None:
    card = trial.card()
    profile = count(checked(card, trial.cells()))
    write_profile(tmp_path, profile.model_copy(update={"profile_version": profile.profile_version - 1}))
    assert not profile_is_current(tmp_path, card)
    write_profile(tmp_path, profile)
    assert profile_is_current(tmp_path, card)
