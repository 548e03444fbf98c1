"""A dataset is what its card says, or is refused with every reason at once."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from cellgauge.cards import DatasetCard
from cellgauge.data.dataset import InvalidDatasetError, load_dataset
from cellgauge.data.fingerprint import content_digest


def cells(n: int = 12) -> ad.AnnData:
    rng = np.random.default_rng(1)
    obs = pd.DataFrame(
        {"type": pd.Categorical(["a", "b", "c"] * (n // 3), categories=["a", "b", "c", "never used"])},
        index=[f"cell{i}" for i in range(n)],
    )
    counts = sparse.csr_matrix(rng.poisson(1.0, (n, 5)).astype(np.float32))
    return ad.AnnData(counts, obs=obs, var=pd.DataFrame(index=[f"gene{i}" for i in range(5)]))


def card(**changes: object) -> DatasetCard:
    values = {
        "id": "tiny",
        "path": "tiny.md",
        "name": "Tiny",
        "summary": "Made for a test.",
        "version": 1,
        "evidence": "simulated",
        "study": "tiny",
        "organisms": [{"name": "Homo sapiens", "taxon": 9606}],
        "modality": "scRNA-seq",
        "source": {"kind": "file", "path": "tiny.h5ad"},
        "digest_of_content": "sha256:" + "0" * 64,
        "matrix": {"location": "X", "values": "counts", "features": "gene symbols"},
        "columns": {"label": "type"},
    }
    return DatasetCard.model_validate({**values, **changes})


def problems(folder: Path, adata: ad.AnnData, **changes: object) -> list[str]:
    adata.write_h5ad(folder / "tiny.h5ad")
    with pytest.raises(InvalidDatasetError) as caught:
        load_dataset(card(**changes), folder)
    return caught.value.problems


def load(folder: Path, adata: ad.AnnData, **changes: object):
    """Load with the digest that the refusal names, as a contributor would."""
    found = re.findall(r"sha256:\w+", problems(folder, adata, **changes)[0])[1]
    return load_dataset(card(**changes, digest_of_content=found), folder)


def test_a_wrong_digest_names_both(tmp_path: Path) -> None:
    (only,) = problems(tmp_path, cells())
    assert only.startswith(f"expected content sha256:{'0' * 64}, found sha256:")


def test_a_missing_label_column_names_what_there_is(tmp_path: Path) -> None:
    assert problems(tmp_path, cells(), columns={"label": "cell_type"}) == [
        'label column "cell_type" is not in obs (found: type)'
    ]


@pytest.mark.filterwarnings("ignore:Observation names are not unique")
def test_every_problem_is_listed_at_once(tmp_path: Path) -> None:
    bad = cells()
    bad.obs_names = ["same"] * 2 + list(bad.obs_names[2:])
    found = problems(tmp_path, bad, columns={"label": "x"}, matrix={**card().matrix.model_dump(), "location": "raw"})
    assert len(found) == 3
    assert "1 cell ids occur more than once (for example same)" in found[2]


def test_one_class_is_refused(tmp_path: Path) -> None:
    bad = cells()
    bad.obs["type"] = "a"
    assert problems(tmp_path, bad) == ['the label column "type" holds one class (a); at least two are needed']


def test_cells_without_a_label_are_counted(tmp_path: Path) -> None:
    bad = cells()
    bad.obs["type"] = [None, None, *list("abcabcabca")]
    assert problems(tmp_path, bad) == ['2 of 12 cells have no value in the label column "type"']


@pytest.mark.parametrize(
    ("value", "said"), [(np.nan, "1 values of the matrix are NaN"), (-1, "holds -1"), (0.5, "whole")]
)
def test_values_that_are_no_counts_are_refused(tmp_path: Path, value: float, said: str) -> None:
    bad = cells()
    dense = bad.X.toarray()
    dense[3, 2] = value
    bad.X = dense
    assert said in problems(tmp_path, bad)[0]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidDatasetError, match=r"expected a file at .*tiny\.h5ad, found none"):
        load_dataset(card(), tmp_path)


def test_unused_categories_do_not_survive(tmp_path: Path) -> None:
    """A categorical with unused categories corrupts scib-metrics' silhouette; strings cannot have any."""
    labels = load(tmp_path, cells()).columns["label"]
    assert labels.dtype.kind == "U"
    assert sorted(set(labels)) == ["a", "b", "c"]


def test_a_model_never_sees_labels_it_is_not_given(tmp_path: Path) -> None:
    dataset = load(tmp_path, cells())
    assert list(dataset.for_model([]).obs) == []
    assert list(dataset.for_model(["label"]).obs) == ["label"]


def test_a_model_cannot_change_the_dataset(tmp_path: Path) -> None:
    dataset = load(tmp_path, cells())
    before = dataset.matrix.copy()
    dataset.for_model([]).X.data[:] = 99
    assert (dataset.matrix != before).nnz == 0


def test_the_refusal_survives_being_sent_between_processes() -> None:
    error = pickle.loads(pickle.dumps(InvalidDatasetError("tiny", ["one", "two"])))
    assert str(error) == "dataset tiny: one; two"


def test_the_digest_is_of_the_content_not_of_its_storage() -> None:
    dense = np.array([[0, 1, 2], [3, 0, 0]], dtype=np.float32)
    rows = sparse.csr_matrix(dense)
    explicit_zero = sparse.csr_matrix(
        (np.float32([1, 2, 0, 3]), np.array([1, 2, 2, 0]), np.array([0, 2, 4])), shape=(2, 3)
    )
    columns = sparse.csc_matrix(dense)
    names = (["c1", "c2"], ["g1", "g2", "g3"], {"label": ["a", "b"]})
    digests = {content_digest(one, *names) for one in (dense, rows, explicit_zero, columns, dense.astype(np.float64))}
    assert len(digests) == 1


@pytest.mark.parametrize(
    ("matrix", "names", "features", "roles"),
    [
        ([[0, 1], [3, 1]], ["c1", "c2"], ["g1", "g2"], {"label": ["a", "b"]}),
        ([[0, 1], [3, 0]], ["c1", "cX"], ["g1", "g2"], {"label": ["a", "b"]}),
        ([[0, 1], [3, 0]], ["c1", "c2"], ["g1", "gX"], {"label": ["a", "b"]}),
        ([[0, 1], [3, 0]], ["c1", "c2"], ["g1", "g2"], {"label": ["a", "a"]}),
        ([[0, 1], [3, 0]], ["c1", "c2"], ["g1", "g2"], {"batch": ["a", "b"]}),
        ([[0, 1], [3, 0]], ["c1c", "2"], ["g1", "g2"], {"label": ["a", "b"]}),
    ],
)
def test_any_change_of_content_changes_the_digest(
    matrix: list[list[float]], names: list[str], features: list[str], roles: dict[str, list[str]]
) -> None:
    original = content_digest(np.float32([[0, 1], [3, 0]]), ["c1", "c2"], ["g1", "g2"], {"label": ["a", "b"]})
    assert content_digest(np.float32(matrix), names, features, roles) != original
