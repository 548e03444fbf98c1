"""The constraints pin every dependency for every supported Python, and say nothing about where they were made."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
REQUIREMENTS = [Requirement(one) for group in (PROJECT["dependencies"], *EXTRAS.values()) for one in group]
FILES = {
    name: (ROOT / name).read_text(encoding="utf-8").splitlines()
    for name in ("constraints.txt", "constraints-methods.txt")
}
PINS = [Requirement(line) for lines in FILES.values() for line in lines]
LARGE = ("scanorama", "scvi")
"""Extras whose packages are in the second file, since most do without."""
PYTHONS = ("3.11.0", "3.11.14", "3.12.0", "3.13.0")
EVALUATION = {"anndata", "jax", "pandas", "pyarrow", "scanpy", "scib-metrics", "scikit-learn", "scipy"}


def pins_for(python: str) -> dict[str, str]:
    """The version of each package that a Python gets, on a common machine."""
    environment = {
        "python_full_version": python,
        "python_version": ".".join(python.split(".")[:2]),
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "sys_platform": "linux",
        "platform_machine": "x86_64",
    }
    chosen = [pin for pin in PINS if pin.marker is None or pin.marker.evaluate(environment)]
    names = [canonicalize_name(pin.name) for pin in chosen]
    assert sorted(set(names)) == sorted(names), "a package is pinned twice"
    return dict(zip(names, (str(pin.specifier) for pin in chosen), strict=True))


@pytest.mark.parametrize("python", PYTHONS)
def test_every_dependency_is_pinned_inside_its_range(python: str):
    pins = pins_for(python)
    for requirement in REQUIREMENTS:
        pin = pins.get(canonicalize_name(requirement.name))
        assert pin is not None, f"{requirement.name} is not in constraints.txt; run: make lock"
        assert pin.startswith("==")
        assert requirement.specifier.contains(pin.removeprefix("=="), prereleases=True), f"{requirement} against {pin}"


@pytest.mark.parametrize("name", FILES)
def test_every_line_is_one_exact_pin_and_nothing_else(name: str):
    condition = r"\(?[a-z_]+ (<|>=|!=|==) '[\w.]+'\)?"
    for line in FILES[name]:
        assert re.fullmatch(rf"[A-Za-z0-9._-]+==[0-9a-z.!]+( ; {condition}( (and|or) {condition})*)?", line), line
        assert Requirement(line).url is None
    assert sorted(FILES[name], key=lambda line: re.split(r"[= ]", line)[0]) == FILES[name]


def test_what_takes_gigabytes_is_in_a_file_of_its_own():
    small = {Requirement(line).name for line in FILES["constraints.txt"]}
    assert not {name for name in small if name.startswith(("torch", "nvidia", "cuda", "triton"))}
    for extra in LARGE:
        assert not small & {Requirement(one).name for one in EXTRAS[extra]}
    for extra in EXTRAS.keys() - set(LARGE):
        assert {Requirement(one).name for one in EXTRAS[extra]} <= small


def test_only_the_targets_that_say_so_install_it():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    installed = dict(
        re.findall(r"^\$\(VENV\)/\.installed-(\w+):.*\n(?:\t.*\n)*?\t@\$\(PIP\).*\[(.*)\]", makefile, re.M)
    )
    assert {target for target, extras in installed.items() if set(extras.split(",")) & set(LARGE)} == {"methods"}
    assert set(installed) == {"run", "test", "methods"}
    needs = {line.split(":")[0] for line in makefile.splitlines() if re.match(r"[a-z-]+: .*installed-methods", line)}
    assert needs == {"methods", "test-models"}


def test_the_image_of_scvi_has_the_versions_that_are_pinned_here():
    """So that the function and the container give the same embedding."""
    pins = pins_for("3.11.0")
    text = (ROOT / "generator/images/scvi/requirements.txt").read_text(encoding="utf-8")
    for requirement in map(Requirement, text.splitlines()):
        assert str(requirement.specifier) == pins[canonicalize_name(requirement.name)], requirement.name


def test_the_supported_pythons_are_those_that_are_pinned():
    supported = SpecifierSet(PROJECT["requires-python"])
    assert all(supported.contains(python) for python in PYTHONS)
    minors = [f"3.{minor}" for minor in range(30) if supported.contains(f"3.{minor}.99")]
    named = [text.rsplit(" ", 1)[1] for text in PROJECT["classifiers"] if text.startswith("Programming Language")]
    assert minors == named == sorted({".".join(python.split(".")[:2]) for python in PYTHONS})


def test_the_core_asks_for_no_package_of_evaluation():
    core = {canonicalize_name(Requirement(one).name) for one in PROJECT["dependencies"]}
    assert not core & EVALUATION
    assert EVALUATION & {canonicalize_name(Requirement(one).name) for one in EXTRAS["run"]}


def test_ranges_have_both_ends():
    for requirement in REQUIREMENTS:
        operators = {part.operator for part in requirement.specifier}
        assert operators == {">=", "<"}, f"{requirement}: expected a range with both ends"
