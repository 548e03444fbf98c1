"""Bringing the original files of a run's datasets onto this machine, before any worker needs them."""

from __future__ import annotations

from collections.abc import Iterable

from cellgauge.cards.problems import UserError
from cellgauge.data.fetch import Report
from cellgauge.data.obtain import fetch_files
from cellgauge.data.store import FileStore
from cellgauge.runner.steps import Context


def fetch_datasets(context: Context, datasets: Iterable[str], report: Report) -> dict[str, str]:
    """Fetch the files of datasets that are not here yet, one after the other.

    Returns
    -------
    The datasets whose files cannot be had, and why; the others are complete.
    """
    failures = {}
    for dataset in datasets:
        card = context.cards.datasets[dataset]
        try:
            fetch_files(card, context.project.source / card.path, FileStore(context.cache), report)
        except UserError as error:
            failures[dataset] = str(error)
    return failures
