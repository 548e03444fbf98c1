"""What a function imports is found without running it, and what is not installed is named with the command."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from cellgauge.cards.packages import EXTRAS, imports_of, missing_package, not_installed

ROOT = Path(__file__).parents[2]

CODE = """
import json
from typing import TYPE_CHECKING

from xml.etree import ElementTree

if TYPE_CHECKING:
    import only_for_types

raise SystemExit("this file was run")


def embed(adata):
    from inside.deeper import something
    try:
        import a_faster_one
    except ImportError:
        pass
    return _first(adata)


def _first(adata):
    return [_second(one) for one in adata]


def _second(adata):
    import far_away
    return _first(adata)


def other(adata):
    import of_another
"""


def test_imports_are_those_of_the_file_and_of_the_functions_that_are_called(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(CODE)
    every = {"json", "typing", "xml"}
    assert imports_of("mine.py:embed", tmp_path / "card.md") == every | {"inside", "far_away"}
    assert imports_of("mine.py:other", tmp_path / "card.md") == every | {"of_another"}
    assert imports_of("mine.py:absent", tmp_path / "card.md") == every


@pytest.mark.parametrize("target", ["absent.py:f", "no_such_package.module:f", "json.no_such_module:f", "broken.py:f"])
def test_nothing_is_known_of_code_that_is_not_there(tmp_path: Path, target: str) -> None:
    (tmp_path / "broken.py").write_text("def f(:\n")
    assert imports_of(target, tmp_path / "card.md") == frozenset()


def test_what_our_own_methods_import_is_found(tmp_path: Path) -> None:
    """Where a method gets a new package, EXTRAS has to name the extra that brings it."""
    of = {name: imports_of(f"cellgauge.models.{name}", tmp_path) & set(EXTRAS) for name in OF_OUR_METHODS}
    assert of == OF_OUR_METHODS


OF_OUR_METHODS = {
    "batches:harmony": {"harmonypy"},
    "batches:centred_pca": set(),
    "batches:scanorama": {"scanorama"},
    "variational:scvi": {"scvi", "torch"},
    "variational:linear_scvi": {"scvi", "torch"},
    "linear:pca": set(),
}


def test_each_extra_that_is_named_holds_its_package() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for module, extra in EXTRAS.items():
        # "scvi" is in the distribution "scvi-tools"; the others are called like their distribution.
        assert any(line.startswith(module) for line in extras[extra]), module


@pytest.mark.parametrize(
    ("module", "ours", "said"),
    [
        ("json.no_such_part", False, None),
        (None, False, None),
        ("no_such_package.part", False, 'no module named "no_such_package.part" on this machine: install its package'),
        ("no_such_package", True, "pip install 'cellgauge[run]'"),
    ],
)
def test_only_what_has_no_package_here_can_be_installed(module: str | None, ours: bool, said: str | None) -> None:
    found = not_installed(module, ours=ours)
    assert (found is None) == (said is None)
    assert found is None or str(said) in str(found)


def test_a_package_with_an_extra_of_its_own_is_asked_for_by_that(tmp_path: Path, monkeypatch) -> None:
    for module in ("harmonypy", "anndata"):
        monkeypatch.setitem(sys.modules, module, None)  # as if they were not there
    both = missing_package("cellgauge.models.batches:harmony", tmp_path)
    assert both == (
        "no module named \"harmonypy\" on this machine: pip install 'cellgauge[methods]', or in a clone: make methods"
    )
    assert "pip install 'cellgauge[run]'" in str(missing_package("cellgauge.models.batches:centred_pca", tmp_path))
    monkeypatch.undo()
    assert missing_package("cellgauge.models.batches:harmony", tmp_path) is None


def test_models_are_listed_with_what_they_need(tmp_path: Path) -> None:
    """Without importing it: a module that ends the program is beside the card."""
    models = tmp_path / "site_src/models"
    models.mkdir(parents=True)
    (tmp_path / "mkdocs.yml").write_text("site_name: test\n")
    (models / "mine.py").write_text(CODE)
    text = (ROOT / "site_src/models/pca.md").read_text()
    (models / "pca.md").write_text(text)
    for name, target in (("mine", "mine.py:embed"), ("gone", "no_such_package.module:f")):
        card = text.replace("cellgauge.models.linear:pca", target).replace("name: PCA", f"name: {name}")
        (models / f"{name}.md").write_text(card)
    run = subprocess.run(
        [sys.executable, "-m", "cellgauge", "--project", tmp_path, "model", "list", "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    missing = {row["model"]: row["missing"] for row in json.loads(run.stdout)}
    hint = "on this machine: install its package, or check the spelling"
    assert missing == {
        "pca": None,
        "mine": f'no module named "far_away" {hint}',
        "gone": f'no module named "no_such_package" {hint}',
    }
