"""Errors as a user sees them: sentences, and a traceback only on request."""

from __future__ import annotations

import io
import os
import signal
import sys
import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

import typer

from meshlab.cli._exit import Exit
from meshlab.cli._output import say
from meshlab.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["TRACEBACK", "explain", "reported", "unexpected", "usage"]

TRACEBACK = "MESHLAB_TRACEBACK"
"""The environment variable that asks for tracebacks."""

_MAX_LINES = 50


@contextmanager
def reported(failed: Exit = Exit.INPUT, *, as_json: bool = False) -> Iterator[None]:
    """Turn the package's own errors into a message and an exit code.

    Args:
        failed: The exit code of a `LabError`.
        as_json: Whether the message is a JSON document on stdout.
    """
    from meshlab.bench.protocol import BenchError
    from meshlab.manifest import ManifestError

    _end_cleanly()
    try:
        yield
    except (ManifestError, BenchError, LabError) as error:
        code = {ManifestError: Exit.INPUT, BenchError: Exit.BENCH}.get(type(error), failed)
        if as_json:
            from meshlab.bench.report.json_report import error_as_json

            say(error_as_json(str(error), code, getattr(error, "problems", ())))
        else:
            explain(str(error), listed=not isinstance(error, BenchError))
        raise typer.Exit(code) from error


def explain(message: str, *, listed: bool = True) -> None:
    """Print an error message on stderr.

    Args:
        message: The message.
        listed: Whether its lines are problems of files, one each, rather than one text.
    """
    lines = message.split("\n")
    if len(lines) == 1 or not listed:
        say(f"meshlab: {message}", err=True)
        return
    say("\n".join(lines[:_MAX_LINES]), err=True)
    rest = f", the first {_MAX_LINES} of them above" if len(lines) > _MAX_LINES else ""
    say(f"meshlab: {len(lines)} problems{rest}", err=True)


def usage(error: typer.TyperException) -> int:
    """Print what is wrong with the command line itself; return the exit code."""
    text = io.StringIO()
    show = getattr(error, "show", None)
    if show:
        show(file=text)
    say(text.getvalue() or f"Error: {error.format_message()}\n", err=True, nl=False)
    return error.exit_code


def unexpected(error: BaseException) -> int:
    """Print an unforeseen error in one line, and how to get its traceback; return the exit code."""
    if os.environ.get(TRACEBACK):
        say("".join(traceback.format_exception(error)), err=True, nl=False)
    else:
        explain(_in_words(error))
    return Exit.BENCH


def _in_words(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        file = f": {error.filename}" if error.filename else ""
        return f"the system refused an operation{file}: {error.strerror}. Set {TRACEBACK}=1 to see which"
    if (late := _late(error)) is not None:
        return f"{late} did not answer in time. The machine may be too busy: try again. Set {TRACEBACK}=1 to see where"
    words = " ".join(f"{type(error).__name__}: {error}".split())
    return f"internal error: {words}. Set {TRACEBACK}=1 to see where, and please report it"


def _late(error: BaseException) -> str | None:
    """Return what did not answer in time, where that is the error. The arguments of a command are not shown."""
    if isinstance(error, TimeoutError):
        return "a part of the bench"
    processes = sys.modules.get("subprocess")  # not loaded means that it raised nothing
    if processes is None or not isinstance(error, processes.TimeoutExpired):
        return None
    command = error.cmd if isinstance(error.cmd, str) else next(iter(error.cmd), "")
    return f"{str(command).rpartition('/')[2]}, which had {error.timeout:g} s,"


def _end_cleanly() -> None:
    """Let signals that end a program end it through its `finally` blocks."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    # A shell starts background jobs with SIGINT ignored, and Python then leaves it so.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _end(number: int, _frame: object) -> NoReturn:
    sys.exit(128 + number)
