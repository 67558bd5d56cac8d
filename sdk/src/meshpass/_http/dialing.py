"""Which address to dial next, and when: Happy Eyeballs (RFC 8305) without I/O, and the blocking race.

A name may have several addresses, and the first may be dead. The connections are started one after the other, a short
delay apart, and the first that is made wins. So each address is tried within the time for connecting.
"""

import errno
import os
import socket
import time
from collections import deque
from collections.abc import Iterable
from typing import Any

from meshpass._http.readiness import wait

DELAY_S = 0.25
"""The time between the starts of two attempts (RFC 8305, section 5: "Connection Attempt Delay")."""

AddressInfo = tuple[socket.AddressFamily, Any]
"""An address family, and an address of it as `socket.connect` takes it."""

# POSIX says EINPROGRESS, Windows WSAEWOULDBLOCK.
_IN_PROGRESS = {errno.EINPROGRESS, errno.EWOULDBLOCK, getattr(errno, "WSAEWOULDBLOCK", errno.EINPROGRESS)}


class Schedule:
    """Which address to dial next, and when.

    Args:
        addresses: The addresses as the resolver sorted them.
    """

    def __init__(self, addresses: Iterable[AddressInfo]) -> None:
        self._left = interleaved(addresses)
        self._next_at = 0.0

    @property
    def left(self) -> int:
        """How many addresses were not tried yet."""
        return len(self._left)

    def next(self, now: float) -> AddressInfo | None:
        """Return the address whose time has come; None when there is none now."""
        if not self._left or now < self._next_at:
            return None
        self._next_at = now + DELAY_S
        return self._left.popleft()

    def put_back(self, addresses: Iterable[AddressInfo]) -> None:
        """Keep addresses for later whose attempts were given up because another one was connected first."""
        self._left.extend(addresses)

    def hurry(self) -> None:
        """Let the next address begin at once, because there is no attempt yet or one has failed."""
        self._next_at = 0.0

    def wait_s(self, now: float) -> float | None:
        """Return the seconds until the next address is due; None when all were tried."""
        return max(0.0, self._next_at - now) if self._left else None


def interleaved(addresses: Iterable[AddressInfo]) -> deque[AddressInfo]:
    """Sort addresses so that the families alternate, the first one's first (RFC 8305, section 4)."""
    families: dict[int, deque[AddressInfo]] = {}
    for address in dict.fromkeys(addresses):
        families.setdefault(address[0], deque()).append(address)
    sorted_: deque[AddressInfo] = deque()
    while families:
        for family in list(families):
            sorted_.append(families[family].popleft())
            if not families[family]:
                del families[family]
    return sorted_


def open_socket(address: AddressInfo) -> socket.socket:
    """Return a socket for an address that does not block and does not collect small writes."""
    stream = socket.socket(address[0], socket.SOCK_STREAM)
    stream.setblocking(False)
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return stream


def share_s(left_s: float, others: int) -> float:
    """Return the seconds for a TLS handshake, so that as much is left for each of the other addresses."""
    return left_s / (1 + others)


def race(schedule: Schedule, give_up_at: float) -> socket.socket:
    """Return the first connection that is made to one of these addresses; it does not block.

    Args:
        schedule: The addresses that were not tried yet.
        give_up_at: When to give up, in seconds of `time.monotonic()`.

    Raises:
        TimeoutError: there was none in time.
        OSError: no address can be connected to; the last one's error.
    """
    failure = OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))
    pending: dict[socket.socket, AddressInfo] = {}
    schedule.hurry()
    try:
        while True:
            now = time.monotonic()
            if now >= give_up_at:
                raise TimeoutError
            address = schedule.next(now)
            if address is not None:
                try:
                    pending[_begin(address)] = address
                except OSError as exc:
                    failure = exc
                    schedule.hurry()
                    continue
            due_s = schedule.wait_s(now)
            if not pending and due_s is None:
                raise failure
            left_s = give_up_at - now
            for stream in wait((), pending, left_s if due_s is None else min(due_s, left_s)):
                number = stream.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                del pending[stream]
                if not number:
                    schedule.put_back(pending.values())
                    return stream
                stream.close()
                failure = OSError(number, os.strerror(number))
                schedule.hurry()
    finally:
        del failure  # its traceback holds this frame: only the garbage collector would free both
        for stream in pending:
            stream.close()


def _begin(address: AddressInfo) -> socket.socket:
    stream = open_socket(address)
    number = stream.connect_ex(address[1])
    if number and number not in _IN_PROGRESS:
        stream.close()
        raise OSError(number, os.strerror(number))
    return stream
