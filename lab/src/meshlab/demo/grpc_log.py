"""Log level of gRPC's core, which writes to standard error past Python's logging."""

from __future__ import annotations

import os

__all__ = ["log_errors_only"]

_VARIABLE = "GRPC_VERBOSITY"


def log_errors_only() -> None:
    """Let gRPC's core log errors alone, unless the user has set a level.

    Without a level it also logs what is normal, such as the GOAWAY of a server that ends while the core, in a thread of
    its own, still closes a connection. Call this before `grpc` is imported: the core reads the level then.
    """
    os.environ.setdefault(_VARIABLE, "ERROR")
