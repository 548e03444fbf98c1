"""Files for repositories of models on the Hugging Face Hub: the primary scores of a frozen release alone."""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from tests.exchange.conftest import some_records
from tests.report.conftest import ReleaseBuilder, copy_project

from cellgauge.cards import Project, load_cards
from cellgauge.cli import main
from cellgauge.exchange.czi import read_vcp
from cellgauge.exchange.drafting import write_draft
from cellgauge.results.freeze import freeze
from cellgauge.results.schema import Result
from cellgauge.results.store import seal, write_result

DAY = dt.date(2026, 11, 28)
HOSTILE = "x\n- dataset: {id: evil/evil, task_id: t}\n  value: 1.0\n# \"'{{ 7 }} <b> !!python/object:os.system \x07"
SITE = "https://cellgauge.github.io/cellgauge/"


def copied(tmp_path: Path, keep_light_models) -> Project:
    found = copy_project(tmp_path / "project")
    keep_light_models(found.source)
    return found


@pytest.fixture
def measured(tmp_path: Path, keep_light_models) -> Project:
    found = copied(tmp_path, keep_light_models)
    release = ReleaseBuilder(found, "2026.11", rehearsal=False)
    release.register()
    for place, task in enumerate(("clustering", "embedding")):
        for model, value in {"pca": 0.5, "svd": -0.25, "random": 0.001, "oracle": 0.99}.items():
            release.add(task, "pbmc68k-reduced", model, value + place / 7)
    release.add("classification", "pbmc68k-reduced", "svd", 1e-7)
    release.add_empty("classification", "pbmc68k-reduced", "pca", "timeout", "600 s")
    release.add("classification", "pbmc68k-reduced", "nmf", 0.4)
    release.plan("classification", "pbmc68k-reduced", "nmf", "withdrawn", "the authors asked for it")
    return release.finish()


def freeze_it(project: Project, release: str = "2026.11") -> None:
    freeze(project, load_cards(project, release), release, day=DAY)


def export(project: Project, out: Path, release: str = "2026.11") -> tuple[int, str]:
    words = ["--project", str(project.source), "export", release, "--format", "huggingface", "--out", str(out)]
    done = CliRunner().invoke(main, words)
    return done.exit_code, done.output


def files_in(out: Path) -> dict[str, list[dict[str, Any]]]:
    """Return the entries of each file by its path."""
    found = sorted(path for path in out.rglob("*") if path.is_file())
    return {path.relative_to(out).as_posix(): yaml.safe_load(path.read_bytes()) for path in found}


def stored(project: Project, release: str, *place: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((project.release(release).joinpath(*place)).with_suffix(".json").read_bytes())
    return found


def test_each_primary_score_of_a_model_is_an_entry_with_the_value_of_its_result_file(measured, tmp_path):
    freeze_it(measured)
    code, said = export(measured, tmp_path / "out")
    assert code == 0, said
    found = files_in(tmp_path / "out")
    pca, svd = (f"{model}/.eval_results/cellgauge-2026.11.yaml" for model in ("pca", "svd"))
    assert {path: len(entries) for path, entries in found.items()} == {pca: 2, svd: 3}
    assert [line.rpartition(": ")[2] for line in said.splitlines()] == ["2 entries", "3 entries"]
    primary = {"clustering": "adjusted-rand-index", "embedding": "silhouette-label", "classification": "macro-f1"}
    for path, entries in found.items():
        model = path.partition("/")[0]
        for entry in entries:
            task, task_version, dataset, dataset_version = entry["dataset"]["task_id"].split("_")
            result = stored(measured, "2026.11", task, dataset, model)
            score = result["scores"][0]  # the primary score goes first
            assert score["metric"] == primary[task]
            assert entry["value"] == score["value"]
            assert type(entry["value"]) is float
            assert (task_version, dataset_version) == tuple(f"v{result[one]['version']}" for one in ("task", "dataset"))
            assert entry["source"] == {
                "url": f"{SITE}2026.11/results/{task}/{dataset}/{model}/", "name": "cellgauge, release 2026.11",
            }  # fmt: skip
            assert entry["date"] == "2026-11-28"
            low, high = (f"{score['interval'][end]:.10g}" for end in ("low", "high"))
            seeds = f"{len(result['seeds'])} seeds"
            for part in (f"95 % interval {low} to {high}", seeds, result["result_id"], "leakage: green"):
                assert part in entry["notes"]
            assert "reported" not in entry["notes"]


def test_the_hub_s_own_library_reads_them_and_loses_nothing(measured, tmp_path):
    hub = pytest.importorskip("huggingface_hub", reason="needs huggingface-hub: pip install 'cellgauge[test]'")
    freeze_it(measured)
    assert export(measured, tmp_path / "out")[0] == 0
    for entries in files_in(tmp_path / "out").values():
        read = hub.parse_eval_result_entries(entries)
        assert hub.eval_result_entries_to_yaml(read) == entries
        for entry, one in zip(entries, read, strict=True):
            hub.utils.validate_repo_id(one.dataset_id)
            assert (one.value, one.date, one.notes) == (entry["value"], "2026-11-28", entry["notes"])
            assert one.source_url.startswith(SITE)
            assert one.verify_token is None


def test_a_release_that_may_still_change_is_not_handed_out(measured, tmp_path):
    assert export(measured, tmp_path / "out") == (
        1, "release 2026.11 is not frozen. Freeze it first: cellgauge freeze 2026.11\n",
    )  # fmt: skip
    assert not (tmp_path / "out").exists()


def test_a_frozen_release_that_was_changed_is_not_handed_out(measured, tmp_path):
    freeze_it(measured)
    (measured.release("2026.11") / "plan.json").write_text("{}", encoding="utf-8")
    code, said = export(measured, tmp_path / "out")
    assert (code, "results/2026.11/plan.json: found sha256:" in said) == (1, True)
    assert not (tmp_path / "out").exists()


def test_a_rehearsal_is_not_handed_out_even_when_it_is_frozen(tmp_path, keep_light_models):
    release = ReleaseBuilder(copied(tmp_path, keep_light_models))
    release.register()
    release.add("clustering", "pbmc68k-reduced", "pca", 0.5)
    freeze_it(measured := release.finish(), "trial")
    assert export(measured, tmp_path / "out", "trial") == (
        1, "release trial is a rehearsal: its scores are not meant for the pages of models\n",
    )  # fmt: skip
    assert not (tmp_path / "out").exists()


def test_a_release_of_controls_alone_has_nothing_for_the_hub(tmp_path, keep_light_models):
    release = ReleaseBuilder(copied(tmp_path, keep_light_models), "2026.11", rehearsal=False)
    release.register()
    release.add("clustering", "pbmc68k-reduced", "random", 0.001)
    freeze_it(measured := release.finish())
    code, said = export(measured, tmp_path / "out")
    assert (code, "no primary score of a model" in said) == (1, True)


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("hub_benchmark: ../x", 'found "../x"'),
        ("hub_benchmark: a/b/c", 'found "a/b/c"'),
        ("other: x", "is not set"),
    ],
)
def test_a_benchmark_that_is_no_dataset_of_the_hub_is_named(measured, tmp_path, line, wanted):
    freeze_it(measured)
    config = measured.source / "mkdocs.yml"
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace("hub_benchmark: cellgauge/cellgauge", line), encoding="utf-8")
    code, said = export(measured, tmp_path / "out")
    assert (code, f"mkdocs.yml: extra.hub_benchmark: {wanted}" in said) == (1, True)
    assert not (tmp_path / "out").exists()


def test_without_an_address_there_is_no_page_to_name(measured, tmp_path):
    freeze_it(measured)
    config = measured.source / "mkdocs.yml"
    config.write_text(config.read_text(encoding="utf-8").replace(f"site_url: {SITE}", ""), encoding="utf-8")
    code, said = export(measured, tmp_path / "out")
    assert (code, "mkdocs.yml: site_url: is not set" in said) == (1, True)


def test_text_of_a_result_stays_text(tmp_path, keep_light_models):
    release = ReleaseBuilder(copied(tmp_path, keep_light_models), "2026.11", rehearsal=False)
    release.register()
    result = release.add("clustering", "pbmc68k-reduced", "pca", 0.5)
    values = result.model_dump(mode="json", by_alias=True)
    values["scores"][0]["interval"]["method"] = values["scores"][0]["unit"] = HOSTILE
    data = (release.folder / "clustering/pbmc68k-reduced/pca.npy").read_bytes()
    write_result(release.folder, seal(values), data)
    freeze_it(measured := release.finish())
    code, said = export(measured, tmp_path / "out")
    assert code == 0, said
    (((path, (entry,)),)) = files_in(tmp_path / "out").items()
    assert path == "pca/.eval_results/cellgauge-2026.11.yaml"
    assert entry["dataset"]["id"] == "cellgauge/cellgauge"
    assert " ".join(HOSTILE.split()) in entry["notes"]
    assert "\n" not in entry["notes"]


def test_reported_scores_say_who_measured_them_and_share_no_leaderboard_with_ours(project, tmp_path):
    path = tmp_path / "published.json"
    path.write_text(json.dumps(some_records()), encoding="utf-8")
    write_draft(project, read_vcp(project, path, HOSTILE, "MIT", None), "vcp-1", None)
    freeze_it(project, "vcp-1")
    code, said = export(project, tmp_path / "out", "vcp-1")
    assert code == 0, said
    found = files_in(tmp_path / "out")
    results = [Result.model_validate_json(one.read_bytes()) for one in project.release("vcp-1").glob("*/*/*.json")]
    cards = load_cards(project, "vcp-1")
    wanted = Counter(
        one.model.id for one in results if one.status == "done" and not cards.models[one.model.id].is_control
        and one.score(cards.tasks[one.task.id].primary.key) is not None
    )  # fmt: skip
    assert {name.partition("/")[0]: len(entries) for name, entries in found.items()} == wanted
    assert wanted["uce-33l"] == 3
    for entry in (entry for entries in found.values() for entry in entries):
        assert entry["dataset"]["task_id"].startswith("vcp_")
        source = f"Virtual Cells Platform (Chan Zuckerberg Initiative), {' '.join(HOSTILE.split())}"
        marked = f"reported: measured by {source}, not by cellgauge, and never ranked; no interval: "
        assert marked in entry["notes"]
        assert "seed" not in entry["notes"]
    by_task = {entry["dataset"]["task_id"]: entry for entry in found["uce-33l/.eval_results/cellgauge-vcp-1.yaml"]}
    assert by_task["vcp_clustering_v1_tsv2-blood_v1"]["value"] == 0.4
