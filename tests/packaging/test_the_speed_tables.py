"""The page on speed prints what was measured, and nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CLONE = Path(__file__).parents[2]


def test_the_tables_are_those_that_were_measured() -> None:
    printed = subprocess.run(
        [sys.executable, "-P", "benchmarks/speed.py", "--table"], cwd=CLONE, capture_output=True, text=True, check=True
    ).stdout
    page = (CLONE / "site_src/speed.md").read_text(encoding="utf-8")
    for table in printed.strip().split("\n\n"):
        assert table in page, table
