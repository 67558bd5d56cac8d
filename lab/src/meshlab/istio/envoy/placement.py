"""Where everything of a mesh listens on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from meshlab.istio.envoy.config import Json
    from meshlab.istio.model.mesh import Mesh
    from meshlab.istio.read.names import WorkloadRef

__all__ = ["Address", "Placement"]


@dataclass(frozen=True)
class Address:
    """A TCP address."""

    host: str
    port: int

    def __str__(self) -> str:
        """`host:port`."""
        return f"{self.host}:{self.port}"

    @property
    def envoy(self) -> Json:
        """The address in Envoy's words."""
        return {"socketAddress": {"address": self.host, "portValue": self.port}}


@dataclass(frozen=True)
class Placement:
    """Addresses for every proxy and app. Pods share one machine here, so every port gets an address of its own.

    Attributes:
        proxies: (workload, targetPort) to where its Envoy listens.
        apps: (workload, targetPort) to where the app itself listens; gateways have none.
        admin: Workload to the admin address of its Envoy.
    """

    proxies: Mapping[tuple[WorkloadRef, int], Address]
    apps: Mapping[tuple[WorkloadRef, int], Address]
    admin: Mapping[WorkloadRef, Address]

    @classmethod
    def plan(cls, mesh: Mesh, next_port: Callable[[], int], host: str = "127.0.0.1") -> Placement:
        """Give every listener of a mesh an address.

        Args:
            mesh: The mesh.
            next_port: Returns another free port at every call.
            host: The address that everything binds.
        """
        proxies, apps, admin = {}, {}, {}
        for workload in mesh.workloads:
            for port in workload.ports:
                if workload.injected:
                    proxies[workload.ref, port.number] = Address(host, next_port())
                if not workload.is_gateway:
                    apps[workload.ref, port.number] = Address(host, next_port())
            if workload.injected:
                admin[workload.ref] = Address(host, next_port())
        return cls(proxies, apps, admin)
