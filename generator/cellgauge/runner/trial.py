"""Scoring one embedding of one's own beside the baselines: no cards, no release."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
from anndata.io import read_elem
from numpy.typing import NDArray
from scipy import sparse
from threadpoolctl import threadpool_limits

from cellgauge.cards.base import Column
from cellgauge.cards.canonical import digest
from cellgauge.cards.dataset import DatasetCard, FileSource, Matrix, Organism
from cellgauge.cards.function import load_function
from cellgauge.cards.model import ModelCard
from cellgauge.cards.problems import UserError
from cellgauge.cards.project import Cards, Project
from cellgauge.cards.task import Guard, ScoreRef, TaskCard
from cellgauge.data.checks import check_columns
from cellgauge.data.content import read_rows
from cellgauge.data.contents import Contents, as_text, open_h5ad
from cellgauge.data.dataset import NO_DIGEST, Dataset, check
from cellgauge.data.obtain import InvalidDatasetError
from cellgauge.models.embedding import accept_embedding
from cellgauge.models.precomputed import ENDINGS, read_output
from cellgauge.runner.calling import model_function
from cellgauge.runner.plan import decide
from cellgauge.runner.scoring import Scored, scored
from cellgauge.runner.shown import accept, shown_to
from cellgauge.stats.jackknife import paired_jackknife
from cellgauge.stats.paired import Difference, paired_difference
from cellgauge.tasks.contract import Cells, UnscorableError
from cellgauge.tasks.evaluate import Evaluation, evaluate

Values = Literal["counts", "log-normalised", "scaled"]
_ROWS_TO_GUESS_FROM = 200


@dataclass(frozen=True)
class Data:
    """The cells of a file, with the columns that were named."""

    card: DatasetCard
    contents: Contents
    columns: Mapping[Column, NDArray[np.str_]]
    stream: str
    """Decides the resamples: a digest of cell ids and columns."""


@dataclass(frozen=True)
class Trial:
    """One task: the scores of an embedding, and those of the baselines on the same cells and resamples."""

    task: TaskCard
    scored: Scored | None
    """None where the task cannot be evaluated on these data."""
    why: str | None
    details: dict[str, Any]
    references: dict[str, Scored]
    """Model id → its scores."""
    absent: dict[str, str]
    """Baselines and controls without scores: why."""
    difference: Difference | None
    """Of the primary score to the task's baseline, positive where the embedding is better."""
    guarded: Difference | None = None
    """The same for the score that may not get worse, where the task has one."""


def open_data(
    path: Path,
    columns: Mapping[Column, str],
    *,
    matrix: str,
    values: Values | None,
    label_of: Literal["cell", "sample"] = "cell",
) -> Data:
    """Open an ``.h5ad`` file and take the named columns of obs.

    Parameters
    ----------
    columns
        Role → its column.
    matrix
        ``X``, ``raw`` or ``layers/NAME``: what baselines are made from.
    values
        What the matrix holds; None: told by its first cells.
    label_of
        What the labels belong to.

    Raises
    ------
    UserError
        When a column is not there, or holds nothing that can be scored.
    """
    where = Matrix(location=matrix, values="unknown", features="unknown")
    try:
        contents = open_h5ad(path, where)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    missing = [f"{role}: {column}" for role, column in columns.items() if column not in contents.obs]
    if missing:
        known = ", ".join(map(str, contents.obs.columns)) or "none"
        raise UserError(f"{path}: obs has no column for {'; '.join(missing)}. Its columns: {known}")
    held = values or ("log-normalised" if contents.matrix is None else _guess(contents.matrix))
    card = DatasetCard(
        id="your-data",
        name=path.name,
        summary="A file of one's own",
        version=1,
        evidence="measured",
        study="your-data",
        organisms=[Organism(name="not asked for", taxon=1)],
        modality="scRNA-seq",
        source=FileSource(kind="file", path=str(path)),
        digest_of_content=None,
        matrix=where.model_copy(update={"values": held}),
        columns=dict(columns),
        label_of=label_of,
    )
    found: dict[Column, NDArray[np.str_]] = {role: as_text(contents.obs[name]) for role, name in columns.items()}
    if problems := check_columns(card, found, len(contents.cell_ids)):
        raise InvalidDatasetError(card.id, problems)
    said = {role: values.tolist() for role, values in found.items()}
    return Data(card, contents, found, digest({"cells": contents.cell_ids.tolist(), **said}))


def _guess(matrix: Any) -> Values:
    rows = read_rows(matrix, 0, min(_ROWS_TO_GUESS_FROM, matrix.shape[0]))
    numbers = rows.data if hasattr(rows, "indptr") else np.asarray(rows)
    if (numbers < 0).any():
        return "scaled"
    return "counts" if (numbers == np.round(numbers)).all() else "log-normalised"


def read_embedding(name: str, data_path: Path, cell_ids: NDArray[np.str_]) -> tuple[NDArray[np.float32], bool]:
    """Read an embedding and put its rows into the order of the data's cells.

    Parameters
    ----------
    name
        ``FILE.npy``, with rows in the order of the data; ``FILE.npz`` with the arrays ``embedding`` and ``cell_ids``;
        ``FILE.csv`` or ``FILE.tsv`` (also ``.gz``), whose first column holds cell ids; or ``obsm/KEY`` of the data.

    Returns
    -------
    The embedding, (n_cells × n_dimensions), and whether cell ids came with it.

    Raises
    ------
    UserError
        When it cannot be read, or its cells are not those of the data.
    """
    if name.startswith("obsm/"):
        return accept_embedding(_obsm(data_path, name.removeprefix("obsm/")), cell_ids), True
    path = Path(name)
    if not path.is_file():
        raise UserError(f"{path}: there is no such file (an embedding inside the data is named obsm/KEY)")
    if path.suffix != ".npy":
        if not path.name.endswith(ENDINGS):
            raise UserError(f"{path}: expected .npy, .npz, .csv, .tsv or .h5ad, found {path.suffix or 'no ending'}")
        return accept_embedding(read_output(path, str(path)), cell_ids), True
    try:
        values = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as an embedding: {error}") from None
    return accept_embedding(values, cell_ids), False


def _obsm(path: Path, key: str) -> Any:
    with h5py.File(path, "r") as file:
        there = file.get("obsm", {})
        if key not in there:
            raise UserError(f"{path}: obsm has no {key}. What it holds: {', '.join(there) or 'nothing'}")
        found = read_elem(there[key])
    return found.toarray() if sparse.issparse(found) else found


def references(cards: Cards, task: TaskCard) -> list[ModelCard]:
    """Return what an embedding is shown beside: the task's baseline, then its controls."""
    return [cards.models[one] for one in dict.fromkeys([task.compared_with, *task.controls])]


def try_tasks(
    project: Project,
    cards: Cards,
    data: Data,
    embedding: NDArray[np.float32],
    tasks: Collection[TaskCard],
    *,
    beside: bool,
) -> Iterator[Trial]:
    """Score an embedding on each task, and the baselines beside it.

    Parameters
    ----------
    tasks
        With the seeds and the number of replicates that are wanted.
    beside
        Whether baselines and controls are evaluated too; the matrix is only read for them.
    """
    dataset = _dataset(data) if beside else None
    made: dict[tuple[str, int], NDArray[np.float32]] = {}
    for task in tasks:
        assert task.implementation is not None  # noqa: S101 (planned tasks are not asked for)
        prepare = load_function(task.implementation, project.source / task.path)
        cells = Cells(data.columns, dataset)
        try:
            mine = evaluate(task, prepare, dict.fromkeys(task.protocol.seeds, embedding), cells, data.stream)
        except UnscorableError as error:
            yield Trial(task, None, str(error), {}, {}, {}, None)
            continue
        evaluations: dict[str, Evaluation] = {}
        absent: dict[str, str] = {}
        for model in references(cards, task) if dataset is not None else []:
            assert dataset is not None  # noqa: S101 (there are none without)
            why = _why_not(task, dataset, model)
            if why is not None:
                absent[model.id] = why
                continue
            outputs = {
                seed: _made(made, project, model, dataset, seed if model.seeded else task.protocol.seeds[0])
                for seed in task.protocol.seeds
            }
            try:
                evaluations[model.id] = evaluate(task, prepare, outputs, cells, data.stream)
            except UnscorableError as error:
                absent[model.id] = str(error)
        base = evaluations.get(task.compared_with)
        yield Trial(
            task=task,
            scored=scored(cards.metrics, task, mine, {}),
            why=None,
            details=mine.details,
            references={model: scored(cards.metrics, task, one, {}) for model, one in evaluations.items()},
            absent=absent,
            difference=_difference(cards, task, task.primary, mine, base),
            guarded=_difference(cards, task, task.guard, mine, evaluations.get(task.compared_with))
            if task.guard
            else None,
        )


def _dataset(data: Data) -> Dataset:
    dataset, problems = check(data.card, data.contents)
    problems = [problem for problem in problems if not problem.startswith(NO_DIGEST)]
    if problems or dataset is None:
        raise InvalidDatasetError(data.card.id, problems)
    return dataset


def _why_not(task: TaskCard, dataset: Dataset, model: ModelCard) -> str | None:
    pinned = dataset.card.model_copy(update={"digest_of_content": dataset.digest})
    verdict = decide(task, pinned, model)
    return verdict[1] if verdict else None


def _made(
    made: dict[tuple[str, int], NDArray[np.float32]], project: Project, model: ModelCard, dataset: Dataset, seed: int
) -> NDArray[np.float32]:
    if (model.id, seed) not in made:
        shown = shown_to(model, dataset, seed, None, lambda one: dataset)
        function = model_function(model, project.source / model.path)
        with threadpool_limits(1):  # as in the workers of a run, so that the numbers are the same
            made[model.id, seed] = accept(model, dataset, shown, [function(part, seed=seed) for part in shown])
    return made[model.id, seed]


def _difference(
    cards: Cards, task: TaskCard, score: ScoreRef | Guard, mine: Evaluation, base: Evaluation | None
) -> Difference | None:
    key = score.key
    if base is None or key not in mine.keys or key not in base.keys or mine.stream != base.stream:
        return None
    sign = 1 if cards.metrics[score.metric].direction == "higher" else -1
    here, there = mine.keys.index(key), base.keys.index(key)
    ours, theirs = mine.replicates[here].astype(float), base.replicates[there].astype(float)
    level = task.protocol.confidence
    if mine.method == "bootstrap":
        value, base_value = float(mine.by_seed[here].mean()), float(base.by_seed[there].mean())
        return paired_difference(value, base_value, ours, theirs, level=level, sign=sign)
    if mine.interval(here, level) is None:
        return None
    n_seeds = mine.by_seed.shape[1]
    return paired_jackknife(
        mine.by_seed[here],
        base.by_seed[there],
        ours.reshape(-1, n_seeds),
        theirs.reshape(-1, n_seeds),
        mine.n_groups[here],
        level=level,
        sign=sign,
    )
