"""A prototype of an asyncio connection that carries many calls over HTTP/2, built on `h2`: enough to be measured.

It multiplexes, keeps to flow control and reads whole responses. It has none of what a client needs besides: no time
limits, no GOAWAY, no limit to streams or bodies, no ping, and no second connection.
"""

import asyncio
import ssl
from typing import cast

import h2.config
import h2.connection
import h2.events
from meshpass._call.request import Attempt
from meshpass._call.response import RawResponse
from meshpass._call.service import Service

_WINDOW_BYTES = 16 * 1024 * 1024


class Http2Connection(asyncio.Protocol):
    """One connection for all calls.

    Args:
        service: The service that it leads to.
    """

    def __init__(self, service: Service) -> None:
        self._authority = service.origin.url.partition("://")[2]
        self._h2 = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=True, header_encoding=None, validate_inbound_headers=True)
        )
        self._streams: dict[int, _Stream] = {}
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._h2.initiate_connection()
        self._h2.increment_flow_control_window(_WINDOW_BYTES)
        self._transport.write(self._h2.data_to_send())

    def data_received(self, data: bytes) -> None:
        for event in self._h2.receive_data(data):
            if isinstance(event, h2.events.ResponseReceived):
                self._streams[event.stream_id].head = event.headers
            elif isinstance(event, h2.events.DataReceived):
                self._streams[event.stream_id].parts.append(event.data)
                self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.StreamEnded):
                stream = self._streams.pop(event.stream_id)
                stream.done.set_result(None)
            elif isinstance(event, h2.events.StreamReset):
                self._streams.pop(event.stream_id).done.set_exception(ConnectionResetError())
        pending = self._h2.data_to_send()
        if pending:
            self._transport.write(pending)

    async def send(self, attempt: Attempt) -> RawResponse:
        """Send one attempt without a body and read its response."""
        fields = [
            (":method", attempt.method),
            (":scheme", "https"),
            (":authority", self._authority),
            (":path", attempt.target),
            *attempt.headers.items(),
            *attempt.secrets.items(),
        ]
        stream = _Stream()
        number = self._h2.get_next_available_stream_id()
        self._streams[number] = stream
        self._h2.send_headers(number, fields, end_stream=True)
        self._transport.write(self._h2.data_to_send())
        await stream.done
        (_, status), *head = stream.head
        return RawResponse(int(status), head, b"".join(stream.parts), 0.0)

    def close(self) -> None:
        """Close the connection at once."""
        self._transport.abort()


class _Stream:
    def __init__(self) -> None:
        self.head: list[tuple[bytes, bytes]] = []
        self.parts: list[bytes] = []
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()


async def connect(service: Service, context: ssl.SSLContext) -> Http2Connection:
    """Open a connection that speaks HTTP/2."""
    _, connection = await asyncio.get_running_loop().create_connection(
        lambda: Http2Connection(service),
        service.address.host,
        service.address.port,
        ssl=context,
        server_hostname=service.origin.host,
    )
    return connection
