"""The wheel alone, with the core dependencies alone, validates its cards and builds a site in an empty folder."""

import ast
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
IMAGE = os.environ.get("CELLGAUGE_TEST_IMAGE", "local/python:3.11")
NOT_IN_CORE = ("scanpy", "jax", "anndata", "pandas", "pyarrow", "sklearn", "scipy")
PROXIES = ("http_proxy", "https_proxy", "no_proxy")

IN_CONTAINER = r"""
set -e
cd /tmp
python3 -m pip install --quiet -c /host/constraints.txt /host/dist/*.whl
mkdir empty && cd empty && cp -r /host/results .
python3 - <<'PYTHON'
import importlib.util, pathlib, sysconfig
absent = [name for name in {not_in_core!r} if importlib.util.find_spec(name) is None]
print("absent:", *absent)
site = pathlib.Path(sysconfig.get_path("purelib"))
tools = ("pip", "setuptools", "pkg_resources", "_distutils_hack")
sizes = [path.stat().st_size for path in site.rglob("*") if path.is_file() and path.suffix != ".pyc"
         and path.relative_to(site).parts[0].split("-")[0] not in tools]
print("megabytes:", sum(sizes) / 1e6)
PYTHON
cellgauge --version
cellgauge validate
cellgauge build --release trial
echo "pages: $(find site -name index.html | wc -l)"
echo "charts: $(grep -rl 'class="marks"' site | wc -l)"
echo "written: $(ls | tr '\n' ' ')"
"""


def pip_settings() -> dict[str, str]:
    """What pip is told on this machine, as variables that say the same in a container."""
    listed = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True)
    settings = {}
    for line in listed.stdout.splitlines():
        name, _, value = line.partition("=")
        section, _, key = name.rpartition(".")
        if section in ("global", "install", ":env:"):
            settings[f"PIP_{key.upper().replace('-', '_')}"] = " ".join(str(ast.literal_eval(value)).split())
    return settings


def folders_named_in(settings: dict[str, str]) -> list[Path]:
    """Local indexes, folders of wheels and certificates; pages of an index link to files beside it."""
    found = [Path(word.removeprefix("file://")) for value in settings.values() for word in value.split()]
    local = {path.parent if path.name == "simple" else path for path in found if path.is_absolute() and path.exists()}
    return sorted(local)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy so that nothing is left in the tree."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("generator", "site_src"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "constraints.txt", "mkdocs.yml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / name)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", "dist", "."]
    subprocess.run(command, cwd=folder, check=True)
    (built,) = (folder / "dist").glob("*.whl")
    return built


@pytest.mark.slow
def test_the_wheel_carries_the_project_and_nothing_else(wheel: Path):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"cellgauge"}
    assert "cellgauge/py.typed" in names
    modules = {path.relative_to(ROOT / "generator").as_posix() for path in (ROOT / "generator/cellgauge").rglob("*.py")}
    assert modules == {name for name in names if name.endswith(".py") and not name.startswith("cellgauge/project/")}
    generator = zipfile.Path(zipfile.ZipFile(wheel)) / "cellgauge/project/generator"
    assert [one.name for one in generator.iterdir()] == ["images"]
    for folder in ("site_src", "mkdocs.yml"):
        ours = [ROOT / folder] if (ROOT / folder).is_file() else [p for p in (ROOT / folder).rglob("*") if p.is_file()]
        expected = {f"cellgauge/project/{path.relative_to(ROOT).as_posix()}" for path in ours}
        assert expected == {name for name in names if name.startswith(f"cellgauge/project/{folder}")}


def test_images_are_built_from_the_same_files_without_a_clone(tmp_path: Path):
    from cellgauge.cards.image import image_digest

    shutil.copytree(ROOT / "generator/images", tmp_path / "images")
    for image in ("linear", "scvi-census"):
        assert image_digest(tmp_path, image) == image_digest(ROOT / "generator", image)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_wheel_works_in_a_clean_container(docker: str, wheel: Path):
    """Real results, evaluated here, become a site there.

    Installed size counts what the packages bring, without pip and without the bytecode that Python adds.
    """
    if subprocess.run([docker, "image", "inspect", IMAGE], capture_output=True, check=False).returncode != 0:
        pytest.fail(f"no image {IMAGE}: docker pull python:3.11-slim, and name it in CELLGAUGE_TEST_IMAGE")
    folder = wheel.parents[1]
    command = Path(sys.executable).with_name("cellgauge")
    wanted = ["--task=embedding", "--dataset=pbmc68k-reduced", "--model=pca", "--model=random"]
    subprocess.run([command, "--project", folder, "run", "--release=trial", "--jobs=2", *wanted], check=True)
    settings = pip_settings()
    variables = settings | {name: value for name, value in os.environ.items() if name.lower() in PROXIES}
    options = [f"--env={name}={value}" for name, value in variables.items()]
    options += [f"--volume={folder}:{folder}:ro" for folder in folders_named_in(settings)]
    options += [f"--volume={folder}:/host:ro"]
    script = IN_CONTAINER.format(not_in_core=NOT_IN_CORE)
    run = subprocess.run(
        [docker, "run", "--rm", "--network=host", *options, IMAGE, "sh", "-c", script],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    said = dict(line.split(": ", 1) for line in run.stdout.splitlines() if ": " in line)
    assert said["absent"].split() == list(NOT_IN_CORE)
    assert float(said["megabytes"]) < 250
    assert int(said["pages"]) > 10
    assert int(said["charts"]) > 0
    assert "site" in said["written"].split()
