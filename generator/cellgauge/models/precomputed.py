"""Embeddings and predictions that somebody else computed, read from files with ids."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import h5py
import numpy as np
import pandas as pd
from anndata.io import read_elem

from cellgauge.models.embedding import InvalidOutputError

ENDINGS = (".npz", ".csv", ".tsv", ".csv.gz", ".tsv.gz", ".h5ad")


def read_output(path: Path, name: str) -> pd.DataFrame:
    """Read an output with the ids of its rows as the index.

    Parameters
    ----------
    path
        Where the bytes lie.
    name
        What the file is called, by whose ending it is read: ``.npz`` with the arrays ``embedding`` and ``cell_ids``;
        ``.csv`` or ``.tsv`` (also ``.gz``), whose first column holds ids; ``.h5ad``, of which ``X`` is taken.

    Raises
    ------
    InvalidOutputError
        When it cannot be read, or has an ending that is not known.
    """
    ending = next((one for one in sorted(ENDINGS, key=len, reverse=True) if name.endswith(one)), None)
    if ending is None:
        raise InvalidOutputError(
            f"{name}: expected .npz, .csv, .tsv or .h5ad, found {Path(name).suffix or 'no ending'}"
        )
    try:
        if ending == ".npz":
            with np.load(path, allow_pickle=False) as held:
                frame = pd.DataFrame(held["embedding"], index=held["cell_ids"].astype(str))
        elif ending == ".h5ad":
            with h5py.File(path, "r") as file:
                rows, columns = (read_elem(file[part]).index.astype(str) for part in ("obs", "var"))
                found = read_elem(file["X"])
            frame = pd.DataFrame(
                found if isinstance(found, np.ndarray) else found.toarray(), index=rows, columns=columns
            )
        else:
            separator = "," if ".csv" in ending else "\t"
            packed: Literal["gzip"] | None = "gzip" if ending.endswith(".gz") else None
            frame = pd.read_csv(path, sep=separator, index_col=0, dtype={0: str}, compression=packed)
            frame.index = frame.index.astype(str)
    except (OSError, ValueError, KeyError) as error:
        raise InvalidOutputError(f"{name}: cannot be read: {' '.join(str(error).split())}") from None
    return frame
