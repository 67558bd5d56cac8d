"""Scope of refused objects: the traffic that each of them could change.

What is not understood must not be guessed, and must not silence the rest of the mesh. So a refusal covers the proxies,
the direction and the hosts that its object can touch, and no more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from meshlab.istio.read.hosts import common_host, full_name
from meshlab.istio.read.object_kinds import (
    EXTENSIONS,
    GATEWAY_API,
    GATEWAY_API_EXPERIMENTS,
    NETWORKING,
    SECURITY,
    TELEMETRY,
)
from meshlab.istio.read.pods import TEMPLATES
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from meshlab.istio.model.workload import Workload
    from meshlab.manifest import Manifest, Problem

__all__ = ["Direction", "Refusal", "Scope", "scope_of"]

Direction = Literal["inbound", "outbound"]
"""What a proxy does with a request: a sidecar takes it in for its application, or sends it out. A gateway does both."""


@dataclass(frozen=True)
class Scope:
    """The traffic that an object could change.

    Attributes:
        namespaces: Namespaces of the proxies; `None` for all.
        selector: Labels of the proxies' pods.
        only: Names of workloads; empty for all.
        proxies: `sidecar`, `gateway` or `any`.
        direction: `None` for both.
        hosts: The hosts that requests are for; `None` for all.
        ports: The ports that they are for, of the pod where they arrive and of the host where they leave a sidecar;
            `None` for all.
    """

    namespaces: tuple[str, ...] | None = None
    selector: tuple[tuple[str, str], ...] = ()
    only: tuple[str, ...] = ()
    proxies: Literal["sidecar", "gateway", "any"] = "any"
    direction: Direction | None = None
    hosts: tuple[str, ...] | None = None
    ports: tuple[int, ...] | None = None

    def covers(
        self, workload: Workload, direction: Direction, host: str | None, port: int | None = None
    ) -> bool:
        """Return whether a request that a proxy handles could be changed.

        Args:
            workload: Whose proxy it is.
            direction: What it does with the request.
            host: The host that the request is for; `None` where it is not known.
            port: The port that it is for; `None` where it is not known. A gateway's is not that of the host behind it.
        """
        in_place = self.namespaces is None or workload.ref.namespace in self.namespaces
        chosen = set(self.selector) <= set(workload.labels.items())
        named = not self.only or str(workload.ref) in self.only
        of_kind = self.proxies in ("any", workload.proxy)
        this_way = self.direction in (None, direction) or workload.is_gateway
        for_host = self.hosts is None or host is None or any(common_host(name, host) for name in self.hosts)
        for_port = self.ports is None or port is None or workload.is_gateway or port in self.ports
        return in_place and chosen and named and of_kind and this_way and for_host and for_port


@dataclass(frozen=True)
class Refusal:
    """An object that is not compiled: why, and which traffic could therefore be judged wrongly.

    Attributes:
        problems: Why.
        scopes: The traffic.
        is_right: Whether the object is read and right, and only the bench cannot judge its traffic.
    """

    problems: tuple[Problem, ...]
    scopes: tuple[Scope, ...]
    is_right: bool = False

    def covers(
        self, workload: Workload, direction: Direction, host: str | None, port: int | None = None
    ) -> bool:
        """Return whether one of its scopes covers the request."""
        return any(scope.covers(workload, direction, host, port) for scope in self.scopes)


def scope_of(
    manifest: Manifest,
    root_namespace: str,
    others: Iterable[Manifest] = (),
    *,
    ingress_selector: tuple[tuple[str, str], ...] = (),
) -> tuple[Scope, ...]:
    """Return the traffic that an object could change, whatever stands in it.

    Args:
        manifest: The object.
        root_namespace: The mesh's root namespace.
        others: The rest of the manifests, for objects that act through others.
        ingress_selector: Labels of the pods that serve Ingress objects.
    """
    kind = (manifest.group, manifest.kind)
    spec = _mapping(manifest.body.get("spec"))
    namespace = manifest.namespace
    here = None if namespace == root_namespace else (namespace,)
    if kind in TEMPLATES:
        pod: Mapping[str, Any] = manifest.body
        for key in TEMPLATES[kind]:
            pod = _mapping(pod.get(key))
        labels = _mapping(_mapping(pod.get("metadata")).get("labels"))
        hosts = tuple(
            f"{other.name}.{other.namespace}.svc.cluster.local"
            for other in others
            if (other.group, other.kind) == ("", "Service")
            and other.namespace == namespace
            and (chosen := _mapping(_mapping(other.body.get("spec")).get("selector")))
            and chosen.items() <= labels.items()
        )
        itself = Scope(only=(f"{namespace}/{manifest.name}",))
        return (itself, Scope(direction="outbound", hosts=hosts)) if hosts else (itself,)
    match kind:
        case (group, _) if group in (SECURITY, TELEMETRY, EXTENSIONS):
            selector = _labels(_mapping(spec.get("selector")).get("matchLabels"))
            return (Scope(namespaces=here, selector=selector),)
        case (group, "ProxyConfig") if group == NETWORKING:
            selector = _labels(_mapping(spec.get("selector")).get("matchLabels"))
            return (Scope(namespaces=here, selector=selector),)
        case (group, "EnvoyFilter" | "Sidecar") if group == NETWORKING:
            selector = _labels(_mapping(spec.get("workloadSelector") or spec.get("selector")).get("labels"))
            return (Scope(namespaces=here, selector=selector),)
        case (group, "Gateway") if group == NETWORKING:
            return (Scope(selector=_labels(spec.get("selector")), proxies="gateway"),)
        case (group, "ServiceEntry") if group == NETWORKING:
            return (Scope(_visible(spec, namespace), direction="outbound", hosts=_entry_hosts(spec)),)
        case (group, "VirtualService") if group == NETWORKING:
            hosts = tuple(full_name(str(host), namespace) for host in _list(spec.get("hosts")))
            return (Scope(_visible(spec, namespace), direction="outbound", hosts=hosts or None),)
        case (group, "DestinationRule") if group == NETWORKING:
            host = spec.get("host")
            hosts = (full_name(host, namespace),) if isinstance(host, str) and host else ()
            return (Scope(_visible(spec, namespace), direction="outbound", hosts=hosts or None),)
        case (group, "WorkloadEntry" | "WorkloadGroup") if group == NETWORKING:
            hosts = tuple(
                str(host)
                for other in others
                if (other.group, other.kind) == (NETWORKING, "ServiceEntry") and other.namespace == namespace
                for host in _list(_mapping(other.body.get("spec")).get("hosts"))
            )
            # A Service selects WorkloadEntries beside pods.
            hosts += tuple(
                f"{other.name}.{namespace}.svc.cluster.local"
                for other in others
                if (other.group, other.kind) == ("", "Service") and other.namespace == namespace
            )
            return (Scope(direction="outbound", hosts=hosts),)
        case ("", "Service"):
            selector = _labels(spec.get("selector"))
            host = f"{manifest.name}.{namespace}.svc.cluster.local"
            to_it = Scope(direction="outbound", hosts=(host,))
            return (to_it, Scope((namespace,), selector, direction="inbound")) if selector else (to_it,)
        case ("", "Namespace"):
            itself = Scope(namespaces=(manifest.name,))
            # Its labels also decide whose routes a listener takes that selects namespaces.
            return (itself, Scope(proxies="gateway")) if any(map(_selects_namespaces, others)) else (itself,)
        case ("", "Endpoints"):
            return (Scope(direction="outbound", hosts=(f"{manifest.name}.{namespace}.svc.cluster.local",)),)
        case ("discovery.k8s.io", _):
            name = _mapping(_mapping(manifest.body.get("metadata")).get("labels")).get(
                "kubernetes.io/service-name"
            )
            hosts = (f"{name}.{namespace}.svc.cluster.local",) if isinstance(name, str) else ()
            return (Scope(direction="outbound", hosts=hosts or None),)
        case ("networking.k8s.io", "Ingress"):
            return (Scope(selector=ingress_selector, proxies="gateway"),)
        case ("sailoperator.io" | "maistra.io", _):
            return (Scope(),)
        case (group, _) if group == GATEWAY_API_EXPERIMENTS:
            return (Scope(proxies="gateway"), Scope(direction="outbound"))
        case (group, "GatewayClass" | "ReferenceGrant") if group == GATEWAY_API:
            return (Scope(proxies="gateway"),)
        case (group, "Gateway") if group == GATEWAY_API:
            return (Scope(namespaces=(namespace,), proxies="gateway"),)
        case (group, "BackendTLSPolicy") if group == GATEWAY_API:
            hosts = _referred_hosts(spec.get("targetRefs"), namespace, others)
            return (Scope(direction="outbound", hosts=hosts),)
        case (group, _) if group == GATEWAY_API:
            hosts = tuple(str(host) for host in _list(spec.get("hostnames")))
            parents = [*_list(spec.get("parentRefs")), spec.get("parentRef")]
            places = {
                str(parent.get("namespace") or namespace)
                for parent in map(_mapping, parents)
                if parent and parent.get("kind", "Gateway") == "Gateway"
            }
            scopes = [Scope(tuple(sorted(places)), proxies="gateway", hosts=hosts or None)] if places else []
            if services := _referred_hosts(parents, namespace, others):
                scopes.append(Scope(direction="outbound", hosts=services))
            # Without a parent it acts nowhere.
            return tuple(scopes)
        case ("", "ServiceAccount"):
            return (Scope(namespaces=here),)
    # Where the kind is not known, nor is what it could change.
    return (Scope(),)


def _referred_hosts(refs: object, namespace: str, others: Iterable[Manifest]) -> tuple[str, ...]:
    """Return the hosts of the Services and ServiceEntries among references of the Gateway API."""
    found: list[str] = []
    entries = {
        (other.namespace, other.name): _list(_mapping(other.body.get("spec")).get("hosts"))
        for other in others
        if (other.group, other.kind) == (NETWORKING, "ServiceEntry")
    }
    for ref in map(_mapping, _list(refs)):
        place = str(ref.get("namespace") or namespace)
        if ref.get("kind") == "Service":
            found.append(f"{ref.get('name')}.{place}.svc.cluster.local")
        elif ref.get("kind") == "ServiceEntry":
            found += map(str, entries.get((place, str(ref.get("name"))), ()))
    return tuple(found)


def _entry_hosts(spec: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Return the hosts whose requests a ServiceEntry could change; `None` for all.

    A port whose traffic names no host, such as TCP, takes what goes to an address, or to any address at all.
    """
    ports = [_mapping(port) for port in _list(spec.get("ports"))]
    by_host = all(
        str(port.get("protocol")).upper() in ("HTTP", "HTTP2", "GRPC", "HTTPS", "TLS") for port in ports
    )
    hosts = tuple(str(host) for host in _list(spec.get("hosts")))
    return hosts if hosts and ports and by_host else None


def _selects_namespaces(manifest: Manifest) -> bool:
    """Return whether a Gateway of the Gateway API takes routes of namespaces by their labels."""
    if (manifest.group, manifest.kind) not in ((GATEWAY_API, "Gateway"), (GATEWAY_API, "ListenerSet")):
        return False
    spec = _mapping(manifest.body.get("spec"))
    allowed = [spec.get("allowedListeners")]
    allowed += [_mapping(listener).get("allowedRoutes") for listener in _list(spec.get("listeners"))]
    return any(
        _mapping(_mapping(each).get("namespaces")).get("from") == "Selector"
        for each in map(_mapping, allowed)
    )


def _visible(spec: Mapping[str, Any], namespace: str) -> tuple[str, ...] | None:
    scopes = [str(scope) for scope in _list(spec.get("exportTo"))]
    if not scopes or "*" in scopes:
        return None
    return tuple(namespace if scope == "." else scope for scope in scopes)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _labels(value: object) -> tuple[tuple[str, str], ...]:
    # A value that is no text selects nothing that could be known, so it narrows nothing down.
    return tuple((key, item) for key, item in _mapping(value).items() if isinstance(item, str))
