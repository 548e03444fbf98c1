"""Whatever form a task's details have, they come out readable."""

from __future__ import annotations

from cellgauge.report.details import read_details


def test_one_entry_a_seed_becomes_columns():
    details = read_details(
        {"by_seed": [{"n_clusters": 9, "s": {"CD4 T": 0.5}}, {"n_clusters": 10, "s": {"CD4 T": 0.25}}]}, [42, 43]
    )
    counts, by_label = details.tables
    assert [column.label for column in counts.columns] == ["Name", "seed 42", "seed 43"]
    assert [cell.text for cell in counts.rows[0].cells] == ["Clusters", "9", "10"]
    assert [cell.text for cell in by_label.rows[0].cells] == ["CD4 T", "0.500", "0.250"]


def test_names_of_classes_stay_as_they_are():
    details = read_details({"dropped_classes": {"CD4+/CD45RA+": 8}, "classes": ["B", "NK"], "none_of": []}, [42])
    assert details.facts == (("Dropped classes", "CD4+/CD45RA+: 8"), ("Classes", "B, NK"), ("None of", "none"))


def test_tables_within():
    details = read_details({"by_class_knn": {"B": {"f1": 0.5, "n": 3}, "NK": {"f1": None, "n": 4}}}, [42])
    (table,) = details.tables
    assert table.records() == [{"name": "B", "f1": 0.5, "n": 3}, {"name": "NK", "f1": None, "n": 4}]
    assert [column.numeric for column in table.columns] == [False, True, True]


def test_tables_of_a_view_are_called_by_its_name():
    details = {"by_class_random-forest": {"B": {"auroc": 0.5}, "NK": {"auroc": 1.0}}, "confusion_knn": [[1]]}
    views = {"random-forest": "Random forest", "knn": "5 nearest neighbours"}
    by_class, confusion = read_details({**details, "classes": ["B"]}, [42], views).tables
    assert by_class.caption == "By class, random forest"
    assert by_class.columns[1].label == "AUROC"
    assert (
        confusion.caption == "Confusion, 5 nearest neighbours: which types are taken for which, in percent of each row"
    )


def test_long_lists_are_cut_and_say_so():
    ((_, text),) = read_details({"genes": [f"g{place}" for place in range(30)]}, [42]).facts
    assert text.endswith("g23 … (30 in all)")


def test_deep_values_are_still_shown():
    ((_, text),) = read_details({"odd": [[1, 2], {"a": [True, None]}]}, [42]).facts
    assert text == "1, 2, a: yes, –"


def test_names_that_differ_only_in_punctuation_get_ids_of_their_own():
    details = read_details({name: {"x": 1, "y": 2} for name in ("CD4+", "CD4-", "β", "γ")}, [42])
    ids = [table.id for table in details.tables]
    assert len(set(ids)) == len(ids) == 4


def test_what_and_how_many_have_names_of_their_own():
    facts = read_details({"folds": "cells", "n_folds": 5, "n_clusters": 8}, [42]).facts
    assert facts == (("Folds", "cells"), ("Number of folds", "5"), ("Clusters", "8"))
