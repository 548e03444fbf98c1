"""The recipes on the page Publish do what they say."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from cellgauge.publish.destination import open_destination

REPOSITORY = Path(__file__).parents[3]
PAGE = (REPOSITORY / "site_src/publish.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)
    return found


def run(folder: Path, *words: str) -> str:
    who = {"GIT_AUTHOR_NAME": "x", "GIT_AUTHOR_EMAIL": "x@example.org"}
    who |= {"GIT_COMMITTER_NAME": "x", "GIT_COMMITTER_EMAIL": "x@example.org"}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        words, cwd=folder, capture_output=True, text=True, check=False, env={**os.environ, **who, "PATH": path}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.site
def test_the_workflow_publishes_each_release_once(frozen, tmp_path):
    workflow = yaml.safe_load(block("yaml"))
    steps = workflow["jobs"]["publish"]["steps"]
    checkouts = [step.get("with", {}) for step in steps if step.get("uses", "").startswith("actions/checkout@")]
    assert checkouts == [{}, {"ref": "gh-pages", "path": "pages"}]
    commands = [step["run"] for step in steps if "run" in step]
    assert commands[0] == "python -m pip install -c constraints.txt ."
    remote, clone = tmp_path / "remote", tmp_path / "clone"
    run(tmp_path, "git", "init", "--quiet", "--bare", "--initial-branch", "main", str(remote))
    run(tmp_path, "git", "clone", "--quiet", str(remote), str(clone))
    run(clone, "git", "switch", "--orphan", "gh-pages")
    run(clone, "git", "commit", "--quiet", "--allow-empty", "--message", "Begin the site")
    run(clone, "git", "push", "--quiet", "origin", "gh-pages")
    shutil.copytree(
        frozen.source, clone, dirs_exist_ok=True, ignore=shutil.ignore_patterns("build", "site", ".git", "2027.02")
    )
    index = json.loads((clone / "results/releases.json").read_bytes())
    later = index["releases"].pop("2027.02")
    (clone / "results/releases.json").write_text(json.dumps(index), encoding="utf-8")

    def publish() -> list[str]:
        shutil.rmtree(clone / "pages", ignore_errors=True)
        run(clone, "git", "clone", "--quiet", "--branch", "gh-pages", str(remote), "pages")
        for command in commands[1:]:
            run(clone, "bash", "-e", "-c", command)
        return run(remote, "git", "log", "--format=%s", "gh-pages").splitlines()

    first = publish()
    assert first == ["Publish what is new", "Begin the site"]
    before = run(remote, "git", "rev-parse", "gh-pages:2026.08", "gh-pages:2026.11").split()
    assert publish() == first, "there was nothing new"
    shutil.copytree(frozen.release("2027.02"), clone / "results/2027.02")
    index["releases"]["2027.02"] = later
    (clone / "results/releases.json").write_text(json.dumps(index), encoding="utf-8")
    assert publish() == ["Publish what is new", *first]
    assert run(remote, "git", "rev-parse", "gh-pages:2026.08", "gh-pages:2026.11").split() == before
    names = run(remote, "git", "ls-tree", "--name-only", "gh-pages").split()
    assert names == sorted([
        ".nojekyll", "2026.08", "2026.11", "2027.02", "404.html", "assets", "index.html", "latest", "releases.json",
        "robots.txt", "sitemap.xml", "versions.json",
    ])  # fmt: skip


@pytest.mark.slow
@pytest.mark.site
def test_the_rights_of_the_recipe_are_those_that_are_used(publishing, store):
    policy = json.loads(block("json"))
    assert [one["Action"] for one in policy["Statement"]] == ["s3:ListBucket", ["s3:GetObject", "s3:PutObject"]]
    asked = []
    client = open_destination(store.url, store.wire.url)
    client._client.meta.events.register("before-call.s3", lambda model, **_: asked.append(model.name))
    publishing(client, "2026.08")
    assert set(asked) == {"ListObjectsV2", "GetObject", "PutObject"}
