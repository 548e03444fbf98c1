"""What a reader waits for: bytes of a first visit, and seconds until a page and its first interactive chart are there.

``python benchmarks/page_load.py SITE PATH …`` opens pages of a built site in Debian's chromium, each time with empty
caches, and prints what it measured as JSON. The site is served on this machine and compressed, as hosts do.
"""

from __future__ import annotations

import argparse
import functools
import gzip
import http.server
import json
import shutil
import statistics
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

CHROMIUM = "chromium"
_COMPRESSED = (".html", ".css", ".js", ".json", ".svg", ".xml", ".txt", ".csv")
_LIVE = """
new MutationObserver(() => {
  if (!window.cgLiveAt && document.querySelector(".cg-is-live")) window.cgLiveAt = performance.now();
}).observe(document, { subtree: true, attributes: true, childList: true });
"""


class _Compressed(http.server.SimpleHTTPRequestHandler):
    """Sends text compressed, as every host of static sites does."""

    sent: ClassVar[dict[str, float]] = {}
    """Kilobytes of what was sent, by its path; a browser does not say what its workers fetched."""

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        path = path / "index.html" if path.is_dir() else path
        if not path.is_file():
            self.send_error(404)
            return
        data, packs = path.read_bytes(), path.suffix in _COMPRESSED
        data = gzip.compress(data, 6) if packs else data
        self.send_response(200)
        self.send_header("Content-Type", self.guess_type(str(path)))
        self.send_header("Content-Length", str(len(data)))
        if packs:
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        self.wfile.write(data)
        self.sent[self.path] = len(data) / 1000

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def served(site: Path) -> Iterator[str]:
    """Serve a folder on this machine, and give its address."""
    handler = functools.partial(_Compressed, directory=str(site))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()


def first_visit(browser: Any, address: str) -> dict[str, Any]:
    """Open a page with empty caches.

    Returns
    -------
    ``kb``: what came before the script of charts, in kilobytes, by file; ``painted_s``: when the page, with its charts
    as drawings, was first seen; ``live_s``: when the first chart was interactive, None where the page has none in view.
    """
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.add_init_script(_LIVE)
    _Compressed.sent.clear()
    page.goto(address)
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(500)
    found = page.evaluate(
        "({live_s: window.cgLiveAt / 1000 || null, painted_s:"
        " performance.getEntriesByName('first-contentful-paint')[0].startTime / 1000})"
    )
    context.close()
    return {"kb": {path: kb for path, kb in _Compressed.sent.items() if "/vega." not in path}, **found}


def measure(site: Path, paths: Sequence[str], times: int = 5) -> list[dict[str, Any]]:
    """Visit pages of a site several times for the first time; medians of seconds."""
    from playwright.sync_api import sync_playwright

    found = []
    with served(site) as address, sync_playwright() as started:
        browser = started.chromium.launch(executable_path=shutil.which(CHROMIUM), args=["--no-sandbox"])
        for path in paths:
            visits = [first_visit(browser, address + path) for _ in range(times)]
            live = [visit["live_s"] for visit in visits if visit["live_s"] is not None]
            found.append(
                {
                    "path": path,
                    "kb": round(sum(visits[0]["kb"].values()), 1),
                    "painted_s": round(statistics.median(visit["painted_s"] for visit in visits), 2),
                    "live_s": round(statistics.median(live), 2) if live else None,
                }
            )
        browser.close()
    return found


def main() -> None:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("site", type=Path)
    parser.add_argument("paths", nargs="*", default=[""])
    options = parser.parse_args()
    print(json.dumps(measure(options.site, options.paths), indent=1))


if __name__ == "__main__":
    main()
