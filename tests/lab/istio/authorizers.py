"""External authorizers for tests: one over HTTP, one over gRPC, both real servers.

They allow a request whose header `x-ext-authz` says `allow`, and a connection from a service account called `friend`.
"""

from __future__ import annotations

import contextlib
import http.server
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import grpc

if TYPE_CHECKING:
    from collections.abc import Iterator

# envoy.service.auth.v3.CheckResponse with the google.rpc.Status OK or PERMISSION_DENIED (7) as its first field.
_OK, _PERMISSION_DENIED = b"\x0a\x00", b"\x0a\x02\x08\x07"


@contextlib.contextmanager
def authorizers() -> Iterator[dict[str, tuple[str, int]]]:
    """Run both, and give provider to protocol and port."""
    with _over_http() as http_port, _over_grpc() as grpc_port:
        yield {"ask-http": ("http", http_port), "ask-grpc": ("grpc", grpc_port)}


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        allowed = self.headers.get("x-ext-authz") == "allow" and self.path.startswith("/check/")
        self.send_response(200 if allowed else 403)
        self.send_header("x-ext-authz-added", self.headers.get("x-fixed", "missing"))
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        """Keep quiet."""


@contextlib.contextmanager
def _over_http() -> Iterator[int]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@contextlib.contextmanager
def _over_grpc() -> Iterator[int]:
    def check(request: bytes, _: object) -> bytes:
        # The header and its value stand next to each other in the request's map, a length and a tag between them.
        by_header = b"x-ext-authz\x12\x05allow" in request
        return _OK if by_header or b"/sa/friend" in request else _PERMISSION_DENIED

    methods = {"Check": grpc.unary_unary_rpc_method_handler(check)}
    handler = grpc.method_handlers_generic_handler("envoy.service.auth.v3.Authorization", methods)
    with ThreadPoolExecutor(max_workers=2) as pool:
        server = grpc.server(pool, handlers=[handler])
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        yield port
        server.stop(None).wait()
