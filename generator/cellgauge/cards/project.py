"""The project: where it is, and all its cards together."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from cellgauge.cards.base import Card, Keys, dotted
from cellgauge.cards.dataset import DatasetCard
from cellgauge.cards.family import Family, read_datasets
from cellgauge.cards.function import missing_function
from cellgauge.cards.image import image_files
from cellgauge.cards.metric import MetricCard
from cellgauge.cards.model import ContainerModel, ModelCard
from cellgauge.cards.problems import CardProblems, Problem, UserError, did_you_mean
from cellgauge.cards.read import read_card
from cellgauge.cards.silence import Silence, read_silences
from cellgauge.cards.task import TaskCard

FOLDERS: dict[str, type[Card]] = {
    "models": ModelCard,
    "datasets": DatasetCard,
    "tasks": TaskCard,
    "metrics": MetricCard,
}


@dataclass(frozen=True)
class Cards:
    """Every card of a project by kind and id, in the order of their ids."""

    models: dict[str, ModelCard] = field(default_factory=dict)
    datasets: dict[str, DatasetCard] = field(default_factory=dict)
    tasks: dict[str, TaskCard] = field(default_factory=dict)
    metrics: dict[str, MetricCard] = field(default_factory=dict)
    families: dict[str, Family] = field(default_factory=dict)
    """Families of datasets; their members are among the datasets."""
    silences: tuple[Silence, ...] = ()
    """Findings of quality control that are known, from ``site_src/quality.yaml``."""

    def select(self, kind: str, ids: Iterable[str]) -> list[str]:
        """Return ``ids`` without repetition, or all ids of that kind when none is given.

        Raises
        ------
        UserError
            Naming an unknown id and the known one nearest to it.
        """
        known = getattr(self, kind)
        wanted = list(dict.fromkeys(ids)) or list(known)
        for one in wanted:
            if one not in known:
                raise UserError(f'unknown {kind[:-1]} "{one}"{did_you_mean(one, known)}')
        return wanted


MANIFEST = "manifest.json"
"""The file that a release has once it is frozen."""
CARDS = "cards"
"""The folder of a frozen release, or of an imported one, that holds its own cards."""
IMPORT = "import.json"
"""The file of a release that was imported: it says what was read, and its cards are its own from the beginning."""


@dataclass(frozen=True)
class Project:
    """Where a project's parts lie.

    In a clone, ``source`` and ``work`` are the same folder. With an installed package and no clone,
    ``source`` is the copy that the package carries and ``work`` the current folder.
    """

    source: Path
    """Holds ``mkdocs.yml`` and ``site_src/``."""
    work: Path
    """Holds ``results/``, ``build/`` and ``site/``."""

    @property
    def site_src(self) -> Path:
        """What people write: cards, pages, templates, assets."""
        return self.source / "site_src"

    @property
    def generator(self) -> Path:
        """Where container images are built from."""
        return self.source / "generator"

    def release(self, name: str) -> Path:
        """Return the folder of a release's result files."""
        return self.work / "results" / name

    def own_cards(self, release: str) -> Path | None:
        """Return the folder with a release's own cards: as they were when it was frozen, or as they were imported.

        None where the project's cards are its cards.
        """
        folder = self.release(release)
        has_own = (folder / MANIFEST).is_file() or (folder / IMPORT).is_file()
        return folder / CARDS if has_own else None


def find_project(start: Path | None = None) -> Project:
    """Return the project around ``start``: the nearest folder upwards with ``mkdocs.yml`` and ``site_src``.

    Raises
    ------
    UserError
        When there is none and the installed package carries none either.
    """
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if is_project(folder):
            return Project(folder, folder)
    packaged = Path(__file__).resolve().parent.parent / "project"
    if is_project(packaged):
        return Project(packaged, here)
    raise UserError(
        f"no cellgauge project at {here} or above it: expected a folder with mkdocs.yml and site_src/. "
        "Go to your clone, or name it with --project DIR."
    )


def is_project(folder: Path) -> bool:
    """Whether a folder holds what a project needs."""
    return (folder / "mkdocs.yml").is_file() and (folder / "site_src").is_dir()


def load_cards(project: Project, release: str | None = None) -> Cards:
    """Read and cross-check every card of a project.

    Parameters
    ----------
    release
        Also read the cards of models from outside the project that this release has evaluated. A card of
        the project with the same id goes before. Where it is frozen, or was imported, its own cards are read.

    Raises
    ------
    CardProblems
        With every problem in every card.
    """
    problems: list[Problem] = []
    found: dict[str, dict[str, Card]] = {kind: {} for kind in FOLDERS}
    families: dict[str, Family] = {}
    own = None if release is None else project.own_cards(release)
    source = own or project.site_src
    for kind, schema in FOLDERS.items():
        paths = card_paths(source, kind)
        if kind == "models" and release is not None:
            names = {path.name for path in paths}
            paths += [path for path in sorted(project.release(release).glob("models/*.md")) if path.name not in names]
        for path in paths:
            shown = path.relative_to(project.source).as_posix() if path.is_relative_to(project.source) else str(path)
            for card in _read_or_note(path, schema, shown, problems, families):
                if card.id in found[kind]:
                    taken = f'id "{card.id}" is taken by {found[kind][card.id].path}'
                    problems.append(Problem(shown, card.line_of(("id",)), "", taken))
                found[kind][card.id] = card
    found = {kind: dict(sorted(of_kind.items())) for kind, of_kind in found.items()}
    cards = Cards(**found, families=families)  # type: ignore[arg-type]
    found_wrong = cross_check(cards) + ([] if own else _check_files(project, cards))
    problems += [problem for problem in found_wrong if not _caused_by_unread(problem, problems)]
    if problems:
        raise CardProblems(set(problems))  # what all members of a family have is said once
    path = source / "quality.yaml"
    shown = "site_src/quality.yaml" if own is None else f"results/{release}/{CARDS}/quality.yaml"
    return replace(cards, silences=read_silences(path, shown, found))


def card_paths(folder: Path, kind: str) -> list[Path]:
    """Return the card files of one kind, sorted by name.

    Parameters
    ----------
    folder
        Where the four kinds lie: ``site_src``, or the cards of a frozen release.
    """
    return sorted((folder / kind).glob("*.md"))


def cross_check(cards: Cards) -> list[Problem]:
    """Return every reference from a card to another one that leads nowhere or cannot be right."""
    problems: list[Problem] = []
    is_imported = any(task.reported for task in cards.tasks.values())

    def problem(card: Card, keys: Keys, message: str) -> None:
        problems.append(Problem(card.path, card.line_of(keys), dotted(keys), message))

    def refer(card: Card, keys: Keys, target: str | None, kind: str) -> None:
        known = getattr(cards, kind)
        if target is not None and target not in known:
            problem(card, keys, f'unknown {kind[:-1]} "{target}"{did_you_mean(target, known)}')

    for metric in cards.metrics.values():
        for end, expected in (("best", metric.controls.best), ("worst", metric.controls.worst)):
            for position, control in enumerate(expected):
                refer(metric, ("controls", end, position), control, "models")
    for task in cards.tasks.values():
        refer(task, ("primary", "metric"), task.primary.metric, "metrics")
        for position, ref in enumerate(task.complementary):
            refer(task, ("complementary", position, "metric"), ref.metric, "metrics")
        if task.guard is not None:
            refer(task, ("guard", "metric"), task.guard.metric, "metrics")
        for metric in (cards.metrics[one] for one in sorted({ref.metric for ref in task.scores} & set(cards.metrics))):
            for end, expected in (("best", metric.controls.best), ("worst", metric.controls.worst)):
                if expected and not set(expected) & set(task.controls):
                    wanted = " or ".join(expected)
                    problem(task, ("controls",), f'by "{metric.id}" {wanted} should be {end}, and is not among them')
        compared: dict[Keys, str | None] = {("controls", position): one for position, one in enumerate(task.controls)}
        for keys, model_id in {("baseline",): task.baseline, **compared}.items():
            refer(task, keys, model_id, "models")
            model = cards.models.get(model_id or "")
            if model is not None and model.output != task.input:
                problem(task, keys, f'"{model_id}" delivers {model.output}s, but the task needs {task.input}s')
    for model in cards.models.values():
        refer(model, ("repeats",), model.repeats, "models")
        original = cards.models.get(model.repeats or "")
        if original is not None and (original is model or original.repeats is not None):
            said = "itself" if original is model else f'"{original.id}", which repeats "{original.repeats}"'
            problem(model, ("repeats",), f"a model repeats one that repeats none, and not {said}")
        for position, judgement in enumerate(model.leakage):
            # An imported release has the datasets of its source alone; its models are judged on others, too.
            if judgement.dataset not in cards.families and not is_imported:
                refer(model, ("leakage", position, "dataset"), judgement.dataset, "datasets")
    for dataset in cards.datasets.values():
        for position, joined in enumerate(dataset.joins):
            refer(dataset, ("joins", position), joined, "datasets")
            part = cards.datasets.get(joined)
            if part is dataset:
                problem(dataset, ("joins", position), "a dataset cannot join itself")
            if part is not None and part.study != dataset.study:
                message = f'"{joined}" is of study "{part.study}", but this dataset says "{dataset.study}"'
                problem(dataset, ("joins", position), message)
    for family in cards.families.values():
        if family.id in cards.datasets:
            message = f'"{family.id}" is the id of a family and of {cards.datasets[family.id].path}'
            problem(family.members[0], (), message)
        if len({card.study for card in family.members}) > 1:
            problem(family.members[0], ("study",), "the members of a family are one study")
    for kind in FOLDERS:
        names: dict[str, Card] = {}
        for card in getattr(cards, kind).values():
            if card.name in names:
                problem(card, ("name",), f'"{card.name}" is also the name of {names[card.name].path}')
            names.setdefault(card.name, card)
    return problems


def _check_files(project: Project, cards: Cards) -> list[Problem]:
    """Return every reference from a card to a file or to code that is not there."""
    problems: list[Problem] = []

    def problem(card: Card, keys: Keys, message: str) -> None:
        problems.append(Problem(card.path, card.line_of(keys), dotted(keys), message))

    for model in cards.models.values():
        if isinstance(model.obtain, ContainerModel) and model.obtain.folder is not None:
            try:
                image_files(project.generator, model.obtain.folder)
            except UserError as error:
                problem(model, ("obtain", "folder"), str(error))
        if model.input.genes is not None and not (project.source / model.path).with_name(model.input.genes).is_file():
            problem(model, ("input", "genes"), f'expected "{model.input.genes}" beside the card, found no such file')
    functions: list[tuple[Card, Keys, str | None]] = [
        *((task, ("implementation",), task.implementation) for task in cards.tasks.values()),
        *((one, ("obtain", "function"), getattr(one.obtain, "function", None)) for one in cards.models.values()),
        *((one, ("source", "function"), getattr(one.source, "function", None)) for one in cards.datasets.values()),
    ]
    for card, keys, function in functions:
        if function is not None and (missing := missing_function(function, project.source / card.path)):
            problem(card, keys, missing)
    return problems


def _read_or_note(
    path: Path, schema: type[Card], shown: str, problems: list[Problem], families: dict[str, Family]
) -> Sequence[Card]:
    try:
        if schema is not DatasetCard:
            return [read_card(path, schema, shown_as=shown)]
        cards, family = read_datasets(path, shown_as=shown)
    except CardProblems as error:
        problems += error.problems
        return []
    if family is not None:
        families[family.id] = family
    return cards


def _caused_by_unread(problem: Problem, unread: list[Problem]) -> bool:
    """Whether a dangling reference only follows from a card that could not be read."""
    match = re.match(r'unknown (\w+) "([^"]+)"', problem.message)
    if match is None:
        return False
    folder, card_id = f"{match[1]}s", match[2]
    stems = {path.stem for path in (PurePosixPath(one.path) for one in unread) if path.parent.name == folder}
    # The id of a family's member begins with that of the family.
    return card_id in stems or (folder == "datasets" and any(card_id.startswith(f"{stem}-") for stem in stems))
