"""Metrics on a few cells or genes, worked out by hand: neither 0 nor 1, and no two of them the same."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from cellgauge.cards import DatasetCard
from cellgauge.data.content import read_content
from cellgauge.data.dataset import Dataset
from cellgauge.tasks import ordering
from cellgauge.tasks.agreement import contingency, information
from cellgauge.tasks.contract import Cells
from cellgauge.tasks.effects import compare
from cellgauge.tasks.folds import Fold, fold_scores
from cellgauge.tasks.integration import across_batches
from cellgauge.tasks.measured import Measured


def once(n: int) -> np.ndarray:
    return np.ones((1, n), dtype=np.float32)


def fold(first: int, truth: str, predicted: str) -> Fold:
    """Cells from position ``first`` on, of classes a, b and c; each is surely of the class that is predicted."""
    codes, named = (np.array(["abc".index(one) for one in word]) for word in (truth, predicted))
    return Fold.of(np.arange(first, first + len(codes)), codes, np.eye(3)[named])


def test_macro_precision_and_recall_of_six_cells() -> None:
    """Cells a a a b b c are named a a b b c b.

    Precision: a 2 of 2, b 1 of 3, c 0 of 1; mean 4/9. Recall: a 2 of 3, b 1 of 2, c 0 of 1; mean 7/18.
    """
    found = fold_scores([fold(0, "aaabbc", "aabbcb")], once(6))
    assert found["macro-precision"][0] == pytest.approx(4 / 9)
    assert found["macro-recall"][0] == pytest.approx(7 / 18)
    assert found["accuracy"][0] == pytest.approx(3 / 6)


def test_macro_precision_and_recall_are_means_over_folds_and_over_the_classes_that_a_fold_holds() -> None:
    """To the six cells comes a fold of a b b, named a c b.

    Its classes are a and b: precision 1 and 1, recall 1 and 1/2; means 1 and 3/4. Over both folds: (4/9 + 1)/2 = 13/18
    and (7/18 + 3/4)/2 = 41/72.
    """
    found = fold_scores([fold(0, "aaabbc", "aabbcb"), fold(6, "abb", "acb")], once(9))
    assert found["macro-precision"][0] == pytest.approx(13 / 18)
    assert found["macro-recall"][0] == pytest.approx(41 / 72)


def test_a_class_that_is_never_named_has_precision_0() -> None:
    """Cells a a b b are all named a: precision 2 of 4 and 0, recall 1 and 0."""
    found = fold_scores([fold(0, "aabb", "aaaa")], once(4))
    assert found["macro-precision"][0] == pytest.approx(1 / 4)
    assert found["macro-recall"][0] == pytest.approx(1 / 2)


def test_information_of_eight_cells_in_two_classes_and_four_clusters() -> None:
    """Clusters AA, AB, AB, BB of four cells A and four B.

    Entropy of the classes: 1 bit. Of the clusters: 2 bits. In half of the cells, those of the mixed clusters, the class
    stays open by 1 bit; so 1/2 bit is shared. Homogeneity (1/2)/1, completeness (1/2)/2, and NMI 2 · (1/2)/(1 + 2).
    """
    found = information(contingency(np.array(list("AAABABBB")), np.array([1, 1, 2, 2, 3, 3, 4, 4]), once(8)))
    assert found["homogeneity"][0] == pytest.approx(1 / 2)
    assert found["completeness"][0] == pytest.approx(1 / 4)
    assert found["normalized-mutual-information"][0] == pytest.approx(1 / 3)


def test_a_class_cut_in_two_is_homogeneous_and_not_complete() -> None:
    """AAAA and BB, BB: 1 bit of 1 and of 1.5 is shared, so 1, 2/3 and 2 · 1/(1 + 1.5) = 4/5."""
    found = information(contingency(np.array(list("AAAABBBB")), np.array([1, 1, 1, 1, 2, 2, 3, 3]), once(8)))
    assert found["homogeneity"][0] == pytest.approx(1)
    assert found["completeness"][0] == pytest.approx(2 / 3)
    assert found["normalized-mutual-information"][0] == pytest.approx(4 / 5)


def test_the_most_significant_genes_of_a_perturbation() -> None:
    """Six genes, of which the second, fourth and fifth are the top ones.

    On these the measured effects are 0, 1, 2 and the predicted ones 1, 0, 5. About their means: −1, 0, 1 and −1, −2, 3;
    the correlation is 4/√(2 · 14) = 2/√7. Differences are 1, −1, 3, and the mean of their squares 11/3.
    """
    of_control, seen = np.full(6, 3.0), np.full(6, 2.0)
    effect = np.array([9.0, 0, 9, 1, 2, -2])
    predicted = np.array([[-1.0, 1, -1, 0, 5, 9]]) + seen
    screen = Measured(
        truth=(of_control + effect)[None],
        control=of_control,
        repeat=(of_control + effect)[None],
        seen_control=seen,
        training_mean=of_control,
        detected=np.ones(6, dtype=bool),
        targeted=np.zeros((1, 6), dtype=bool),
        n_responding=np.array([3]),
        top=(np.array([4, 1, 3]),),
        n_cells=np.array([10]),
    )
    found = compare(predicted, screen, {"n_top_genes": 3, "jaccard_genes": 2, "lfc_pseudocount": 0.1})
    assert found["pearson-delta-top20"].values[0] == pytest.approx(2 / np.sqrt(7))
    assert found["delta-mse-top20"].values[0] == pytest.approx(11 / 3)
    assert found["pearson-delta"].values[0] < 0, "over all genes it is another number"


def test_the_silhouette_by_time_of_six_cells_on_a_line() -> None:
    """Two cells each at days 0, 1 and 2, at 0 1, 4 5 and 8 9.

    The other cell of the day is at distance 1. To the nearest other day it is 4.5 from the two outermost cells and 3.5
    from the four others: silhouettes 7/9 and 5/7, whose mean is (2 · 7/9 + 4 · 5/7)/6 = 139/189. Rescaled: 164/189.
    """
    line = np.array([[0], [1], [4], [5], [8], [9]], dtype=np.float32)
    cells = Cells({"time": np.array(["0", "0", "1", "1", "2", "2"])})
    fit = ordering.prepare(line, cells, {"n_neighbors": 1}, ["silhouette-time"])(42)
    assert fit.scores(once(6))["silhouette-time"][0] == pytest.approx(164 / 189)
    assert fit.details["silhouette_by_time"] == pytest.approx({"0": 55 / 63, "1": 6 / 7, "2": 55 / 63})


@pytest.mark.parametrize(
    ("embedding", "share"), [([0.0, 2.0, 1.0, 3.0], 1 / 5), ([0.0, 2.0, 4.0, 6.0], 4 / 5)], ids=["less", "more"]
)
def test_the_variance_that_batches_explain_in_four_cells(
    dataset_card: Callable[..., DatasetCard], embedding: list[float], share: float
) -> None:
    """Expression at the corners of a square, each batch on one side: between them lies 4 of the sum of squares, 8.

    Embedded at 0 2 and 1 3 the batches' means are 1 and 2, and 4 · (1/2)² = 1 of 5 lies between them. At 0 2 and 4 6
    the means are 1 and 5, and it is 4 · 2² = 16 of 20. Of the share in expression, 1/2, there is left (1/5)/(1/2) or
    (4/5)/(1/2), and 1 − that is the score: 0.6, or −0.6 where the batches became plainer.
    """
    expression = np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]], dtype=np.float32)
    columns = {"label": np.array(["a", "b", "a", "b"]), "batch": np.array(["x", "x", "y", "y"])}
    ids, genes = np.array(["c0", "c1", "c2", "c3"]), np.array(["g0", "g1"])
    matrix = {"location": "X", "values": "scaled", "features": "gene symbols"}
    card = dataset_card(matrix=matrix, columns={"label": "type", "batch": "run"})
    dataset = Dataset(card, expression, ids, genes, columns, None, read_content(expression, ids, genes, columns))
    params = {
        "max_neighbors": 50,
        "min_cells_per_group": 10,
        "compatibility_neighbors": 200,
        "lisi_neighbors": 90,
        "graph_neighbors": 15,
        "expression_components": 2,
        "expression_genes": 2,
    }
    cells = np.array(embedding, dtype=np.float32)[:, None]
    fit = across_batches(cells, Cells(columns, dataset), params, ["pcr-batch"])(42)
    assert fit.undefined == {}
    assert fit.scores(once(4))["pcr-batch"][0] == pytest.approx(1 - share / (1 / 2))
