"""What keeps a dataset from being used is said all at once, each in a sentence of its own."""

from __future__ import annotations

from typing import Any

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from cellgauge.data.checks import determines
from cellgauge.data.contents import from_anndata
from cellgauge.data.dataset import check
from cellgauge.data.genes import ENSEMBL_PREFIX, strange_ids

pytestmark = pytest.mark.filterwarnings("ignore:.*names are not unique")


def test_everything_wrong_with_a_dataset_is_said_at_once(trial) -> None:
    bad = trial.cells()
    bad.obs_names = ["same"] * 3 + list(bad.obs_names[3:])
    bad.obs["donor"] = bad.obs["type"].map({"a": "d1", "b": "d2", "c": "d3"}).astype(str)
    bad.X = bad.X * 0.5
    assert trial.problems(
        bad,
        columns={"label": "type", "donor": "donor", "batch": "run"},
        matrix={"features": "Ensembl genes"},
        feasibility={"size": "large"},
    ) == [
        'batch column "run" is not in obs (found: type, donor)',
        "1 cell ids occur more than once (for example same)",
        "the card says Ensembl genes, but 5 of 5 feature ids do not look like them (ENSG and 11 digits), "
        "for example gene0, gene1, gene2",
        'the donor column "donor" determines the label: each donor has one class only. '
        "It is the label by another name; leave it out of columns, and say so under not_used",
        'feasibility: the card says size "large", but 12 cells are "tiny"',
        "the card says counts, but the matrix holds values that are not whole numbers",
    ]


def test_a_digest_is_compared_only_where_nothing_else_is_wrong(trial) -> None:
    assert trial.problems(trial.cells(), feasibility={"size": "huge"}) == [
        'feasibility: the card says size "huge", but 12 cells are "tiny"'
    ]


# Columns, matrix and ids are there, once


def test_a_missing_column_is_named_with_those_there_are(trial) -> None:
    adata = trial.cells()
    adata.obs["donor"] = "d"
    assert trial.problems(adata, columns={"label": "cell_type"}) == [
        'label column "cell_type" is not in obs (found: type, donor)'
    ]


def test_a_missing_column_of_a_table_without_columns(trial) -> None:
    adata = trial.cells()
    adata.obs = adata.obs[[]]
    assert trial.problems(adata) == ['label column "type" is not in obs (found: none)']


def test_a_missing_split_column_is_named(trial) -> None:
    assert trial.problems(trial.cells(), split={"column": "part", "reason": "As published."}) == [
        'split column "part" is not in obs (found: type)'
    ]


def test_a_column_that_is_there_twice_is_refused(trial) -> None:
    """A file cannot hold that, but what a function returns can."""
    adata = trial.cells()
    adata.obs = pd.DataFrame([["a", "b"]] * 12, columns=["type", "type"], index=adata.obs_names)
    dataset, problems = check(trial.card(), from_anndata(adata, trial.card().matrix))
    assert problems == ['label column "type" is more than once in obs (found: type, type)']
    assert dataset is not None
    assert dict(dataset.columns) == {}


def _without_x(adata: ad.AnnData) -> None:
    adata.X = None


def _with_layers(adata: ad.AnnData) -> None:
    adata.layers["spliced"] = adata.X.copy()
    adata.layers["unspliced"] = adata.X.copy()


@pytest.mark.parametrize("from_file", [True, False])
@pytest.mark.parametrize(
    ("change", "location", "expected"),
    [
        (_without_x, "X", "the card says that the matrix is X, but the file has no X"),
        (_with_layers, "raw", "the card says that the matrix is in raw, but the file has no raw"),
        (_with_layers, "layers/counts", "the card says layers/counts, but the layers are: spliced, unspliced"),
        (_without_x, "layers/counts", "the card says layers/counts, but the layers are: none"),
    ],
)
def test_a_missing_matrix_is_named_with_those_there_are(
    trial, change: Any, location: str, expected: str, from_file: bool
) -> None:
    adata = trial.cells()
    change(adata)
    if from_file:
        assert trial.problems(adata, matrix={"location": location}) == [expected]
    else:
        card = trial.card(matrix={"location": location})
        assert check(card, from_anndata(adata, card.matrix)) == (None, [expected])


def test_a_matrix_stored_as_nothing_is_missing(trial) -> None:
    trial.write(trial.cells())
    with h5py.File(trial.file, "r+") as file:
        del file["X"]
        file["X"] = h5py.Empty("f4")
    assert trial.refusal() == ["the card says that the matrix is X, but the file has no X"]


def test_a_matrix_without_columns_is_refused(trial) -> None:
    trial.write(trial.cells())
    with h5py.File(trial.file, "r+") as file:
        del file["X"]
        file["X"] = np.zeros(12)
    assert trial.refusal() == ["the matrix is (12,), but there are (12, 5) cell and feature ids"]


@pytest.mark.parametrize("shape", [(11, 5), (12, 4)])
def test_a_matrix_of_another_shape_than_the_tables_is_refused(trial, shape: tuple[int, int]) -> None:
    trial.write(trial.cells())
    with h5py.File(trial.file, "r+") as file:
        del file["X"]
        file["X"] = np.ones(shape, dtype=np.float32)
    assert trial.refusal() == [f"the matrix is {shape}, but there are (12, 5) cell and feature ids"]


def test_a_matrix_of_texts_is_refused(trial) -> None:
    trial.write(trial.cells())
    with h5py.File(trial.file, "r+") as file:
        del file["X"]
        file["X"] = np.full((12, 5), b"many")
    (only,) = trial.refusal()
    assert only.startswith("the matrix cannot be read: could not convert string to float")


def test_a_missing_feature_column_is_not_blamed_on_the_index(trial) -> None:
    adata = trial.cells()
    adata.var["symbol"] = "x"
    adata.var_names = ["same"] * 5
    assert trial.problems(adata, matrix={"feature_column": "ensembl_id", "features": "Ensembl genes"}) == [
        'feature column "ensembl_id" is not in var (found: symbol)'
    ]


def test_cell_ids_that_occur_twice_are_counted_and_three_are_shown(trial) -> None:
    adata = trial.cells()
    adata.obs_names = [f"cell{i // 2}" for i in range(12)]
    assert trial.problems(adata) == ["6 cell ids occur more than once (for example cell0, cell1, cell2)"]


def test_feature_ids_that_occur_twice_are_counted(trial) -> None:
    adata = trial.cells()
    adata.var["symbol"] = ["A", "B", "A", "A", "C"]
    assert trial.problems(adata, matrix={"feature_column": "symbol"}) == [
        "1 feature ids occur more than once (for example A)"
    ]


def test_features_without_id_are_counted_and_not_called_repeated(trial) -> None:
    adata = trial.cells()
    adata.var["symbol"] = ["A", None, "B", np.nan, "C"]
    assert trial.problems(adata, matrix={"feature_column": "symbol"}) == ["2 of 5 features have no id"]


def test_a_cell_without_id_is_refused(trial) -> None:
    adata = trial.cells()
    adata.obs_names = ["", *adata.obs_names[1:]]
    assert trial.problems(adata) == ["1 of 12 cells have no id"]


@pytest.mark.parametrize("stored", [sparse.csr_matrix, sparse.csc_matrix, np.asarray])
def test_no_cells(trial, stored: Any) -> None:
    adata = ad.AnnData(
        stored(np.zeros((0, 3), dtype=np.float32)), var=pd.DataFrame(index=["g1", "g2", "g3"]), obs=pd.DataFrame()
    )
    assert trial.problems(adata, columns={}) == ["there are no cells"]


@pytest.mark.parametrize("stored", [sparse.csr_matrix, sparse.csc_matrix, np.asarray])
def test_no_features(trial, stored: Any) -> None:
    adata = ad.AnnData(stored(np.zeros((12, 0), dtype=np.float32)), obs=trial.cells().obs)
    assert trial.problems(adata) == ["there are no features"]


@pytest.mark.filterwarnings("ignore:Transforming to str index")
def test_ids_of_mixed_types_are_compared_as_text(trial) -> None:
    adata = trial.cells()
    obs = adata.obs.set_axis([1, "1", 2.5, "x", *range(10, 18)], axis=0)
    made = ad.AnnData(adata.X, obs=obs, var=adata.var)
    assert trial.problems(made) == ["1 cell ids occur more than once (for example 1)"]


def test_ids_stored_as_numbers_are_text(trial) -> None:
    trial.write(trial.cells())
    with h5py.File(trial.file, "r+") as file:
        del file["obs/_index"]
        file["obs/_index"] = np.arange(12)
        file["obs/_index"].attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
    assert trial.open().cell_ids.tolist() == [str(i) for i in range(12)]


# The numbers are what the card says

STORED = pytest.mark.parametrize("stored", [np.asarray, sparse.csr_matrix, sparse.csc_matrix])


def _with_value(trial, stored: Any, *values: float) -> ad.AnnData:
    adata = trial.cells()
    dense = adata.X.toarray()
    for position, value in enumerate(values):
        dense[3 + position, 2] = value
    adata.X = stored(dense)
    return adata


@STORED
@pytest.mark.parametrize("values", ["counts", "log-normalised", "scaled", "continuous"])
@pytest.mark.parametrize("found", [[np.nan, np.inf, -np.inf], [np.nan, -np.nan, np.inf]])
def test_values_that_are_not_finite_are_counted(trial, stored: Any, values: str, found: list[float]) -> None:
    # The other values are counts, so that "log-normalised" is wrong besides.
    also = ["the card says log-normalised, but the matrix holds whole numbers only, as counts do"]
    assert trial.problems(_with_value(trial, stored, *found), matrix={"values": values}) == [
        "3 values of the matrix are NaN or infinite",
        *(also if values == "log-normalised" else []),
    ]


@STORED
def test_bug_of_several_faults_of_the_numbers_only_one_was_named(trial, stored: Any) -> None:
    assert trial.problems(_with_value(trial, stored, np.nan, -3.0, 0.5)) == [
        "1 values of the matrix are NaN or infinite",
        "the card says counts, but the matrix holds -3",
        "the card says counts, but the matrix holds values that are not whole numbers",
    ]


def test_values_that_are_not_finite_are_found_in_every_block(trial) -> None:
    adata = trial.cells(9_000, 3)
    dense = adata.X.toarray()
    dense[[0, 4_095, 4_096, 8_999], 1] = np.nan
    adata.X = dense
    assert trial.problems(adata) == ["4 values of the matrix are NaN or infinite"]


@pytest.mark.parametrize("row", [0, 4_095, 4_096, 8_999])
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (-2, "the card says counts, but the matrix holds -2"),
        (0.5, "the card says counts, but the matrix holds values that are not whole numbers"),
    ],
)
def test_one_value_in_any_block_tells(trial, row: int, value: float, expected: str) -> None:
    adata = trial.cells(9_000, 3)
    dense = adata.X.toarray()
    dense[row, 1] = value
    adata.X = dense
    assert trial.problems(adata) == [expected]


@STORED
@pytest.mark.parametrize("values", ["counts", "log-normalised"])
def test_negative_values_are_shown(trial, stored: Any, values: str) -> None:
    assert trial.problems(_with_value(trial, stored, -1.5, -0.25), matrix={"values": values})[0] == (
        f"the card says {values}, but the matrix holds -1.5"
    )


@STORED
def test_counts_are_whole_numbers(trial, stored: Any) -> None:
    assert trial.problems(_with_value(trial, stored, 0.5)) == [
        "the card says counts, but the matrix holds values that are not whole numbers"
    ]


@STORED
def test_log_normalised_values_are_not_all_whole(trial, stored: Any) -> None:
    assert trial.problems(_with_value(trial, stored), matrix={"values": "log-normalised"}) == [
        "the card says log-normalised, but the matrix holds whole numbers only, as counts do"
    ]


@pytest.mark.parametrize("values", ["scaled", "continuous"])
def test_scaled_and_continuous_values_may_be_anything_finite(trial, values: str) -> None:
    assert trial.load(_with_value(trial, np.asarray, -1.5, 0.5, 7), matrix={"values": values}).content.minimum == -1.5


def test_one_fraction_makes_values_log_normalised(trial) -> None:
    trial.load(_with_value(trial, np.asarray, 0.5), matrix={"values": "log-normalised"})


@pytest.mark.parametrize("values", ["counts", "log-normalised"])
def test_an_empty_matrix_is_told_by_its_digest_alone(trial, values: str) -> None:
    adata = trial.cells()
    adata.X = np.zeros((12, 5), dtype=np.float32)
    assert trial.load(adata, matrix={"values": values}).content.n_stored == 0


# The annotation


def test_cells_without_a_label_are_counted(trial) -> None:
    bad = trial.cells()
    bad.obs["type"] = [None, None, "", *list("abcabcabc")]
    assert trial.problems(bad) == ['3 of 12 cells have no value in the label column "type"']


def test_gaps_are_counted_in_every_column(trial) -> None:
    bad = trial.cells()
    bad.obs["type"] = pd.Categorical([None, *list("abcabcabcab")])
    bad.obs["day"] = [np.nan, np.nan, *np.arange(10.0)]
    assert trial.problems(bad, columns={"label": "type", "time": "day"}) == [
        '1 of 12 cells have no value in the label column "type"',
        '2 of 12 cells have no value in the time column "day"',
    ]


def test_one_class_is_refused(trial) -> None:
    bad = trial.cells()
    bad.obs["type"] = "a"
    assert trial.problems(bad) == ['the label column "type" holds one class (a); at least two are needed']


DETERMINED = (
    'the donor column "donor" determines the label: each donor has one class only. '
    "It is the label by another name; leave it out of columns, and say so under not_used"
)


@pytest.mark.parametrize(
    "donors",
    [["d1", "d2", "d3"] * 4, [f"d{i % 6}" for i in range(12)], [f"d{i}" for i in range(12)]],
    ids=["one a class", "two a class", "one a cell"],
)
def test_a_donor_that_determines_the_label_is_refused(trial, donors: list[str]) -> None:
    adata = trial.cells()
    adata.obs["donor"] = donors
    assert trial.problems(adata, columns={"label": "type", "donor": "donor"}) == [DETERMINED]


@pytest.mark.parametrize(
    "donors",
    [["d"] * 12, ["d1", "d2", "d3"] * 3 + ["d1", "d2", "d2"], ["d1"] * 6 + ["d2"] * 6],
    ids=["one donor", "one donor per class but for one cell", "each donor in all classes"],
)
def test_a_donor_with_two_classes_is_a_donor(trial, donors: list[str]) -> None:
    adata = trial.cells()
    adata.obs["donor"] = donors
    assert trial.load(adata, columns={"label": "type", "donor": "donor"}).columns["donor"].tolist() == donors


def test_values_are_not_glued_together_when_columns_are_compared() -> None:
    ones, others = np.array(["a", "ab", "a"]), np.array(["bc", "c", "bc"])
    assert determines(ones, others)
    assert determines(others, ones)
    assert not determines(np.array(["a", "a"]), np.array(["b", "bb"]))


def test_a_missing_control_is_named(trial) -> None:
    adata = trial.cells()
    adata.obs["guide"] = ["KLF1", "CONTROL", "KLF1+GATA1"] * 4
    changes = {"columns": {"perturbation": "guide"}, "perturbations": {"control": "control"}}
    assert trial.problems(adata, **changes) == [
        'no cell has the perturbation "control", which the card names as the control'
    ]
    trial.load(adata, columns={"perturbation": "guide"}, perturbations={"control": "CONTROL"})


def _with_donors(trial) -> ad.AnnData:
    adata = trial.cells()
    adata.obs["donor"] = ["d1"] * 4 + ["d2"] * 4 + ["d3"] * 4
    return adata


ROLES = {"label": "type", "donor": "donor"}


@pytest.mark.parametrize(
    ("split", "expected"),
    [
        ({"test": ["d9", "d1"]}, ["split: 1 donor values for test occur nowhere (d9)"]),
        (
            {"test": ["w", "x", "y", "z"], "validation": ["d2", "D3"]},
            [
                "split: 1 donor values for validation occur nowhere (D3)",
                "split: 4 donor values for test occur nowhere (w, x, y)",
            ],
        ),
        (
            {"test": ["d1", "d2"], "validation": ["d3"]},
            ["split: every donor value is for validation or test, and none is left to train on"],
        ),
    ],
)
def test_split_values_must_occur_and_leave_something_to_train_on(
    trial, split: dict[str, list[str]], expected: list[str]
) -> None:
    changes = {"columns": ROLES, "split": {"by": "donor", "reason": "By person.", **split}}
    assert trial.problems(_with_donors(trial), **changes) == expected


def test_a_split_by_a_missing_column_is_said_once(trial) -> None:
    changes = {"columns": ROLES, "split": {"by": "donor", "reason": "By person.", "test": ["d1"]}}
    assert trial.problems(trial.cells(), **changes) == ['donor column "donor" is not in obs (found: type)']


@pytest.mark.parametrize(
    ("n_cells", "size"), [(999, "tiny"), (1_000, "small"), (9_999, "small"), (10_000, "medium"), (100_000, "large")]
)
def test_the_size_class_is_counted(trial, n_cells: int, size: str) -> None:
    adata = trial.cells(n_cells, 1)
    trial.load(adata, feasibility={"size": size})
    trial.load(adata, feasibility={"size": None})
    assert trial.refusal(feasibility={"size": "huge"}) == [
        f'feasibility: the card says size "huge", but {n_cells:,} cells are "{size}"'
    ]


# Gene ids


def _ids(prefix: str, n: int, first: int = 1) -> list[str]:
    return [f"{prefix}{i:011d}" for i in range(first, first + n)]


HUMAN, MOUSE = 9606, 10090


@pytest.mark.parametrize("taxon", sorted(ENSEMBL_PREFIX))
def test_ids_of_the_declared_species_are_its_own(taxon: int) -> None:
    ids = np.array(_ids(ENSEMBL_PREFIX[taxon], 30))
    assert strange_ids(ids, "Ensembl genes", [taxon]) is None
    other = HUMAN if taxon != HUMAN else MOUSE
    assert strange_ids(ids, "Ensembl genes", [other]) == (
        f"the card says Ensembl genes, but 30 of 30 feature ids do not look like them "
        f"({ENSEMBL_PREFIX[other]} and 11 digits), for example {', '.join(ids[:3])}"
    )


def test_versions_behind_ids_are_allowed() -> None:
    ids = np.array([f"{one}.{i % 20}" for i, one in enumerate(_ids("ENSG", 30))])
    assert strange_ids(ids, "Ensembl genes", [HUMAN]) is None
    assert strange_ids(ids, "gene symbols", [HUMAN]) is not None


@pytest.mark.parametrize(
    "strange",
    [
        "ENSG0000000001",
        "ENSG000000000011",
        "ensg00000000001",
        "ENST00000000001",
        "ENSP00000000001",
        "xENSG00000000001",
        "ENSG00000000001.",
        "ENSG00000000001.x",
        "ENSG00000000001 ",
        "TP53",
        "",
    ],
)
def test_what_is_no_gene_id(strange: str) -> None:
    assert strange_ids(np.array([strange]), "Ensembl genes", [HUMAN]) is not None
    assert strange_ids(np.array([strange]), "gene symbols", [HUMAN]) is None


@pytest.mark.parametrize(("n_others", "refused"), [(0, False), (5, False), (6, True)])
def test_five_of_a_hundred_ensembl_ids_may_be_others(n_others: int, refused: bool) -> None:
    ids = np.array([*_ids("ENSG", 100 - n_others), *(f"ERCC-{i:05d}" for i in range(n_others))])
    found = strange_ids(ids, "Ensembl genes", [HUMAN])
    assert (found is not None) == refused
    if found:
        assert found == (
            "the card says Ensembl genes, but 6 of 100 feature ids do not look like them (ENSG and 11 digits), "
            "for example ERCC-00000, ERCC-00001, ERCC-00002"
        )


@pytest.mark.parametrize(("n_unnamed", "refused"), [(0, False), (50, False), (51, True)])
def test_half_of_the_symbols_may_be_ensembl_ids_of_genes_without_one(n_unnamed: int, refused: bool) -> None:
    ids = np.array([*(f"SYM{i}" for i in range(100 - n_unnamed)), *_ids("ENSMUSG", n_unnamed)])
    found = strange_ids(ids, "gene symbols", [HUMAN])
    assert (found is not None) == refused
    if found:
        assert found == (
            "the card says gene symbols, but 51 of 100 feature ids are Ensembl ids, "
            "for example ENSMUSG00000000001, ENSMUSG00000000002, ENSMUSG00000000003"
        )


def test_genes_of_several_species_may_be_mixed() -> None:
    ids = np.array([*_ids("ENSG", 50), *_ids("ENSMUSG", 50)])
    assert strange_ids(ids, "Ensembl genes", [HUMAN, MOUSE]) is None
    assert strange_ids(ids, "Ensembl genes", [MOUSE, HUMAN]) is None
    assert "50 of 100" in (strange_ids(ids, "Ensembl genes", [HUMAN]) or "")
    chicken = np.array([*_ids("ENSGALG", 50), *_ids("ENSG", 50)])
    found = strange_ids(chicken, "Ensembl genes", [HUMAN, MOUSE])
    assert found is not None
    assert "50 of 100 feature ids do not look like them (ENSG or ENSMUSG and 11 digits)" in found


def test_bug_the_ids_that_ensembl_takes_over_from_flybase_were_refused() -> None:
    fly, zebrafish = 7227, 7955
    assert strange_ids(np.array(["FBgn0000001", "FBgn0000003"]), "Ensembl genes", [fly]) is None
    assert strange_ids(np.array(_ids("ENSDARG", 10)), "Ensembl genes", [zebrafish]) is None
    assert strange_ids(np.array(_ids("ENSDARG", 10)), "gene symbols", [zebrafish]) is not None


@pytest.mark.parametrize("namespace", ["image features", "sequence windows", "unknown"])
def test_nothing_is_known_about_other_namespaces(namespace: str) -> None:
    assert strange_ids(np.array(["anything"]), namespace, [HUMAN]) is None


@pytest.mark.parametrize("namespace", ["Ensembl genes", "gene symbols"])
def test_no_ids_are_not_strange(namespace: str) -> None:
    assert strange_ids(np.array([], dtype=str), namespace, [HUMAN]) is None


def test_mouse_ids_in_a_dataset_declared_human_are_refused(trial) -> None:
    adata = trial.cells()
    adata.var["ensembl_id"] = _ids("ENSMUSG", 5)
    matrix = {"features": "Ensembl genes", "feature_column": "ensembl_id"}
    assert trial.problems(adata, matrix=matrix) == [
        "the card says Ensembl genes, but 5 of 5 feature ids do not look like them (ENSG and 11 digits), "
        "for example ENSMUSG00000000001, ENSMUSG00000000002, ENSMUSG00000000003"
    ]
    trial.load(adata, matrix=matrix, organisms=[{"name": "Mus musculus", "taxon": MOUSE}])
