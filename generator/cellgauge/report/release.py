"""One release as the report sees it: the cards, the results and the plan together."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cellgauge.cards import Cards, Project, UserError, load_cards
from cellgauge.cards.model import Leakage
from cellgauge.cards.problems import did_you_mean
from cellgauge.report.cite import Cited
from cellgauge.report.numbers import listing
from cellgauge.results.manifest import Frozen, FrozenCard, previous_release, read_index, read_manifest
from cellgauge.results.outdated import CardsNow
from cellgauge.results.profile import DatasetProfile, current_profile
from cellgauge.results.protocol import Protocol, read_protocols
from cellgauge.results.release import Pair, Release
from cellgauge.results.schema import Gate, LeakageJudgement, Result
from cellgauge.results.store import list_releases, read_plan, read_release, read_replicates, read_results, result_path

Place = tuple[str, str, str]
"""Task, dataset and model."""

_KEPT_BYTES = 200_000_000
"""Replicates are kept in memory up to this size."""


@dataclass(frozen=True)
class ReleaseView:
    """Everything the pages of one release are drawn from.

    Without any release there are cards alone, and every task says that it has no results yet.
    """

    cards: Cards
    folder: Path | None = None
    meta: Release | None = None
    results: dict[Place, Result] = field(default_factory=dict)
    """As the plan and the cards have them now."""
    pairs: tuple[Pair, ...] = ()
    withheld: dict[Place, Result] = field(default_factory=dict)
    """Stored results with scores that are shown as empties, because the plan or a card has decided so since."""

    profiles: dict[str, DatasetProfile] = field(default_factory=dict)
    """What was counted in datasets, as their cards are now."""
    frozen: Frozen | None = None
    """The release in the index of frozen ones; None where it may still change."""
    previous: str | None = None
    """The release before it, in the folder beside its own."""
    protocols: tuple[Protocol, ...] = ()
    """What was registered before there were results, and what was changed in it since."""

    @property
    def name(self) -> str | None:
        """The release's name; None when there is no release."""
        return self.meta.release if self.meta else None

    @property
    def data_date(self) -> dt.date | None:
        """The day on which the newest result was finished."""
        return max((one.finished_at.date() for one in self.results.values() if one.finished_at), default=None)

    @property
    def day(self) -> dt.date | None:
        """The date of the release: on which it was frozen, was imported, or on which its newest result was finished."""
        reported = self.meta.reported if self.meta else None
        made = reported.retrieved if reported and self.results else self.data_date
        return self.frozen.frozen_on if self.frozen else made

    @property
    def is_reported(self) -> bool:
        """Whether others measured what it shows: then nothing is ranked or judged."""
        return self.meta is not None and self.meta.kind == "reported"

    def cited(
        self, address: str, title: str = "", digest: str | None = None, digest_of: str = "Content"
    ) -> Cited | None:
        """Return how the page at a whole address is cited; None where there is no release, or it has no results.

        Parameters
        ----------
        title
            What the page is about; empty for the release as a whole, which is cited by its manifest.
        """
        if self.name is None or self.day is None:
            return None
        if not title and self.frozen:
            digest, digest_of = self.frozen.manifest, "Manifest"
        doi = self.frozen.doi if self.frozen else None
        reported = self.meta.reported if self.meta else None
        by, licence = (reported.source, reported.licence) if reported else (None, None)
        return Cited(self.name, self.day, address, title, digest, digest_of, doi, reported_by=by, licence=licence)

    def had_before(self, path: str) -> bool:
        """Whether the release before this one has the page at an address, too."""
        if self.folder is None or self.previous is None:
            return False
        kind, *ids = path.strip("/").split("/")
        if kind == "results" and ids:
            return (self.folder.parent / self.previous / Path(*ids)).with_suffix(".json").is_file()
        return not ids or ids[0] in self._cards_before.get(kind, {})

    @cached_property
    def _cards_before(self) -> dict[str, dict[str, FrozenCard]]:
        if self.folder is None or self.previous is None:
            return {}
        return read_manifest(self.folder.parent / self.previous).cards

    @property
    def done(self) -> list[Result]:
        """The results that have scores."""
        return [result for result in self.results.values() if result.status == "done"]

    def select(self, *, task: str | None = None, dataset: str | None = None, model: str | None = None) -> list[Result]:
        """Return the results of a task, a dataset, a model or a combination, in the order of their ids."""
        wanted = [(position, id_) for position, id_ in enumerate((task, dataset, model)) if id_ is not None]
        if not wanted:
            return list(self.results.values())
        fewest = min((self._by_part.get(part, []) for part in wanted), key=len)
        return [result for result in fewest if all(place_of(result)[position] == id_ for position, id_ in wanted)]

    @cached_property
    def _by_part(self) -> dict[tuple[int, str], list[Result]]:
        """The results of each task, dataset and model: pages of thousands of results ask for a few of them each."""
        found: dict[tuple[int, str], list[Result]] = {}
        for place, result in self.results.items():
            for part in enumerate(place):
                found.setdefault(part, []).append(result)
        return found

    @cached_property
    def _cards_now(self) -> CardsNow:
        return CardsNow(self.cards)

    def outdated(self, result: Result) -> str | None:
        """Return the mark of a result that was computed with other cards than today's; None when they are the same."""
        kinds = self._cards_now.changed_since(result)
        if not kinds or place_of(result) in self.withheld:
            return None
        return f"outdated: computed with an earlier version of the {listing(kinds)}; run again"

    def missing(self) -> list[Pair]:
        """Return the planned pairs that have no result file."""
        return self._missing

    @cached_property
    def _missing(self) -> list[Pair]:
        return [pair for pair in self.pairs if (pair.task, pair.dataset, pair.model) not in self.results]

    def gates_of(self, model: str) -> list[Gate]:
        """Return what the sanity gates found of a model, on all datasets; what is outdated counts no more."""
        results = [one for one in self.select(model=model) if self.outdated(one) is None]
        return [gate for result in results for gate in result.gates]

    def replicates(self, result: Result) -> NDArray[np.float32]:
        """Return a result's replicates, (scores × replicates)."""
        if self.folder is None:
            raise ValueError("a view without a release has no replicates")
        return self._kept.get(place_of(result), result, self.folder)

    @cached_property
    def _kept(self) -> _Kept:
        return _Kept()

    def raw(self, result: Result) -> bytes:
        """Return the bytes of a result's file."""
        if self.folder is None:
            raise ValueError("a view without a release has no result files")
        return result_path(self.folder, *place_of(result)).read_bytes()


class _Kept:
    """Replicates that were read: pages ask for each score of a result by itself, and again for each comparison."""

    def __init__(self) -> None:
        self._arrays: dict[tuple[Place, str], NDArray[np.float32]] = {}
        self._n_bytes = 0

    def get(self, place: Place, result: Result, folder: Path) -> NDArray[np.float32]:
        """Return what was read before, or read it."""
        key = place, result.result_id
        if key not in self._arrays:
            found = read_replicates(folder, result)
            found.flags.writeable = False
            if self._n_bytes + found.nbytes > _KEPT_BYTES:
                self._arrays.clear()
                self._n_bytes = 0
            self._arrays[key] = found
            self._n_bytes += found.nbytes
        return self._arrays[key]


def place_of(result: Result) -> Place:
    """Return task, dataset and model of a result."""
    return (result.task.id, result.dataset.id, result.model.id)


def release_shown(project: Project, release: str | None) -> str | None:
    """Return the release that is meant: the one named, or the newest; None where the project has none.

    Raises
    ------
    UserError
        When there is no such release.
    """
    known = list_releases(project.work / "results")
    if release is None:
        return known[-1] if known else None
    if release not in known:
        raise UserError(f'unknown release "{release}"{did_you_mean(release, known)}')
    return release


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
    release = release_shown(project, release)
    if release is None:
        return ReleaseView(load_cards(project))
    cards = load_cards(project, release)
    folder = project.release(release)
    meta = read_release(folder)
    if meta.release != release:
        raise UserError(f'{folder / "release.yaml"}: describes release "{meta.release}", but lies in "{release}"')
    results = {place_of(result): result for result in read_results(folder)}
    pairs = tuple(read_plan(folder).pairs) if (folder / "plan.json").is_file() else ()
    _refuse_unknown_cards(cards, folder, results.values(), pairs)
    pairs = tuple(_decided_now(cards, pair) for pair in pairs)
    plan = {(pair.task, pair.dataset, pair.model): pair for pair in pairs}
    shown = {place: _as_of_now(cards, result, plan.get(place)) for place, result in results.items()}
    withheld = {place: result for place, result in results.items() if result.status == "done" != shown[place].status}
    profiles = {
        card.id: profile for card in cards.datasets.values() if (profile := current_profile(folder, card)) is not None
    }
    protocols = tuple(read_protocols(folder))
    frozen, before = read_index(project).releases.get(release), previous_release(project, meta)
    return ReleaseView(cards, folder, meta, shown, pairs, withheld, profiles, frozen, before, protocols)


def _judgement(cards: Cards, model: str, dataset: str) -> Leakage | None:
    card = cards.models[model]
    return None if card.is_control else card.judgement(cards.datasets[dataset])


def _decided_now(cards: Cards, pair: Pair) -> Pair:
    """Return a planned pair; one that a card has turned red since the plan was made is declined."""
    judged = _judgement(cards, pair.model, pair.dataset)
    if pair.status != "to_run" or judged is None or judged.leakage_class != "red":
        return pair
    return pair.model_copy(update={"status": "declined_leakage", "reason": judged.reason})


def _as_of_now(cards: Cards, result: Result, pair: Pair | None) -> Result:
    """Return a result with today's judgement on leakage, and as an empty where the plan or the card declines it."""
    judged = _judgement(cards, result.model.id, result.dataset.id)
    status, reason = (pair.status, pair.reason) if pair else ("to_run", None)
    if judged is not None and judged.leakage_class != result.leakage.leakage_class:
        said = f"{judged.reason.rstrip('.')} (confidence: {judged.confidence}). The model's card says so now;"
        said += f" when this was computed, it was {result.leakage.leakage_class or 'not judged'}."
        now = LeakageJudgement(**{"class": judged.leakage_class}, evidence=said, split=judged.split)
        result = result.model_copy(update={"leakage": now})
    if status == "to_run" and judged is not None and judged.leakage_class == "red":
        status, reason = "declined_leakage", judged.reason
    if status == "to_run":
        return result
    nothing: dict[str, object] = {"scores": [], "replicates": None, "details": {}, "resources": None, "log": None}
    return result.model_copy(update={**nothing, "status": status, "reason": reason or "as planned"})


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
