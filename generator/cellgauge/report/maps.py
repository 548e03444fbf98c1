"""Maps of embeddings on pages: one small picture a model, for each thing that cells can be coloured by.

A picture is a file of its own and holds dots alone. What stands beside it, names, numbers and legend, is on the page.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cellgauge.cards import DatasetCard, ModelCard
from cellgauge.cards.base import Column
from cellgauge.report.colours import MOST_GROUPS, REST, STEPS, Look, look_of
from cellgauge.report.counted import word_of
from cellgauge.report.numbers import number, plural
from cellgauge.report.release import ReleaseView
from cellgauge.results.maps import SPAN, Codes, EmbeddingMap, map_path, read_map

MAP_BOX = f"-25 -25 {SPAN + 50} {SPAN + 50}"
"""What a picture shows: all places, and a margin, so that no dot is cut."""
NAMED = 12
"""Up to so many groups stand by their names on a large map; beyond, by their numbers."""
SMALL, LARGE = 72, 34
"""Heights of letters on a small and on a large map, where the map is ``SPAN`` wide."""
_ROUNDS = 6
"""Groups are drawn in turns, so that none covers another where they are mixed."""
_MARKS = {"dot": "h0", "cross": "m-7-7l14 14m0-14l-14 14", "plus": "m-9 0h18m-9-9v18"}
_ROLES: tuple[Column, ...] = ("label", "perturbation", "time", "batch", "donor", "species", "sample")


@dataclass(frozen=True)
class Group:
    """Cells of one colour."""

    number: int | None
    """Written on maps; None for what is left over."""
    name: str
    look: Look
    n_cells: int


@dataclass(frozen=True)
class Label:
    """A word or number on a map, where most of its cells are."""

    x: int
    y: int
    text: str


@dataclass(frozen=True)
class Picture:
    """The map of one model by one colouring."""

    model: ModelCard
    file: str
    """The picture's address below the site's root."""
    data: str
    """The address of what the runner wrote."""
    alt: str
    numbers: tuple[Label, ...]
    """For a small map."""
    names: tuple[Label, ...]
    """For a large one; numbers where the groups are many."""


@dataclass(frozen=True)
class Colouring:
    """All maps of a dataset, coloured by one column."""

    role: Column
    word: str
    groups: tuple[Group, ...]
    pictures: tuple[Picture, ...]

    @property
    def is_named(self) -> bool:
        """Whether large maps have names where small ones have numbers."""
        return len(self.groups) <= NAMED

    def of(self, model: str) -> Picture | None:
        """Return the map of one model."""
        return next((one for one in self.pictures if one.model.id == model), None)


@dataclass(frozen=True)
class DatasetMaps:
    """What a dataset's page shows of embeddings."""

    n_cells: int = 0
    n_drawn: int = 0
    colourings: tuple[Colouring, ...] = ()
    absent: tuple[tuple[str, tuple[ModelCard, ...]], ...] = ()
    """Why there is no map, and of which models."""
    files: dict[str, bytes] = field(default_factory=dict)
    """Pictures and data by their addresses below the site's root."""

    def of(self, model: str) -> list[tuple[Colouring, Picture]]:
        """Return the maps of one model."""
        return [(one, picture) for one in self.colourings if (picture := one.of(model)) is not None]


def dataset_maps(view: ReleaseView, dataset: DatasetCard, order: Iterable[str]) -> DatasetMaps:
    """Return the maps of all models with results on a dataset.

    Parameters
    ----------
    order
        Ids of models in the order in which the page names them; others follow by their names.
    """
    ids = {result.model.id for result in view.select(dataset=dataset.id)}
    places = {id_: place for place, id_ in enumerate(order)}
    models = [view.cards.models[id_] for id_ in ids]
    models.sort(key=lambda model: (places.get(model.id, len(places)), model.name.casefold()))
    shown: list[tuple[ModelCard, EmbeddingMap]] = []
    absent: dict[str, list[ModelCard]] = {}
    for model in models:
        found = read_map(view.folder, dataset.id, model.id) if view.folder else None
        why = _why_not(view, dataset, model, found, shown[0][1] if shown else None)
        if found is None or why is not None:
            absent.setdefault(why or "", []).append(model)
        else:
            shown.append((model, found))
    why_absent = tuple((why, tuple(some)) for why, some in absent.items())
    if not shown:
        return DatasetMaps(absent=why_absent)
    files = {_address(dataset, model, "json"): _raw(view, dataset, model) for model, _ in shown}
    first = shown[0][1]
    colourings = []
    for role, codes in _distinct(first.columns):
        groups, of_cell = _groups(role, codes)
        word = word_of(role)
        pictures = []
        for model, found in shown:
            places_of_cells = np.array([found.x, found.y]).T
            file = _address(dataset, model, f"{role}.svg")
            files[file] = to_svg(places_of_cells, of_cell, groups)
            numbered = [str(group.number or "") for group in groups]
            named = [group.name if group.number else "" for group in groups]
            pictures.append(
                Picture(
                    model,
                    file,
                    _address(dataset, model, "json"),
                    f"{model.name}: {plural(len(first.cells), 'cell')} in the plane, coloured by {word}",
                    labels(places_of_cells, of_cell, numbered, SMALL),
                    labels(places_of_cells, of_cell, named if len(groups) <= NAMED else numbered, LARGE),
                )
            )
        colourings.append(Colouring(role, word, groups, tuple(pictures)))
    return DatasetMaps(first.n_cells or 0, len(first.cells), tuple(colourings), why_absent, files)


def _why_not(
    view: ReleaseView, dataset: DatasetCard, model: ModelCard, found: EmbeddingMap | None, first: EmbeddingMap | None
) -> str | None:
    """Return why a model has no map to show; None when it has one."""
    if model.output != "embedding":
        return "predicts expression and has no embedding"
    if found is None:
        done = any(result.status == "done" for result in view.select(dataset=dataset.id, model=model.id))
        return "not drawn yet: the next run draws it" if done else "no scores, and so no map"
    if (found.dataset.digest, found.model.digest) != (dataset.digest, model.digest):
        return "drawn with an earlier version of a card; the next run draws it anew"
    if found.status != "done":
        return found.reason
    if first is not None and (found.cells, found.columns) != (first.cells, first.columns):
        return "drawn from other cells than the maps above"
    return None


def _address(dataset: DatasetCard, model: ModelCard, end: str) -> str:
    return f"datasets/{dataset.id}/maps/{model.id}.{end}"


def _raw(view: ReleaseView, dataset: DatasetCard, model: ModelCard) -> bytes:
    assert view.folder is not None  # noqa: S101 (the map was read from it)
    return map_path(view.folder, dataset.id, model.id).read_bytes()


def _distinct(columns: dict[Column, Codes]) -> list[tuple[Column, Codes]]:
    """Return what cells can be coloured by: columns with several values, each way to divide the cells once."""
    found: dict[tuple[int, ...], tuple[Column, Codes]] = {}
    for role in sorted(columns, key=lambda role: _ROLES.index(role) if role in _ROLES else len(_ROLES)):
        codes = columns[role]
        if len(set(codes.codes)) > 1:
            _, first_seen = np.unique(codes.codes, return_index=True)
            order = {codes.codes[place]: rank for rank, place in enumerate(sorted(first_seen))}
            found.setdefault(tuple(order[code] for code in codes.codes), (role, codes))
    return list(found.values())


def _groups(role: Column, codes: Codes) -> tuple[tuple[Group, ...], NDArray[np.intp]]:
    """Return the groups of a colouring, and which one each cell is of."""
    of_cell = np.array(codes.codes, dtype=np.intp)
    if role == "time" and (times := _numbers(codes.names)) is not None:
        return _spans(times[of_cell])
    counts = np.bincount(of_cell, minlength=len(codes.names))
    by_size = np.argsort(-counts, kind="stable")
    kept = np.sort(by_size if len(counts) <= MOST_GROUPS else by_size[: MOST_GROUPS - 1])
    groups = [Group(place + 1, codes.names[code], look_of(place), int(counts[code])) for place, code in enumerate(kept)]
    to = np.full(len(counts), len(kept), dtype=np.intp)
    to[kept] = np.arange(len(kept))
    if len(kept) < len(counts):
        left = len(counts) - len(kept)
        groups.append(Group(None, f"{left} smaller groups", REST, int(counts.sum() - counts[kept].sum())))
    return tuple(groups), to[of_cell]


def _numbers(names: Sequence[str]) -> NDArray[np.float64] | None:
    try:
        return np.array([float(name) for name in names])
    except ValueError:
        return None


def _spans(times: NDArray[np.float64]) -> tuple[tuple[Group, ...], NDArray[np.intp]]:
    """Divide cells by a number into at most eight groups of about the same size, in order."""
    values = np.unique(times)
    if len(values) > len(STEPS):
        cuts = np.unique(np.quantile(times, np.arange(1, len(STEPS)) / len(STEPS)))
        of_cell = np.searchsorted(cuts, times, side="right")
    else:
        of_cell = np.searchsorted(values, times)
    present, of_cell = np.unique(of_cell, return_inverse=True)
    decimals = 0 if (times == np.rint(times)).all() else 2
    groups = []
    for place in range(len(present)):
        inside = times[of_cell == place]
        low, high = (number(float(end), decimals) for end in (inside.min(), inside.max()))
        look = STEPS[round(place * (len(STEPS) - 1) / max(1, len(present) - 1))]
        groups.append(Group(place + 1, low if low == high else f"{low} to {high}", look, len(inside)))
    return tuple(groups), of_cell


def to_svg(places: NDArray[np.int64], of_cell: NDArray[np.intp], groups: Sequence[Group]) -> bytes:
    """Draw cells as dots; a picture follows the page's theme where the browser hands it on.

    Parameters
    ----------
    places
        (n_cells × 2) from 0 to ``SPAN``, the second axis upwards.
    of_cell
        (n_cells,) places in groups.
    """
    size = 14 if len(places) > 1000 else 18
    light = "".join(f".g{place}{{stroke:{group.look.light}}}" for place, group in enumerate(groups))
    dark = "".join(f".g{place}{{stroke:{group.look.dark}}}" for place, group in enumerate(groups))
    thin = ",".join(f".g{place}" for place, group in enumerate(groups) if group.look.shape != "dot")
    paths = []
    for turn in range(_ROUNDS):
        for place, group in enumerate(groups):
            own = places[np.flatnonzero(of_cell == place)[turn::_ROUNDS]]
            if len(own):
                mark = _MARKS[group.look.shape]
                drawn = "".join(f"M{x} {SPAN - y}{mark}" for x, y in own.tolist())
                paths.append(f'<path class="g{place}" d="{drawn}"/>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{MAP_BOX}"><style>'
        f"path{{fill:none;stroke-width:{size};stroke-linecap:round;stroke-opacity:.8}}{light}"
        + (f"{thin}{{stroke-width:5}}" if thin else "")
        + f"@media(prefers-color-scheme:dark){{{dark}}}</style>"
        + "".join(paths)
        + "</svg>\n"
    ).encode()


def labels(
    places: NDArray[np.int64], of_cell: NDArray[np.intp], texts: Sequence[str], height: int
) -> tuple[Label, ...]:
    """Return where texts stand: each where its group's cells are thickest, if there is room.

    Larger groups come first; a text that would cover another one is left out, and the legend has its colour.
    """
    sizes = np.bincount(of_cell, minlength=len(texts))
    found: list[Label] = []
    for place in np.argsort(-sizes, kind="stable").tolist():
        if not texts[place] or not sizes[place]:
            continue
        x, y = _thickest(places[of_cell == place], height)
        half = min(_half_width(texts[place], height), SPAN / 2)
        one = Label(round(min(max(x, half), SPAN - half)), round(SPAN - y), texts[place])
        if not any(_covers(one, other, height) for other in found):
            found.append(one)
    return tuple(found)


def _thickest(own: NDArray[np.int64], height: int) -> tuple[float, float]:
    """Return the middle of the cells in the fullest window of three by three tenths of the map.

    Where a text would hide all of them, it stands above.
    """
    tenth = np.minimum(own * 10 // SPAN, 9)
    counts = np.zeros((12, 12), dtype=np.intp)
    np.add.at(counts, tuple(tenth.T + 1), 1)
    windows = sum(counts[i : i + 10, j : j + 10] for i in range(3) for j in range(3))
    fullest = np.unravel_index(np.argmax(windows), (10, 10))
    inside = own[(np.abs(tenth - np.array(fullest)) <= 1).all(axis=1)]
    x, y = inside.mean(axis=0).tolist()
    top = float(inside[:, 1].max())
    if np.ptp(inside, axis=0).max() < 1.3 * height:
        y = top + 0.7 * height if top + height < SPAN else float(inside[:, 1].min()) - 0.7 * height
    return x, y


def _covers(one: Label, other: Label, height: int) -> bool:
    room = _half_width(one.text, height) + _half_width(other.text, height)
    return abs(one.y - other.y) < 1.05 * height and abs(one.x - other.x) < room


def _half_width(text: str, height: int) -> float:
    return 0.3 * height * len(text) + 6
