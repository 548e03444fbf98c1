"""A dataset is opened so that only what its card names is read, and a model sees only what it is given."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from cellgauge.data.content import content_digest, row_blocks
from cellgauge.data.contents import from_anndata, open_h5ad
from cellgauge.data.dataset import check, load_dataset
from cellgauge.data.fetch import FetchError
from cellgauge.data.obtain import InvalidDatasetError
from cellgauge.data.store import FileStore

# What comes out


def test_cells_features_and_columns_are_those_of_the_file(trial) -> None:
    adata = trial.cells()
    dataset = trial.load(adata)
    assert dataset.n_cells == 12
    assert dataset.cell_ids.tolist() == adata.obs_names.tolist()
    assert dataset.feature_ids.tolist() == adata.var_names.tolist()
    assert dataset.columns["label"].tolist() == adata.obs["type"].tolist()
    assert dataset.split is None
    assert dataset.digest == dataset.card.digest_of_content


def test_a_wrong_digest_names_both(trial) -> None:
    right = trial.load(trial.cells()).digest
    assert trial.refusal() == [
        f"expected content sha256:{'0' * 64}, found {right} "
        "(if these are the cells you mean, write what was found into digest_of_content)"
    ]


def test_an_unpinned_card_is_told_the_digest_to_write_down(trial) -> None:
    right = trial.load(trial.cells()).digest
    (only,) = trial.refusal(digest_of_content=None)
    assert only == (
        f"the card names no digest_of_content, found {right} "
        "(if these are the cells you mean, write what was found into digest_of_content)"
    )


def test_unused_categories_do_not_survive(trial) -> None:
    """A categorical with unused categories corrupts scib-metrics' silhouette; strings cannot have any."""
    labels = trial.load(trial.cells()).columns["label"]
    assert labels.dtype.kind == "U"
    assert sorted(set(labels)) == ["a", "b", "c"]


@pytest.mark.parametrize("from_file", [True, False])
@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ([1, 2, 3] * 4, ["1", "2", "3"]),
        ([True, False, True] * 4, ["True", "False", "True"]),
        ([0.5, 1.0, 2.0] * 4, ["0.5", "1.0", "2.0"]),
        (pd.array([1, 2, 3] * 4, dtype="Int64"), ["1", "2", "3"]),
        (pd.Categorical([10, 20, 30] * 4), ["10", "20", "30"]),
        (pd.array(["é", "β cell", "細胞"] * 4, dtype="string"), ["é", "β cell", "細胞"]),
    ],
)
def test_a_column_of_any_type_becomes_text(trial, column: object, expected: list[str], from_file: bool) -> None:
    adata = trial.cells()
    adata.obs["type"] = column
    if from_file:
        with ad.settings.override(allow_write_nullable_strings=True):
            contents = open_h5ad(trial.write(adata), trial.card().matrix)
    else:
        contents = from_anndata(adata, trial.card().matrix)
    dataset, _ = check(trial.card(), contents)
    assert dataset is not None
    assert dataset.columns["label"][:3].tolist() == expected


def test_a_split_column_is_read_as_the_file_has_it(trial) -> None:
    adata = trial.cells()
    adata.obs["part"] = pd.Categorical(["train", "test", "validation"] * 4)
    dataset = trial.load(adata, split={"column": "part", "reason": "As published."})
    assert dataset.split is not None
    assert dataset.split.tolist() == ["train", "test", "validation"] * 4


# However it is stored

N_CELLS, N_GENES = 9_000, 7  # more than two blocks of rows


def _large_enough(trial) -> ad.AnnData:
    adata = trial.cells(N_CELLS, N_GENES)
    adata.X.data[::5] = 0  # stored zeros
    return adata


def _csr(adata: ad.AnnData) -> None:
    adata.X = sparse.csr_matrix(adata.X)


def _csr_array(adata: ad.AnnData) -> None:
    adata.X = sparse.csr_array(adata.X)


def _csr_backwards(adata: ad.AnnData) -> None:
    flipped = sparse.csr_matrix(adata.X.toarray()[:, ::-1])
    adata.X = sparse.csr_matrix((flipped.data, N_GENES - 1 - flipped.indices, flipped.indptr), shape=flipped.shape)
    assert not adata.X.has_sorted_indices


def _csc(adata: ad.AnnData) -> None:
    adata.X = sparse.csc_matrix(adata.X)


def _dense(adata: ad.AnnData) -> None:
    adata.X = adata.X.toarray()


def _by_column_in_memory(adata: ad.AnnData) -> None:
    adata.X = np.asfortranarray(adata.X.toarray())


def _doubles(adata: ad.AnnData) -> None:
    adata.X = adata.X.astype(np.float64)


def _integers(adata: ad.AnnData) -> None:
    adata.X = adata.X.astype(np.int64)


def _raw(adata: ad.AnnData) -> None:
    adata.raw = adata.copy()
    adata.X = adata.X * 0.5


def _raw_with_more_genes(adata: ad.AnnData) -> None:
    adata.raw = adata.copy()
    adata._inplace_subset_var(adata.var_names[:3])


def _layer(adata: ad.AnnData) -> None:
    adata.layers["counts"] = adata.X.copy()
    adata.X = adata.X * 0.5


def _only_a_layer(adata: ad.AnnData) -> None:
    adata.layers["counts"] = adata.X.toarray()
    adata.X = None


def _ids_in_a_column(adata: ad.AnnData) -> None:
    adata.var["symbol"] = pd.Categorical(adata.var_names)
    adata.var_names = [f"row {i}" for i in range(adata.n_vars)]


STORAGE = [
    (_csr, {}),
    (_csr_array, {}),
    (_csr_backwards, {}),
    (_csc, {}),
    (_dense, {}),
    (_by_column_in_memory, {}),
    (_doubles, {}),
    (_integers, {}),
    (_raw, {"location": "raw"}),
    (_raw_with_more_genes, {"location": "raw"}),
    (_layer, {"location": "layers/counts"}),
    (_only_a_layer, {"location": "layers/counts"}),
    (_ids_in_a_column, {"feature_column": "symbol"}),
]
storage = pytest.mark.parametrize(
    ("stored", "matrix"), STORAGE, ids=[one.__name__.strip("_").replace("_", " ") for one, _ in STORAGE]
)


@storage
@pytest.mark.parametrize("compression", [None, "gzip"])
def test_the_digest_on_disk_is_the_digest_in_memory_however_it_is_stored(
    trial, stored: Callable[[ad.AnnData], None], matrix: dict[str, str], compression: str | None
) -> None:
    original = _large_enough(trial)
    expected = content_digest(original.X, original.obs_names, original.var_names, {"label": original.obs["type"]})
    adata = original.copy()
    stored(adata)
    card = trial.card(matrix=matrix, digest_of_content=expected)
    in_memory, problems = check(card, from_anndata(adata, card.matrix))
    assert problems == []
    assert in_memory is not None
    trial.write(adata, compression=compression)
    on_disk = load_dataset(card, trial.folder, trial.store)
    for dataset in (in_memory, on_disk):
        for_model = dataset.for_model([])
        assert for_model.X.dtype == np.float32
        assert for_model.var_names.tolist() == original.var_names.tolist()
        values = for_model.X.toarray() if sparse.issparse(for_model.X) else for_model.X
        assert (values == original.X.toarray()).all()


@pytest.mark.parametrize(("stored", "on_disk"), [(_csr, True), (_dense, True), (_csc, False)])
def test_a_matrix_stored_by_rows_stays_on_disk(trial, stored: Callable[[ad.AnnData], None], on_disk: bool) -> None:
    adata = trial.cells()
    stored(adata)
    matrix = trial.load(adata).matrix
    assert on_disk == (not sparse.issparse(matrix) and not isinstance(matrix, np.ndarray))


def test_a_view_that_a_function_returns_is_taken_like_any_other(trial) -> None:
    adata = trial.cells()
    whole = ad.concat([adata, adata], index_unique="-")
    view = whole[:12, whole.var_names.tolist()]
    assert view.is_view
    dataset, _ = check(trial.card(), from_anndata(view, trial.card().matrix))
    assert dataset is not None
    expected = content_digest(adata.X, view.obs_names, adata.var_names, {"label": adata.obs["type"]})
    assert dataset.digest == expected


@pytest.mark.parametrize("n_columns", [1, 5_000])
def test_a_wide_dense_matrix_is_read_in_blocks_that_are_sparse(tmp_path: Path, n_columns: int) -> None:
    """With 5,000 columns a block of 4,096 rows is put together from two slices."""
    values = np.zeros((4_100, n_columns), dtype=np.float32)
    values[::7, ::3] = 2
    with h5py.File(tmp_path / "x.h5", "w") as file:
        stored = file.create_dataset("x", data=values)
        blocks = list(row_blocks(stored))
    assert [block.shape[0] for block in blocks] == [4_096, 4]
    assert all(sparse.issparse(block) and block.has_canonical_format for block in blocks)
    assert (sparse.vstack(blocks).toarray() == values).all()


def test_what_the_card_does_not_name_is_not_read(trial) -> None:
    """Everything else in this file is damaged so that reading a single value of it raises."""
    adata = trial.cells(300, 40)
    adata.layers["scaled"] = adata.X.toarray() * 0.5
    adata.obsm["X_umap"] = np.random.default_rng(0).random((300, 2))
    adata.obsp["distances"] = sparse.random(300, 300, 0.1, format="csr", random_state=0)
    adata.raw = adata.copy()
    adata.uns["image"] = np.random.default_rng(0).random((100, 100))
    others = ["layers/scaled", "obsm/X_umap", "obsp/distances/data", "raw/X/data", "uns/image"]
    _damage(trial.write(adata, compression="gzip"), others)
    with h5py.File(trial.file) as file:
        for name in others:
            with pytest.raises(OSError, match="read"):
                file[name][:]
    dataset = trial.open()
    assert (dataset.for_model([]).X != adata.X).nnz == 0


def _damage(path: Path, names: list[str]) -> None:
    """Overwrite compressed chunks in the middle."""
    with h5py.File(path) as file:
        places = []
        for name in names:
            chunk = file[name].id.get_chunk_info(0)
            places.append((chunk.byte_offset, chunk.size))
    data = bytearray(path.read_bytes())
    for offset, size in places:
        data[offset + size // 4 : offset + size // 2] = b"\xff" * (size // 2 - size // 4)
    path.write_bytes(data)


# What cannot be read


def _change(path: Path, change: Callable[[h5py.File], None]) -> None:
    with h5py.File(path, "r+") as file:
        change(file)


def test_a_missing_file_is_named(trial) -> None:
    with pytest.raises(FetchError) as caught:
        load_dataset(trial.card(), trial.folder, trial.store)
    assert str(caught.value) == (
        f"{trial.file}: the card expects a file there, found nothing. Correct the path in the card."
    )


@pytest.mark.parametrize(
    "content", [b"", b"cell,gene\n", b"\x89HDF\r\n\x1a\n", b"PK\x03\x04"], ids=["empty", "text", "head", "zip"]
)
def test_a_file_of_another_kind_is_refused_by_the_name_in_the_card(trial, content: bytes) -> None:
    trial.file.write_bytes(content)
    (only,) = trial.refusal()
    assert only.startswith("tiny.h5ad: it cannot be read as .h5ad: ")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_refused(trial, share: float) -> None:
    whole = trial.write(trial.cells(200, 50)).read_bytes()
    trial.file.write_bytes(whole[: int(len(whole) * share)])
    (only,) = trial.refusal()
    assert only.startswith("tiny.h5ad: it cannot be read as .h5ad: ")
    assert "truncated" in only


def test_a_file_whose_matrix_is_damaged_is_refused(trial) -> None:
    adata = trial.cells(5_000, 50)
    adata.X = adata.X.toarray()
    _damage(trial.write(adata, compression="gzip"), ["X"])
    (only,) = trial.refusal()
    assert only.startswith("the matrix cannot be read: ")


@pytest.mark.parametrize(
    ("part", "position", "value"),
    [("indices", 3, 77), ("indices", 3, -1), ("indptr", 5, 1_000), ("indptr", 5, -3), ("indptr", 12, 10**6)],
)
@pytest.mark.parametrize("stored", [_csr, _csc])
def test_sparse_indices_that_lead_out_of_the_matrix_are_refused(
    trial, stored: Callable[[ad.AnnData], None], part: str, position: int, value: int
) -> None:
    """Compiled code that believes them writes where it must not, and takes the process with it."""
    adata = trial.cells(12, 12)
    stored(adata)
    trial.write(adata)

    def change(file: h5py.File) -> None:
        file[f"X/{part}"][position] = value

    _change(trial.file, change)
    (only,) = trial.refusal()
    assert "cannot be read" in only


def test_tables_of_old_files_are_refused_with_what_to_do(trial) -> None:
    def as_before_anndata_0_7(file: h5py.File) -> None:
        del file["obs"]
        file["obs"] = np.array([(b"c%d" % i, i % 3) for i in range(12)], dtype=[("index", "S5"), ("type", "i4")])

    trial.write(trial.cells())
    _change(trial.file, as_before_anndata_0_7)
    assert trial.refusal() == [
        "tiny.h5ad: it cannot be read as .h5ad: obs and var are no tables as anndata 0.7 and later writes them; "
        "write it again with one"
    ]


def test_a_file_without_cells_table_is_refused(trial) -> None:
    def without_obs(file: h5py.File) -> None:
        del file["obs"]

    trial.write(trial.cells())
    _change(trial.file, without_obs)
    (only,) = trial.refusal()
    assert only.startswith("tiny.h5ad: it cannot be read as .h5ad: ")
    assert "obs" in only


def test_a_file_that_is_not_the_one_the_card_means_is_not_opened(trial) -> None:
    trial.write(trial.cells())
    with pytest.raises(FetchError, match=f"expects sha256:{'1' * 64}, found sha256:"):
        load_dataset(
            trial.card(source={"kind": "file", "path": "tiny.h5ad", "sha256": "sha256:" + "1" * 64}),
            trial.folder,
            trial.store,
        )


# What a model sees


def test_a_model_never_sees_labels_it_is_not_given(trial) -> None:
    adata = trial.cells()
    adata.obs["donor"] = ["d1", "d2"] * 6
    adata.obs["type again"] = adata.obs["type"].astype(str)
    adata.obsm["X_type"] = np.eye(3)[adata.obs["type"].cat.codes]
    adata.uns["type_colors"] = ["red", "green", "blue"]
    adata.var["highly_variable"] = True
    dataset = trial.load(adata, columns={"label": "type", "donor": "donor"})
    seen = dataset.for_model([])
    assert [*seen.obs, *seen.var, *seen.obsm, *seen.layers, *seen.obsp] == []
    assert seen.raw is None
    assert dict(seen.uns) == {"values": "counts", "taxa": [9606]}
    assert list(dataset.for_model(["donor"]).obs) == ["donor"]
    assert dataset.for_model(["label"]).obs["label"].tolist() == adata.obs["type"].tolist()


@pytest.mark.parametrize("stored", [_csr, _dense, _csc])
@pytest.mark.parametrize("from_file", [True, False])
def test_a_model_cannot_change_the_dataset(trial, stored: Callable[[ad.AnnData], None], from_file: bool) -> None:
    adata = trial.cells()
    stored(adata)
    dataset = trial.load(adata)
    if not from_file:
        made, problems = check(dataset.card, from_anndata(adata, dataset.card.matrix))
        assert problems == []
        assert made is not None
        dataset = made
    seen = dataset.for_model(["label"])
    if sparse.issparse(seen.X):
        seen.X.data[:] = 99
    else:
        seen.X[:] = 99
    seen.obs["label"] = "z"
    seen.obs_names = [f"other{i}" for i in range(12)]
    seen.var_names = [f"other{i}" for i in range(5)]
    seen.obs.iloc[0, 0] = "y"
    again = dataset.for_model(["label"])
    assert again.obs["label"].tolist() == ["a", "b", "c"] * 4
    assert again.obs_names[0] == "cell0"
    assert again.var_names[0] == "gene0"
    values = again.X.toarray() if sparse.issparse(again.X) else again.X
    assert (values == trial.cells().X.toarray()).all()


def test_the_refusal_survives_being_sent_between_processes() -> None:
    error = pickle.loads(pickle.dumps(InvalidDatasetError("tiny", ["one", "two"])))
    assert str(error) == "dataset tiny: one; two"
    assert error.problems == ["one", "two"]


# The digest


def test_the_digest_is_of_the_content_not_of_its_storage() -> None:
    dense = np.array([[0, 1, 2], [3, 0, 0]], dtype=np.float32)
    rows = sparse.csr_matrix(dense)
    explicit_zero = sparse.csr_matrix(
        (np.float32([1, 2, 0, 3]), np.array([1, 2, 2, 0]), np.array([0, 2, 4])), shape=(2, 3)
    )
    twice = sparse.csr_matrix((np.float32([1, 1, 1, 3]), np.array([1, 2, 2, 0]), np.array([0, 3, 4])), shape=(2, 3))
    columns = sparse.csc_matrix(dense)
    negative_zero = np.where(dense == 0, -0.0, dense)
    names = (["c1", "c2"], ["g1", "g2", "g3"], {"label": ["a", "b"]})
    ways = (dense, rows, explicit_zero, twice, columns, negative_zero, dense.astype(np.float64), dense.astype(int))
    assert len({content_digest(one, *names) for one in ways}) == 1


def test_reading_a_matrix_for_its_digest_leaves_it_as_it_was() -> None:
    matrix = sparse.csr_matrix(
        (np.float32([1, 1, 0, 3]), np.array([2, 1, 2, 0]), np.array([0, 3, 4])), shape=(2, 3), copy=True
    )
    before = matrix.data.tolist(), matrix.indices.tolist(), matrix.indptr.tolist()
    content_digest(matrix, ["c1", "c2"], ["g1", "g2", "g3"], {})
    assert (matrix.data.tolist(), matrix.indices.tolist(), matrix.indptr.tolist()) == before


def test_the_order_of_roles_does_not_change_the_digest() -> None:
    roles = {"label": ["a", "b"], "batch": ["1", "2"]}
    backwards = dict(reversed(roles.items()))
    one, other = (content_digest(np.eye(2), ["c1", "c2"], ["g1", "g2"], each) for each in (roles, backwards))
    assert one == other


@pytest.mark.parametrize(
    ("matrix", "names", "features", "roles"),
    [
        ([[0, 1], [3, 1]], ["c1", "c2"], ["g1", "g2"], {"label": ["a", "b"]}),
        ([[1, 0], [3, 0]], ["c1", "c2"], ["g1", "g2"], {"label": ["a", "b"]}),
        ([[0, 1], [3, 0]], ["c1", "cX"], ["g1", "g2"], {"label": ["a", "b"]}),
        ([[0, 1], [3, 0]], ["c1", "c2"], ["g1", "gX"], {"label": ["a", "b"]}),
        ([[0, 1], [3, 0]], ["c1", "c2"], ["g1", "g2"], {"label": ["a", "a"]}),
        ([[0, 1], [3, 0]], ["c1", "c2"], ["g1", "g2"], {"batch": ["a", "b"]}),
        ([[0, 1], [3, 0]], ["c1", "c2"], ["g1", "g2"], {"label": ["a", "b"], "batch": ["a", "b"]}),
        ([[0, 1], [3, 0]], ["c1c", "2"], ["g1", "g2"], {"label": ["a", "b"]}),
        ([[3, 0], [0, 1]], ["c2", "c1"], ["g1", "g2"], {"label": ["b", "a"]}),
        ([[1, 0], [0, 3]], ["c1", "c2"], ["g2", "g1"], {"label": ["a", "b"]}),
        ([[0, 1, 0], [3, 0, 0]], ["c1", "c2"], ["g1", "g2", "g3"], {"label": ["a", "b"]}),
    ],
)
def test_any_change_of_content_changes_the_digest(
    matrix: list[list[float]], names: list[str], features: list[str], roles: dict[str, list[str]]
) -> None:
    original = content_digest(np.float32([[0, 1], [3, 0]]), ["c1", "c2"], ["g1", "g2"], {"label": ["a", "b"]})
    assert content_digest(np.float32(matrix), names, features, roles) != original


def test_the_store_is_not_written_to_for_a_file_beside_the_card(trial) -> None:
    trial.load(trial.cells())
    assert not FileStore(trial.store.folder).folder.exists()
