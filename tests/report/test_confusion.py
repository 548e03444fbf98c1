"""Which types are taken for which: page, file and counts of the result are one table."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest

from cellgauge.report.confusion import MOST_COLUMNS, confusion_table


def table_of(counts, names=("B", "NK", "T")):
    return confusion_table({"classes": list(names), "confusion_x": counts}, "confusion_x", "matrix", "PCA")


def test_shares_are_of_each_row_and_counts_stay():
    table = table_of([[8, 0, 2], [0, 5, 0], [0, 0, 0]])
    assert [cell.text for cell in table.rows[0].cells] == ["B", "10", "80", "–", "20"]
    assert table.records()[0] == {
        "type": "B", "cells": 10, "as-B": 8, "as-B_share": 0.8, "as-NK": 0, "as-NK_share": 0.0, "as-T": 2,
        "as-T_share": 0.2,
    }  # fmt: skip
    assert [cell.text for cell in table.rows[2].cells] == ["T", "0", "–", "–", "–"]
    right, none, wrong = table.rows[0].cells[2:]
    assert (right.side, wrong.side) == ("", "below")
    assert right.shade > wrong.shade > none.shade == 0


def test_a_share_just_beside_nothing_or_all_is_not_rounded_to_it():
    first = table_of([[999, 1, 0], [0, 1, 0], [0, 0, 1]]).rows[0]
    assert [cell.text for cell in first.cells[2:]] == [">99", "<1", "–"]
    assert first.cells[3].shade == 1


@pytest.mark.parametrize("counts", [None, [], [[1]], [[1, 2, 3]], "x"])
def test_what_is_no_matrix_of_the_classes_is_not_taken_for_one(counts):
    assert table_of(counts) is None


def test_of_very_many_types_only_the_commonest_mistake_is_shown():
    n = MOST_COLUMNS + 1
    counts = np.eye(n, dtype=int) * 9
    counts[0, 4], counts[1, 1] = 3, 0
    table = table_of(counts.tolist(), [f"t{place}" for place in range(n)])
    assert table.records()[0] == {"type": "t0", "cells": 12, "right": 0.75, "other": "t4", "other_share": 0.25}
    assert table.records()[1] == {"type": "t1", "cells": 0, "right": None, "other": None, "other_share": None}
    assert table.records()[2]["other"] is None


def test_a_result_page_shows_the_matrix_behind_its_primary_score(site):
    place = site / "results/classification/toy-blood/svd"
    page = (place / "index.html").read_text(encoding="utf-8")
    section = page.split('id="confusion"')[1].split("</section>")[0]
    assert "Truncated SVD, logistic regression: which types are taken for which" in section
    assert "NK &lt;cell&gt; as CD4 T: 100 of 500" in section
    assert "details-confusion" not in page, "not once more among the details"
    (first, second) = csv.DictReader(io.StringIO((place / "confusion-matrix.csv").read_text()))
    assert first["as-NK <cell>"] == "5"
    assert float(second["as-CD4 T_share"]) == 0.2


def test_a_dataset_page_shows_those_of_the_baseline_and_of_the_first(site):
    page = (site / "datasets/toy-blood/index.html").read_text(encoding="utf-8")
    section = page.split('id="confusion"')[1].split("</section>")[0]
    assert section.index("PCA, logistic") < section.index("Raw expression, logistic")
    assert "Oracle" not in section
    for model in ("pca", "raw-expression"):
        assert f"confusion-classification-{model}.csv" in section
        assert (site / f"datasets/toy-blood/confusion-classification-{model}.csv").is_file()
    assert 'id="confusion"' not in (site / "results/clustering/toy-blood/pca/index.html").read_text(encoding="utf-8")
