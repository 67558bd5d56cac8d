"""Local HTTP/1.1 server that the fakes are built on."""

import http.server
import json
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from io import BufferedIOBase
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    import httpx

    from meshpass.testing._forms import UploadedFile

_POLL_S = 0.02
_LONGEST_LINE = 65_537


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it arrived.

    Args:
        method: The method, in capitals.
        target: Path and query, as they were sent.
        headers: By lower-case name; repeated ones joined with commas.
        body: The whole body. A chunked body is joined.
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
        """The query's parameters, decoded; of repeated ones the last. `params` has all of them."""
        parsed = parse_qs(urlsplit(self.target).query, keep_blank_values=True)
        return {name: values[-1] for name, values in parsed.items()}

    @property
    def params(self) -> "httpx.QueryParams":
        """The query's parameters, decoded, repeated ones too: `request.params.get_list("tag")`."""
        import httpx

        return httpx.QueryParams(urlsplit(self.target).query)

    @property
    def text(self) -> str:
        """The body as text, in the charset of its content type; UTF-8 without one.

        Raises:
            UnicodeDecodeError: The body is not text in this charset.
            LookupError: Python has no such charset.
        """
        from meshpass.testing._forms import parameter

        return self.body.decode(parameter(self.headers.get("content-type", ""), "charset") or "utf-8")

    def json(self) -> Any:  # noqa: ANN401 - as `json.loads` and httpx have it
        """Return the body, read as JSON.

        Raises:
            ValueError: The body is not JSON.
        """
        return json.loads(self.body)

    @property
    def form(self) -> dict[str, str]:
        """The fields of a form, URL-encoded or multipart; of repeated ones the last.

        Raises:
            ValueError: The body is not a form.
        """
        from meshpass.testing._forms import form

        return form(self.headers.get("content-type", ""), self.body)[0]

    @property
    def files(self) -> "dict[str, UploadedFile]":
        """The files of a multipart form, by the names of their fields; of repeated ones the last.

        Raises:
            ValueError: The body is not a form.
        """
        from meshpass.testing._forms import form

        return form(self.headers.get("content-type", ""), self.body)[1]


@dataclass(frozen=True, slots=True)
class Reply:
    """A response to send.

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
        """Make a response of JSON."""
        return cls(status, json.dumps(value).encode(), {"content-type": "application/json"})

    @classmethod
    def text(cls, words: str, status: int = 200) -> Self:
        """Make a response of plain text; without words an empty one."""
        return cls(status, words.encode(), {"content-type": "text/plain"} if words else {})


class LocalServer:
    """Server on 127.0.0.1 from `start` to `close`, or as a context manager.

    Args:
        respond: Makes the response. It runs on a thread of its own for each connection.
    """

    def __init__(self, respond: Callable[[Request], Reply]) -> None:
        self._respond = respond
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def address(self) -> str:
        """Where it listens, as `127.0.0.1:PORT`.

        Raises:
            RuntimeError: It is not running.
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
        """Close every open connection from this side; new ones are accepted."""
        if self._server is not None:
            self._server.break_connections()


class Fake:
    """Fake that serves on this machine from `start` to `close`, or as a context manager."""

    def __init__(self) -> None:
        self._server = LocalServer(self._respond)

    @property
    def address(self) -> str:
        """Where it listens, as `127.0.0.1:PORT`.

        Raises:
            RuntimeError: It is not running.
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
        """Print nothing about callers that break off."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body in one write, sent at once. A second segment would wait for the first one's acknowledgement, and
    # the client's kernel delays that by up to 40 ms (RFC 9293, sections 3.7.4 and 3.8.6.3).
    wbufsize = -1
    disable_nagle_algorithm = True
    server: _Server

    def handle_one_request(self) -> None:
        """Serve one request of any method."""
        self.raw_requestline = self.rfile.readline(_LONGEST_LINE)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        body = self._body()
        reply = self.server.respond(Request(self.command, self.path, self._joined_headers(), body))
        self.send_response_only(reply.status)
        for name, value in {**reply.headers, "content-length": str(len(reply.body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body)
        self.wfile.flush()

    def _body(self) -> bytes:
        if "chunked" in self.headers.get("transfer-encoding", "").lower():
            return _read_chunks(self.rfile)
        return self.rfile.read(int(self.headers.get("content-length", 0)))

    def _joined_headers(self) -> dict[str, str]:
        joined: dict[str, str] = {}
        for name, value in self.headers.items():
            key = name.lower()
            joined[key] = f"{joined[key]},{value}" if key in joined else value
        return joined

    def log_message(self, *args: object) -> None:
        """Print nothing."""


def _read_chunks(stream: BufferedIOBase) -> bytes:
    """Read a chunked body up to its end (RFC 9112, section 7.1); extensions and trailers are dropped.

    Raises:
        ConnectionError: The body ended early, or its framing is broken.
    """
    parts = []
    while size := _chunk_size(stream.readline(_LONGEST_LINE)):
        part = stream.read(size)
        if len(part) < size or stream.read(2) != b"\r\n":
            raise ConnectionError("The chunked body ended early.")
        parts.append(part)
    while stream.readline(_LONGEST_LINE).strip():
        pass
    return b"".join(parts)


def _chunk_size(line: bytes) -> int:
    digits = line.partition(b";")[0].strip()
    try:
        return int(digits, 16)
    except ValueError:
        raise ConnectionError(f"A chunk begins with {digits[:20]!r} in place of its size.") from None
