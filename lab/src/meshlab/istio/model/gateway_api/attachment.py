"""Attachment of routes to parents, and the hosts that a route serves there.

Follows `pilot/pkg/config/kube/gateway/conversion.go#extractParentReferenceInfo`, `#referenceAllowed` and
`#hostnameAllowedByIsolation`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.model.gateway_api.backends import SERVICE, SERVICE_ENTRY, service_host
from meshlab.istio.model.gateway_api.listener_tls import GATEWAY, LISTENER_SET
from meshlab.istio.model.gateway_api.objects import note
from meshlab.istio.model.virtual_services import MESH
from meshlab.istio.read.hosts import hosts_overlap, is_subset
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from meshlab.istio.model.gateway_api.listeners import ServedListener
    from meshlab.istio.model.gateway_api.objects import GatewayApi
    from meshlab.istio.read.gateway_api.references import Kind, ParentRef
    from meshlab.istio.read.gateway_api.route import Route
    from meshlab.manifest import Problem

__all__ = ["Attached", "HolderKey", "Parents"]

HolderKey = tuple[str, str, str]
"""Kind, namespace and name of a Gateway or ListenerSet."""


@dataclass(frozen=True)
class Attached:
    """A parent that takes a route.

    Attributes:
        gateway: The Gateway as `namespace/name`, or `mesh`.
        ref: The reference.
        hostname: The host of the listener; empty for all.
        rivals: The hosts of the other listeners of that port and protocol.
        mesh_hosts: The hosts of the Service or ServiceEntry; for the mesh only.
    """

    gateway: str
    ref: ParentRef
    hostname: str = ""
    rivals: tuple[str, ...] = ()
    mesh_hosts: tuple[str, ...] = ()

    @property
    def at_mesh(self) -> bool:
        """Whether it is for sidecars."""
        return self.gateway == MESH

    def serves(self, host: str) -> bool:
        """Return whether a host of the route is served here, and not at a listener whose host fits it better."""
        own = self.hostname
        if own and not own.startswith("*"):
            return True
        if own and not hosts_overlap(host, own):
            return False
        return not any(len(own) <= len(rival) and is_subset(host, rival) for rival in self.rivals)


class Parents:
    """Everything that a route can attach to.

    Args:
        api: All objects.
        listeners: The listeners of Istio's Gateways and their ListenerSets, by what has them.
        foreign: The Gateways and ListenerSets that Istio does not serve, with the reason.
    """

    def __init__(
        self,
        api: GatewayApi,
        listeners: Mapping[HolderKey, Sequence[ServedListener]],
        foreign: Mapping[HolderKey, str],
    ) -> None:
        self._api = api
        self._listeners = listeners
        self._foreign = foreign

    def attached(self, route: Route, kind: Kind, notes: list[Problem]) -> list[Attached]:
        """Return the parents that take a route, in Istio's order.

        Args:
            route: The route.
            kind: Its kind.
            notes: Receives why a parent does not take it.
        """
        if not route.parents:
            notes.append(note(route.where.key("parentRefs"), "missing; the route attaches to nothing."))
        found = [
            attached
            for ref in sorted(route.parents, key=_text)
            for attached in self._of(ref, route, kind, notes)
        ]
        return sorted(found, key=lambda attached: attached.gateway)

    def _of(self, ref: ParentRef, route: Route, kind: Kind, notes: list[Problem]) -> Iterator[Attached]:
        if ref.target.kind in (SERVICE, SERVICE_ENTRY):
            hosts = self._mesh_hosts(ref)
            if hosts is None:
                notes.append(note(ref.where, f"there is no {ref.target}; the route has no effect there."))
            else:
                yield Attached(MESH, ref, mesh_hosts=hosts)
            return
        if ref.target.kind not in (GATEWAY, LISTENER_SET):
            notes.append(
                note(ref.where, f"Istio attaches routes to no {ref.target.kind}; it passes this over.")
            )
            return
        key = (ref.target.kind.name, ref.target.namespace, ref.target.name)
        listeners = self._listeners.get(key)
        if listeners is None:
            reason = self._foreign.get(key, "is not there")
            notes.append(note(ref.where, f"{ref.target} {reason}; the route has no effect there."))
            return
        denials: list[str] = []
        taken = False
        for listener in listeners:
            denial = _denial(listener, ref, route, kind, self._api)
            if denial is not None:
                denials.append(denial)
                continue
            taken = True
            yield Attached(
                f"{listener.gateway.namespace}/{listener.gateway.name}",
                ref,
                listener.listener.hostname,
                _rivals(listener, listeners),
            )
        if not taken:
            reasons = "; ".join(dict.fromkeys(denials)) or "it has no listener that is served"
            notes.append(note(ref.where, f"{ref.target} does not take the route: {reasons}."))

    def _mesh_hosts(self, ref: ParentRef) -> tuple[str, ...] | None:
        key = (ref.target.namespace, ref.target.name)
        if ref.target.kind == SERVICE_ENTRY:
            entries = {(entry.namespace, entry.name): entry.hosts for entry in self._api.service_entries}
            return entries.get(key)
        if any((service.namespace, service.name) == key for service in self._api.services):
            return (service_host(ref.target.name, ref.target.namespace),)
        return None


def _denial(served: ServedListener, ref: ParentRef, route: Route, kind: Kind, api: GatewayApi) -> str | None:
    """Return why a listener does not take a route, `None` where it does."""
    listener = served.listener
    if ref.port is not None and ref.port != listener.port:
        return f"listener {listener.name} is not on port {ref.port}"
    if ref.section and ref.section != listener.name:
        return f"listener {listener.name} is not {ref.section}"
    fitting = [
        host for host in served.hosts for name in route.hostnames or ("*",) if hosts_overlap(host.name, name)
    ]
    if not fitting:
        return f"listener {listener.name} has host {listener.hostname}"
    if not any(host.namespace in ("", route.namespace) for host in fitting):
        known = "" if route.namespace in api.namespaces else ", whose labels are not known,"
        return f"listener {listener.name} takes no routes of namespace {route.namespace}{known}"
    if kind not in served.kinds:
        return f"listener {listener.name} takes no {kind.name}s"
    return None


def _rivals(served: ServedListener, listeners: Sequence[ServedListener]) -> tuple[str, ...]:
    own = served.listener
    return tuple(
        other.listener.hostname
        for other in listeners
        if other is not served
        and (other.listener.port, other.listener.protocol) == (own.port, own.protocol)
        and other.listener.hostname != own.hostname
    )


def _text(ref: ParentRef) -> str:
    target = ref.target
    return f"{target.kind.group}/{target.kind.name}/{target.name}/{ref.section}/{ref.port or 0}.{target.namespace}"
