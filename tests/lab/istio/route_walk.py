"""One real Envoy whose routes a test replaces, with small servers behind it that report what reached them."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import queue
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from meshlab.istio import Address
from meshlab.istio.envoy.connection_manager import connection_manager
from meshlab.istio.envoy.routes import route_configuration
from meshlab.istio.read.mesh_config import MeshSettings
from meshlab.processes.envoy import Envoy
from meshlab.processes.ports import LOOPBACK, free_ports
from meshlab.processes.supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from meshlab.processes.supervisor import Child

__all__ = ["Reply", "RouteWalk", "route_walk"]

_ROUTES = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
_HOLD_S = 10.0
_MARKER_HOST = "version.of.the.routes"


@dataclass(frozen=True)
class Reply:
    """A response, and what the server behind Envoy saw of the request, where it got that far."""

    status: int
    headers: Mapping[str, str]
    body: str

    @property
    def seen(self) -> dict[str, Any]:
        """The request as it reached a server: `server`, `method`, `path`, `headers`."""
        found: dict[str, Any] = json.loads(self.body)
        return found


@dataclass
class RouteWalk:
    """An Envoy with one plaintext listener.

    Attributes:
        envoy: The proxy.
        child: Its process.
        address: Where it listens.
        routes: The file that it follows.
        servers: The servers behind it, by cluster.
    """

    envoy: Envoy
    child: Child
    address: Address
    routes: Path
    servers: Mapping[str, EchoServer]
    _connection: http.client.HTTPConnection | None = field(default=None, repr=False)

    def serve(self, virtual_hosts: Sequence[Mapping[str, Any]]) -> None:
        """Replace the routes, and wait until requests meet the new ones."""
        version = hashlib.sha256(json.dumps(virtual_hosts).encode()).hexdigest()
        marker = {
            "name": "marker",
            "domains": [_MARKER_HOST],
            "routes": [
                {
                    "match": {"prefix": "/"},
                    "directResponse": {"status": 200, "body": {"inlineString": version}},
                }
            ],
        }
        config = route_configuration("walk", [*virtual_hosts, marker])  # type: ignore[list-item]
        resources = [{"@type": _ROUTES, **config}]
        # Envoy looks at the file when another one is moved into its place.
        new = self.routes.with_suffix(".new")
        new.write_text(json.dumps({"version_info": version, "resources": resources}))
        new.replace(self.routes)
        self.child.wait_until(lambda: self._version() == version, "did not take the routes")

    def send(
        self,
        path: str = "/",
        *,
        method: str = "GET",
        host: str = "cart.example",
        headers: Iterable[tuple[str, str]] = (),
    ) -> Reply:
        """Send a request and read its response; the connection is used again."""
        connection = self._connection or http.client.HTTPConnection(
            self.address.host, self.address.port, timeout=10
        )
        self._connection = connection
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in (("Host", host), *headers):
            connection.putheader(name, value)
        connection.endheaders()
        response = connection.getresponse()
        body = response.read().decode()
        return Reply(response.status, {name.lower(): value for name, value in response.getheaders()}, body)

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _version(self) -> str:
        try:
            return self.send(host=_MARKER_HOST).body
        except (OSError, http.client.HTTPException):
            self.close()
            return ""


class EchoServer:
    """A server that reports each request in its response, and keeps it for a test that waits for a copy.

    A header `x-fail: N` makes it answer 503 to the first N attempts, `x-hold` makes it wait for `release`.
    """

    def __init__(self, name: str) -> None:
        self.release = threading.Event()
        self.requests: queue.Queue[dict[str, Any]] = queue.Queue()
        echo = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self) -> None:
                names = dict.fromkeys(key.lower() for key in self.headers)
                headers = {key: ",".join(self.headers.get_all(key, [])) for key in names}
                seen = {"server": name, "method": self.command, "path": self.path, "headers": headers}
                echo.requests.put(seen)
                if "x-hold" in headers:
                    echo.release.wait(_HOLD_S)
                failed = int(headers.get("x-envoy-attempt-count", 1)) <= int(headers.get("x-fail", 0))
                body = json.dumps(seen).encode()
                self.send_response(503 if failed else 200)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("X-From", "server")
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_PUT = do_OPTIONS = _answer  # noqa: N815 - names of the base class

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as in the base class
                """Log nothing."""

        self._server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def address(self) -> Address:
        """Where it listens."""
        return Address(LOOPBACK, int(self._server.server_address[1]))

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextlib.contextmanager
def route_walk(clusters: Iterable[str], filters: Sequence[dict[str, Any]] = ()) -> Iterator[RouteWalk]:
    """Start an Envoy with a cluster and a server for each name.

    Args:
        clusters: The clusters that routes may lead to.
        filters: The HTTP filters of policies.
    """
    with contextlib.ExitStack() as ends:
        supervisor = ends.enter_context(Supervisor())
        servers = {name: EchoServer(name) for name in clusters}
        for server in servers.values():
            ends.callback(server.close)
        ports = free_ports()
        listen, admin = Address(LOOPBACK, next(ports)), Address(LOOPBACK, next(ports))
        routes = supervisor.directory / "routes.json"
        manager = connection_manager(
            stat_prefix="walk",
            routes={},
            filters=filters,
            access_log=[],
            side="gateway",
            settings=MeshSettings(),
        )
        config = manager["typedConfig"]
        del config["routeConfig"]
        source = {"pathConfigSource": {"path": str(routes)}, "resourceApiVersion": "V3"}
        config["rds"] = {"routeConfigName": "walk", "configSource": source}
        routes.write_text(
            json.dumps({"version_info": "0", "resources": [{"@type": _ROUTES, "name": "walk"}]})
        )
        bootstrap = {
            "node": {"id": "walk", "cluster": "walk"},
            "admin": {"address": admin.envoy},
            "staticResources": {
                "listeners": [
                    {"name": "walk", "address": listen.envoy, "filterChains": [{"filters": [manager]}]}
                ],
                "clusters": [_cluster(name, server.address) for name, server in servers.items()],
            },
        }
        envoy = Envoy(supervisor, "walk", bootstrap, admin)
        child = envoy.start()
        envoy.wait_ready()
        running = RouteWalk(envoy, child, listen, routes, servers)
        ends.callback(running.close)
        yield running


def _cluster(name: str, address: Address) -> dict[str, Any]:
    endpoints = [{"lbEndpoints": [{"endpoint": {"address": address.envoy}}]}]
    return {
        "name": name,
        "type": "STATIC",
        "loadAssignment": {"clusterName": name, "endpoints": endpoints},
    }
