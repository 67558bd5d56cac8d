"""Free loopback ports for servers that need their port number before they start."""

from __future__ import annotations

import contextlib
import os
import random
import socket
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

LOOPBACK = "127.0.0.1"

_PORT_AT_CONNECT = 24  # IP_BIND_ADDRESS_NO_PORT of linux/in.h, which Python does not name everywhere

# Below the range that the kernel hands to outgoing connections (32768 on Linux, 49152 on macOS), so that
# a port stays free between being chosen here and being bound by its server, also across a restart.
_FIRST, _LAST = 20_000, 32_000
_STEP = 4_801  # a prime that does not divide their count, so that the steps meet each of them


def free_ports() -> Iterator[int]:
    """Yield distinct TCP ports of 127.0.0.1 that nothing listens on.

    Each is reserved for as long as the iterator lives, so keep it in a variable: another lab on this machine chooses
    none of them, even before a server has bound it.

    Raises:
        OSError: Every port of the range is taken.
    """
    with contextlib.ExitStack() as reservations:
        for port in _in_some_order():
            reservation = _reserve(port)
            if reservation is not None:
                reservations.callback(os.close, reservation)
                if _is_free(port):
                    yield port
    raise OSError(f"no free port between {_FIRST} and {_LAST} on {LOOPBACK}: end some other server first")


def connect_from(sock: socket.socket, address: str) -> None:
    """Let a TCP socket connect from an address.

    Where the system can, it chooses the port when the socket connects. It chooses the ports of bound sockets at random,
    and may then choose one that a connection has just given back.

    Raises:
        OSError: The machine does not have the address.
    """
    if sys.platform == "linux":
        sock.setsockopt(socket.IPPROTO_IP, _PORT_AT_CONNECT, 1)
    sock.bind((address, 0))


def has_address(address: str) -> bool:
    """Return whether connections can come from an address: Linux has all of 127.0.0.0/8, macOS 127.0.0.1 alone."""
    with socket.socket() as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


def _in_some_order() -> Iterator[int]:
    """Yield every port of the range once, from a random one in steps. To shuffle them all takes 10 ms."""
    count = _LAST - _FIRST
    at = random.randrange(count)  # noqa: S311 - it spreads labs, and guards nothing
    for _ in range(count):
        yield _FIRST + at
        at = (at + _STEP) % count


def _reserve(port: int) -> int | None:
    """Bind the UDP port of the same number; returns its file descriptor, `None` where it is taken.

    No part of the lab uses UDP, and the kernel frees it at the end. A socket that is collected as garbage before the
    iterator that would close it warns about that; a file descriptor does not.
    """
    with socket.socket(type=socket.SOCK_DGRAM) as reservation:
        try:
            reservation.bind((LOOPBACK, port))
        except OSError:
            return None
        return reservation.detach()


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True
