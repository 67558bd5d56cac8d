"""Short texts about failures of the operating system or a peer. They hold no part of a request."""

import os
from typing import TypeVar

_Error = TypeVar("_Error", bound=BaseException)


def reason(exc: BaseException) -> str:
    """Return in a few words why the operating system or the peer failed, without any part of the request."""
    cause = innermost(exc, OSError)
    if cause is None or cause.errno is None:
        return type(exc).__name__
    # The resolver's error numbers are negative, and only its own text explains them.
    return os.strerror(cause.errno) if cause.errno > 0 else str(cause.strerror)


def innermost(exc: BaseException, kind: type[_Error]) -> _Error | None:
    # HTTP libraries wrap the system's error, and some of their wrappers are subclasses of it.
    found = None
    seen: BaseException | None = exc
    while seen is not None:
        found = seen if isinstance(seen, kind) else found
        # httpcore, under httpx, re-raises "from None", which drops the cause but not the context. Any other context
        # may be unrelated: an error that the caller was handling when it made the call.
        seen = seen.__cause__ or (seen.__context__ if seen.__suppress_context__ else None)
    return found
