"""HTTP server that answers the real gcloud as Google's APIs do; on loopback, with nothing behind it.

gcloud reaches it as an HTTP proxy: it puts the region before an endpoint's host name (``europe-west1-run...``), so an
address alone could not serve as an endpoint. A request for a host that is no fake API is refused and remembered.
"""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from tests.deploy.api import dataflow, functions, project, pubsub, run
from tests.deploy.api.cloud import ApiError, Call
from tests.deploy.api.routes import Request, Route

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.deploy.api.cloud import Cloud, Json

TOKEN = "not-a-token-of-google"
APIS = (
    "cloudfunctions", "run", "pubsub", "eventarc", "cloudresourcemanager", "serviceusage", "iam", "cloudbuild",
    "storage", "artifactregistry", "dataflow", "compute",
)  # fmt: skip
DOMAIN = ".googleapis.test"
PATHS = {"compute": "compute/v1/"}
"""What some APIs have between their host and their methods."""
_ROUTES = [*functions.ROUTES, *run.ROUTES, *pubsub.ROUTES, *project.ROUTES, *dataflow.ROUTES]
_JSON = "application/json"


def answer(
    cloud: Cloud, method: str, url: str, body: bytes, authorization: str = f"Bearer {TOKEN}"
) -> tuple[int, Json]:
    """Answer one request and record it.

    Args:
        cloud: the project.
        method: the HTTP method.
        url: the absolute URL, as a proxy gets it.
        body: the request's body.
        authorization: the header of that name. A signed upload URL needs none.

    Returns:
        The status, and the JSON body.
    """
    parts = urlsplit(url)
    host = (parts.hostname or "").removesuffix(DOMAIN)
    api = next((name for name in APIS if host == name or host.endswith(f"-{name}")), "")
    for route in _ROUTES:
        if (resource := route.match(api, method, parts.path)) is None:
            continue
        if api != "storage" and authorization != f"Bearer {TOKEN}":
            return 401, ApiError(401, "UNAUTHENTICATED", "Request had invalid credentials.").body()
        query = dict(parse_qsl(parts.query))
        content = body if api == "storage" else json.loads(body or b"{}")
        return _recorded(cloud, route, Request(method, resource, query, content))
    cloud.unknown.append(f"{method} {url}")
    return 501, ApiError(501, "UNIMPLEMENTED", f"the fake API has no {method} {parts.path}").body()


def _recorded(cloud: Cloud, route: Route, request: Request) -> tuple[int, Json]:
    with cloud.lock:
        try:
            cloud.check(route.permission, request.resource)
            code, result = 200, route.handler(cloud, request)
        except ApiError as error:
            code, result = error.code, error.body()
        content = request.body if isinstance(request.body, dict) else {}
        cloud.calls.append(Call(route.permission, request.resource, content, request.query, code))
    return code, result


class JsonHandler(BaseHTTPRequestHandler):
    """Answers each request with JSON."""

    protocol_version = "HTTP/1.1"

    def respond(self, body: bytes) -> tuple[int, Json]:
        """Return the status and the JSON for the request that came."""
        raise NotImplementedError

    def _answer(self) -> None:
        code, result = self.respond(self.rfile.read(int(self.headers.get("content-length") or 0)))
        content = json.dumps(result).encode()
        self.send_response(code)
        self.send_header("content-type", _JSON)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = _answer  # noqa: N815 - http.server's names
    do_POST = _answer  # noqa: N815
    do_PUT = _answer  # noqa: N815
    do_PATCH = _answer  # noqa: N815
    do_DELETE = _answer  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Write no access log."""


class _Handler(JsonHandler):
    cloud: Cloud

    def respond(self, body: bytes) -> tuple[int, Json]:
        return answer(self.cloud, self.command, self.path, body, self.headers.get("authorization", ""))

    def do_CONNECT(self) -> None:
        """Refuse a tunnel: a test asks no real host."""
        self.cloud.unknown.append(f"CONNECT {self.path}")
        self.send_error(403)


@contextmanager
def listening(handler: type[JsonHandler]) -> Iterator[int]:
    """Serve on a port of the loopback address for the time of the block.

    Yields:
        The port.
    """
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def serving(cloud: Cloud) -> Iterator[int]:
    """Serve a project on a port of the loopback address for the time of the block.

    Yields:
        The port.
    """
    with listening(type("Handler", (_Handler,), {"cloud": cloud})) as port:
        yield port
