"""Registry of services, built from Services, ServiceEntries, pods and WorkloadEntries.

Follows `pilot/pkg/serviceregistry/{kube,serviceentry}`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from meshlab.istio.model.addresses import ALLOCATED, NO_ADDRESS, PODS, PUBLIC, SERVICES, spread
from meshlab.istio.model.registry import MeshPort, MeshService, Registry, ServiceEndpoint
from meshlab.istio.model.stated_addresses import reachable_addresses
from meshlab.istio.model.workload import spiffe_id, target_number
from meshlab.istio.read.workload_entry import TLS_MODE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from meshlab.istio.model.mesh import Mesh
    from meshlab.istio.model.registry import Resolution
    from meshlab.istio.model.workload import Workload
    from meshlab.istio.read.protocols import Protocol
    from meshlab.istio.read.service_entry import ServiceEntry
    from meshlab.istio.read.services import Service
    from meshlab.istio.read.workload_entry import EntryEndpoint
    from meshlab.istio.read.workload_ref import WorkloadRef

__all__ = ["build_registry"]


def build_registry(mesh: Mesh) -> Registry:
    """Return the services of a mesh."""
    written = [address for service in mesh.services for address in service.addresses]
    written += [address for entry in mesh.service_entries for address in entry.addresses]
    stated = reachable_addresses(mesh, written)
    written += stated.values()
    pods = spread(
        (str(workload.ref) for workload in mesh.workloads if workload.ref not in stated), PODS, written
    )
    vips = spread(
        (
            f"{service.namespace}/{service.name}"
            for service in mesh.services
            if service.kind == "cluster" and not service.addresses
        ),
        SERVICES,
        written,
    )
    vips |= spread(
        (str(workload.ref) for workload in _without_service(mesh)), SERVICES, [*written, *vips.values()]
    )
    pod_ips = {
        workload.ref: stated.get(workload.ref) or pods[str(workload.ref)] for workload in mesh.workloads
    }
    allocated = spread(_to_allocate(mesh), ALLOCATED, written) if mesh.settings.dns_capture else {}
    builder = _Builder(mesh, pod_ips, allocated)
    services = [
        *(builder.of_service(service, vips) for service in mesh.services),
        *(made for entry in mesh.service_entries for made in builder.of_entry(entry)),
        *builder.of_assumed_gateways(vips),
    ]
    services.sort(key=lambda service: (service.created, service.name, service.namespace))
    services = _with_aliases(_with_shared_endpoints(services))
    names = {
        service.hostname for service in services if not service.is_kubernetes and not service.is_wildcard
    }
    names |= {
        endpoint.address
        for service in services
        for endpoints in service.endpoints.values()
        for endpoint in endpoints
        if endpoint.workload is None and not endpoint.address[-1:].isdigit()
    }
    names |= {service.external_name for service in services if service.external_name}
    return Registry(tuple(services), pod_ips, spread(names, PUBLIC, written), _identities(mesh, services))


_INSTALLED_PORTS: dict[int, tuple[str, Protocol]] = {80: ("http2", "http2"), 443: ("https", "tls")}
"""Names and protocols of the ports of Istio's own gateways."""
_GATEWAY_PROTOCOLS: dict[str, Protocol] = {"http": "http", "https": "tls", "tls": "tls"}


def _without_service(mesh: Mesh) -> list[Workload]:
    """Return the gateways that are assumed, and that no Service of the manifests stands in front of."""
    names = {(service.namespace, service.name) for service in mesh.services}
    return [
        workload
        for workload in mesh.workloads
        if workload.assumed
        and workload.is_gateway
        and (workload.ref.namespace, workload.ref.name) not in names
        and not any(service.selects(workload.ref.namespace, workload.labels) for service in mesh.services)
    ]


def _to_allocate(mesh: Mesh) -> Iterator[str]:
    """Yield what istiod gives an address (`pilot/pkg/controllers/ipallocate`)."""
    for entry in mesh.service_entries:
        if entry.addresses or not entry.auto_allocates or entry.resolution == "NONE":
            continue
        for host in entry.hosts:
            if not host.startswith("*") or entry.resolution == "DYNAMIC_DNS":
                yield f"{entry.namespace}/{entry.name}/{host}"


class _Builder:
    def __init__(self, mesh: Mesh, pod_ips: Mapping[WorkloadRef, str], allocated: Mapping[str, str]) -> None:
        self._mesh = mesh
        self._allocated = allocated
        self._pod_ips = pod_ips
        self._by_namespace: dict[str, list[Workload]] = {}
        for workload in mesh.workloads:
            self._by_namespace.setdefault(workload.ref.namespace, []).append(workload)

    def of_service(self, service: Service, vips: Mapping[str, str]) -> MeshService:
        ports = tuple(MeshPort(port.number, port.name, port.protocol) for port in service.ports)
        key = f"{service.namespace}/{service.name}"
        address = next((each for each in service.addresses if ":" not in each), vips.get(key, NO_ADDRESS))
        resolution: Resolution = {"cluster": "endpoints", "headless": "original", "external": "alias"}[  # type: ignore[assignment]
            service.kind
        ]
        return MeshService(
            hostname=service.hostname,
            namespace=service.namespace,
            name=service.name,
            ports=ports,
            address=address if service.kind == "cluster" else NO_ADDRESS,
            resolution=resolution,
            is_kubernetes=True,
            external=service.kind == "external",
            export_to=self._export_to(service.export_to, service.namespace),
            endpoints=self._of_pods(service),
            subject_alt_names=tuple(
                f"spiffe://{self._mesh.trust_domain}/{name}" if name.startswith("ns/") else name
                for name in service.accounts
            ),
            has_selector=bool(service.selector),
            external_name=service.external_name,
            created=service.where.manifest.created,
        )

    def of_entry(self, entry: ServiceEntry) -> Iterator[MeshService]:
        ports = tuple(
            MeshPort(
                port.number, port.name, port.protocol, port.target if entry.resolution == "NONE" else None
            )
            for port in entry.ports
        )
        resolution: Resolution = {  # type: ignore[assignment]
            "NONE": "original",
            "STATIC": "endpoints",
            "DNS": "dns",
            "DNS_ROUND_ROBIN": "dns",
            "DYNAMIC_DNS": "dynamic dns",
        }[entry.resolution]
        for host in entry.hosts:
            endpoints = self._of_entry_endpoints(entry, host)
            own = self._allocated.get(f"{entry.namespace}/{entry.name}/{host}", NO_ADDRESS)
            for address in entry.addresses or (own,):
                yield MeshService(
                    hostname=host,
                    namespace=entry.namespace,
                    name=host,
                    ports=ports,
                    address=address.removesuffix("/32"),
                    resolution=resolution,
                    is_kubernetes=False,
                    external=entry.external,
                    export_to=self._export_to(entry.export_to, entry.namespace),
                    endpoints=endpoints,
                    subject_alt_names=entry.subject_alt_names,
                    has_selector=entry.selector is not None,
                    created=entry.created,
                )

    def of_assumed_gateways(self, vips: Mapping[str, str]) -> Iterator[MeshService]:
        """Yield the Services that come with gateways which the manifests only name (`manifests/charts/gateways`)."""
        for workload in _without_service(self._mesh):
            numbers = {target: number for number, target in workload.port_targets.items()}
            opened = {numbers.get(port.number, port.number): port for port in workload.ports}
            ports = []
            for number in sorted({*opened, *workload.port_targets}):
                if number in workload.port_targets:
                    name, protocol = _INSTALLED_PORTS[number]
                else:
                    protocol = _GATEWAY_PROTOCOLS.get(opened[number].protocol, "tcp")
                    name = f"{protocol}-{number}"
                ports.append(MeshPort(number, name, protocol))
            yield MeshService(
                hostname=f"{workload.ref.name}.{workload.ref.namespace}.svc.cluster.local",
                namespace=workload.ref.namespace,
                name=workload.ref.name,
                ports=tuple(ports),
                address=vips[str(workload.ref)],
                resolution="endpoints",
                is_kubernetes=True,
                external=False,
                export_to=self._export_to((), workload.ref.namespace),
                endpoints={number: (self._pod(workload, port.number),) for number, port in opened.items()},
                has_selector=True,
            )

    def _export_to(self, written: tuple[str, ...], namespace: str) -> tuple[str, ...]:
        scopes = written or self._mesh.settings.service_export_to
        return tuple(namespace if scope == "." else scope for scope in scopes)

    def _of_pods(self, service: Service) -> Mapping[int, tuple[ServiceEndpoint, ...]]:
        if not service.selector:
            return {}
        chosen = [
            workload
            for workload in self._by_namespace.get(service.namespace, ())
            if service.selects(workload.ref.namespace, workload.labels)
        ]
        # Istio lets a ClusterIP Service choose virtual machines, too.
        machines = [
            entry.endpoint
            for entry in self._mesh.workload_entries
            if service.kind == "cluster" and service.selects(entry.namespace, entry.endpoint.labels)
        ]
        found: dict[int, tuple[ServiceEndpoint, ...]] = {}
        for port in service.ports:
            endpoints = []
            for workload in chosen:
                target = target_number(workload.named_ports, port)
                if target is not None:
                    endpoints.append(self._pod(workload, target))
            for machine in machines:
                named = machine.ports.get(str(port.target))
                if named or isinstance(port.target, int):
                    endpoints.append(self._outside(machine, named or int(port.target), service.namespace))
            found[port.number] = tuple(endpoints)
        return found

    def _of_entry_endpoints(
        self, entry: ServiceEntry, host: str
    ) -> Mapping[int, tuple[ServiceEndpoint, ...]]:
        found: dict[int, tuple[ServiceEndpoint, ...]] = {}
        for port in entry.ports:
            number = port.target or port.number
            if entry.selector is not None:
                endpoints = [
                    self._pod(workload, number)
                    for workload in self._by_namespace.get(entry.namespace, ())
                    if entry.selector.items() <= workload.labels.items()
                ]
                written: Iterable[EntryEndpoint] = (
                    each.endpoint
                    for each in self._mesh.workload_entries
                    if each.namespace == entry.namespace
                    and entry.selector.items() <= each.endpoint.labels.items()
                )
            else:
                endpoints, written = [], entry.endpoints
            endpoints += [
                self._outside(each, each.ports.get(port.name, number), entry.namespace) for each in written
            ]
            looked_up = entry.resolution in ("DNS", "DNS_ROUND_ROBIN")
            if looked_up and not entry.endpoints and entry.selector is None:
                endpoints.append(ServiceEndpoint(None, host, number, {}, entry.namespace, False, ""))
            found[port.number] = tuple(endpoints)
        return found

    def _pod(self, workload: Workload, port: int) -> ServiceEndpoint:
        # Only the template of sidecars writes the label, so a gateway's pods do not have it.
        default = "istio" if workload.proxy == "sidecar" else "disabled"
        return ServiceEndpoint(
            workload=workload.ref,
            address=self._pod_ips[workload.ref],
            port=port,
            labels=workload.labels,
            namespace=workload.ref.namespace,
            takes_mtls=workload.labels.get(TLS_MODE, default) == "istio",
            identity=workload.identity(self._mesh.trust_domain),
        )

    def _outside(self, endpoint: EntryEndpoint, port: int, namespace: str) -> ServiceEndpoint:
        account = endpoint.service_account
        return ServiceEndpoint(
            workload=None,
            address=endpoint.address,
            port=port,
            labels=endpoint.labels,
            namespace=namespace,
            takes_mtls=endpoint.takes_mtls,
            identity=spiffe_id(self._mesh.trust_domain, namespace, account) if account else "",
        )


def _with_shared_endpoints(services: Iterable[MeshService]) -> list[MeshService]:
    """Give services of one host and namespace the endpoints of all of them, by the names of their ports.

    Istio keeps endpoints by host and namespace, whichever object brings them (`endpointshards.go`).
    """
    found = list(services)
    pools: dict[tuple[str, str], dict[str, dict[ServiceEndpoint, None]]] = {}
    shared: set[tuple[str, str]] = set()
    for service in found:
        key = (service.hostname, service.namespace)
        if key in pools:
            shared.add(key)
        pool = pools.setdefault(key, {})
        for port in service.ports:
            pool.setdefault(port.name, {}).update(dict.fromkeys(service.endpoints.get(port.number, ())))
    return [
        replace(
            service,
            endpoints={
                port.number: tuple(pools[service.hostname, service.namespace][port.name])
                for port in service.ports
            },
        )
        if (service.hostname, service.namespace) in shared
        else service
        for service in found
    ]


def _with_aliases(services: Iterable[MeshService]) -> list[MeshService]:
    """Give every service the ExternalName Services that stand for it, directly or through others."""
    found = list(services)
    meant = {service.hostname: service.external_name for service in found if service.resolution == "alias"}
    aliases: dict[str, list[tuple[str, str]]] = {}
    for service in found:
        if service.resolution != "alias":
            continue
        target, seen = service.external_name, {service.hostname}
        while target in meant and target not in seen:
            seen.add(target)
            target = meant[target]
        if target not in meant:
            aliases.setdefault(target, []).append((service.namespace, service.hostname))
    return [
        replace(service, aliases=tuple(name for _, name in sorted(aliases[service.hostname])))
        if service.hostname in aliases
        else service
        for service in found
    ]


def _identities(mesh: Mesh, services: Iterable[MeshService]) -> dict[tuple[str, str], tuple[str, ...]]:
    """Return whom clients expect behind a host (`push_context.go#addServiceAccounts`)."""
    by_key: dict[tuple[str, str], set[str]] = {}
    own: dict[tuple[str, str], tuple[str, ...]] = {}
    for service in services:
        key = (service.hostname, service.namespace)
        accounts = by_key.setdefault(key, set())
        for endpoints in service.endpoints.values():
            accounts.update(endpoint.identity for endpoint in endpoints if endpoint.identity)
        own[key] = service.subject_alt_names
    aliases = mesh.settings.trust_domain_aliases
    return {
        key: tuple(sorted(set(_with_trust_domains({*accounts, *own[key]}, aliases))))
        for key, accounts in by_key.items()
    }


def _with_trust_domains(identities: Iterable[str], aliases: Iterable[str]) -> Iterator[str]:
    """Yield identities, and what they are in other trust domains (`pkg/spiffe#ExpandWithTrustDomains`)."""
    for identity in identities:
        yield identity
        _, slash, rest = identity.removeprefix("spiffe://").partition("/")
        if identity.startswith("spiffe://") and slash:
            yield from (f"spiffe://{alias}/{rest}" for alias in aliases)
