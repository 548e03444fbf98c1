"""The command line as scripts rely on it: exit codes, JSON on standard output, messages."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from cellgauge.cards import Project, load_cards
from cellgauge.cli.terminal import Group
from cellgauge.results.store import write_atomically

REPOSITORY = Path(__file__).parents[2]


def cellgauge(*arguments: str, folder: Path = REPOSITORY) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cellgauge", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def project(tmp_path: Path, keep_light_models: Callable[[Path], None]) -> Path:
    """A copy of the project's own cards, with the one dataset that every machine has."""
    for kind in ("models", "tasks", "metrics"):
        shutil.copytree(REPOSITORY / "site_src" / kind, tmp_path / "site_src" / kind)
    keep_light_models(tmp_path)
    (tmp_path / "site_src/datasets").mkdir()
    shutil.copy(REPOSITORY / "site_src/datasets/pbmc68k-reduced.md", tmp_path / "site_src/datasets")
    (tmp_path / "mkdocs.yml").write_text("site_name: test\n")
    return tmp_path


def test_the_projects_own_cards_are_valid() -> None:
    done = cellgauge("validate")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("All cards are valid: ")


def test_a_project_is_found_from_below(project: Path) -> None:
    assert cellgauge("validate", folder=project / "site_src/models").returncode == 0


def test_no_project_is_said_so(tmp_path: Path) -> None:
    done = cellgauge("--project", str(tmp_path), "validate")
    assert done.returncode == 1
    assert "no cellgauge project" in done.stderr
    assert "Traceback" not in done.stderr


def test_problems_end_with_1_and_are_listed(project: Path) -> None:
    card = project / "site_src/models/pca.md"
    card.write_text(card.read_text().replace("embedding_dim: 50", "embedding_dim: many\nnmae: PCA"))
    done = cellgauge("validate", folder=project)
    line = card.read_text().splitlines().index("embedding_dim: many") + 1
    assert done.returncode == 1
    assert f'site_src/models/pca.md:{line}: embedding_dim: expected an integer, found "many"' in done.stderr
    assert f'site_src/models/pca.md:{line + 1}: nmae: is not a known key; did you mean "name"?' in done.stderr
    report = json.loads(cellgauge("validate", "--json", folder=project).stdout)
    assert [problem["line"] for problem in report["problems"]] == [line, line + 1]


def test_a_plan_in_json_decides_every_pair(project: Path) -> None:
    done = cellgauge("plan", "--release", "try", "--json", folder=project)
    assert done.returncode == 0, done.stderr
    pairs = {(p["task"], p["dataset"], p["model"]): p for p in json.loads(done.stdout)["pairs"]}
    cards = load_cards(Project(project, project))
    assert len(pairs) == len(cards.tasks) * len(cards.datasets) * len(cards.models)
    assert pairs["clustering", "pbmc68k-reduced", "pca"]["state"] == "missing"
    never = pairs["batch-integration", "pbmc68k-reduced", "pca"]
    assert (never["state"], never["status"]) == ("never", "not_applicable")
    assert never["reason"]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["plan"], 2, "Missing option '--release'"),
        (["plan", "--release", "../x"], 2, 'found "../x"'),
        (["run", "--release", "latest"], 2, 'nothing else has on a site of releases, found "latest"'),
        (["import", "vcp", "mkdocs.yml", "--release", "versions.json"], 2, 'that of a file, found "versions.json"'),
        (["plan", "--release", "r", "--model", "pcaa"], 1, 'unknown model "pcaa"; did you mean "pca"?'),
        (["run", "--release", "r", "--dataset", "pbmc"], 1, 'unknown dataset "pbmc"'),
        (["run", "--release", "r", "--model", "no/such.md"], 2, "no card at no/such.md"),
        (["run", "--release", "r", "--retry", "bad"], 2, 'unknown status "bad"'),
        (["run", "--release", "r", "--jobs", "0"], 2, "--jobs"),
        (["status", "--release", "none"], 1, "there is no plan"),
        (["nothing"], 2, "No such command"),
    ],
)
def test_wrong_usage_and_problems_have_their_own_codes(
    project: Path, arguments: list[str], code: int, said: str
) -> None:
    done = cellgauge(*arguments, folder=project)
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr


CARD = """---
name: Mine
summary: A model that is being tried.
version: 1
role: model
obtain: {kind: function, function: "mine.py:embed"}
output: embedding
fit: none
pretrained: false
seeded: false
input: {values: [counts, log-normalised]}
---
"""


@pytest.mark.slow
def test_a_model_outside_the_project_is_tried_on_real_data(
    project: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("mine")
    (folder / "mine.md").write_text(CARD)
    (folder / "mine.py").write_text("def embed(adata, *, seed):\n    return adata.X.toarray()[:, :20]\n")
    command = ["run", "--release", "try", "--task", "embedding", "--task", "clustering", "--jobs", "2"]
    command += ["--dataset", "pbmc68k-reduced", "--model", str(folder / "mine.md"), "--model", "random"]
    done = cellgauge(*command, folder=project)
    assert done.returncode == 0, done.stderr
    assert "Release try: 4 done." in done.stdout
    assert "\x1b" not in done.stdout
    results = sorted(
        path.relative_to(project / "results/try").as_posix() for path in project.glob("results/try/*/*/*.json")
    )
    assert results == [f"{t}/pbmc68k-reduced/{m}.json" for t in ("clustering", "embedding") for m in ("mine", "random")]
    again = cellgauge(*command, folder=project)
    assert again.stdout == "Nothing to do: release try is up to date.\n"
    status = json.loads(cellgauge("status", "--release", "try", "--json", folder=project).stdout)
    assert status["counts"] == {"done": 4}
    (folder / "mine.md").unlink()
    assert cellgauge("plan", "--release", "try", "--model", "mine", folder=project).returncode == 0


@pytest.mark.site
def test_bug_a_model_from_outside_gave_a_release_without_pages(
    project: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("mine")
    (folder / "mine.md").write_text(CARD)
    (folder / "mine.py").write_text("def embed(adata, *, seed):\n    return adata.X.toarray()[:, :20]\n")
    command = ["run", "--release", "try", "--task", "embedding", "--model", str(folder / "mine.md")]
    assert cellgauge(*command, folder=project).returncode == 0
    for part in ("templates", "overrides", "assets"):
        shutil.copytree(REPOSITORY / "site_src" / part, project / "site_src" / part)
    for page in [REPOSITORY / "mkdocs.yml", *(REPOSITORY / "site_src").glob("*.md")]:
        shutil.copy(page, project / page.relative_to(REPOSITORY))
    built = cellgauge("build", "--release", "try", "--site-url", "https://cells.example/", folder=project)
    assert built.returncode == 0, built.stderr
    page = (project / "site/models/mine/index.html").read_text()
    assert "Mine" in page
    assert 'href="https://cells.example/models/mine/"' in page


def test_bug_a_plan_left_a_release_behind(project: Path) -> None:
    assert cellgauge("plan", "--release", "typo", folder=project).returncode == 0
    assert not (project / "results").exists()


def test_a_plan_shows_what_the_filters_select(project: Path) -> None:
    done = cellgauge("plan", "--release", "r", "--task", "clustering", "--model", "pca", folder=project)
    assert done.stdout.splitlines() == ["clustering × pbmc68k-reduced × pca: will run", "1 to run."]


@pytest.mark.slow
def test_bug_failures_were_up_to_date(project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("mine")
    (folder / "mine.md").write_text(CARD)
    (folder / "mine.py").write_text("def embed(adata, *, seed):\n    print('checkpoint')\n    raise ValueError('no')\n")
    command = ["run", "--release", "try", "--task", "embedding", "--model", str(folder / "mine.md"), "--json"]
    first = cellgauge(*command, folder=project)
    assert first.returncode == 1
    assert json.loads(first.stdout)["computed"] == {"failed": 1}, "what a model prints is not on standard output"
    second = cellgauge(*command, folder=project)
    assert second.returncode == 1
    assert json.loads(second.stdout)["without_scores"] == {"failed": 1}
    assert "To try them again add: --retry failed" in second.stderr


@pytest.mark.kill
@pytest.mark.slow
def test_a_killed_run_loses_nothing_and_goes_on(project: Path) -> None:
    import os
    import signal
    import time

    command = [sys.executable, "-m", "cellgauge", "run", "--release", "try", "--task", "embedding", "--jobs", "2"]
    started = subprocess.Popen(command, cwd=project, stdout=subprocess.DEVNULL, start_new_session=True)
    results = project / "results/try/embedding/pbmc68k-reduced"
    deadline = time.monotonic() + 120
    while not list(results.glob("*.json")) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(started.pid, signal.SIGKILL)
    started.wait()
    before = {path: path.stat().st_mtime_ns for path in results.glob("*.json")}
    assert before
    done = cellgauge("run", "--release", "try", "--task", "embedding", "--jobs", "2", folder=project)
    assert done.returncode == 0, done.stderr
    after = {path: path.stat().st_mtime_ns for path in results.glob("*.json")}
    assert len(after) == 6
    assert all(after[path] == changed for path, changed in before.items())


@pytest.mark.slow
def test_two_runs_at_once_compute_each_pair_once(project: Path) -> None:
    command = [sys.executable, "-m", "cellgauge", "run", "--release", "try", "--task", "embedding", "--jobs", "1"]
    command += ["--model", "pca", "--model", "random"]
    runs = [subprocess.Popen([*command, "--json"], cwd=project, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    counts = [json.loads(run.communicate()[0])["computed"] for run in runs]
    assert sum(count.get("done", 0) for count in counts) == 2
    assert sum(count.get("already done", 0) for count in counts) in (0, 1, 2)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "/data/a.json"), "/data/a.json: Permission denied\n"),
        (IsADirectoryError(errno.EISDIR, "Is a directory", "/a/.b.tmp", None, "/a/b"), "/a/b: Is a directory\n"),
        (OSError("the host\nis gone"), "the host is gone\n"),
        (TimeoutError(), "TimeoutError\n"),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), ""),
        (KeyboardInterrupt(), "\nAborted!\n"),
    ],
)
def test_bug_errors_of_the_system_are_told_in_a_line(error: BaseException, said: str) -> None:
    group = Group("group")

    @group.command()
    def command() -> None:
        raise error

    done = CliRunner().invoke(group, ["command"])
    assert (done.exit_code, done.output) == (1, said)
    assert isinstance(done.exception, SystemExit)


def test_bug_a_full_disk_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left on device") as refused:
        write_atomically(tmp_path / "deep/a.json", b"{}")
    assert refused.value.filename == str(tmp_path / "deep/a.json")
    assert list((tmp_path / "deep").iterdir()) == []
