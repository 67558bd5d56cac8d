"""One request over one new connection, within one time limit."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshlab.bench.client.connect import Connection
from meshlab.bench.client.http1 import exchange_http1
from meshlab.bench.client.reply import Reply, describe_end
from meshlab.bench.wire.socket_reader import Deadline, Stream, StreamError

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshlab.bench.client.connect import Connector
    from meshlab.bench.client.wire_request import WireRequest

__all__ = ["send_bytes", "send_http"]

_QUIET_S = 0.2


@dataclass
class _Received:
    """What came back so far; it outlives the error that ends the exchange."""

    status: int | None = None
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


def send_http(connector: Connector, request: WireRequest, timeout_s: float) -> Reply:
    """Send an HTTP request and read the whole response.

    Args:
        connector: How to connect.
        request: The request.
        timeout_s: The limit for all of it, in seconds.

    Raises:
        ValueError: The request cannot be written in that version of HTTP.
    """
    encode = exchange_http1
    if request.version == "2":
        # Loading h2 takes longer than many runs of HTTP/1.1 cases send requests.
        from meshlab.bench.client.http2 import exchange_http2

        encode = exchange_http2

    def talk(stream: Stream) -> _Received:
        return _Received(*encode(stream, request))

    return _converse(connector, timeout_s, talk)


def send_bytes(connector: Connector, data: bytes, timeout_s: float) -> Reply:
    """Send bytes and read until a line is complete, the other end finishes, or it says no more.

    Args:
        connector: How to connect.
        data: The bytes.
        timeout_s: The limit for all of it, in seconds.
    """

    def talk(stream: Stream) -> _Received:
        if data:
            stream.send_as_far_as_taken(data)
        body = stream.take()
        with contextlib.suppress(OSError):
            while body and not body.endswith(b"\n"):
                stream.limit(Deadline(_QUIET_S))
                more = stream.take()
                if not more:
                    break
                body += more
        if not body:
            raise StreamError("the connection was closed without an answer")
        return _Received(body=body)

    return _converse(connector, timeout_s, talk)


def _converse(connector: Connector, timeout_s: float, talk: Callable[[Stream], _Received]) -> Reply:
    connection = Connection(connector, Deadline(timeout_s))
    received, failure = _Received(), ""
    try:
        received = talk(connection.open())
    except (OSError, StreamError) as error:
        failure = describe_end(error)
    finally:
        ended = time.time()
        connection.close()
    return Reply(
        connection.client_address,
        received.status,
        received.headers,
        received.body,
        connection.certificate,
        failure,
        connection.began,
        ended,
    )
