"""Containers by the Docker daemon of this machine."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import stat
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import docker
import requests
from docker.errors import APIError, DockerException, ImageNotFound
from docker.types import DeviceRequest, LogConfig, Mount, Ulimit

from cellgauge.cards.problems import UserError
from cellgauge.models.sandbox import BackendLost, BackendMissing, Ended, Image, ImageMissing, NoGpu, Sandbox

_LABEL = "org.cellgauge.owner"
_NOBODY = "65534:65534"
_ANSWER_S = 60.0
"""How long the daemon may take for a short answer."""
_BUILD_S = 3600
_LOOK_EVERY_S = 0.2
_CGROUPS = Path("/sys/fs/cgroup")
_MOST_FILES = 100
_A_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NO_DRIVER = "could not select device driver"
_LOG_LINES = 200
_LONGEST_LINE = 400
_NO_TERMINAL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b[@-_]|[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_GONE = (requests.exceptions.ConnectionError, requests.exceptions.ReadTimeout)


class DockerBackend:
    """A client of the daemon that ``DOCKER_HOST`` names, or of the usual one.

    The daemon has to run on this machine, since folders are mounted. Containers carry a label with the process that
    started them; those of processes that are gone are removed by the next backend that opens.

    Raises
    ------
    BackendMissing
        When no daemon answers.
    """

    def __init__(self) -> None:
        try:
            self._client: Any = docker.from_env(timeout=_ANSWER_S)
            self._client.ping()
            self._cpus = float(self._client.info()["NCPU"])
            self._remove_abandoned()
        except (DockerException, ValueError, *_GONE) as error:  # the second for an address that is none
            where = os.environ.get("DOCKER_HOST", "its usual place")
            raise BackendMissing(
                f"no Docker daemon answers at {where}: start Docker, or set DOCKER_HOST to the daemon's address",
                _short(error),
            ) from None

    def __enter__(self) -> DockerBackend:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def find(self, name: str) -> Image:
        """Return an image by name, id or digest; it is never pulled here.

        Raises
        ------
        ImageMissing, BackendLost
        """
        try:
            found = self._client.images.get(name)
        except ImageNotFound:
            raise ImageMissing(f"{name}: there is no such image on this machine") from None
        except (APIError, *_GONE) as error:
            raise BackendLost(f"Docker does not say whether it has {name}: {_short(error)}") from None
        digests = [one.rsplit("@", 1)[1] for one in found.attrs.get("RepoDigests") or []]
        wanted = name.rsplit("@", 1)[1] if "@" in name else None
        known = wanted if wanted in digests else next(iter(digests), None)
        return Image(name, found.id, known)

    def run(self, sandbox: Sandbox, on_line: Callable[[str], None]) -> Ended:
        """Run an image to its end, or until it exceeds a limit; the container is always removed.

        Raises
        ------
        NoGpu, BackendLost
        """
        container = None
        try:
            container = self._client.containers.create(sandbox.image.id, **self._options(sandbox))
            return self._watched(container, sandbox, on_line)
        except APIError as error:
            if sandbox.gpu and _NO_DRIVER in str(error):
                raise NoGpu("it asks for a GPU, and Docker finds none on this machine") from None
            raise BackendLost(f"Docker refused to run it: {_short(error)}") from None
        except _GONE as error:
            raise BackendLost(f"the Docker daemon stopped answering: {_short(error)}") from None
        finally:
            if container is not None:
                with contextlib.suppress(APIError, *_GONE):
                    container.remove(force=True, v=True)

    def build(
        self, context: IO[bytes], dockerfile: str, name: str, args: dict[str, str], network: str | None
    ) -> Iterator[str]:
        """Build an image, and yield what the build says, line by line.

        Parameters
        ----------
        context
            A tar archive of everything that the build may copy.
        args
            Values of the Dockerfile's ``ARG``.
        network
            For the steps of the build; None: Docker's own choice.

        Raises
        ------
        UserError
            When it fails.
        """
        try:
            for part in self._client.api.build(
                fileobj=context,
                custom_context=True,
                dockerfile=dockerfile,
                tag=name,
                buildargs=args,
                network_mode=network,
                rm=True,
                forcerm=True,
                decode=True,
                timeout=_BUILD_S,
            ):
                if "error" in part:
                    raise UserError(f"{name} cannot be built: {_short(part['error'])}")
                yield from (line.rstrip() for line in part.get("stream", "").splitlines() if line.strip())
        except (APIError, *_GONE) as error:
            raise UserError(f"{name} cannot be built: {_short(error)}") from None

    def _options(self, sandbox: Sandbox) -> dict[str, Any]:
        mounts = [Mount("/input", str(sandbox.input), "bind", read_only=True)]
        mounts.append(Mount("/output", str(sandbox.output), "bind"))
        if sandbox.weights is not None:
            mounts.append(Mount("/weights", str(sandbox.weights), "bind", read_only=True))
        cpus = min(sandbox.cpus, self._cpus)  # more than there are is refused
        threads = str(max(1, int(cpus)))
        return {
            "network_mode": "none",
            "read_only": True,
            "tmpfs": {"/tmp": f"rw,nosuid,nodev,size={sandbox.memory_bytes // 2}"},  # noqa: S108 (inside)
            "mounts": mounts,
            "working_dir": "/tmp",  # noqa: S108
            "user": _NOBODY,
            "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges"],
            "mem_limit": sandbox.memory_bytes,
            "memswap_limit": sandbox.memory_bytes,
            "nano_cpus": int(cpus * 1e9),
            "pids_limit": sandbox.processes,
            "ulimits": [
                Ulimit(name="fsize", soft=sandbox.output_bytes, hard=sandbox.output_bytes),
                Ulimit(name="core", soft=0, hard=0),
            ],
            "device_requests": [DeviceRequest(count=-1, capabilities=[["gpu"]])] if sandbox.gpu else None,
            "environment": {
                "HOME": "/tmp",  # noqa: S108
                **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), threads),
            },
            "labels": {_LABEL: _owner()},
            "log_config": LogConfig(type="none"),  # it is read as it comes, and never again
            "init": True,
        }

    def _watched(self, container: Any, sandbox: Sandbox, on_line: Callable[[str], None]) -> Ended:
        log = _Log(on_line)
        # Before it starts: whoever comes later misses lines, even when asking for those that were printed before.
        parts = container.attach(stdout=True, stderr=True, stream=True, demux=True)
        start = time.monotonic()
        try:
            container.start()
        except APIError as error:
            if _NO_DRIVER in str(error):
                raise
            # What the image says to start is not there, or is no program.
            return Ended(127, _short(error), None, False, 0.0, None, None, None)
        reader = threading.Thread(target=log.follow, args=(parts,), daemon=True)
        reader.start()
        meter = _Meter.of(container)
        stopped = None
        while True:
            container.reload()
            state = container.attrs["State"]
            if not state["Running"] and state["Status"] not in ("created", "restarting"):
                break
            meter.read()
            stopped = stopped or _exceeded(sandbox, time.monotonic() - start)
            if log.error is not None:
                raise log.error
            if stopped is not None:
                with contextlib.suppress(APIError):  # it may have ended meanwhile
                    container.kill()
            time.sleep(_LOOK_EVERY_S)
        wall = time.monotonic() - start
        reader.join(timeout=_ANSWER_S)
        if log.error is not None:
            raise log.error
        # The last look may have been before the last file.
        stopped = stopped or _too_much(sandbox)
        return Ended(
            exit_code=int(state["ExitCode"]),
            log="\n".join(log.lines),
            stopped=stopped,
            # Docker says so also when only a child of a process that went on was killed.
            out_of_memory=bool(state["OOMKilled"]) and state["ExitCode"] != 0,
            wall_s=round(wall, 4),
            cpu_s=meter.cpu_s,
            peak_memory_mb=meter.peak_memory_mb,
            memory_method=None
            if meter.peak_memory_mb is None
            else "peak of the container's cgroup, page cache included",
        )

    def _remove_abandoned(self) -> None:
        """Remove containers whose process is gone, as after a kill."""
        # Those of other processes may be removed by them meanwhile.
        for container in self._client.containers.list(all=True, filters={"label": _LABEL}, ignore_removed=True):
            if _is_gone(container.labels.get(_LABEL, "")):
                with contextlib.suppress(APIError):
                    container.remove(force=True, v=True)


@dataclass
class _Log:
    """Reads what a container prints: keeps the end, and hands on lines of standard error."""

    on_line: Callable[[str], None]
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=_LOG_LINES))
    error: Exception | None = None
    """What went wrong where lines are handed to."""
    _rest: dict[bool, bytes] = field(default_factory=dict)

    def follow(self, parts: Iterator[tuple[bytes | None, bytes | None]]) -> None:
        """Read what is printed until the container ends."""
        try:
            with contextlib.suppress(APIError, *_GONE):
                for out, err in parts:
                    self._take(out or b"", is_error=False)
                    self._take(err or b"", is_error=True)
            for is_error, rest in self._rest.items():
                self._line(rest, is_error)
        except Exception as error:  # raised again where the run is waited for
            self.error = error

    def _take(self, data: bytes, *, is_error: bool) -> None:
        *whole, rest = (self._rest.get(is_error, b"") + data).split(b"\n")
        self._rest[is_error] = rest[-_LONGEST_LINE:]
        for line in whole:
            self._line(line, is_error)

    def _line(self, raw: bytes, is_error: bool) -> None:
        # A progress bar writes over itself; what an escape sequence would do to a terminal is nobody's wish.
        last = raw.decode("utf-8", "replace").rstrip("\r").rsplit("\r", 1)[-1]
        text = _NO_TERMINAL.sub("", last)[:_LONGEST_LINE].rstrip()
        if not text:
            return
        self.lines.append(text)
        if is_error:
            self.on_line(text)


@dataclass
class _Meter:
    """Reads the container's cgroup while it is there: statistics of the daemon miss short runs."""

    memory: Path | None
    cpu: Path | None
    cpu_s: float | None = None
    peak_memory_mb: float | None = None

    @classmethod
    def of(cls, container: Any) -> _Meter:
        """Find the cgroup of a container that has just started, of version 2 or 1."""
        container.reload()
        try:
            lines = Path(f"/proc/{container.attrs['State']['Pid']}/cgroup").read_text().splitlines()
        except OSError:
            return cls(None, None)
        # "0::/path" is of version 2; "5:memory:/path" of version 1 is mounted under the controller's name.
        paths = {name: inside.lstrip("/") for _, name, inside in (line.split(":", 2) for line in lines)}
        if paths.get("") and not any("memory" in name.split(",") for name in paths):
            return cls(_CGROUPS / paths[""] / "memory.peak", _CGROUPS / paths[""] / "cpu.stat")
        files = {"memory": "memory.max_usage_in_bytes", "cpuacct": "cpuacct.usage"}
        found = {
            one: _CGROUPS / one / inside / file
            for one, file in files.items()
            for name, inside in paths.items()
            if one in name.split(",")
        }
        return cls(found.get("memory"), found.get("cpuacct"))

    def read(self) -> None:
        """Take what is there now; once the container is gone, what was taken last stands."""
        with contextlib.suppress(OSError, ValueError):
            if self.memory is not None:
                self.peak_memory_mb = round(int(self.memory.read_text()) / 2**20, 1)
        with contextlib.suppress(OSError, ValueError):
            if self.cpu is not None:
                text = self.cpu.read_text()
                usage = dict(line.split() for line in text.splitlines()) if " " in text else {"nanoseconds": text}
                self.cpu_s = int(usage["usage_usec"]) / 1e6 if "usage_usec" in usage else int(text) / 1e9


def _exceeded(sandbox: Sandbox, seconds: float) -> str | None:
    if seconds > sandbox.seconds:
        return f"stopped after its time limit of {sandbox.seconds:g} s"
    return _too_much(sandbox)


def _too_much(sandbox: Sandbox) -> str | None:
    size = count = 0
    try:
        for found in _entries(sandbox.output):
            # A sparse file takes its whole size when it is read.
            size, count = size + max(found.st_blocks * 512, found.st_size), count + 1
            if size > sandbox.output_bytes:
                return f"stopped because it wrote {size / 1e9:.2f} GB; {sandbox.output_bytes / 1e9:.2f} GB are allowed"
            if count > _MOST_FILES:
                return f"stopped because it wrote more than the {_MOST_FILES} files that are allowed"
    except PermissionError:
        return "stopped because it made a folder in /output that nobody else can look into"
    return None


def _entries(folder: Path) -> Iterator[os.stat_result]:
    """Yield what is known of everything below a folder that somebody else is changing, links not followed.

    Folders are held open, since a path may become too long to be opened.
    """
    left = [os.open(folder, _A_FOLDER)]
    try:
        while left:
            here = left.pop()
            try:
                with os.scandir(here) as entries:
                    for entry in entries:
                        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                            found = entry.stat(follow_symlinks=False)
                            if stat.S_ISDIR(found.st_mode):
                                left.append(os.open(entry.name, _A_FOLDER, dir_fd=here))
                            yield found
            finally:
                os.close(here)
    finally:
        for one in left:
            os.close(one)


def _owner() -> str:
    """Say which process this is, so that another process with its number is told apart."""
    return json.dumps([socket.gethostname(), os.getpid(), _started(os.getpid())])


def _is_gone(owner: str) -> bool:
    try:
        host, pid, started = json.loads(owner)
        return bool(host == socket.gethostname() and _started(int(pid)) != started)
    except (ValueError, TypeError):
        return False


def _started(pid: int) -> str | None:
    """Return when a process started, in ticks since the machine did; None when there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
    except (OSError, IndexError):
        return None


def _short(error: Exception | str) -> str:
    text = " ".join(str(getattr(error, "explanation", None) or error).split())
    return text if len(text) <= 200 else f"{text[:200]}…"
