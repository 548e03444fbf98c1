"""The names and cards with which results of cz-benchmarks are read.

Names are those of ``site_src/reported/czbenchmarks/names.yaml``; the cards beside it describe the source's protocol.
"""

from __future__ import annotations

from pydantic import Field

from cellgauge.cards.base import Id, Part, Sentence, Text, Url
from cellgauge.cards.dataset import DatasetCard
from cellgauge.cards.metric import MetricCard
from cellgauge.cards.model import ModelCard
from cellgauge.cards.problems import UserError
from cellgauge.cards.project import Cards, Project, load_cards
from cellgauge.cards.read import check, parse_yaml, read_card, read_front, read_text
from cellgauge.cards.task import TaskCard
from cellgauge.exchange.drafting import Drafted, as_card_file

FOLDER = "reported/czbenchmarks"
"""Below ``site_src``."""


class _Source(Part):
    name: Sentence
    url: Url
    caveats: list[Text]


class _Known(Part):
    version: str
    licence: Sentence
    what: Sentence


class Names(Part):
    """``names.yaml``."""

    models: dict[str, Id]
    datasets: dict[str, Id]
    tasks: dict[str, Id]
    metrics: dict[str, Id]
    computed_by: dict[str, Sentence]
    classifiers: dict[str, Id]
    no_classifier: Id
    weighted_below: list[int] = Field(min_length=2, max_length=2)
    sources: dict[str, _Source]
    files: dict[str, _Known]


class Vocabulary:
    """The names and cards that records are read with."""

    def __init__(self, project: Project) -> None:
        """Read them.

        Raises
        ------
        CardProblems
            When a card or the names are not valid.
        """
        self.folder = project.site_src / FOLDER
        self.project = project
        path = self.folder / "names.yaml"
        shown = f"site_src/{FOLDER}/names.yaml"
        values, lines = parse_yaml(read_text(path, shown), shown)
        self.names = check(Names, values, lines, shown)
        self.ours: Cards = load_cards(project)
        self.tasks = {path.stem: read_card(path, TaskCard) for path in sorted((self.folder / "tasks").glob("*.md"))}
        self._own = {
            kind: {path.stem: path for path in sorted((self.folder / kind).glob("*.md"))}
            for kind in ("models", "datasets", "metrics")
        }
        own = {id_: read_card(path, MetricCard) for id_, path in self._own["metrics"].items()}
        self.metrics: dict[str, MetricCard] = {**self.ours.metrics, **own}

    def joins(self, dataset: str) -> bool:
        """Whether a dataset puts several of the source's together."""
        return dataset in self._own["datasets"]

    def cards(self, results: list[Drafted]) -> dict[str, bytes]:
        """Return the files of all cards that results need.

        Raises
        ------
        UserError
            When the project has no card for a name.
        """
        found: dict[str, bytes] = {}
        for task in sorted({one.task for one in results}):
            found[f"tasks/{task}.md"] = (self.folder / "tasks" / f"{task}.md").read_bytes()
            for metric in sorted({ref.metric for ref in self.tasks[task].scores}):
                found[f"metrics/{metric}.md"] = self._metric(metric)
        for model in sorted({one.model for one in results} | self._baselines(results)):
            found |= self._model(model)
        for dataset in sorted({one.dataset for one in results}):
            found |= self._dataset(dataset)
        return found

    def _baselines(self, results: list[Drafted]) -> set[str]:
        return {one for task in {one.task for one in results} if (one := self.tasks[task].baseline) is not None}

    def _metric(self, id_: str) -> bytes:
        """Return the source's own card, or this project's with what computed the reported values."""
        if id_ in self._own["metrics"]:
            return self._own["metrics"][id_].read_bytes()
        front = read_front(self.project.source / self.ours.metrics[id_].path, id_)
        by = self.names.computed_by[id_]
        values = {
            **front.values,
            "reported": "The definition is this project's own; cz-benchmarks computed the values.",
            "controls": {"best": [], "worst": []},
            "implementation": by,
        }
        return as_card_file(values, front.body)

    def _model(self, id_: str) -> dict[str, bytes]:
        if id_ in self._own["models"]:
            return {f"models/{id_}.md": self._own["models"][id_].read_bytes()}
        card: ModelCard | None = self.ours.models.get(id_)
        if card is None:
            raise UserError(f'site_src/{FOLDER}/names.yaml: models: "{id_}" has no card')
        path = self.project.source / card.path
        beside = {card.input.genes: path.with_name(card.input.genes).read_bytes()} if card.input.genes else {}
        return {f"models/{id_}.md": path.read_bytes(), **{f"models/{name}": data for name, data in beside.items()}}

    def _dataset(self, id_: str) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        if id_ in self._own["datasets"]:
            path = self._own["datasets"][id_]
            found[f"datasets/{id_}.md"] = path.read_bytes()
            for part in read_card(path, DatasetCard).joins:
                found |= self._dataset(part)
            return found
        card = self.ours.datasets.get(id_)
        if card is None:
            raise UserError(f'site_src/{FOLDER}/names.yaml: datasets: "{id_}" has no card')
        path = self.project.source / card.path
        return {f"datasets/{path.name}": path.read_bytes()}
