"""Every metric against an implementation that shares no code with ours, under weights too."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from sklearn import metrics

from cellgauge.tasks import classification, embedding
from cellgauge.tasks.agreement import adjusted_rand, contingency, information
from cellgauge.tasks.contract import Cells, UnscorableError
from cellgauge.tasks.folds import Fold, class_scores, fold_scores

SILHOUETTES = ["silhouette-label"]
EVERY_VIEW = [f"accuracy@{view}" for view in ("logistic-regression", "knn", "random-forest")]


@pytest.fixture(params=range(4))
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    return np.random.default_rng(request.param)


def partitions(rng: np.random.Generator, n: int = 60) -> tuple[np.ndarray, np.ndarray]:
    classes = rng.integers(0, 4, n)
    clusters = np.where(rng.random(n) < 0.6, classes, rng.integers(0, 6, n))
    return classes.astype(str), clusters.astype(str)


def once(n: int) -> np.ndarray:
    return np.ones((1, n), dtype=np.float32)


def test_agreement_is_scikit_learns(rng: np.random.Generator) -> None:
    classes, clusters = partitions(rng)
    tables = contingency(classes, clusters, once(60))
    assert adjusted_rand(tables)[0] == pytest.approx(metrics.adjusted_rand_score(classes, clusters))
    found = information(tables)
    assert found["normalized-mutual-information"][0] == pytest.approx(
        metrics.normalized_mutual_info_score(classes, clusters)
    )
    assert found["homogeneity"][0] == pytest.approx(metrics.homogeneity_score(classes, clusters))
    assert found["completeness"][0] == pytest.approx(metrics.completeness_score(classes, clusters))


def test_weighted_information_is_that_of_repeated_cells(rng: np.random.Generator) -> None:
    classes, clusters = partitions(rng)
    weights = rng.multinomial(60, np.full(60, 1 / 60)).astype(np.float32)
    repeat = np.repeat(np.arange(60), weights.astype(int))
    found = information(contingency(classes, clusters, weights[None]))
    assert found["normalized-mutual-information"][0] == pytest.approx(
        metrics.normalized_mutual_info_score(classes[repeat], clusters[repeat])
    )


def test_weighted_rand_counts_pairs_of_distinct_cells(rng: np.random.Generator) -> None:
    classes, clusters = partitions(rng, 20)
    weights = rng.integers(0, 3, 20).astype(np.float32)
    both = same_class = same_cluster = total = 0.0
    for i, j in itertools.combinations(range(20), 2):
        pair = weights[i] * weights[j]
        total += pair
        same_class += pair * (classes[i] == classes[j])
        same_cluster += pair * (clusters[i] == clusters[j])
        both += pair * (classes[i] == classes[j] and clusters[i] == clusters[j])
    expected = same_class * same_cluster / total
    ari = (both - expected) / ((same_class + same_cluster) / 2 - expected)
    assert adjusted_rand(contingency(classes, clusters, weights[None]))[0] == pytest.approx(ari)


def test_bug_resampling_lifted_the_rand_index_of_chance() -> None:
    """Copies of a cell agree with each other; counted as pairs they put random clusters above chance."""
    rng = np.random.default_rng(0)
    classes, clusters = rng.integers(0, 5, 500).astype(str), rng.integers(0, 20, 500).astype(str)
    weights = rng.multinomial(500, np.full(500, 1 / 500), size=400).astype(np.float32)
    resampled = adjusted_rand(contingency(classes, clusters, weights))
    point = adjusted_rand(contingency(classes, clusters, once(500)))[0]
    assert abs(resampled.mean() - point) < 3 * resampled.std() / np.sqrt(400) + 0.001


def test_trivial_partitions_agree_as_in_scikit_learn() -> None:
    classes = np.array(["a"] * 5)
    tables = contingency(classes, classes, once(5))
    assert adjusted_rand(tables)[0] == metrics.adjusted_rand_score(classes, classes) == 1
    assert information(tables)["homogeneity"][0] == metrics.homogeneity_score(classes, classes) == 1


@pytest.mark.slow
def test_silhouettes_are_those_of_scib_metrics(rng: np.random.Generator) -> None:
    scib_metrics = pytest.importorskip("scib_metrics")
    labels = rng.integers(0, 3, 60)
    cells = rng.normal(size=(60, 5)).astype(np.float32) + labels[:, None]
    fit = embedding.prepare(cells, Cells({"label": labels.astype(str)}), {"n_neighbors": 5}, SILHOUETTES)(0)
    assert fit.scores(once(60))["silhouette-label"][0] == pytest.approx(
        scib_metrics.silhouette_label(cells, labels.astype(str)), abs=1e-5
    )


def test_embedding_scores_by_definition(rng: np.random.Generator) -> None:
    labels = rng.integers(0, 3, 30).astype(str)
    cells = rng.normal(size=(30, 4)).astype(np.float32)
    distances = np.linalg.norm(cells[:, None] - cells[None], axis=2)
    silhouette, purity = [], []
    for i in range(30):
        others = np.arange(30) != i
        own = distances[i, others & (labels == labels[i])].mean()
        nearest = min(distances[i, labels == other].mean() for other in set(labels) - {labels[i]})
        silhouette.append(((nearest - own) / max(own, nearest) + 1) / 2)
        neighbours = np.argsort(np.where(others, distances[i], np.inf))[:5]
        purity.append((labels[neighbours] == labels[i]).mean())
    by_label = [np.mean(np.array(silhouette)[labels == name]) for name in np.unique(labels)]
    found = embedding.prepare(cells, Cells({"label": labels}), {"n_neighbors": 5}, SILHOUETTES)(0).scores(once(30))
    assert found["silhouette-label"][0] == pytest.approx(np.mean(silhouette), abs=1e-6)
    assert found["silhouette-label-macro"][0] == pytest.approx(np.mean(by_label), abs=1e-6)
    assert found["silhouette-worst-label"][0] == pytest.approx(np.min(by_label), abs=1e-6)
    assert found["knn-label-purity"][0] == pytest.approx(np.mean(purity))


def test_auroc_is_scikit_learns_with_ties_and_weights(rng: np.random.Generator) -> None:
    positive = rng.random(80) < 0.3
    score = np.round(rng.random(80) + 0.3 * positive, 1)
    weights = rng.integers(0, 4, (3, 80)).astype(np.float32)
    expected = [metrics.roc_auc_score(positive, score, sample_weight=row) for row in weights]
    fold = Fold.of(np.arange(80), positive.astype(np.intp), np.column_stack([1 - score, score]))
    np.testing.assert_allclose(fold_scores([fold], weights)["macro-auroc"], expected)


def test_auroc_without_negatives_or_positives_has_no_value() -> None:
    fold = Fold.of(np.arange(4), np.array([0, 0, 1, 1]), np.tile([0.5, 0.5], (4, 1)))
    found = fold_scores([fold], np.array([[1, 1, 0, 0], [1, 1, 1, 1]], dtype=np.float32))["macro-auroc"]
    assert np.isnan(found[0])
    assert found[1] == 0.5


def test_fold_scores_are_scikit_learns_under_weights(rng: np.random.Generator) -> None:
    folds, expected = [], []
    weights = rng.integers(1, 4, 90).astype(np.float32)
    for cells in np.split(rng.permutation(90), 3):
        truth = np.r_[np.arange(3), rng.integers(0, 3, 27)]
        probability = rng.dirichlet(np.ones(4), 30) + 0.5 * np.eye(4)[truth]
        probability /= probability.sum(axis=1, keepdims=True)
        fold = Fold.of(cells, truth, probability)
        folds.append(fold)
        labels, weight = [0, 1, 2], weights[cells]
        common = {"labels": labels, "average": "macro", "sample_weight": weight, "zero_division": 0}
        expected.append(
            {
                "accuracy": metrics.accuracy_score(truth, fold.predicted, sample_weight=weight),
                "macro-f1": metrics.f1_score(truth, fold.predicted, **common),
                "macro-precision": metrics.precision_score(truth, fold.predicted, **common),
                "macro-recall": metrics.recall_score(truth, fold.predicted, **common),
                "macro-auroc": np.mean(
                    [metrics.roc_auc_score(truth == c, probability[:, c], sample_weight=weight) for c in labels]
                ),
            }
        )
    found = fold_scores(folds, weights[None])
    for metric in expected[0]:
        assert found[metric][0] == pytest.approx(np.mean([one[metric] for one in expected])), metric


def test_scores_of_each_class_are_scikit_learns(rng: np.random.Generator) -> None:
    """The last class is in one fold alone, and its scores are those of that fold."""
    folds, expected = [], []
    for n_classes, cells in ((3, np.arange(30)), (4, np.arange(30, 60))):
        truth = np.r_[np.arange(n_classes), rng.integers(0, n_classes, 30 - n_classes)]
        probability = rng.dirichlet(np.ones(4), 30) + 0.5 * np.eye(4)[truth]
        fold = Fold.of(cells, truth, probability / probability.sum(axis=1, keepdims=True))
        folds.append(fold)
        how = {"labels": range(4), "zero_division": 0}
        precision, recall, f1, _ = metrics.precision_recall_fscore_support(truth, fold.predicted, **how)
        auroc = [metrics.roc_auc_score(truth == c, fold.probability[:, c]) for c in range(n_classes)]
        auroc += [np.nan] * (4 - n_classes)
        expected.append({"f1": f1, "precision": precision, "recall": recall, "auroc": np.array(auroc)})
    found = class_scores(folds)
    for metric, values in found.items():
        mean = [np.mean([one[metric][c] for one in expected[c == 3 :]]) for c in range(4)]
        np.testing.assert_allclose(values, mean, err_msg=metric)


def test_confusion_over_folds_is_scikit_learns(rng: np.random.Generator) -> None:
    truth, probability = rng.integers(0, 5, 300), rng.random((300, 5))
    truth[truth == 3] = 2  # a class without cells keeps its row and column
    folds = [Fold.of(cells, truth[cells], probability[cells]) for cells in np.array_split(rng.permutation(300), 4)]
    found = classification.confusion(folds, 5)
    assert (found == metrics.confusion_matrix(truth, probability.argmax(axis=1), labels=range(5))).all()
    assert found.sum(axis=1).tolist() == np.bincount(truth, minlength=5).tolist()


def test_the_names_of_classes_never_change_a_score(rng: np.random.Generator) -> None:
    codes = np.repeat([0, 1], 20)
    cells = rng.normal(size=(40, 3)).astype(np.float32) + codes[:, None]
    params = {"n_folds": 4, "min_cells_per_class": 10, "knn_neighbors": 3, "n_trees": 5, "max_iterations": 200}
    views = [
        classification.prepare(cells, Cells({"label": np.array(names)[codes]}), params, EVERY_VIEW)(1).scores(once(40))
        for names in (["a", "b"], ["b", "a"])
    ]
    for key in (key for key in views[0] if not key.endswith("@random-forest")):
        assert views[0][key] == pytest.approx(views[1][key], abs=1e-6), key


def test_too_few_classes_to_classify_are_no_error_of_the_model() -> None:
    labels = np.array(["a"] * 30 + ["b"] * 5)
    params = {"n_folds": 5, "min_cells_per_class": 10, "knn_neighbors": 5, "n_trees": 5, "max_iterations": 100}
    with pytest.raises(UnscorableError, match=r"1 classes have 10 cells or more; .* \(found: a 30, b 5\)"):
        classification.prepare(np.ones((35, 2), dtype=np.float32), Cells({"label": labels}), params, EVERY_VIEW)
