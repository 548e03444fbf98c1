"""A frozen release never changes: one byte anywhere is named, by every command that would use it."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from cellgauge.cards import Project, UserError, load_cards
from cellgauge.cli import main
from cellgauge.report.build import build_site
from cellgauge.report.stage import stage
from cellgauge.results import freeze as freezing
from cellgauge.results.freeze import freeze
from cellgauge.results.manifest import changes, is_frozen, read_index, read_manifest, refuse_frozen
from cellgauge.results.release import Correction
from cellgauge.results.store import read_release, read_result, write_release

DAY = dt.date(2026, 11, 28)


@pytest.fixture
def scored(release) -> Project:
    for model in ("pca", "svd", "random"):
        release.add("clustering", "pbmc68k-reduced", model, 0.5)
    release.add_empty("clustering", "toy-blood", "pca", "timeout", "600 s")
    release.add_map("pbmc68k-reduced", "pca")
    release.count("pbmc68k-reduced")
    release.register()
    return release.finish()


def frozen(project: Project, name: str = "trial", **more: str):
    return freeze(project, load_cards(project, name), name, day=DAY, **more)


def command(project: Project, *words: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["--project", str(project.source), *words])
    return result.exit_code, result.output


def test_a_manifest_names_every_file_and_where_it_came_from(scored):
    made = frozen(scored, doi="10.5281/zenodo.1")
    folder = scored.release("trial")
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert set(made.files) == there - {"manifest.json"}
    assert {"release.yaml", "plan.json", "clustering/pbmc68k-reduced/pca.npy", "cards/models/pca.md"} <= set(made.files)
    assert (made.counts, made.frozen_on, made.doi) == ({"done": 3, "timeout": 1}, DAY, "10.5281/zenodo.1")
    assert made.cards["models"]["pca"].digest == load_cards(scored).models["pca"].digest
    assert made.code.commit is None
    entry = read_index(scored).releases["trial"]
    digest = subprocess.run(["sha256sum", folder / "manifest.json"], capture_output=True, text=True, check=True)
    assert entry.manifest == f"sha256:{digest.stdout.split()[0]}"
    assert changes(scored, "trial") == []


def test_the_commit_is_recorded_and_whether_it_was_clean(scored):
    def git(*words: str) -> str:
        who = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
        done = subprocess.run(["git", *who, *words], cwd=scored.source, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    git("init", "-q")
    git("add", "site_src", "mkdocs.yml")
    git("commit", "-qm", "cards")
    first = freezing._code(scored.source)
    assert (first.commit, first.clean) == (git("rev-parse", "HEAD"), True), "results are not counted"
    (scored.site_src / "methods.md").write_text("other", encoding="utf-8")
    assert freezing._code(scored.source).clean is False


FILES = (
    "release.yaml", "plan.json", "clustering/pbmc68k-reduced/svd.json", "clustering/pbmc68k-reduced/svd.npy",
    "cards/models/svd.md", "cards/quality.yaml", "datasets/pbmc68k-reduced.json",
    "datasets/pbmc68k-reduced/maps/pca.json",
)  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_one_byte_that_was_changed_is_named(scored, name: str):
    frozen(scored)
    path = scored.release("trial") / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    assert [one.path for one in changes(scored, "trial")] == [f"results/trial/{name}"]
    for words in (("verify",), ("verify", "trial"), ("build", "--release", "trial")):
        code, said = command(scored, *words)
        assert code == 1
        assert f"results/trial/{name}: found sha256:" in said
    assert not (scored.work / "site").exists()


def test_a_changed_manifest_is_named_and_so_is_what_came_and_went(scored):
    frozen(scored)
    folder = scored.release("trial")
    (folder / "clustering/pbmc68k-reduced/svd.npy").unlink()
    (folder / "clustering/pbmc68k-reduced/more.json").write_text("{}", encoding="utf-8")
    said = [str(one) for one in changes(scored, "trial")]
    assert [line.partition(": ")[0] for line in said] == [
        "results/trial/clustering/pbmc68k-reduced/more.json",
        "results/trial/clustering/pbmc68k-reduced/svd.npy",
    ]
    assert "is not in the manifest" in said[0]
    assert "is missing; expected sha256:" in said[1]
    document = json.loads((folder / "manifest.json").read_bytes())
    for name in list(document["files"]):
        if not (folder / name).is_file():
            del document["files"][name]
    (folder / "clustering/pbmc68k-reduced/more.json").unlink()
    (folder / "manifest.json").write_text(json.dumps(document), encoding="utf-8")
    (change,) = changes(scored, "trial")
    assert change.path == "results/trial/manifest.json"
    assert "(in results/releases.json)" in change.what
    (folder / "manifest.json").unlink()
    assert is_frozen(scored, "trial")
    (change,) = changes(scored, "trial")
    assert change.what.startswith("is missing; expected sha256:")


def test_pages_of_a_frozen_release_are_those_of_its_own_cards(scored):
    frozen(scored)
    before = {page.path: page.fragment for page in stage(scored, "trial").pages}
    card = scored.site_src / "models/svd.md"
    card.write_text(card.read_text("utf-8").replace("name: Truncated SVD", "name: Renamed"), encoding="utf-8")
    (scored.site_src / "models/nmf.md").unlink()
    after = {page.path: page.fragment for page in stage(scored, "trial").pages}
    assert after == before


def test_a_frozen_release_is_built_and_verified(scored):
    frozen(scored)
    code, said = command(scored, "verify")
    n_files = len(read_manifest(scored.release("trial")).files)
    assert (code, said.strip()) == (0, f"trial: frozen, {n_files} files: as it should be")
    assert json.loads(command(scored, "verify", "trial", "--json")[1]) == {
        "releases": [{"release": "trial", "frozen": True, "files": n_files, "problems": []}]
    }
    site = build_site(scored, "trial", scored.work / "site", say=lambda _: None)
    assert (site / "index.html").is_file()


def test_a_downloaded_file_is_known_by_its_bytes(scored):
    frozen(scored)
    mine = scored.work / "downloaded (1).json"
    mine.write_bytes((scored.release("trial") / "clustering/pbmc68k-reduced/svd.json").read_bytes())
    code, said = command(scored, "verify", "--file", str(mine))
    assert (code, said.strip()) == (0, f"{mine}: trial: clustering/pbmc68k-reduced/svd.json")
    mine.write_bytes(mine.read_bytes() + b" ")
    code, said = command(scored, "verify", "--file", str(mine))
    assert code == 1
    n_files = len(read_manifest(scored.release("trial")).files)
    assert f"no frozen release has this file, byte for byte, among {n_files} files of trial\n" in said
    document = json.loads(command(scored, "verify", "--json", "--file", str(mine))[1].partition("\n1 file")[0])
    assert document == {"files": {str(mine): []}}
    path = scored.release("trial") / "manifest.json"
    path.write_bytes(path.read_bytes() + b" ")
    code, said = command(scored, "verify", "--file", str(mine))
    assert code == 1
    assert "manifest.json: found sha256:" in said
    assert command(scored, "verify", "trial", "--file", str(mine))[0] == 2


def test_nothing_is_written_into_a_frozen_release(scored):
    refuse_frozen(scored, "trial")
    frozen(scored)
    with pytest.raises(UserError, match=r"release trial is frozen and never changes\. Name a new release"):
        refuse_frozen(scored, "trial")
    code, said = command(scored, "run", "--release", "trial")
    assert code == 1
    assert "release trial is frozen" in said
    card = scored.work / "mine.md"
    card.write_text((scored.site_src / "models/svd.md").read_text("utf-8"), encoding="utf-8")
    assert command(scored, "run", "--release", "trial", "--model", str(card))[0] == 1
    assert changes(scored, "trial") == [], "nor is the card of another model taken into it"


def test_a_freeze_that_was_killed_is_completed(scored, monkeypatch):
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(freezing, "_enter", die)
    with pytest.raises(KeyboardInterrupt):
        frozen(scored)
    monkeypatch.undo()
    assert [one.path for one in changes(scored, "trial")] == ["results/releases.json"]
    frozen(scored)
    assert changes(scored, "trial") == []
    monkeypatch.setattr(freezing, "_copy_cards", die)
    assert frozen(scored) == read_manifest(scored.release("trial")), "what is frozen is not touched again"


def test_what_was_frozen_and_changed_is_not_frozen_again(scored):
    frozen(scored)
    (scored.release("trial") / "plan.json").write_text("{}", encoding="utf-8")
    with pytest.raises(UserError, match=r"results/trial/plan\.json: found sha256:"):
        frozen(scored)


def test_a_doi_may_be_given_later_and_once(scored):
    frozen(scored)
    data = (scored.release("trial") / "manifest.json").read_bytes()
    frozen(scored, doi="10.5281/zenodo.1")
    assert read_index(scored).releases["trial"].doi == "10.5281/zenodo.1"
    assert (scored.release("trial") / "manifest.json").read_bytes() == data
    with pytest.raises(UserError, match=r"has the DOI 10\.5281/zenodo\.1 already"):
        frozen(scored, doi="10.5281/zenodo.2")


def test_a_correction_names_a_frozen_release_and_says_why(scored):
    from .conftest import ReleaseBuilder

    frozen(scored)
    second = ReleaseBuilder(scored, "second")
    second.add("clustering", "pbmc68k-reduced", "pca", 0.6)
    second.register()
    second.finish()
    for wrong, why in (({"corrects": "trial"}, "why does second correct trial"),
                       ({"corrects": "other", "because": "x"}, "cannot correct other"),
                       ({"corrects": "second", "because": "x"}, "cannot correct second")):  # fmt: skip
        with pytest.raises(UserError, match=why):
            frozen(scored, "second", **wrong)
    frozen(scored, "second", corrects="trial", because="a wrong split")
    about = read_release(scored.release("second")).corrects
    assert about is not None
    assert (about.release, about.reason) == ("trial", "a wrong split")
    assert read_index(scored).releases["second"].corrects == "trial"
    assert set(read_index(scored).releases) == {"trial", "second"}


def test_what_is_outdated_broken_or_empty_is_not_frozen(scored, edit, release):
    from .conftest import ReleaseBuilder

    ReleaseBuilder(scored, "nothing").finish()
    with pytest.raises(UserError, match="release nothing has no results"):
        frozen(scored, "nothing")
    edit("site_src/tasks/clustering.md", "resolution: 1.0", "resolution: 0.9")
    with pytest.raises(
        UserError, match=r"(?s)pca\.json: computed with an earlier task protocol.*4 results are outdated"
    ):
        frozen(scored)
    edit("site_src/tasks/clustering.md", "resolution: 0.9", "resolution: 1.0")
    (scored.release("trial") / "clustering/pbmc68k-reduced/pca.npy").write_bytes(b"x")
    with pytest.raises(UserError, match=r"pca\.npy: expected sha256"):
        frozen(scored)
    assert not is_frozen(scored, "trial")
    assert not (Path(scored.release("trial")) / "cards").exists()


def add_second(project: Project) -> None:
    """A second release, which may correct the first one."""
    from .conftest import ReleaseBuilder

    second = ReleaseBuilder(project, "second")
    second.add("clustering", "pbmc68k-reduced", "pca", 0.6)
    second.register()
    second.finish()


def test_bug_a_freeze_that_was_refused_left_its_correction_for_the_next_one(scored, edit):
    frozen(scored)
    add_second(scored)
    edit("site_src/tasks/clustering.md", "resolution: 1.0", "resolution: 0.9")
    before = (scored.release("second") / "release.yaml").read_bytes()
    about = read_release(scored.release("second"))
    write_release(scored.release("second"), about.model_copy(update={"corrects": Correction(release="x", reason="y")}))
    with pytest.raises(UserError, match="second cannot correct x"):
        frozen(scored, "second")
    write_release(scored.release("second"), about)
    correct = ("freeze", "second", "--corrects", "trial", "--because", "a wrong split")
    assert command(scored, *correct)[0] == 1
    assert (scored.release("second") / "release.yaml").read_bytes() == before
    edit("site_src/tasks/clustering.md", "resolution: 0.9", "resolution: 1.0")
    code, said = command(scored, *correct)
    assert code == 0, said
    assert "it corrects release trial: a wrong split" in said
    assert changes(scored, "second") == []


def test_bug_a_folder_that_was_copied_was_frozen_under_the_name_of_the_first(scored):
    first = scored.release("trial")
    shutil.copytree(first, scored.release("t2"))
    frozen(scored, doi="10.5281/zenodo.1")
    shutil.copytree(first, scored.release("t3"))
    index = (scored.work / "results/releases.json").read_bytes()
    for name in ("t2", "t3"):
        with pytest.raises(UserError, match=rf'results/{name}/release\.yaml: found release "trial", expected "{name}"'):
            frozen(scored, name)
    about = read_release(scored.release("t2"))
    write_release(scored.release("t2"), about.model_copy(update={"release": "t2"}))
    with pytest.raises(UserError, match=r'results/t2/clustering/.*/pca\.json: found release "trial", expected "t2"'):
        frozen(scored, "t2")
    assert not (scored.release("t2") / "manifest.json").exists()
    assert (scored.work / "results/releases.json").read_bytes() == index


@pytest.mark.parametrize("pasted", ["10.5281/zenodo.1", " https://doi.org/10.5281/zenodo.1", "doi:10.5281/zenodo.1"])
def test_bug_a_doi_as_people_paste_it_was_a_traceback(scored, pasted: str):
    for wrong in ("not a doi", "", "https://example.org/10.5281/zenodo.1"):
        with pytest.raises(UserError, match=f'--doi: expected a DOI such as .*, found "{wrong}"'):
            frozen(scored, doi=wrong)
    assert not is_frozen(scored, "trial")
    assert frozen(scored, doi=pasted).doi == "10.5281/zenodo.1"
    with pytest.raises(UserError, match="--doi: expected a DOI"):
        frozen(scored, doi="not a doi")
    frozen(scored, doi=pasted)
    assert read_index(scored).releases["trial"].doi == "10.5281/zenodo.1"


def test_bug_what_could_not_be_said_of_a_release_was_dropped(scored):
    code, said = command(scored, "freeze", "trial", "--because", "a typo")
    assert (code, is_frozen(scored, "trial")) == (2, False)
    assert "--because says why a release corrects another one: name that with --corrects R" in said
    tomorrow = dt.datetime.now(dt.UTC).date() + dt.timedelta(days=2)
    code, said = command(scored, "freeze", "trial", "--date", f"{tomorrow}")
    assert (code, is_frozen(scored, "trial")) == (2, False)
    assert "is in the future" in said
    frozen(scored)
    add_second(scored)
    frozen(scored, "second", corrects="trial", because="a wrong split")
    for words, why in (
        (("--date", "2026-11-01"), "second is frozen: its --date cannot change any more; it has 2026-11-28"),
        (("--corrects", "other", "--because", "x"), "its --corrects cannot change any more; it has trial"),
        (("--corrects", "trial", "--because", "x"), "its --because cannot change any more; it has a wrong split"),
    ):
        code, said = command(scored, "freeze", "second", *words)
        assert code == 1
        assert why in said
    same = ("--date", "2026-11-28", "--corrects", "trial", "--because", "a wrong split")
    assert command(scored, "freeze", "second", *same)[0] == 0


def test_bug_what_the_index_says_of_a_release_was_not_compared_with_it(scored):
    frozen(scored, doi="10.5281/zenodo.1")
    index = scored.work / "results/releases.json"
    whole = index.read_bytes()
    for key, other, own in (
        ("rehearsal", False, True), ("kind", "reported", "measured"), ("corrects", "other", None),
        ("frozen_on", "2026-11-01", "2026-11-28"), ("doi", "10.5281/zenodo.2", "10.5281/zenodo.1"),
        ("doi", None, "10.5281/zenodo.1"),
    ):  # fmt: skip
        document = json.loads(whole)
        document["releases"]["trial"][key] = other
        index.write_text(json.dumps(document), encoding="utf-8")
        code, said = command(scored, "verify")
        assert code == 1
        assert f"results/releases.json: releases.trial.{key}: found {other}, expected {own}, as trial says" in said
    index.write_bytes(whole)
    assert command(scored, "verify")[0] == 0


def test_bug_advice_for_a_frozen_release_was_wrong(scored):
    frozen(scored, doi="10.5281/zenodo.1")
    index, added = scored.work / "results/releases.json", scored.release("trial") / "more.txt"
    whole = index.read_bytes()
    index.unlink()
    assert "does not know trial. Restore this file from the repository" in command(scored, "verify")[1]
    added.write_text("x", encoding="utf-8")
    code, said = command(scored, "freeze", "trial")
    assert (code, index.exists()) == (1, False), "what has changed is not entered again"
    assert "results/trial/more.txt: is not in the manifest; it was added later. Remove it" in said
    assert said.strip().endswith("and remove what was added")
    index.write_bytes(whole)
    added.unlink()
    (scored.release("trial") / "manifest.json").unlink()
    code, said = command(scored, "freeze", "trial")
    assert code == 1
    assert "results/trial/manifest.json: is missing; expected sha256:" in said


def test_bug_a_frozen_release_that_had_changed_was_exported_and_compared(scored):
    frozen(scored)
    path = scored.release("trial") / "clustering/pbmc68k-reduced/svd.json"
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    with pytest.raises(UserError, match=r"svd\.json: .* Restore it from the repository\.$"):
        read_result(path)
    for change in (lambda: None, path.unlink):
        change()
        out = ("--out", str(scored.work / "out"))
        for words in (
            ("diff", "trial", "trial"),
            *(("export", "trial", "--format", one, *out) for one in ("csv", "json")),
        ):
            code, said = command(scored, *words)
            assert code == 1
            assert "release trial is frozen and has changed" in said
    assert not (scored.work / "out").exists()


def test_bug_a_typo_was_answered_with_a_run(scored):
    for words in (("diff", "tria", "trial"), ("export", "tria", "--format", "csv"), ("freeze", "tria")):
        code, said = command(scored, *words)
        assert code == 1
        assert 'release.yaml: no such release; did you mean "trial"?' in said
    code, said = command(scored, "status", "--release", "tria")
    assert (code, 'plan.json: there is no plan; did you mean "trial"?' in said) == (1, True)


def test_bug_a_release_without_its_plan_or_protocol_was_frozen(scored):
    for name, why in (("protocol.json", r"results/trial/protocol\.json: expected the protocol sha256:"),
                      ("plan.json", r"trial/plan\.json: there is no plan")):  # fmt: skip
        (scored.release("trial") / name).rename(scored.work / name)
        with pytest.raises(UserError, match=why):
            frozen(scored)
        (scored.work / name).rename(scored.release("trial") / name)
    assert not is_frozen(scored, "trial")


def test_bug_planned_evaluations_without_a_result_were_frozen_without_a_word(scored, release):
    release.plan("clustering", "pbmc68k-reduced", "pca", "to_run")
    release.plan("clustering", "pbmc68k-reduced", "nmf", "to_run")
    release.plan("clustering", "pbmc68k-reduced", "scvi", "not_run", "no weights")
    release.finish()
    code, said = command(scored, "freeze", "trial")
    assert code == 0
    assert "note: without a result: 1 planned evaluation; see them with: cellgauge status --release trial" in said
