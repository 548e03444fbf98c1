"""Looking at the site on this machine while writing it."""

from __future__ import annotations

import errno
import shutil
import threading
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from cellgauge.cards import Project, UserError
from cellgauge.report import Say
from cellgauge.report.build import build_site, served_folder

_QUIET_S = 0.4
"""How long nothing may change before a rebuild starts: an editor writes a file in several steps."""
_CHANGES = ("created", "modified", "moved", "deleted")


def serve(project: Project, release: str | None, port: int, *, say: Say) -> None:
    """Build the site, serve it on 127.0.0.1, and rebuild it on every change, until interrupted.

    It lies in a folder of its own, because its pages name this machine as their address: the site that is to be
    published is left alone.

    Parameters
    ----------
    port
        0 for any free one.

    Raises
    ------
    UserError
        When the port is taken, or the first build fails. Later failures are said, and the last site stays.
    """
    out = served_folder(project)
    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), partial(_Handler, directory=str(out)))
    except OSError as error:
        if error.errno in (errno.EADDRINUSE, errno.EACCES):
            raise UserError(f"port {port} cannot be used ({error.strerror}); try another with --port") from None
        raise
    with server:
        address = f"http://127.0.0.1:{server.server_address[1]}/"
        rebuild = partial(build_site, project, release, out, site_url=address, say=say)
        rebuild()
        say(f"serving {address} (stop with Ctrl-C)")
        watcher = _Watcher(project, lambda: _try(rebuild, say))
        watcher.start()
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            say("stopped")
        finally:
            watcher.stop()


def _try(rebuild: Any, say: Say) -> None:
    try:
        rebuild()
    except UserError as error:
        say(f"not rebuilt: {error}")


class _Handler(SimpleHTTPRequestHandler):
    """Serves files as a static host does: a missing page is the site's own, and folders are not listed.

    Nothing is written for each request, and nothing is kept in a cache.
    """

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def end_headers(self) -> None:
        self.send_header("Cache-Control", "no-store")
        super().end_headers()

    def list_directory(self, path: Any) -> None:
        self.send_error(HTTPStatus.NOT_FOUND)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        page = Path(self.directory) / "404.html"
        if code != HTTPStatus.NOT_FOUND or not page.is_file():
            super().send_error(code, message, explain)
            return
        with page.open("rb") as file:
            self.send_response(code)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(page.stat().st_size))
            self.end_headers()
            if self.command != "HEAD":
                shutil.copyfileobj(file, self.wfile)


class _Watcher(FileSystemEventHandler):
    """Calls back once things have stopped changing."""

    def __init__(self, project: Project, changed: Any) -> None:
        self._changed = changed
        self._config = str(project.source / "mkdocs.yml")
        self._event, self._stopped = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._wait, daemon=True)
        self._observer = Observer()
        self._observer.schedule(self, str(project.site_src), recursive=True)
        self._observer.schedule(self, str(project.source), recursive=False)
        results = project.work / "results"
        if results.is_dir():
            self._observer.schedule(self, str(results), recursive=True)
        self._folders = tuple(f"{folder}/" for folder in (project.site_src, results))

    def start(self) -> None:
        """Begin to watch."""
        self._observer.start()
        self._thread.start()

    def stop(self) -> None:
        """Stop watching."""
        self._stopped.set()
        self._event.set()
        self._observer.stop()
        self._observer.join()

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Take note of a change of a file that the site is made from."""
        path = str(event.src_path)
        if (
            event.event_type in _CHANGES
            and not event.is_directory
            and (path == self._config or path.startswith(self._folders))
        ):
            self._event.set()

    def _wait(self) -> None:
        while True:
            self._event.wait()
            while self._event.is_set() and not self._stopped.is_set():
                self._event.clear()
                self._stopped.wait(_QUIET_S)
            if self._stopped.is_set():
                return
            self._changed()
