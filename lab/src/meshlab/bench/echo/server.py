"""The echo server itself: many ports, one thread per connection."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import socket
import threading
import time
from typing import TYPE_CHECKING

from meshlab.bench.echo.exchange import ReceivedRequest, Response, TlsFacts, respond
from meshlab.bench.echo.http1 import looks_like_http1, serve_http1
from meshlab.bench.wire.socket_reader import Stream, StreamError

if TYPE_CHECKING:
    from meshlab.bench.echo.server_tls import ServerTls
    from meshlab.bench.echo.table import EchoPort, EchoTable

__all__ = ["EchoServer"]

_LOOPBACK = "127.0.0.1"
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_MAX_CONNECTIONS = 1_000
_SNIFF_TIMEOUT_S = 1.0
_HANDSHAKE_TIMEOUT_S = 10.0
# Proxies keep connections to an application open between requests.
_IDLE_TIMEOUT_S = 600.0
_TLS_HANDSHAKE_RECORD = 0x16


class EchoServer:
    """Serves a table of ports until it is closed.

    Args:
        table: The table.
        tls: Terminates TLS on every port.
        record: File descriptor that gets one JSON line per request.

    Raises:
        OSError: A port is taken.
    """

    def __init__(self, table: EchoTable, tls: ServerTls, record: int) -> None:
        self._tls = tls
        self._record = record
        self._room = threading.BoundedSemaphore(_MAX_CONNECTIONS)
        self._selector = selectors.DefaultSelector()
        with contextlib.ExitStack() as stack:
            for port in table.ports:
                listener = stack.enter_context(socket.create_server((_LOOPBACK, port.port), backlog=256))
                listener.setblocking(False)
                self._selector.register(listener, selectors.EVENT_READ, port)
            self._listeners = stack.pop_all()

    def serve_forever(self) -> None:
        """Accept connections until the process ends."""
        while True:
            # A signal that comes just before the wait does not end it, so the wait is short.
            for key, _ in self._selector.select(timeout=1):
                with contextlib.suppress(OSError):
                    self._accept(key.fileobj, key.data)  # type: ignore[arg-type]

    def close(self) -> None:
        """Close the listening sockets."""
        self._selector.close()
        self._listeners.close()

    def _accept(self, listener: socket.socket, port: EchoPort) -> None:
        connection, address = listener.accept()
        if not self._room.acquire(blocking=False):
            connection.close()
            return
        peer = f"{address[0]}:{address[1]}"
        threading.Thread(target=self._serve, args=(connection, peer, port), daemon=True).start()

    def _serve(self, connection: socket.socket, peer: str, port: EchoPort) -> None:
        with contextlib.suppress(OSError, StreamError), contextlib.closing(connection):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._serve_any(connection, peer, port)
        self._room.release()

    def _serve_any(self, connection: socket.socket, peer: str, port: EchoPort) -> None:
        connection.settimeout(_SNIFF_TIMEOUT_S)
        first = b""
        with contextlib.suppress(TimeoutError):
            first = connection.recv(1, socket.MSG_PEEK)
        connection.settimeout(_HANDSHAKE_TIMEOUT_S)
        if first and first[0] == _TLS_HANDSHAKE_RECORD:
            name = port.app.partition("/")[2] or port.app or "localhost"
            tls, facts = self._tls.accept(connection, name, port.certificate)
            with contextlib.closing(tls):
                self._serve_stream(Stream(tls), peer, port, facts)
        else:
            self._serve_stream(Stream(connection), peer, port, None)

    def _serve_stream(self, stream: Stream, peer: str, port: EchoPort, tls: TlsFacts | None) -> None:
        def answer(request: ReceivedRequest) -> Response:
            self._write_record(request, port)
            return respond(request, port)

        stream.sock.settimeout(_SNIFF_TIMEOUT_S)
        protocol = _sniff(stream)
        stream.sock.settimeout(_IDLE_TIMEOUT_S)
        match protocol:
            case "HTTP/2":
                # Most applications are never asked over HTTP/2, and loading h2 takes half of the start.
                from meshlab.bench.echo.http2 import serve_http2

                serve_http2(stream, peer, tls, answer, port.rules)
            case "HTTP/1.1":
                serve_http1(stream, peer, tls, answer)
            case _:
                self._serve_bytes(stream, peer, port, tls)

    def _serve_bytes(self, stream: Stream, peer: str, port: EchoPort, tls: TlsFacts | None) -> None:
        """Answer the first bytes, or a client that sends none, with one line, and wait until the client closes."""
        request = ReceivedRequest("TCP", peer, body=stream.peek_at_least(0), tls=tls)
        self._write_record(request, port)
        response = port.response_for(tls.sni if tls else "")
        if response is not None:
            stream.send(response.body.encode())
        else:
            stream.send(json.dumps(request.facts(port)).encode() + b"\n")
        while stream.take():
            pass

    def _write_record(self, request: ReceivedRequest, port: EchoPort) -> None:
        # One write call per line: lines of two threads never mix.
        record = {"at": time.time()} | request.facts(port)
        os.write(self._record, json.dumps(record).encode() + b"\n")


def _sniff(stream: Stream) -> str:
    """Return the protocol of the client's first bytes, bare TCP where they stop before it is decided."""
    with contextlib.suppress(TimeoutError):
        seen = stream.peek_at_least(1)
        while len(seen) < len(_PREFACE) and seen and _PREFACE.startswith(seen):
            before, seen = seen, stream.peek_at_least(len(seen) + 1)
            if seen == before:
                return "TCP"
        if seen.startswith(_PREFACE):
            return "HTTP/2"
        if seen and looks_like_http1(stream):
            return "HTTP/1.1"
    return "TCP"
