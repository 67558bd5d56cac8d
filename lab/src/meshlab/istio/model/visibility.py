"""What a proxy knows: its services, its VirtualServices, its DestinationRules, and what it does with unknown hosts.

Follows `pilot/pkg/model/{push_context,sidecar}.go`. A gateway knows everything that is exported to its namespace. A
sidecar knows what its Sidecar imports of that, by listener; without a Sidecar it is one listener that imports all.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from meshlab.istio.model.destination_rules import DestinationRules
from meshlab.istio.model.virtual_services import for_sidecar
from meshlab.istio.read.export_to import EVERYWHERE
from meshlab.istio.read.hosts import is_subset
from meshlab.istio.read.sidecar import EgressListener

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from meshlab.istio.model.destination_rules import MergedRule
    from meshlab.istio.model.mesh import Mesh
    from meshlab.istio.model.registry import MeshService
    from meshlab.istio.model.workload import Workload
    from meshlab.istio.read.sidecar import EgressProxy, OutboundMode, Sidecar
    from meshlab.istio.read.virtual_service import VirtualService
    from meshlab.istio.read.workload_ref import WorkloadRef

__all__ = ["EgressScope", "ProxyScope", "Visibility"]

_ALL = EgressListener(hosts=((EVERYWHERE, "*"),))
_LEAVE_OUT = "~"


@dataclass(frozen=True, eq=False)
class EgressScope:
    """What one listener of a sidecar's egress imports.

    Attributes:
        listener: The listener as written; one for everything where there is none.
        services: Its services. A host may be there several times, once for each of its addresses.
        virtual_services: Its VirtualServices in order, with delegates merged.
    """

    listener: EgressListener
    services: tuple[MeshService, ...]
    virtual_services: tuple[VirtualService, ...]

    @cached_property
    def for_connections(self) -> tuple[VirtualService, ...]:
        """The VirtualServices that have rules for connections."""
        return tuple(each for each in self.virtual_services if each.tcp or each.tls)


@dataclass(frozen=True, eq=False)
class ProxyScope:
    """What the proxies of a namespace know that share a Sidecar.

    Attributes:
        namespace: The namespace.
        egress: Their listeners; empty for gateways.
        services: Everything that they have clusters for, each host once.
        outbound: What they do with unknown hosts.
        egress_proxy: Where traffic to unknown hosts goes, if not to where it was sent.
        rules: All DestinationRules.
    """

    namespace: str
    egress: tuple[EgressScope, ...]
    services: tuple[MeshService, ...]
    outbound: OutboundMode
    egress_proxy: EgressProxy | None
    rules: DestinationRules = field(repr=False)

    @cached_property
    def by_hostname(self) -> Mapping[str, MeshService]:
        """The services by their names."""
        return {service.hostname: service for service in self.services}

    @cached_property
    def label_keys(self) -> frozenset[str]:
        """The labels that conditions compare; workloads with the same values of them are treated alike."""
        found = set(self.rules.selector_keys)
        for scope in self.egress:
            for service in scope.virtual_services:
                conditions = [match.source_labels for rule in service.http for match in rule.matches]
                conditions += [match.source_labels for rule in service.tcp for match in rule.matches]
                conditions += [match.source_labels for rule in service.tls for match in rule.matches]
                found.update(key for labels in conditions for key in labels or ())
        return frozenset(found)

    @cached_property
    def called_pods(self) -> frozenset[WorkloadRef]:
        """The workloads that have a listener of their own, which their own sidecars leave out."""
        return frozenset(
            endpoint.workload
            for service in self.services
            if service.resolution == "original"
            for endpoints in service.endpoints.values()
            for endpoint in endpoints
            if endpoint.workload
        )

    def egress_for(self, port: int) -> EgressScope | None:
        """Return the listener whose routes count on a port: the first that has it, or the one for all ports."""
        for scope in self.egress:
            if scope.listener.port is None or scope.listener.port.number == port:
                return scope
        return None

    def rule_for(self, service: MeshService, labels: Mapping[str, str]) -> MergedRule | None:
        """Return the DestinationRule that a proxy with these labels follows for a service."""
        return self.rules.rule_for(self.namespace, labels, service)


class Visibility:
    """The scopes of all proxies of a mesh; proxies that know the same things share one."""

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh
        self._rules = DestinationRules(mesh)
        self._sidecars = sorted(
            mesh.sidecars,
            key=lambda sidecar: (sidecar.selector is None, sidecar.created, sidecar.name, sidecar.namespace),
        )
        self._scopes: dict[tuple[str, str, str], ProxyScope] = {}

    def scope_of(self, workload: Workload) -> ProxyScope:
        """Return what a workload's proxy knows."""
        namespace = workload.ref.namespace
        if workload.is_gateway:
            key = (namespace, "gateway", "")
            if key not in self._scopes:
                self._scopes[key] = self._for_gateways(namespace)
            return self._scopes[key]
        sidecar = self.sidecar_of(workload)
        key = (namespace, *((sidecar.namespace, sidecar.name) if sidecar else ("", "")))
        if key not in self._scopes:
            self._scopes[key] = self._for_sidecars(workload, sidecar)
        return self._scopes[key]

    def sidecar_of(self, workload: Workload) -> Sidecar | None:
        """Return the Sidecar that counts for a workload, `None` for none."""
        for sidecar in self._sidecars:
            here = sidecar.namespace == workload.ref.namespace
            if here and (sidecar.selector is None or sidecar.selector.items() <= workload.labels.items()):
                return sidecar
        for sidecar in self._sidecars:
            if sidecar.namespace == self._mesh.root_namespace and sidecar.selector is None:
                return sidecar
        return None

    def _for_gateways(self, namespace: str) -> ProxyScope:
        imported = _Imported()
        for service in self._exported_to(namespace):
            imported.add(service)
        settings = self._mesh.settings
        return ProxyScope(
            namespace, (), imported.services, settings.outbound_traffic_policy, None, self._rules
        )

    def _for_sidecars(self, workload: Workload, sidecar: Sidecar | None) -> ProxyScope:
        listeners = sidecar.egress if sidecar and sidecar.egress else (_ALL,)
        egress = tuple(self._egress(workload, listener) for listener in listeners)
        imported = _Imported()
        for scope in egress:
            for service in scope.services:
                imported.add(service)
            for service in self._destinations(scope, workload.ref.namespace):
                imported.add(service)
        outbound = sidecar.outbound if sidecar and sidecar.outbound else None
        return ProxyScope(
            namespace=workload.ref.namespace,
            egress=egress,
            services=imported.services,
            outbound=outbound or self._mesh.settings.outbound_traffic_policy,
            egress_proxy=sidecar.egress_proxy if sidecar else None,
            rules=self._rules,
        )

    def _egress(self, workload: Workload, listener: EgressListener) -> EgressScope:
        namespace = workload.ref.namespace
        hosts = _Hosts(listener, namespace)
        candidates: Sequence[MeshService] = (
            self._named_exactly(hosts, namespace) if hosts.all_exact else self._exported_to(namespace)
        )
        virtual_services = for_sidecar(
            self._mesh,
            workload,
            [f"{scope}/{host}" for scope, host in listener.hosts],
            default_export_to=self._mesh.settings.virtual_service_export_to,
        )
        return EgressScope(
            listener,
            tuple(_one_namespace_each(hosts.select(candidates), namespace)),
            tuple(virtual_services),
        )

    def _exported_to(self, namespace: str) -> list[MeshService]:
        private, public = [], []
        for service in self._mesh.registry.services:
            if EVERYWHERE in service.export_to:
                public.append(service)
            elif namespace in service.export_to and _LEAVE_OUT not in service.export_to:
                private.append(service)
        return [*private, *public]

    def _named_exactly(self, hosts: _Hosts, namespace: str) -> list[MeshService]:
        by_hostname = self._mesh.registry.by_hostname
        found = [
            service
            for scope, names in hosts.included.items()
            for name in names
            if (service := by_hostname.get(name, {}).get(scope)) and _is_visible(service, namespace)
        ]
        return sorted(found, key=lambda service: (service.created, service.name, service.namespace))

    def _destinations(self, scope: EgressScope, namespace: str) -> Iterator[MeshService]:
        """Yield services that routes lead to, though the listener does not import them itself."""
        by_hostname = self._mesh.registry.by_hostname
        for virtual_service in scope.virtual_services:
            for host, ports in _destination_ports(virtual_service, namespace).items():
                known = by_hostname.get(host, {})
                service = known.get(namespace) or _best_visible(known.values(), namespace)
                if service is None:
                    continue
                if scope.listener.port is not None:
                    found = _with_port(service, scope.listener.port.number)
                else:
                    found = _with_ports(service, ports)
                if found is not None:
                    yield found


class _Hosts:
    """`hosts` of an egress listener, by namespace."""

    def __init__(self, listener: EgressListener, own_namespace: str) -> None:
        self.included: dict[str, list[str]] = {}
        self.excluded: dict[str, list[str]] = {}
        self._port = listener.port.number if listener.port else None
        for scope, host in listener.hosts:
            namespace, target = scope, self.included
            if scope.startswith(_LEAVE_OUT):
                namespace, target = scope.removeprefix(_LEAVE_OUT) or EVERYWHERE, self.excluded
            target.setdefault(own_namespace if namespace == "." else namespace, []).append(host)

    @property
    def all_exact(self) -> bool:
        """Whether each host is one name in one namespace."""
        return EVERYWHERE not in self.included and not any(
            host.startswith("*") for hosts in self.included.values() for host in hosts
        )

    def select(self, services: Iterable[MeshService]) -> Iterator[MeshService]:
        """Yield the services that are imported, with the port that the listener is for."""
        for service in services:
            scopes = (service.namespace, EVERYWHERE)
            if any(
                is_subset(service.hostname, host) for scope in scopes for host in self.excluded.get(scope, ())
            ):
                continue
            for scope in scopes:
                hosts = self.included.get(scope, ())
                if not _imports(hosts, service.hostname):
                    continue
                found = service if self._port is None else _with_port(service, self._port)
                if found is not None:
                    aliases = tuple(alias for alias in found.aliases if _imports(hosts, alias))
                    yield found if aliases == found.aliases else replace(found, aliases=aliases)
                    break


def _imports(hosts: Iterable[str], name: str) -> bool:
    return any(name == host or (host.startswith("*") and is_subset(name, host)) for host in hosts)


class _Imported:
    """Services of a proxy, each host once (`sidecar.go#appendSidecarServices`)."""

    def __init__(self) -> None:
        self._found: dict[str, MeshService] = {}

    @property
    def services(self) -> tuple[MeshService, ...]:
        return tuple(self._found.values())

    def add(self, service: MeshService) -> None:
        known = self._found.get(service.hostname)
        if known is None or (service.is_kubernetes and not known.is_kubernetes):
            self._found[service.hostname] = service
        elif known.ports != service.ports and _may_merge(known, service):
            numbers = {port.number for port in known.ports}
            added = tuple(port for port in service.ports if port.number not in numbers)
            self._found[service.hostname] = replace(
                known,
                ports=(*known.ports, *added),
                endpoints={**service.endpoints, **known.endpoints},
            )


def _may_merge(one: MeshService, other: MeshService) -> bool:
    return (
        one.is_kubernetes == other.is_kubernetes
        and one.namespace == other.namespace
        and one.resolution == other.resolution
        and one.has_selector == other.has_selector
        and set(one.export_to) == set(other.export_to)
    )


def _one_namespace_each(services: Iterable[MeshService], own_namespace: str) -> Iterator[MeshService]:
    """Yield the services of one namespace for each host: the own one, else that of a Service, else the first."""
    found = list(services)
    chosen: dict[str, MeshService] = {}
    for service in found:
        known = chosen.get(service.hostname)
        better = (
            known is None
            or service.namespace == own_namespace
            or (service.is_kubernetes and not known.is_kubernetes and known.namespace != own_namespace)
        )
        if better:
            chosen[service.hostname] = service
    yield from (service for service in found if chosen[service.hostname].namespace == service.namespace)


def _is_visible(service: MeshService, namespace: str) -> bool:
    return EVERYWHERE in service.export_to or namespace in service.export_to


def _best_visible(services: Iterable[MeshService], namespace: str) -> MeshService | None:
    visible = [service for service in services if _is_visible(service, namespace)]
    ordered = sorted(
        visible, key=lambda service: (not service.is_kubernetes, service.created, service.namespace)
    )
    return ordered[0] if ordered else None


def _with_port(service: MeshService, number: int) -> MeshService | None:
    port = service.port(number)
    if port is None:
        return None
    return service if len(service.ports) == 1 else replace(service, ports=(port,))


def _with_ports(service: MeshService, numbers: set[int | None]) -> MeshService | None:
    if None in numbers:
        return service
    ports = tuple(port for port in service.ports if port.number in numbers)
    if not ports:
        return None
    return service if len(ports) == len(service.ports) else replace(service, ports=ports)


def _destination_ports(virtual_service: VirtualService, namespace: str) -> dict[str, set[int | None]]:
    """Return the hosts that the rules for a namespace lead to, with their ports; `None` for a port left out."""
    found: dict[str, set[int | None]] = {}
    for rule in virtual_service.http:
        sources = [match.source_namespace for match in rule.matches if match.source_namespace]
        if sources and namespace not in sources:
            continue
        for destination in (
            *(entry.destination for entry in rule.destinations),
            *(mirror.destination for mirror in rule.all_mirrors),
        ):
            found.setdefault(destination.host, set()).add(destination.port)
    shares = [share for route in virtual_service.tcp for share in route.destinations]
    shares += [share for route in virtual_service.tls for share in route.destinations]
    for share in shares:
        found.setdefault(share.destination.host, set()).add(share.destination.port)
    return found
