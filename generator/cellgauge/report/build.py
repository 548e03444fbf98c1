"""Building the site: stage, run mkdocs, put pages into frames, put the result in place."""

from __future__ import annotations

import calendar
import datetime as dt
import gc
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# mkdocs-material prints a notice on import unless told not to.
os.environ.setdefault("NO_MKDOCS_2_WARNING", "1")

import yaml
from filelock import FileLock
from mkdocs.commands.build import build as run_mkdocs
from mkdocs.config import load_config
from mkdocs.exceptions import MkDocsException
from mkdocs.utils.yaml import yaml_load

from cellgauge.cards import Project, UserError
from cellgauge.report.frames import put_into_frames
from cellgauge.report.release import release_shown
from cellgauge.report.stage import Say, put_files, stage
from cellgauge.report.unchanged import Built, inputs_digest

_OLDEST = 315532800  # 1980-01-01: the least that every archive format can hold


def served_folder(project: Project) -> Path:
    """Return where the site lies that ``cellgauge serve`` shows, apart from the one to be published."""
    return project.work / "build" / "served"


def build_site(
    project: Project, release: str | None, out: Path, *, site_url: str | None = None, again: bool = False, say: Say
) -> Path:
    """Build the site of one release; where nothing has changed since it was built, nothing is done.

    Parameters
    ----------
    release
        Its name; None for the newest one. Without any release the site shows the cards alone.
    out
        The folder to put the site into. It is replaced as a whole, and only when the build succeeded.
    site_url
        The address it will be published at; None for the one in ``mkdocs.yml``.
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
    with FileLock(build / ".lock"):
        built, inputs = Built(build, out), inputs_digest(project, release_shown(project, release), site_url)
        if not again and built.is_from(inputs):
            say(f"nothing has changed: the site in {out} is as it would be built now")
            return out
        with _nothing_collected():
            staged = stage(project, release, site_url=site_url and f"{site_url.rstrip('/')}/", say=say)
        out.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}."))
        try:
            temporary.chmod(0o755)
            with _epoch(staged.view.data_date):
                _mkdocs(project, temporary, site_url)
            put_into_frames(temporary, staged.framed, staged.drawings.fill)
            put_files(temporary, staged.pages)
            _let_a_disk_be_searched(temporary)
            _swap(temporary, out)
            built.note(inputs)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    say(f"the site is in {out}")
    return out


def _mkdocs(project: Project, site: Path, site_url: str | None) -> None:
    path, build = project.source / "mkdocs.yml", project.work / "build"
    try:
        theme = yaml_load(path.read_text(encoding="utf-8"))["theme"]
    except (yaml.YAMLError, KeyError, TypeError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from None
    options: dict[str, Any] = {
        "docs_dir": str(build / "pages"),
        "site_dir": str(site),
        "strict": True,
        "theme": {**theme, "custom_dir": str(build / "overrides")},
    }
    if site_url is not None:
        options["site_url"] = site_url
    with _warnings() as found:
        try:
            config = load_config(str(path), **options)
            config.plugins.on_startup(command="build", dirty=False)
            try:
                run_mkdocs(config)
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


@contextmanager
def _epoch(day: dt.date | None) -> Iterator[None]:
    """Give the build the date of its data, so that the same inputs give the same bytes on any day."""
    before = os.environ.get("SOURCE_DATE_EPOCH")
    if before is None:
        os.environ["SOURCE_DATE_EPOCH"] = str(calendar.timegm(day.timetuple()) if day else _OLDEST)
    try:
        yield
    finally:
        if before is None:
            os.environ.pop("SOURCE_DATE_EPOCH", None)


def _refuse_foreign_folder(project: Project, out: Path) -> None:
    """Never replace a folder that is not a site: ``--out ~`` would empty a home folder."""
    if out.exists() and not out.is_dir():
        raise UserError(f"{out}: is a file; name a folder for the site")
    for inside in (project.site_src, project.work / "results", project.work / "build"):
        if out.is_relative_to(inside.resolve()) and out != served_folder(project).resolve():
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
