"""A team's side: its namespace, what its sidecars know, and what the gateway lets it do.

What sidecars know lies in the team's own namespace and is exported nowhere, so no team's objects can reach another's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshgen.egress.hosts import label_of
from meshgen.generated import kubernetes_object

if TYPE_CHECKING:
    from meshgen.egress.gateway import Gateway
    from meshgen.egress.teams import Access, Team
    from meshgen.generated import Object

__all__ = ["GOOGLE_APIS_HOST", "METADATA_ADDRESS", "METADATA_HOST", "policy_name", "team_objects"]

GOOGLE_APIS_HOST = "${GOOGLE_APIS_HOST}"
METADATA_HOST, METADATA_ADDRESS = "metadata.google.internal", "169.254.169.254"

_NETWORKING, _SECURITY = "networking.istio.io/v1", "security.istio.io/v1"
_TRUST_DOMAIN = "cluster.local"  # in a policy it means the mesh's own, whatever its name


def policy_name(team: Team) -> str:
    """Return the name of the team's policy at the gateway."""
    return f"egress-{team.namespace}"


def team_objects(gateway: Gateway, team: Team) -> list[Object]:
    """Return the objects that follow from one team."""
    found = [_namespace(team), _sidecar(gateway, team)]
    if team.hosts:
        found.append(_rule_for_gateway(gateway, team))
    for access in team.hosts:
        found += [_entry(gateway, team, access), _route(gateway, team, access)]
    if team.google_apis:
        found += _google(team)
    if team.hosts:
        found.append(_policy(gateway, team))
    return found


def _namespace(team: Team) -> Object:
    labels = {
        "istio-injection": "enabled",
        # Keeps pods off the host's network and from capabilities by which they could go around the sidecar.
        "pod-security.kubernetes.io/enforce": "restricted",
        "egress.meshpass.example/team": team.name,
    }
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": team.namespace, "labels": labels}}


def _sidecar(gateway: Gateway, team: Team) -> Object:
    spec = {
        "outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"},
        "egress": [{"hosts": ["./*", f"{gateway.namespace}/{gateway.host}"]}],
    }
    return kubernetes_object(_NETWORKING, "Sidecar", team.namespace, "default", spec)


def _rule_for_gateway(gateway: Gateway, team: Team) -> Object:
    """ISTIO_MUTUAL with the host as server name: the gateway sees who asks, and picks its filter chain."""
    subsets = [
        {
            "name": label_of(access.host),
            "trafficPolicy": {"tls": {"mode": "ISTIO_MUTUAL", "sni": access.host}},
        }
        for access in team.hosts
    ]
    spec = {
        "host": gateway.host,
        "exportTo": ["."],
        "trafficPolicy": {"tls": {"mode": "ISTIO_MUTUAL"}},
        "subsets": subsets,
    }
    return kubernetes_object(_NETWORKING, "DestinationRule", team.namespace, "egress-gateway", spec)


def _entry(gateway: Gateway, team: Team, access: Access) -> Object:
    """Return the host as the team's sidecars know it: it leads to the gateway even where its route is missing."""
    protocol = "HTTP" if access.tls == "originate" else "TLS"
    name = protocol.lower()
    spec = {
        "hosts": [access.host],
        "exportTo": ["."],
        "location": "MESH_EXTERNAL",
        "resolution": "DNS",
        "ports": [{"number": access.application_port, "name": name, "protocol": protocol}],
        "endpoints": [{"address": gateway.host, "ports": {name: gateway.port(access).number}}],
    }
    return kubernetes_object(_NETWORKING, "ServiceEntry", team.namespace, access.host, spec)


def _route(gateway: Gateway, team: Team, access: Access) -> Object:
    destination = {
        "host": gateway.host,
        "subset": label_of(access.host),
        "port": {"number": gateway.port(access).number},
    }
    route = [{"destination": destination}]
    spec: dict[str, Any] = {"hosts": [access.host], "gateways": ["mesh"], "exportTo": ["."]}
    port = access.application_port
    if access.tls == "originate":
        spec["http"] = [{"match": [{"port": port}], "route": route}]
    else:
        spec["tls"] = [{"match": [{"port": port, "sniHosts": [access.host]}], "route": route}]
    return kubernetes_object(_NETWORKING, "VirtualService", team.namespace, access.host, spec)


def _google(team: Team) -> list[Object]:
    """Google's APIs and the metadata server, reached directly: IAM decides there, and the VPC keeps it private."""
    apis = {
        "hosts": ["*.googleapis.com"],
        "exportTo": ["."],
        "location": "MESH_EXTERNAL",
        # The sidecar resolves this name itself: an address that the application chose is not connected to.
        "resolution": "DNS",
        "ports": [{"number": 443, "name": "tls", "protocol": "TLS"}],
        "endpoints": [{"address": GOOGLE_APIS_HOST}],
    }
    metadata = {
        "hosts": [METADATA_HOST],
        "addresses": [METADATA_ADDRESS],
        "exportTo": ["."],
        "location": "MESH_EXTERNAL",
        "resolution": "STATIC",
        "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}],
        "endpoints": [{"address": METADATA_ADDRESS}],
    }
    return [
        kubernetes_object(_NETWORKING, "ServiceEntry", team.namespace, "google-apis", apis),
        kubernetes_object(_NETWORKING, "ServiceEntry", team.namespace, "metadata-server", metadata),
    ]


def _policy(gateway: Gateway, team: Team) -> Object:
    spec = {
        "selector": {"matchLabels": dict(gateway.labels)},
        "action": "ALLOW",
        "rules": [rule for access in team.hosts for rule in _rules(gateway, team, access)],
    }
    return kubernetes_object(_SECURITY, "AuthorizationPolicy", gateway.namespace, policy_name(team), spec)


def _rules(gateway: Gateway, team: Team, access: Access) -> list[dict[str, Any]]:
    accounts = access.service_accounts or ("*",)
    # With the trust domain: the gateway's mTLS takes certificates of others that the same root signed.
    principals = [f"{_TRUST_DOMAIN}/ns/{team.namespace}/sa/{account}" for account in accounts]
    source = [{"source": {"principals": principals}}]
    ports = [str(gateway.port(access).target)]
    if access.tls == "passthrough":
        # Inside it is the application's TLS. The server name of the mTLS around it is all there is to check.
        condition = {"key": "connection.sni", "values": [access.host]}
        return [{"from": source, "to": [{"operation": {"ports": ports}}], "when": [condition]}]
    # A client may write the port into the Host header, and Istio compares it as it stands.
    hosts = [access.host, f"{access.host}:{access.application_port}"]
    return [
        {
            "from": source,
            "to": [
                {
                    "operation": {
                        "hosts": hosts,
                        "ports": ports,
                        "methods": list(requests.methods),
                        "paths": list(requests.paths),
                    }
                }
            ],
            # A WebSocket is a tunnel, and what goes through it is checked by nothing.
            "when": [{"key": "request.headers[upgrade]", "notValues": ["*"]}],
        }
        for requests in access.requests
    ]
