"""What a build refuses, and that it leaves what was there when it fails."""

from __future__ import annotations

import re
import socket
import threading
import time
import urllib.request

import pytest
import yaml

from cellgauge.cards import Project, UserError
from cellgauge.report.build import build_site
from cellgauge.report.charts import Figure, Mark, to_svg
from cellgauge.report.serve import serve
from cellgauge.report.stage import stage
from cellgauge.results.store import list_releases


def quiet(_: str) -> None:
    pass


def test_an_unknown_release_is_named(project, release):
    release.finish()
    with pytest.raises(UserError, match='unknown release "tria"; did you mean "trial"'):
        stage(project, "tria")


def test_a_result_of_a_card_that_is_gone_is_refused(project, release):
    release.add("clustering", "pbmc68k-reduced", "svd", 0.5)
    (project.site_src / "models/svd.md").unlink()
    with pytest.raises(UserError, match=r'svd\.json: speaks of the model "svd", which has no card'):
        stage(project, None)


def test_a_broken_result_is_named(project, release):
    release.add("clustering", "pbmc68k-reduced", "pca", 0.5)
    path = release.folder / "clustering/pbmc68k-reduced/pca.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"status": "done"', '"status": "fine"'), encoding="utf-8")
    with pytest.raises(UserError, match=r"pca\.json: status"):
        stage(project, None)


def test_damaged_replicates_are_named(project, release):
    for model in ("pca", "svd"):
        release.add("clustering", "pbmc68k-reduced", model, 0.5)
    (release.folder / "clustering/pbmc68k-reduced/svd.npy").write_bytes(b"x")
    with pytest.raises(UserError, match=r"svd\.npy: expected sha256"):
        stage(project, None)


def test_citable_releases_are_shown_before_rehearsals(project, release):
    type(release)(project, "autumn", rehearsal=False)
    assert list_releases(project.work / "results") == ["trial", "autumn"]
    assert stage(project, None).view.name == "autumn"


def test_a_dead_link_in_a_card_is_named(project):
    with (project.site_src / "models/pca.md").open("a", encoding="utf-8") as file:
        file.write("\n\nSee [that](../metrics/no-such.md).\n")
    with pytest.raises(
        UserError, match=r"^site_src/models/pca\.md: the page models/pca/ links to metrics/no-such/, which is not"
    ):
        stage(project, None)


def test_a_formula_that_cannot_be_read_is_named(project, edit):
    edit("site_src/metrics/adjusted-rand-index.md", r"\mathrm{ARI} =", r"\text{<script>x</script>} =")
    with pytest.raises(UserError, match=r"site_src/metrics/adjusted-rand-index\.md: formula"):
        stage(project, None)


def test_a_missing_page_is_named(project):
    (project.site_src / "methods.md").unlink()
    with pytest.raises(UserError, match=r"methods\.md: is missing"):
        stage(project, None)


def test_a_folder_that_is_no_site_is_never_replaced(project, tmp_path):
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.txt").write_text("x")
    with pytest.raises(UserError, match="holds other files"):
        build_site(project, None, precious, say=quiet)
    with pytest.raises(UserError, match="lies in"):
        build_site(project, None, project.site_src / "site", say=quiet)
    assert (precious / "thesis.txt").read_text() == "x"


@pytest.mark.site
def test_cards_alone_make_a_site_and_a_failed_build_leaves_it(project):
    out = build_site(project, None, project.work / "site", say=quiet)
    home = (out / "index.html").read_text(encoding="utf-8")
    assert "no release yet" in home
    assert "No results yet" in (out / "tasks/clustering/index.html").read_text(encoding="utf-8")
    with (project.site_src / "methods.md").open("a", encoding="utf-8") as file:
        file.write("\n\n[nowhere](no-such-page.md)\n")
    with pytest.raises(UserError, match=r"(?s)no-such-page\.md.*mkdocs could not build the site"):
        build_site(project, None, out, say=quiet)
    assert (out / "index.html").read_text(encoding="utf-8") == home
    assert [path.name for path in out.parent.glob(".site*")] == [], "no half-built folder is left behind"


@pytest.mark.site
def test_serving_rebuilds_on_a_change(project):
    lines: list[str] = []
    thread = threading.Thread(target=lambda: serve(project, None, 0, say=lines.append), daemon=True)
    thread.start()
    address = wait_for(lambda: next((line.split()[1] for line in lines if line.startswith("serving")), None))
    assert urllib.request.urlopen(f"{address}models/pca/", timeout=10).status == 200
    built = sum(line.startswith("the site is in") for line in lines)
    with (project.site_src / "models/pca.md").open("a", encoding="utf-8") as file:
        file.write("\n\nA sentence that was not there.\n")
    wait_for(lambda: sum(line.startswith("the site is in") for line in lines) > built)
    assert b"A sentence that was not there" in urllib.request.urlopen(f"{address}models/pca/", timeout=10).read()
    with (project.site_src / "models/pca.md").open("a", encoding="utf-8") as file:
        file.write("\n[gone](gone.md)\n")
    assert "models/gone/" in wait_for(lambda: next((line for line in lines if line.startswith("not rebuilt")), None))


def wait_for(condition, seconds=90):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError("it did not happen")


def test_a_taken_port_is_said(project):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"port {port} cannot be used"):
            serve(project, None, port, say=quiet)


def figure(**more):
    marks = (
        Mark("svd", 0.04, 0.01, 0.07, "+0.040", "better", "var(--cg-c1)", faint=(0.03, 0.05)),
        Mark("<b>&", -0.01, -0.03, 0.02, "−0.010"),
        Mark("random", -0.6, -0.63, -0.58, "−0.600", "control", below=True),
    )
    return Figure(marks, "Difference", "Difference", "svd is better", reference=0.0, **more)


@pytest.mark.parametrize("layout", ["wide", "narrow", "mini"])
def test_a_figure_is_self_contained_and_always_the_same(layout):
    svg = to_svg(figure(), layout)
    assert svg == to_svg(figure(), layout)
    assert "&lt;b&gt;&amp;" in svg
    assert "<b>" not in svg
    assert "xlink" not in svg
    assert 'fill="var(--cg-c1)"' in svg
    assert "aria-label" not in svg, "the figure around it speaks"


def test_controls_never_stretch_the_axis():
    low, high = figure().span
    assert low > -0.1
    assert "Triangles at the edge" in figure().edges
    assert high < 0.1


def test_plain_mkdocs_needs_no_setting_of_ours(project):
    config = yaml.safe_load((project.source / "mkdocs.yml").read_text(encoding="utf-8"))
    assert config["plugins"] == ["search"]
    assert "hooks" not in config
    assert "repo_url" not in config
    assert config["theme"]["font"] is False


@pytest.mark.site
def test_an_installed_package_builds_into_the_current_folder(project, tmp_path):
    here = tmp_path / "here"
    here.mkdir()
    before = sorted(path for path in project.source.rglob("*"))
    out = build_site(Project(project.source, here), None, here / "site", site_url="https://a.example/b/", say=quiet)
    page = (out / "models/pca/index.html").read_text(encoding="utf-8")
    assert 'rel="canonical" href="https://a.example/b/models/pca/"' in page
    assert sorted(path for path in project.source.rglob("*")) == before, "the package itself is left alone"


@pytest.mark.parametrize("layout", ["wide", "narrow", "mini"])
def test_no_tick_lies_beyond_the_metric_s_range(layout):
    marks = (Mark("oracle", 1.0, 0.999, 1.0, "1.000"), Mark("svd", 0.99, 0.985, 0.995, "0.990"))
    bounded = Figure(marks, "ARI", "ARI", "both are good", bounds=(-0.5, 1.0))
    ticks = re.findall(r">([01]\.\d+)</text>", to_svg(bounded, layout))
    assert ticks
    assert max(map(float, ticks)) <= 1.0
    assert bounded.span[1] > 1.0, "a dot at the edge is still whole"
