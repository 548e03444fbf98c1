"""What went wrong in a step, as a status and a reason."""

from __future__ import annotations

import functools
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

from cellgauge.cards.packages import PackageMissing
from cellgauge.cards.problems import UserError
from cellgauge.data.obtain import InvalidDatasetError
from cellgauge.data.screen import ScreenError
from cellgauge.models.containers import ContainerStopped
from cellgauge.models.embedding import InvalidOutputError
from cellgauge.models.sandbox import BackendLost, BackendMissing, ImageMissing, NoGpu
from cellgauge.models.weights import WeightsMissing
from cellgauge.results.schema import Empty
from cellgauge.tasks.contract import NotApplicableError, UnscorableError

P = ParamSpec("P")
R = TypeVar("R")

_STATUS_OF_LACK: dict[type[UserError], Empty] = {
    BackendLost: "not_run",
    ImageMissing: "not_run",
    NoGpu: "needs_gpu",
    PackageMissing: "not_run",
    WeightsMissing: "weights_unavailable",
}
"""What this machine lacks → the status of the evaluations that wait for it."""
_LOG_LINES = 40
_REASON_LENGTH = 500


class StepError(Exception):
    """A step that did not succeed, in a form that survives being sent between processes.

    Parameters
    ----------
    status
        The status of the evaluations that waited for this step.
    reason
        Shown on the page.
    log
        The end of the traceback, where the error was unexpected, or what another program said.
    """

    def __init__(self, status: Empty, reason: str, log: str | None = None) -> None:
        super().__init__(status, reason, log)
        self.status, self.reason, self.log = status, reason, log


def explained(doing: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make a step raise nothing but ``StepError``: any other exception may not survive the way back.

    Parameters
    ----------
    doing
        What the step does, as it goes into the reason: "loading the dataset".
    """

    def decorate(step: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(step)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return step(*args, **kwargs)
            except StepError:
                raise
            except (Exception, SystemExit) as error:  # a model that calls sys.exit ends itself, not the run
                raise _explain(error, doing) from None

        return guarded

    return decorate


def lost(error: BaseException, time_limit: float | None) -> StepError:
    """Explain a step whose worker gave no answer: it took too long or died."""
    if isinstance(error, StepError):
        return error
    if isinstance(error, TimeoutError):
        return StepError("timeout", f"stopped after its time limit of {time_limit:g} s")
    code = getattr(error, "exitcode", None)
    if isinstance(code, int) and code < 0:
        hint = "; signal 9 most often means that memory ran out" if code == -9 else ""
        return StepError("failed", f"the worker process was killed by signal {-code}{hint}")
    if code is not None:
        return StepError("failed", f"the worker process ended with exit code {code}")
    return _explain(error, "waiting for a worker")


def _explain(error: BaseException, doing: str) -> StepError:
    if isinstance(error, InvalidDatasetError):
        return StepError("invalid_input", str(error))
    if isinstance(error, InvalidOutputError):
        return StepError("invalid_output", str(error))
    if isinstance(error, NotApplicableError | ScreenError):
        return StepError("not_applicable", str(error))
    if isinstance(error, UnscorableError):
        return StepError("metric_undefined", str(error))
    if isinstance(error, ContainerStopped):
        return StepError(error.status, str(error), error.log or None)
    if isinstance(error, BackendMissing):
        return StepError("not_run", error.reason, error.detail)
    if isinstance(error, UserError):
        return StepError(_STATUS_OF_LACK.get(type(error), "failed"), str(error))
    if isinstance(error, MemoryError):
        return StepError("out_of_memory", f"memory ran out while {doing}", _log(error))
    message = " ".join(str(error).split()) or "no message"
    if len(message) > _REASON_LENGTH:
        message = f"{message[:_REASON_LENGTH]}…"
    return StepError("failed", f"{type(error).__name__} while {doing}: {message}", _log(error))


def _log(error: BaseException) -> str:
    """Return the end of the traceback."""
    return "\n".join("".join(traceback.format_exception(error)).splitlines()[-_LOG_LINES:])


def without_local_paths(text: str, project: Path) -> str:
    """Shorten paths: results are published, and the same failure should read the same on every machine."""
    for folder, shown in ((project, ""), (Path(sys.prefix), "PYTHON/"), (Path.home(), "~/")):
        text = text.replace(f"{folder}{os.sep}", shown)
    return text
