"""Backends of rules: services, and the results of references that lead nowhere.

Follows `pilot/pkg/config/kube/gateway/conversion.go#buildDestination`. A backend that cannot be used stays in the rule
as a destination that does not exist: its share of the requests is answered 500, its share of connections is closed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.model.gateway_api.objects import RouteError, grants_allow, note
from meshlab.istio.read.gateway_api.references import Kind
from meshlab.istio.read.virtual_service import Destination

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshlab.istio.model.gateway_api.objects import GatewayApi
    from meshlab.istio.read.gateway_api.references import BackendRef
    from meshlab.manifest import Problem

__all__ = ["HOSTNAME", "SERVICE", "SERVICE_ENTRY", "Backends", "service_host", "shares"]

SERVICE = Kind("", "Service")
SERVICE_ENTRY = Kind("networking.istio.io", "ServiceEntry")
HOSTNAME = Kind("networking.istio.io", "Hostname")
_SERVICE_IMPORT = Kind("multicluster.x-k8s.io", "ServiceImport")


def service_host(name: str, namespace: str) -> str:
    """Return the full name of a Service."""
    return f"{name}.{namespace}.svc.cluster.local"


def shares(backends: Sequence[BackendRef]) -> list[tuple[BackendRef, int]]:
    """Return the backends that get traffic, each with its weight; a single one gets all, whatever its weight."""
    found = [(backend, backend.weight) for backend in backends if backend.weight]
    return [(found[0][0], 0)] if len(found) == 1 else found


class Backends:
    """The backends of one route.

    Args:
        api: All objects.
        route_kind: The kind of the route.
        namespace: The namespace of the route.
        at_mesh: Whether the rules are for sidecars, where references to other namespaces need no grant.
        notes: Receives what is wrong with a backend.
    """

    def __init__(
        self, api: GatewayApi, route_kind: Kind, namespace: str, *, at_mesh: bool, notes: list[Problem]
    ) -> None:
        self._api = api
        self._kind = route_kind
        self._namespace = namespace
        self._at_mesh = at_mesh
        self._notes = notes

    def destination(self, backend: BackendRef) -> Destination:
        """Return where a backend leads, which may be a place that does not exist.

        Raises:
            RouteError: Istio refuses the whole route.
        """
        found, problem = self._destination(backend)
        if problem:
            self._notes.append(note(backend.where, f"{problem}; {self._consequence}."))
        return found

    def usable(self, backend: BackendRef) -> Destination | None:
        """Return where a backend leads, `None` where it cannot be used."""
        found, problem = self._destination(backend)
        if problem:
            self._notes.append(note(backend.where, f"{problem}; no request is copied there."))
        return None if problem else found

    @property
    def _consequence(self) -> str:
        if self._kind.name in ("TLSRoute", "TCPRoute"):
            return "its connections are closed"
        return "its requests are answered 500"

    def _destination(self, backend: BackendRef) -> tuple[Destination, str]:
        target = backend.target
        nowhere = Destination("", None, "", backend.where)
        if not self._at_mesh and not grants_allow(self._api.grants, self._kind, self._namespace, target):
            problem = (
                f"no ReferenceGrant in {target.namespace} lets {self._kind.name}s of {self._namespace} use it"
            )
            return nowhere, problem
        if target.kind in (SERVICE, _SERVICE_IMPORT):
            return self._to_service(backend)
        if target.kind == HOSTNAME:
            return self._to_hostname(backend)
        return nowhere, f"{target.kind} is no backend that Istio knows"

    def _to_service(self, backend: BackendRef) -> tuple[Destination, str]:
        target = backend.target
        if "." in target.name and target.kind == SERVICE:
            problem = f"{target.name!r} is not the name of a Service, so Istio refuses the route."
            raise RouteError(backend.where.key("name"), problem)
        host = service_host(target.name, target.namespace)
        found = self._with_port(host, backend)
        for service in self._api.services:
            if (service.namespace, service.name) == (target.namespace, target.name):
                ports = [port.number for port in service.ports]
                have = ", ".join(map(str, ports)) or "none"
                return found, "" if found.port in ports else f"{host} has no port {found.port}, it has {have}"
        return found, f"there is no Service {target.namespace}/{target.name}"

    def _to_hostname(self, backend: BackendRef) -> tuple[Destination, str]:
        if not backend.own_namespace:
            problem = "has no place beside kind Hostname, so Istio refuses the route."
            raise RouteError(backend.where.key("namespace"), problem)
        host = backend.target.name
        found = self._with_port(host, backend)
        hosts = {(service.namespace, service.hostname) for service in self._api.services}
        hosts |= {(entry.namespace, name) for entry in self._api.service_entries for name in entry.hosts}
        known = (self._namespace, host) in hosts
        return found, "" if known else f"namespace {self._namespace} has no host {host}"

    def _with_port(self, host: str, backend: BackendRef) -> Destination:
        if backend.port is None:
            raise RouteError(backend.where.key("port"), "missing, so Istio refuses the route.")
        return Destination(host, backend.port, "", backend.where)
