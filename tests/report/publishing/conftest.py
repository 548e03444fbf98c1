"""Three small frozen releases, stores on loopback to publish them to, and a proxy that watches publishers."""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import http.client
import http.server
import os
import shutil
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from cellgauge.cards import Project, load_cards
from cellgauge.publish.publish import publish
from cellgauge.results.freeze import freeze

ROOT = "https://site.example/board/"
RELEASES = {
    "2026.08": dt.date(2026, 8, 20),
    "2026.11": dt.date(2026, 11, 28),
    "2027.02": dt.date(2027, 2, 2),
}
REASON = 'labels were <b>wrong</b> {{ 7*7 }} </script> & "so"'


class Quiet:
    """Takes note of what is said, and shows nothing."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)

    def step(self, what: str, total: int) -> Callable[[int], None]:
        self.lines.append(f"{what}: {total}")
        return lambda more: None


KEPT = {
    "models": ("batch-coded", "oracle", "pca", "random", "raw-expression", "species-coded", "svd"),
    "datasets": ("pbmc68k-reduced",),
    "tasks": ("clustering",),
    "metrics": ("adjusted-rand-index", "completeness", "homogeneity", "normalized-mutual-information"),
}


def _keep_little(project: Project) -> None:
    """Leave the cards of one task, so that a site has few pages."""
    for kind, ids in KEPT.items():
        for card in (project.site_src / kind).glob("*.md"):
            if card.stem not in ids:
                card.unlink()


@pytest.fixture(scope="session")
def frozen(tmp_path_factory, copy_of_project, release_builder) -> Project:
    """A project with three frozen releases; the second has one model more, and the third corrects it."""
    project = copy_of_project(tmp_path_factory.mktemp("frozen"))
    _keep_little(project)
    for place, (name, day) in enumerate(RELEASES.items()):
        release = release_builder(project, name, rehearsal=False)
        for model, value in {"pca": 0.55, "raw-expression": 0.62, "random": 0.001}.items():
            release.add("clustering", "pbmc68k-reduced", model, value)
        if place == 1:
            release.add("clustering", "pbmc68k-reduced", "svd", 0.56)
        release.register()
        release.finish()
        corrects = {"corrects": "2026.11", "because": REASON} if place == 2 else {}
        freeze(project, load_cards(project, name), name, day=day, **corrects)
    return project


@pytest.fixture
def own(frozen: Project, tmp_path: Path) -> Project:
    """A copy of ``frozen`` to change."""
    shutil.copytree(frozen.source, tmp_path / "own", ignore=shutil.ignore_patterns("build"))
    return Project(tmp_path / "own", tmp_path / "own")


@pytest.fixture(scope="session")
def publishing(frozen: Project) -> Callable[..., list[Any]]:
    """Publishes releases of ``frozen``."""

    def run(destination: Any, *releases: str, project: Project = frozen, **more: Any) -> list[Any]:
        more = {"root_url": ROOT, "report": Quiet(), **more}
        return publish(project, destination, list(releases), **more)

    return run


@dataclass
class Wire:
    """A proxy before a store: counts requests, and may change or interrupt them."""

    store: str
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Method and path of each request."""
    without: tuple[str, ...] = ()
    """Headers that the store does not get to see."""
    on_request: Callable[[int, str, str], None] = lambda count, method, path: None
    """Called with the number of the request among those of its method."""

    def __post_init__(self) -> None:
        wire = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _pass_on(self) -> None:
                with wire.lock:
                    wire.asked.append((self.command, self.path.partition("?")[0]))
                    count = sum(method == self.command for method, _ in wire.asked)
                    wire.on_request(count, self.command, self.path.partition("?")[0])
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                where = urlsplit(wire.store)
                there = http.client.HTTPConnection(where.hostname or "", where.port, timeout=60)
                hidden = {"connection", "host", *(name.lower() for name in wire.without)}
                headers = {name: value for name, value in self.headers.items() if name.lower() not in hidden}
                there.request(self.command, self.path, body, {**headers, "Host": self.headers["Host"]})
                answer = there.getresponse()
                data = answer.read()
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in ("connection", "transfer-encoding", "content-length"):
                        self.send_header(name, value)
                length = answer.getheader("Content-Length") if self.command == "HEAD" else str(len(data))
                self.send_header("Content-Length", length or "0")
                self.end_headers()
                self.wfile.write(data)
                there.close()

            do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = _pass_on  # noqa: N815

            def log_message(self, format: str, *args: Any) -> None:
                pass

            def handle_one_request(self) -> None:
                try:
                    super().handle_one_request()
                except OSError:  # whoever asked is gone
                    self.close_connection = True

        self.lock = threading.Lock()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        host, port = self.server.server_address[:2]
        return f"http://{host!s}:{port}"


class _Server(http.server.ThreadingHTTPServer):
    request_queue_size = 64  # a browser opens many connections at once


@dataclass
class Store:
    """A bucket, with a client that does not pass through the wire."""

    name: str
    wire: Wire
    client: Any
    is_real: bool
    """Whether it is another store than moto."""

    @property
    def url(self) -> str:
        return f"s3://{self.name}/board"

    def tags(self) -> dict[str, str]:
        """Return the tags of all that is stored, by key."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name)
        return {one["Key"]: one["ETag"] for page in pages for one in page.get("Contents", ())}

    def bytes(self, key: str) -> bytes:
        """Return what is stored."""
        data: bytes = self.client.get_object(Bucket=self.name, Key=key)["Body"].read()
        return data

    def fill(self, stored: dict[str, tuple[str, bytes]]) -> None:
        """Store what another store held."""
        for key, (_, data) in stored.items():
            packed = {"ContentEncoding": "gzip"} if data[:2] == b"\x1f\x8b" else {}
            self.client.put_object(Bucket=self.name, Key=key, Body=data, **packed)


@pytest.fixture(scope="session")
def open_store(moto_endpoint: str, tmp_path_factory) -> Callable[[], contextlib.AbstractContextManager[Store]]:
    """Opens a new bucket, with a wire before it: at moto, or at the store that the environment names."""
    endpoint = os.environ.get("CELLGAUGE_TEST_S3_ENDPOINT", moto_endpoint)
    keys = {name: os.environ.get(name, "testing") for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}

    @contextlib.contextmanager
    def open_() -> Iterator[Store]:
        import boto3

        with pytest.MonkeyPatch.context() as patch:
            for name, value in {
                **keys, "AWS_DEFAULT_REGION": "us-east-1",
                "AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": str(tmp_path_factory.getbasetemp() / "none"),
                "NO_PROXY": "*",
            }.items():  # fmt: skip
                patch.setenv(name, value)
            client = boto3.client("s3", endpoint_url=endpoint)
            name = f"cellgauge-{uuid.uuid4().hex[:12]}"
            client.create_bucket(Bucket=name)
            wire = Wire(endpoint)
            yield Store(name, wire, client, endpoint != moto_endpoint)
            wire.server.shutdown()
            wire.server.server_close()

    return open_


@pytest.fixture
def store(open_store) -> Iterator[Store]:
    with open_store() as opened:
        yield opened


@contextlib.contextmanager
def website(store: Store) -> Iterator[str]:
    """Hand out what a store holds as its website hosting does, and yield the address: a folder is its index.html."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0].lstrip("/")
            key = f"{path}index.html" if path.endswith("/") else path
            try:
                found = store.client.get_object(Bucket=store.name, Key=key)
            except store.client.exceptions.ClientError:
                self.send_error(404)
                return
            data = found["Body"].read()
            self.send_response(200)
            self.send_header("Content-Type", found["ContentType"])
            self.send_header("Cache-Control", found["CacheControl"])
            if "ContentEncoding" in found:
                self.send_header("Content-Encoding", found["ContentEncoding"])
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = _Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def website_of() -> Callable[[Store], contextlib.AbstractContextManager[str]]:
    """``website``."""
    return website


@pytest.fixture
def hosted() -> Iterator[Callable[[Path], str]]:
    """Serves a folder on loopback, and returns its address."""
    servers = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            pass

    def host(folder: Path) -> str:
        server = _Server(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_address[1]}/"

    yield host
    for server in servers:
        server.shutdown()
        server.server_close()
