"""HTTP/2 client that sends header values as they are; names go out in lower case, as HTTP/2 demands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
)
from h2.exceptions import ProtocolError

from meshlab.bench.wire.socket_reader import StreamError

if TYPE_CHECKING:
    from meshlab.bench.client.wire_request import WireRequest
    from meshlab.bench.wire.socket_reader import Stream

__all__ = ["exchange_http2"]

_STREAM = 1
_FRAME_HEADER_BYTES = 9
_SETTINGS = b"\4"
_BODY_BYTES = 16_777_216


def exchange_http2(stream: Stream, request: WireRequest) -> tuple[int, tuple[tuple[str, str], ...], bytes]:
    """Send a request and return status, headers and body of its response.

    Raises:
        StreamError: The other end refused the request or does not speak HTTP/2.
        OSError: The connection broke.
    """
    try:
        return _exchange(stream, request)
    except (ProtocolError, UnicodeDecodeError) as error:
        raise StreamError("the other end does not speak HTTP/2") from error


def _exchange(stream: Stream, request: WireRequest) -> tuple[int, tuple[tuple[str, str], ...], bytes]:
    # The mesh judges the request, so the library must neither check nor correct it.
    h2 = H2Connection(
        H2Configuration(
            header_encoding="utf-8",
            validate_outbound_headers=False,
            normalize_outbound_headers=False,
            validate_inbound_headers=False,
        )
    )
    h2.initiate_connection()
    h2.send_headers(_STREAM, _headers(request), end_stream=not request.body)
    unsent, headers, body = request.body, [], bytearray()
    stream.send_as_far_as_taken(h2.data_to_send())
    _check_preface(stream)
    while True:
        unsent = _send_some(h2, unsent)
        stream.send_as_far_as_taken(h2.data_to_send())
        data = stream.take()
        if not data:
            raise StreamError("the connection was closed without an answer")
        for event in h2.receive_data(data):
            if isinstance(event, ResponseReceived):
                headers = [(str(name), str(value)) for name, value in event.headers]
            elif isinstance(event, DataReceived):
                body += event.data
                h2.acknowledge_received_data(event.flow_controlled_length, _STREAM)
                if len(body) > _BODY_BYTES:
                    raise StreamError("the body is too large")
            elif isinstance(event, (StreamEnded, StreamReset)) and headers:
                status = dict(headers).get(":status", "")
                plain = tuple((name, value) for name, value in headers if not name.startswith(":"))
                return int(status) if status.isdigit() else 0, plain, bytes(body)
            elif isinstance(event, StreamReset):
                raise StreamError(f"the other end reset the stream with error code {int(event.error_code)}")
            elif isinstance(event, ConnectionTerminated) and event.error_code:
                code = int(event.error_code)
                raise StreamError(f"the other end ended the connection with error code {code}")


def _check_preface(stream: Stream) -> None:
    """Look at the first frame, which must be SETTINGS (RFC 9113, section 3.4); the library would wait for its end."""
    first = stream.peek_at_least(_FRAME_HEADER_BYTES)
    if first and first[3:4] != _SETTINGS:
        raise StreamError("the other end does not speak HTTP/2")


def _headers(request: WireRequest) -> list[tuple[str, str]]:
    pseudo = [(":method", request.method), (":scheme", request.scheme), (":path", request.target)]
    if request.authority is not None:
        pseudo.append((":authority", request.authority))
    headers = [(name.lower(), value) for name, value in request.headers]
    if request.body and not request.announces_body:
        headers.append(("content-length", str(len(request.body))))
    return pseudo + headers


def _send_some(h2: H2Connection, unsent: bytes) -> bytes:
    """Send what the flow-control window takes and return the rest."""
    while unsent:
        room = min(h2.local_flow_control_window(_STREAM), h2.max_outbound_frame_size)
        if room <= 0:
            break
        h2.send_data(_STREAM, unsent[:room], end_stream=len(unsent) <= room)
        unsent = unsent[room:]
    return unsent
