"""Original files as a recipe gets them: by name, without a suffix, and not always what was expected."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from cellgauge.cards.problems import UserError


def named(files: Mapping[str, Path], *names: str) -> list[Path]:
    """Return the paths of the files that a recipe needs, in the order of ``names``.

    Raises
    ------
    UserError
        When the card gives them other names.
    """
    absent = [name for name in names if name not in files]
    if absent:
        found = ", ".join(files) or "none"
        raise UserError(
            f"the recipe needs the files {', '.join(names)}, but the card names: {found} "
            f"(add {', '.join(absent)} to source.files)"
        )
    return [files[name] for name in names]


def read_r_table(path: Path, what: str) -> pd.DataFrame:
    """Read a gzipped csv file as R writes it: the header has no name for the first column, the row names.

    Parameters
    ----------
    what
        What to call the file in an error.

    Raises
    ------
    UserError
        When it cannot be read, or has no column of row names.
    """
    try:
        # Not pandas' own decompression: its parser takes a Ctrl-C that falls into it for a damaged file.
        table = pd.read_csv(io.BytesIO(gzip.decompress(path.read_bytes())), keep_default_na=False)
    except (OSError, EOFError, zlib.error, ValueError) as error:  # pandas' own errors are ValueErrors
        raise UserError(f"{what}: expected a gzipped csv file, but it cannot be read: {error}") from None
    if isinstance(table.index, pd.RangeIndex):
        raise UserError(
            f"{what}: expected a header with one name fewer than there are columns (R's row names come first), "
            f"found {len(table.columns)} names for {len(table.columns)} columns"
        )
    return table


def read_pairs(path: Path, what: str) -> list[tuple[str, str]]:
    """Read a csv file of two columns without a header.

    Raises
    ------
    UserError
        When it cannot be read, or a line has not two values.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{what}: expected a csv file of two columns, but it cannot be read: {error}") from None
    pairs = []
    for number, row in enumerate(rows, start=1):
        if len(row) != 2:
            raise UserError(f"{what}: line {number}: expected two values, found {len(row)}")
        pairs.append((row[0], row[1]))
    return pairs


def need_columns(table: pd.DataFrame, names: Iterable[str], what: str) -> None:
    """Refuse a table that lacks a column.

    Raises
    ------
    UserError
        Names the columns that are missing and those that are there.
    """
    absent = [name for name in names if name not in table.columns]
    if absent:
        found = ", ".join(map(str, table.columns[:20])) or "none"
        raise UserError(f"{what}: expected the columns {', '.join(absent)}, found: {found}")
