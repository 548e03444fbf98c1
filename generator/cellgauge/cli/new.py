"""The command that begins a card: everything that is needed is there, and what is to be said is marked TODO."""

from __future__ import annotations

import re
from pathlib import Path

import click

from cellgauge.cli.terminal import fail

_CARD = """---
name: {name}
summary: TODO one sentence, shown in lists
version: 1
role: model
obtain:
{obtain}
output: embedding
fit: none            # none: nothing is fitted here; dataset: fitted on the cells evaluated; reference: on others
pretrained: false
seeded: true         # whether another seed gives another embedding
input:
  values: [counts]   # also log-normalised, scaled, continuous: what your model can take
intended_use:
  - TODO what it is for
limits:
  - TODO what it cannot do
---
TODO what the model does, in words that a biologist can follow.
"""

_FUNCTION = """  kind: function
  function: {module}.py:embed
  params: {{n_components: 20}}"""

_CONTAINER = """  kind: container
  folder: {id}
  params: {{n_components: 20}}
  limits: {{memory_gb: 8, minutes: 60}}
  tried_with: no weights needed"""

_PYTHON = '''"""TODO what the model is."""

import numpy as np
from scipy import sparse


def embed(adata, *, seed, n_components):
    """Return one row for each cell, in the order given. Replace this random projection by your model."""
    expression = adata.X.toarray() if sparse.issparse(adata.X) else adata.X
    depth = expression.sum(axis=1, keepdims=True)
    scaled = np.log1p(1e4 * expression / np.maximum(depth, 1))
    rng = np.random.default_rng(seed)
    return scaled @ rng.normal(size=(adata.n_vars, n_components)) / np.sqrt(n_components)
'''

_ADAPTER = '''"""TODO what the model is."""

from adapter import run
from {module} import embed as embed_cells


def embed(adata, request):
    """Hand the cells to the model. Weights lie below /weights: adapter.weights("file") gives a path."""
    return embed_cells(adata, seed=request["seed"], **request["params"])


if __name__ == "__main__":
    run(embed, packages=("numpy", "scipy"))
'''

_DOCKERFILE = """ARG BASE_IMAGE=python:3.11-slim
FROM ${{BASE_IMAGE}}
COPY images/{id}/requirements.txt /app/
RUN python3 -m pip install --no-cache-dir -r /app/requirements.txt
COPY images/adapter.py images/{id}/model.py images/{id}/{module}.py /app/
ENTRYPOINT ["python3", "/app/model.py"]
"""

_REQUIREMENTS = "anndata==0.12.19\nnumpy==2.4.6\npandas==2.3.3\nscipy==1.17.1\n"


@click.group(short_help="Begin a card, with everything it needs.")
def new() -> None:
    """Begin a card. `cellgauge validate` lists what is still TODO."""


@new.command()
@click.argument("id_", metavar="ID")
@click.option("--container", is_flag=True, help="As a container image, for whatever does not run beside cellgauge.")
@click.pass_obj
def model(start: Path | None, /, id_: str, container: bool) -> None:
    """Begin a model: its card, and code that works already and waits to be replaced."""
    from cellgauge.cards.base import ID_PATTERN
    from cellgauge.cards.project import find_project

    if not re.fullmatch(ID_PATTERN, id_):
        raise click.UsageError(f'expected lower-case words joined by "-", found "{id_}"')
    project = find_project(start)
    module, name = id_.replace("-", "_"), id_.replace("-", " ").capitalize()
    words = {"id": id_, "module": module, "name": name}
    obtain = (_CONTAINER if container else _FUNCTION).format(**words)
    models, image = project.site_src / "models", project.generator / "images" / id_
    files = {models / f"{id_}.md": _CARD.format(obtain=obtain, **words)}
    if container:
        files |= {
            image / "Dockerfile": _DOCKERFILE.format(**words),
            image / "requirements.txt": _REQUIREMENTS,
            image / "model.py": _ADAPTER.format(**words),
            image / f"{module}.py": _PYTHON,
        }
    else:
        files[models / f"{module}.py"] = _PYTHON
    if there := [path for path in files if path.exists()]:
        fail(f"{there[0]}: is there already; choose another id or remove it")
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        click.echo(path.relative_to(project.source).as_posix())
    build = f"cellgauge model build {id_}, then " if container else ""
    click.echo(f"Next: fill in what says TODO, cellgauge validate, {build}cellgauge run --release try --model {id_}")
