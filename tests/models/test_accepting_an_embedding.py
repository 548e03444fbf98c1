"""What a model may return, and how everything else is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cellgauge.models.embedding import InvalidOutputError, accept_embedding

CELLS = np.array(["c0", "c1", "c2", "c3"])
GOOD = np.arange(8, dtype=np.float64).reshape(4, 2)


def frame(ids: list[str]) -> pd.DataFrame:
    return pd.DataFrame(GOOD[: len(ids)] if len(ids) <= 4 else np.ones((len(ids), 2)), index=ids)


def with_value(value: float) -> np.ndarray:
    bad = GOOD.copy()
    bad[2, 1] = value
    return bad


def test_an_array_keeps_its_order() -> None:
    accepted = accept_embedding(GOOD, CELLS)
    assert accepted.dtype == np.float32
    np.testing.assert_array_equal(accepted, GOOD)


def test_a_frame_is_put_into_the_order_of_the_cells() -> None:
    accepted = accept_embedding(frame(["c2", "c0", "c3", "c1"]), CELLS)
    np.testing.assert_array_equal(accepted, GOOD[[1, 3, 0, 2]])


@pytest.mark.parametrize(
    ("output", "said"),
    [
        (GOOD[:3], "expected 4 rows, one per cell, found 3"),
        (GOOD.T, "expected 4 rows, one per cell, found 2"),
        (GOOD[:, 0], r"expected 2 dimensions .* found shape \(4,\)"),
        (GOOD[:, :0], "at least one value per cell"),
        (with_value(np.nan), r"1 values are NaN or infinite, in 1 cells \(first: c2\)"),
        (with_value(-np.inf), "1 values are NaN or infinite"),
        (with_value(1e300), "1 values are NaN or infinite"),
        (GOOD.astype(complex), "expected real numbers, found dtype complex128"),
        (GOOD.astype(object), "expected real numbers, found dtype object"),
        (GOOD.astype(str), "expected real numbers"),
        (GOOD.tolist(), "expected an array or a data frame, found a list"),
        (None, "found a NoneType"),
        (frame(["c0", "c1", "c1", "c3"]), r"1 cell ids occur more than once \(for example c1\)"),
        (frame(["c0", "c1", "c2", "x"]), r"1 cells are missing \(for example c3\) and 1 are unknown \(for example x\)"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow")
def test_anything_else_is_refused_with_its_reason(output: object, said: str) -> None:
    with pytest.raises(InvalidOutputError, match=said):
        accept_embedding(output, CELLS)
