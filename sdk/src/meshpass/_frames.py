"""Exceptions that hold no secret: local variables of the frames behind them, and the exceptions behind them.

Error trackers send the local variables of every frame of a traceback, and of every exception behind the one that was
raised. On the way to a token these are keys, tokens and requests.
"""

import sys
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import ParamSpec, TypeVar

from meshpass._errors import MeshError

# Packages, beside the standard library, whose functions carry a request.
_ON_THE_WAY = frozenset({"httpx", "meshpass", "uvloop"})

_Args = ParamSpec("_Args")
_Result = TypeVar("_Result")


def seal(error: BaseException, handled: BaseException | None) -> None:
    """Clear the local variables of an exception's frames, and take away the exceptions behind it.

    Which lines the traceback names stays as it is. A frame that still runs keeps its variables, so the function that
    calls this must hold no secret itself.

    Args:
        error: Any exception, `KeyboardInterrupt` included.
        handled: What the caller was handling before, which is not touched and stays behind the error.
    """
    spared = {id(one) for one in _behind(handled, set())}
    for one in _behind(error, spared):
        trace = one.__traceback__
        while trace is not None:
            with suppress(RuntimeError):  # the frame still runs
                trace.tb_frame.clear()
            trace = trace.tb_next
    if id(error) not in spared:
        error.__cause__, error.__context__ = None, handled
        error.__suppress_context__ = False


def seal_call(error: BaseException, handled: BaseException | None) -> None:
    """Clear the local variables that a call may have left in an exception's frames.

    What the caller's own code raised on the way, such as a hook or an iterator of a body, keeps the exceptions behind
    it and the variables of the caller's frames.

    Args:
        error: What leaves the call.
        handled: What the caller was handling before, which is not touched.
    """
    if not isinstance(error, Exception) or isinstance(error, MeshError):
        seal(error, handled)
        return
    spared = {id(one) for one in _behind(handled, set())}
    for one in _behind(error, spared):
        trace = one.__traceback__
        while trace is not None:
            package = str(trace.tb_frame.f_globals.get("__name__", "")).partition(".")[0]
            if package in _ON_THE_WAY or package in sys.stdlib_module_names:
                with suppress(RuntimeError):
                    trace.tb_frame.clear()
            trace = trace.tb_next


def sealed(function: Callable[_Args, _Result]) -> Callable[_Args, _Result]:
    """Make every exception that leaves a function one that holds no secret; see `seal`."""

    @wraps(function)
    def call(*args: _Args.args, **kwargs: _Args.kwargs) -> _Result:
        handled = sys.exception()
        try:
            return function(*args, **kwargs)
        except BaseException as error:
            # This frame still runs, so its own variables must go by name.
            del args, kwargs
            seal(error, handled)
            raise

    return call


def _behind(error: BaseException | None, seen: set[int]) -> list[BaseException]:
    """Return an exception and all that can be reached from it, without those that were seen already."""
    found, pending, known = [], [error], set(seen)
    while pending:
        one = pending.pop()
        if one is None or id(one) in known:
            continue
        known.add(id(one))
        found.append(one)
        pending += [one.__cause__, one.__context__]
        if isinstance(one, BaseExceptionGroup):
            pending += one.exceptions
    return found
