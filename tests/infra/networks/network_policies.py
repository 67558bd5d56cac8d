"""What NetworkPolicies let through, decided by the rules of Kubernetes' API.

Source: https://kubernetes.io/docs/concepts/services-networking/network-policies/. A pod that a policy selects for a
direction is isolated in it; what is allowed is the union of all rules that select it; a connection needs both ends. An
`ipBlock` stands for addresses outside of the cluster: GKE's data planes do not match pods with it. Named ports are not
used here and are an error.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["DIRECTIONS", "Connection", "Pod", "allowed", "allows", "isolated"]

Policy = dict[str, Any]

DIRECTIONS = ("Egress", "Ingress")


@dataclass(frozen=True, order=True)
class Pod:
    """One end of a connection inside of the cluster.

    Attributes:
        namespace: Its namespace, which has the label that the API server sets and no other.
        labels: Its labels.
    """

    namespace: str
    labels: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return f"{self.namespace}/{'+'.join(value for _, value in self.labels) or 'pod'}"


@dataclass(frozen=True)
class Connection:
    """A connection that a pod or a host tries to open.

    Attributes:
        source: A pod, or an address outside of the cluster.
        destination: A pod, or an address outside of the cluster.
        port: The port of the destination itself, after a Service's port has become a pod's.
        protocol: TCP, UDP or SCTP.
    """

    source: Pod | str
    destination: Pod | str
    port: int
    protocol: str = "TCP"

    def __str__(self) -> str:
        return f"{self.source} -> {self.destination} {self.protocol} {self.port}"


def allowed(policies: Sequence[Policy], connection: Connection) -> bool:
    """Whether a connection is allowed at both of its ends."""
    return all(allows(policies, connection, direction) for direction in DIRECTIONS)


def allows(policies: Iterable[Policy], connection: Connection, direction: str) -> bool:
    """Whether a connection is allowed at one of its ends: where it leaves (Egress) or where it arrives (Ingress)."""
    ends = (connection.source, connection.destination)
    own, other = ends if direction == "Egress" else reversed(ends)
    if not isinstance(own, Pod):
        return True
    isolating = [policy for policy in policies if _isolates(policy, own, direction)]
    if not isolating:
        return True
    rules, peers = ("egress", "to") if direction == "Egress" else ("ingress", "from")
    return any(
        _matches(rule, peers, other, connection, policy["metadata"]["namespace"])
        for policy in isolating
        for rule in policy["spec"].get(rules) or ()
    )


def isolated(policies: Iterable[Policy], pod: Pod, direction: str) -> bool:
    """Whether any policy selects a pod for a direction, so that only what rules allow is allowed."""
    return any(_isolates(policy, pod, direction) for policy in policies)


def _isolates(policy: Policy, pod: Pod, direction: str) -> bool:
    return _covers(policy, pod) and direction in _types(policy)


def _types(policy: Policy) -> Sequence[str]:
    """Return the directions of a policy; without policyTypes, Ingress and, where there are such rules, Egress."""
    spec = policy["spec"]
    given: Sequence[str] | None = spec.get("policyTypes")
    return given or ("Ingress", *(("Egress",) if spec.get("egress") else ()))


def _covers(policy: Policy, pod: Pod) -> bool:
    return policy["metadata"]["namespace"] == pod.namespace and _selects(
        policy["spec"]["podSelector"], dict(pod.labels)
    )


def _matches(
    rule: Mapping[str, Any], peers: str, end: Pod | str, connection: Connection, namespace: str
) -> bool:
    ports = rule.get("ports")
    if ports and not any(_port_matches(port, connection) for port in ports):
        return False
    return not rule.get(peers) or any(_is_peer(peer, end, namespace) for peer in rule[peers])


def _port_matches(port: Mapping[str, Any], connection: Connection) -> bool:
    if unknown := port.keys() - {"protocol", "port", "endPort"}:
        raise NotImplementedError(str(unknown))
    if port.get("protocol", "TCP") != connection.protocol:
        return False
    first = port.get("port")
    if first is None:
        return True
    if not isinstance(first, int):
        raise NotImplementedError(f"named port {first}")
    return bool(first <= connection.port <= port.get("endPort", first))


def _is_peer(peer: Mapping[str, Any], end: Pod | str, namespace: str) -> bool:
    if unknown := peer.keys() - {"ipBlock", "namespaceSelector", "podSelector"}:
        raise NotImplementedError(str(unknown))
    if "ipBlock" in peer:
        return isinstance(end, str) and _in_block(peer["ipBlock"], end)
    if not isinstance(end, Pod):
        return False
    if "namespaceSelector" in peer:
        inside = _selects(peer["namespaceSelector"], {"kubernetes.io/metadata.name": end.namespace})
    else:
        inside = end.namespace == namespace
    return inside and _selects(peer.get("podSelector", {}), dict(end.labels))


def _in_block(block: Mapping[str, Any], address: str) -> bool:
    found = ipaddress.ip_address(address)
    if found not in ipaddress.ip_network(block["cidr"]):
        return False
    return not any(found in ipaddress.ip_network(part) for part in block.get("except") or ())


def _selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    if unknown := selector.keys() - {"matchLabels", "matchExpressions"}:
        raise NotImplementedError(str(unknown))
    wanted = (selector.get("matchLabels") or {}).items()
    return wanted <= labels.items() and all(
        _holds(found, labels) for found in selector.get("matchExpressions") or ()
    )


def _holds(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, values = expression["key"], expression.get("values") or ()
    match expression["operator"]:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
    raise NotImplementedError(expression["operator"])
