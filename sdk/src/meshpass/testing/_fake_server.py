"""A small HTTP/1.1 server on this machine, for the fakes to stand on."""

import http.server
import json
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

_POLL_S = 0.02


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it arrived.

    Args:
        method: The method, in capitals.
        target: Path and query, as they were sent.
        headers: By lower-case name; repeated ones joined with commas.
        body: The whole body.
    """

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> str:
        """The path without the query, still percent-encoded."""
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        """The query's parameters, decoded; of repeated ones the last."""
        parsed = parse_qs(urlsplit(self.target).query, keep_blank_values=True)
        return {name: values[-1] for name, values in parsed.items()}


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer to send.

    Args:
        status: The HTTP status.
        body: The body.
        headers: Headers besides `content-length`.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def json(cls, value: object, status: int = 200) -> Self:
        """Make an answer of JSON."""
        return cls(status, json.dumps(value).encode(), {"content-type": "application/json"})

    @classmethod
    def text(cls, words: str, status: int = 200) -> Self:
        """Make an answer of plain text; without words an empty one."""
        return cls(status, words.encode(), {"content-type": "text/plain"} if words else {})


class LocalServer:
    """Serves on 127.0.0.1 from `start` to `close`, or as a context manager.

    Args:
        respond: Makes the answer. It runs on a thread of its own for each connection.
    """

    def __init__(self, respond: Callable[[Request], Reply]) -> None:
        self._respond = respond
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def address(self) -> str:
        """Where it listens, as `127.0.0.1:PORT`.

        Raises:
            RuntimeError: it is not running.
        """
        if self._server is None:
            raise RuntimeError("This fake is not running: use it in a `with` block, or call start().")
        return f"127.0.0.1:{self._server.server_port}"

    def start(self) -> None:
        """Start serving on a free port."""
        self._server = _Server(self._respond)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=[_POLL_S], name="meshpass.testing", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop serving and break every connection."""
        server, thread = self._server, self._thread
        if server is None or thread is None:
            return
        server.shutdown()
        thread.join()
        server.server_close()
        server.break_connections()
        self._server = self._thread = None

    def break_connections(self) -> None:
        """Close every open connection from this side; new ones are welcome."""
        if self._server is not None:
            self._server.break_connections()


class Fake:
    """A fake that serves on this machine from `start` to `close`, or as a context manager."""

    def __init__(self) -> None:
        self._server = LocalServer(self._respond)

    @property
    def address(self) -> str:
        """Where it listens, as `127.0.0.1:PORT`.

        Raises:
            RuntimeError: it is not running.
        """
        return self._server.address

    def start(self) -> Self:
        """Start serving on a free port."""
        self._server.start()
        return self

    def close(self) -> None:
        """Stop serving."""
        self._server.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _respond(self, request: Request) -> Reply:
        raise NotImplementedError


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, respond: Callable[[Request], Reply]) -> None:
        self.respond = respond
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as the base class has it
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401 - as the base class has it
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def break_connections(self) -> None:
        with self._lock:
            connections = list(self._open)
        for connection in connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: object, client_address: object) -> None:
        """Stay quiet about callers that break off."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def handle_one_request(self) -> None:
        """Serve a request of whatever method."""
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        reply = self.server.respond(Request(self.command, self.path, self._joined_headers(), body))
        self.send_response_only(reply.status)
        for name, value in {**reply.headers, "content-length": str(len(reply.body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body)

    def _joined_headers(self) -> dict[str, str]:
        joined: dict[str, str] = {}
        for name, value in self.headers.items():
            key = name.lower()
            joined[key] = f"{joined[key]},{value}" if key in joined else value
        return joined

    def log_message(self, *args: object) -> None:
        """Stay quiet."""
