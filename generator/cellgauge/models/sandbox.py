"""Running a container with nothing but its folders: what is asked of a backend, whichever program does it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol

from cellgauge.cards.problems import UserError


class BackendMissing(UserError):
    """Nothing on this machine can run containers.

    Parameters
    ----------
    reason
        What is missing and what to do, in a sentence that a reader of results can follow.
    detail
        What the program that was asked said, for a log.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail

    def __str__(self) -> str:
        return f"{self.reason} ({self.detail})"


class ImageMissing(UserError):
    """The image is not on this machine; the message says how it gets there."""


class NoGpu(UserError):
    """The container asks for a GPU that this machine does not have."""


class BackendLost(UserError):
    """What runs the containers stopped answering in the middle of one."""


@dataclass(frozen=True)
class Image:
    """An image on this machine."""

    name: str
    """As it was asked for."""
    id: str
    """``sha256:<hex>`` of its configuration: the same bytes have the same id everywhere."""
    repo_digest: str | None
    """``sha256:<hex>`` under which a registry knows it; None for one that was built here and never pushed."""


@dataclass(frozen=True)
class Sandbox:
    """One run of an image. It has no network, writes nowhere but to ``output`` and a ``/tmp`` in memory."""

    image: Image
    input: Path
    """Becomes ``/input``, read-only."""
    output: Path
    """Becomes ``/output``, and must be writable for anybody."""
    weights: Path | None
    """Becomes ``/weights``, read-only."""
    memory_bytes: int
    seconds: float
    """Of wall-clock time, after which it is killed."""
    processes: int
    output_bytes: int
    """Of everything in ``output``, after which it is killed."""
    cpus: float
    gpu: bool


@dataclass(frozen=True)
class Ended:
    """How a run ended, and what it cost."""

    exit_code: int
    log: str
    """The end of what it printed, standard output and standard error together."""
    stopped: str | None
    """Why it was killed; None when it ended by itself."""
    out_of_memory: bool
    wall_s: float
    cpu_s: float | None
    peak_memory_mb: float | None
    memory_method: str | None


class Backend(Protocol):
    """Something that runs containers on this machine."""

    def find(self, name: str) -> Image:
        """Return an image by name, id or digest.

        Raises
        ------
        ImageMissing
        """

    def run(self, sandbox: Sandbox, on_line: Callable[[str], None]) -> Ended:
        """Run an image to its end, or until it exceeds a limit; nothing of it is left behind.

        Parameters
        ----------
        on_line
            Called with each line of standard error as it comes, for somebody to watch.

        Raises
        ------
        NoGpu, BackendLost
        """

    def __enter__(self) -> Backend: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
