"""`cellgauge --help` answers at once: commands import what they need when they run."""

import subprocess
import sys
from pathlib import Path

HEAVY = (
    "altair",
    "anndata",
    "jax",
    "mkdocs",
    "numpy",
    "pandas",
    "scanpy",
    "scib_metrics",
    "scipy",
    "sklearn",
    "vl_convert",
)


def test_the_command_line_imports_nothing_heavy():
    code = f"import sys, cellgauge.cli; print(*[name for name in {HEAVY!r} if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []


def test_help_answers():
    command = Path(sys.executable).with_name("cellgauge")
    run = subprocess.run([command, "--help"], capture_output=True, text=True, check=True)
    assert "Usage:" in run.stdout


def test_cards_and_results_need_no_package_of_evaluation():
    code = f"import sys, cellgauge.cards, cellgauge.results.store; print(*[n for n in {HEAVY!r} if n in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(run.stdout.split()) <= {"numpy"}
