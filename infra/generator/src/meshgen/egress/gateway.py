"""The gateway's side: what it listens for, and how it reaches each host."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from meshlab.yaml_reader import YamlError, parse_located

from meshgen.egress.hosts import label_of
from meshgen.generated import kubernetes_object
from meshgen.sources import DescriptionError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from meshgen.egress.teams import Access, Team
    from meshgen.generated import Object

__all__ = [
    "INTERNAL_HEADERS",
    "ORIGINATE",
    "PASSTHROUGH",
    "Gateway",
    "Port",
    "gateway_objects",
    "host_access",
    "read_gateway",
]

ORIGINATE, PASSTHROUGH = "http-originate", "tls-passthrough"
"""The ports of the gateway's Service, by their role."""

INTERNAL_HEADERS = (
    "x-forwarded-client-cert",  # the workload's whole certificate
    "x-forwarded-for",  # the pod's address
    "x-forwarded-proto",
    "x-envoy-external-address",
    "x-envoy-attempt-count",
    "x-envoy-peer-metadata",
    "x-envoy-peer-metadata-id",
)
"""What the proxies add to a request, and no host outside needs to know."""

_GATEWAY = "egress"


@dataclass(frozen=True)
class Port:
    """A port of the gateway.

    Attributes:
        number: The Service's port, which sidecars connect to.
        target: The pod's port, which policies see.
    """

    number: int
    target: int


@dataclass(frozen=True)
class Gateway:
    """The gateway as its Service describes it.

    Attributes:
        namespace: Its namespace.
        name: Its Service's name, and its Deployment's.
        labels: The labels of its pods.
        originate: The port for plain HTTP of applications.
        passthrough: The port for TLS of applications.
    """

    namespace: str
    name: str
    labels: Mapping[str, str]
    originate: Port
    passthrough: Port

    @property
    def host(self) -> str:
        """The full name of its Service."""
        return f"{self.name}.{self.namespace}.svc.cluster.local"

    @property
    def reference(self) -> str:
        """The Gateway object as VirtualServices name it."""
        return f"{self.namespace}/{_GATEWAY}"

    @property
    def workload(self) -> str:
        """The workload as policy tests name it."""
        return f"{self.namespace}/{self.name}"

    def port(self, access: Access) -> Port:
        """Return the port that takes the traffic to a host."""
        return self.originate if access.tls == "originate" else self.passthrough


def read_gateway(file: Path) -> Gateway:
    """Read the gateway's Service: the one place where its ports are written.

    Raises:
        DescriptionError: It is no Service with the two ports.
    """
    try:
        (document, _), *more = parse_located(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DescriptionError([f"{file}: expected one Service: {error}"]) from None
    except YamlError as error:
        raise DescriptionError([f"{file}:{error.line}: {error}"]) from None
    if more or not isinstance(document, dict) or document.get("kind") != "Service":
        raise DescriptionError([f"{file}:1: expected one Service"])
    spec, metadata = document["spec"], document["metadata"]
    line = spec.lines["ports"]
    ports = {}
    problems = []
    for role in (ORIGINATE, PASSTHROUGH):
        found = [port for port in spec["ports"] if port.get("name") == role]
        target = found[0].get("targetPort") if found else None
        if type(target) is int:
            ports[role] = Port(found[0]["port"], target)
        else:
            problems.append(
                f"{file}:{line}: the Service needs a port {role} with a targetPort that is a number."
            )
    if problems:
        raise DescriptionError(problems)
    labels = {str(key): str(value) for key, value in spec["selector"].items()}
    return Gateway(
        str(metadata["namespace"]), str(metadata["name"]), labels, ports[ORIGINATE], ports[PASSTHROUGH]
    )


def host_access(teams: Sequence[Team]) -> dict[str, Access]:
    """Return one access of each host, by the host; teams agree on its port and mode."""
    found = {access.host: access for team in reversed(teams) for access in team.hosts}
    return dict(sorted(found.items()))


def gateway_objects(gateway: Gateway, teams: Sequence[Team]) -> list[Object]:
    """Return the objects of the gateway's namespace that follow from all teams together."""
    hosts = list(host_access(teams).values())
    if not hosts:
        return []
    found = [_gateway(gateway, hosts)]
    for access in hosts:
        found += _ways(gateway, access)
    return found


def _gateway(gateway: Gateway, hosts: Sequence[Access]) -> Object:
    """Return the listeners. A server's host list is generated: what no team may reach has no filter chain."""
    servers: list[dict[str, Any]] = []
    if originated := [access.host for access in hosts if access.tls == "originate"]:
        # HTTPS: the mesh's own mTLS around plain HTTP.
        servers.append(_server(gateway, gateway.originate, ORIGINATE, "HTTPS", originated))
    servers += [
        # One server for each host: a TCP route cannot distinguish hosts, the server name of the mTLS can.
        _server(gateway, gateway.passthrough, label_of(access.host), "TLS", [access.host])
        for access in hosts
        if access.tls == "passthrough"
    ]
    return kubernetes_object(
        "networking.istio.io/v1", "Gateway", gateway.namespace, _GATEWAY,
        {"selector": dict(gateway.labels), "servers": servers},
    )  # fmt: skip


def _server(gateway: Gateway, port: Port, name: str, protocol: str, hosts: Sequence[str]) -> dict[str, Any]:
    return {
        "port": {"number": port.number, "name": name, "protocol": protocol},
        # Only VirtualServices of the gateway's own namespace may bind them.
        "hosts": [f"{gateway.namespace}/{host}" for host in hosts],
        "tls": {"mode": "ISTIO_MUTUAL"},
    }


def _ways(gateway: Gateway, access: Access) -> list[Object]:
    """How the gateway reaches one host."""
    originate = access.tls == "originate"
    entry = {
        "hosts": [access.host],
        "exportTo": ["."],
        "location": "MESH_EXTERNAL",
        "resolution": "DNS",
        "ports": [
            {
                "number": access.port,
                "name": "https" if originate else "tls",
                "protocol": "HTTPS" if originate else "TLS",
            }
        ],
    }
    route = [{"destination": {"host": access.host, "port": {"number": access.port}}}]
    service: dict[str, Any] = {
        "hosts": [access.host],
        "gateways": [gateway.reference],
        "exportTo": ["."],
    }
    if originate:
        # A request that may have reached the host is not sent again.
        retries = {"attempts": 2, "retryOn": "connect-failure,refused-stream"}
        headers = {"request": {"remove": list(INTERNAL_HEADERS)}}
        service["http"] = [{"name": access.host, "route": route, "headers": headers, "retries": retries}]
    else:
        service["tcp"] = [{"match": [{"port": gateway.passthrough.number}], "route": route}]
    found = [
        kubernetes_object("networking.istio.io/v1", "ServiceEntry", gateway.namespace, access.host, entry),
        kubernetes_object(
            "networking.istio.io/v1", "VirtualService", gateway.namespace, access.host, service
        ),
    ]
    if originate:
        # subjectAltNames: with `sni` alone, any certificate of a public authority would be taken.
        tls = {"mode": "SIMPLE", "sni": access.host, "subjectAltNames": [access.host]}
        rule = {"host": access.host, "exportTo": ["."], "trafficPolicy": {"tls": tls}}
        found.append(
            kubernetes_object(
                "networking.istio.io/v1", "DestinationRule", gateway.namespace, access.host, rule
            )
        )
    return found
