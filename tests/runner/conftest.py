"""A small project with the real task and metric cards, a tiny dataset, and models that go wrong in every way."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from cellgauge.cards import Cards, Project, load_cards
from cellgauge.cards.dataset import DatasetCard
from cellgauge.cards.read import read_card
from cellgauge.data.dataset import load_dataset
from cellgauge.data.obtain import InvalidDatasetError
from cellgauge.data.store import FileStore

REPOSITORY = Path(__file__).parents[2]

MODEL = """---
name: {id}
summary: Made for a test.
version: {version}
role: model
obtain: {{kind: function, function: "{function}"}}
output: embedding
fit: none
pretrained: false
seeded: false
input: {{values: [counts, log-normalised]}}
---
"""

DATASET = """---
name: {id}
summary: Made for a test.
version: 1
evidence: measured
study: {id}
organisms: [{{name: Homo sapiens, taxon: 9606}}]
modality: scRNA-seq
source: {{kind: file, path: {id}.h5ad}}
digest_of_content: {digest}
matrix: {{location: X, values: counts, features: gene symbols}}
columns: {{{columns}}}
---
"""

FUNCTIONS = """
import os, signal, time
import numpy as np

def good(adata, *, seed):
    return np.asarray(adata.X, dtype=float)[:, :5]

def noted(adata, *, seed):
    with open(os.environ["NOTE"], "a") as file:
        file.write("called\\n")
    return good(adata, seed=seed)

def fickle(adata, *, seed):
    if os.path.exists(os.environ["NOTE"]):
        raise RuntimeError("not a second time")
    return good(adata, seed=seed)

def short(adata, *, seed):
    return good(adata, seed=seed)[:-1]

def nan(adata, *, seed):
    values = good(adata, seed=seed)
    values[3, 1] = np.nan
    return values

def infinite(adata, *, seed):
    return good(adata, seed=seed) / 0.0

def raises(adata, *, seed):
    raise RuntimeError("the model is broken")

def unpicklable(adata, *, seed):
    class Local(Exception):
        def __init__(self, one, two):
            self.two = two
    raise Local(1, lambda: None)

def no_memory(adata, *, seed):
    raise MemoryError

def quits(adata, *, seed):
    raise SystemExit(3)

def dies(adata, *, seed):
    os.kill(os.getpid(), signal.SIGKILL)

def hangs(adata, *, seed):
    with open(os.environ["NOTE"], "w") as file:
        file.write(str(os.getpid()))
    time.sleep(600)

"""


_STRESS = re.compile(r"^stress:\n(?:  - .*\n)+", re.MULTILINE)


class TinyProject:
    """Writes cards into a project and reads them back. Models are not shown worse data, unless a test asks for it."""

    def __init__(self, folder: Path) -> None:
        self.project = Project(folder, folder)
        self.cache = folder / "cache"
        (folder / "mkdocs.yml").write_text("site_name: test\n")
        for kind in ("metrics", "tasks", "models"):
            shutil.copytree(REPOSITORY / "site_src" / kind, folder / "site_src" / kind)
        for card in (folder / "site_src/tasks").glob("*.md"):
            card.write_text(_STRESS.sub("", card.read_text()))
        (folder / "site_src/datasets").mkdir()
        (folder / "site_src/models/wrong.py").write_text(FUNCTIONS)

    @property
    def folder(self) -> Path:
        return self.project.source

    def show_worse_data(self) -> None:
        """Bring back the stress conditions of the task cards."""
        shutil.copytree(REPOSITORY / "site_src/tasks", self.folder / "site_src/tasks", dirs_exist_ok=True)

    def model(self, model: str, function: str | None = None, version: int = 1) -> str:
        target = f"wrong.py:{function or model.replace('-', '_')}"
        card = MODEL.format(id=model, function=target, version=version)
        (self.folder / f"site_src/models/{model}.md").write_text(card)
        return model

    def obtained(self, model: str, obtain: str, more: str = "") -> None:
        """Write a model that is obtained so; ``more`` is a further line of its card."""
        self.model(model)
        path = self.folder / f"site_src/models/{model}.md"
        text = path.read_text().splitlines()
        place = next(n for n, line in enumerate(text) if line.startswith("obtain:"))
        text[place] = f"obtain: {{{obtain}}}"
        path.write_text("\n".join([*text[:-1], *([more] if more else []), text[-1]]) + "\n")

    def dataset(
        self, dataset: str = "tiny", *, label: str = "type", labels: str = "abc", pin: bool = True, n_donors: int = 0
    ) -> str:
        rng = np.random.default_rng(0)
        codes = np.tile(np.arange(len(labels)), 60 // len(labels))
        obs = pd.DataFrame({"type": np.array(list(labels))[codes]}, index=[f"c{i}" for i in range(60)])
        columns = {"label": label}
        if n_donors:
            obs["person"] = [f"d{i // len(labels) % n_donors}" for i in range(60)]
            columns["donor"] = "person"
        said = ", ".join(f"{role}: {name}" for role, name in columns.items())
        counts = rng.poisson(2 + 3 * np.eye(16)[codes]).astype(np.float32)
        path = self.folder / f"site_src/datasets/{dataset}.md"
        ad.AnnData(counts, obs=obs).write_h5ad(path.with_suffix(".h5ad"))
        digest = "sha256:" + "0" * 64
        path.write_text(DATASET.format(id=dataset, columns=said, digest=digest))
        if pin:
            with pytest.raises(InvalidDatasetError) as refused:
                load_dataset(read_card(path, DatasetCard), Path("/"), FileStore(self.cache))
            found = re.findall(r"sha256:\w+", refused.value.problems[0])[1]
            path.write_text(DATASET.format(id=dataset, columns=said, digest=found))
        return dataset

    def cards(self) -> Cards:
        return load_cards(self.project)


@pytest.fixture
def tiny(tmp_path: Path, keep_light_models: Callable[[Path], None]) -> TinyProject:
    found = TinyProject(tmp_path)
    keep_light_models(tmp_path)
    return found


@pytest.fixture
def in_process() -> Callable[[], object]:
    """Workers that run everything in this process, one job after the other: the seam without the processes."""
    from collections import deque
    from concurrent.futures import Future

    class InProcess:
        time_limit = None
        capacity = 2

        def __init__(self) -> None:
            self.queue: deque = deque()

        def submit(self, function, *arguments):
            self.queue.append((Future(), function, arguments))
            return self.queue[-1][0]

        def as_completed(self):
            while self.queue:
                future, function, arguments = self.queue.popleft()
                try:
                    future.set_result(function(*arguments))
                except Exception as error:
                    future.set_exception(error)
                yield future

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

    return InProcess
