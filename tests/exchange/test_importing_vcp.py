"""What the Virtual Cells Platform publishes comes in as reported, or not at all."""

from __future__ import annotations

import copy
import datetime as dt
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.exchange.conftest import REPO, Write, record, some_records

from cellgauge.cards import Project, UserError, load_cards
from cellgauge.cli import main
from cellgauge.exchange.czi import read_vcp
from cellgauge.exchange.czi_cards import Vocabulary
from cellgauge.exchange.drafting import Import, write_draft
from cellgauge.exchange.reading import ImportProblems
from cellgauge.report.changes import changes_between
from cellgauge.results.freeze import freeze
from cellgauge.results.manifest import previous_release
from cellgauge.results.store import list_releases, read_plan, read_release, read_results, write_release
from cellgauge.results.verify import verify_releases

DAY = dt.date(2026, 11, 20)


def bring_in(project: Project, path: Path, release: str | None = "vcp-x", day: dt.date | None = DAY) -> Import:
    return write_draft(project, read_vcp(project, path, None, None, None), release, day)


class TestThePublishedFile:
    @pytest.fixture
    def published(self, shared_data: Path) -> Path:
        return shared_data / "vcp_published_results.json"

    def test_all_281_results_are_there_with_the_values_of_the_file(self, project: Project, published: Path):
        done = bring_in(project, published, None)
        assert done.report.release == "vcp-0.54.1"
        assert (done.report.source.version, done.report.source.licence) == ("0.54.1", "MIT")
        results = list(read_results(project.release("vcp-0.54.1")))
        assert Counter(result.status for result in results) == {"done": 281}
        raw = json.loads(published.read_bytes())
        assert len(results) == len(raw)
        for result in results:
            assert result.reported is not None
            place = int(result.reported.place.rpartition("[")[2].rstrip("]"))
            theirs = sorted(metric["value"] for metric in raw[place]["metrics"])
            assert sorted(score.value for score in result.scores) == theirs
            assert result.reported.keys["model_key"] == raw[place]["model_key"]
            assert (result.seeds, result.replicates, result.environment, result.protocol) == ([], None, None, None)
            assert all(score.interval is None and score.why_no_interval for score in result.scores)
            assert all(score.n_units is None for score in result.scores)
        assert sum(len(result.scores) for result in results) == sum(len(one["metrics"]) for one in raw)

    def test_the_traps_of_the_file_are_seen(self, project: Project, published: Path):
        bring_in(project, published, "vcp-x")
        results = list(read_results(project.release("vcp-x")))
        metrics = {score.metric for result in results for score in result.scores}
        assert "weighted-auroc" in metrics
        assert "macro-auroc" not in metrics
        stray = [result for result in results if result.model.id == "transcriptformer-unknown-variant"]
        assert [result.task.id for result in stray] == ["cross-species-integration"]
        averaged = [score for result in results for score in result.scores if score.view == "mean-of-classifiers"]
        assert len(averaged) == 5 * 113
        cards = load_cards(project, "vcp-x")
        assert cards.tasks["classification"].primary.key == "macro-f1@logistic-regression"
        assert cards.tasks["cross-species-integration"].baseline is None

    def test_five_tissues_are_complete_and_all_others_say_what_is_not_reported(self, project: Project, published: Path):
        bring_in(project, published, "vcp-x")
        open_ = Counter(pair.dataset for pair in read_plan(project.release("vcp-x")).pairs if pair.task == "clustering")
        cards = load_cards(project, "vcp-x")
        tissues = {one for one in cards.datasets if one.startswith("tsv2-")}
        assert tissues - set(open_) == {"tsv2-blood", "tsv2-bone-marrow", "tsv2-lung", "tsv2-mammary", "tsv2-thymus"}
        assert set(open_.values()) == {7}  # all but the three TranscriptFormer models
        assert {pair.status for pair in read_plan(project.release("vcp-x")).pairs} == {"not_reported"}

    @pytest.mark.kill
    @pytest.mark.slow
    def test_a_killed_import_leaves_all_of_it_or_nothing(self, project: Project, published: Path):
        command = [
            sys.executable, "-m", "cellgauge", "--project", str(project.work), "import", "vcp", str(published),
            "--release", "vcp-x", "--retrieved", "2026-11-20",
        ]  # fmt: skip
        env = {**os.environ, "PYTHONPATH": str(REPO / "generator")}
        began = time.monotonic()
        subprocess.run(command, check=True, capture_output=True, env=env)
        whole = time.monotonic() - began
        there = sorted(path.name for path in project.release("vcp-x").iterdir())
        draw = random.Random(7)
        for _ in range(8):
            subprocess.run(["rm", "-rf", str(project.release("vcp-x"))], check=True)
            running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env)
            time.sleep(whole * draw.uniform(0.4, 1.0))
            running.send_signal(signal.SIGKILL)
            running.wait()
            assert list_releases(project.work / "results") in ([], ["vcp-x"])
            if project.release("vcp-x").exists():
                assert sorted(path.name for path in project.release("vcp-x").iterdir()) == there
                assert len(list(read_results(project.release("vcp-x")))) == 281
        done = bring_in(project, published)  # what a killed one left beside is cleared away
        assert done.report.results == {"done": 281}
        assert not list((project.work / "results").glob(".import-*"))


def broken(**changes: Any) -> list[dict[str, Any]]:
    records = some_records()
    records[1].update(changes)
    return records


def with_metric(**changes: Any) -> list[dict[str, Any]]:
    records = some_records()
    records[1]["metrics"][0].update(changes)
    return records


def lacking(key: str) -> list[dict[str, Any]]:
    records = some_records()
    del records[1][key]
    return records


MALFORMED: dict[str, tuple[Any, str]] = {
    "not JSON": ("[{", r"results\.json: line 1: found .*, expected valid JSON"),
    "no bytes": ("", r'results\.json: line 1: found "an empty file", expected valid JSON'),
    "not a list": ({"a": 1}, r"results\.json: found \{.*expected a list of 1 or more"),
    "empty": ([], r"expected a list of 1 or more"),
    "too deep": ("[" * 100_000, r"expected JSON of a depth"),
    "a record that is none": ([*some_records(), 7], r"\[6\]: found 7, expected an object"),
    "no model": (lacking("model_key"), r"\[1\]\.model_key: found nothing, expected text"),
    "no metrics": (lacking("metrics"), r"\[1\]\.metrics: found null, expected a list of 1 or more"),
    "a model as a number": (broken(model_key=3), r"\[1\]\.model_key: found 3, expected text"),
    "an unknown model": (broken(model_key="UCE-v1-34l"), r'\[1\]\.model_key: found "UCE-v1-34l".*mean "UCE-v1-4l"'),
    "an unknown dataset": (broken(dataset_keys=["tsv2_tail"]), r"\[1\]\.dataset_keys: found \"tsv2_tail\""),
    "an unknown task": (broken(task_key="cooking"), r'\[1\]\.task_key: found "cooking"'),
    "an unknown metric": (with_metric(metric_key="vibes"), r"\[1\]\.metrics\[0\]\.metric_key: found \"vibes\""),
    "a metric of another task": (
        with_metric(metric_key="silhouette_score"), r"\[1\]\.metrics\[0\]\.metric_key: .*a metric of clustering",
    ),
    "an unknown classifier": (
        [*some_records()[:5], {**some_records()[5], "metrics": [
            {"metric_key": "mean_fold_f1", "value": 0.5, "params": {"classifier": "svm"}}]}],
        r"\[5\]\.metrics\[0\]\.params\.classifier: found \"svm\"",
    ),
    "a strange parameter": (with_metric(params={"k": 3}), r"params: .*expected no parameter but classifier"),
    "parameters that are none": (with_metric(params=[1]), r"params: found \[1\], expected an object"),
    "NaN": (with_metric(value=float("nan")), r"\[1\]\.metrics\[0\]\.value: found .*NaN.*finite number"),
    "infinity": (with_metric(value=float("inf")), r"value: found .*Infinity.*finite number"),
    "text for a number": (with_metric(value="0.5"), r'value: found "0.5", expected a finite number'),
    "true for a number": (with_metric(value=True), r"value: found true, expected a finite number"),
    "beyond the range": (with_metric(value=1.5), r"value: found 1\.5, expected a finite number from -0\.5 to 1"),
    "a number too large": (with_metric(value=10**400), r"value: found 1000.*finite number"),
    "two datasets": (broken(dataset_keys=["tsv2_blood", "tsv2_ear"]), r'dataset_keys: found "tsv2_blood \+ tsv2_ear"'),
    "the same dataset twice": (broken(dataset_keys=["tsv2_ear", "tsv2_ear"]), r"expected each dataset once"),
    "datasets as text": (broken(dataset_keys="tsv2_ear"), r'dataset_keys: found "tsv2_ear", expected a list'),
    "one species alone": (
        broken(task_key="cross_species", metrics=[{"metric_key": "entropy_per_cell", "value": 0.1}]),
        r"\[1\]\.dataset_keys: .*several datasets, one a species",
    ),
    "a later version": (broken(czbenchmarks_version="0.10.0"), r"czbenchmarks_version: found \"0\.10\.0\".*weighted"),
    "a version that is none": (broken(czbenchmarks_version="new"), r'czbenchmarks_version: found "new"'),
    "a time that is none": (broken(timestamp="yesterday"), r'timestamp: found "yesterday"'),
    "two values of one thing": (
        [*some_records(), record("clustering", "UCE-v1-33l", "tsv2_blood", adjusted_rand_index=0.5)],
        r"\[6\]: found .*one record of it; results\.json: \[0\] has other values",
    ),
    "two values of one metric": (
        broken(metrics=[{"metric_key": "adjusted_rand_index", "value": v} for v in (0.1, 0.2)]),
        r"\[1\]\.metrics\[1\]: found 0\.2, expected one value of adjusted_rand_index",
    ),
    "a key twice": ('[{"model_key": "a", "model_key": "b"}]', r"model_key: found .*twice.*each key once"),
}  # fmt: skip


class TestMalformedInput:
    @pytest.mark.parametrize("name", MALFORMED)
    def test_each_fault_is_named_with_its_key_and_nothing_is_imported(self, project: Project, write: Write, name: str):
        value, expected = MALFORMED[name]
        with pytest.raises(ImportProblems, match=expected):
            bring_in(project, write(value))
        assert not (project.work / "results").exists()

    def test_all_faults_are_listed_at_once(self, project: Project, write: Write):
        records = some_records()
        records[0]["model_key"] = "A"
        records[2]["metrics"][0]["value"] = None
        del records[3]["task_key"]
        with pytest.raises(ImportProblems) as error:
            bring_in(project, write(records))
        assert [one.partition(": found")[0] for one in error.value.problems] == [
            "results.json: [0].model_key", "results.json: [2].metrics[0].value", "results.json: [3].task_key",
        ]  # fmt: skip

    def test_bytes_that_are_no_text_are_refused(self, project: Project, tmp_path: Path):
        path = tmp_path / "x.json"
        path.write_bytes(b'["\xff"]')
        with pytest.raises(ImportProblems, match=r"x\.json: byte 2: found .*expected JSON as UTF-8 text"):
            bring_in(project, path)

    @pytest.mark.fuzz
    @settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(data=st.data())
    def test_whatever_stands_where_is_read_or_refused_as_a_whole(
        self, project: Project, write: Write, data: st.DataObject
    ):
        records: Any = copy.deepcopy(some_records())
        anything = st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
            lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
            max_leaves=4,
        )
        here = data.draw(st.sampled_from(records))
        for _ in range(data.draw(st.integers(0, 2))):
            inner = [one for one in (here.values() if isinstance(here, dict) else here) if isinstance(one, dict | list)]
            here = data.draw(st.sampled_from(inner)) if any(inner) and all(inner) else here
        keys = list(here) if isinstance(here, dict) else list(range(len(here)))
        here[data.draw(st.sampled_from(keys))] = data.draw(anything)
        before = set((project.work / "results").glob("*")) if (project.work / "results").exists() else set()
        try:
            draft = read_vcp(project, write(records), None, None, None)
        except UserError:
            assert {*(project.work / "results").glob("*")} == before
            return
        assert all(-0.5 <= value <= 1 for one in draft.results for value in one.values.values())


class TestTheRelease:
    def test_the_same_values_twice_are_taken_once_and_said(self, project: Project, write: Write):
        done = bring_in(project, write([*some_records(), some_records()[0]]))
        assert done.report.results == {"done": 6}
        assert "the same values stand in results.json: [0]" in done.report.left_out[0].why

    def test_keys_that_nobody_knows_are_named_as_not_read(self, project: Project, write: Write):
        records = some_records()
        records[0]["mood"] = "good"
        (left,) = bring_in(project, write(records)).report.left_out
        assert (left.where, left.what) == ("results.json: [0]", "mood")

    def test_bug_keys_beside_a_value_were_dropped_without_a_word(self, project: Project, write: Write):
        (left,) = bring_in(project, write(with_metric(std=0.1))).report.left_out
        assert (left.where, left.what) == ("results.json: [1].metrics[0]", "std")

    def test_importing_again_does_nothing_and_another_content_is_refused(self, project: Project, write: Write):
        assert bring_in(project, write(some_records())).is_new
        assert not bring_in(project, write(some_records())).is_new
        assert not bring_in(project, write(some_records()), day=None).is_new  # the day that was noted holds
        with pytest.raises(
            UserError,
            match=r"vcp-x is there already, and differs in 2 files, such as .*nothing was imported",
        ):
            bring_in(project, write(with_metric(value=0.25)))

    def test_without_a_known_version_a_name_has_to_be_given(self, project: Project, write: Write):
        with pytest.raises(UserError, match=r"name the release with --release"):
            bring_in(project, write(some_records()), None)
        with pytest.raises(UserError, match=r'release "vcp-1\.json": expected a name that does not end'):
            write_draft(project, read_vcp(project, write(some_records()), "1.json", None, None), None, DAY)

    def test_it_can_be_frozen_and_keeps_its_own_cards(self, project: Project, write: Write):
        bring_in(project, write(some_records()))
        folder = project.release("vcp-x")
        before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        manifest = freeze(project, load_cards(project, "vcp-x"), "vcp-x", day=DAY)
        assert {path: path.read_bytes() for path in before} == before
        assert manifest.protocol is None
        assert set(manifest.cards["tasks"]) == {"classification", "clustering", "cross-species-integration"}
        assert "import.json" in manifest.files
        assert [one.problems for one in verify_releases(project, ["vcp-x"])] == [()]
        with pytest.raises(UserError, match="is there already and is frozen"):
            bring_in(project, write(with_metric(value=0.25)))

    def test_bug_a_release_was_frozen_as_the_correction_of_one_of_another_kind(self, project: Project, write: Write):
        for name in ("vcp-x", "vcp-y"):
            bring_in(project, write(some_records()), name)
        frozen = {"day": DAY, "corrects": "vcp-x", "because": "typo"}
        freeze(project, load_cards(project, "vcp-x"), "vcp-x", day=DAY)
        about = read_release(project.release("vcp-x"))
        measured = {"kind": "measured", "reported": None, "protocol": f"sha256:{'0' * 64}", "protocol_date": DAY}
        write_release(project.release("2027.03"), about.model_copy(update={"release": "2027.03", **measured}))
        with pytest.raises(UserError, match=r"2027\.03 is measured and vcp-x is reported: a release corrects one"):
            freeze(project, load_cards(project), "2027.03", **frozen)
        freeze(project, load_cards(project, "vcp-y"), "vcp-y", **frozen)
        assert previous_release(project, read_release(project.release("vcp-y"))) == "vcp-x"

    def test_bug_a_reported_release_was_taken_for_the_one_before_a_measured_one(self, project: Project, write: Write):
        bring_in(project, write(some_records()), "release-2026")
        freeze(project, load_cards(project, "release-2026"), "release-2026", day=DAY)
        about = read_release(project.release("release-2026"))
        measured = {"kind": "measured", "reported": None, "protocol": f"sha256:{'0' * 64}", "protocol_date": DAY}
        assert previous_release(project, about.model_copy(update={"release": "2027.03", **measured})) is None
        assert previous_release(project, about.model_copy(update={"release": "release-2027"})) == "release-2026"

    def test_nothing_is_run_in_it(self, project: Project, write: Write):
        bring_in(project, write(some_records()))
        done = CliRunner().invoke(main, ["--project", str(project.work), "run", "--release", "vcp-x"])
        assert done.exit_code == 1
        assert "holds what others measured and reported" in done.output

    def test_measured_and_reported_releases_are_not_compared(self, project: Project, write: Write):
        bring_in(project, write(some_records()))
        measured = project.release("2026.11")
        measured.mkdir()
        (measured / "release.yaml").write_text(
            "{release: '2026.11', title: A, kind: measured, rehearsal: false, corrects: null, schema_version: 1, "
            f"protocol: 'sha256:{'0' * 64}', protocol_date: 2020-01-01}}\n"
        )
        with pytest.raises(UserError, match=r"what others reported is not compared with what was measured here"):
            changes_between(project.release("vcp-x"), measured)
        assert list_releases(project.work / "results")[-1] == "2026.11"  # the one that is shown, whatever its date


def test_every_name_of_the_source_has_a_card():
    words = Vocabulary(Project(REPO, REPO))
    own = {path.stem for path in (REPO / "site_src/reported/czbenchmarks").glob("*/*.md")}
    names = words.names
    assert set(names.models.values()) <= {*words.ours.models, *own}
    assert set(names.datasets.values()) <= {*words.ours.datasets, *own}
    assert set(names.tasks.values()) == set(words.tasks)
    assert {one for one in names.metrics.values() if one not in own} == set(names.computed_by)
    assert set(names.computed_by) <= set(words.ours.metrics)
    views = {view.id for task in words.tasks.values() for view in task.views}
    assert {*names.classifiers.values(), names.no_classifier} == views


class TestTheCommand:
    def test_status_counts_what_is_reported_and_what_is_not(self, project: Project, write: Write):
        bring_in(project, write(some_records()))
        done = CliRunner().invoke(main, ["--project", str(project.work), "status", "--release", "vcp-x"])
        assert done.exit_code == 0
        assert "8 combinations, as others report them" in done.output
        assert "2  not_reported" in done.output

    def test_it_says_what_it_did(self, project: Project, write: Write):
        words = ["--project", str(project.work), "import", "vcp", str(write(some_records())), "--release", "vcp-x"]
        done = CliRunner().invoke(main, [*words, "--json"])
        assert done.exit_code == 0, done.output
        found = json.loads(done.output)
        assert (found["imported"], found["new"], found["report"]["results"]) == ("vcp-x", True, {"done": 6})
        assert found["report"]["names"]["models"]["TRANSCRIPTFORMER-v1"] == "transcriptformer-unknown-variant"
        assert "the same: nothing to do" in CliRunner().invoke(main, words).output

    def test_problems_are_listed_with_exit_code_1(self, project: Project, write: Write):
        path = str(write(broken(model_key="A")))
        words = ["--project", str(project.work), "import", "vcp", path, "--release", "vcp-x"]
        plain = CliRunner().invoke(main, words)
        assert (plain.exit_code, "1 problem; nothing was imported" in plain.output) == (1, True)
        done = CliRunner().invoke(main, [*words, "--json"])
        assert done.exit_code == 1
        assert "[1].model_key" in json.loads(done.output)["problems"][0]
