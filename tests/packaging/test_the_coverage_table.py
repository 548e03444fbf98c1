"""What the page on methods says about the intervals is what the study of their coverage found."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cellgauge.cards import TaskCard
from cellgauge.cards.read import read_card

ROOT = Path(__file__).parents[2]
STUDY: dict[str, Any] = json.loads((ROOT / "benchmarks/intervals.json").read_text(encoding="utf-8"))
ROWS: list[dict[str, Any]] = STUDY["rows"]
SECTION = (
    (ROOT / "site_src/methods.md")
    .read_text(encoding="utf-8")
    .split("## Do the intervals hold what they say?\n")[1]
    .split("\n## ")[0]
)
PROSE = "\n".join(line for line in SECTION.splitlines() if not line.startswith("|"))
TABLE = [line for line in SECTION.splitlines() if line.startswith("|")]


def percent(row: dict[str, Any]) -> str:
    return f"{100 * (row['covered'] / row['datasets']):.1f}"


def covered(**asked: str) -> set[str]:
    """Return the shares of the rows whose fields hold what is asked for."""
    found = {percent(row) for row in ROWS if all(part in row[field] for field, part in asked.items())}
    assert found, asked
    return found


def test_the_table_of_the_page_is_that_of_the_study():
    command = [sys.executable, str(ROOT / "benchmarks/intervals.py"), "--table"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert printed.splitlines() == TABLE


def test_the_study_was_carried_out_in_full():
    assert STUDY["quick"] is False
    assert 40 <= len(ROWS) <= 60
    assert len({(row["what"], row["truth"], row["units"], row["score"]) for row in ROWS}) == len(ROWS)
    for row in ROWS:
        assert type(row["covered"]) is type(row["datasets"]) is int
        assert 0 <= row["covered"] <= row["datasets"], row
        assert row["datasets"] >= 300, row


def test_every_row_is_in_the_table_with_its_number_of_datasets():
    for row in ROWS:
        start = f"| {row['what']} | {row['truth']} | {row['units']} | "
        lines = [line for line in TABLE if line.startswith(start) and row["score"] in line.split(" | ")[3].split("; ")]
        assert len(lines) == 1, row
        scores, datasets, share = lines[0].removesuffix(" |").split(" | ")[3:]
        assert datasets == f"{row['datasets']:,}"
        low, high = re.match(r"\**([\d.]+)(?: to ([\d.]+))? %", share).groups()  # type: ignore[union-attr]
        assert float(low) <= float(percent(row)) <= float(high or low)
        below = row["claimed"] and row["covered"] < 0.92 * row["datasets"]
        assert share.startswith("**") == below
        assert not below or scores == row["score"]


def test_every_number_in_the_text_is_of_the_study():
    said = set(re.findall(r"\d+\.\d+", PROSE))
    spreads = {f"{row['spread']:.2f}" for row in ROWS if row["spread"] is not None}
    values = {f"{row['value']:.{digits}f}" for row in ROWS if row["value"] is not None for digits in (3, 4)}
    assert len(said) > 15
    assert said <= {percent(row) for row in ROWS} | spreads | values


def test_every_score_that_is_covered_too_rarely_is_named_in_the_text():
    below = [row for row in ROWS if row["claimed"] and row["covered"] < 0.92 * row["datasets"]]
    assert below
    for row in below:
        assert percent(row) in PROSE, row


def test_every_share_above_the_target_is_named_in_the_text():
    for row in ROWS:
        assert row["covered"] <= 0.98 * row["datasets"] or percent(row) in PROSE, row


@pytest.mark.parametrize(
    ("sentence", "row"),
    [
        (r"(\S+) % of the datasets near the ceiling", {"units": "near the ceiling", "score": "Macro AUROC"}),
        (r"With 20 perturbations it is (\S+) %", {"units": "20 perturbations, one in seven"}),
        (r"held by (\S+) % of", {"truth": "a sixth seed"}),
    ],
)
def test_sentences_about_one_row(sentence: str, row: dict[str, str]):
    found = re.search(sentence, " ".join(PROSE.split()))
    assert found, sentence
    assert {found[1]} == covered(**row)


def test_what_fitting_again_costs():
    text = " ".join(PROSE.split())
    for what in ("clusters", "distances", "classifiers"):
        rows = [row for row in ROWS if row["what"].startswith(f"NOT claimed: {what}")]
        spreads = sorted(f"{row['spread']:.2f}" for row in rows)
        assert f"{spreads[0]} to {spreads[-1]} for {what}" in text


def test_the_values_near_the_ceiling():
    values = {row["score"]: row["value"] for row in ROWS if "near the ceiling" in row["units"]}
    assert f"accuracy {values['Accuracy']:.3f}, macro AUROC {values['Macro AUROC']:.4f}" in " ".join(PROSE.split())


def test_the_numbers_of_resamples_of_the_study_and_of_the_tasks():
    tasks = [read_card(path, TaskCard).protocol.replicates for path in (ROOT / "site_src/tasks").glob("*.md")]
    assert len(set(tasks)) == 1
    assert f"{STUDY['replicates']} resamples where tasks draw {tasks[0]:,}" in " ".join(PROSE.split())
