"""A site is built again when something has changed that it is made from, and only then."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cellgauge.cards import Project
from cellgauge.report.build import build_site

pytestmark = pytest.mark.site


@pytest.fixture
def build(project: Project, release) -> Callable[..., bool]:
    """Builds the site, and says whether anything was done."""
    release.add("clustering", "pbmc68k-reduced", "pca", 0.5)
    release.add_map("pbmc68k-reduced", "pca")
    release.finish()

    def run(**options: object) -> bool:
        said: list[str] = []
        build_site(project, None, project.work / "site", say=said.append, **options)
        return not said[0].startswith("nothing has changed")

    return run


def test_nothing_is_done_when_nothing_has_changed(build, project) -> None:
    assert build()
    page = project.work / "site/index.html"
    before = page.stat()
    assert not build()
    assert page.stat().st_mtime_ns == before.st_mtime_ns
    assert build(again=True)
    assert build(site_url="https://other.example/")


@pytest.mark.parametrize(
    "change",
    [
        lambda project: _append(project.source / "site_src/models/pca.md", "\nMore.\n"),
        lambda project: _append(project.source / "site_src/templates/task.html", "\n"),
        lambda project: _append(project.source / "site_src/assets/cellgauge.css", "\n"),
        lambda project: _append(project.source / "mkdocs.yml", "\n# more\n"),
        lambda project: (project.release("trial") / "clustering/pbmc68k-reduced/pca.json").unlink(),
        lambda project: (project.release("trial") / "datasets/pbmc68k-reduced/maps/pca.json").unlink(),
        lambda project: _append(project.work / "site/index.html", "<!-- touched -->"),
        lambda project: (project.work / "site/tasks/clustering.csv").unlink(),
        lambda project: _append(project.work / "site/stray.txt", "x"),
    ],
    ids=["card", "template", "style", "settings", "result", "map", "site edited", "site file gone", "stray file"],
)
def test_whatever_changes_the_site_is_seen(build, project, change: Callable[[Project], None]) -> None:
    assert build()
    change(project)
    assert build()
    assert not (project.work / "site/stray.txt").exists()
    assert not build()


def test_files_that_are_as_they_were_keep_their_time(build, project, edit) -> None:
    assert build()
    site = project.work / "site"
    changed, same = site / "models/pca/index.html", site / "models/svd/index.html"
    before = changed.stat().st_mtime_ns, same.stat().st_mtime_ns
    edit("site_src/models/pca.md", "name: PCA", "name: PCA, renamed")
    assert build()
    assert "PCA, renamed" in changed.read_text(encoding="utf-8")
    assert changed.stat().st_mtime_ns > before[0]
    assert same.stat().st_mtime_ns == before[1]
    assert same.stat().st_nlink == 1, "the site before is gone"


def test_a_build_that_failed_is_tried_again(build, project, edit) -> None:
    from cellgauge.cards import UserError

    assert build()
    edit("site_src/models/pca.md", "role: baseline", "role: nothing")
    with pytest.raises(UserError):
        build()
    with pytest.raises(UserError):
        build()
    edit("site_src/models/pca.md", "role: nothing", "role: baseline")
    assert not build(), "the site that is there is still the one"


def _append(path: Path, text: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(text)
