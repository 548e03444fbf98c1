"""Pages are the same bytes on machines whose last digits differ."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cellgauge.report import dataset_comparison
from cellgauge.report.axes import Spec
from cellgauge.report.numbers import significant
from cellgauge.report.stage import stage
from cellgauge.report.tables import Cell, Column, Row, Table


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.1 + 0.2, 0.3),
        (1 / 3, 0.3333333333),
        (-2e-17 / 3, -6.666666667e-18),
        (123456.7890123456, 123456.789),
        (0.0, 0.0),
    ],
)
def test_ten_digits_are_kept(value, expected):
    assert significant(value) == expected


def test_files_and_drawings_leave_out_the_digits_that_differ():
    def table(value: float) -> Table:
        return Table("t", "T", (Column("a", "A", ("",), numeric=True),), (Row((Cell("0.3", (value,)),)),))

    def spec(value: float) -> Spec:
        return Spec("dots-wide", {"domain": [value, 1]}, {"rows": [{"x": value, "y": (value, None, "a")}]})

    one, other = 0.3, 0.1 + 0.2
    assert one != other
    assert table(one).to_csv() == table(other).to_csv()
    assert table(one).to_json({}) == table(other).to_json({})
    assert spec(one).digest("") == spec(other).digest("")
    assert (spec(one).values_json, spec(one).datasets_json) == (spec(other).values_json, spec(other).datasets_json)


def test_pages_are_the_same_where_differences_differ_in_their_last_digits(release, monkeypatch):
    for model, value in {"pca": 0.55, "svd": 0.57, "nmf": 0.47, "random": 0.001}.items():
        release.add("clustering", "pbmc68k-reduced", model, value)
    project = release.finish()
    before = {page.path: (page.fragment, page.files) for page in stage(project, None).pages}
    found = dataset_comparison.paired_differences
    moved = []

    def elsewhere(*arguments, **options):
        differences = found(*arguments, **options)
        moved.extend(one for one in differences if one.value)
        return [
            replace(one, value=one.value * (1 + 1e-13), low=one.low * (1 - 1e-13), high=one.high * (1 + 1e-13))
            for one in differences
        ]

    monkeypatch.setattr(dataset_comparison, "paired_differences", elsewhere)
    after = {page.path: (page.fragment, page.files) for page in stage(project, None).pages}
    assert moved
    assert [path for path in before if before[path] != after[path]] == []
