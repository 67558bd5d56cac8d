"""One HTTP/1.1 connection for blocking code: a socket, and a limit to every wait."""

import select
import socket
import time
from typing import TYPE_CHECKING

from meshpass._call.content_coding import TooLargeError
from meshpass._call.failures import connection_lost, from_connect, from_exchange, too_large, unreachable
from meshpass._call.response import RawResponse
from meshpass._call.service import KEEPALIVE_S, Service
from meshpass._http.wire import Reader, WireError, request_bytes

if TYPE_CHECKING:
    import ssl

    from meshpass._call.request import Attempt
    from meshpass._errors import MeshError

_READ_BYTES = 64 * 1024


class Connection:
    """A connection that carries one exchange after another.

    Args:
        service: Whom it leads to.
        stream: The connected socket, TLS included.
    """

    def __init__(self, service: Service, stream: socket.socket) -> None:
        self._service = service
        self._stream = stream
        self._host = service.origin.url.partition("://")[2]
        self._idle = select.poll()
        self._idle.register(stream, select.POLLIN)
        self._used = (time.monotonic(), time.time())
        self.reusable = False

    def is_usable(self) -> bool:
        """Whether the connection, idle since its last exchange, is open and young enough for another.

        An idle connection that has something to read has been closed, or has said what nobody asked. The time is
        taken on both clocks: the monotonic one stands still while a machine is suspended.
        """
        monotonic, wall = self._used
        idle_s = max(time.monotonic() - monotonic, time.time() - wall)
        return idle_s < KEEPALIVE_S and not self._idle.poll(0)

    def exchange(self, attempt: "Attempt") -> "RawResponse | MeshError":
        """Send a request and read the whole answer; `reusable` then tells whether another may follow.

        Raises:
            TimeoutError: the attempt's time was up; the connection is of no use any more.
        """
        self.reusable = False
        started = time.monotonic()
        reader = Reader(attempt.method, self._service.max_response_bytes)
        try:
            refused = self._send(attempt)
            attempt.phase = "read"
            while not reader.complete:
                self._stream.settimeout(attempt.left_s())
                data = self._stream.recv(_READ_BYTES)
                if not data and attempt.phase == "read":
                    return from_exchange(self._service, refused or ConnectionResetError())
                attempt.phase = "head"
                reader.feed(data)
                if reader.status:
                    attempt.phase = "body"
        except TooLargeError:
            return too_large(self._service)
        except WireError as exc:
            return connection_lost(self._service, str(exc))
        except OSError as exc:
            if _is_time_up(exc):
                raise
            return from_exchange(self._service, exc)
        self.reusable = reader.reusable
        self._used = (time.monotonic(), time.time())
        return RawResponse(reader.status, reader.fields, reader.body, self._used[0] - started)

    def close(self) -> None:
        """Close the connection at once."""
        self._stream.close()

    def _send(self, attempt: "Attempt") -> OSError | None:
        """Send the request. A peer that closed may have answered before: its words are worth more than the error."""
        fields = {**attempt.headers, **attempt.secrets}.items()
        message = request_bytes(attempt.method, attempt.target, self._host, fields, attempt.content)
        self._stream.settimeout(attempt.left_s())
        try:
            self._stream.sendall(message)
        except OSError as exc:
            if _is_time_up(exc):
                raise
            return exc
        return None


def connect(
    service: Service, context: "ssl.SSLContext | None", attempt: "Attempt"
) -> "Connection | MeshError":
    """Open a connection to the service's address, under the service's name.

    Raises:
        TimeoutError: the attempt's time was up.
    """
    give_up_at = min(attempt.until, time.monotonic() + service.connect_timeout_s)
    try:
        return Connection(service, _dial(service, context, give_up_at))
    except TimeoutError:
        attempt.left_s()  # raises where it was the attempt's time, and not the connection's
        return unreachable(service, f"no connection within {service.connect_timeout_s:g} s")
    except OSError as exc:
        return from_connect(service, exc)


def _dial(service: Service, context: "ssl.SSLContext | None", give_up_at: float) -> socket.socket:
    failure = OSError()
    # The system's resolver has time limits of its own, and takes none from here.
    for family, kind, proto, _, address in socket.getaddrinfo(
        service.address.host, service.address.port, type=socket.SOCK_STREAM
    ):
        stream = socket.socket(family, kind, proto)
        try:
            stream.settimeout(_left_s(give_up_at))
            stream.connect(address)
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if context is None:
                return stream
            stream.settimeout(_left_s(give_up_at))
            return context.wrap_socket(stream, server_hostname=service.origin.host)
        except OSError as exc:
            failure = exc
            stream.close()
    try:
        raise failure
    finally:
        del failure  # its traceback holds this frame: only the garbage collector would free both


def _is_time_up(exc: OSError) -> bool:
    # Python's own has no number. The kernel's ETIMEDOUT is a peer that stopped to acknowledge what it was sent.
    return isinstance(exc, TimeoutError) and exc.errno is None


def _left_s(give_up_at: float) -> float:
    left = give_up_at - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
