"""One HTTP/1.1 connection for blocking code: a socket, and a limit to every wait."""

import socket
import ssl
import time
from typing import TYPE_CHECKING

from meshpass._call.body import RequestBody
from meshpass._call.content_coding import TooLargeError
from meshpass._call.failures import (
    connection_lost,
    from_connect,
    from_exchange,
    is_wrong_name,
    not_http,
    too_large,
    unreachable,
)
from meshpass._call.response import RawResponse
from meshpass._call.service import KEEPALIVE_S, Service
from meshpass._errors import MeshError
from meshpass._http.dialing import Schedule, race, share_s
from meshpass._http.framing import Framing
from meshpass._http.readiness import idle_check, wait
from meshpass._http.response_body import SyncResponseBody
from meshpass._http.tls import certificate_names
from meshpass._http.wire import NotHTTPError, Reader, WireError, request_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshpass._call.request import Attempt

_READ_BYTES = 64 * 1024
# An idle connection takes this much at once, and TLS sends it as one record.
_ONE_WRITE_BYTES = 16 * 1024
# What ends a request early without being a failure.
_ANSWERED = OSError()
_AGAIN = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Connection:
    """A connection that carries one exchange after another.

    Args:
        service: What it leads to.
        stream: The connected socket, TLS included.
    """

    def __init__(self, service: Service, stream: socket.socket) -> None:
        self._service = service
        self._stream = stream
        self._host = service.origin.url.partition("://")[2]
        self._has_input = idle_check(stream)
        self._used = (time.monotonic(), time.time())
        self._sent_whole = False
        self.reusable = False

    def is_usable(self) -> bool:
        """Report whether the connection, idle since its last exchange, is open and young enough for another.

        An idle connection that has something to read has been closed, or has sent what was not asked for. The time is
        taken on both clocks: the monotonic one stands still while a machine is suspended.
        """
        monotonic, wall = self._used
        idle_s = max(time.monotonic() - monotonic, time.time() - wall)
        return idle_s < KEEPALIVE_S and not self._has_input()

    def exchange(
        self, attempt: "Attempt", release: "Callable[[Connection], None]"
    ) -> "RawResponse | MeshError":
        """Send a request and read the response; `reusable` then reports whether another may follow.

        Args:
            attempt: What to send.
            release: Gives the connection back once a streamed body has ended.

        Raises:
            TimeoutError: the attempt's time was up; the connection is of no use any more.
            Exception: what the caller's own body raised.
        """
        self.reusable = self._sent_whole = False
        started = time.monotonic()
        reader = Reader(attempt.method, attempt.max_response_bytes)
        failed: OSError | MeshError | None = self._send(attempt, reader)
        if isinstance(failed, MeshError):
            return failed
        refused = failed
        while not (reader.complete or (attempt.stream and 200 <= reader.status < 300)):
            failed = self.receive(attempt, reader, refused)
            if failed is not None:
                return failed
        # A body that came with its head is not left to be read: most are small.
        if attempt.stream and reader.status < 300 and not reader.complete:
            body = SyncResponseBody(self._service, self, attempt, reader, release)
            return RawResponse(reader.status, reader.fields, body, time.monotonic() - started)
        self.settle(reader)
        return RawResponse(reader.status, reader.fields, reader.body, self._used[0] - started)

    def receive(
        self, attempt: "Attempt", reader: Reader, refused: OSError | None = None
    ) -> "MeshError | None":
        """Wait for the next bytes of the response, and feed the reader.

        Args:
            attempt: Says until when to wait; its phase is kept up to date.
            reader: Takes the bytes.
            refused: Why the request could not be sent to its end.

        Returns:
            Why the response cannot be read to its end.

        Raises:
            TimeoutError: the attempt's time was up.
        """
        self._stream.settimeout(attempt.left_s())
        try:
            data = self._stream.recv(_READ_BYTES)
        except OSError as exc:
            if _is_time_up(exc):
                raise
            return from_exchange(self._service, exc)
        if not data and attempt.phase in ("send", "read"):
            return from_exchange(self._service, refused or ConnectionResetError())
        if attempt.phase != "body":
            attempt.phase = "head"
        return self._feed(attempt, reader, data)

    def settle(self, reader: Reader) -> None:
        """Note that the response was read to its end, and whether both sides are done with the exchange."""
        self.reusable = reader.reusable and self._sent_whole
        self._used = (time.monotonic(), time.time())

    def close(self) -> None:
        """Close the connection at once."""
        self.reusable = False
        self._stream.close()

    def _feed(self, attempt: "Attempt", reader: Reader, data: bytes) -> "MeshError | None":
        try:
            reader.feed(data)
        except TooLargeError:
            return too_large(self._service, attempt.max_response_bytes)
        except NotHTTPError as exc:
            return not_http(self._service, str(exc), exc.hint)
        except WireError as exc:
            return connection_lost(self._service, str(exc))
        if reader.status:
            attempt.phase = "body"
        return None

    def _send(self, attempt: "Attempt", reader: Reader) -> "OSError | MeshError | None":
        """Send the request.

        A peer that closed the connection may have answered before. So an `OSError` is returned only to be reported if
        there is no response.
        """
        message, content = request_bytes(attempt, self._host), attempt.content
        self._stream.settimeout(attempt.left_s())
        attempt.phase = "send"
        if len(message) <= _ONE_WRITE_BYTES:
            try:
                message = message[self._stream.send(message) :]
            except OSError as exc:
                if _is_time_up(exc):
                    raise
                return exc
        failed = self._push(attempt, reader, message) if message else None
        if isinstance(content, RequestBody) and failed is None:
            failed = self._upload(attempt, reader, content)
        if failed is None:
            self._sent_whole = True
            if attempt.phase == "send":
                attempt.phase = "head" if reader.started else "read"
        return None if failed is _ANSWERED else failed

    def _upload(self, attempt: "Attempt", reader: Reader, body: RequestBody) -> "OSError | MeshError | None":
        """Send a body part by part. What its iterator raises passes through, and is no failure of the connection."""
        framing = Framing(body.length)
        body.started = True
        parts = iter(body)
        try:
            for part in parts:
                failed = self._push(attempt, reader, memoryview(framing.part(part)))
                if failed is not None:
                    return failed
            return self._push(attempt, reader, memoryview(framing.end()))
        finally:
            close = getattr(parts, "close", None)
            if close is not None:
                close()

    def _push(self, attempt: "Attempt", reader: Reader, data: memoryview) -> "OSError | MeshError | None":
        """Send bytes, and read what comes meanwhile: a response that comes early ends the request.

        A peer may answer and close at once. A send would then fail, and over TLS the response could not be read any
        more: so what has come is read before each.

        Returns:
            None when all was sent; `_ANSWERED` when the rest is not wanted any more; or what failed.
        """
        self._stream.settimeout(0)
        while data:
            failed = self._receive_early(attempt, reader) if self._has_input() else None
            if failed is not None:
                return failed
            try:
                data = data[self._stream.send(data[:_ONE_WRITE_BYTES]) :]
            except _AGAIN:
                # Raises when the time is up: the request is still being sent.
                wait((self._stream,), (self._stream,), attempt.left_s())
            except OSError as exc:
                return exc
        attempt.left_s()
        return None

    def _receive_early(self, attempt: "Attempt", reader: Reader) -> "OSError | MeshError | None":
        """Read what has come while the request is still being sent."""
        try:
            data = self._stream.recv(_READ_BYTES)
        except _AGAIN:
            return None
        except OSError as exc:
            return exc
        if not data:
            return ConnectionResetError()
        failed = self._feed(attempt, reader, data)
        if failed is None and (reader.complete or reader.status >= 300):
            return _ANSWERED
        return failed


def connect(service: Service, context: ssl.SSLContext | None, attempt: "Attempt") -> "Connection | MeshError":
    """Open a connection to the service's address, under the service's name.

    Raises:
        TimeoutError: the attempt's time was up.
    """
    give_up_at = min(attempt.until, time.monotonic() + attempt.connect_timeout_s)
    names: tuple[str, ...] = ()
    handshake: OSError | None = None
    try:
        # The system's resolver has time limits of its own, and takes none from here.
        found = socket.getaddrinfo(service.address.host, service.address.port, type=socket.SOCK_STREAM)
        schedule = Schedule((family, address) for family, _, _, _, address in found)
        while True:
            stream = race(schedule, give_up_at)
            if context is None:
                return Connection(service, stream)
            peer = (stream.family, stream.getpeername())
            try:
                stream.settimeout(share_s(_left_s(give_up_at), schedule.left))
                # Without TLS's own notice an end is no end, but an error (RFC 9112, section 9.8).
                secure = context.wrap_socket(
                    stream, server_hostname=service.origin.host, suppress_ragged_eofs=False
                )
            except OSError as exc:
                stream.close()
                handshake = exc
                if not schedule.left:
                    raise
            else:
                return Connection(service, secure)
    except OSError as exc:
        failure = handshake or exc
    try:
        if is_wrong_name(failure):
            names = certificate_names(service, peer, give_up_at)
        if _is_time_up(failure):
            attempt.left_s()  # raises where it was the attempt's time, and not the connection's
            return unreachable(service, f"no connection within {attempt.connect_timeout_s:g} s")
        return from_connect(service, failure, names)
    finally:
        del failure, handshake  # its traceback holds this frame: only the garbage collector would free both


def _is_time_up(exc: OSError) -> bool:
    # Python's own has no number. The kernel's ETIMEDOUT is a peer that stopped to acknowledge what it was sent.
    return isinstance(exc, TimeoutError) and exc.errno is None


def _left_s(give_up_at: float) -> float:
    left = give_up_at - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
