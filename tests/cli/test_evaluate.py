"""``cellgauge evaluate``: one embedding of one's own, beside the baselines."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from cellgauge.cli import main

CLONE = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def pbmc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import scanpy as sc

    path = tmp_path_factory.mktemp("pbmc") / "pbmc68k_reduced.h5ad"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an old file format
        sc.datasets.pbmc68k_reduced().write_h5ad(path)
    return path


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """90 cells of three types from three donors, as counts."""
    rng = np.random.default_rng(0)
    types = np.repeat(["a", "b", "c"], 30)
    rates = rng.gamma(1.0, 2.0, (3, 40))[np.repeat(np.arange(3), 30)]
    obs = pd.DataFrame(
        {"type": types, "donor": np.tile(["d1", "d2", "d3"], 30), "one": "same"}, index=[f"cell{i}" for i in range(90)]
    )
    adata = ad.AnnData(rng.poisson(rates).astype(np.float32), obs=obs)
    adata.obsm["X_two"] = rng.normal(size=(90, 2)).astype(np.float32)
    path = tmp_path_factory.mktemp("toy") / "toy.h5ad"
    adata.write_h5ad(path)
    return path


def evaluate(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["--project", str(CLONE), "evaluate", *map(str, arguments)])


def as_json(*arguments: object) -> dict[str, Any]:
    outcome = evaluate(*arguments, "--json")
    assert outcome.exit_code == 0, outcome.output
    return json.loads(outcome.stdout)


def test_the_reference_numbers_are_printed_to_six_digits(pbmc: Path) -> None:
    tasks = ["--task", "clustering", "--task", "embedding", "--task", "classification"]
    found = evaluate("obsm/X_pca", pbmc, "--labels", "bulk_labels", *tasks, "--no-baselines", "--replicates", 100)
    assert found.exit_code == 0, found.output
    lines = {" ".join(line.split("  ")[1:2]): line.split() for line in found.output.splitlines() if line[:2] == "  "}
    expected = {
        "ARI (primary)": "0.428315",
        "NMI": "0.644046",
        "Silhouette (primary)": "0.550262",
        "Accuracy, Logistic regression": "0.764415",
        "Macro F1, Logistic regression (primary)": "0.668067",
        "Macro AUROC, Logistic regression": "0.957215",
        "Accuracy, 5 nearest neighbours": "0.674872",
        "Macro F1, 5 nearest neighbours": "0.532327",
        "Macro AUROC, 5 nearest neighbours": "0.851992",
        "Accuracy, Random forest": "0.829434",
        "Macro F1, Random forest": "0.728875",
        "Macro AUROC, Random forest": "0.972076",
    }
    assert {name: number for name, number in expected.items() if number not in lines[name]} == {}


def test_the_reference_numbers_of_batches_are_printed(pbmc: Path) -> None:
    columns = ["--labels", "bulk_labels", "--batch", "phase", "--task", "batch-integration"]
    found = evaluate("obsm/X_pca", pbmc, *columns, "--no-baselines", "--replicates", 100)
    assert found.exit_code == 0, found.output
    lines = {" ".join(line.split("  ")[1:2]): line.split() for line in found.output.splitlines() if line[:2] == "  "}
    expected = {"Batch silhouette": 0.898100, "Entropy, 200 neighbours (as cz-benchmarks)": 0.52397}
    for name, value in expected.items():
        printed = float(lines[name][len(name.split())])
        assert printed == pytest.approx(value, abs=1e-4), name


def test_what_decides_how_a_score_is_read_is_printed(toy: Path) -> None:
    """The donors that an interval is about, the k of the entropy, and whether a gain in mixing may count."""
    columns = ["--labels", "type", "--batch", "donor", "--donor", "donor", "--task", "batch-integration"]
    found = evaluate("obsm/X_two", toy, *columns, "--replicates", 100)
    assert found.exit_code == 0, found.output
    assert "uncertainty for these donors only" in found.output
    assert "conditional on the fitted model" in found.output
    assert "Cells in an entropy neighbourhood: 5" in found.output
    assert "its interval has to lie above −0.05 for a gain to count, and does not: a gain is in doubt" in found.output


def test_baselines_stand_beside_and_the_difference_is_paired(toy: Path, tmp_path: Path) -> None:
    labels = ad.read_h5ad(toy).obs["type"]
    good = pd.get_dummies(labels).astype(float) + np.random.default_rng(1).normal(scale=0.3, size=(90, 3))
    good.iloc[::-1].to_csv(tmp_path / "mine.csv")
    found = as_json(tmp_path / "mine.csv", toy, "--labels", "type", "--task", "embedding", "--seed", 1, "--seed", 2)
    assert found["matched_by"] == "cell id"
    (task,) = found["tasks"]
    assert task["seeds"] == [1, 2]
    (mine,) = [score for score in task["scores"] if score["metric"] == "silhouette-label"]
    assert mine["value"] > 0.7, "rows in another order are put in order by their ids"
    assert set(task["baselines"]) == {"pca", "oracle", "random"}
    assert (
        task["baselines"]["random"]["silhouette-label"]
        < mine["value"]
        < task["baselines"]["oracle"]["silhouette-label"]
    )
    gap = task["difference_to_baseline"]
    assert gap["value"] == pytest.approx(mine["value"] - task["baselines"]["pca"]["silhouette-label"])
    assert gap["low"] < gap["value"] < gap["high"]


def test_an_embedding_by_position_is_the_same_and_says_so(toy: Path, tmp_path: Path) -> None:
    values = np.random.default_rng(2).normal(size=(90, 4)).astype(np.float32)
    ids = ad.read_h5ad(toy).obs_names.to_numpy(dtype=str)
    order = np.random.default_rng(3).permutation(90)
    np.save(tmp_path / "plain.npy", values)
    np.savez(tmp_path / "named.npz", embedding=values[order], cell_ids=ids[order])
    pd.DataFrame(values[order], index=ids[order]).to_csv(tmp_path / "named.tsv.gz", sep="\t")
    options = ["--labels", "type", "--task", "embedding", "--no-baselines", "--replicates", 100]
    names = ("plain.npy", "named.npz", "named.tsv.gz")
    plain, named, table = (as_json(tmp_path / name, toy, *options) for name in names)
    assert (plain["matched_by"], named["matched_by"]) == ("position", "cell id")
    assert plain["tasks"] == named["tasks"]
    for one, other in zip(plain["tasks"][0]["scores"], table["tasks"][0]["scores"], strict=True):
        assert one["value"] == pytest.approx(other["value"], abs=1e-6)
    said = evaluate(tmp_path / "plain.npy", toy, *options).output
    assert "It brings no cell ids: its rows are taken to be in the order of the data." in said


def test_without_a_task_all_that_apply_are_evaluated(toy: Path) -> None:
    found = as_json("obsm/X_two", toy, "--labels", "type", "--donor", "donor", "--replicates", 100)
    assert [task["task"] for task in found["tasks"]] == ["classification", "clustering", "embedding"]
    classification = found["tasks"][0]
    assert classification["details"]["folds"] == "donors"
    assert classification["details"]["n_folds"] == 3


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["missing.npy", "TOY", "--labels", "type"], 1, "missing.npy: there is no such file"),
        (["obsm/X_three", "TOY", "--labels", "type"], 1, "obsm has no X_three. What it holds: X_two"),
        (
            ["obsm/X_two", "TOY", "--labels", "typ"],
            1,
            "obs has no column for label: typ. Its columns: type, donor, one",
        ),
        (["obsm/X_two", "TOY", "--labels", "one"], 1, "holds one class (same); at least two are needed"),
        (["obsm/X_two", "TOY"], 2, "No task can be evaluated without annotation"),
        (["obsm/X_two", "TOY", "--labels", "type", "--task", "ordering"], 2, "ordering needs --time"),
        (["obsm/X_two", "TOY", "--labels", "type", "--task", "perturbation"], 2, "perturbation scores predictions"),
        (["obsm/X_two", "TOY", "--labels", "type", "--task", "clusterin"], 1, 'did you mean "clustering"'),
        (["short.npy", "TOY", "--labels", "type"], 1, "expected 90 rows, one per cell, found 89"),
        (["strange.csv", "TOY", "--labels", "type"], 1, "1 cells are missing (for example cell0)"),
        (["twice.csv", "TOY", "--labels", "type"], 1, "1 cell ids occur more than once (for example cell1)"),
        (["nan.npy", "TOY", "--labels", "type"], 1, "1 values are NaN or infinite, in 1 cells (first: cell5)"),
        (["objects.npy", "TOY", "--labels", "type"], 1, "objects.npy: cannot be read as an embedding"),
        (["note.txt", "TOY", "--labels", "type"], 1, "expected .npy, .npz, .csv, .tsv or .h5ad, found .txt"),
        (["obsm/X_two", "note.txt", "--labels", "type"], 1, "note.txt"),
    ],
)
def test_bad_input_is_named(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    values, ids = np.ones((90, 2)), [f"cell{i}" for i in range(90)]
    np.save("short.npy", values[1:])
    pd.DataFrame(values, index=["strange", *ids[1:]]).to_csv("strange.csv")
    pd.DataFrame(values, index=["cell1", *ids[1:]]).to_csv("twice.csv")
    np.save("nan.npy", np.where(np.arange(180).reshape(90, 2) == 10, np.nan, 1.0))
    np.save("objects.npy", np.array([{"a": 1}] * 90, dtype=object))
    Path("note.txt").write_text("not an embedding")
    outcome = evaluate(*[str(toy) if one == "TOY" else one for one in arguments])
    assert outcome.exit_code == code, outcome.output
    assert message in " ".join(outcome.output.split())


def test_labels_of_samples_are_predicted_when_asked(tmp_path: Path) -> None:
    """A disease is that of all cells of a donor; for cell types such a column would be the label by another name."""
    rng = np.random.default_rng(1)
    donor = np.repeat(np.arange(8), 20)
    obs = pd.DataFrame(
        {
            "state": np.where(donor % 2, "ill", "well"),
            "donor": [f"d{i}" for i in donor],
            "sample": [f"s{i}" for i in donor],
        },
        index=[f"c{i}" for i in range(160)],
    )
    adata = ad.AnnData(rng.poisson(2 + 3 * np.eye(10)[donor % 2]).astype(np.float32), obs=obs)
    adata.obsm["X_mine"] = rng.normal(size=(160, 3)) + 5 * (donor % 2)[:, None]
    adata.write_h5ad(tmp_path / "samples.h5ad")
    columns = ["--labels", "state", "--donor", "donor", "--sample", "sample"]
    (task,) = as_json("obsm/X_mine", tmp_path / "samples.h5ad", *columns, "--task", "sample-prediction")["tasks"]
    scores = {score["metric"]: score for score in task["scores"]}
    assert scores["macro-f1"]["value"] == 1
    assert scores["macro-f1"]["interval"]["n_groups"] == 8
    assert set(task["baselines"]) == {"pca", "oracle", "random"}


def test_a_sparse_embedding_in_the_data_is_read(toy: Path, tmp_path: Path) -> None:
    from scipy import sparse

    adata = ad.read_h5ad(toy)
    adata.obsm["X_sparse"] = sparse.csr_matrix(adata.obsm["X_two"])
    adata.write_h5ad(tmp_path / "sparse.h5ad")
    options = ["--labels", "type", "--task", "embedding", "--no-baselines", "--replicates", 100]
    dense, same = (as_json(f"obsm/{key}", tmp_path / "sparse.h5ad", *options) for key in ("X_two", "X_sparse"))
    assert dense["tasks"] == same["tasks"]
