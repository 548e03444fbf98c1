"""Real servers on loopback, and how they misbehave: what a file is fetched from in these tests."""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from cellgauge.cards.dataset import SourceFile
from cellgauge.data.fetch import Patience, Progress, fetch_file
from cellgauge.data.store import FileStore

IMPATIENT = Patience(retries=4, retries_unreached=1, first_wait=0.005, longest_wait=0.02, connect=5, read=5)
REAL_STORE = "CELLGAUGE_TEST_S3_ENDPOINT"


def sha256(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


@pytest.fixture(autouse=True)
def nobodys_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither the mirror nor the AWS keys or proxies of whoever runs the tests."""
    for name in list(os.environ):
        if name.startswith("AWS_") or name.lower().endswith("_proxy") or name == "CELLGAUGE_MIRROR":
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def data() -> bytes:
    return random.Random(7).randbytes(700_001)


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "cache")


@dataclass
class Fetching:
    """``fetch_file`` with little patience, and what it reported."""

    store: FileStore
    folder: Path
    reports: list[Progress] = field(default_factory=list)
    patience: Patience = IMPATIENT

    def __call__(self, url: str, pinned: bytes | None = None, **card: Any) -> Path:
        """Fetch with a card that gives the digest of ``pinned``, and what else is named."""
        if pinned is not None:
            card["sha256"] = sha256(pinned)
        return fetch_file(SourceFile(url=url, **card), self.folder, self.store, self.reports.append, self.patience)

    @property
    def notes(self) -> str:
        return "\n".join(report.note for report in self.reports)

    @property
    def left(self) -> list[Path]:
        """What lies in the store, but for locks."""
        return [*self.store.blobs(), *self.store.partials()]


@pytest.fixture
def fetch(store: FileStore, tmp_path: Path) -> Fetching:
    return Fetching(store, tmp_path)


PROCESS = """
import json, sys
from pathlib import Path
from cellgauge.cards.dataset import SourceFile
from cellgauge.data.fetch import fetch_file
from cellgauge.data.store import FileStore

card, store = json.loads(sys.argv[1]), FileStore(Path(sys.argv[2]))
{first}
print(fetch_file(SourceFile(**card), store.folder, store))
"""


@pytest.fixture
def start(store: FileStore) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Fetch in a process of its own, after some code of the test's."""
    started = []

    def begin(url: str, pinned: bytes | None = None, first: str = "", **how: Any) -> subprocess.Popen[str]:
        card = {"url": url, "sha256": None if pinned is None else sha256(pinned)}
        command = [sys.executable, "-c", PROCESS.format(first=first), json.dumps(card), str(store.folder)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        started.append(subprocess.Popen(command, text=True, **pipes, **how))
        return started[-1]

    yield begin
    for one in started:
        one.kill()
        one.communicate()


@dataclass
class Served:
    """One file, and how the server gives it away."""

    data: bytes
    etag: str | None = '"v1"'
    ranges: bool = True
    """Whether a part is given when one is asked for."""
    conditions: bool = True
    """Whether If-Range is looked at."""
    says_length: bool = True
    chunked: bool = False
    headers: dict[str, str] = field(default_factory=dict)
    """Sent besides, or instead of what would be sent."""
    cuts: list[int] = field(default_factory=list)
    """For each coming answer: after how many bytes of the body the connection is cut."""
    instead: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)
    """Coming answers that are something else."""
    before: Callable[[Served], None] = lambda _: None
    """Called before each answer."""
    longest_part: int | None = None
    """A part has at most so many bytes, also where more were asked for."""
    piece: int = 10_000
    pause: float = 0.0
    """Seconds between pieces."""


@dataclass
class Request:
    path: str
    headers: dict[str, str]
    sent: int = 0

    @property
    def range(self) -> str | None:
        return self.headers.get("range")


class FileServer:
    """An HTTP server whose files are ``Served`` and whose ``log`` is what was asked for."""

    def __init__(self) -> None:
        self.files: dict[str, Served] = {}
        self.log: list[Request] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.thread.start()

    def serve(self, data: bytes, path: str = "/data.h5ad", **how: Any) -> str:
        self.files[path] = Served(data, **how)
        return self.url + path

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def answer(self, asked: BaseHTTPRequestHandler) -> None:
        request = Request(asked.path, {name.lower(): value for name, value in asked.headers.items()})
        self.log.append(request)
        asked.close_connection = True
        served = self.files.get(asked.path)
        if served is None:
            self._say(asked, 404, {"Content-Length": "0"})
            return
        served.before(served)
        if served.instead:
            status, headers, body = served.instead.pop(0)
            self._say(asked, status, {"Content-Length": str(len(body)), **headers})
            asked.wfile.write(body)
            return
        cut = served.cuts.pop(0) if served.cuts else None
        with suppress(OSError):  # the client has gone
            self._give(asked, served, request, cut)

    def _give(self, asked: BaseHTTPRequestHandler, served: Served, request: Request, cut: int | None) -> None:
        data, start = served.data, self._start(served, request)
        etag = {"ETag": served.etag} if served.etag else {}
        if start is not None and start >= len(data):
            self._say(asked, 416, {"Content-Range": f"bytes */{len(data)}", "Content-Length": "0"})
            return
        body = data if start is None else data[start:][: served.longest_part]
        headers = {"Content-Type": "application/octet-stream", **etag}
        if served.chunked:
            headers["Transfer-Encoding"] = "chunked"
        elif served.says_length:
            headers["Content-Length"] = str(len(body))
        if start is not None:
            headers["Content-Range"] = f"bytes {start}-{start + len(body) - 1}/{len(data)}"
        self._say(asked, 200 if start is None else 206, {**headers, **served.headers})
        most = len(body) if cut is None else min(cut, len(body))
        for at in range(0, most, served.piece):
            piece = body[at : min(at + served.piece, most)]
            request.sent += len(piece)  # before the client can have it, and look here
            asked.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece) if served.chunked else piece)
            time.sleep(served.pause)
        if served.chunked and cut is None:
            asked.wfile.write(b"0\r\n\r\n")
        asked.wfile.flush()
        asked.connection.shutdown(socket.SHUT_RDWR)

    @staticmethod
    def _start(served: Served, request: Request) -> int | None:
        """Where the part begins that is to be given; None for the whole file."""
        if not served.ranges or request.range is None:
            return None
        condition = request.headers.get("if-range")
        if served.conditions and condition not in (None, served.etag):
            return None
        return int(re.fullmatch(r"bytes=(\d+)-", request.range)[1])

    @staticmethod
    def _say(asked: BaseHTTPRequestHandler, status: int, headers: dict[str, str]) -> None:
        asked.send_response(status)
        asked.send_header("Connection", "close")
        for name, value in headers.items():
            asked.send_header(name, value)
        asked.end_headers()


@pytest.fixture(scope="module")
def file_server() -> Iterator[FileServer]:
    server = FileServer()
    yield server
    server.close()


@pytest.fixture
def server(file_server: FileServer) -> FileServer:
    file_server.files.clear()
    file_server.log.clear()
    return file_server


@pytest.fixture
def nowhere() -> str:
    """A URL of a port that nobody listens at."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


class Wire:
    """Between a client and a server: notes each request's head, and cuts connections in the middle of answers."""

    def __init__(self, upstream: tuple[str, int]) -> None:
        self.upstream = upstream
        self.heads: list[str] = []
        self.cuts: list[int] = []
        """For each coming connection: after how many bytes of answers, heads included, it is cut."""
        self.pause = 0.0
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listening.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def gets(self) -> list[str]:
        return [head for head in self.heads if head.startswith("GET ")]

    def close(self) -> None:
        with suppress(OSError):
            self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self.listening.accept()
            except OSError:
                return
            server = socket.create_connection(self.upstream)
            cut = self.cuts.pop(0) if self.cuts else None
            threading.Thread(target=self._ask, args=(client, server), daemon=True).start()
            threading.Thread(target=self._answer, args=(server, client, cut), daemon=True).start()

    def _ask(self, client: socket.socket, server: socket.socket) -> None:
        waiting = b""
        with suppress(OSError):
            while block := client.recv(1 << 16):
                waiting += block
                while b"\r\n\r\n" in waiting:
                    head, waiting = waiting.split(b"\r\n\r\n", 1)
                    self.heads.append(head.decode("latin-1"))
                server.sendall(block)
        self._hang_up(server)

    def _answer(self, server: socket.socket, client: socket.socket, left: int | None) -> None:
        with suppress(OSError):
            while (left is None or left > 0) and (block := server.recv(1 << 14)):
                block = block[:left]
                client.sendall(block)
                left = None if left is None else left - len(block)
                time.sleep(self.pause)
        self._hang_up(client)
        self._hang_up(server)

    @staticmethod
    def _hang_up(one: socket.socket) -> None:
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()


@dataclass
class Bucket:
    """A bucket of an object store behind a ``Wire``."""

    name: str
    wire: Wire
    owner: Any
    """A client of the bucket's owner, which does not pass through the wire."""
    keys: tuple[str, str]
    real: bool
    """Whether it checks signatures of itself, as moto does not."""

    def put(self, key: str, data: bytes, *, public: bool) -> str:
        self.owner.put_object(Bucket=self.name, Key=key, Body=data, ACL="public-read" if public else "private")
        return f"s3://{self.name}/{key}"

    def sign(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let whoever fetches have the owner's keys."""
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", self.keys[0])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", self.keys[1])


REAL = tuple(os.environ.get(name, "") for name in (REAL_STORE, "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"))


@pytest.fixture(scope="session", params=["moto", "real"] if all(REAL) else ["moto"])
def owner(request: pytest.FixtureRequest) -> tuple[Any, tuple[str, str]]:
    """A client of whoever owns buckets, and the keys: at moto, and at the http:// store that REAL_STORE names."""
    import boto3

    if request.param == "real":
        endpoint, *keys = REAL
    else:
        endpoint, *keys = request.getfixturevalue("moto_endpoint"), "testing", "testing"
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id=keys[0],
        aws_secret_access_key=keys[1],
    )
    return client, (keys[0], keys[1])


@pytest.fixture
def bucket(owner: tuple[Any, tuple[str, str]], monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """A new bucket, to which AWS_ENDPOINT_URL leads through a ``Wire``."""
    client, keys = owner
    name = f"cellgauge-{uuid.uuid4().hex[:12]}"
    client.create_bucket(Bucket=name)
    where = urlsplit(client.meta.endpoint_url)
    wire = Wire((where.hostname, where.port or 80))
    monkeypatch.setenv("AWS_ENDPOINT_URL", wire.url)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    yield Bucket(name, wire, client, keys, real=client.meta.endpoint_url == REAL[0])
    wire.close()
    with suppress(client.exceptions.ClientError):
        client.delete_bucket_policy(Bucket=name)
    for one in client.list_objects_v2(Bucket=name).get("Contents", []):
        client.delete_object(Bucket=name, Key=one["Key"])
    client.delete_bucket(Bucket=name)
