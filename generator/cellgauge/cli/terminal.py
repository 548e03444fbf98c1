"""What all commands share: how they fail and are stopped, and how they print JSON."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import click


class Group(click.Group):
    """Prints errors that a person can mend without a traceback, and ends with code 1.

    So are those of the operating system: a full disk, a file that may not be read, a folder where a file belongs.
    """

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that was asked for."""
        from cellgauge.cards.problems import UserError

        try:
            return super().invoke(ctx)
        except UserError as error:
            fail(str(error))
        except BrokenPipeError:  # click ends quietly where nobody reads on
            raise
        except OSError as error:
            fail(_in_a_line(error))


def _in_a_line(error: OSError) -> str:
    """Return the path and the system's reason; of two paths the second, which is where a file was to be put."""
    path = error.filename2 or error.filename
    if path is None or error.strerror is None:
        return " ".join(str(error).split()) or type(error).__name__
    return f"{os.fsdecode(path)}: {error.strerror}"


def fail(message: str) -> NoReturn:
    """Print an error and end with code 1."""
    click.echo(message, err=True)
    raise SystemExit(1)


@contextmanager
def terminated_like_interrupted() -> Iterator[None]:
    """Turn SIGTERM, by which schedulers and services stop a program, into what Ctrl-C is: KeyboardInterrupt."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")


def print_json(value: Any) -> None:
    """Print one JSON document."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))
