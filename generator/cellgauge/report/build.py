"""Building the site: let mkdocs make frames, draw pages, put them into the frames, put the result in place."""

from __future__ import annotations

import gc
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock

from cellgauge.cards import Project, UserError
from cellgauge.report import Say
from cellgauge.report.address import Address, address_of
from cellgauge.report.forks import beside
from cellgauge.report.release import release_shown
from cellgauge.report.sources import Sources, banner
from cellgauge.report.unchanged import Built, Inputs, read_inputs
from cellgauge.results.manifest import refuse_changed
from cellgauge.results.store import read_release


def served_folder(project: Project) -> Path:
    """Return where the site lies that ``cellgauge serve`` shows, apart from the one to be published."""
    return project.work / "build" / "served"


def published_folder(project: Project, release: str) -> Path:
    """Return where the site of a release is built that ``cellgauge publish`` publishes."""
    return project.work / "build" / "published" / release


def build_site(
    project: Project,
    release: str | None,
    out: Path,
    *,
    site_url: str | None = None,
    root_url: str | None = None,
    again: bool = False,
    say: Say,
) -> Path:
    """Build the site of one release; where nothing has changed since it was built, nothing is done.

    Parameters
    ----------
    release
        Its name; None for the newest one. Without any release the site shows the cards alone.
    out
        The folder to put the site into. It is replaced as a whole, and only when the build succeeded.
    site_url
        The address of this site by itself; None where it is one of many releases below a root.
    root_url
        The address of that root; None for the one in ``mkdocs.yml``.
    again
        Build it also where nothing has changed.
    say
        Called with a line for each step.

    Returns
    -------
    ``out``

    Raises
    ------
    UserError
        With what is wrong and where.
    """
    out = out.resolve()
    _refuse_foreign_folder(project, out)
    build = project.work / "build"
    build.mkdir(parents=True, exist_ok=True)
    shown = release_shown(project, release)
    if shown is not None:
        refuse_changed(project, shown)
    address = address_of(project, shown, site_url, root_url)
    with FileLock(build / ".lock"), beside(partial(read_inputs, project, shown, address)) as wait:
        built = Built(build, out)
        last = None if again else built.inputs()
        if last is None:
            _import_all()
        inputs = wait()
        if last == inputs.digest:
            say(f"nothing has changed: the site in {out} is as it would be built now")
            return out
        out.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}."))
        try:
            temporary.chmod(0o755)
            _make(project, shown, inputs, temporary, address, say, before=out)
            _swap(temporary, out)
            built.note(inputs.digest)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    say(f"the site is in {out}")
    return out


def _import_all() -> None:
    """Import what draws pages: it takes a while, and is of no use where nothing has changed."""
    import cellgauge.report.stage  # noqa: F401


def _make(
    project: Project,
    release: str | None,
    inputs: Inputs,
    site: Path,
    address: Address,
    say: Say,
    *,
    before: Path,
) -> None:
    """Make the site of a release; mkdocs makes its frames while results are read."""
    from cellgauge.report.frames import frames, put_into_frames, words_around
    from cellgauge.report.stage import stage

    build = project.work / "build"
    sources = Sources(build / "frames" / "pages", build / "frames" / "overrides")
    meta = None if release is None else read_release(project.release(release))
    sources.write(project, frames(of_navigation=True), words_around(banner(meta)))
    with beside(partial(_mkdocs, project, sources, site, address, release)) as framed:
        with _nothing_collected():
            staged = stage(project, release, address=address, inputs=inputs, say=say)
        framed()
    day = staged.view.data_date
    put_into_frames(site, staged.pages, staged.around, staged.drawings.fill, day=day, before=before)
    staged.put_assets(site)
    _let_a_disk_be_searched(site)


def _mkdocs(project: Project, sources: Sources, site: Path, address: Address, release: str | None) -> None:
    more: dict[str, Any] = {}
    if address.site:
        more["site_url"] = address.site
    if address.root is not None:  # the theme's selector of versions looks for versions.json there
        more["extra"] = {"version": {"provider": "mike"}, "release": release}
    run_mkdocs(project, sources, site, more)


def run_mkdocs(project: Project, sources: Sources, site: Path, more: Mapping[str, Any]) -> None:
    """Make a site from sources as ``mkdocs.yml`` says.

    Parameters
    ----------
    more
        Settings in place of those in the file, or, in ``extra``, beside them.

    Raises
    ------
    UserError
        With what mkdocs says is wrong; its warnings count as errors.
    """
    # mkdocs-material prints a notice on import unless told not to.
    os.environ.setdefault("NO_MKDOCS_2_WARNING", "1")
    from mkdocs.commands.build import build
    from mkdocs.config import load_config
    from mkdocs.exceptions import MkDocsException
    from mkdocs.utils.yaml import yaml_load

    path = project.source / "mkdocs.yml"
    try:
        written = yaml_load(path.read_text(encoding="utf-8"))
        theme, extra = written["theme"], written.get("extra") or {}
    except (yaml.YAMLError, KeyError, TypeError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from None
    options: dict[str, Any] = {
        "docs_dir": str(sources.docs),
        "site_dir": str(site),
        "strict": True,
        "theme": {**theme, "custom_dir": str(sources.overrides)},
        **more,
        "extra": {**extra, **more.get("extra", {})},
    }
    with _warnings() as found:
        try:
            config = load_config(str(path), **options)
            config.plugins.on_startup(command="build", dirty=False)
            try:
                build(config)
            finally:
                config.plugins.on_shutdown()
        except MkDocsException as error:
            raise UserError("\n".join([*found, f"mkdocs could not build the site: {error}"])) from None


def _let_a_disk_be_searched(site: Path) -> None:
    """Write the search index also as a script: a page opened from disk may load no other file.

    The theme looks for it under this name and in this variable.
    """
    index = (site / "search" / "search_index.json").read_text(encoding="utf-8")
    (site / "search" / "search_index.js").write_text(f"var __index = {index}", encoding="utf-8")


class _Collect(logging.Handler):
    """Keeps warnings, which mkdocs only counts."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.found.append(record.getMessage())


@contextmanager
def _warnings() -> Iterator[list[str]]:
    handler, logger = _Collect(), logging.getLogger("mkdocs")
    logger.addHandler(handler)
    before, logger.propagate = logger.propagate, False
    try:
        yield handler.found
    finally:
        logger.removeHandler(handler)
        logger.propagate = before


@contextmanager
def _nothing_collected() -> Iterator[None]:
    """Do not look for garbage: what a release holds stays until its pages are drawn, and is looked through in vain.

    It takes a seventh of a build of thousands of pages, and copies memory that processes share.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _refuse_foreign_folder(project: Project, out: Path) -> None:
    """Never replace a folder that is not a site: ``--out ~`` would empty a home folder."""
    if out.exists() and not out.is_dir():
        raise UserError(f"{out}: is a file; name a folder for the site")
    ours = [served_folder(project), published_folder(project, "")]
    for inside in (project.site_src, project.work / "results", project.work / "build"):
        if out.is_relative_to(inside.resolve()) and not any(out.is_relative_to(one.resolve()) for one in ours):
            raise UserError(f"{out}: lies in {inside}; choose a folder outside of it")
    if out.is_dir() and any(out.iterdir()) and not ((out / "404.html").is_file() and (out / "sitemap.xml").is_file()):
        raise UserError(
            f"{out}: holds other files, and a build replaces the whole folder; choose an empty or a new one"
        )


def _swap(new: Path, out: Path) -> None:
    old = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}.old."))
    try:
        if out.exists():
            out.rename(old / "site")
        try:
            new.rename(out)
        except OSError:
            if (old / "site").exists():
                (old / "site").rename(out)
            raise
    finally:
        shutil.rmtree(old, ignore_errors=True)
