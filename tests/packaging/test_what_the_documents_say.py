"""What README and its neighbours promise is there."""

import re
import subprocess
import textwrap
import tomllib
from pathlib import Path

import yaml

from cellgauge.cards import ModelCard
from cellgauge.cards.function import load_function
from cellgauge.cards.read import read_card

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_model_of_the_readme_is_a_valid_card_with_its_function(tmp_path: Path):
    code, card = (textwrap.dedent(block) for block in re.findall(r"```(?:python|yaml)\n(.*?)```", README, re.DOTALL))
    (tmp_path / "my_model.py").write_text(code, encoding="utf-8")
    (tmp_path / "my-model.md").write_text(card, encoding="utf-8")
    read = read_card(tmp_path / "my-model.md", ModelCard)
    assert callable(load_function(read.obtain.function, tmp_path / "my-model.md"))


def test_every_make_target_that_is_named_exists():
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    targets = set(re.findall(r"make ([a-z-]+)", listed))
    named = set(re.findall(r"(?:`|^)make ([a-z-]+)", README + CONTRIBUTING, re.MULTILINE))
    assert {"demo", "test", "test-all", "serve", "lint", "lock", "clean"} <= targets
    assert named <= targets


def test_every_command_that_is_named_exists():
    from cellgauge.cli import main

    named = set(re.findall(r"`?cellgauge ([a-z]+)", README + CONTRIBUTING + CHANGELOG)) - {"evaluates"}
    assert {"validate", "run", "build"} <= named <= set(main.commands)


def test_links_between_files_lead_somewhere():
    for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        for target in re.findall(r"(?<!!)\[[^]]+\]\(([^)#]+)\)", text):
            assert target.startswith("https://") or (ROOT / target).exists(), f"{name}: {target}"


def test_the_citation_names_the_version_that_is_packaged():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert citation["version"] == project["version"]
    assert citation["license"] == project["license"]


def test_no_python_that_fits_is_a_clear_error(tmp_path: Path):
    command = [
        "make",
        "--no-print-directory",
        "PYTHON=/nowhere/python",
        f"VENV={tmp_path}/venv",
        f"{tmp_path}/venv/bin/python",
    ]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode != 0
    assert "No usable Python among: /nowhere/python" in run.stderr
    assert "Python 3.11, 3.12 or 3.13" in run.stderr
    assert not (tmp_path / "venv").exists()
