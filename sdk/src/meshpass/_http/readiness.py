"""Waiting until a socket can be read or written, by what the platform has.

`select.poll` is looked up when it is needed: Windows does not have it, and eventlet takes it away. `select.select` is
the only call that all platforms have.
"""

import math
import select
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from socket import socket


def idle_check(stream: "socket") -> Callable[[], bool]:
    """Return a function that reports, without waiting, whether an idle socket has something to read or was closed."""
    if not hasattr(select, "poll"):
        return lambda: bool(select.select([stream], [], [], 0)[0])
    poller = select.poll()
    poller.register(stream, select.POLLIN)
    return lambda: bool(poller.poll(0))


def wait(
    readable: "Iterable[socket]", writable: "Iterable[socket]", timeout_s: float | None
) -> "set[socket]":
    """Wait until one of these sockets is ready or failed, and return those that are.

    Args:
        readable: Sockets to read from.
        writable: Sockets to write to, or whose connection is being made.
        timeout_s: The longest wait in seconds; None waits without a limit.
    """
    if not hasattr(select, "poll"):
        reading, writing = list(readable), list(writable)
        # Windows reports a connection that failed as an exceptional condition.
        return set().union(*select.select(reading, writing, writing, timeout_s))
    poller = select.poll()
    sockets: dict[int, tuple[socket, int]] = {}
    for events, group in ((select.POLLIN, readable), (select.POLLOUT, writable)):
        for stream in group:
            known = sockets.get(stream.fileno(), (stream, 0))[1]
            sockets[stream.fileno()] = (stream, known | events)
    for fileno, (_, events) in sockets.items():
        poller.register(fileno, events)
    # Rounded up: a wait that ends too early would be followed by others of 0 ms.
    ready = poller.poll(None if timeout_s is None else math.ceil(timeout_s * 1000))
    return {sockets[fileno][0] for fileno, _ in ready}
