"""Where everything of a placed mesh is, as the engine asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.model.resolve import resolve
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshlab.istio import Address, Mesh, Placement
    from meshlab.istio.read.workload_ref import WorkloadRef

__all__ = ["PlacedAddresses"]


@dataclass(frozen=True)
class PlacedAddresses:
    """The addresses of a mesh on this machine.

    Attributes:
        mesh: The mesh.
        placement: Where it was placed.
    """

    mesh: Mesh
    placement: Placement

    @property
    def outbound(self) -> Mapping[WorkloadRef, Address]:
        """Workload to the `virtualOutbound` listener of its sidecar."""
        return self.placement.outbound

    @property
    def ports(self) -> Mapping[tuple[WorkloadRef, int], Address]:
        """(workload, targetPort) to the sidecar's inbound listener or the gateway's listener."""
        return self.placement.proxies

    @property
    def apps(self) -> Mapping[tuple[WorkloadRef, int], Address]:
        """(workload, targetPort) to the application itself."""
        return self.placement.apps

    @property
    def admin(self) -> Mapping[WorkloadRef, Address]:
        """Workload to the admin interface of its proxy."""
        return self.placement.admin

    @property
    def pod_ips(self) -> Mapping[WorkloadRef, str]:
        """Workload to its pod's IP address in the cluster."""
        return self.placement.pod_ips

    @property
    def external(self) -> Mapping[tuple[str, int], Address]:
        """(external host, port) to a server of its own on this machine."""
        return self.placement.external

    @property
    def authorizers(self) -> Mapping[str, Address]:
        """Name of an extension provider to the external authorizer on this machine."""
        return self.placement.authorizers

    @property
    def internet(self) -> Address:
        """The server that answers for every external host without an address of its own."""
        return self.placement.internet

    def resolve(self, host: str, port: int, namespace: str) -> tuple[str, int] | None:
        """Return the cluster's IP address and port for a name, `None` where its DNS does not know the name."""
        try:
            return resolve(self.mesh, host, port, namespace)
        except LookupError:
            return None

    def without_proxy(self, ip: str, port: int) -> Address | None:
        """Return where a connection ends for a client without a sidecar; `None` for nowhere."""
        return self.placement.without_proxy(ip, port)

    def target_port(self, gateway: WorkloadRef, port: int) -> int | None:
        """Return the pod's port behind a port of a gateway's Service; `None` where one of them is not there."""
        try:
            return self.mesh.target_port(self.mesh.workload(gateway), port)
        except LookupError:
            return None
