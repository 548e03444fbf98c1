"""One release as the report sees it: the cards, the results and the plan together."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cellgauge.cards import Cards, Project, UserError, load_cards
from cellgauge.cards.problems import did_you_mean
from cellgauge.results.schema import Pair, Release, Result
from cellgauge.results.store import list_releases, read_plan, read_release, read_replicates, read_results, result_path

Place = tuple[str, str, str]
"""Task, dataset and model."""


@dataclass(frozen=True)
class ReleaseView:
    """Everything the pages of one release are drawn from.

    Without any release there are cards alone, and every task says that it has no results yet.
    """

    cards: Cards
    folder: Path | None = None
    meta: Release | None = None
    results: dict[Place, Result] = field(default_factory=dict)
    pairs: tuple[Pair, ...] = ()

    @property
    def name(self) -> str | None:
        """The release's name; None when there is no release."""
        return self.meta.release if self.meta else None

    @property
    def data_date(self) -> dt.date | None:
        """The day on which the newest result was finished."""
        return max((result.finished_at.date() for result in self.results.values()), default=None)

    @property
    def done(self) -> list[Result]:
        """The results that have scores."""
        return [result for result in self.results.values() if result.status == "done"]

    def select(self, *, task: str | None = None, dataset: str | None = None, model: str | None = None) -> list[Result]:
        """Return the results of a task, a dataset, a model or a combination, in the order of their ids."""
        wanted = (task, dataset, model)
        return [
            result
            for place, result in self.results.items()
            if all(want is None or want == have for want, have in zip(wanted, place, strict=True))
        ]

    def missing(self) -> list[Pair]:
        """Return the planned pairs that have no result file."""
        return [pair for pair in self.pairs if (pair.task, pair.dataset, pair.model) not in self.results]

    def replicates(self, result: Result) -> NDArray[np.float32]:
        """Return a result's replicates, (scores × replicates)."""
        if self.folder is None:
            raise ValueError("a view without a release has no replicates")
        return read_replicates(self.folder, result)

    def raw(self, result: Result) -> bytes:
        """Return the bytes of a result's file."""
        if self.folder is None:
            raise ValueError("a view without a release has no result files")
        return result_path(self.folder, *place_of(result)).read_bytes()


def place_of(result: Result) -> Place:
    """Return task, dataset and model of a result."""
    return (result.task.id, result.dataset.id, result.model.id)


def load_release(project: Project, release: str | None) -> ReleaseView:
    """Read the cards of a project and the results of one of its releases.

    Parameters
    ----------
    release
        Its name; None for the newest one, or for none at all when the project has none.

    Raises
    ------
    UserError
        When there is no such release, a file of it is broken, or it speaks of a card that is gone.
    """
    cards = load_cards(project)
    known = list_releases(project.work / "results")
    if release is None:
        if not known:
            return ReleaseView(cards)
        release = known[-1]
    if release not in known:
        raise UserError(f'unknown release "{release}"{did_you_mean(release, known)}')
    folder = project.release(release)
    meta = read_release(folder)
    if meta.release != release:
        raise UserError(f'{folder / "release.yaml"}: describes release "{meta.release}", but lies in "{release}"')
    results = {place_of(result): result for result in read_results(folder)}
    pairs = tuple(read_plan(folder).pairs) if (folder / "plan.json").is_file() else ()
    _refuse_unknown_cards(cards, folder, results.values(), pairs)
    return ReleaseView(cards, folder, meta, results, pairs)


def _refuse_unknown_cards(cards: Cards, folder: Path, results: Iterable[Result], pairs: Iterable[Pair]) -> None:
    for result in results:
        shown = result_path(folder, *place_of(result))
        wanted = [("task", result.task.id), ("dataset", result.dataset.id), ("model", result.model.id)]
        _require(cards, str(shown), [*wanted, *(("metric", score.metric) for score in result.scores)])
        if result.release != folder.name:
            raise UserError(f'{shown}: belongs to release "{result.release}", but lies in "{folder.name}"')
    for pair in pairs:
        _require(
            cards, str(folder / "plan.json"), [("task", pair.task), ("dataset", pair.dataset), ("model", pair.model)]
        )


def _require(cards: Cards, shown: str, wanted: list[tuple[str, str]]) -> None:
    for kind, one in wanted:
        known = getattr(cards, f"{kind}s")
        if one not in known:
            raise UserError(
                f'{shown}: speaks of the {kind} "{one}", which has no card{did_you_mean(one, known)} '
                f"Restore site_src/{kind}s/{one}.md, or remove the result and plan again."
            )
