"""Buffered reading from a socket, with limits and, if wanted, a deadline."""

from __future__ import annotations

import contextlib
import ssl
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket

__all__ = ["Deadline", "Stream", "StreamError"]

_CHUNK_BYTES = 65_536


class StreamError(Exception):
    """The peer sent less or more than the protocol allows."""


class Deadline:
    """One limit for a whole exchange, however many operations it takes.

    Args:
        timeout_s: Seconds from now.
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._end = time.monotonic() + timeout_s

    def apply(self, sock: socket.socket) -> None:
        """Let the socket's next operation end at the deadline.

        Raises:
            TimeoutError: It has passed.
        """
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"no answer within {self._timeout_s:g} s")
        sock.settimeout(left)


class Stream:
    """A connected socket whose received bytes can be looked at before they are taken.

    Args:
        sock: The socket, plain or TLS.
        deadline: The limit for all operations; without one the socket's own timeout holds for each.
    """

    def __init__(self, sock: socket.socket, deadline: Deadline | None = None) -> None:
        self.sock = sock
        self._deadline = deadline
        self._buffer = bytearray()

    def limit(self, deadline: Deadline) -> None:
        """Let another deadline hold from now on."""
        self._deadline = deadline

    def peek_at_least(self, count: int) -> bytes:
        """Return the bytes received so far, at least `count` unless the peer finished before."""
        while len(self._buffer) < count and self._fill():
            pass
        return bytes(self._buffer)

    def take(self) -> bytes:
        """Take the bytes received so far, at least one; empty after the peer has finished."""
        data = self.peek_at_least(1)
        self._buffer.clear()
        return data

    def take_exactly(self, count: int) -> bytes:
        """Take that many bytes.

        Raises:
            StreamError: The peer finished before.
        """
        while len(self._buffer) < count:
            if not self._fill():
                raise StreamError("the connection ended within a message")
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        return data

    def take_until(self, end: bytes, limit: int) -> bytes:
        """Take everything up to and with `end`; empty where the peer finished before the first byte.

        Raises:
            StreamError: The peer finished within, or sent more than `limit` bytes.
        """
        searched = 0
        while (found := self._buffer.find(end, searched)) < 0:
            searched = max(0, len(self._buffer) - len(end))
            if len(self._buffer) > limit:
                raise StreamError("the message is too long")
            if not self._fill():
                if not self._buffer:
                    return b""
                raise StreamError("the connection ended within a message")
        return self.take_exactly(found + len(end))

    def take_rest(self, limit: int) -> bytes:
        """Take everything until the peer finishes.

        Raises:
            StreamError: The peer sent more than `limit` bytes.
        """
        while self._fill():
            if len(self._buffer) > limit:
                raise StreamError("the message is too long")
        data = bytes(self._buffer)
        self._buffer.clear()
        return data

    def send(self, data: bytes) -> None:
        """Send all of it."""
        if self._deadline:
            self._deadline.apply(self.sock)
        self.sock.sendall(data)

    def send_as_far_as_taken(self, data: bytes) -> None:
        """Send until the peer takes no more: it may have answered or explained itself before it closed."""
        with contextlib.suppress(ConnectionError, ssl.SSLEOFError):
            self.send(data)

    def _fill(self) -> bool:
        if self._deadline:
            self._deadline.apply(self.sock)
        data = self.sock.recv(_CHUNK_BYTES)
        self._buffer += data
        return bool(data)
