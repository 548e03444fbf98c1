"""The counts of cells, recovered from what normalisation has left of them.

Dividing a cell's counts by its total, multiplying them by any target and taking ``log(1 + x)`` keeps the counts up to
one factor per cell: the smallest value of most cells stands for one molecule. The logarithm is undone, the factor is
found, and the cell counts as recovered if all its values are whole multiples of it, within the error that stored
numbers of this precision can have. If that error leaves room for another count, the cell is not recovered.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

INVERSES: dict[str, tuple[Callable[[Values], Values], Callable[[Values], Values]]] = {
    "log(1 + x)": (np.expm1, lambda plain: 1 + plain),
    "no logarithm": (np.positive, np.ones_like),
    "log2(1 + x)": (lambda stored: np.asarray(np.exp2(stored) - 1), lambda plain: np.log(2) * (1 + plain)),
    "log10(1 + x)": (lambda stored: np.asarray(np.power(10.0, stored) - 1), lambda plain: np.log(10) * (1 + plain)),
}
"""What may have been done to normalised counts → its inverse, and the slope of that."""

WAYS = ("counts", *INVERSES, "one value in all genes")
"""How the counts of a cell were obtained; ``Recovered.way`` refers to these by position."""
ANY_WAY, NOT_RECOVERED = len(WAYS) - 1, -1

MAX_DIVISOR = 8
"""The smallest value of a cell may stand for 1 to 8 counts."""
TELLING = 8
"""Genes that a cell must have before its values can speak for or against a way of normalising."""

_FLOAT32 = 2.0**-23
"""Largest error of a stored value, relative to it: rounding once for storage and once on the way."""
_DECIMALS = (2, 3, 4, 5)
_SLACK, _DETERMINED = 0.01, 0.45
_REACHES = (4.0, 32.0, 256.0, 2048.0, np.inf)
_SAME = 1e-4
_SMALLEST, _LARGEST = 1e-60, 2.0**53
_MIN_SHARE = 0.1


class Recovered(NamedTuple):
    """What was found for each cell."""

    counts: NDArray[np.int64]
    """(n_stored,), 0 for the values of cells that were not recovered. Cells share no factor: 2, 4, 6 become 1, 2, 3."""
    way: NDArray[np.int8]
    """(n_cells,) position in ``WAYS``; ``NOT_RECOVERED`` where none fits."""


def recover_counts(values: NDArray[Any], lengths: NDArray[np.int64]) -> Recovered:
    """Recover the counts of cells, each on its own.

    A few genes fit some way by chance, so that the result of a single small cell means little:
    see ``believable``.

    Parameters
    ----------
    values
        (n_stored,) the values of all cells that are not zero, cell after cell.
    lengths
        (n_cells,) how many of them belong to each cell.
    """
    counts = np.zeros(len(values), dtype=np.int64)
    way = np.full(len(lengths), NOT_RECOVERED, dtype=np.int8)
    todo = _Cells(values.astype(np.float64), lengths.astype(np.int64))
    where, cells = np.arange(len(values)), np.arange(len(lengths))

    def settle(fits: NDArray[np.bool_], found: Values, name: int) -> None:
        nonlocal todo, where, cells
        belongs = np.repeat(fits, todo.lengths)
        counts[where[belongs]] = found[belongs].astype(np.int64)
        way[cells[fits]] = name
        todo, where, cells = todo.only(~fits), where[~belongs], cells[~fits]

    usable = (todo.lengths > 0) & (todo.lowest() > 0) & (todo.highest() < _LARGEST)
    belongs = np.repeat(usable, todo.lengths)
    todo, where, cells = todo.only(usable), where[belongs], cells[usable]
    whole = todo.highest(np.abs(todo.values - np.rint(todo.values))) == 0
    settle(whole, todo.values, 0)
    same = todo.lowest() == todo.highest()
    settle(same, np.ones_like(todo.values), ANY_WAY)
    for rounded in (False, True):
        for name, (inverse, slope) in enumerate(INVERSES.values(), start=1):
            error = _rounding(todo) if rounded else _FLOAT32 * todo.values
            with np.errstate(over="ignore", invalid="ignore"):
                plain = inverse(todo.values)
                fits, found = _whole_multiples(_Cells(plain, todo.lengths), error * slope(plain))
            settle(fits, found, name)
    return Recovered(_without_common_factor(counts, lengths), way)


def believable(way: NDArray[np.int8], detected: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return for each cell whether its counts can be believed, given the whole dataset.

    A cell is believed only if a tenth of the cells with enough genes fit the same way as it does: two or three values
    are soon multiples of something, and a cell with many genes may have no more values than that. Whole numbers are
    always believed.

    Parameters
    ----------
    way
        (n_cells,) as in ``Recovered``.
    detected
        (n_cells,) how many genes each cell has.
    """
    telling = detected >= TELLING
    enough = _MIN_SHARE * np.count_nonzero(telling)
    fitting = np.array([np.count_nonzero(way[telling] == name) for name in range(1, ANY_WAY)])
    common = np.zeros(len(WAYS) + 1, dtype=bool)  # the last place is that of NOT_RECOVERED, which is -1
    common[1:ANY_WAY] = fitting > enough
    common[0], common[ANY_WAY] = True, fitting.sum() > enough
    believed = common[way]
    # The number of molecules of a gene that is alone in its cell is lost with the factor.
    lost = (detected == 0) | ((detected == 1) & (way != 0))
    return np.asarray(believed & ~lost)


class _Cells(NamedTuple):
    """Values of cells, cell after cell."""

    values: Values
    lengths: NDArray[np.int64]

    def only(self, chosen: NDArray[np.bool_]) -> _Cells:
        return _Cells(self.values[np.repeat(chosen, self.lengths)], self.lengths[chosen])

    def lowest(self, values: Values | None = None) -> Values:
        return self._reduce(np.minimum, self.values if values is None else values)

    def highest(self, values: Values | None = None) -> Values:
        return self._reduce(np.maximum, self.values if values is None else values)

    def any(self, values: NDArray[np.bool_]) -> NDArray[np.bool_]:
        return np.asarray(reduce_cells(np.logical_or, values, self.lengths))

    def each(self, of_cells: Values) -> Values:
        return np.repeat(of_cells, self.lengths)

    def total(self, values: Values) -> Values:
        return self._reduce(np.add, values)

    def _reduce(self, function: np.ufunc, values: Values) -> Values:
        return reduce_cells(function, values, self.lengths)


def reduce_cells(function: np.ufunc, values: NDArray[Any], lengths: NDArray[np.int64]) -> NDArray[Any]:
    """Reduce the values of each cell to one; 0 for a cell that has none."""
    reduced = np.zeros(len(lengths), dtype=values.dtype)
    filled = lengths > 0
    if filled.any():
        starts = np.cumsum(lengths) - lengths
        reduced[filled] = function.reduceat(values, starts[filled])
    return reduced


def _rounding(cells: _Cells) -> Values:
    """Return (n_stored,) the error of values that were rounded to a few decimals; infinite where they were not."""
    error = np.full(len(cells.lengths), np.inf)
    for decimals in reversed(_DECIMALS):
        shifted = cells.values * 10.0**decimals
        off = np.abs(shifted - np.rint(shifted)) - _FLOAT32 * np.abs(shifted)
        error[cells.highest(off) <= 0] = 0.5 * 10.0**-decimals
    return np.repeat(error, cells.lengths)


def _whole_multiples(cells: _Cells, error: Values) -> tuple[NDArray[np.bool_], Values]:
    """Return which cells hold whole multiples of something within the error of their values, and the multiples."""
    fits = np.zeros(len(cells.lengths), dtype=bool)
    found = np.zeros_like(cells.values)
    usable = (cells.lowest() > _SMALLEST) & (cells.highest() < np.minimum(cells.lowest() * _LARGEST, 1 / _SMALLEST))
    usable &= np.isfinite(cells.highest(error))
    for divisor in range(1, MAX_DIVISOR + 1):
        tried = usable & ~fits
        if not tried.any():
            break
        right, counts = _multiples_of(cells.only(tried), error[np.repeat(tried, cells.lengths)], divisor)
        accepted = np.zeros_like(fits)
        accepted[np.flatnonzero(tried)[right]] = True
        found[np.repeat(accepted, cells.lengths)] = counts
        fits |= accepted
    return fits, found


def _multiples_of(cells: _Cells, error: Values, divisor: int) -> tuple[NDArray[np.int64], Values]:
    """Return positions of the cells in which the smallest value stands for ``divisor`` counts, and their counts.

    The factor is fitted by least squares to small counts first. What is fitted to some counts predicts larger ones;
    ``drift`` is the largest error that it can then have, relative to it, given the errors of the values.
    """
    where = np.arange(len(cells.lengths))
    smallest = cells.lowest()
    scale = smallest / divisor
    drift = cells.highest(np.where(cells.values == np.repeat(smallest, cells.lengths), error, 0)) / smallest
    counts = cells.values
    for reach in _REACHES:
        multiples = cells.values / cells.each(scale)
        counts = np.rint(multiples)
        used = counts <= np.maximum(reach, cells.each(cells.lowest(counts)))
        allowed = _SLACK + error / cells.each(scale) + counts * cells.each(drift)
        wrong = used & ((np.abs(multiples - counts) > allowed) | (allowed > _DETERMINED) | (counts < 1))
        right = ~cells.any(wrong)
        kept = np.repeat(right, cells.lengths)
        where, cells, error, counts, used = where[right], cells.only(right), error[kept], counts[kept], used[kept]
        weighted = np.where(used, counts / error, 0)
        scale = cells.total(weighted * cells.values / error) / cells.total(weighted**2)
        drift = cells.total(weighted) / cells.total(weighted**2) / scale
    # The same count has the same value everywhere in a cell. Values that are merely close, such as logarithms of large
    # numbers, would all be multiples by one.
    lowest = np.where(counts == cells.each(cells.lowest(counts)), cells.values, 0)
    right = cells.highest(lowest) <= cells.lowest() * (1 + _SAME)
    return where[right], counts[np.repeat(right, cells.lengths)]


def _without_common_factor(counts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Divide the counts of each cell with two or more genes by their greatest common divisor."""
    divisor = np.ones(len(lengths), dtype=np.int64)
    shared = (lengths > 1) & (reduce_cells(np.minimum, counts, lengths) > 1)
    belongs = np.repeat(shared, lengths)
    divisor[shared] = reduce_cells(np.gcd, counts[belongs], lengths[shared])
    return np.asarray(counts // np.repeat(divisor, lengths))
