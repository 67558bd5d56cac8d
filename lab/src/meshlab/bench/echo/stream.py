"""Buffered reading from a socket, with limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket

__all__ = ["Stream", "StreamError"]

_CHUNK_BYTES = 65_536


class StreamError(Exception):
    """The peer sent less or more than the protocol allows."""


class Stream:
    """A connected socket whose received bytes can be looked at before they are taken.

    Args:
        sock: The socket, plain or TLS. Its timeout holds for every single operation.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._buffer = bytearray()

    def peek(self) -> bytes:
        """Return the bytes received so far, at least one; empty after the peer has finished."""
        if not self._buffer:
            self._fill()
        return bytes(self._buffer)

    def peek_at_least(self, count: int) -> bytes:
        """Return the bytes received so far, at least `count` unless the peer finished before."""
        while len(self._buffer) < count and self._fill():
            pass
        return bytes(self._buffer)

    def take(self) -> bytes:
        """Take the bytes received so far, at least one; empty after the peer has finished."""
        data = self.peek()
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

    def send(self, data: bytes) -> None:
        """Send all of it."""
        self.sock.sendall(data)

    def _fill(self) -> bool:
        data = self.sock.recv(_CHUNK_BYTES)
        self._buffer += data
        return bool(data)
