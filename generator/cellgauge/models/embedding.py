"""An embedding, and what is refused as one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cellgauge.cards.problems import UserError


class InvalidOutputError(UserError):
    """A model's output that breaks the rules; the message says which."""


def accept_embedding(output: Any, cell_ids: NDArray[np.str_]) -> NDArray[np.float32]:
    """Check a model's output and put its rows into the order of the dataset's cells.

    Parameters
    ----------
    output
        Either an array (n_cells × n_dimensions) with rows in the order of ``cell_ids``, or a data frame
        whose index holds the cell ids, in any order.
    cell_ids
        (n_cells,) the cells that were given to the model.

    Returns
    -------
    (n_cells × n_dimensions) float32.

    Raises
    ------
    InvalidOutputError
        For a wrong type, number of dimensions, number of rows, duplicate, missing or unknown cell ids,
        and NaN or infinite values (which would raise some published scores, not lower them).
    """
    ids: NDArray[np.str_] | None = None
    if isinstance(output, pd.DataFrame):
        ids = output.index.to_numpy(dtype=str)
        output = output.to_numpy()
    if not isinstance(output, np.ndarray):
        raise InvalidOutputError(f"expected an array or a data frame, found a {type(output).__name__}")
    if output.ndim != 2:
        raise InvalidOutputError(f"expected 2 dimensions (cells × values), found shape {output.shape}")
    if output.dtype.kind not in "fiu":
        raise InvalidOutputError(f"expected real numbers, found dtype {output.dtype}")
    if output.shape[0] != len(cell_ids):
        raise InvalidOutputError(f"expected {len(cell_ids)} rows, one per cell, found {output.shape[0]}")
    if output.shape[1] == 0:
        raise InvalidOutputError("expected at least one value per cell, found none")
    values = output.astype(np.float32)
    bad = ~np.isfinite(values)
    if bad.any():
        row = int(np.flatnonzero(bad.any(axis=1))[0])
        name = (cell_ids if ids is None else ids)[row]
        raise InvalidOutputError(
            f"{int(bad.sum())} values are NaN or infinite, in {int(bad.any(axis=1).sum())} cells (first: {name})"
        )
    return values if ids is None else values[_order(ids, cell_ids)]


def _order(ids: NDArray[np.str_], wanted: NDArray[np.str_]) -> NDArray[np.intp]:
    """Return the positions in ``ids`` of the ``wanted`` cells."""
    unique, counts = np.unique(ids, return_counts=True)
    if len(unique) < len(ids):
        repeated = unique[counts > 1]
        raise InvalidOutputError(f"{len(repeated)} cell ids occur more than once (for example {repeated[0]})")
    missing = np.setdiff1d(wanted, ids)
    if len(missing):
        unknown = np.setdiff1d(ids, wanted)
        raise InvalidOutputError(
            f"{len(missing)} cells are missing (for example {missing[0]}) "
            f"and {len(unknown)} are unknown (for example {unknown[0]})"
        )
    order = np.argsort(ids)
    return order[np.searchsorted(ids[order], wanted)]
