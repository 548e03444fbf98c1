"""`cellgauge data`: what is here, fetching, verifying, clearing up, with a network, without one, and from a mirror."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from cellgauge.cards import Project, load_cards
from cellgauge.cli import main
from cellgauge.data.content import content_digest
from cellgauge.data.fingerprint_file import Fingerprint

REPOSITORY = Path(__file__).parents[2]
Command = Callable[..., "Done"]

CARD = """---
name: {id}
summary: Made for a test.
version: 1
evidence: measured
study: {id}
organisms: [{{name: Homo sapiens, taxon: 9606}}]
modality: scRNA-seq
source: {{kind: file, url: "{url}", {sha256}size: {size}}}
digest_of_content: {content}
matrix: {{location: X, values: counts, features: gene symbols}}
columns: {{label: type}}
---
"""


class Quiet(SimpleHTTPRequestHandler):
    asked: list[str] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        super().do_GET()

    def log_message(self, *_: object) -> None:
        pass


class Served:
    """A small dataset on a web server, and a project with its card."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port
        (folder / "site_src").mkdir(parents=True)
        for kind in ("metrics", "tasks", "models"):
            shutil.copytree(REPOSITORY / "site_src" / kind, folder / "site_src" / kind)
        (folder / "site_src/datasets").mkdir()
        (folder / "mkdocs.yml").write_text("site_name: test\n")
        rng = np.random.default_rng(0)
        types = np.tile(list("abc"), 20)
        matrix = rng.poisson(2, (60, 8)).astype(np.float32)
        obs = pd.DataFrame({"type": types}, index=[f"c{i}" for i in range(60)])
        adata = ad.AnnData(matrix, obs=obs, var=pd.DataFrame(index=[f"g{i}" for i in range(8)]))
        (folder / "files").mkdir()
        self.file = folder / "files/cells.h5ad"
        adata.write_h5ad(self.file)
        self.sha256 = "sha256:" + hashlib.sha256(self.file.read_bytes()).hexdigest()
        self.content = content_digest(matrix, adata.obs_names, adata.var_names, {"label": types})

    def card(self, dataset: str = "served", *, sha256: str | None = "", content: str | None = "") -> Path:
        path = self.folder / f"site_src/datasets/{dataset}.md"
        pinned = self.sha256 if sha256 == "" else sha256
        path.write_text(
            CARD.format(
                id=dataset,
                url=f"http://127.0.0.1:{self.port}/cells.h5ad",
                sha256=f'sha256: "{pinned}", ' if pinned else "",
                size=self.file.stat().st_size,
                content=(self.content if content == "" else content) or "null",
            )
        )
        return path


@pytest.fixture
def served(tmp_path: Path, keep_light_models: Callable[[Path], None]) -> Iterator[Served]:
    Quiet.asked = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "project/files")))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    found = Served(tmp_path / "project", server.server_port)
    keep_light_models(found.folder)
    yield found
    server.shutdown()
    server.server_close()


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def cellgauge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run a command in a project, with a cache of its own; in a process of its own only where ``before`` starts one."""
    monkeypatch.delenv("CELLGAUGE_MIRROR", raising=False)
    monkeypatch.setenv("CELLGAUGE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "*")

    def run(*arguments: str, folder: Path, mirror: Path | None = None, before: tuple[str, ...] = ()) -> Done:
        if mirror is not None:
            monkeypatch.setenv("CELLGAUGE_MIRROR", str(mirror))
        if before:
            command = [*before, sys.executable, "-m", "cellgauge", *arguments]
            ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=250, check=False)
            return Done(ended.returncode, ended.stdout, ended.stderr)
        monkeypatch.chdir(folder)
        result = CliRunner().invoke(main, arguments)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Done(result.exit_code, result.stdout, result.stderr)

    return run


def test_a_dataset_is_fetched_once_and_then_found(served: Served, cellgauge: Command) -> None:
    served.card()
    listed = cellgauge("data", "list", folder=served.folder)
    assert listed.stdout.split("\n")[0].split("  ")[1].startswith("to fetch, ")
    done = cellgauge("data", "fetch", folder=served.folder)
    assert done.returncode == 0, done.stderr
    assert "served: 60 cells × 8 features" in done.stdout
    assert "downloading http://127.0.0.1" in done.stderr
    assert "  here  " in cellgauge("data", "list", folder=served.folder).stdout
    again = cellgauge("data", "fetch", "served", folder=served.folder)
    assert (again.returncode, again.stderr) == (0, "")
    assert Quiet.asked == ["/cells.h5ad"]


def test_a_family_in_one_state_is_one_line(served: Served, cellgauge: Command) -> None:
    card = served.card("atlas", sha256=None, content=None)
    text = card.read_text().replace("name: atlas", 'name: "Atlas {tissue}"')
    members = "members: [{id: lung, tissue: Lung}, {id: skin, tissue: Skin}]"
    card.write_text(text.replace("version: 1", f"version: 1\nfamily: {{name: Atlas, summary: All of it.}}\n{members}"))
    listed = [line.split() for line in cellgauge("data", "list", folder=served.folder).stdout.splitlines()]
    assert listed == [["atlas-*", "not", "pinned", "Atlas:", "2", "datasets"]]
    named = cellgauge("data", "list", "atlas", folder=served.folder).stdout.splitlines()
    assert [line.split()[0] for line in named] == ["atlas-lung", "atlas-skin"]


def test_where_names_a_file_that_can_be_opened(served: Served, cellgauge: Command) -> None:
    served.card()
    missing = cellgauge("data", "where", "served", folder=served.folder)
    assert missing.returncode == 1
    assert missing.stderr.strip() == "served is not here; get it with: cellgauge data fetch served"
    cellgauge("data", "fetch", folder=served.folder)
    found = Path(cellgauge("data", "where", "served", folder=served.folder).stdout.strip())
    assert ad.read_h5ad(found).shape == (60, 8)


def test_a_wrong_digest_ends_with_1_and_names_both(served: Served, cellgauge: Command, tmp_path: Path) -> None:
    served.card(sha256="sha256:" + "0" * 64)
    done = cellgauge("data", "fetch", folder=served.folder)
    assert done.returncode == 1
    assert "0" * 64 in done.stderr
    assert served.sha256 in done.stderr
    assert [path for path in (tmp_path / "cache").rglob("*") if path.is_file() and path.suffix != ".lock"] == []


def test_an_unpinned_dataset_is_fetched_only_by_name_and_says_what_to_write(served: Served, cellgauge: Command) -> None:
    card = served.card(sha256=None, content=None)
    left_out = cellgauge("data", "fetch", folder=served.folder)
    assert left_out.returncode == 0
    assert "1 dataset is not pinned" in left_out.stdout
    assert Quiet.asked == []
    named = cellgauge("data", "fetch", "served", folder=served.folder)
    assert named.returncode == 0, named.stderr
    assert "not pinned yet. If these are the cells you mean, write into the card:" in named.stdout
    assert f"  source.sha256: {served.sha256}\n" in named.stdout
    assert f"  digest_of_content: {served.content}\n" in named.stdout
    text = card.read_text().replace("size:", f'sha256: "{served.sha256}", size:').replace("null", served.content)
    card.write_text(text)
    pinned = cellgauge("data", "fetch", "served", folder=served.folder)
    assert pinned.returncode == 0, pinned.stderr
    assert Quiet.asked == ["/cells.h5ad"]


def test_verify_finds_a_file_that_was_damaged(served: Served, cellgauge: Command) -> None:
    served.card()
    assert "No file is here yet" in cellgauge("data", "verify", folder=served.folder).stdout
    cellgauge("data", "fetch", folder=served.folder)
    assert cellgauge("data", "verify", folder=served.folder).stdout == "served: data: ok\n"
    kept = Path(cellgauge("data", "where", "served", folder=served.folder).stdout.strip())
    kept.chmod(0o644)
    kept.write_bytes(kept.read_bytes()[:-1] + b"x")
    done = cellgauge("data", "verify", "--json", folder=served.folder)
    assert done.returncode == 1
    (row,) = json.loads(done.stdout)
    assert row["problem"].startswith(f"expected {served.sha256}, found sha256:")


def test_clean_removes_what_no_card_asks_for(served: Served, cellgauge: Command, tmp_path: Path) -> None:
    card = served.card()
    cellgauge("data", "fetch", folder=served.folder)
    assert cellgauge("data", "clean", folder=served.folder).stdout.startswith("0 files, 0 B")
    card.unlink()
    (tmp_path / "cache/files/partial").mkdir(exist_ok=True)
    planned = json.loads(cellgauge("data", "clean", "--dry-run", "--json", folder=served.folder).stdout)
    assert planned["bytes"] == served.file.stat().st_size
    assert planned["removed"] == []
    cleaned = json.loads(cellgauge("data", "clean", "--json", folder=served.folder).stdout)
    assert [Path(path).exists() for path in cleaned["removed"]] == [False]


def test_validate_data_lists_what_is_wrong_with_what_is_here(served: Served, cellgauge: Command) -> None:
    served.card()
    absent = cellgauge("validate", "--data", folder=served.folder)
    assert absent.returncode == 0
    assert "1 dataset is not on this machine" in absent.stdout
    cellgauge("data", "fetch", folder=served.folder)
    checked = cellgauge("validate", "--data", folder=served.folder)
    assert "served: 60 cells, no problems, peak memory " in checked.stdout
    card = served.card()
    card.write_text(card.read_text().replace("label: type", "label: kind, donor: person"))
    done = cellgauge("validate", "--data", "--json", folder=served.folder)
    assert done.returncode == 1
    assert [problem["message"] for problem in json.loads(done.stdout)["problems"]] == [
        'label column "kind" is not in obs (found: type)',
        'donor column "person" is not in obs (found: type)',
    ]


@pytest.mark.slow
def test_a_run_without_its_data_says_so_and_tries_again(served: Served, cellgauge: Command) -> None:
    card = served.card()
    good = card.read_text()
    card.write_text(good.replace("cells.h5ad", "gone.h5ad"))
    arguments = ("run", "--release", "try", "--task", "clustering", "--model", "random")
    done = cellgauge(*arguments, folder=served.folder)
    assert done.returncode == 1
    assert "404" in done.stderr
    assert "Could not be obtained, and not run: served." in done.stderr
    assert not list((served.folder / "results/try/clustering").glob("**/*.json"))
    card.write_text(good)
    assert "1 done. Datasets counted: 1." in cellgauge(*arguments, folder=served.folder).stdout
    profile = json.loads((served.folder / "results/try/datasets/served.json").read_text())
    assert (profile["n_cells"], profile["content"]) == (60, served.content)
    assert "Nothing to do" in cellgauge(*arguments, folder=served.folder).stdout


def test_a_dataset_that_no_task_can_use_is_counted(served: Served, cellgauge: Command) -> None:
    card = served.card()
    cells = ad.read_h5ad(served.file)
    content = content_digest(cells.X, cells.obs_names, cells.var_names, {})
    text = card.read_text().replace("columns: {label: type}", "columns: {}").replace(served.content, content)
    card.write_text(text)
    done = cellgauge("run", "--release", "try", folder=served.folder)
    assert done.returncode == 0, done.stderr
    assert "nothing to evaluate. Datasets counted: 1." in done.stdout


def test_an_unknown_dataset_names_the_nearest(served: Served, cellgauge: Command) -> None:
    served.card()
    done = cellgauge("data", "where", "serve", folder=served.folder)
    assert done.returncode == 1
    assert done.stderr.strip() == 'unknown dataset "serve"; did you mean "served"?'


@pytest.mark.slow
def test_every_recipe_comes_from_the_mirror_without_a_network(shared_data: Path, cellgauge: Command) -> None:
    """In a network namespace of its own there is not even a loopback that is up."""
    alone = ("unshare", "--map-root-user", "--net")
    if shutil.which("unshare") is None or subprocess.run([*alone, "true"], check=False).returncode:
        pytest.skip("needs network namespaces: unshare of util-linux, and a kernel that lets one make them")
    done = cellgauge("data", "fetch", "--json", folder=REPOSITORY, mirror=shared_data / "raw", before=alone)
    assert done.returncode == 0, done.stderr
    fetched = {row["dataset"] for row in json.loads(done.stdout)}
    pinned = {card.id for card in load_cards(Project(REPOSITORY, REPOSITORY)).datasets.values() if card.pinned}
    assert fetched == pinned
    assert {"sc-mixology", "baron-pancreas-human", "baron-pancreas-mouse", "norman-2019-subset"} <= fetched
    offline = cellgauge("data", "verify", "--json", folder=REPOSITORY, before=alone)
    assert offline.returncode == 0, offline.stderr
    assert {row["dataset"] for row in json.loads(offline.stdout)} == pinned


def test_fingerprints_are_written_and_say_what_they_disclose(
    served: Served, cellgauge: Command, tmp_path: Path
) -> None:
    out = tmp_path / "cells.npz"
    done = cellgauge("fingerprint", str(served.file), "--out", str(out), folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{out}: 60 cells, 8 genes, ")
    assert "Exact hashes: 100 % of the cells (60 from " in done.stdout
    for part in ("exact", "sketch", "neither"):
        assert f"  {part}: " in done.stdout
    assert Fingerprint.load(out).header.n_cells == 60
    header = json.loads(cellgauge("fingerprint", str(served.file), "--json", folder=tmp_path).stdout)
    assert (header["n_cells"], header["out"]) == (60, "cells.fingerprints.npz")
    assert (tmp_path / "cells.fingerprints.npz").read_bytes() == out.read_bytes()


def test_fingerprints_of_what_is_no_dataset_are_refused(cellgauge: Command, tmp_path: Path) -> None:
    (tmp_path / "text.h5ad").write_text("no dataset")
    done = cellgauge("fingerprint", "text.h5ad", folder=tmp_path)
    assert done.returncode == 1
    assert "expected an .h5ad file" in done.stderr
    assert not (tmp_path / "text.fingerprints.npz").exists()


RECIPE = "def make():\n    return {}['no such key']\n"


def test_bug_an_error_in_a_recipe_kept_other_datasets_from_being_fetched(served: Served, cellgauge: Command) -> None:
    served.card()
    card = served.card("broken")
    source = text_between(card.read_text(), "source: ", "\n")
    card.write_text(card.read_text().replace(source, '{kind: function, function: "recipe.py:make"}'))
    (card.parent / "recipe.py").write_text(RECIPE)
    done = cellgauge("data", "fetch", folder=served.folder)
    assert done.returncode == 1
    assert "broken: recipe.py:2: KeyError: 'no such key'" in done.stderr
    assert "served: 60 cells" in done.stdout
    checked = cellgauge("validate", "--data", folder=served.folder)
    assert "broken.md:1: broken: recipe.py:2: KeyError" in checked.stderr


def text_between(text: str, before: str, after: str) -> str:
    return text.split(before)[1].split(after)[0]


def test_bug_where_of_a_family_was_a_traceback(served: Served, cellgauge: Command) -> None:
    card = served.card("atlas")
    text = card.read_text().replace("name: atlas", 'name: "Atlas {tissue}"')
    members = "members: [{id: lung, tissue: Lung}, {id: skin, tissue: Skin}]"
    card.write_text(text.replace("version: 1", f"version: 1\nfamily: {{name: Atlas, summary: All of it.}}\n{members}"))
    absent = cellgauge("data", "where", "atlas", folder=served.folder)
    assert absent.stderr.strip() == "atlas-lung, atlas-skin are not here; get it with: cellgauge data fetch atlas"
    cellgauge("data", "fetch", "atlas", folder=served.folder)
    assert len(cellgauge("data", "where", "atlas", folder=served.folder).stdout.splitlines()) == 2


def test_bug_a_cache_that_is_a_file_was_a_traceback(served: Served, cellgauge: Command, tmp_path: Path) -> None:
    served.card()
    (tmp_path / "cache").write_text("not a folder")
    done = cellgauge("data", "list", folder=served.folder)
    assert done.returncode == 1
    assert "expected a folder, found a file" in done.stderr


@pytest.mark.slow
def test_bug_a_full_disk_took_the_process_down_while_a_made_dataset_was_kept(
    cellgauge: Command, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    small = ("unshare", "--map-root-user", "--mount", "sh", "-c", 'mount -t tmpfs -o size=1m none "$0" && exec "$@"')
    if shutil.which("unshare") is None or subprocess.run([*small, str(cache), "true"], check=False).returncode:
        pytest.skip("needs mount namespaces: unshare of util-linux, and a kernel that lets one make them")
    done = cellgauge("data", "fetch", "simulated-perturbation", folder=REPOSITORY, before=(*small, str(cache)))
    assert done.returncode == 1
    assert "simulated-perturbation: dataset simulated-perturbation: " in done.stderr
    assert "Make room, or set CELLGAUGE_CACHE" in done.stderr
