"""Two meshes as one bench: a request goes from the first to the second, and its evidence is read in both."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from meshlab.bench.mesh_addresses import MeshUnderTest
from meshlab.bench.run_addresses import PlacedAddresses
from meshlab.istio import Placement, ProxyCompiler
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from meshlab.bench.mesh_addresses import Direction
    from meshlab.istio import Address, Mesh, WorkloadRef
    from meshlab.istio.envoy.config import Json
    from meshlab.istio.envoy.tls import Secrets

__all__ = ["JoinedAddresses", "PlacedMesh", "joined"]


@dataclass(frozen=True)
class PlacedMesh:
    """One of the meshes.

    Attributes:
        mesh: The mesh.
        placement: Where it was placed.
        secrets: How TLS material reaches its proxies.
    """

    mesh: Mesh
    placement: Placement
    secrets: Secrets

    @cached_property
    def addresses(self) -> PlacedAddresses:
        """Where everything of it is."""
        return PlacedAddresses(self.mesh, self.placement)

    @classmethod
    def place(
        cls,
        mesh: Mesh,
        secrets: Secrets,
        next_port: Callable[[], int],
        links: Mapping[tuple[str, int], Address],
    ) -> PlacedMesh:
        """Place a mesh.

        Args:
            mesh: The mesh.
            secrets: How TLS material reaches its proxies.
            next_port: Returns another free port at every call.
            links: (host, port) outside of it to what is there in place of a server of its own.
        """
        known: dict[object, Address] = {("external", *key): address for key, address in links.items()}
        return cls(mesh, Placement.plan(mesh, next_port, known=known), secrets)


@dataclass(frozen=True)
class JoinedAddresses:
    """The addresses of two meshes whose workloads have different names.

    Attributes:
        first: The mesh that names without a namespace are looked up in.
        second: The other one.
    """

    first: PlacedMesh
    second: PlacedMesh

    @cached_property
    def outbound(self) -> Mapping[WorkloadRef, Address]:
        """See `MeshAddresses`."""
        return {**self.first.placement.outbound, **self.second.placement.outbound}

    @cached_property
    def ports(self) -> Mapping[tuple[WorkloadRef, int], Address]:
        """See `MeshAddresses`."""
        return {**self.first.placement.proxies, **self.second.placement.proxies}

    @cached_property
    def apps(self) -> Mapping[tuple[WorkloadRef, int], Address]:
        """See `MeshAddresses`."""
        return {**self.first.placement.apps, **self.second.placement.apps}

    @cached_property
    def admin(self) -> Mapping[WorkloadRef, Address]:
        """See `MeshAddresses`."""
        return {**self.first.placement.admin, **self.second.placement.admin}

    @cached_property
    def pod_ips(self) -> Mapping[WorkloadRef, str]:
        """See `MeshAddresses`."""
        return {**self.first.placement.pod_ips, **self.second.placement.pod_ips}

    @cached_property
    def external(self) -> Mapping[tuple[str, int], Address]:
        """See `MeshAddresses`; what leads to a proxy of the other mesh is no server of its own."""
        proxies = set(self.ports.values())
        found = {**self.first.placement.external, **self.second.placement.external}
        return {key: address for key, address in found.items() if address not in proxies}

    @property
    def authorizers(self) -> Mapping[str, Address]:
        """See `MeshAddresses`."""
        return {**self.first.placement.authorizers, **self.second.placement.authorizers}

    @property
    def internet(self) -> Address:
        """See `MeshAddresses`."""
        return self.first.placement.internet

    def resolve(self, host: str, port: int, namespace: str) -> tuple[str, int] | None:
        """See `MeshAddresses`."""
        return self._of(namespace).addresses.resolve(host, port, namespace)

    def without_proxy(self, ip: str, port: int) -> Address | None:
        """See `MeshAddresses`. Pods of the two meshes may have one address; that of the first counts."""
        return self.first.placement.without_proxy(ip, port)

    def target_port(self, gateway: WorkloadRef, port: int) -> int | None:
        """See `MeshAddresses`."""
        return self._of(gateway.namespace).addresses.target_port(gateway, port)

    def _of(self, namespace: str) -> PlacedMesh:
        own = any(workload.ref.namespace == namespace for workload in self.second.mesh.workloads)
        return self.second if own else self.first


def joined(first: PlacedMesh, second: PlacedMesh, authority_of_second: str) -> MeshUnderTest:
    """Return two meshes as the bench sees one.

    Args:
        first: The mesh that requests come from.
        second: The mesh that they go to.
        authority_of_second: For messages: the name of the second mesh's own authority.

    Raises:
        LookupError: A workload is in both meshes.
    """
    both = (first, second)
    if twice := {w.ref for w in first.mesh.workloads} & {w.ref for w in second.mesh.workloads}:
        raise LookupError(f"{min(twice)} is in both meshes ({authority_of_second} has it, too); rename one")
    bootstraps: dict[WorkloadRef, Json] = {}
    for part in both:
        # The second placement shares the server of all other hosts with the first.
        placement = replace(part.placement, internet=first.placement.internet)
        compiler = ProxyCompiler(part.mesh, placement, part.secrets)
        bootstraps |= {w.ref: compiler.compile(w.ref) for w in part.mesh.workloads if w.injected}
    return MeshUnderTest(
        bootstraps=bootstraps,
        addresses=JoinedAddresses(first, second),
        identities={w.ref: w.identity(part.mesh.trust_domain) for part in both for w in part.mesh.workloads},
        untrusted=_untrusted(*both),
        relay=str(first.placement.relay),
    )


def _untrusted(*parts: PlacedMesh) -> Callable[[WorkloadRef, Direction, str, int], list[str]]:
    workloads = {w.ref: (part.mesh, w) for part in parts for w in part.mesh.workloads}

    def reasons(ref: WorkloadRef, direction: Direction, host: str, port: int) -> list[str]:
        if ref not in workloads:
            return []
        mesh, workload = workloads[ref]
        side: Literal["inbound", "outbound"] = "inbound" if direction == "inbound" else "outbound"
        name = host.partition(":")[0] if host.count(":") == 1 else host
        return [str(problem) for problem in mesh.untrusted(workload, side, name or None, port)]

    return reasons
