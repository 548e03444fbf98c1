"""Quality control finds what is wrong, says how much it looked at, and hides nothing without a reason."""

from __future__ import annotations

import csv
import datetime as dt
import html
import io
import json
import re
from collections.abc import Callable

import numpy as np
import pytest

from cellgauge.cards import CardProblems, load_cards
from cellgauge.cards.silence import CHECKS as CHECK_IDS
from cellgauge.report.quality import Quality
from cellgauge.report.quality_checks import CHECKS
from cellgauge.report.quality_findings import Finding
from cellgauge.report.quality_page import MOST_SHOWN, quality_page
from cellgauge.results.protocol import register
from cellgauge.results.schema import Gate
from cellgauge.runner.plan import protocol_fields

BLOOD, TOY = "pbmc68k-reduced", "toy-blood"
GOOD = {"oracle": 0.99, "random": 0.001}


@pytest.fixture
def quality_of(render) -> Callable[..., Quality]:
    """Returns what the checks of a project's release found."""
    return lambda project: render(project).quality


@pytest.fixture
def found(quality_of) -> Callable[..., list[Finding]]:
    """Returns the findings of one check of a project's release."""
    return lambda project, check: [one for one in quality_of(project).findings if one.check == check]


def text(page) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", page.fragment)).split())


def test_there_is_one_function_for_each_check():
    assert [check.id for check in CHECKS] != []
    assert {check.id for check in CHECKS} | {"silences"} == set(CHECK_IDS)


def test_a_protocol_that_was_changed_after_results_is_found_with_what_changed(release, edit, found, quality_of):
    def registered(hour: int) -> None:
        now = dt.datetime(2026, 11, 2, hour, tzinfo=dt.UTC)
        register(release.folder, protocol_fields(load_cards(release.project)), now)

    registered(8)
    edit("site_src/tasks/clustering.md", "baseline: pca", "baseline: svd")
    registered(9)
    release.add("clustering", BLOOD, "pca", 0.5)
    assert found(release.finish(), "protocol")[0].found == "1 of 1 result name no protocol that was registered"
    edit("site_src/tasks/clustering.md", "resolution: 1.0", "resolution: 0.9")
    edit("site_src/tasks/embedding.md", "baseline: pca", "baseline: svd")
    registered(10)
    findings = [one for one in found(release.project, "protocol") if one.severity == "doubtful"]
    assert [(one.task, one.href) for one in findings] == [("clustering", "tasks/clustering/")]
    assert findings[0].found == (
        "on 2026-11-02, when 1 result had been seen, the protocol of Cell clustering was changed: "
        "protocol.params.resolution: 1.0 → 0.9"
    )
    (amount,) = [one.amount for check, one in quality_of(release.project).checked if check.id == "protocol"]
    assert re.fullmatch(
        r"protocol [0-9a-f]{12}, registered on 2026-11-02 08:00 UTC, before any results, "
        r"last changed on 2026-11-02 10:00 UTC",
        amount,
    )


def test_bug_a_change_of_the_rule_was_found_once_for_each_task(release, found):
    was = protocol_fields(load_cards(release.project))
    register(release.folder, was, dt.datetime(2026, 11, 2, 8, tzinfo=dt.UTC))
    for task in ("clustering", "embedding"):
        release.add(task, BLOOD, "pca", 0.5)
    now = {**was, "rule": {**was["rule"], "version": 99}}
    register(release.folder, now, dt.datetime(2026, 11, 2, 9, tzinfo=dt.UTC))
    (one,) = [one for one in found(release.finish(), "protocol") if one.severity == "doubtful"]
    assert (one.task, one.href) == (None, "method-changes/")
    assert one.found == (
        "on 2026-11-02, when 2 results had been seen, the rule by which models are compared was changed: "
        f"version: {was['rule']['version']} → 99"
    )


def test_controls_in_the_wrong_order_are_found_with_numbers(release, found):
    for model, value in {"oracle": 0.2, "random": 0.7}.items():
        release.add("clustering", BLOOD, model, value)
    findings = found(release.finish(), "control-order")
    primary = release.cards.tasks["clustering"].primary.metric
    mine = [one for one in findings if one.metric == primary]
    assert {(one.model, one.severity) for one in mine} == {("random", "serious"), ("oracle", "serious")}
    best = next(one for one in mine if one.model == "random")
    assert re.search(r"Random\S*.* is best with 0\.700 \[0\.\d+, 0\.\d+\], before .* with 0\.200 \[", best.found)
    assert best.expected == f"best is {release.cards.models['oracle'].name}"
    assert best.href == f"results/clustering/{BLOOD}/random/"


def test_controls_in_order_are_counted_and_not_found(release, quality_of, found):
    for model, value in GOOD.items():
        release.add("clustering", BLOOD, model, value)
    project = release.finish()
    assert not found(project, "control-order")
    metrics, controls = release.cards.metrics, {"oracle", "random"}
    ends = [
        end
        for ref in release.cards.tasks["clustering"].scores
        for end in (metrics[ref.metric].controls.best, metrics[ref.metric].controls.worst)
        if set(end) & controls
    ]
    checked = next(one for check, one in quality_of(project).checked if check.id == "control-order")
    assert checked.amount == f"{len(ends)} ends of orders"


def test_an_order_within_noise_is_only_doubtful(release, found):
    release.add("clustering", BLOOD, "oracle", 0.500)
    release.add("clustering", BLOOD, "random", 0.501)
    assert {one.severity for one in found(release.finish(), "control-order")} == {"doubtful"}


def test_lower_is_better_turns_the_order(release, edit, found):
    metric = release.cards.tasks["clustering"].primary.metric
    edit(f"site_src/metrics/{metric}.md", "direction: higher", "direction: lower")
    release.__init__(release.project)  # the cards have changed
    for model, value in GOOD.items():
        release.add("clustering", BLOOD, model, value)
    assert {one.metric for one in found(release.finish(), "control-order")} == {metric}


def test_failures_gates_and_what_never_ran(release, found):
    release.add_empty("clustering", BLOOD, "pca", "failed", "it stopped")
    release.add_empty("clustering", BLOOD, "svd", "timeout", "600 s")
    release.add_empty("embedding", BLOOD, "svd", "needs_gpu", "there is none")
    release.add_empty("embedding", BLOOD, "nmf", "not_applicable", "no")
    gate = Gate(name="order", outcome="failed", evidence="rows are shuffled")
    for task in ("clustering", "embedding"):
        release.add(task, BLOOD, "raw-expression", 0.5, gates=[gate])
        release.plan(task, TOY, "nmf", "to_run")
    project = release.finish()
    assert {(one.model, one.severity) for one in found(project, "failed-runs")} == {
        ("pca", "serious"), ("svd", "doubtful"), ("svd", "note"),
    }  # fmt: skip
    (failed,) = found(project, "failed-gates")
    assert (failed.dataset, failed.model, failed.found) == (
        BLOOD, "raw-expression", "order of cells: rows are shuffled",
    )  # fmt: skip
    (waiting,) = found(project, "not-run")
    assert waiting.model == "nmf"
    assert waiting.found.startswith("2 of 2 planned evaluations not run: ")
    assert len(found(project, "not-planned")) == 6, "the plan has only the pairs that wait"


def test_a_baseline_at_the_ceiling_and_saturated_models(release, found):
    for model in ("pca", "svd", "nmf"):
        release.add("clustering", BLOOD, model, 0.99)
        release.add("embedding", BLOOD, model, 0.5)
    project = release.finish()
    (ceiling,) = found(project, "at-ceiling")
    assert (ceiling.task, ceiling.dataset) == ("clustering", BLOOD)
    assert "cannot discriminate here" in ceiling.found
    (saturated,) = found(project, "saturated")
    assert saturated.task == "clustering"
    assert saturated.found.startswith("100 % of 3 models cannot be told from 1, the best value of")


def test_intervals_that_are_absent_or_have_no_width(release, found):
    release.add_jackknife("clustering", BLOOD, "svd", 0.5, np.zeros((4, 5)))
    release.add_jackknife("clustering", TOY, "svd", 0.5, np.zeros((8, 5)))
    project = release.finish()
    (bare,) = found(project, "no-interval")
    assert (bare.dataset, bare.severity) == (BLOOD, "note")
    assert "4 donors are too few for an interval" in bare.found
    (flat,) = found(project, "zero-width")
    assert (flat.dataset, flat.severity) == (TOY, "doubtful")
    assert flat.found.endswith("has no width, at 0.500")


def test_results_of_earlier_cards_and_of_unverified_cells(release, edit, found):
    release.add("clustering", BLOOD, "svd", 0.5)
    release.finish()
    edit("site_src/models/svd.md", "version: 1", "version: 2")
    (old,) = found(release.project, "outdated")
    assert old.found.startswith("outdated: computed with an earlier version of the model card")
    path = release.folder / "clustering" / BLOOD / "svd.json"
    values = json.loads(path.read_text(encoding="utf-8"))
    values["dataset"]["content"] = None
    from cellgauge.results.schema import result_id

    values["result_id"] = result_id(values)
    path.write_text(json.dumps(values), encoding="utf-8")
    (bare,) = found(release.project, "unverified-data")
    assert (bare.dataset, bare.severity) == (BLOOD, "serious")
    assert bare.found == "1 of 1 result come from cells that could not be verified"


def test_a_model_beyond_the_best_control_is_found_with_both_numbers(release, found):
    for model, value in {"pca": 0.6, "svd": 0.7, "nmf": 0.39, "oracle": 0.4, "random": 0.001}.items():
        release.add("clustering", BLOOD, model, value)
    findings = found(release.finish(), "beaten-control")
    (primary,) = [one for one in findings if one.severity == "doubtful"]
    assert primary.metric == release.cards.tasks["clustering"].primary.metric
    assert re.search(
        r"by ARI, Truncated SVD and PCA lie beyond the best control: Truncated SVD has 0\.700 \[", primary.found
    )
    assert re.search(r"Oracle 0\.400 \[", primary.found)
    assert {one.severity for one in findings if one is not primary} == {"note"}
    assert len(findings) > 1


def test_a_model_within_noise_of_the_best_control_is_no_finding(release, found):
    for model, value in {"pca": 0.5, "svd": 0.41, "oracle": 0.4, "random": 0.001}.items():
        release.add("clustering", BLOOD, model, value, noise=0.2)
    assert found(release.finish(), "beaten-control") == []


def silence(project, text: str) -> None:
    (project.site_src / "quality.yaml").write_text(text, encoding="utf-8")


WRONG = """\
silenced:
  - check: control-order
    task: clustering
    model: random
    reason: Known & <b>understood</b> {{ 7*7 }}.
"""


def test_a_silenced_finding_prints_its_reason(release, render, quality_of):
    for model, value in {"oracle": 0.2, "random": 0.7}.items():
        release.add("clustering", BLOOD, model, value)
    project = release.finish()
    before = quality_of(project)
    silence(project, WRONG)
    after = quality_of(project)
    assert len(after.findings) == len(before.findings), "nothing disappears"
    assert {one.model for one in after.findings if one.reason} == {"random"}
    assert 0 < after.count("serious") < before.count("serious")
    page = quality_page(render(project))
    known = page.fragment.split('id="known"')[1]
    assert "Known &amp; &lt;b&gt;understood&lt;/b&gt; &#123;&#123; 7*7 }}." in known
    assert "Known" not in page.fragment.split('id="known"')[0].split('id="findings"')[1]
    records = list(csv.DictReader(io.StringIO(page.files["quality/findings.csv"].decode())))
    assert len(records) == len(after.findings)
    assert sum(bool(one["reason"]) for one in records) == sum(one.reason is not None for one in after.findings)


def test_a_silence_of_nothing_is_a_finding(release, render, quality_of):
    for model, value in GOOD.items():
        release.add("clustering", BLOOD, model, value)
    project = release.finish()
    silence(project, WRONG)
    (idle,) = quality_of(project).open
    assert (idle.check, idle.model) == ("silences", "random")
    assert "silences nothing" in text(quality_page(render(project)))


def test_a_silence_of_what_a_release_has_no_results_of_is_none(release, quality_of):
    for model, value in GOOD.items():
        release.add("clustering", BLOOD, model, value)
    project = release.finish()
    silence(project, WRONG.replace("model: random", "dataset: toy-blood"))
    assert quality_of(project).open == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (
            ("task: clustering", "tusk: clustering"),
            r'quality\.yaml:3: silenced\[0\]\.tusk: is not a known key; .*"task"',
        ),
        (
            ("task: clustering", "task: clusterin"),
            r'quality\.yaml:3: silenced\[0\]\.task: unknown task "clusterin"; did',
        ),
        (("control-order", "no-such"), r"quality\.yaml:2: silenced\[0\]\.check: expected one of"),
        (("    reason: Known & <b>understood</b> {{ 7*7 }}.\n", ""), r"silenced\[0\]\.reason: is required"),
        (("    task: clustering\n    model: random\n", ""), "would silence a whole check"),
        (("control-order", "silences"), "is removed, not silenced"),
        (("silenced:", "silent:"), r"quality\.yaml:1: silent: is not a known key"),
    ],
)
def test_a_wrong_entry_is_refused_by_line_and_key(project, change, problem):
    assert change[0] in WRONG
    silence(project, WRONG.replace(*change))
    with pytest.raises(CardProblems, match=problem):
        load_cards(project)


def test_without_the_file_nothing_is_silenced(project):
    (project.site_src / "quality.yaml").unlink()
    assert load_cards(project).silences == ()


def test_many_findings_stay_a_light_page(release, render):
    for task in ("clustering", "embedding", "classification"):
        for dataset in (BLOOD, TOY):
            for model in release.cards.models:
                release.add_empty(task, dataset, model, "failed", f"a long reason {'x' * 200}")
    page = quality_page(render(release.finish()))
    records = list(csv.DictReader(io.StringIO(page.files["quality/findings.csv"].decode())))
    assert len(records) > MOST_SHOWN
    more = len(records) - MOST_SHOWN
    assert f"{more} more of this kind: in the CSV." in text(page)
    assert len(page.fragment.encode()) < 100_000


def test_cards_alone_have_nothing_to_check(project, render):
    page = quality_page(render(project))
    assert "Nothing to check yet" in text(page)
    assert "not audited yet" in text(page)


@pytest.mark.site
def test_every_page_leads_to_quality_control(built, site, quality_of):
    project, _ = built
    summary = quality_of(project).summary
    for page in ("index.html", "tasks/clustering/index.html", "methods/index.html", "404.html"):
        shown = html.unescape(re.sub(r"<[^>]*>", "", (site / page).read_text(encoding="utf-8")))
        assert f"Quality control: {summary}" in " ".join(shown.split()), page
