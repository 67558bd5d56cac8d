"""Addresses on this machine of everything in a mesh."""

from __future__ import annotations

import ipaddress
from dataclasses import field
from typing import TYPE_CHECKING

from meshlab.istio.model.addresses import PODS, SERVICES, SOURCES
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping

    from meshlab.istio.envoy.config import Json
    from meshlab.istio.model.mesh import Mesh
    from meshlab.istio.model.registry import ServiceEndpoint
    from meshlab.istio.read.workload_ref import WorkloadRef

__all__ = ["Address", "Placement"]


@dataclass(frozen=True)
class Address:
    """A TCP address."""

    host: str
    port: int

    def __str__(self) -> str:
        """Return `host:port`."""
        return f"{self.host}:{self.port}"

    @property
    def envoy(self) -> Json:
        """The address in Envoy's words."""
        return {"socketAddress": {"address": self.host, "portValue": self.port}}


_NOWHERE = Address("127.0.0.1", 1)
"""An address that nothing listens on."""


_SOURCE = "source"


@dataclass(frozen=True)
class Placement:
    """Addresses for every proxy and app. Pods share one machine here, so every port gets an address of its own.

    Attributes:
        proxies: (workload, targetPort) to where its Envoy listens.
        apps: (workload, targetPort) to where the app itself listens; gateways have none.
        admin: Workload to the admin address of its Envoy.
        outbound: Workload to where its sidecar takes what the app sends, with a PROXY header in front that names the
            client and the address that it wanted.
        external: (host or IP address, port) to the server that stands for it, for servers outside of the cluster.
        internet: The server that stands for all others.
        relay: Where connections go that shall end at the address that the client wanted. It expects a PROXY header
            and passes them on to what `without_proxy` says.
        cluster: (IP address, port) of the cluster to where it is on this machine.
        inside: Names and addresses of the cluster, where nothing listens on any other port.
        pod_ips: Workload to the address of its pod in the cluster.
        authorizers: Extension provider to what decides in place of its external authorizer, for the providers whose
            service exists.
        sources: Stated address to the loopback address that its owner connects from; others connect from 127.0.0.1.
        stated: Workload to its stated address, for the workloads that have one.
    """

    proxies: Mapping[tuple[WorkloadRef, int], Address]
    apps: Mapping[tuple[WorkloadRef, int], Address]
    admin: Mapping[WorkloadRef, Address]
    outbound: Mapping[WorkloadRef, Address] = field(default_factory=dict)
    external: Mapping[tuple[str, int], Address] = field(default_factory=dict)
    internet: Address = _NOWHERE
    relay: Address = _NOWHERE
    cluster: Mapping[tuple[str, int], Address] = field(default_factory=dict)
    inside: frozenset[str] = frozenset()
    pod_ips: Mapping[WorkloadRef, str] = field(default_factory=dict)
    authorizers: Mapping[str, Address] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    stated: Mapping[WorkloadRef, str] = field(default_factory=dict)

    @classmethod
    def plan(
        cls,
        mesh: Mesh,
        next_port: Callable[[], int],
        host: str = "127.0.0.1",
        known: MutableMapping[object, Address] | None = None,
        clients: Iterable[str] = (),
    ) -> Placement:
        """Give every listener of a mesh an address.

        Args:
            mesh: The mesh.
            next_port: Returns another free port at every call.
            host: The address that everything binds.
            known: Addresses of earlier plans, by what they are for. They are used again, and new ones are added.
            clients: Addresses of clients outside of the mesh.
        """
        given: MutableMapping[object, Address] = {} if known is None else known

        def place(*key: object) -> Address:
            if key not in given:
                given[key] = Address(host, next_port())
            return given[key]

        def source(stated: str) -> str:
            key = (_SOURCE, stated)
            if key not in given:
                taken = sum(isinstance(other, tuple) and other[0] == _SOURCE for other in given)
                given[key] = Address(str(SOURCES[1 + taken]), 0)
            return given[key].host

        proxies, apps, admin, outbound = {}, {}, {}, {}
        for workload in mesh.workloads:
            for port in workload.ports:
                if workload.injected:
                    proxies[workload.ref, port.number] = place("proxy", workload.ref, port.number)
                if not workload.is_gateway:
                    apps[workload.ref, port.number] = place("app", workload.ref, port.number)
            if workload.injected:
                admin[workload.ref] = place("admin", workload.ref)
            if workload.proxy == "sidecar":
                outbound[workload.ref] = place("outbound", workload.ref)
        external = {key: place("external", *key) for key in dict.fromkeys(_external(mesh))}
        placed = cls(
            proxies=proxies,
            apps=apps,
            admin=admin,
            outbound=outbound,
            external=external,
            internet=place("internet"),
            relay=place("relay"),
            inside=_inside(mesh),
            pod_ips=mesh.registry.pod_ips,
            authorizers={provider: place("authorizer", provider) for provider in mesh.usable_authorizers},
            sources={
                stated: source(stated)
                for stated in dict.fromkeys((*mesh.stated_addresses.values(), *clients))
            },
            stated=mesh.stated_addresses,
        )
        return placed._with_cluster(mesh)

    def source_of(self, ref: WorkloadRef) -> str | None:
        """Return the loopback address that a workload connects from, `None` for any."""
        return self.sources.get(self.stated.get(ref, ""))

    def of_endpoint(self, endpoint: ServiceEndpoint) -> Address:
        """Return where a server is on this machine: an address that refuses connections where nothing listens."""
        if endpoint.workload is not None:
            own = endpoint.workload, endpoint.port
            return self.proxies.get(own) or self.apps.get(own) or _NOWHERE
        key = (endpoint.address, endpoint.port)
        elsewhere = _NOWHERE if endpoint.address in self.inside else self.internet
        return self.cluster.get(key) or self.external.get(key) or elsewhere

    def without_proxy(self, ip: str, port: int) -> Address | None:
        """Return where a connection to an address ends for a client without a sidecar.

        Args:
            ip: The address, as the client's DNS says it.
            port: The port.

        Returns:
            The address on this machine; `None` where the cluster has the address and nothing listens on the port.
        """
        if found := self.cluster.get((ip, port)):
            return found
        number = ipaddress.ip_address(ip)
        inside = number in PODS or number in SERVICES or ip in self.pod_ips.values()
        return None if inside else self.internet

    def _with_cluster(self, mesh: Mesh) -> Placement:
        from dataclasses import replace

        found: dict[tuple[str, int], Address] = {}
        for listeners in (self.apps, self.proxies):
            for (ref, number), address in listeners.items():
                found[mesh.registry.pod_ips[ref], number] = address
        external = self.external
        for service in mesh.registry.services:
            for port in service.ports:
                if service.is_kubernetes:
                    endpoints = service.endpoints.get(port.number, ())
                    placed = [each for each in map(self.of_endpoint, endpoints) if each != _NOWHERE]
                    if placed and service.own_address:
                        found[service.own_address, port.number] = placed[0]
                        found[service.hostname, port.number] = placed[0]
                    elif service.is_headless and endpoints and (pod := endpoints[0].workload):
                        # Its name is an address of a pod, where each port is the pod's own.
                        found |= {
                            (service.hostname, number): address
                            for listeners in (self.apps, self.proxies)
                            for (other, number), address in listeners.items()
                            if other == pod
                        }
                    continue
                stand_in = external.get((service.hostname, port.number))
                own = service.own_address
                for name in (own, mesh.registry.public_ips.get(service.hostname)):
                    if stand_in and name and "/" not in name:
                        found.setdefault((name, port.number), stand_in)
        for (name, number), address in external.items():
            ip = mesh.registry.public_ips.get(name, name)
            found.setdefault((ip, number), address)
        return replace(self, cluster=found)


def _inside(mesh: Mesh) -> frozenset[str]:
    """Return the names and addresses of Services and pods."""
    kubernetes = (service for service in mesh.registry.services if service.is_kubernetes)
    services = [service for service in kubernetes if service.resolution != "alias"]
    names = {service.hostname for service in services} | {service.address for service in services}
    return frozenset(names | set(mesh.registry.pod_ips.values()))


def _external(mesh: Mesh) -> Iterator[tuple[str, int]]:
    """Yield the servers outside of the cluster that the mesh knows by name or address."""
    inside = _inside(mesh) | {
        service.hostname for service in mesh.registry.services if service.resolution == "alias"
    }
    for service in mesh.registry.services:
        for port in service.ports:
            if port.protocol == "udp":
                continue
            if not service.is_kubernetes and not service.is_wildcard and service.hostname not in inside:
                yield service.hostname, port.number
                if port.target:
                    yield service.hostname, port.target
            for endpoint in service.endpoints.get(port.number, ()):
                if endpoint.workload is None and endpoint.address not in inside:
                    yield endpoint.address, endpoint.port
