"""Each sanity gate of predictions catches the model that is wrong in its way, and lets honest models pass."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from sklearn.neural_network import MLPRegressor

from cellgauge.cards import ModelCard
from cellgauge.cards.dataset import DatasetCard
from cellgauge.cards.read import read_card
from cellgauge.data.dataset import load_dataset
from cellgauge.data.screen import mean_profiles, training_file
from cellgauge.data.store import FileStore
from cellgauge.models import perturbation as models
from cellgauge.models.cache import Cost, Genes
from cellgauge.models.embedding import InvalidOutputError
from cellgauge.models.linear import log_normalised
from cellgauge.results.schema import Environment, Gate
from cellgauge.results.store import read_result, result_path
from cellgauge.runner.calling import Called
from cellgauge.runner.execute import execute
from cellgauge.runner.plan import Filters, pairs_to_run, save_plan
from cellgauge.runner.prediction_gating import run_prediction_gates, smaller
from cellgauge.runner.steps import Context
from cellgauge.stats.resampling import generator

CLONE = Path(__file__).parents[2]
COST = Cost(wall_s=0, cpu_s=0, peak_memory_mb=None, memory_method=None)
HERE = Environment(python="3", cellgauge="0", packages={}, platform="test", cpu="test")
RIDGE = partial(models.ridge, alpha=0.1)
PASSED = {"order": "passed", "batch-size": "passed", "determinism": "passed", "not-a-control": "passed"}
Model = Callable[..., pd.DataFrame]


def shown(dataset: str, folder: Path) -> ad.AnnData:
    """What models are given of one of the project's screens."""
    card = read_card(CLONE / f"site_src/datasets/{dataset}.md", DatasetCard)
    return training_file(load_dataset(card, CLONE, FileStore(folder)), 42)


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> ad.AnnData:
    return shown("simulated-perturbation", tmp_path_factory.mktemp("cells"))


@pytest.fixture(scope="module")
def norman(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> ad.AnnData:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CELLGAUGE_MIRROR", str(shared_data / "raw"))
        return shown("norman-2019-subset", tmp_path_factory.mktemp("cells"))


def gates_of(
    screen: ad.AnnData, model: Model, *, seeded: bool = False, genes: Genes | None = None, fit: str = "dataset"
) -> dict[str, Gate]:
    card = {
        "id": "m", "name": "M", "summary": "Made for a test.", "version": 1, "role": "model",
        "obtain": {"kind": "function", "function": "a.b:c"}, "output": "prediction", "fit": fit,
        "pretrained": False, "seeded": seeded, "input": {"values": ["log-normalised"]},
    }  # fmt: skip

    def call(part: ad.AnnData, seed: int) -> Called:
        return Called(model(part.copy(), seed=seed), COST, HERE, genes)

    found = run_prediction_gates(ModelCard.model_validate(card), screen, call, 42, "screen")
    return {gate.name: gate for gate in found}


def outcomes(found: dict[str, Gate]) -> dict[str, str]:
    return {name: gate.outcome for name, gate in found.items()}


# Models. All that are not in the package are made from these two.


def means(
    adata: ad.AnnData, names: np.ndarray | None = None, draw: Callable[[np.ndarray], np.ndarray] = np.asarray
) -> pd.DataFrame:
    """Mean profiles of the controls and of each training perturbation, of the cells that are drawn."""
    names = adata.obs["perturbation"].to_numpy(dtype=str) if names is None else names
    every = np.unique(names).tolist()
    profiles = mean_profiles(log_normalised(adata).X, (draw(np.flatnonzero(names == one)) for one in every))
    return pd.DataFrame(profiles, index=every, columns=adata.var_names)


def with_replacement(seed: int) -> Callable[[np.ndarray], np.ndarray]:
    rng = np.random.default_rng(seed)
    return lambda cells: rng.choice(cells, len(cells))


def foretold(adata: ad.AnnData, profiles: pd.DataFrame) -> pd.DataFrame:
    """The mean of all perturbations, changed by what is special to the genes that were seen alone."""
    shared = profiles.drop(index=adata.uns["control"]).mean()
    special = profiles - shared
    predict = {name: [gene for gene in name.split("+") if gene in special.index] for name in adata.uns["predict"]}
    return pd.DataFrame({name: shared + special.loc[genes].sum() for name, genes in predict.items()}).T


def honest(adata: ad.AnnData, *, seed: int) -> pd.DataFrame:
    return foretold(adata, means(adata))


def from_drawn_cells(adata: ad.AnnData, *, seed: int) -> pd.DataFrame:
    """Draws cells with replacement, as models that transform controls do."""
    return foretold(adata, means(adata, draw=with_replacement(seed)))


def network(adata: ad.AnnData, *, seed: int) -> pd.DataFrame:
    """Trained from a random start in random batches, so that every seed gives another model."""
    profiles = means(adata)
    seen = sorted({gene for name in profiles.index for gene in name.split("+")})

    def coded(names: list[str]) -> list[list[float]]:
        return [[float(gene in name.split("+")) for gene in seen] for name in names]

    fitted = MLPRegressor(
        hidden_layer_sizes=(32,), random_state=seed, max_iter=60, batch_size=8, tol=0, n_iter_no_change=60
    )
    predict = list(adata.uns["predict"])
    fitted.fit(coded(list(profiles.index)), profiles.to_numpy())
    return pd.DataFrame(fitted.predict(coded(predict)), index=predict, columns=adata.var_names)


def controls_drawn(adata: ad.AnnData, *, seed: int) -> pd.DataFrame:
    """The same for all perturbations, and another with each seed."""
    profile = means(adata, draw=with_replacement(seed)).loc[adata.uns["control"]]
    return pd.DataFrame([profile] * len(adata.uns["predict"]), index=adata.uns["predict"])


# Models that are wrong in one way each.

FORGETFUL = """
from cellgauge.models.perturbation import no_change

def forgetful(adata, *, seed):
    return no_change(adata, seed=seed)[sorted(adata.var_names)].set_axis(adata.var_names, axis=1)
"""


def named_by_appearance(adata: ad.AnnData, *, seed: int) -> pd.DataFrame:
    """Numbers the perturbations as they appear in the file, and names the numbers by the alphabet."""
    codes, found = pd.factorize(adata.obs["perturbation"].to_numpy(dtype=str))
    return foretold(adata, means(adata, np.sort(found)[codes]))


def answered_by_the_alphabet(adata: ad.AnnData, *, seed: int) -> pd.DataFrame:
    """Predicts in one order what was asked in another."""
    asked = list(adata.uns["predict"])
    return honest(adata, seed=seed).loc[sorted(asked)].set_axis(asked)


def genes_by_the_alphabet(adata: ad.AnnData, *, seed: int) -> pd.DataFrame:
    """Sorts the genes for its network, and never puts them back."""
    return honest(adata, seed=seed)[sorted(adata.var_names)].set_axis(adata.var_names, axis=1)


def all_the_same_genes_by_the_alphabet(adata: ad.AnnData, *, seed: int) -> pd.DataFrame:
    return models.no_change(adata, seed=seed)[sorted(adata.var_names)].set_axis(adata.var_names, axis=1)


def one_less_when_turned(adata: ad.AnnData, *, seed: int) -> pd.DataFrame:
    """Leaves out what is asked last."""
    return honest(adata, seed=seed).loc[adata.uns["predict"][: max(1, len(adata.uns["predict"]) - 1)]]


def centred_on_what_is_asked(adata: ad.AnnData, *, seed: int) -> pd.DataFrame:
    """Normalises over the batch that it predicts."""
    found = honest(adata, seed=seed)
    return found - found.mean() + means(adata).loc[adata.uns["control"]]


def unseeded(adata: ad.AnnData, *, seed: int) -> pd.DataFrame:
    return from_drawn_cells(adata, seed=np.random.SeedSequence().entropy % 2**32)


def noise(adata: ad.AnnData, *, seed: int) -> pd.DataFrame:
    asked = list(adata.uns["predict"])
    values = np.random.default_rng(seed).normal(size=(len(asked), adata.n_vars))
    return pd.DataFrame(values, index=asked, columns=adata.var_names)


def noise_by_name(adata: ad.AnnData, *, seed: int) -> pd.DataFrame:
    """Random numbers that stay with their perturbation and gene: in order, deterministic, and knowing nothing."""
    rows = {name: [generator(name, gene).normal() for gene in adata.var_names] for name in adata.uns["predict"]}
    return pd.DataFrame.from_dict(rows, orient="index", columns=adata.var_names)


def flat(adata: ad.AnnData, *, seed: int) -> pd.DataFrame:
    return pd.DataFrame(1.0, index=adata.uns["predict"], columns=adata.var_names)


@pytest.mark.parametrize("screen", ["simulated", pytest.param("norman", marks=pytest.mark.data)])
@pytest.mark.parametrize(
    ("model", "seeded"),
    [
        (models.no_change, False),
        (models.perturbation_mean, False),
        (models.additive, False),
        (RIDGE, False),
        (honest, False),
        (from_drawn_cells, True),
        (network, True),
        (controls_drawn, True),
    ],
    ids=["no change", "mean", "additive", "ridge", "own", "drawn cells", "network", "drawn controls"],
)
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_honest_models_pass(screen: str, model: Model, seeded: bool, request: pytest.FixtureRequest) -> None:
    found = gates_of(request.getfixturevalue(screen), model, seeded=seeded, genes=Genes(known=1000, found=400))
    assert outcomes(found) == {**PASSED, "coverage": "passed"}, found


@pytest.mark.parametrize(
    "model",
    [named_by_appearance, answered_by_the_alphabet, genes_by_the_alphabet, all_the_same_genes_by_the_alphabet],
)
def test_profiles_under_wrong_names_are_caught(simulated: ad.AnnData, model: Model) -> None:
    found = gates_of(simulated, model)
    assert found["order"].outcome == "failed", found["order"]
    assert found["determinism"].outcome == "passed", "the same wrong names each time"


@pytest.mark.data
@pytest.mark.parametrize("model", [named_by_appearance, answered_by_the_alphabet, genes_by_the_alphabet])
def test_profiles_under_wrong_names_are_caught_on_real_cells(norman: ad.AnnData, model: Model) -> None:
    assert gates_of(norman, model)["order"].outcome == "failed"


def test_perturbations_that_come_and_go_are_caught(simulated: ad.AnnData) -> None:
    found = gates_of(simulated, one_less_when_turned)
    assert outcomes(found)["order"] == outcomes(found)["batch-size"] == "failed"
    assert re.search(
        r"[12] of 16 perturbations are predicted in one of two calls and not in the other", found["order"].evidence
    )


def test_normalising_over_what_is_asked_is_caught(simulated: ad.AnnData) -> None:
    found = gates_of(simulated, centred_on_what_is_asked)
    assert outcomes(found) == {**PASSED, "batch-size": "failed", "coverage": "not applicable"}, found


def test_what_is_fitted_here_has_to_answer_each_question_by_itself_too(simulated: ad.AnnData) -> None:
    for fit in ("none", "dataset"):
        assert gates_of(simulated, centred_on_what_is_asked, fit=fit)["batch-size"].outcome == "failed"


def test_a_model_that_ignores_its_seed_is_caught(simulated: ad.AnnData) -> None:
    found = gates_of(simulated, unseeded)
    assert found["determinism"].outcome == "failed"
    assert found["order"].outcome == "passed"


def test_the_wrong_names_of_genes_are_caught(simulated: ad.AnnData) -> None:
    found = gates_of(simulated, models.no_change, genes=Genes(known=20_000, found=3))
    assert outcomes(found) == {**PASSED, "coverage": "failed"}


@pytest.mark.parametrize(("model", "seeded"), [(noise, True), (noise_by_name, False), (flat, False)])
def test_noise_is_caught(simulated: ad.AnnData, model: Model, seeded: bool) -> None:
    found = gates_of(simulated, model, seeded=seeded)
    assert found["not-a-control"].outcome == "failed", found
    assert found["determinism"].outcome == "passed"


def test_where_each_seed_gives_other_profiles_nothing_is_said_of_the_order(simulated: ad.AnnData) -> None:
    assert outcomes(gates_of(simulated, noise, seeded=True))["order"] == "not applicable"


def test_a_single_perturbation_leaves_none_to_leave_out(simulated: ad.AnnData) -> None:
    def one(adata: ad.AnnData, *, seed: int) -> pd.DataFrame:
        return honest(adata, seed=seed).loc[[min(adata.uns["predict"])]]

    found = gates_of(simulated, one)
    assert outcomes(found) == {**PASSED, "batch-size": "not applicable", "coverage": "not applicable"}


def test_too_few_genes_are_said_to_be_too_few(simulated: ad.AnnData) -> None:
    found = gates_of(simulated[:, :29].copy(), honest)
    assert found["not-a-control"].outcome == "not applicable"
    assert "the controls express 29 genes; 30 are needed" in found["not-a-control"].evidence


def test_output_that_is_refused_is_refused_here_too(simulated: ad.AnnData) -> None:
    with pytest.raises(InvalidOutputError, match="1 genes are missing"):
        gates_of(simulated, lambda adata, seed: honest(adata, seed=seed).iloc[:, 1:])


@pytest.mark.slow
def test_a_run_records_the_gates_of_predictions_and_none_of_controls(tiny, in_process) -> None:
    tiny.model("forgetful")
    card = tiny.folder / "site_src/models/forgetful.md"
    card.write_text(card.read_text().replace("output: embedding", "output: prediction"))
    (tiny.folder / "site_src/models/wrong.py").write_text(FORGETFUL)
    shutil.copy(CLONE / "site_src/datasets/simulated-perturbation.md", tiny.folder / "site_src/datasets")
    chosen = ["forgetful", "no-change", "shuffled-effect"]
    cards, filters = tiny.cards(), Filters(chosen, ["simulated-perturbation"], ["perturbation"])
    plan = save_plan(tiny.project, cards, "r", filters, rehearsal=True)
    folder = tiny.project.release("r")
    context = Context(tiny.project, cards, "r", False, tiny.cache)
    execute(context, pairs_to_run(folder, plan, filters), in_process(), lambda event: None)
    gates = {
        model: {
            gate.name: gate.outcome
            for gate in read_result(result_path(folder, "perturbation", "simulated-perturbation", model)).gates
        }
        for model in chosen
    }
    assert gates["no-change"] == {**PASSED, "coverage": "not applicable"}
    assert gates["forgetful"] == {**PASSED, "order": "failed", "coverage": "not applicable"}
    assert gates["shuffled-effect"] == {}


# The small screen.


def test_the_small_screen_is_small_and_asks_for_every_kind(simulated: ad.AnnData) -> None:
    small = smaller(simulated, np.random.default_rng(0))
    of_one = small.obs["perturbation"].value_counts()
    assert of_one.pop("control") == 128
    assert (len(of_one), of_one.max()) == (26, 16)
    assert list(small.var_names) == list(simulated.var_names)
    asked = small.uns["predict"]
    assert len(asked) == 16
    assert asked == sorted(asked)
    assert set(asked) < set(simulated.uns["predict"])
    kinds = [(name.count("+"), sum(gene in of_one.index for gene in name.split("+"))) for name in asked]
    assert {kind: kinds.count(kind) for kind in kinds} == {(0, 0): 4, (1, 0): 4, (1, 1): 4, (1, 2): 4}


def test_the_genes_that_are_asked_for_are_trained_on_first(simulated: ad.AnnData) -> None:
    cells = 900
    names = np.array(["control"] * 100 + [f"G{n}" for n in range(100)] * 4 + [f"G{n}+G{n + 1}" for n in range(100)] * 4)
    wide = ad.AnnData(np.ones((cells, 3)), obs=pd.DataFrame({"perturbation": names}, index=map(str, range(cells))))
    asked = [f"G{n}+G{n + 50}" for n in range(0, 40, 2)]
    wide.uns = {**simulated.uns, "predict": asked, "validation": ["G0", "G99+G100"]}
    small = smaller(wide, np.random.default_rng(0))
    kept = set(small.obs["perturbation"]) - {"control"}
    assert len(kept) == 64
    assert {gene for name in small.uns["predict"] for gene in name.split("+")} <= kept
    assert set(small.uns["validation"]) <= kept
    assert small.n_obs == 100 + 64 * 4
