"""Addresses and ports that an environment decides: DNS, Google's APIs, the metadata server, the API server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshgen.networks.environment import ROOT_NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from meshgen.egress.gateway import Gateway
    from meshgen.networks.environment import Environment
    from meshgen.networks.key_servers import KeyServer

__all__ = [
    "GOOGLE_API_RANGES",
    "Rule",
    "api_server",
    "dns",
    "egress_gateway",
    "gateway_ports",
    "google_apis",
    "internet",
    "istiod",
    "key_servers",
    "metadata_server",
    "namespaces",
    "pods",
    "proxies",
    "rule",
    "webhook_callers",
]

Rule = dict[str, Any]
"""One entry of `ingress` or `egress`, its peers under `peers`."""

GOOGLE_API_RANGES = {"private": "199.36.153.8/30", "restricted": "199.36.153.4/30"}
"""Source: https://cloud.google.com/vpc/docs/configure-private-google-access#domain-options."""

_ISTIOD_PODS = {"app": "istiod"}
_XDS_PORT, _WEBHOOK_PORT = 15012, 15017

_METADATA = "169.254.169.254/32"
_NODE_CACHE = "169.254.20.10/32"

_NOT_THE_INTERNET = (
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "224.0.0.0/4",
    "240.0.0.0/4",
)
_NOT_THE_INTERNET_V6 = ("::/8", "100::/64", "fc00::/7", "fe80::/10", "ff00::/8")


def rule(peers: Sequence[dict[str, Any]], tcp: Iterable[int] = (), udp: Iterable[int] = ()) -> Rule:
    """Return a rule for these peers on these ports; without any port, on every TCP port."""
    ports: list[dict[str, Any]] = [{"protocol": "UDP", "port": port} for port in udp]
    ports += [{"protocol": "TCP", "port": port} for port in tcp]
    return {"peers": list(peers), "ports": ports or [{"protocol": "TCP"}]}


def namespaces(names: Iterable[str], labels: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return a peer: pods of these namespaces, by the label that the API server itself sets and keeps."""
    key = "kubernetes.io/metadata.name"
    values = sorted(names)
    selector: dict[str, Any] = (
        {"matchLabels": {key: values[0]}}
        if len(values) == 1
        else {"matchExpressions": [{"key": key, "operator": "In", "values": values}]}
    )
    peer: dict[str, Any] = {"namespaceSelector": selector}
    if labels:
        peer["podSelector"] = {"matchLabels": dict(labels)}
    return peer


def pods(labels: dict[str, str] | None = None) -> dict[str, Any]:
    """Return a peer: pods of the policy's own namespace."""
    return {"podSelector": {"matchLabels": dict(labels)} if labels else {}}


def dns(environment: Environment) -> Rule:
    """Where DNS queries go, by mode.

    A query to a Service becomes one to its pod before a policy is checked, except where the node answers by itself:
    NodeLocal DNSCache and Cloud DNS have link-local addresses, and on data plane v1 the node's cache also takes what
    is sent to the address of the kube-dns Service.
    """
    if environment.dns == "cloud-dns":
        return rule([_block(_METADATA), _block(_NODE_CACHE)], tcp=[53], udp=[53])
    peers = [namespaces(["kube-system"], {"k8s-app": "kube-dns"})]
    if environment.dns == "node-local":
        peers += [namespaces(["kube-system"], {"k8s-app": "node-local-dns"}), _block(_NODE_CACHE)]
        if environment.data_plane == "v1":
            peers.append(_block(f"{environment.dns_service}/32"))
    return rule(peers, tcp=[53], udp=[53])


def google_apis(environment: Environment) -> Rule:
    """Google's APIs behind the one range of this environment, in TLS alone."""
    return rule([_block(GOOGLE_API_RANGES[environment.google_apis])], tcp=[443])


def metadata_server(environment: Environment) -> Rule:
    """GKE's metadata server, where the data plane sees it."""
    if environment.data_plane == "v2":
        return rule([_block(_METADATA)], tcp=[80])
    return rule([_block("169.254.169.252/32")], tcp=[988])


def istiod() -> Rule:
    """Istiod's port for proxies, which is TLS; 15010 is the same in plaintext, 15017 is for the API server."""
    return rule([namespaces([ROOT_NAMESPACE], _ISTIOD_PODS)], tcp=[_XDS_PORT])


def gateway_ports(gateway: Gateway) -> tuple[int, int]:
    """Return what the gateway's pods listen on: policies are checked after a Service's address has become a pod's."""
    return gateway.originate.target, gateway.passthrough.target


def egress_gateway(gateway: Gateway) -> Rule:
    """Return the egress gateway's listeners."""
    return rule([namespaces([gateway.namespace], gateway.labels)], tcp=gateway_ports(gateway))


def internet(ports: Iterable[int]) -> Rule:
    """Hosts outside, on their TLS ports alone; no private range, so that the gateway opens nothing inside the VPC."""
    return rule(
        [
            {"ipBlock": {"cidr": "0.0.0.0/0", "except": list(_NOT_THE_INTERNET)}},
            {"ipBlock": {"cidr": "::/0", "except": list(_NOT_THE_INTERNET_V6)}},
        ],
        tcp=sorted(ports),
    )


def api_server(environment: Environment) -> Rule:
    """Return the Kubernetes API server, which istiod watches."""
    return rule([_block(cidr) for cidr in environment.api_server], tcp=[443])


def webhook_callers(environment: Environment) -> Rule:
    """Return the API server's calls of istiod's webhooks."""
    if environment.webhook_calls == "direct":
        peers = [_block(cidr) for cidr in environment.api_server]
    else:
        peers = [namespaces(["kube-system"], {"k8s-app": "konnectivity-agent"})]
    return rule(peers, tcp=[_WEBHOOK_PORT])


def key_servers(environment: Environment, servers: Iterable[KeyServer]) -> list[Rule]:
    """Where istiod fetches callers' keys: Google's APIs, and the ranges of other hosts on the ports in use."""
    found = list(servers)
    ports: dict[str, set[int]] = {}
    for server in found:
        if not server.is_google:
            ports.setdefault(server.host, set()).add(server.port)
    return [
        *([google_apis(environment)] if any(server.is_google for server in found) else ()),
        *(
            rule([_block(cidr) for cidr in environment.jwks_ranges[host]], tcp=sorted(ports[host]))
            for host in sorted(ports)
        ),
    ]


def proxies(names: Iterable[str]) -> Rule:
    """Proxies of the mesh, which ask istiod for configuration and certificates."""
    return rule([namespaces(names)], tcp=[_XDS_PORT])


def _block(cidr: str) -> dict[str, Any]:
    return {"ipBlock": {"cidr": cidr}}
