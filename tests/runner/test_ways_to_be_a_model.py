"""Functions, containers and precomputed outputs go one way through a run; what a machine lacks is a typed empty."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cellgauge.results.schema import Result
from cellgauge.results.store import read_result, result_path
from cellgauge.runner.execute import execute
from cellgauge.runner.plan import Filters, decide, pairs_to_run, save_plan
from cellgauge.runner.steps import Context

FILTERS = ["tiny"]
CONTAINER = 'kind: container, folder: linear, params: {model: svd, n_components: 4}, tried_with: "no weights needed"'


def run(tiny, in_process, *models: str, task: str = "embedding") -> dict[str, Result]:
    cards = tiny.cards()
    filters = Filters(list(models), FILTERS, [task])
    plan = save_plan(tiny.project, cards, "r", filters, rehearsal=True)
    folder = tiny.project.release("r")
    context = Context(tiny.project, cards, "r", False, tiny.cache)
    execute(context, pairs_to_run(folder, plan, filters), in_process(), lambda event: None)
    paths = {model: result_path(folder, task, "tiny", model) for model in models}
    return {model: read_result(path) for model, path in paths.items() if path.is_file()}


@pytest.fixture
def images(tiny) -> None:
    """The project's image folders, in the small project."""
    import shutil

    generator = Path(__file__).parents[2] / "generator"
    shutil.copytree(generator / "images", tiny.folder / "generator/images")
    models = tiny.folder / "generator/cellgauge/models"
    models.mkdir(parents=True)
    for file in ("linear.py", "variational.py"):
        shutil.copyfile(generator / "cellgauge/models" / file, models / file)


def precomputed(tiny, frame: pd.DataFrame, **changes: str) -> None:
    path = tiny.folder / "site_src/models/elsewhere.csv"
    frame.to_csv(path)
    sha = f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    output = {"dataset": "tiny", "path": "elsewhere.csv", "sha256": f'"{sha}"', **changes}
    words = ", ".join(f"{key}: {value}" for key, value in output.items() if value)
    tiny.obtained("elsewhere", f"kind: precomputed, made_by: Somebody, outputs: [{{{words}}}]")


def frame_of(tiny) -> pd.DataFrame:
    import anndata as ad

    adata = ad.read_h5ad(tiny.folder / "site_src/datasets/tiny.h5ad")
    return pd.DataFrame(np.asarray(adata.X, dtype=float)[:, :5], index=adata.obs_names)


def test_an_embedding_made_elsewhere_scores_as_the_function_that_made_it(tiny, in_process) -> None:
    tiny.dataset()
    tiny.model("good")
    precomputed(tiny, frame_of(tiny).iloc[::-1])
    tiny.show_worse_data()
    found = run(tiny, in_process, "good", "elsewhere")
    ours, theirs = (found[model].score("silhouette-label") for model in ("good", "elsewhere"))
    assert theirs.value == ours.value, "rows follow their cell ids"
    assert not any(one.condition for one in found["elsewhere"].scores), "it cannot be shown worse data"
    assert found["elsewhere"].gates == []
    assert [gate.name for gate in found["good"].gates]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda frame: frame.iloc[:-1], "expected 60 rows, one per cell, found 59"),
        (lambda frame: frame.rename(index={"c3": "c4"}), "cell ids occur more than once"),
        (lambda frame: frame.rename(index={"c3": "x3"}), "1 cells are missing (for example c3)"),
        (lambda frame: frame * np.where(frame.index == "c3", np.nan, 1)[:, None], "are NaN or infinite"),
    ],
)
def test_an_output_made_elsewhere_with_other_cells_is_refused(
    tiny, in_process, change: Callable[[pd.DataFrame], pd.DataFrame], said: str
) -> None:
    tiny.dataset()
    precomputed(tiny, change(frame_of(tiny)))
    (found,) = run(tiny, in_process, "elsewhere").values()
    assert found.status == "invalid_output"
    assert said in found.reason


def test_a_file_that_is_not_the_one_of_the_card_is_not_used(tiny, in_process) -> None:
    tiny.dataset()
    precomputed(tiny, frame_of(tiny), sha256='"sha256:' + "a" * 64 + '"')
    (found,) = run(tiny, in_process, "elsewhere").values()
    assert found.status == "failed"
    assert "elsewhere.csv" in found.reason


def test_outputs_that_nobody_pinned_or_sent_are_not_run(tiny) -> None:
    for dataset in ("tiny", "other"):
        tiny.dataset(dataset)
    precomputed(tiny, frame_of(tiny), sha256="")
    cards = tiny.cards()
    model, task = cards.models["elsewhere"], cards.tasks["embedding"]
    assert decide(task, cards.datasets["tiny"], model) == (
        "not_run",
        "The card of elsewhere names no sha256 for its output on tiny",
    )
    assert decide(task, cards.datasets["other"], model) == (
        "not_run",
        "Nobody has sent the output of elsewhere for other",
    )


def test_weights_that_nobody_opened_are_unavailable(tiny, images) -> None:
    tiny.dataset()
    weights = 'weights: [{name: model.pt, url: "https://example.org/model.pt"}]'
    tiny.obtained("boxed", f"kind: container, folder: linear, tried_with: real weights, {weights}")
    cards = tiny.cards()
    found = decide(cards.tasks["embedding"], cards.datasets["tiny"], cards.models["boxed"])
    assert found is not None
    assert found[0] == "weights_unavailable"
    assert "nobody has opened model.pt with cellgauge yet" in found[1]


def test_names_of_genes_that_a_model_does_not_know_are_not_fed_to_it(tiny) -> None:
    tiny.dataset()
    tiny.model("ensembl", "good")
    path = tiny.folder / "site_src/models/ensembl.md"
    path.write_text(path.read_text().replace("log-normalised]", "log-normalised], features: [Ensembl genes]"))
    cards = tiny.cards()
    found = decide(cards.tasks["embedding"], cards.datasets["tiny"], cards.models["ensembl"])
    assert found == ("not_applicable", "ensembl knows Ensembl genes; tiny has gene symbols")


@pytest.mark.parametrize(("least", "status"), [("0.2", "done"), ("0.5", "not_applicable")])
def test_too_few_known_genes_are_not_applicable(tiny, in_process, least: str, status: str) -> None:
    tiny.dataset()
    tiny.model("listed", "good")
    (tiny.folder / "site_src/models/genes.txt").write_text("0\n1\n2\nabsent\n" + "".join(f"x{n}\n" for n in range(6)))
    path = tiny.folder / "site_src/models/listed.md"
    more = f"log-normalised], genes: genes.txt, least_coverage: {least}"
    path.write_text(path.read_text().replace("log-normalised]", more))
    found = run(tiny, in_process, "listed")["listed"]
    assert found.status == status
    if status == "done":
        (coverage,) = [gate for gate in found.gates if gate.name == "coverage"]
        assert coverage.measured == {"known": 10, "found": 3}
    else:
        assert "3 of the 10 genes that listed knows are in the data (30%); its card asks for 50%" in found.reason


def test_without_a_daemon_containers_are_empty_and_the_rest_runs(tiny, in_process, images, monkeypatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tiny.folder}/no.sock")
    tiny.dataset()
    tiny.model("good")
    tiny.obtained("boxed", CONTAINER)
    found = run(tiny, in_process, "good", "boxed")
    assert found["good"].status == "done"
    assert found["boxed"].status == "not_run"
    assert "no Docker daemon answers at" in found["boxed"].reason
    assert found["boxed"].reason.endswith("start Docker, or set DOCKER_HOST to the daemon's address")
    assert "FileNotFoundError" in found["boxed"].log, "what the client said is for the log"
    assert run(tiny, in_process, "boxed")["boxed"].finished_at > found["boxed"].finished_at, "it is tried in each run"


OF_HARMONY = "{by: batch, n_components: 5, n_top_genes: 99}"
HARMONY = f"kind: function, function: 'cellgauge.models.batches:harmony', params: {OF_HARMONY}"
HARMONY_IS_MISSING = "no module named \"harmonypy\" on this machine: pip install 'cellgauge[methods]'"


@pytest.mark.slow
def test_a_package_that_is_not_installed_is_asked_for_and_the_rest_runs(tiny, in_process, monkeypatch) -> None:
    tiny.dataset()
    tiny.model("good")
    tiny.obtained("corrected", HARMONY)
    monkeypatch.setitem(sys.modules, "harmonypy", None)  # as if it were not there
    found = run(tiny, in_process, "good", "corrected")
    assert found["good"].status == "done"
    assert found["corrected"].status == "not_run"
    assert HARMONY_IS_MISSING in found["corrected"].reason
    assert "make methods" in found["corrected"].reason
    assert found["corrected"].log is None
    later = run(tiny, in_process, "good", "corrected")
    assert later["corrected"].finished_at > found["corrected"].finished_at, "it is tried in each run"
    assert later["good"].finished_at == found["good"].finished_at


@pytest.mark.parametrize(
    ("code", "status", "said"),
    [
        ("import absent_package\ndef f(adata, *, seed): ...\n", "not_run", '"absent_package" on this machine: install'),
        ("def f(adata, *, seed):\n    import absent_package\n", "not_run", '"absent_package" on this machine: install'),
        ("import json.dekoder\ndef f(adata, *, seed): ...\n", "failed", '"json.dekoder" (check the spelling)'),
        ("def f(adata, *, seed):\n    import json.dekoder\n", "failed", "No module named 'json.dekoder'"),
    ],
)
def test_a_package_is_told_from_a_part_that_an_installed_package_does_not_have(
    tiny, in_process, code: str, status: str, said: str
) -> None:
    tiny.dataset()
    (tiny.folder / "site_src/models/needy.py").write_text(code)
    tiny.obtained("needy", "kind: function, function: 'needy.py:f'")
    (found,) = run(tiny, in_process, "needy").values()
    assert (found.status, said in found.reason) == (status, True), found.reason


def test_a_misspelt_module_of_a_card_is_a_failure(tiny, in_process) -> None:
    tiny.dataset()
    tiny.obtained("misspelt", "kind: function, function: 'celgauge.models.linear:raw_expression'")
    (found,) = run(tiny, in_process, "misspelt").values()
    assert found.status == "failed"
    assert 'no module named "celgauge" (check the spelling)' in found.reason


def test_versions_of_what_a_model_imports_are_recorded_with_its_embedding(tiny, in_process) -> None:
    tiny.dataset()
    (tiny.folder / "site_src/models/needy.py").write_text(
        "def f(adata, *, seed):\n    import yaml\n    return adata.X[:, :4]\n"
    )
    tiny.obtained("needy", "kind: function, function: 'needy.py:f'")
    tiny.model("good")
    found = run(tiny, in_process, "needy", "good")
    (made,) = found["needy"].embedding_environments
    assert made.packages["PyYAML"] == version("PyYAML")
    assert "PyYAML" not in found["needy"].environment.packages
    assert "PyYAML" not in found["good"].embedding_environments[0].packages


def test_an_image_that_is_not_built_says_how_it_is(tiny, in_process, images, docker) -> None:
    tiny.dataset()
    tiny.obtained("boxed", CONTAINER)
    (tiny.folder / "generator/images/linear/model.py").write_text("# not built by anybody\n")
    found = run(tiny, in_process, "boxed")["boxed"]
    assert found.status == "not_run"
    assert "cellgauge model build boxed" in found.reason


@pytest.mark.slow
def test_the_same_model_as_function_and_as_container_gives_the_same_embedding(tiny, in_process, images, docker) -> None:
    from cellgauge.models.cache import EmbeddingCache
    from cellgauge.models.images import build_image

    base = os.environ.get("CELLGAUGE_BASE_IMAGE", "local/python:3.11")
    build_image(tiny.project.generator, "linear", lambda line: None, base=base, network="host")
    tiny.dataset()
    tiny.obtained("boxed", CONTAINER)
    path = tiny.folder / "site_src/models/plain.md"
    tiny.obtained(
        "plain", "kind: function, function: 'cellgauge.models.linear:truncated_svd', params: {n_components: 4}"
    )
    for model in ("boxed", "plain"):
        path = tiny.folder / f"site_src/models/{model}.md"
        path.write_text(path.read_text().replace("seeded: false", "seeded: true").replace("fit: none", "fit: dataset"))
    found = run(tiny, in_process, "boxed", "plain")
    assert {model: result.status for model, result in found.items()} == {"boxed": "done", "plain": "done"}
    for score in found["plain"].scores:
        assert found["boxed"].score(score.key).by_seed == pytest.approx(score.by_seed, abs=1e-6)
    (made,) = found["boxed"].embedding_environments
    assert made.image.startswith("cellgauge/linear:")
    assert made.image_id.startswith("sha256:")
    assert "scikit-learn" in made.packages
    assert all(gate.outcome != "failed" for gate in found["boxed"].gates), found["boxed"].gates
    assert EmbeddingCache(tiny.cache).folder.is_dir()
