"""Which pairs run, which never will and why, and which are done already."""

from __future__ import annotations

import pytest

from cellgauge.cards import UserError
from cellgauge.results.store import read_plan, read_release
from cellgauge.runner.plan import Filters, decide, evaluation_key, make_plan, model_code, protocol_fields, save_plan


def verdict(tiny, task: str, model: str) -> tuple[str, str] | None:
    cards = tiny.cards()
    return decide(cards.tasks[task], cards.datasets["tiny"], cards.models[model])


def test_a_pair_that_fits_will_run(tiny) -> None:
    tiny.dataset()
    assert verdict(tiny, "clustering", "pca") is None


@pytest.mark.parametrize(
    ("task", "model", "status", "reason"),
    [
        ("batch-integration", "pca", "not_applicable", "Batch integration needs a batch column and tiny has none"),
        ("clustering", "batch-coded", "not_applicable", "its controls are oracle and random"),
        ("clustering", "no-change", "not_applicable", "needs an embedding and No change delivers a prediction"),
    ],
)
def test_what_does_not_go_together_says_why(tiny, task: str, model: str, status: str, reason: str) -> None:
    tiny.dataset()
    found = verdict(tiny, task, model)
    assert found is not None
    assert found[0] == status
    assert reason in found[1]


def edit(tiny, path: str, old: str, new: str) -> None:
    file = tiny.folder / "site_src" / path
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new, 1))


def test_values_that_the_model_cannot_take_are_not_fed_to_it(tiny) -> None:
    tiny.dataset()
    edit(tiny, "datasets/tiny.md", "values: counts", "values: scaled")
    assert verdict(tiny, "clustering", "nmf") == (
        "not_applicable",
        "NMF takes counts or log-normalised; the values of tiny are scaled",
    )
    assert verdict(tiny, "clustering", "pca") is None


def test_a_column_that_a_model_must_be_given_has_to_be_there(tiny) -> None:
    tiny.dataset()
    tiny.model("by-batch", "good")
    edit(tiny, "models/by-batch.md", "log-normalised]", "log-normalised], given: [batch]")
    said = "by-batch must be given a batch column and tiny has none"
    assert verdict(tiny, "clustering", "by-batch") == ("not_applicable", said)


def test_a_species_the_model_does_not_know_is_not_embedded(tiny) -> None:
    tiny.dataset()
    tiny.model("mouse-only", "good")
    edit(tiny, "models/mouse-only.md", "log-normalised]", "log-normalised], taxa: [10090]")
    assert verdict(tiny, "clustering", "mouse-only") == ("not_applicable", "mouse-only cannot embed Homo sapiens")


def test_training_on_the_answers_is_declined(tiny) -> None:
    tiny.dataset()
    tiny.model("cheat", "good")
    leak = "leakage: [{dataset: tiny, class: red, reason: Fine-tuned on it., confidence: high}]\npretrained: true"
    edit(tiny, "models/cheat.md", "pretrained: false", leak)
    assert verdict(tiny, "clustering", "cheat") == ("declined_leakage", "cheat was trained on the labels of tiny")


def test_planned_tasks_and_models_are_not_run(tiny) -> None:
    tiny.dataset()
    tiny.model("soon")
    edit(
        tiny,
        "models/soon.md",
        '{kind: function, function: "wrong.py:soon"}',
        "{kind: planned, reason: No weights yet.}",
    )
    assert verdict(tiny, "clustering", "soon") == ("not_run", "No weights yet.")
    edit(tiny, "tasks/clustering.md", "implementation:", "# implementation:")
    assert verdict(tiny, "clustering", "pca")[0] == "not_run"


def test_an_unknown_id_names_the_nearest(tiny) -> None:
    tiny.dataset()
    with pytest.raises(UserError, match='unknown task "clusterin"; did you mean "clustering"'):
        make_plan(tiny.project, tiny.cards(), "r", Filters(tasks=["clusterin"]))


def test_a_filtered_plan_keeps_earlier_decisions(tiny) -> None:
    tiny.dataset()
    cards = tiny.cards()
    for task in ("clustering", "embedding"):
        save_plan(tiny.project, cards, "r", Filters(["pca"], ["tiny"], [task]), rehearsal=True)
    assert [pair.task for pair in read_plan(tiny.project.release("r")).pairs] == ["clustering", "embedding"]


def test_prose_changes_no_key_and_compute_fields_do(tiny) -> None:
    tiny.dataset()
    tiny.model("mine", "good")

    def key() -> str:
        cards = tiny.cards()
        model = cards.models["mine"]
        code = model_code(tiny.project, model)
        return evaluation_key(tiny.project, cards, cards.tasks["clustering"], cards.datasets["tiny"], model, code)

    seen = [key()]
    edit(tiny, "models/mine.md", "Made for a test.", "Reworded.")
    assert key() == seen[0]
    for path, old, new in [
        ("tasks/clustering.md", "resolution: 1.0", "resolution: 0.9"),
        ("tasks/clustering.md", "clustering:prepare", "embedding:prepare"),
        ("metrics/homogeneity.md", "version: 1", "version: 2"),
        ("datasets/tiny.md", "version: 1", "version: 2"),
        ("models/mine.md", "version: 1", "version: 2"),
        ("models/wrong.py", "[:, :5]", "[:, :4]"),
    ]:
        edit(tiny, path, old, new)
        assert key() not in seen
        seen.append(key())


def test_the_name_of_a_view_and_the_place_of_a_file_are_prose(tiny) -> None:
    tiny.dataset()
    before = tiny.cards()
    edit(tiny, "tasks/classification.md", "name: Logistic regression", "name: Logit")
    (tiny.folder / "site_src/datasets/moved.h5ad").write_bytes(
        (tiny.folder / "site_src/datasets/tiny.h5ad").read_bytes()
    )
    edit(tiny, "datasets/tiny.md", "path: tiny.h5ad", "path: moved.h5ad")
    after = tiny.cards()
    assert after.tasks["classification"].digest == before.tasks["classification"].digest
    assert after.datasets["tiny"].digest == before.datasets["tiny"].digest


def test_a_changed_protocol_gets_a_new_date_and_digest(tiny) -> None:
    tiny.dataset()
    save_plan(tiny.project, tiny.cards(), "r", Filters(["pca"], ["tiny"], ["clustering"]), rehearsal=True)
    before = read_release(tiny.project.release("r"))
    edit(tiny, "tasks/clustering.md", "resolution: 1.0", "resolution: 0.9")
    save_plan(tiny.project, tiny.cards(), "r", Filters(["pca"], ["tiny"], ["clustering"]), rehearsal=False)
    after = read_release(tiny.project.release("r"))
    assert after.protocol != before.protocol
    assert after.rehearsal


def test_whether_a_model_was_trained_elsewhere_decides_what_its_result_follows_from(tiny) -> None:
    """A bug: flipping it on a dataset of one file left stale results in place."""
    tiny.dataset()
    tiny.model("elsewhere", "good")
    before = tiny.cards().models["elsewhere"].digest
    edit(tiny, "models/elsewhere.md", "pretrained: false", "pretrained: true")
    assert tiny.cards().models["elsewhere"].digest != before


@pytest.mark.parametrize(
    ("task", "old", "new"),
    [
        ("batch-integration", "margin: 0.05", "margin: 0.9"),
        ("batch-integration", "relevant_difference: 0.02", "relevant_difference: 0.001"),
        ("batch-integration", "baseline: pca", "baseline: svd"),
        ("batch-integration", "controls: [oracle, random, ", "controls: [random, oracle, "),
        ("batch-integration", "name: Mixing\n    metrics: [batch-entropy, ", "name: Mixing\n    metrics: ["),
    ],
)
def test_what_decides_a_verdict_is_part_of_the_protocol_and_not_of_a_result(tiny, task, old, new) -> None:
    """A bug: a margin that was changed after results were seen left no trace."""
    tiny.dataset()
    before = tiny.cards()
    edit(tiny, f"tasks/{task}.md", old, new)
    after = tiny.cards()
    assert protocol_fields(after) != protocol_fields(before)
    assert after.tasks[task].digest == before.tasks[task].digest


def test_a_model_trained_elsewhere_is_run_again_when_a_joined_dataset_changes(tiny) -> None:
    """It is shown the parts of a joined dataset, so that they are among what its result follows from."""
    for dataset in ("tiny", "part"):
        tiny.dataset(dataset)
    edit(tiny, "datasets/tiny.md", "organisms:", "joins: [part]\norganisms:")
    edit(tiny, "datasets/part.md", "study: part", "study: tiny")
    tiny.model("elsewhere", "good")
    edit(tiny, "models/elsewhere.md", "pretrained: false", "pretrained: true")
    tiny.model("here", "good")

    def keys() -> list[str]:
        cards = tiny.cards()
        task, dataset = cards.tasks["clustering"], cards.datasets["tiny"]
        models = [cards.models["elsewhere"], cards.models["here"]]
        return [
            evaluation_key(tiny.project, cards, task, dataset, model, model_code(tiny.project, model))
            for model in models
        ]

    before = keys()
    edit(tiny, "datasets/part.md", "version: 1", "version: 2")
    after = keys()
    assert after[0] != before[0]
    assert after[1] == before[1]
