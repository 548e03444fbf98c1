"""Two platforms become one matrix, whose label is the genotype."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import numpy as np
import pytest

from cellgauge.cards.problems import UserError
from cellgauge.data.recipes.sc_mixology import sc_mixology

METADATA = '"cell_line","cell_line_demuxlet","demuxlet_cls"\n"A1","x","x","SNG"\n"A2","y","y","DBL"\n'
COUNTS = '"A1","A2"\n"g1",1,2\n"g2",0,3\n"g3",5,0\n'
FIRST = {"celseq2_counts": COUNTS, "celseq2_metadata": METADATA}
GOOD = {**FIRST, "dropseq_counts": COUNTS.replace("g3", "g4"), "dropseq_metadata": METADATA}


@pytest.fixture
def write(tmp_path: Path):
    def to_files(**texts: str) -> dict[str, Path]:
        for name, text in {**GOOD, **texts}.items():
            (tmp_path / name).write_bytes(gzip.compress(text.encode()))
        return {name: tmp_path / name for name in GOOD}

    return to_files


def test_genes_of_both_platforms_are_kept_and_cells_named_after_theirs(write) -> None:
    adata = sc_mixology(write())
    assert list(adata.var_names) == ["g1", "g2"]
    assert list(adata.obs_names) == ["celseq2:A1", "celseq2:A2", "dropseq:A1", "dropseq:A2"]
    assert adata.X.toarray().tolist() == [[1, 0], [2, 3], [1, 0], [2, 3]]
    assert list(adata.obs["platform"]) == ["CEL-seq2", "CEL-seq2", "Drop-seq", "Drop-seq"]


def test_metadata_are_matched_by_cell_and_not_by_position(write) -> None:
    header, one, other = METADATA.splitlines()
    adata = sc_mixology(write(dropseq_metadata=f"{header}\n{other}\n{one}\n"))
    assert list(adata.obs["cell_line_demuxlet"]) == ["x", "y", "x", "y"]
    assert list(adata.obs["demuxlet_cls"]) == ["SNG", "DBL", "SNG", "DBL"]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        (
            "dropseq_metadata",
            METADATA.replace('"A2"', '"A3"'),
            "1 cells have no row and 1 rows no cell (for example A2)",
        ),
        ("dropseq_metadata", METADATA + '"A2","x","x","SNG"\n', "for each of the 2 cells of the matrix, found 3"),
        (
            "dropseq_metadata",
            METADATA.replace("cell_line_demuxlet", "line"),
            "columns cell_line_demuxlet, found: cell_line,",
        ),
        ("celseq2_counts", COUNTS.replace("3", "3.5"), "1 columns hold others, for example A2"),
        ("celseq2_counts", COUNTS.replace("3", "-3"), "expected counts, found negative numbers"),
        ("celseq2_counts", COUNTS.replace("g2", "g1"), "1 gene ids occur more than once"),
        ("celseq2_counts", '"gene",' + COUNTS, "one name fewer than there are columns"),
        ("celseq2_counts", "", "celseq2_counts: expected a gzipped csv file"),
        ("dropseq_counts", COUNTS.replace("g", "h"), "share no gene id (for example g1 and h1)"),
    ],
)
def test_a_broken_file_is_refused_with_its_name_or_what_is_wrong(write, name: str, text: str, expected: str) -> None:
    with pytest.raises(UserError) as raised:
        sc_mixology(write(**{name: text}))
    assert expected in str(raised.value)


@pytest.mark.parametrize("damage", [lambda data: data[:-20], lambda data: b"not gzip at all", lambda data: b""])
def test_a_damaged_file_is_refused(write, damage) -> None:
    files = write()
    files["dropseq_counts"].write_bytes(damage(files["dropseq_counts"].read_bytes()))
    with pytest.raises(UserError, match=r"^dropseq_counts: expected a gzipped csv file, but it cannot be read: "):
        sc_mixology(files)


def test_a_missing_name_says_which_are_needed(write) -> None:
    files = write()
    del files["dropseq_metadata"]
    with pytest.raises(UserError, match=r"the card names: .*dropseq_counts \(add dropseq_metadata to source\.files\)"):
        sc_mixology(files)


@pytest.mark.parametrize(
    ("platform", "cells"), [("celseq2", ["A1", "P9"]), ("dropseq", ["CELL_000001", "CELL_000228"])]
)
def test_counts_are_those_that_another_reader_finds(files_of, made, platform: str, cells: list[str]) -> None:
    adata = made("sc-mixology")
    with gzip.open(files_of("sc-mixology")[f"{platform}_counts"], "rt", newline="") as file:
        header, *rows = csv.reader(file)
    for cell in cells:
        position = header.index(cell) + 1
        read = {row[0]: int(row[position]) for row in rows}
        found = adata[f"{platform}:{cell}"].X.toarray().ravel()
        assert found.sum() > 5_000
        assert found.tolist() == [read[gene] for gene in adata.var_names]


def test_cells_are_those_of_the_study(made) -> None:
    obs = made("sc-mixology").obs
    assert obs["platform"].value_counts().to_dict() == {"CEL-seq2": 274, "Drop-seq": 225}
    assert set(obs["cell_line_demuxlet"]) == {"H1975", "H2228", "HCC827"}
    assert int((obs["cell_line"] != obs["cell_line_demuxlet"]).sum()) == 8


def test_suspected_doublets_have_fewer_counts_than_other_cells(made) -> None:
    adata = made("sc-mixology")
    totals, doublet = np.asarray(adata.X.sum(axis=1)).ravel(), (adata.obs["demuxlet_cls"] == "DBL").to_numpy()
    assert doublet.sum() == 49
    for platform in ("CEL-seq2", "Drop-seq"):
        here = (adata.obs["platform"] == platform).to_numpy()
        assert np.median(totals[here & doublet]) < 0.7 * np.median(totals[here & ~doublet])


def test_neighbours_know_the_line_and_platforms_lie_apart(made, components) -> None:
    from sklearn.metrics import silhouette_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.neighbors import KNeighborsClassifier

    adata = made("sc-mixology")
    embedding, lines = components(adata), adata.obs["cell_line_demuxlet"].to_numpy(dtype=str)
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    right = cross_val_predict(KNeighborsClassifier(15), embedding, lines, cv=folds) == lines
    assert right.mean() > 0.95
    assert right[(adata.obs["demuxlet_cls"] == "SNG").to_numpy()].all()
    assert silhouette_score(embedding, adata.obs["platform"]) > 0.1
