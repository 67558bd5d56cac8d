"""The services of the mesh, as proxies may know them.

`build_registry` makes them. The order is that of `pilot/pkg/model/push_context.go`: creation time, then name and
namespace.
"""

from __future__ import annotations

from dataclasses import field
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from meshlab.istio.model.addresses import NO_ADDRESS
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshlab.istio.read.protocols import Protocol
    from meshlab.istio.read.workload_ref import WorkloadRef

__all__ = ["MeshPort", "MeshService", "Registry", "Resolution", "ServiceEndpoint"]


Resolution = Literal["endpoints", "original", "dns", "dynamic dns", "alias"]
"""How a proxy finds the servers of a service.

`endpoints`: istiod lists them (ClusterIP Services, resolution STATIC). `original`: the address that the client
connected to (headless Services, resolution NONE). `dns`: their names are looked up (resolutions DNS and
DNS_ROUND_ROBIN). `dynamic dns`: the name in each request is looked up (DYNAMIC_DNS). `alias`: another name for a
service (ExternalName).
"""


@dataclass(frozen=True)
class MeshPort:
    """A port of a service.

    Attributes:
        number: The service's port.
        name: Its name.
        protocol: Which protocol Istio takes it for.
        target: The port that replaces it where connections go to their original address; `None` for the same.
    """

    number: int
    name: str
    protocol: Protocol
    target: int | None = None


@dataclass(frozen=True)
class ServiceEndpoint:
    """A server behind one port of a service.

    Attributes:
        workload: The workload whose pod it is; `None` for a server outside of the cluster.
        address: Its IP address or host name.
        port: Its own port.
        labels: Its labels, by which subsets choose.
        namespace: Its namespace, whose PeerAuthentications count.
        takes_mtls: Whether it says that a sidecar takes mutual TLS for it.
        identity: Its SPIFFE id; empty where it has none.
    """

    workload: WorkloadRef | None
    address: str
    port: int
    labels: Mapping[str, str] = field(hash=False)
    namespace: str
    takes_mtls: bool
    identity: str


@dataclass(frozen=True)
class MeshService:
    """A host that proxies know.

    A ServiceEntry makes one for each pair of its hosts and addresses, as in Istio.

    Attributes:
        hostname: Its full name, or a wildcard.
        namespace: The namespace of the object that declares it.
        name: The name by which Istio orders it: the Service's, or the host of the ServiceEntry.
        ports: Its ports in the order of the object.
        address: Its virtual address or range; `0.0.0.0` where it has none of its own.
        resolution: How its servers are found.
        is_kubernetes: Whether a Service declares it.
        external: Whether it is outside of the mesh.
        export_to: Namespaces that see it, `*` or `~`.
        endpoints: Port number to the servers behind it.
        subject_alt_names: Names that its servers may have beside those of their workloads.
        has_selector: Whether it chooses endpoints by labels.
        external_name: For `alias`, the name that it stands for.
        aliases: Full names of the ExternalName Services that stand for it.
        created: Its creation time, where it is written.
    """

    hostname: str
    namespace: str
    name: str
    ports: tuple[MeshPort, ...]
    address: str
    resolution: Resolution
    is_kubernetes: bool
    external: bool
    export_to: tuple[str, ...]
    endpoints: Mapping[int, tuple[ServiceEndpoint, ...]] = field(repr=False, hash=False)
    subject_alt_names: tuple[str, ...] = ()
    has_selector: bool = False
    external_name: str = ""
    aliases: tuple[str, ...] = ()
    created: str = ""

    def port(self, number: int) -> MeshPort | None:
        """Return the port of that number."""
        return next((port for port in self.ports if port.number == number), None)

    @property
    def is_headless(self) -> bool:
        """Whether it is a Service without an address of its own."""
        return self.is_kubernetes and self.resolution == "original"

    @property
    def is_wildcard(self) -> bool:
        """Whether it stands for many hosts."""
        return self.hostname.startswith("*")

    @property
    def own_address(self) -> str | None:
        """Its virtual address, `None` where it has none; a range counts as one."""
        return None if self.address == NO_ADDRESS else self.address


@dataclass(frozen=True)
class Registry:
    """All services, with the addresses of everything.

    Attributes:
        services: The services in Istio's order.
        pod_ips: Workload to the address of its pod.
        public_ips: Host name to the address of its server, for servers outside of the cluster.
        identities: (host, namespace) to the identities that its servers may have.
    """

    services: tuple[MeshService, ...]
    pod_ips: Mapping[WorkloadRef, str]
    public_ips: Mapping[str, str]
    identities: Mapping[tuple[str, str], tuple[str, ...]]

    @cached_property
    def by_hostname(self) -> Mapping[str, Mapping[str, MeshService]]:
        """Host name to namespace to its service there: the first, or the one of the cluster."""
        found: dict[str, dict[str, MeshService]] = {}
        for service in self.services:
            known = found.setdefault(service.hostname, {})
            other = known.get(service.namespace)
            if other is None or (service.is_kubernetes and not other.is_kubernetes):
                known[service.namespace] = service
        return found

    def named(self, hostname: str) -> list[MeshService]:
        """Return the services of that name, one for each namespace that has it."""
        return list(self.by_hostname.get(hostname, {}).values())

    def identities_of(self, service: MeshService) -> tuple[str, ...]:
        """Return the identities that the servers of a service may have."""
        return self.identities.get((service.hostname, service.namespace), ())
