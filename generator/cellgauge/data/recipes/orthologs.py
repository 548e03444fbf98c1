"""Genes of two species that correspond one to one."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from cellgauge.cards.problems import UserError
from cellgauge.data.recipes.originals import read_pairs


def one_to_one(path: Path, what: str) -> dict[str, str]:
    """Return the pairs of a table of orthologs in which neither gene has a second partner.

    Parameters
    ----------
    path
        A csv file without a header: a gene of the first species and one of the second, either of which may be
        empty; the same pair may be listed repeatedly.
    what
        What to call the file in an error.

    Returns
    -------
    Gene of the first species → gene of the second.

    Raises
    ------
    UserError
        When the file cannot be read, or has no such pair.
    """
    pairs = {(one, other) for one, other in read_pairs(path, what) if one and other}
    partners = Counter(one for one, _ in pairs), Counter(other for _, other in pairs)
    kept = {one: other for one, other in sorted(pairs) if partners[0][one] == 1 and partners[1][other] == 1}
    if not kept:
        raise UserError(f"{what}: expected pairs of genes, found none that correspond one to one")
    return kept
