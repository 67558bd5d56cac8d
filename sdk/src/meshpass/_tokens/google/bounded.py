"""Sockets with one deadline for all waits, which also ends a response that arrives very slowly."""

import io
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from ipaddress import ip_address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

Left = Callable[[], float]
"""Returns how many seconds are left; 0 or less after the deadline."""


def wait_s(longest_s: float | None, left: Left) -> float:
    """Return how long one wait may take.

    Raises:
        TimeoutError: the deadline has passed.
    """
    seconds = left() if longest_s is None else min(longest_s, left())
    if seconds <= 0:
        raise TimeoutError
    return seconds


def addresses_of(host: str, port: int, left: Left) -> list[str]:
    """Return the addresses of a host name in the resolver's order; for an IP address, the address itself.

    The resolver cannot be interrupted, so it runs in a separate thread, which is not awaited after the deadline.

    Raises:
        OSError: there is no such name, or the resolver did not respond in time.
    """
    try:
        return [str(ip_address(host))]
    except ValueError:
        pass
    found: Future[list[str]] = Future()

    def look_up() -> None:
        try:
            infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except Exception as exc:  # noqa: BLE001 - raised in the waiting thread
            found.set_exception(exc)
        else:
            found.set_result(list(dict.fromkeys(str(info[4][0]) for info in infos)))

    threading.Thread(target=look_up, name="meshpass-resolver", daemon=True).start()
    try:
        return found.result(max(left(), 0))
    except UnicodeError:
        raise OSError("The host name is not valid.") from None


def each_address(host: str, port: int, left: Left) -> Iterator[tuple[str, bool]]:
    """Yield each address of a host, and whether it is the last."""
    addresses = addresses_of(host, port, left)
    for number, address in enumerate(addresses, 1):
        yield address, number == len(addresses)


def connect(host: str, port: int, longest_s: float, left: Left) -> socket.socket:
    """Connect to the first address of a host that accepts a connection.

    Args:
        host: A name or an IP address.
        port: The port.
        longest_s: How long one address may take, in seconds.
        left: The time left for all addresses.

    Raises:
        OSError: no address accepted it, or the deadline has passed.
    """
    for address, last in each_address(host, port, left):
        try:
            return socket.create_connection((address, port), wait_s(longest_s, left))
        except OSError:
            if last or left() <= 0:
                raise
    raise OSError("The name has no address.")


class BoundedSocket:
    """A connected socket with the methods that `http.client` uses.

    Args:
        connected: The socket.
        longest_s: How long one wait may take, in seconds.
        left: The time left for all waits.
    """

    def __init__(self, connected: socket.socket, longest_s: float, left: Left) -> None:
        self._socket = connected
        self._longest_s = longest_s
        self._left = left

    def sendall(self, data: "ReadableBuffer") -> None:
        """Send all data. The socket's time limit covers the whole of it."""
        self._socket.settimeout(wait_s(self._longest_s, self._left))
        self._socket.sendall(data)

    def recv_into(self, buffer: "WriteableBuffer") -> int:
        """Receive the next bytes."""
        self._socket.settimeout(wait_s(self._longest_s, self._left))
        return self._socket.recv_into(buffer)

    def makefile(self, mode: str) -> io.BufferedReader:
        """Return a reader for `http.client`."""
        return io.BufferedReader(_Reader(self))

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


class _Reader(io.RawIOBase):
    def __init__(self, source: BoundedSocket) -> None:
        self._source = source

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        return self._source.recv_into(buffer)
