"""HTTP/2 side of the echo server: prior knowledge or ALPN, and the outline of gRPC."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    RequestReceived,
    StreamEnded,
    StreamReset,
    WindowUpdated,
)
from h2.exceptions import ProtocolError

from meshlab.bench.echo.authorizer import CHECK_PATH, check
from meshlab.bench.echo.exchange import ReceivedRequest, Response
from meshlab.bench.echo.protobuf import MalformedMessageError
from meshlab.bench.wire.socket_reader import StreamError

if TYPE_CHECKING:
    from collections.abc import Callable

    from h2.events import Event

    from meshlab.bench.case import AuthorizerRule
    from meshlab.bench.echo.exchange import TlsFacts
    from meshlab.bench.wire.socket_reader import Stream

__all__ = ["serve_http2"]


_BODY_BYTES = 16_777_216
_EMPTY_MESSAGE = b"\0\0\0\0\0"
_GRPC_INTERNAL = "13"


@dataclass
class _Open:
    """A request that is still being received, or a response that waits for the client's window."""

    headers: list[tuple[str, str]]
    body: bytearray = field(default_factory=bytearray)
    unsent: bytes = b""
    trailers: list[tuple[str, str]] | None = None
    answered: bool = False


class _Connection:
    def __init__(
        self,
        stream: Stream,
        peer: str,
        tls: TlsFacts | None,
        answer: Callable[[ReceivedRequest], Response],
        rules: tuple[AuthorizerRule, ...] | None,
    ) -> None:
        self._stream, self._peer, self._tls = stream, peer, tls
        self._answer, self._rules = answer, rules
        config = H2Configuration(client_side=False, header_encoding="utf-8", validate_inbound_headers=False)
        self._h2 = H2Connection(config)
        self._open: dict[int, _Open] = {}

    def serve(self) -> None:
        self._h2.initiate_connection()
        self._flush()
        while data := self._stream.take():
            try:
                events = self._h2.receive_data(data)
            except (ProtocolError, UnicodeDecodeError) as error:
                self._flush()
                raise StreamError("the client does not speak HTTP/2") from error
            for event in events:
                if isinstance(event, ConnectionTerminated):
                    return
                self._handle(event)
            self._flush()

    def _handle(self, event: Event) -> None:
        if isinstance(event, RequestReceived):
            self._open[event.stream_id] = _Open([(str(name), str(value)) for name, value in event.headers])
        elif isinstance(event, DataReceived) and event.stream_id in self._open:
            body = self._open[event.stream_id].body
            body += event.data
            self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            if len(body) > _BODY_BYTES:
                self._h2.reset_stream(event.stream_id, ErrorCodes.ENHANCE_YOUR_CALM)
                del self._open[event.stream_id]
        elif isinstance(event, StreamEnded) and event.stream_id in self._open:
            self._respond(event.stream_id, self._open[event.stream_id])
        elif isinstance(event, StreamReset):
            self._open.pop(event.stream_id, None)
        elif isinstance(event, WindowUpdated):
            waiting = [stream_id for stream_id, state in self._open.items() if state.answered]
            for stream_id in waiting:
                self._send_data(stream_id)

    def _respond(self, stream_id: int, state: _Open) -> None:
        request = self._request(state)
        response = self._answer(request)
        headers = [(":status", str(response.status))]
        if request.header("content-type").startswith("application/grpc"):
            state.unsent, grpc_status = self._grpc_message(request)
            headers = [(":status", "200"), ("content-type", "application/grpc")]
            state.trailers = [("grpc-status", grpc_status)]
        else:
            state.unsent = response.body if response.has_body and request.method != "HEAD" else b""
            headers += [(name.lower(), value) for name, value in response.headers]
            if response.has_body and "content-length" not in dict(headers):
                headers.append(("content-length", str(len(response.body))))
        state.answered = True
        self._h2.send_headers(stream_id, headers)
        self._send_data(stream_id)

    def _request(self, state: _Open) -> ReceivedRequest:
        pseudo = {name: value for name, value in state.headers if name.startswith(":")}
        headers = tuple((name, value) for name, value in state.headers if not name.startswith(":"))
        method, target = pseudo.get(":method", ""), pseudo.get(":path", "")
        host = pseudo.get(":authority", "") or dict(headers).get("host", "")
        return ReceivedRequest(
            "HTTP/2", self._peer, method, target, host, headers, bytes(state.body), self._tls
        )

    def _grpc_message(self, request: ReceivedRequest) -> tuple[bytes, str]:
        if self._rules is None or request.target != CHECK_PATH:
            return _EMPTY_MESSAGE, "0"
        try:
            return check(self._rules, request.body), "0"
        except (MalformedMessageError, UnicodeDecodeError):
            return b"", _GRPC_INTERNAL

    def _send_data(self, stream_id: int) -> None:
        """Send as much as the client's flow-control window takes; a window update continues."""
        state = self._open[stream_id]
        while state.unsent:
            room = min(self._h2.local_flow_control_window(stream_id), self._h2.max_outbound_frame_size)
            if room <= 0:
                return
            self._h2.send_data(stream_id, state.unsent[:room])
            state.unsent = state.unsent[room:]
        if state.trailers is None:
            self._h2.end_stream(stream_id)
        else:
            self._h2.send_headers(stream_id, state.trailers, end_stream=True)
        del self._open[stream_id]

    def _flush(self) -> None:
        self._stream.send(self._h2.data_to_send())


def serve_http2(
    stream: Stream,
    peer: str,
    tls: TlsFacts | None,
    answer: Callable[[ReceivedRequest], Response],
    rules: tuple[AuthorizerRule, ...] | None,
) -> None:
    """Serve requests until the client closes the connection.

    A gRPC call gets an empty message and the status 0, or the authorizer's decision.

    Raises:
        StreamError: What the client sent is not HTTP/2.
        OSError: The connection broke.
    """
    _Connection(stream, peer, tls, answer, rules).serve()
