"""A real Envoy with TLS for HTTP/1.1 and HTTP/2, in front of one service, as a gateway of the mesh stands there."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from meshlab.certificates import CertificateAuthority
from meshlab.istio import Address
from meshlab.processes.envoy import Envoy
from meshlab.processes.ports import LOOPBACK, free_ports
from meshlab.processes.supervisor import Supervisor

_V3 = "type.googleapis.com/envoy.extensions"


@dataclass(frozen=True)
class Gateway:
    """A gateway that runs.

    Args:
        address: Where it listens, as `127.0.0.1:PORT`.
        ca_file: The CA that signed its certificate.
        admin: Where its admin interface listens.
    """

    address: str
    ca_file: Path
    admin: Address


@contextmanager
def running(
    host: str, service: str, *, filters: Sequence[Mapping[str, Any]] = (), speaks_http2: bool = False
) -> Iterator[Gateway]:
    """Run a gateway that serves one host and resets TLS for any other.

    Args:
        host: The virtual host.
        service: The address of the service behind it.
        filters: HTTP filters before the router; see `http_filter`.
        speaks_http2: Whether the service speaks HTTP/2, as one of gRPC does; HTTP/1.1 otherwise.
    """
    ports = free_ports()
    port, admin = next(ports), next(ports)
    with Supervisor() as supervisor:
        files = (
            CertificateAuthority.create("bench")
            .issue(dns_names=[host])
            .write(supervisor.directory / "tls", chain="chain.pem", key="key.pem", root="ca.pem")
        )
        config = {
            "node": {"id": "gateway", "cluster": "gateway"},
            "admin": {"address": _address(admin)},
            "staticResources": {
                "listeners": [_listener(host, port, files, filters)],
                "clusters": [_cluster(service, speaks_http2=speaks_http2)],
            },
        }
        envoy = Envoy(supervisor, "gateway", config, Address(LOOPBACK, admin))
        envoy.start()
        envoy.wait_ready()
        yield Gateway(f"{LOOPBACK}:{port}", files / "ca.pem", Address(LOOPBACK, admin))


def http_filter(kind: str, **fields: object) -> dict[str, Any]:
    """Return a filter of Envoy, such as `rbac.v3.RBAC`, with its settings."""
    return {
        "name": f"envoy.filters.http.{kind.partition('.')[0]}",
        "typedConfig": {"@type": f"{_V3}.filters.http.{kind}", **fields},
    }


def jwt_filter(issuer: str, audience: str, jwks: Mapping[str, Any]) -> dict[str, Any]:
    """Return the filter that lets no request through without a token of this issuer for this audience."""
    provider = {
        "issuer": issuer,
        "audiences": [audience],
        "localJwks": {"inlineString": json.dumps(jwks)},
        "forward": False,
    }
    rule = {"match": {"prefix": "/"}, "requires": {"providerName": "caller"}}
    return http_filter("jwt_authn.v3.JwtAuthentication", providers={"caller": provider}, rules=[rule])


def _listener(host: str, port: int, files: Path, filters: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    routes = [{"match": {"prefix": "/"}, "route": {"cluster": "service"}}]
    manager = {
        "@type": f"{_V3}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "statPrefix": "gateway",
        "serverName": "istio-envoy",
        "routeConfig": {"virtualHosts": [{"name": "one", "domains": [host], "routes": routes}]},
        "httpFilters": [*filters, http_filter("router.v3.Router")],
    }
    certificate = {
        "certificateChain": {"filename": str(files / "chain.pem")},
        "privateKey": {"filename": str(files / "key.pem")},
    }
    tls = {
        "@type": f"{_V3}.transport_sockets.tls.v3.DownstreamTlsContext",
        "commonTlsContext": {"alpnProtocols": ["h2", "http/1.1"], "tlsCertificates": [certificate]},
    }
    inspector = {"@type": f"{_V3}.filters.listener.tls_inspector.v3.TlsInspector"}
    return {
        "name": "gateway",
        "address": _address(port),
        "listenerFilters": [{"name": "envoy.filters.listener.tls_inspector", "typedConfig": inspector}],
        "filterChains": [
            {
                "filterChainMatch": {"serverNames": [host]},
                "filters": [
                    {"name": "envoy.filters.network.http_connection_manager", "typedConfig": manager}
                ],
                "transportSocket": {"name": "envoy.transport_sockets.tls", "typedConfig": tls},
            }
        ],
    }


def _cluster(service: str, *, speaks_http2: bool) -> dict[str, Any]:
    port = int(service.rpartition(":")[2])
    options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    protocol: dict[str, Any] = {"http2ProtocolOptions" if speaks_http2 else "httpProtocolOptions": {}}
    return {
        "name": "service",
        "type": "STATIC",
        "loadAssignment": {
            "clusterName": "service",
            "endpoints": [{"lbEndpoints": [{"endpoint": {"address": _address(port)}}]}],
        },
        "typedExtensionProtocolOptions": {
            options: {"@type": f"type.googleapis.com/{options}", "explicitHttpConfig": protocol}
        },
    }


def _address(port: int) -> dict[str, Any]:
    return {"socketAddress": {"address": LOOPBACK, "portValue": port}}
