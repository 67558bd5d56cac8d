"""Conversion of other libraries' exceptions into a `MeshError`."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

from meshpass._errors import IdentityError, MeshError

_Args = ParamSpec("_Args")
_Result = TypeVar("_Result")


def as_mesh_error(
    kind: type[MeshError], what: str
) -> Callable[[Callable[_Args, _Result]], Callable[_Args, _Result]]:
    """Decorate a function so that it raises a `MeshError` in place of any other `Exception`.

    The error names the exception's class and the line that raised it. Its message is left out, because it may hold
    the key or response that was read.

    Args:
        kind: The class to raise.
        what: What failed, as the beginning of a sentence.
    """

    def decorate(function: Callable[_Args, _Result]) -> Callable[_Args, _Result]:
        @wraps(function)
        def call(*args: _Args.args, **kwargs: _Args.kwargs) -> _Result:
            try:
                return function(*args, **kwargs)
            except MeshError:
                raise
            except Exception as exc:
                raise mesh_error(kind, what, exc) from exc

        return call

    return decorate


def mesh_error(kind: type[MeshError], what: str, exc: Exception) -> MeshError:
    """Return the error to raise in place of any other; see `as_mesh_error`."""
    return kind(f"{what}: {type(exc).__name__}{_place(exc)}.", hint=_HINT)


def source_failed(exc: Exception) -> MeshError:
    """Return the error to raise in place of what a token source of the caller's own raised."""
    return mesh_error(IdentityError, "The client's `auth` gave no token", exc)


def _place(exc: Exception) -> str:
    trace = exc.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f" at {Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else ""


_HINT = "Its message is not shown, because it may hold a secret."
