"""Removal of secrets from exceptions: from the local variables of their frames, and from chained exceptions.

Error trackers send the local variables of every frame of a traceback, also for the causes and contexts of an exception.
Where a token is made or sent, these variables hold keys, tokens and requests.
"""

import sys
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from types import FrameType
from typing import ParamSpec, TypeVar

from meshpass._errors import MeshError

# Packages, apart from the standard library, whose functions have a request in their local variables.
_ON_THE_WAY = frozenset({"httpx", "meshpass", "uvloop"})

_Args = ParamSpec("_Args")
_Result = TypeVar("_Result")


def seal(error: BaseException, handled: BaseException | None) -> None:
    """Clear the local variables of an exception's frames, and remove the exceptions chained to it.

    The traceback still names the same lines. A frame that still runs keeps its variables, so the caller of this
    function must have no secret in its own.

    Args:
        error: Any exception, `KeyboardInterrupt` included.
        handled: The exception that the caller was handling already. It is not changed, and stays the error's context.
    """
    spared = {id(one) for one in _behind(handled, set())}
    _clear(error, spared, lambda _: True)
    if id(error) not in spared:
        error.__cause__, error.__context__ = None, handled
        error.__suppress_context__ = False


def seal_call(error: BaseException, handled: BaseException | None) -> None:
    """Clear the local variables that a call may have left in an exception's frames.

    An exception of the caller's own code, such as a hook or an iterator of a body, keeps its chained exceptions and
    the variables of the caller's frames.

    Args:
        error: The exception that leaves the call.
        handled: The exception that the caller was handling already. It is not changed.
    """
    if not isinstance(error, Exception) or isinstance(error, MeshError):
        seal(error, handled)
        return
    spared = {id(one) for one in _behind(handled, set())}
    _clear(error, spared, _carries_requests)


def sealed(function: Callable[_Args, _Result]) -> Callable[_Args, _Result]:
    """Decorate a function so that its exceptions hold no secret; see `seal`."""

    @wraps(function)
    def call(*args: _Args.args, **kwargs: _Args.kwargs) -> _Result:
        handled = sys.exception()
        try:
            return function(*args, **kwargs)
        except BaseException as error:
            # This frame still runs, so `seal` cannot clear its variables.
            del args, kwargs
            seal(error, handled)
            raise

    return call


def _clear(error: BaseException, spared: set[int], wanted: Callable[[FrameType], bool]) -> None:
    """Clear the local variables of the frames that are wanted, of an exception and of all behind it."""
    for one in _behind(error, spared):
        trace = one.__traceback__
        while trace is not None:
            if wanted(trace.tb_frame):
                with suppress(RuntimeError):  # the frame still runs
                    trace.tb_frame.clear()
            trace = trace.tb_next


def _carries_requests(frame: FrameType) -> bool:
    package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
    return package in _ON_THE_WAY or package in sys.stdlib_module_names


def _behind(error: BaseException | None, seen: set[int]) -> list[BaseException]:
    """Return an exception and all exceptions chained to it, without those that were seen already."""
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
