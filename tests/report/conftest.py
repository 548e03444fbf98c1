"""Small releases made up for tests: real cards, real files, invented numbers."""

from __future__ import annotations

import datetime as dt
import functools
import http.server
import shutil
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from cellgauge.cards import Cards, Project, load_cards
from cellgauge.cards.canonical import digest
from cellgauge.report import sources
from cellgauge.report.release import load_release
from cellgauge.report.render import Renderer
from cellgauge.results.maps import SPAN, Codes, EmbeddingMap, write_map
from cellgauge.results.profile import Composition, DatasetProfile, Quartiles, write_profile
from cellgauge.results.protocol import register
from cellgauge.results.release import Pair, Plan, Release
from cellgauge.results.schema import DatasetSubject, Gate, Interval, Result, Score, Subject
from cellgauge.results.store import (
    describe_replicates,
    encode_replicates,
    read_release,
    seal,
    write_plan,
    write_release,
    write_result,
)
from cellgauge.runner.plan import protocol_fields

REPO = Path(__file__).resolve().parents[2]
N_REPLICATES = 400
FINISHED = dt.datetime(2026, 11, 2, 9, 30, tzinfo=dt.UTC)
DATASETS = ("pbmc68k-reduced", "tsv2", "norman")
"""One with results, a family, and one that nobody has opened: enough of each kind of page."""
PROSE = ("index.md", *sources.PROSE)


def copy_project(folder: Path, *, simulated: bool = False) -> Project:
    """Copy the project's cards, pages and templates to a folder of their own, perhaps with a simulated dataset."""
    shutil.copytree(REPO / "site_src", folder / "site_src")
    for card in (folder / "site_src/datasets").glob("*.md"):
        if card.stem not in DATASETS:
            card.unlink()
    (folder / "site_src/quality.yaml").write_text("silenced: []\n", encoding="utf-8")  # the datasets it names are gone
    shutil.copy(REPO / "mkdocs.yml", folder / "mkdocs.yml")
    for name in PROSE:
        page = folder / "site_src" / name
        if not page.exists():
            page.write_text(f"---\ntitle: {name[:-3].title()}\n---\n\n## A heading\n\nA page.\n", encoding="utf-8")
    if simulated:
        card = (folder / "site_src/datasets/pbmc68k-reduced.md").read_text(encoding="utf-8")
        card = card.replace("evidence: measured", "evidence: simulated").replace("PBMC 68k (reduced)", "Toy blood")
        card = card.replace("study: ", "known_answer: The labels are the answer.\nstudy: ")
        (folder / "site_src/datasets/toy-blood.md").write_text(card, encoding="utf-8")
    return Project(folder, folder)


def add_other_blood(project: Project) -> None:
    """Add the card of a second measured dataset, of another study."""
    folder = project.source / "site_src/datasets"
    text = (folder / "pbmc68k-reduced.md").read_text(encoding="utf-8").replace("PBMC 68k (reduced)", "Other blood")
    study = next(line for line in text.splitlines() if line.startswith("study: "))
    (folder / "other-blood.md").write_text(text.replace(study, "study: another-2020"), encoding="utf-8")


class ReleaseBuilder:
    """Writes a release into a project, one result at a time."""

    def __init__(self, project: Project, name: str = "trial", *, rehearsal: bool = True) -> None:
        self.project, self.name = project, name
        self.cards: Cards = load_cards(project)
        self.folder = project.release(name)
        self.pairs: list[Pair] = []
        self.protocol: str | None = None
        release = Release(
            release=name, title="A trial", kind="measured", rehearsal=rehearsal, protocol=digest(["x"]),
            protocol_date=dt.date(2026, 11, 1),
        )  # fmt: skip
        write_release(self.folder, release)

    def add(
        self,
        task: str,
        dataset: str,
        model: str,
        value: float,
        *,
        noise: float = 0.01,
        stream: str = "same",
        n_replicates: int = N_REPLICATES,
        scores: Mapping[str, float] | None = None,
        without: Collection[str] = (),
        more_details: Mapping[str, object] | None = None,
        gates: Sequence[Gate] = (),
    ) -> Result:
        """Write a result whose scores lie at ``value``; replicates share the resampling of their dataset.

        ``scores`` places single ones elsewhere, by their key; those in ``without`` have no value. ``more_details`` are
        added to those of every result.
        """
        card = self.cards.tasks[task]
        seeds = card.protocol.seeds
        rng = np.random.default_rng([int(digest(part)[7:15], 16) for part in (task, dataset, model)])
        shared = np.random.default_rng(int(digest([task, dataset])[7:15], 16)).normal(0, 0.03, n_replicates)
        elsewhere, scores, rows = scores or {}, [], []
        for place, ref in enumerate(one for one in card.scores if one.key not in without):
            metric = self.cards.metrics[ref.metric]
            centre = elsewhere.get(ref.key, value - 0.02 * place)
            row = centre + shared + rng.normal(0, noise, n_replicates)
            by_seed = [centre + shift for shift in np.linspace(-0.01, 0.01, len(seeds))]
            low, high = np.quantile(row, [0.025, 0.975])
            scores.append(
                Score(
                    metric=metric.id, view=ref.view, version=metric.version, direction=metric.direction,
                    value=float(np.mean(by_seed)), by_seed=[float(x) for x in by_seed],
                    interval=Interval(low=float(low), high=float(high), level=0.95,
                                      method="cells resampled within type, 400 replicates; for these cells only"),
                    n_units=700, unit=card.unit,
                )
            )  # fmt: skip
            rows.append(row)
        data = encode_replicates(np.array(rows))
        replicates = describe_replicates(data, model, (len(rows), n_replicates), digest([task, dataset, stream]))
        details = {
            "by_seed": [{"n_clusters": 9 + place, "sizes": {"CD4 T": place}} for place in range(len(seeds))],
            "dropped_classes": {"Dendritic": "fewer than 5 cells"},
            "label_counts": {"CD4 T": 600, "CD14+ Monocyte": 100},
            "by_class_knn": {"CD4 T": {"f1": 0.91, "auroc": 0.98}, "CD14+ Monocyte": {"f1": 0.874, "auroc": None}},
        }
        if task == "classification":
            details |= {"classes": ["CD4 T", "NK <cell>"], "confusion_logistic-regression": [[2995, 5], [100, 400]]}
        details |= more_details or {}
        return self._write(task, dataset, model, "done", None, scores, replicates, data, details, gates)

    def add_jackknife(self, task: str, dataset: str, model: str, value: float, deviations: np.ndarray) -> Result:
        """Write a result with its primary score alone; ``deviations`` (groups × seeds) are what leaving out does."""
        card = self.cards.tasks[task]
        metric = self.cards.metrics[card.primary.metric]
        n_groups, n_seeds = deviations.shape
        spread = float(np.abs(deviations).max())
        interval = Interval(low=value - spread, high=value + spread, level=0.95, method="jackknife", n_groups=n_groups)
        score = Score(
            metric=metric.id, view=card.primary.view, version=metric.version, direction=metric.direction, value=value,
            by_seed=[value] * n_seeds, interval=interval if n_groups > 5 else None, n_units=n_groups, unit=card.unit,
            why_no_interval=None if n_groups > 5 else f"{n_groups} donors are too few for an interval; 6 are needed",
        )  # fmt: skip
        row = (value + deviations).reshape(1, -1)
        data = encode_replicates(row)
        replicates = describe_replicates(data, model, row.shape, digest([task, dataset, "groups"]), "jackknife")
        return self._write(task, dataset, model, "done", None, [score], replicates, data, {})

    def add_empty(self, task: str, dataset: str, model: str, status: str, reason: str) -> Result:
        """Write a result without scores."""
        return self._write(task, dataset, model, status, reason, [], None, None, {})

    def count(self, dataset: str) -> DatasetProfile:
        """Write what was counted in a dataset: 60 cells of two types and three donors."""
        card = self.cards.datasets[dataset]
        few = Quartiles(least=2, lower=10, median=12.5, upper=20, most=1234)
        profile = DatasetProfile(
            dataset=dataset, card=card.digest, content=card.digest_of_content, n_cells=60, n_features=100,
            n_features_seen=98, n_stored=1234, share_of_zeros=0.79433, whole_numbers=True, totals=few, detected=few,
            values={"label": 2, "donor": 3}, split=None, split_values=None, file_bytes=512, peak_memory_mb=40.2,
            memory_method="peak", counted_at=FINISHED,
            compositions=[
                Composition(
                    rows="label", columns="donor", row_names=["B <cell>", "T"], column_names=["d1", "d2", "d3"],
                    cells=[[1, 0, 4], [25, 20, 10]],
                )
            ],
        )  # fmt: skip
        write_profile(self.folder, profile)
        return profile

    def add_map(
        self, dataset: str, model: str, columns: Mapping[str, Sequence[str]] | None = None, reason: str | None = None
    ) -> EmbeddingMap:
        """Write a map of 60 cells, or why there is none; ``columns`` hold what each cell is."""
        card, of = self.cards.datasets[dataset], self.cards.models[model]
        given = columns or {"label": ["B <cell>", "T", "T"] * 20, "donor": ["d1", "d2"] * 30}
        n = 0 if reason else len(next(iter(given.values())))
        places = np.random.default_rng(len(model)).integers(0, SPAN + 1, size=(2, n))
        coded = {role: np.unique(values, return_inverse=True) for role, values in given.items()} if n else {}
        one = EmbeddingMap(
            key=digest([dataset, model, "map"]), status="failed" if reason else "done", reason=reason, seed=42,
            dataset=DatasetSubject(**_subject(dataset, card, card.version), content=None),
            model=Subject(**_subject(model, of, of.version)),
            n_cells=None if reason else 10 * n, cells=list(range(n)), x=places[0].tolist(), y=places[1].tolist(),
            columns={role: Codes(names=names.tolist(), codes=codes.tolist()) for role, (names, codes) in coded.items()},
            environment=None,
        )  # fmt: skip
        write_map(self.folder, one)
        return one

    def plan(self, task: str, dataset: str, model: str, status: str, reason: str | None = None) -> None:
        """Plan a pair that gets no result."""
        self.pairs.append(
            Pair(
                task=task,
                dataset=dataset,
                model=model,
                key=digest([task, dataset, model]) if status == "to_run" else None,
                status=status,
                reason=reason,
            )
        )

    def register(self) -> str:
        """Register the protocol of the cards, without which the release cannot be frozen; return its digest."""
        protocol = register(self.folder, protocol_fields(self.cards), dt.datetime(2026, 11, 1, tzinfo=dt.UTC))
        about = read_release(self.folder)
        write_release(self.folder, about.model_copy(update={"protocol": protocol.digest}))
        return protocol.digest

    def finish(self) -> Project:
        """Write the plan."""
        write_plan(self.folder, Plan.of(self.name, self.pairs))
        return self.project

    def _write(  # type: ignore[no-untyped-def]
        self, task, dataset, model, status, reason, scores, replicates, data, details, gates=()
    ):
        cards = self.cards
        leakage = None if cards.models[model].is_control else "green"
        result = seal(
            {
                "schema_version": 4,
                "key": digest([task, dataset, model]),
                "release": self.name,
                "protocol": self.protocol,
                "status": status,
                "reason": reason,
                "task": _subject(task, cards.tasks[task], cards.tasks[task].protocol.version),
                "dataset": {
                    **_subject(dataset, cards.datasets[dataset], cards.datasets[dataset].version),
                    "content": cards.datasets[dataset].digest_of_content,
                },
                "model": _subject(model, cards.models[model], cards.models[model].version),
                "leakage": {"class": leakage, "evidence": "fitted on these cells, without their labels", "split": None},
                "seeds": cards.tasks[task].protocol.seeds,
                "scores": [score.model_dump(mode="json") for score in scores],
                "replicates": replicates.model_dump(mode="json") if replicates else None,
                "details": details,
                "gates": [gate.model_dump(mode="json") for gate in gates],
                "params": dict(cards.tasks[task].protocol.params),
                "environment": {
                    "python": "3.11.9", "cellgauge": "0.1.0", "packages": {"numpy": "2.0.0", "scanpy": "1.11.4"},
                    "platform": "Linux-x86_64", "cpu": "a CPU", "gpu": None, "image_digest": None,
                },
                "resources": {
                    "embedding_wall_s": 1.25, "evaluation_wall_s": 8.5, "cpu_s": 12.0, "peak_memory_mb": 812.0,
                    "memory_method": "largest resident set", "gpu_memory_mb": None,
                },
                "log": "Traceback\nMemoryError: {{ 7*7 }}" if status == "failed" else None,
                "started_at": FINISHED.isoformat(),
                "finished_at": FINISHED.isoformat(),
            }
        )  # fmt: skip
        write_result(self.folder, result, data)
        return result


def _subject(id_: str, card: object, version: int) -> dict[str, object]:
    return {"id": id_, "version": version, "digest": card.digest}  # type: ignore[attr-defined]


def full_release(project: Project) -> Project:
    """Write a release with measured and simulated data, empties of several kinds, and planned pairs.

    Where there is a second measured dataset, some models have embeddings on one of the two alone.
    """
    release = ReleaseBuilder(project)
    values = {"pca": 0.55, "svd": 0.553, "nmf": 0.47, "raw-expression": 0.62, "oracle": 0.99, "random": 0.001}
    datasets = [one for one in ("pbmc68k-reduced", "toy-blood") if one in release.cards.datasets]
    for task in ("clustering", "classification", "embedding"):
        for dataset in datasets:
            for model, value in values.items():
                if (task, model, dataset) == ("classification", "nmf", "pbmc68k-reduced"):
                    release.add_empty(task, dataset, model, "failed", "ValueError: negative <values> {{ 7*7 }}")
                elif (task, model, dataset) == ("classification", "svd", "pbmc68k-reduced"):
                    release.add_empty(task, dataset, model, "timeout", "600 s")
                else:
                    release.add(task, dataset, model, value)
    if "other-blood" in release.cards.datasets:
        for model in ("pca", "svd", "harmony"):
            release.add("embedding", "other-blood", model, values.get(model, 0.7))
        release.add("embedding", "pbmc68k-reduced", "centred-pca", 0.6)
    if "toy-blood" in datasets:
        release.count("toy-blood")
        for model in ("pca", "svd", "oracle", "random"):
            release.add_map("toy-blood", model)
        release.add_map("toy-blood", "nmf", reason="ValueError: negative <values> {{ 7*7 }}")
        for model in ("pca", "svd"):
            for family in release.cards.families.values():
                for member in family.members:
                    release.plan("clustering", member.id, model, "not_run", "nobody has opened these data")
    release.plan("batch-integration", "pbmc68k-reduced", "pca", "not_applicable", "the dataset has no batch column")
    release.plan("batch-integration", "pbmc68k-reduced", "svd", "to_run")
    return release.finish()


@pytest.fixture(scope="session")
def copy_of_project() -> Callable[..., Project]:
    """``copy_project``, for tests in folders below."""
    return copy_project


@pytest.fixture(scope="session")
def release_builder() -> type[ReleaseBuilder]:
    """``ReleaseBuilder``, for tests that need several releases."""
    return ReleaseBuilder


@pytest.fixture
def project(tmp_path: Path, keep_light_models: Callable[[Path], None]) -> Project:
    """A copy of the project with a simulated dataset and no results."""
    found = copy_project(tmp_path / "project", simulated=True)
    keep_light_models(found.source)
    return found


@pytest.fixture
def other_blood(project: Project) -> None:
    """A second measured dataset in ``project``, of another study; asked for before the release is made."""
    add_other_blood(project)


@pytest.fixture
def release(project: Project) -> ReleaseBuilder:
    """An empty release in ``project``."""
    return ReleaseBuilder(project)


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory, keep_light_models: Callable[[Path], None]) -> tuple[Project, Path]:
    """A project with a full release, and its site, built once for all tests that only look at it."""
    from cellgauge.report.build import build_site

    project = copy_project(tmp_path_factory.mktemp("built"), simulated=True)
    keep_light_models(project.source)
    add_other_blood(project)
    project = full_release(project)
    return project, build_site(project, None, project.work / "site", say=lambda _: None)


@pytest.fixture(scope="session")
def site(built: tuple[Project, Path]) -> Path:
    """The site of ``built``."""
    return built[1]


@pytest.fixture(scope="session")
def render() -> Callable[[Project], Renderer]:
    """Makes what draws the pages of a project's newest release; figures are left blank."""

    def make(project: Project) -> Renderer:
        view = load_release(project, None)
        return Renderer(view, project.site_src / "templates", lambda spec: "", "assets/vega.js")

    return make


@pytest.fixture
def edit(project: Project) -> Callable[[str, str, str], None]:
    """Replace text in a file of ``project``; it has to be there."""

    def change(path: str, old: str, new: str) -> None:
        file = project.source / path
        text = file.read_text(encoding="utf-8")
        assert old in text, f"{path} does not hold {old!r}"
        file.write_text(text.replace(old, new), encoding="utf-8")

    return change


BROWSER_ARGUMENTS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


class _Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_) -> None:
        pass


@pytest.fixture(scope="session")
def address(site: Path) -> Iterator[str]:
    """Where ``site`` is served."""
    # The 404 page knows where the site will stand: below /cellgauge/, as in mkdocs.yml.
    above = site.parent / "served"
    above.mkdir()
    (above / "cellgauge").symlink_to(site)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Handler, directory=str(above)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/cellgauge/"
    server.shutdown()


@pytest.fixture(scope="session")
def browser(chromium: str):
    """A running browser."""
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        running = started.chromium.launch(executable_path=chromium, args=BROWSER_ARGUMENTS)
        yield running
        running.close()


@pytest.fixture
def watched(browser):
    """Opens a page, with the options of a browser's context; an error in the console or a foreign request fails."""
    contexts, faults = [], []

    def open_page(own: str, **options):
        context = browser.new_context(
            **{"viewport": {"width": 1440, "height": 900}, "color_scheme": "light", **options}
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda request: None if _is_own(request.url, own) else faults.append(request.url))
        page.set_default_timeout(15_000)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not faults


@pytest.fixture
def page(watched, address: str):
    """A page in the light theme, on a wide screen."""
    return watched(address)


def _is_own(url: str, own: str) -> bool:
    return url.startswith((own, "data:", "blob:", "about:"))
