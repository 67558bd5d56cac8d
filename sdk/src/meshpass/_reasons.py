"""Why the operating system or a peer failed, in a few words that hold nothing of a request."""

import os
from typing import TypeVar

_Error = TypeVar("_Error", bound=BaseException)


def reason(exc: BaseException) -> str:
    """Say in a few words why the operating system or the peer failed, without an engine's request in it."""
    cause = innermost(exc, OSError)
    if cause is None or cause.errno is None:
        return type(exc).__name__
    # The resolver's error numbers are negative, and only its own text explains them.
    return os.strerror(cause.errno) if cause.errno > 0 else str(cause.strerror)


def innermost(exc: BaseException, kind: type[_Error]) -> _Error | None:
    # Engines wrap the system's error, and some of the wrappers call themselves its kind.
    found = None
    seen: BaseException | None = exc
    while seen is not None:
        found = seen if isinstance(seen, kind) else found
        # httpcore, under httpx, re-raises "from None", which drops the cause but not the context. Any other context
        # may be the caller's own trouble: a call made while handling another error.
        seen = seen.__cause__ or (seen.__context__ if seen.__suppress_context__ else None)
    return found
